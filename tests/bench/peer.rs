//! The same question to sysdig, of captures that others made.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::{RUNS, Result, cpu_of_children, median, repo};

/// What is asked.
const FILTER: &str = "evt.type=connect and fd.sport=3333 and proc.name=curl";

/// Prints what sysdig needs to read and filter a capture, if both are there, and
/// what belljar needs for a trace of a million events.
pub(super) fn compare() -> Result<()> {
    let capture = std::env::var_os("BELLJAR_BENCH_SCAP")
        .map_or_else(|| repo("../shared/data/scap/sample.scap"), PathBuf::from);
    if !capture.exists() {
        println!("peer: skipped, no capture (name one in BELLJAR_BENCH_SCAP)");
        return Ok(());
    }
    let ask = |more: &[&str]| -> Option<String> {
        let output = Command::new("sysdig")
            .arg("-r")
            .arg(&capture)
            .args(more)
            .stderr(Stdio::null())
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let Some(numbers) = ask(&["-p", "%evt.num"]) else {
        println!("peer: skipped, no sysdig that reads {}", capture.display());
        return Ok(());
    };
    let last = numbers
        .lines()
        .last()
        .and_then(|line| line.trim().parse().ok());
    let events: f64 = last.ok_or("sysdig counted no events")?;
    let theirs = timed(|| {
        ask(&[FILTER]).ok_or("sysdig does not know the filter")?;
        Ok(())
    })?;
    let bytes = std::fs::metadata(&capture)?.len() as f64;
    println!("peer: both asked for `{FILTER}`, processor time");
    println!(
        "  sysdig, {events:.0} events of {:.2} bytes    {:>10.0} events/s",
        bytes / events,
        events / theirs
    );
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("million.bjt");
    let bytes = super::long::trace_of_a_million()?;
    std::fs::write(&trace, &bytes)?;
    let ours = timed(|| {
        let status = Command::new(env!("CARGO_BIN_EXE_belljar"))
            .args(["events", "--count", "--filter", FILTER])
            .arg(&trace)
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            return Err("belljar events failed".into());
        }
        Ok(())
    })?;
    println!(
        "  belljar, 1000000 events of {:.2} bytes  {:>10.0} events/s   ratio {:.2}",
        bytes.len() as f64 / 1e6,
        1e6 / ours,
        1e6 / ours / (events / theirs)
    );
    Ok(())
}

/// The median of what a program takes; the clock's seconds where the system tells no others.
fn timed(run: impl Fn() -> Result<()>) -> Result<f64> {
    let mut seconds = Vec::new();
    for _ in 0..RUNS {
        let (begun, before) = (Instant::now(), cpu_of_children());
        run()?;
        seconds.push(match (before, cpu_of_children()) {
            (Some(before), Some(after)) if after > before => after - before,
            _ => begun.elapsed().as_secs_f64(),
        });
    }
    Ok(median(seconds))
}
