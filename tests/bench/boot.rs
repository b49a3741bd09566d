//! From the command to the payload: booted anew, and gone on with from a base.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::{RUNS, Result, median};

/// The stage in which the payload runs, as `belljar run` tells it.
const RUNNING: &str = "running";

/// Prints medians and their ratio, and what the hypervisor's process has besides the
/// guest's memory.
pub(super) fn boot() -> Result<()> {
    let project = tempfile::tempdir()?;
    // Leaves the base that the others go on from.
    started(project.path(), &[])?;
    let (mut cold, mut woken, mut besides) = (Vec::new(), Vec::new(), Vec::new());
    // By turns, so that what else the machine does meets both.
    for _ in 0..RUNS {
        cold.push(started(project.path(), &["--cold"])?.0);
        let (seconds, kib) = started(project.path(), &[])?;
        woken.push(seconds);
        besides.extend(kib);
    }
    let (cold, woken) = (median(cold), median(woken));
    println!(
        "start to payload (medians of {RUNS}, by turns): booted {cold:.2} s, gone on with {woken:.2} s, ratio {:.1}",
        cold / woken
    );
    if besides.len() == RUNS {
        println!(
            "  the hypervisor's own memory beyond the guest's: {:.0} MiB",
            median(besides) / 1024.0
        );
    }
    Ok(())
}

/// Seconds from the command to the payload, and the hypervisor's own memory in KiB
/// at that moment, where the guest's is told apart.
fn started(project: &std::path::Path, options: &[&str]) -> Result<(f64, Option<f64>)> {
    // Outside of the project, which is copied into the guest.
    let traces = tempfile::tempdir()?;
    let trace = traces.path().join("t.bjt");
    let begun = Instant::now();
    let mut run = Command::new(env!("CARGO_BIN_EXE_belljar"))
        .args(["run", "--headless", "--allow-degraded", "-o"])
        .arg(trace)
        .args(options)
        .arg(project)
        .args(["--", "sleep", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let pid = run.id();
    let (mut seconds, mut besides) = (0.0, None);
    if let Some(stderr) = run.stderr.take() {
        for line in BufReader::new(stderr).lines() {
            if line?.trim().ends_with(RUNNING) {
                seconds = begun.elapsed().as_secs_f64();
                besides = own_memory(pid);
            }
        }
    }
    run.wait()?;
    if seconds == 0.0 {
        return Err("the payload was not started".into());
    }
    Ok((seconds, besides))
}

/// What is not shared memory of this process's child: all of a woken guest's memory is.
fn own_memory(pid: u32) -> Option<f64> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let children: String = tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .collect();
    let child = children.split_whitespace().next()?;
    let status = std::fs::read_to_string(format!("/proc/{child}/status")).ok()?;
    let of = |key: &str| -> Option<f64> {
        let line = status.lines().find(|line| line.starts_with(key))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    Some(of("RssAnon:")? + of("RssFile:")?)
}
