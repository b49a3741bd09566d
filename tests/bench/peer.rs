//! The same question to sysdig, of captures that others made.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::{RUNS, Result, median, repo};

/// What is asked.
const FILTER: &str = "evt.type=connect and fd.sport=3333 and proc.name=curl";

/// Prints what sysdig needs to read and filter a capture, if both are there.
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
    let mut seconds = Vec::new();
    for _ in 0..RUNS {
        let begun = Instant::now();
        ask(&[FILTER]).ok_or("sysdig does not know the filter")?;
        seconds.push(begun.elapsed().as_secs_f64());
    }
    println!(
        "peer: sysdig reads and filters {events:.0} events at {:.0} events/s, {:.2} bytes an event with its header",
        events / median(seconds),
        std::fs::metadata(&capture)?.len() as f64 / events
    );
    Ok(())
}
