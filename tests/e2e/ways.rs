//! Every way in: packages by name, a Python project, a repository, phases.

use libtest_mimic::Trial;

use crate::support::*;

pub fn tests() -> Vec<Trial> {
    vec![
        test("ways::wrong_names_and_addresses", &[], wrong),
        test(
            "ways::npm_package_with_a_script_is_named_and_allowed",
            &[Need::Guest, Need::Registry],
            npm_package,
        ),
        test(
            "ways::python_project_installs_imports_and_runs",
            &[Need::Guest, Need::Registry],
            python_project,
        ),
        test(
            "ways::python_thief_is_malicious",
            &[Need::Guest, Need::Registry],
            python_thief,
        ),
        test(
            "ways::phases_stop_at_the_first_failure",
            &[Need::Guest],
            phases,
        ),
    ]
}

/// Refused with exit 2 and a hint, before anything boots.
fn wrong() -> Result {
    let cases: &[&[&str]] = &[
        &["npm", "--", "--global"],
        &["npm", "a b"],
        &["npm", "../a"],
        &["pip", "six ; id"],
        &["pip", "https://a.example/x.whl"],
        &["run", "git@git.example:a/b.git"],
        &["run", "ssh://git.example/a"],
        &["run", "https://me:secret@git.example/a"],
        &["run", ".", "--phase", "install"],
        &["run", ".", "--phase", "clone=x"],
        &["run", "/nowhere/at/all"],
    ];
    for case in cases {
        let refused = output(&mut belljar(*case))?;
        let said = text(&refused.stderr);
        check(code(&refused) == 2 && said.starts_with("belljar: "), || {
            format!("{case:?}: exit {}, {said}", code(&refused))
        })?;
        check(
            said.contains("hint:") || case.contains(&"/nowhere/at/all"),
            || format!("{case:?}: {said}"),
        )?;
    }
    Ok(())
}

/// The live table; `report` prints the same of the trace, below the report too.
fn npm_package() -> Result {
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("t.bjt");
    let mut command = belljar(["npm", "core-js-pure@3.38.0", "--headless", "-o"]);
    let live = output(command.arg(&trace))?;
    let said = text(&live.stdout);
    check(code(&live) == 0 && said.starts_with("SAFE"), || {
        format!("{said}{}", text(&live.stderr))
    })?;
    for expected in [
        "core-js-pure@3.38.0  postinstall: node",
        "(ran)",
        "\"allowScripts\": { \"core-js-pure@3.38.0\": true }",
        "npm approve-scripts core-js-pure",
    ] {
        check(said.contains(expected), || said.clone())?;
    }
    let replayed = output(belljar(["report"]).arg(&trace))?;
    check(said.starts_with(&text(&replayed.stdout)), || {
        format!("live:\n{said}\nreplayed:\n{}", text(&replayed.stdout))
    })?;
    let report = json(&output(
        belljar(["report", "--format", "json"]).arg(&trace),
    )?)?;
    let script = &report["installed"]["scripts"][0];
    check(
        script["package"] == "core-js-pure" && script["ran"] == true,
        || report["installed"].to_string(),
    )?;
    expect_phases(
        &report,
        &[
            ("install", "exit 0"),
            ("scripts", "exit 0"),
            ("import", "exit 0"),
        ],
    )
}

fn python_project() -> Result {
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("t.bjt");
    let live = output(&mut run(&repo("fixtures/packages/pip-benign"), &trace, &[]))?;
    let report = json(&live)?;
    check(report["verdict"] == "SAFE" && code(&live) == 0, || {
        format!("{} {}", report["verdict"], report["reasons"])
    })?;
    expect_phases(
        &report,
        &[
            ("install", "exit 0"),
            ("modules", "exit 0"),
            ("import", "exit 0"),
            ("run", "exit 0"),
        ],
    )?;
    let import = report["phases"][2]["command"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    check(import.contains("import padded, six"), || import)?;
    // What built it is told, and stands in the trace as an event.
    let built = report["installed"]["scripts"].to_string();
    check(
        built.contains("setuptools.build_meta") && built.contains("build_wheel"),
        || format!("{built}; {}", report["installed"]),
    )?;
    let events = events(&trace)?;
    check(
        events.iter().any(|event| event["kind"] == "installed"),
        || "no event tells what the install brought".into(),
    )?;
    let printed = terminal(&events);
    check(printed.contains("......padded"), || printed.clone())?;
    same_when_replayed(&live, &trace)
}

fn python_thief() -> Result {
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("t.bjt");
    let project = repo("fixtures/packages/pip-credential-thief");
    let live = output(&mut run(&project, &trace, &[]))?;
    let report = json(&live)?;
    check(report["verdict"] == "MALICIOUS" && code(&live) == 1, || {
        format!("{} {}", report["verdict"], report["reasons"])
    })?;
    let findings = report["findings"].to_string();
    for expected in [
        ".ssh/id_ed25519",
        ".aws/credentials",
        "198.51.100.7:443",
        "metrics.requests-py.example",
    ] {
        check(findings.contains(expected), || {
            format!("findings do not name {expected}: {findings}")
        })?;
    }
    Ok(())
}

fn phases() -> Result {
    let dir = tempfile::tempdir()?;
    let (trace, project) = (dir.path().join("t.bjt"), dir.path().join("project"));
    std::fs::create_dir(&project)?;
    let options = [
        "--phase",
        "one=sh -c 'echo first > made; sleep 100 &'",
        "--phase",
        "two=cat made && exit 7",
        "--phase",
        "three=echo never",
    ];
    let live = output(&mut run(&project, &trace, &options))?;
    let report = json(&live)?;
    expect_phases(&report, &[("one", "exit 0"), ("two", "exit 7")])?;
    check(report["ran"]["end"].to_string().contains("exit 7"), || {
        report["ran"].to_string()
    })?;
    let events = events(&trace)?;
    let printed = terminal(&events);
    check(
        printed.contains("first") && !printed.contains("never"),
        || printed.clone(),
    )
}
