//! `./dev bench [fold|rules|quality|rescore|record|peer|million|boot|overhead|hold|ui]`: measurements, printed as figures and ratios.
//!
//! `fold` reads, folds and judges a trace again and again; `rules` does so with the
//! rules of others too, and folds what is made to cost much; `quality` says how well the
//! rules find what they should (no time in it); `rescore` judges many traces on one thread
//! and on two; `record` writes it;
//! `million` makes a long trace of it, for the first frame's fold, a seek and
//! the peak of memory; `peer` asks the same of captures of others, with sysdig. `boot` starts guests, booted and gone
//! on with from a base. `overhead`
//! boots, and runs the same work in a guest with the tracer and without; `hold` with
//! nothing held, under the default policy, and with every open held; `ui` has the screen
//! on a pseudo-terminal with a long trace, which `long` writes. Numbers on a shared
//! machine are noisy: processor time, medians of several runs, and ratios.
#![expect(clippy::print_stdout, reason = "a program that prints measurements")]

use std::path::{Path, PathBuf};
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

#[path = "bench/boot.rs"]
mod boot;
#[path = "bench/bounds.rs"]
mod bounds;
#[path = "bench/long.rs"]
mod long;
#[path = "bench/overhead.rs"]
mod overhead;
#[path = "bench/peer.rs"]
mod peer;
#[path = "bench/quality.rs"]
mod quality;
#[path = "bench/rules.rs"]
mod rules;
#[path = "bench/scale.rs"]
mod scale;
#[path = "bench/ui.rs"]
mod ui;

fn main() -> Result<()> {
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let wants = |name: &str| asked.is_empty() || asked.iter().any(|word| word == name);
    if wants("fold") {
        fold()?;
    }
    if wants("rules") {
        rules::rules()?;
    }
    if wants("quality") {
        quality::quality()?;
    }
    if wants("rescore") {
        scale::scale()?;
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
    if wants("boot") {
        boot::boot()?;
    }
    if wants("overhead") {
        overhead::compare()?;
    }
    if wants("hold") {
        overhead::holding()?;
    }
    // Not without its name: a trace of ten million events takes its time and room.
    if asked.iter().any(|word| word == "long") {
        ui::long()?;
    }
    if asked.iter().any(|word| word == "ui") {
        ui::ui()?;
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
            let passes = || (0..PASSES).try_for_each(|_| work());
            seconds.push(timed(passes)?.0);
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

/// Processor seconds of this thread: others use the machine too.
fn cpu() -> Option<f64> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos: f64 = told.split_whitespace().next()?.parse().ok()?;
    Some(nanos / 1e9)
}

/// Processor seconds of all children that ended, in ticks of 10 ms.
fn cpu_of_children() -> Option<f64> {
    let told = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may hold anything: fields 16 and 17 of all.
    let fields: Vec<&str> = told.rsplit(')').next()?.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(13)? + ticks(14)?) / 100.0)
}

/// Seconds that `work` takes: the processor's where the system tells, else the clock's.
fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let (begun, before) = (Instant::now(), cpu());
    let made = work()?;
    let seconds = match (before, cpu()) {
        (Some(before), Some(after)) => after - before,
        _ => begun.elapsed().as_secs_f64(),
    };
    Ok((seconds, made))
}
