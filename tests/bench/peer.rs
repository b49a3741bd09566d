//! The same question to sysdig, of captures that others made.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::{RUNS, Result, cpu_of_children, median, repo};

/// How often the events of the short capture stand in the long one of [`reads`].
const TIMES: u32 = 1000;

/// What is asked.
const FILTER: &str = "evt.type=connect and fd.sport=3333 and proc.name=curl";

/// Prints what sysdig needs to read and filter a capture, if both are there, and
/// what belljar needs for a trace of a million events.
pub(super) fn compare() -> Result<()> {
    let capture = capture();
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

fn capture() -> PathBuf {
    std::env::var_os("BELLJAR_BENCH_SCAP")
        .map_or_else(|| repo("../shared/data/scap/sample.scap"), PathBuf::from)
}

/// Events that `sysdig -r` reads and filters in a second of processor time; why
/// not, if it cannot be asked.
pub(super) fn reads() -> std::result::Result<f64, String> {
    let short = capture();
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let long = folder.path().join("long.scap");
    let cannot = |what: &str| {
        format!(
            "no {what} (it needs sysdig, python3 and {})",
            short.display()
        )
    };
    let packed = folder.path().join("short.scap");
    pack(&short, &packed).map_err(|error| cannot(&error.to_string()))?;
    // A capture of so many events that beginning does not count.
    let made = Command::new("python3")
        .arg(short.with_file_name("bigscap.py"))
        .args([&packed, &long])
        .arg(TIMES.to_string())
        .stderr(Stdio::null())
        .output();
    let made = made.ok().filter(|made| made.status.success());
    let said = made.map(|made| String::from_utf8_lossy(&made.stdout).into_owned());
    let events = said.as_deref().and_then(|said| {
        let line = said.lines().last()?;
        line.strip_suffix(" events")?.parse::<f64>().ok()
    });
    let events = events.ok_or_else(|| cannot("long capture"))?;
    let read = || -> Result<()> {
        let mut sysdig = Command::new("sysdig");
        let sysdig = sysdig.arg("-r").arg(&long).arg(FILTER);
        match sysdig
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?
            .success()
        {
            true => Ok(()),
            false => Err("it failed".into()),
        }
    };
    let seconds = timed(read).map_err(|_| cannot("sysdig that reads it"))?;
    Ok(events / seconds)
}

/// The same capture, compressed if it is not.
fn pack(from: &Path, to: &Path) -> Result<()> {
    let bytes = std::fs::read(from)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        std::fs::write(to, bytes)?;
        return Ok(());
    }
    let file = std::fs::File::create(to)?;
    let mut packer = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    packer.write_all(&bytes)?;
    packer.finish()?;
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
