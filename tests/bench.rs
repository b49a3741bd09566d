//! `./dev bench [fold|record|peer|million|overhead]`: measurements, printed as figures and ratios.
//!
//! `fold` reads, folds and judges a trace again and again; `record` writes it;
//! `million` makes a long trace of it, for the first frame's fold, a seek and
//! the peak of memory; `peer` reads captures of others with sysdig. `overhead`
//! runs the same work in a guest with the tracer and without. Numbers on a shared machine
//! are noisy: medians of several runs, and ratios rather than seconds.
#![expect(clippy::print_stdout, reason = "a program that prints measurements")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use belljar_recorder::{Entry, Reader};
use belljar_replay::report::Report;
use belljar_replay::rules::RuleSet;
use belljar_replay::session::Session;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Runs of each kind; odd, for the median.
const RUNS: usize = 5;
/// How often the trace is gone through in one timing of `fold`.
const PASSES: u32 = 40;

/// What the guest is made to do: name, and a command that prints its own seconds.
const WORK: &[(&str, &str)] = &[
    (
        "20,000 open/close",
        "import os,time\nt=time.monotonic()\nfor _ in range(20000): os.close(os.open('/etc/hostname',os.O_RDONLY))\nprint('seconds',time.monotonic()-t)",
    ),
    (
        "300 spawns of true",
        "import subprocess,time\nt=time.monotonic()\nfor _ in range(300): subprocess.run(['/bin/true'])\nprint('seconds',time.monotonic()-t)",
    ),
    (
        "2,000 files made, renamed, removed",
        "import os,time\nt=time.monotonic()\nfor i in range(2000):\n open('/tmp/f','w').write('x'); os.rename('/tmp/f','/tmp/g'); os.unlink('/tmp/g')\nprint('seconds',time.monotonic()-t)",
    ),
    (
        "arithmetic (no calls)",
        "import time\nt=time.monotonic()\nx=0\nfor i in range(3000000): x+=i*i\nprint('seconds',time.monotonic()-t)",
    ),
];

#[path = "bench/long.rs"]
mod long;
#[path = "bench/peer.rs"]
mod peer;

fn main() -> Result<()> {
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let wants = |name: &str| asked.is_empty() || asked.iter().any(|word| word == name);
    if wants("fold") {
        fold()?;
    }
    if wants("record") {
        long::record()?;
    }
    if wants("million") {
        long::million()?;
    }
    if wants("peer") {
        peer::compare()?;
    }
    if wants("overhead") {
        overhead()?;
    }
    Ok(())
}

fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The trace to measure with.
fn trace() -> PathBuf {
    std::env::var_os("BELLJAR_BENCH_TRACE").map_or_else(
        || repo("fixtures/traces/npm-credential-thief.bjt"),
        PathBuf::from,
    )
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Read, fold and judge, each for itself.
fn fold() -> Result<()> {
    let path = trace();
    let bytes = std::fs::read(&path)?;
    let rules = RuleSet::builtin();
    let entries: Vec<Entry> =
        Reader::open(bytes.as_slice())?.collect::<std::result::Result<_, _>>()?;
    let events = entries.len() as f64 * f64::from(PASSES);
    println!(
        "fold: {} ({} events, {:.1} bytes an event)",
        path.display(),
        entries.len(),
        bytes.len() as f64 / entries.len() as f64
    );
    let rate = |work: &dyn Fn() -> Result<()>| -> Result<f64> {
        let mut seconds = Vec::new();
        for _ in 0..RUNS {
            let start = Instant::now();
            for _ in 0..PASSES {
                work()?;
            }
            seconds.push(start.elapsed().as_secs_f64());
        }
        Ok(events / median(seconds))
    };
    let read = || -> Result<()> {
        for entry in Reader::open(bytes.as_slice())? {
            std::hint::black_box(entry?);
        }
        Ok(())
    };
    let judge = || -> Result<()> {
        let mut session = Session::new(Arc::clone(&rules));
        entries.iter().for_each(|entry| session.push(entry));
        std::hint::black_box(session.counts());
        Ok(())
    };
    let all = || -> Result<()> {
        let mut reader = Reader::open(bytes.as_slice())?;
        let mut session = Session::new(Arc::clone(&rules)).with_start(reader.start());
        for entry in &mut reader {
            session.push(&entry?);
        }
        std::hint::black_box(Report::new(&session, &reader.integrity()));
        Ok(())
    };
    for (name, work) in [
        ("read and verify", &read as &dyn Fn() -> Result<()>),
        ("fold and judge", &judge),
        ("read, fold, judge, report", &all),
    ] {
        println!("  {name:<28} {:>10.0} events/s", rate(work)?);
    }
    Ok(())
}

/// The same work in a guest, traced and not.
fn overhead() -> Result<()> {
    println!("overhead in the guest (medians of {RUNS} within one boot each)");
    for (name, code) in WORK {
        let (with, without) = (measure(code, true)?, measure(code, false)?);
        println!(
            "  {name:<36} traced {with:>7.3} s   untraced {without:>7.3} s   ratio {:.2}",
            with / without
        );
    }
    Ok(())
}

fn measure(code: &str, traced: bool) -> Result<f64> {
    let dir = tempfile::tempdir()?;
    let (project, trace) = (dir.path().join("p"), dir.path().join("t.bjt"));
    std::fs::create_dir(&project)?;
    std::fs::write(project.join("work.py"), code)?;
    let mut run = Command::new(env!("CARGO_BIN_EXE_belljar"));
    run.args([
        "run",
        "--headless",
        "--allow-degraded",
        "--format",
        "json",
        "-o",
    ])
    .arg(&trace);
    if !traced {
        run.arg("--no-trace");
    }
    let script = format!("for i in $(seq {RUNS}); do python3 work.py; done");
    run.arg(&project)
        .args(["--", "sh", "-c", &script])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    run.status()?;
    let mut seconds = Vec::new();
    for entry in Reader::open(std::fs::File::open(&trace)?)? {
        if let belljar_event::Fact::Output(output) = &entry?.event().fact {
            let text = String::from_utf8_lossy(&output.bytes).into_owned();
            seconds.extend(
                text.lines()
                    .filter_map(|line| line.trim().strip_prefix("seconds ")?.parse::<f64>().ok()),
            );
        }
    }
    if seconds.len() < RUNS {
        return Err(format!("the guest gave {} of {RUNS} figures", seconds.len()).into());
    }
    Ok(median(seconds))
}
