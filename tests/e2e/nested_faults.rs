//! What `faults.rs` shows of QEMU, under a real cloud-hypervisor, in an outer guest
//! whose KVM works: it is killed at every phase, stopped, cut off from its sockets;
//! its guest panics, reboots and goes off; its image is cut. And that KVM is
//! tried out where there is no QEMU.
//!
//! Ignored, with the reason, where no cloud-hypervisor is found.

use std::fs;
use std::path::Path;
use std::process::Command;

use libtest_mimic::{Completion, Trial};
use serde_json::Value;

use crate::nested::{in_outer_guest, lay_out, sent};
use crate::support::{Need, Result, belljar, check, code, missing, output, text};

pub fn tests() -> Vec<Trial> {
    vec![
        Trial::ignorable_test("nested::faults_of_cloud_hypervisor_itself", || {
            faults(HYPERVISOR, |console, dir| {
                judge(console, dir, OF_HYPERVISOR)?;
                tried_out(console)
            })
        }),
        Trial::ignorable_test("nested::faults_of_its_guests_and_files", || {
            faults(GUESTS, |console, dir| {
                judge(console, dir, OF_GUESTS)?;
                killed_itself(console, dir)?;
                damaged(console)
            })
        }),
    ]
}

/// Closes a socket of another process for good.
const SHUT: &str = r#"
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    if (argc != 3) return 2;
    long process = syscall(434 /* pidfd_open */, atoi(argv[1]), 0);
    long fd = syscall(438 /* pidfd_getfd */, process, atoi(argv[2]), 0);
    return fd < 0 || shutdown(fd, SHUT_RDWR);
}
"#;

/// For both: one run after the other. Each leaves its exit code,
/// what it said, a trace, and how much is left of it, told on the console.
const COMMON: &str = r#"
export XDG_CACHE_HOME=/files/cache XDG_CONFIG_HOME=/nonexistent NO_COLOR=1
options="--headless --format json --fail-on malicious --image nested --cpus 1 --memory 768 --disk 300 --on-malicious continue"
start() {
    name=$1; shift
    program run $options --machine cloud-hypervisor -o /tmp/$name.bjt "$@" \
        >/tmp/$name.json 2>/tmp/$name.err
    echo "NESTED code $name $?"
}
machine() { pidof cloud-hypervisor; }
said() {
    turns=0
    until grep -q "$2" /tmp/$1.err 2>/dev/null || [ $turns -gt 120 ]; do
        turns=$((turns + 1)); sleep 1
    done
}
told() {
    echo "NESTED left $1 $(ls -a /tmp | grep -c belljar)/$(machine)"
    for kind in err bjt; do
        echo "NESTED begin $1.$kind"; base64 /tmp/$1.$kind; echo "NESTED end"
    done
}
# name, what it says when it is so far, seconds from then on, what is done; then the run.
strike() {
    name=$1 words=$2 wait=$3 deed=$4; shift 4
    start $name "$@" &
    said $name "$words"; sleep $wait; $deed; wait; told $name
}
killed() { kill -9 $(machine); }
stopped() { kill -STOP $(machine); }
shut() {
    line=$(tr '\0' ' ' </proc/$(machine)/cmdline)
    fd=${line#*$1 fd=}
    /files/shut $(machine) ${fd%% *}
}
no_events() { shut --event-monitor; }
no_api() { shut --api-socket; }
no_belljar() { kill -9 $(pidof program); sleep 2; }
no_root() {
    for file in /files/cache/belljar/images/*/root.erofs; do
        truncate -s $(($(stat -c %s $file) / 2)) $file
    done
}
# Cold: a base of each of these would only push out the one that the others go on from.
fault() { name=$1; start $name --cold --guest-cmdline belljar.fault=$name /files/project -- sleep 1000; told $name; }
"#;

const HYPERVISOR: &str = r#"
program doctor --format json >/tmp/doctor.json
echo "NESTED begin doctor.json"; base64 /tmp/doctor.json; echo "NESTED end"
program run $options -o /tmp/auto.bjt /files/project -- true >/tmp/auto.json 2>/tmp/auto.err
echo "NESTED code auto $?"; told auto

strike boot "waiting for the guest's agent" 1 killed \
    --cold --guest-cmdline belljar.fault=hold-boot /files/project -- true
strike setup "setting the guest up" 1 killed \
    --cold --guest-cmdline belljar.fault=hold-setup /files/project -- true
strike running running 3 killed /files/project -- sleep 1000
strike exited running 8 killed --cold --guest-cmdline belljar.fault=hold-exit /files/project -- true
strike stopped running 3 stopped /files/project -- sleep 1000
strike events running 3 no_events /files/project -- sleep 1000
strike api running 3 no_api /files/project -- sleep 10
"#;

const GUESTS: &str = r#"
for fault in panic reboot power-off agent-exit; do fault $fault; done
strike own running 3 no_belljar /files/project -- sleep 1000
strike cut running 3 no_root /files/project -- sleep 10
start damaged /files/project -- true
echo "NESTED begin damaged.err"; base64 /tmp/damaged.err; echo "NESTED end"
"#;

/// A run: its name, its exit code, and what must be said of it.
type Row = (&'static str, i32, &'static [&'static str]);

const OF_HYPERVISOR: &[Row] = &[
    ("auto", 0, &[]),
    ("boot", 3, &["signal 9"]),
    ("setup", 3, &["signal 9"]),
    ("running", 3, &["signal 9"]),
    ("exited", 3, &["signal 9"]),
    ("stopped", 3, &["has said nothing for 60 s"]),
    ("events", 3, &["the hypervisor closed its control socket"]),
    // Nobody wanted anything of it.
    ("api", 0, &[]),
];

const OF_GUESTS: &[Row] = &[
    ("panic", 3, &["guest-reset", "Kernel panic"]),
    ("reboot", 3, &["guest-reset"]),
    ("power-off", 3, &["guest-shutdown", "power off: "]),
    ("agent-exit", 3, &["guest-reset"]),
    ("cut", 3, &["was changed while the guest ran from it"]),
];

fn faults(script: &str, judge: impl Fn(&str, &Path) -> Result) -> Result<Completion> {
    let needs = [Need::Guest, Need::CloudHypervisor];
    if let Some(reason) = needs.into_iter().find_map(missing) {
        return Ok(Completion::ignored_with(reason));
    }
    let dir = tempfile::tempdir()?;
    let source = dir.path().join("shut.c");
    fs::write(&source, SHUT)?;
    let made = Command::new("cc")
        .args(["-static", "-o"])
        .arg(dir.path().join("shut"))
        .arg(&source)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        return Ok(Completion::ignored_with("cc makes no static program here"));
    }
    lay_out(dir.path())?;
    fs::write(dir.path().join("script"), format!("{COMMON}{script}"))?;
    fs::copy(dir.path().join("shut"), dir.path().join("files/shut"))?;
    in_outer_guest(dir.path(), 1200, judge)
}

/// What follows on the first line that starts so.
fn line(console: &str, start: &str) -> String {
    let found = console.lines().find_map(|line| line.strip_prefix(start));
    found.map(|rest| rest.trim().to_owned()).unwrap_or_default()
}

fn judge(console: &str, dir: &Path, rows: &[Row]) -> Result {
    for (name, expected, says) in rows {
        let said = text(&sent(console, &format!("{name}.err"))?);
        let ended = line(console, &format!("NESTED code {name} "));
        check(ended == expected.to_string(), || {
            format!("{name}: exit {ended}; {said}")
        })?;
        let broke = ["belljar: the run broke off: ", "hint: "];
        let words = broke.iter().filter(|_| *expected == 3);
        for word in words.chain(*says) {
            check(said.contains(word), || {
                format!("{name}: no {word:?} in {said}")
            })?;
        }
        let left = line(console, &format!("NESTED left {name} "));
        check(left == "0/", || format!("{name}: left behind: {left}"))?;
        let trace = dir.join(format!("{name}.bjt"));
        fs::write(&trace, sent(console, &format!("{name}.bjt"))?)?;
        let verified = output(belljar(["verify"]).arg(&trace))?;
        check(code(&verified) == 0, || {
            format!(
                "{name}: {}{}",
                text(&verified.stdout),
                text(&verified.stderr)
            )
        })?;
        let report = output(belljar(["report", "--format", "json"]).arg(&trace))?;
        let report: Value = serde_json::from_slice(&report.stdout)?;
        check(*expected == 0 || report["verdict"] != "SAFE", || {
            format!("{name}: {}", report["verdict"])
        })?;
        let machine = &report["machine"]["hypervisor"];
        // What did not come as far as that has not told it.
        check(
            machine == "cloud-hypervisor" || ["boot", "setup"].contains(name),
            || format!("{name}: {machine}"),
        )?;
    }
    Ok(())
}

fn damaged(console: &str) -> Result {
    let said = text(&sent(console, "damaged.err")?);
    let named = said.contains("root.erofs has") && said.contains("remove the image");
    let ended = line(console, "NESTED code damaged ");
    check(ended == "3" && named, || said.clone())
}

/// What the doctor says of KVM where there is no QEMU.
fn tried_out(console: &str) -> Result {
    let doctor: Value = serde_json::from_slice(&sent(console, "doctor.json")?)?;
    let parts = doctor.as_array().map(Vec::as_slice).unwrap_or_default();
    let kvm = parts.iter().find(|part| part["part"] == "kvm");
    let found = kvm
        .map(|part| part["found"].to_string())
        .unwrap_or_default();
    check(
        found.contains("under cloud-hypervisor ran and answered"),
        || doctor.to_string(),
    )
}

/// belljar itself was killed: what was recorded until then can be read, and is
/// not SAFE.
fn killed_itself(console: &str, dir: &Path) -> Result {
    let left = line(console, "NESTED left own ");
    check(left == "0/", || format!("own: left behind: {left}"))?;
    let trace = dir.join("own.bjt");
    fs::write(&trace, sent(console, "own.bjt")?)?;
    let report = output(belljar(["report"]).arg(&trace))?;
    let said = text(&report.stdout);
    check(code(&report) == 5 && !said.starts_with("SAFE"), || {
        format!("own: exit {}\n{said}", code(&report))
    })
}
