//! Guests that break, are killed, fall silent or run riot, and disks that do
//! not keep up: what is said, what the trace still tells, and that nothing is left.
//! (`damage.rs`: what is done to hypervisors and images from outside.)

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Output};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::Value;

use crate::support::*;

pub fn tests() -> Vec<Trial> {
    vec![
        test("faults::killed_at_every_phase", &[Need::Guest], killed),
        test(
            "faults::a_guest_that_breaks_is_lost",
            &[Need::Guest],
            broken,
        ),
        test(
            "faults::limits_and_odd_arguments_in_one_run",
            &[Need::Guest],
            limits,
        ),
        test(
            "faults::a_crowd_of_processes_is_recorded",
            &[Need::Guest],
            crowd,
        ),
        test(
            "faults::a_restless_watch_loses_no_word",
            &[Need::Guest],
            restless,
        ),
        test(
            "faults::a_slow_disk_is_waited_for",
            &[Need::Guest],
            slow_disk,
        ),
    ]
}

/// Most memory that belljar itself may take, in KiB, whatever the guest does.
const MOST_MEMORY: u64 = 700 << 10;

/// A run with a folder of its own for everything that it leaves.
pub struct Bench {
    dir: tempfile::TempDir,
    child: Child,
    pub hypervisor: Option<u32>,
    /// The most memory that belljar was seen to take, in KiB.
    peak: u64,
}

impl Bench {
    pub fn start(trace: &str, options: &[&str], command: &[&str]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        for folder in ["project", "tmp"] {
            fs::create_dir(dir.path().join(folder))?;
        }
        let trace = dir.path().join(trace);
        let words = [options, &["--"], command].concat();
        let child = run(&dir.path().join("project"), &trace, &words)
            .env("TMPDIR", dir.path().join("tmp"))
            // A report may be longer than a pipe holds while nobody reads it.
            .stdout(fs::File::create(dir.path().join("stdout"))?)
            .stderr(fs::File::create(dir.path().join("stderr"))?)
            .spawn()?;
        Ok(Self {
            dir,
            child,
            hypervisor: None,
            peak: 0,
        })
    }

    pub fn trace(&self) -> PathBuf {
        self.dir.path().join("t.bjt")
    }

    fn stderr(&self) -> String {
        text(&fs::read(self.dir.path().join("stderr")).unwrap_or_default())
    }

    fn look(&mut self) {
        let pid = self.child.id();
        self.hypervisor = hypervisor(pid).or(self.hypervisor);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
        self.peak = self.peak.max(peak.unwrap_or(0));
    }

    /// Waits for something while the run goes on.
    pub fn wait(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) -> Result {
        let start = Instant::now();
        loop {
            self.look();
            if done(self) && self.hypervisor.is_some() {
                return Ok(());
            }
            if self.child.try_wait()?.is_some() || start.elapsed() > LONG {
                return Err(format!("{what} did not come; stderr:\n{}", self.stderr()).into());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits for the run's end, its memory in sight. Nothing of it is left.
    pub fn end(mut self) -> Result<Ended> {
        let start = Instant::now();
        while self.child.try_wait()?.is_none() {
            self.look();
            if start.elapsed() > LONG * 2 {
                signal(self.child.id(), "KILL");
                return Err(format!("no end; stderr:\n{}", self.stderr()).into());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let pids = [Some(self.child.id()), self.hypervisor];
        let stderr = self.stderr();
        let (trace, peak) = (self.trace(), self.peak);
        let mut output = self.child.wait_with_output()?;
        output.stdout = fs::read(self.dir.path().join("stdout"))?;
        gone(&pids.into_iter().flatten().collect::<Vec<_>>())?;
        let left: Vec<_> = fs::read_dir(self.dir.path().join("tmp"))?
            .flatten()
            .map(|entry| entry.path())
            .collect();
        check(left.is_empty(), || format!("left behind: {left:?}"))?;
        check(peak < MOST_MEMORY, || {
            format!("belljar took {peak} KiB of memory")
        })?;
        Ok(Ended {
            _dir: self.dir,
            trace,
            output,
            stderr,
            peak,
        })
    }
}

/// What a run left.
pub struct Ended {
    _dir: tempfile::TempDir,
    pub trace: PathBuf,
    output: Output,
    stderr: String,
    peak: u64,
}

impl Ended {
    /// The run broke: its exit code and its words say so, the trace is whole.
    pub fn broke(&self, what: &str, says: &[&str]) -> Result {
        check(code(&self.output) == 3, || {
            format!("{what}: exit {}; {}", code(&self.output), self.stderr)
        })?;
        for word in ["belljar: the run broke off: ", "hint: "]
            .iter()
            .chain(says)
        {
            check(self.stderr.contains(word), || {
                format!("{what}: no {word:?} in {}", self.stderr)
            })?;
        }
        let report = json(&self.output)?;
        check(report["verdict"] != "SAFE", || {
            format!("{what}: SAFE, {}", report["reasons"])
        })?;
        self.verified(what)
    }

    fn verified(&self, what: &str) -> Result {
        let verified = output(belljar(["verify"]).arg(&self.trace))?;
        check(code(&verified) == 0, || {
            format!(
                "{what}: {}{}",
                text(&verified.stdout),
                text(&verified.stderr)
            )
        })
    }

    /// The trace has no end: its good part is there, and is not SAFE.
    fn cut(&self, what: &str) -> Result {
        let report = output(belljar(["report"]).arg(&self.trace))?;
        let said = text(&report.stdout);
        check(code(&report) == 5 && !said.starts_with("SAFE"), || {
            format!(
                "{what}: report of the cut trace: exit {}\n{said}",
                code(&report)
            )
        })?;
        check(text(&report.stderr).contains("good"), || {
            format!("{what}: {}", text(&report.stderr))
        })
    }
}

pub fn kinds(trace: &Path, kind: &str) -> usize {
    let all = events(trace).unwrap_or_default();
    all.iter().filter(|event| event["kind"] == kind).count()
}

/// A phase of a run: its name, a fault that holds it there, and how it is seen.
type Phase = (&'static str, &'static str, fn(&Bench) -> bool);

const PHASES: &[Phase] = &[
    ("before the handshake", "hold-boot", |bench| {
        bench.stderr().contains("waiting for the guest's agent")
    }),
    ("during set-up", "hold-setup", |bench| {
        bench.stderr().contains("setting the guest up")
    }),
    ("while the payload runs", "none", |bench| {
        kinds(&bench.trace(), "exec") > 0
    }),
    ("after the payload's exit", "hold-exit", |bench| {
        // The first phase has begun, and ended.
        kinds(&bench.trace(), "phase") > 1
    }),
];

fn killed() -> Result {
    for (phase, fault, reached) in PHASES {
        for victim in ["belljar", "the hypervisor"] {
            let what = format!("{victim} killed {phase}");
            let word = format!("belljar.fault={fault}");
            let command: &[&str] = if *fault == "none" {
                &["sleep", "1000"]
            } else {
                &["true"]
            };
            let mut bench = Bench::start("t.bjt", &["--guest-cmdline", &word], command)?;
            bench
                .wait(phase, reached)
                .map_err(|e| format!("{what}: {}", e.message().unwrap_or_default()))?;
            let machine = bench.hypervisor.unwrap_or_default();
            if victim == "belljar" {
                signal(bench.child.id(), "KILL");
                bench.end()?.cut(&what)?;
            } else {
                signal(machine, "KILL");
                bench.end()?.broke(&what, &["signal 9"])?;
            }
        }
    }
    Ok(())
}

/// Faults inside, and what must be said of each.
const FAULTS: &[(&str, &[&str])] = &[
    ("agent-exit", &["the machine ended"]),
    (
        "panic",
        &["guest-reset", "on its console: ", "Kernel panic"],
    ),
    ("memory", &["guest-reset", "Kernel panic", "ut of memory"]),
    ("reboot", &["guest-reset"]),
    (
        "power-off",
        &["guest-shutdown", "on its console: ", "power off: "],
    ),
    ("stall", &["has said nothing for 60 s"]),
];

fn broken() -> Result {
    for (fault, says) in FAULTS {
        let word = format!("belljar.fault={fault}");
        let options = [
            // What no other test goes on from pushes out what others do.
            "--cold",
            "--guest-cmdline",
            &word,
            "--memory",
            "1024",
            "--disk",
            "128",
        ];
        let script = "while :; do ls / > /dev/null; sleep 0.2; done";
        let ended = Bench::start("t.bjt", &options, &["sh", "-c", script])?.end()?;
        ended.broke(fault, says)?;
        // What was seen until then is there.
        check(kinds(&ended.trace, "exec") > 0, || {
            format!("{fault}: nothing was recorded")
        })?;
    }
    Ok(())
}

/// Names that are no text, 64 KiB of arguments, too much memory, too many processes.
const RIOT: &str = r#"
odd=$(printf 'odd\377\376name')
cp /bin/true "$odd"; "./$odd" "$(printf 'arg\200')"
/bin/true $(head -c 65536 /dev/zero | tr '\0' a)
python3 -c 'x = [bytearray(b"x") * (8 << 20) for _ in range(200)]'; echo memory $?
bomb() { bomb | bomb & }; bomb; sleep 3; echo riot-over
"#;

fn limits() -> Result {
    let options = [
        "--cold", "--memory", "768", "--disk", "128", "--pids", "200",
    ];
    let ended = Bench::start("t.bjt", &options, &["bash", "-c", RIOT])?.end()?;
    let report = json(&ended.output)?;
    let reasons = report["reasons"].to_string();
    check(
        code(&ended.output) == 1 && report["verdict"] == "WARNING",
        || format!("exit {}; {reasons}", code(&ended.output)),
    )?;
    for (limit, option) in [("memory", "--memory"), ("pids", "--pids")] {
        let told = format!("the limit of {limit} was reached");
        let said = ended.stderr.contains(&format!("{told}\n  hint: {option}"));
        check(reasons.contains(&told) && said, || {
            format!("no {told}: {reasons}; {}", ended.stderr)
        })?;
    }
    ended.verified("limits")?;
    let events = events(&ended.trace)?;
    let told = |what: &str| {
        let is = |event: &&Value| event["kind"] == "limit" && event["fact"]["what"] == what;
        events.iter().filter(is).count()
    };
    check(told("memory") == 1 && told("pids") == 1, || {
        format!("told {} and {} times", told("memory"), told("pids"))
    })?;
    // No text, so told as bytes: the whole name, and the argument `arg\x80`.
    let odd = events.iter().any(|event| {
        let fact = &event["fact"];
        let name = fact["file"]["hex"].as_str().unwrap_or_default();
        name.ends_with("2f6f6464fffe6e616d65") && fact["argv"][1]["hex"] == "61726780"
    });
    check(odd, || "the odd name is not there as it was".into())?;
    let long = events.iter().any(|event| {
        event["fact"]["argv_bytes"]
            .as_u64()
            .is_some_and(|bytes| bytes > 65_536)
    });
    check(long, || {
        "the long argument is not told with its length".into()
    })
}

/// Each is made, ends at once, and is waited for.
const CROWD: &str = r#"
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
    int count = atoi(argv[1]), made = 0;
    for (; made < count; made++) {
        pid_t child = vfork();
        if (child == 0) _exit(made & 127);
        if (child < 0) break;
        waitpid(child, 0, 0);
    }
    printf("made %d\n", made);
}
"#;
/// How many; `BELLJAR_E2E_CROWD` asks for another number. 100,000 take minutes in
/// an emulated guest.
const MANY: u64 = 10_000;

fn crowd() -> Result {
    let asked = std::env::var("BELLJAR_E2E_CROWD").ok();
    let many = asked.and_then(|n| n.parse().ok()).unwrap_or(MANY);
    let script = format!(
        "cat > crowd.c <<'END'\n{CROWD}\nEND\ngcc -O1 -o crowd crowd.c && time ./crowd {many}"
    );
    let ended = Bench::start("t.bjt", &["--timeout", "19m"], &["bash", "-c", &script])?.end()?;
    let report = json(&ended.output)?;
    ended.verified("crowd")?;
    let lines =
        output(belljar(["report", "--format", "jsonl", "--fail-on", "never"]).arg(&ended.trace))?;
    let lines = text(&lines.stdout);
    let count = |kind: &str| {
        let word = format!("\"kind\":\"{kind}\"");
        lines.lines().filter(|line| line.contains(&word)).count() as u64
    };
    let lost = report["lost"]["events"].as_u64().unwrap_or(0);
    let (forks, exits) = (count("fork"), count("exit"));
    tell(&format!(
        "crowd: {forks} forks, {exits} exits, {lost} lost; belljar took {} KiB at most",
        ended.peak
    ));
    check(forks + exits + lost >= 2 * many, || {
        format!("{forks} forks, {exits} exits, {lost} lost of {many}")
    })?;
    // What was lost was said, and then nothing is SAFE.
    check(lost == 0 || report["verdict"] != "SAFE", || {
        format!("lost {lost} and {}", report["verdict"])
    })
}

/// Whoever polls the channel in the guest may be the only one that the kernel tells
/// of what has come. A watch that polls all the time made one run in four stand
/// still for ever, before it passed on what it saw.
fn restless() -> Result {
    for _ in 0..6 {
        let options = ["--guest-cmdline", "belljar.fault=restless"];
        let ended = Bench::start("t.bjt", &options, &["true"])?.end()?;
        check(code(&ended.output) == 0, || ended.stderr.clone())?;
    }
    Ok(())
}

/// A pipe in the place of a disk: first nothing is taken for a while, then a little at a time.
fn slow_disk() -> Result {
    let dir = tempfile::tempdir()?;
    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status()?;
    check(made.success(), || "mkfifo failed".into())?;
    let name = pipe.to_string_lossy().into_owned();
    // What cannot be packed, and far more than a pipe and all queues hold.
    let script =
        "for i in 1 2 3; do head -c 6000000 /dev/urandom | base64 -w0; ls / > /dev/null; done";
    let bench = Bench::start(&name, &[], &["sh", "-c", script])?;
    let reader = std::thread::spawn(move || drain(&pipe));
    let ended = bench.end();
    // If it never came to open the pipe, nobody else would.
    drop(fs::OpenOptions::new().read(true).write(true).open(&name));
    let ended = ended?;
    let bytes = reader.join().map_err(|_| "the reader panicked")??;
    let trace = dir.path().join("whole.bjt");
    fs::write(&trace, &bytes)?;
    let report = json(&ended.output)?;
    check(report["ran"]["end"] == "finished, exit 0", || {
        format!("{}; {}", report["ran"], ended.stderr)
    })?;
    let verified = output(belljar(["verify"]).arg(&trace))?;
    check(code(&verified) == 0, || text(&verified.stdout))?;
    tell(&format!(
        "slow disk: a trace of {} bytes; belljar took {} KiB at most",
        bytes.len(),
        ended.peak
    ));
    let lost = report["lost"]["events"].as_u64().unwrap_or(0);
    let printed: usize = events(&trace)?
        .iter()
        .filter(|event| event["kind"] == "output")
        .filter_map(|event| event["fact"].as_str().map(str::len))
        .sum();
    check(printed >= 24_000_000 || lost > 0, || {
        format!("{printed} bytes of output, {lost} events lost")
    })
}

fn drain(pipe: &Path) -> std::io::Result<Vec<u8>> {
    let mut from = fs::File::open(pipe)?;
    let mut all = Vec::new();
    let mut chunk = [0; 65536];
    let mut stalled = false;
    loop {
        let count = from.read(&mut chunk)?;
        let Some(read @ [_, ..]) = chunk.get(..count) else {
            return Ok(all);
        };
        all.extend_from_slice(read);
        // Once the run is well under way: longer than any queue lasts.
        if all.len() > 1 << 20 && !stalled {
            stalled = true;
            std::thread::sleep(Duration::from_secs(20));
        }
        if all.len() < 8 << 20 {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
