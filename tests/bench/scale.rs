//! Many traces judged again: by one thread, and by two.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::Result;

/// Traces, and events of each.
const TRACES: usize = 8;
const EVENTS: usize = 60_000;
/// Timings of each kind; the best counts, since others use the machine too.
const RUNS: usize = 5;
/// What two processors are to bring.
const WANTED: f64 = 1.8;

pub(crate) fn scale() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let bytes = super::long::trace_of(EVENTS)?;
    for number in 0..TRACES {
        std::fs::write(folder.path().join(format!("{number}.bjt")), &bytes)?;
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut one, mut two) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..RUNS {
        one = one.min(rescored(folder.path(), 1)?);
        two = two.min(rescored(folder.path(), 2)?);
    }
    let events = (TRACES * EVENTS) as f64;
    println!("rescore: {TRACES} traces of {EVENTS} events, each judged by two sets of rules");
    println!(
        "  one thread   {one:>7.2} s   {:>9.0} events/s",
        events / one
    );
    println!(
        "  two threads  {two:>7.2} s   {:>9.0} events/s",
        events / two
    );
    let ratio = one / two;
    let says = match (processors, ratio >= WANTED) {
        (1, _) => "skipped: there is one processor only",
        (_, true) => "holds",
        (_, false) => "DOES NOT HOLD (is the machine busy?)",
    };
    println!("  batch scales at least {WANTED} on 2 cores: {ratio:.2}, {says}");
    Ok(())
}

/// Seconds of the clock: what is asked is how long somebody waits.
fn rescored(folder: &Path, jobs: usize) -> Result<f64> {
    let begun = Instant::now();
    let ended = Command::new(env!("CARGO_BIN_EXE_belljar"))
        .args(["rescore", "--baseline", "none", "--jobs"])
        .arg(jobs.to_string())
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    match ended.code() {
        Some(0 | 1) => Ok(begun.elapsed().as_secs_f64()),
        code => Err(format!("belljar rescore ended with {code:?}").into()),
    }
}
