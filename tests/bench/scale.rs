//! Many traces judged again: by one thread, and by two.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Result;

/// Traces, and events of each.
const TRACES: usize = 8;
const EVENTS: usize = 60_000;
/// Timings of each kind; the best counts.
const RUNS: usize = 3;
/// What two processors are to bring.
const WANTED: f64 = 1.8;

/// How long it took, in seconds.
#[derive(Clone, Copy)]
struct Took {
    /// By the clock.
    clock: f64,
    /// Of the slowest worker, without its waits for a processor that others had;
    /// its waits for files and for other threads count.
    own: f64,
}

impl Took {
    fn best(self, other: Self) -> Self {
        Self {
            clock: self.clock.min(other.clock),
            own: self.own.min(other.own),
        }
    }
}

pub(crate) fn scale() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let bytes = super::long::trace_of(EVENTS)?;
    for number in 0..TRACES {
        std::fs::write(folder.path().join(format!("{number}.bjt")), &bytes)?;
    }
    let (mut one, mut two) = (rescored(folder.path(), 1)?, rescored(folder.path(), 2)?);
    for _ in 1..RUNS {
        one = one.best(rescored(folder.path(), 1)?);
        two = two.best(rescored(folder.path(), 2)?);
    }
    println!("rescore: {TRACES} traces of {EVENTS} events, each judged by two sets of rules");
    let events = (TRACES * EVENTS) as f64;
    for (name, took) in [("one thread", one), ("two threads", two)] {
        println!(
            "  {name:<12} {:>6.2} s by the clock, {:>6.2} s without waiting for a processor: {:>9.0} events/s",
            took.clock,
            took.own,
            events / took.own
        );
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let (clock, own) = (one.clock / two.clock, one.own / two.own);
    let says = match (processors, own >= WANTED) {
        (1, _) => "skipped, there is one processor only",
        (_, true) => "holds",
        (_, false) => "DOES NOT HOLD",
    };
    println!(
        "  batch scales at least {WANTED} on 2 cores: {own:.2}, {says} (by the clock {clock:.2})"
    );
    Ok(())
}

fn rescored(folder: &Path, jobs: usize) -> Result<Took> {
    let begun = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_belljar"))
        .args(["rescore", "--baseline", "none", "--jobs"])
        .arg(jobs.to_string())
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // Of each worker: when it was seen last, less what it had waited by then.
    let mut workers: BTreeMap<u32, f64> = BTreeMap::new();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        for (thread, waited) in waits(child.id()) {
            workers.insert(thread, begun.elapsed().as_secs_f64() - waited);
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let clock = begun.elapsed().as_secs_f64();
    match status.code() {
        Some(0 | 1) => Ok(Took {
            clock,
            own: workers.into_values().reduce(f64::max).unwrap_or(clock),
        }),
        code => Err(format!("belljar rescore ended with {code:?}").into()),
    }
}

/// Seconds that each thread but the first has waited for a processor, where the
/// system tells.
fn waits(pid: u32) -> Vec<(u32, f64)> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let wait = |task: std::fs::DirEntry| -> Option<(u32, f64)> {
        let thread: u32 = task.file_name().to_str()?.parse().ok()?;
        let told = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        let nanos: f64 = told.split_whitespace().nth(1)?.parse().ok()?;
        (thread != pid).then_some((thread, nanos / 1e9))
    };
    tasks.flatten().filter_map(wait).collect()
}
