//! Runs that break: everything that can be killed, cut, refused or mistyped.

use std::path::Path;

use libtest_mimic::Trial;

use crate::support::*;

pub fn tests() -> Vec<Trial> {
    vec![
        test("fail::interrupted", &[Need::Guest], interrupted),
        test("fail::time_limit", &[Need::Guest], time_limit),
        test("fail::trace_cut_anywhere", &[], trace_cut),
        test("fail::trace_with_a_flipped_byte", &[], trace_flipped),
        test("fail::no_space_for_the_trace", &[Need::Guest], no_space),
        test("fail::wrong_inputs", &[], wrong_inputs),
        test(
            "fail::consent_is_needed_for_emulation",
            &[Need::Guest],
            consent,
        ),
    ]
}

fn empty(dir: &tempfile::TempDir) -> Result<std::path::PathBuf> {
    let project = dir.path().join("project");
    std::fs::create_dir(&project)?;
    Ok(project)
}

fn interrupted() -> Result {
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("t.bjt");
    let started = start_endless(&empty(&dir)?, &trace, &[])?;
    let pids = [started.child.id(), started.hypervisor];
    signal(started.child.id(), "INT");
    let output = finish(started.child)?;
    check(code(&output) == 130, || {
        format!("exit {}; {}", code(&output), text(&output.stderr))
    })?;
    check(json(&output)?["verdict"] != "SAFE", || {
        "an interrupted run is SAFE".into()
    })?;
    gone(&pids)
}

fn time_limit() -> Result {
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("t.bjt");
    let mut command = run(
        &empty(&dir)?,
        &trace,
        &["--timeout", "45s", "--", "sleep", "1000"],
    );
    let output = output(&mut command)?;
    let report = json(&output)?;
    check(report["verdict"] == "WARNING" && code(&output) == 1, || {
        format!("exit {} {}", code(&output), report["reasons"])
    })?;
    check(report["reasons"].to_string().contains("time"), || {
        report["reasons"].to_string()
    })
}

fn fixture() -> Result<Vec<u8>> {
    Ok(std::fs::read(repo(
        "fixtures/traces/npm-credential-thief.bjt",
    ))?)
}

fn trace_cut() -> Result {
    let whole = fixture()?;
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("cut.bjt");
    let step = whole.len() / 40;
    for length in (0..whole.len()).step_by(step.max(1)) {
        std::fs::write(&trace, whole.get(..length).unwrap_or_default())?;
        let report = output(belljar(["report"]).arg(&trace))?;
        check(code(&report) == 5, || {
            format!(
                "cut at {length}: exit {}: {}",
                code(&report),
                text(&report.stderr)
            )
        })?;
        check(!text(&report.stdout).starts_with("SAFE"), || {
            format!("cut at {length} is SAFE")
        })?;
        check(!text(&report.stderr).is_empty(), || {
            format!("cut at {length}: nothing said")
        })?;
    }
    Ok(())
}

fn trace_flipped() -> Result {
    let whole = fixture()?;
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("flipped.bjt");
    for part in 0..30 {
        let mut bytes = whole.clone();
        let at = whole.len() * part / 30;
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 0x10;
        }
        std::fs::write(&trace, &bytes)?;
        for command in ["report", "verify"] {
            let output = output(belljar([command]).arg(&trace))?;
            check(code(&output) == 5, || {
                format!("{command}, byte {at} flipped: exit {}", code(&output))
            })?;
        }
    }
    Ok(())
}

/// What cannot be recorded must not go on.
fn no_space() -> Result {
    let dir = tempfile::tempdir()?;
    let mut command = run(&empty(&dir)?, Path::new("/dev/full"), &["--", "true"]);
    let output = output(&mut command)?;
    check(code(&output) == 3, || format!("exit {}", code(&output)))?;
    check(text(&output.stderr).contains("cannot record"), || {
        text(&output.stderr)
    })
}

fn wrong_inputs() -> Result {
    let dir = tempfile::tempdir()?;
    let folder = dir.path().to_string_lossy().into_owned();
    let foreign = dir.path().join("foreign.bjt");
    std::fs::write(&foreign, "#!/bin/sh\necho no trace\n")?;
    let foreign = foreign.to_string_lossy().into_owned();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["run", "--headless", "/nonexistent"], 2, "/nonexistent"),
        (&["run", "--headless", &folder], 2, "package.json"),
        (
            &["run", "--headless", &folder, "--allow", "a b", "--", "true"],
            2,
            "a b",
        ),
        (
            &["run", "--headless", &folder, "--disk", "4000", "--", "true"],
            2,
            "memory",
        ),
        (&["run", "--timeout", "never", &folder], 2, "never"),
        (&["report", "/nonexistent.bjt"], 2, "/nonexistent.bjt"),
        (&["report", &foreign], 5, "not"),
        (&["verify", &foreign], 5, "not"),
        (&["replay", &foreign], 2, "terminal"),
        (&["frobnicate"], 2, "frobnicate"),
    ];
    for (args, exit, named) in cases {
        let output = output(&mut belljar(*args))?;
        let said = text(&output.stderr);
        check(code(&output) == *exit, || {
            format!("{args:?}: exit {}: {said}", code(&output))
        })?;
        check(said.contains(named), || {
            format!("{args:?} does not name {named:?}: {said}")
        })?;
    }
    Ok(())
}

/// Where KVM works there is nothing to consent to.
fn consent() -> Result {
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("t.bjt");
    let mut command = run(&empty(&dir)?, &trace, &["--", "true"]);
    command.env_remove("BELLJAR_ALLOW_DEGRADED");
    let output = output(&mut command)?;
    let said = text(&output.stderr);
    match code(&output) {
        3 => check(said.contains("--allow-degraded") && !trace.exists(), || {
            said
        }),
        0 => check(json(&output)?["machine"]["degraded"] == false, || {
            "emulated without consent".into()
        }),
        other => Err(format!("exit {other}: {said}").into()),
    }
}
