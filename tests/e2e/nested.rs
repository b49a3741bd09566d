//! Whole runs under a real cloud-hypervisor, in an outer guest whose KVM works
//! (`tests/nested`): what the other tests show of QEMU holds there, too.
//!
//! Ignored, with the reason, where no cloud-hypervisor is found.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libtest_mimic::{Completion, Failed, Trial};
use serde_json::Value;

use crate::image::kernel;
use crate::support::{
    Need, Result, belljar, check, code, events, missing, output, repo, tell, terminal, text,
};
use crate::warm::canaries;

pub fn tests() -> Vec<Trial> {
    vec![Trial::ignorable_test(
        "nested::whole_runs_under_cloud_hypervisor",
        whole_runs,
    )]
}

/// The runs whose reports and traces are told.
const RUNS: &[&str] = &["plain", "own-1", "own-2", "cold", "flows", "slow", "killed"];

/// What the outer guest does. Each run leaves its exit code, its report, and a
/// trace, which are told on the console between marks; what it says gets the time
/// at which it says so.
const SCRIPT: &str = r#"
export XDG_CACHE_HOME=/files/cache XDG_CONFIG_HOME=/nonexistent NO_COLOR=1
mkdir /tmp/www && echo 'from the server' >/tmp/www/word
ip addr add 198.51.100.7/32 dev lo
httpd -p 198.51.100.7:8080 -h /tmp/www
now() { read -r up rest </proc/uptime; }
timed() { while read -r said; do now; echo "$up $said"; done; }
one() {
    name=$1; shift
    mkfifo /tmp/$name.said
    timed </tmp/$name.said >/tmp/$name.err &
    timer=$!
    now; begun=$up
    program run --headless --format json --machine cloud-hypervisor --image nested \
        --memory 768 --disk 300 --on-malicious continue --fail-on malicious \
        -o /tmp/$name.bjt "$@" >/tmp/$name.json 2>/tmp/$name.said
    echo "NESTED code $name $?"
    wait $timer
    now
    echo "NESTED time $name from $begun to $up s"
    echo "NESTED payload $name $begun $(grep -w running /tmp/$name.err | head -n 1 | cut -d' ' -f1)"
    echo "NESTED woken $name $(grep -c 'going on with a machine' /tmp/$name.err)"
}
one plain /files/project -- sh -c 'read line <word; echo "$line"; exit 7'
own='cat /proc/sys/kernel/random/uuid /proc/sys/kernel/random/boot_id
    head -c 24 /dev/urandom | od -An -tx1 | tr -d " \n"; echo; echo "clock $(date +%s)"
    cat ~/.aws/credentials'
one own-1 --lure /files/project -- sh -c "$own"
one own-2 --lure /files/project -- sh -c "$own"
echo "NESTED clock $(date +%s)"
one cold --cold --lure /files/project -- sh -c "$own"
one flows --allow 198.51.100.7:8080 /files/project -- sh -c \
    'wget -qO- http://198.51.100.7:8080/word; wget -qO- http://198.51.100.9/; cat ~/.ssh/id_*; true'
one slow --timeout 6s /files/project -- sleep 1000
export BELLJAR_CLOUD_HYPERVISOR=/files/walled
one killed --cold /files/project -- sleep 1000 &
until grep -q running /tmp/killed.err; do sleep 1; done
machine=$(pidof cloud-hypervisor)
for task in /proc/$machine/task/*; do
    echo "NESTED thread $(cat $task/comm) $(grep -E '^(Uid|NoNewPrivs|Seccomp):' $task/status | tr -s '\t\n' '  ')"
done
kill -9 $machine
wait $!
echo "NESTED left $(ls /tmp | grep -c belljar) $(pidof cloud-hypervisor)"
sed "s/^/NESTED walls $machine /" /tmp/walls
echo nobody:x:65534:65534::/:/bin/sh >>/etc/passwd
echo "NESTED nobody $(su -s /bin/sh nobody -c 'cat /files/project/word; touch /dev/shm/there && echo made' | tr '\n' ' ')"
program doctor --format json >/tmp/doctor.json
for file in $(cd /tmp; ls *.json *.bjt); do
    echo "NESTED begin $file"; base64 /tmp/$file; echo "NESTED end"
done
"#;

/// In the hypervisor's place: tells what can be reached from there, and becomes the
/// hypervisor, which is behind the same walls.
const WALLED: &str = r#"#!/bin/sh
tried() {
    word=$1; shift
    "$@" >/dev/null 2>&1 && echo "$$ $word can" || echo "$$ $word cannot"
}
case " $* " in *" --event-monitor "*)
    {
        tried project cat /files/project/word
        tried memory touch /dev/shm/there
        tried itself cat /proc/self/status
    } >/tmp/walls ;;
esac
exec /bin/cloud-hypervisor "$@"
"#;

/// Emulation twice over hangs now and then: once more then.
fn whole_runs() -> Result<Completion> {
    // Before an image is made for it.
    let needs = [Need::Guest, Need::CloudHypervisor];
    if let Some(reason) = needs.into_iter().find_map(missing) {
        return Ok(Completion::ignored_with(reason));
    }
    let dir = tempfile::tempdir()?;
    lay_out(dir.path())?;
    in_outer_guest(dir.path(), 900, judge)
}

/// Runs the script that was laid out within so many seconds, and has what the
/// console said judged.
pub fn in_outer_guest(
    dir: &Path,
    seconds: u32,
    judge: impl Fn(&str, &Path) -> Result,
) -> Result<Completion> {
    let mut last = String::new();
    for _ in 0..2 {
        let outcome = Command::new(repo("tests/nested/run.sh"))
            .arg(crate::support::BELLJAR)
            .env("NESTED_FILES", dir.join("files"))
            .env("NESTED_SCRIPT", dir.join("script"))
            .env("NESTED_SECONDS", seconds.to_string())
            .output()?;
        let said = text(&outcome.stdout);
        match outcome.status.code() {
            Some(0) => match judge(&said, dir) {
                Ok(()) => return Ok(Completion::Completed),
                Err(failed) => last = failed.message().unwrap_or_default().to_owned(),
            },
            Some(77) => {
                let why = text(&outcome.stderr);
                let why = why.lines().last().unwrap_or("something is missing");
                return Ok(Completion::ignored_with(why.to_owned()));
            }
            code => last = format!("{code:?}\n{said}"),
        }
        // The second time may pass; what the first one said is told all the same.
        tell(&format!("the outer guest: {last}"));
    }
    Err(format!("the outer guest: {last}").into())
}

/// An image of one program, a project, and the script.
pub fn lay_out(dir: &Path) -> Result {
    let files = dir.join("files");
    let project = files.join("project");
    std::fs::create_dir_all(&project)?;
    std::fs::write(project.join("word"), "from the project\n")?;
    let walled = files.join("walled");
    std::fs::write(&walled, WALLED)?;
    std::fs::set_permissions(&walled, Permissions::from_mode(0o755))?;
    std::fs::write(dir.join("script"), SCRIPT)?;
    let archive = dir.join("root.tar");
    let packed = Command::new("sh")
        .args(["-euc", ROOT, "sh"])
        .arg(dir.join("root"))
        .arg(&archive)
        .output()?;
    check(packed.status.success(), || text(&packed.stderr))?;
    let mut import = belljar(["image", "import", "--name", "nested"]);
    import
        .args(kernel(dir)?)
        .arg(&archive)
        .env("XDG_CACHE_HOME", files.join("cache"));
    let import = output(&mut import)?;
    check(code(&import) == 0, || text(&import.stderr))
}

/// busybox under the names that the script uses.
const ROOT: &str = r#"
mkdir -p "$1/bin"
cp "$(command -v busybox)" "$1/bin/busybox"
for name in sh cat sleep wget true head od tr date; do ln -s busybox "$1/bin/$name"; done
tar -C "$1" -cf "$2" .
"#;

fn judge(console: &str, dir: &Path) -> Result {
    let line = |start: &str| {
        let found = console.lines().find_map(|line| line.strip_prefix(start));
        found
            .map(str::trim)
            .ok_or_else(|| Failed::from(format!("no line {start:?} in\n{console}")))
    };
    for name in RUNS {
        for kind in ["json", "bjt"] {
            let file = format!("{name}.{kind}");
            std::fs::write(dir.join(&file), sent(console, &file)?)?;
        }
    }
    let report = |name: &str| -> Result<Value> {
        let bytes = std::fs::read(dir.join(format!("{name}.json")))?;
        Ok(serde_json::from_slice(&bytes)?)
    };
    let trace = |name: &str| dir.join(format!("{name}.bjt"));

    let plain = report("plain")?;
    check(plain["machine"]["hypervisor"] == "cloud-hypervisor", || {
        plain["machine"].to_string()
    })?;
    check(plain["machine"]["accelerator"] == "kvm", || {
        plain["machine"].to_string()
    })?;
    check(plain["ran"]["end"] == "finished, exit 7", || {
        plain["ran"].to_string()
    })?;
    check(line("NESTED code plain ")? == "0", || console.to_owned())?;
    let printed = terminal(&events(&trace("plain"))?);
    check(printed.contains("from the project"), || printed.clone())?;
    // The same report on this machine, byte for byte.
    let here = output(belljar(["report", "--format", "json"]).arg(trace("plain")))?;
    check(
        here.stdout == std::fs::read(dir.join("plain.json"))?,
        || "the report differs between the machines".into(),
    )?;

    warm(line, dir)?;
    no_canary_twice(dir)?;
    starts(line)?;
    walls(console)?;

    let flows = events(&trace("flows"))?;
    let printed = terminal(&flows);
    check(printed.contains("from the server"), || printed.clone())?;
    check(printed.contains("ermission denied"), || printed.clone())?;
    let flows = report("flows")?;
    check(
        flows["allowed"].to_string().contains("198.51.100.7"),
        || flows["allowed"].to_string(),
    )?;
    check(
        flows["refused"].to_string().contains("198.51.100.9"),
        || flows["refused"].to_string(),
    )?;
    check(flows["verdict"] != "SAFE", || flows["reasons"].to_string())?;

    let slow = report("slow")?;
    check(slow["ran"]["end"] == "stopped by the time limit", || {
        slow["ran"].to_string()
    })?;
    let killed = report("killed")?;
    let end = killed["ran"]["end"].to_string();
    check(end.contains("signal 9"), || end.clone())?;
    check(killed["verdict"] != "SAFE", || end.clone())?;
    check(line("NESTED left ")? == "0", || {
        format!("left behind: {:?}", line("NESTED left "))
    })
}

/// The first one boots and leaves a base; the others go on from it, and share
/// nothing that should be their own.
fn warm<'a>(line: impl Fn(&str) -> Result<&'a str>, dir: &Path) -> Result {
    for (name, times) in [
        ("plain", "0"),
        ("own-1", "1"),
        ("own-2", "1"),
        ("cold", "0"),
    ] {
        let woken = line(&format!("NESTED woken {name} "))?;
        check(woken == times, || format!("{name} was woken {woken} times"))?;
    }
    let ended: f64 = line("NESTED clock ")?.parse()?;
    let mut seen = BTreeSet::new();
    for name in ["own-1", "own-2"] {
        let ran = ran(dir, name)?;
        check(ran == "finished, exit 0", || format!("{name}: {ran}"))?;
        let printed = terminal(&events(&dir.join(format!("{name}.bjt")))?);
        let lines: Vec<&str> = printed.lines().map(str::trim).collect();
        for line in lines.iter().take(3) {
            check(line.len() >= 36 && seen.insert((*line).to_owned()), || {
                format!("twice or nothing: {line:?} in {printed}")
            })?;
        }
        let clock = lines.iter().find_map(|line| line.strip_prefix("clock "));
        let clock: f64 = clock.unwrap_or_default().parse()?;
        check((ended - clock).abs() < 120.0, || {
            format!("the guest's clock: {clock}, outside {ended}")
        })?;
    }
    Ok(())
}

/// How a run ended, as its report says.
fn ran(dir: &Path, name: &str) -> Result<String> {
    let report = std::fs::read(dir.join(format!("{name}.json")))?;
    let report: Value = serde_json::from_slice(&report)?;
    Ok(report["ran"]["end"].as_str().unwrap_or_default().to_owned())
}

/// What was laid out as bait is each run's own, and what a woken payload finds of
/// it is what the trace says.
fn no_canary_twice(dir: &Path) -> Result {
    let mut seen = BTreeSet::new();
    for name in RUNS {
        let trace = dir.join(format!("{name}.bjt"));
        let laid = canaries(&trace)?;
        if name.starts_with("own") || *name == "cold" {
            let printed = terminal(&events(&trace)?);
            let read = laid.iter().filter(|canary| printed.contains(*canary));
            check(read.count() == 1, || {
                format!("{name} read other bait than its own: {printed}")
            })?;
        }
        for canary in laid {
            check(seen.insert(canary), || {
                format!("{name} has another's canary")
            })?;
        }
    }
    tell(&format!(
        "{} canaries in {} runs, none of them twice",
        seen.len(),
        RUNS.len()
    ));
    Ok(())
}

/// From the start of belljar to the start of the payload.
fn starts<'a>(line: impl Fn(&str) -> Result<&'a str>) -> Result {
    let took = |name: &str| -> Result<f64> {
        let times = line(&format!("NESTED payload {name} "))?;
        let (begun, running) = times.split_once(' ').ok_or(times)?;
        Ok(running.parse::<f64>()? - begun.parse::<f64>()?)
    };
    let (first, cold) = (took("plain")?, took("cold")?);
    let (one, other) = (took("own-1")?, took("own-2")?);
    tell(&format!(
        "payload after {first:.1} s (first, leaves a base), {cold:.1} s (cold), \
         {one:.1} s and {other:.1} s (woken)"
    ));
    check(one.max(other) < cold, || {
        "woken is no faster than cold".into()
    })
}

/// The hypervisor is nobody, filters its own calls, and does not reach the files
/// and networks that nobody else would be refused: the kernel enforces Landlock.
fn walls(console: &str) -> Result {
    let doctor: Value = serde_json::from_slice(&sent(console, "doctor.json")?)?;
    let parts = doctor.as_array().map(Vec::as_slice).unwrap_or_default();
    let landlock = parts.iter().find(|part| part["part"] == "landlock");
    let said = |start: &'static str| console.lines().filter_map(move |l| l.strip_prefix(start));
    let threads: Vec<_> = said("NESTED thread ").collect();
    let of = |name: &str| threads.iter().find(|line| line.starts_with(name));
    for name in ["vmm ", "vcpu0 "] {
        let sure = [
            "Uid: 65534 65534 65534 65534",
            "NoNewPrivs: 1",
            "Seccomp: 2",
        ];
        check(
            of(name).is_some_and(|line| sure.iter().all(|word| line.contains(word))),
            || threads.join("\n"),
        )?;
    }
    if !landlock.is_some_and(|part| part["state"] == "found") {
        tell("the outer kernel has no Landlock: the walls were not checked");
        return Ok(());
    }
    check(
        said("NESTED nobody ").eq(["from the project made "]),
        || "nobody is refused what is tried without walls, too".into(),
    )?;
    let tried: Vec<_> = said("NESTED walls ").collect();
    // The one that ran is the one that tried: each line has its number twice.
    let pid = tried.first().and_then(|line| line.split(' ').next());
    let pid = pid.unwrap_or_default();
    let expected = ["project cannot", "memory cannot", "itself can"];
    let expected = expected.map(|words| format!("{pid} {pid} {words}"));
    check(!pid.is_empty() && tried.iter().eq(&expected), || {
        tried.join("\n")
    })?;
    tell(&format!("behind Landlock: {}", tried.join("; ")));
    Ok(())
}

/// A file that was told on the console.
pub fn sent(console: &str, name: &str) -> Result<Vec<u8>> {
    let begin = format!("NESTED begin {name}");
    let lines = console.lines().skip_while(|line| line.trim() != begin);
    let body: String = lines
        .skip(1)
        .take_while(|line| line.trim() != "NESTED end")
        .map(str::trim)
        .collect();
    STANDARD
        .decode(body)
        .map_err(|error| format!("{name}: {error}\n{console}").into())
}
