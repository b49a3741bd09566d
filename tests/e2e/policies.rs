//! Policies around a run: checked, explained, learned, tightened by a project, and
//! an answer that is saved for the runs to come.

use std::path::{Path, PathBuf};

use libtest_mimic::Trial;

use crate::support::{
    Need, Result, belljar, check, events, json, output, repo, run, terminal, test, text,
};

pub fn tests() -> Vec<Trial> {
    vec![
        test("policies::checked_with_places", &[], checked),
        test("policies::explained", &[], explained),
        test("policies::cases_pass_and_fail", &[], cases),
        test("policies::learned_in_any_order", &[], learned),
        test("policies::a_project_only_tightens", &[Need::Guest], project),
        test(
            "policies::what_was_learned_is_enough",
            &[Need::Guest],
            enough,
        ),
    ]
}

/// What it prints, and how it ends.
fn said(args: &[&str], at: &Path) -> Result<(Option<i32>, String, String)> {
    let mut command = belljar(args);
    command
        .current_dir(at)
        .env("XDG_CONFIG_HOME", at.join("config"));
    let out = output(&mut command)?;
    Ok((out.status.code(), text(&out.stdout), text(&out.stderr)))
}

fn checked() -> Result {
    let dir = tempfile::tempdir()?;
    let at = dir.path();
    let (code, out, err) = said(
        &["policy", "check", "default", "strict", "node", "python"],
        at,
    )?;
    check(code == Some(0) && err.is_empty(), || err.clone())?;
    check(out.contains("kernel       default:decoys"), || out.clone())?;
    std::fs::write(
        at.join("a.toml"),
        "[[rule]]\naction = \"deny\"\ncondition = \"net.direct\"\n\n[[rule]]\naction = \"ask\"\ncondition = \"net.direct\"\n\n[[rule]]\naction = \"deny\"\ncondition = \"evt.op = read and proc.name = cat\"\n",
    )?;
    std::fs::write(
        at.join("b.yaml"),
        "rule:\n  - action: deny\n    condition: net.dirct\n",
    )?;
    std::fs::write(
        at.join(".belljar.toml"),
        "[[rule]]\naction = \"allow\"\ncondition = \"net.direct\"\n",
    )?;
    let (code, out, err) = said(
        &["policy", "check", "a.toml", "b.yaml", ".belljar.toml"],
        at,
    )?;
    check(code == Some(2), || format!("{code:?} {err}"))?;
    for part in [
        "a.toml:7:14: warning: line `a:2` can never decide: `a:1` (a.toml:3:14)",
        "a.toml:11:14: line `a:3`: about reading",
        "b.yaml:3:16: unknown field `net.dirct`; did you mean `net.direct`?",
        ".belljar.toml:2:10: a repository can only tighten",
    ] {
        check(err.contains(part), || format!("not {part}:\n{err}"))?;
    }
    check(
        out.contains("REFUSED      a:3") && out.contains("hold         a:1"),
        || out.clone(),
    )?;
    // And so no run starts with them, nor in that folder.
    for (args, part) in [
        (
            &["run", "--policy", "b.yaml", ".", "--", "true"][..],
            "b.yaml:3:16",
        ),
        (&["run", ".", "--", "true"], ".belljar.toml:2:10"),
        (
            &["run", "--profile", "perl", ".", "--", "true"],
            "no profile `perl`",
        ),
    ] {
        let (code, _, err) = said(args, at)?;
        check(code == Some(2) && err.contains(part), || {
            format!("{code:?} {err}")
        })?;
    }
    Ok(())
}

fn explained() -> Result {
    let dir = tempfile::tempdir()?;
    let at = dir.path();
    let own = at.join("config/belljar");
    std::fs::create_dir_all(&own)?;
    std::fs::write(
        own.join("policy.toml"),
        "[[rule]]\nid = \"mine\"\naction = \"allow\"\ncondition = \"net.name = a.example\"\n",
    )?;
    for (args, answer, by, enforced) in [
        (
            &["connect", "a.example:1"][..],
            "allow",
            "user:mine",
            "hold",
        ),
        (
            &["--no-user-policy", "connect", "a.example:1"],
            "ask",
            "default:egress",
            "hold",
        ),
        (
            &["--policy", "observe", "connect", "b.example:1"],
            "deny",
            "observe:egress",
            "host",
        ),
        (
            &["connect", "10.0.0.1:80"],
            "deny",
            "default:private",
            "hold",
        ),
        (
            &["read", "~/.ssh/id_rsa"],
            "deny",
            "default:decoys",
            "kernel",
        ),
        (
            &["rename", "~/.ssh/id_rsa", "--other", "/tmp/x"],
            "deny",
            "default:decoys",
            "kernel",
        ),
        (
            &["exec", "/tmp/.x/y", "--dropped", "yes"],
            "ask",
            "default:hidden",
            "hold",
        ),
        (
            &["exec", "/tmp/.x/y", "--dropped", "no"],
            "allow",
            "built-in",
            "hold",
        ),
        (
            &["write", "~/.npmrc", "--profile", "node"],
            "deny",
            "node:npmrc",
            "kernel",
        ),
        (&["write", "/etc/hosts"], "allow", "built-in", "kernel"),
    ] {
        let mut all = vec!["policy", "explain", "--format", "json"];
        all.extend(args);
        let (code, out, err) = said(&all, at)?;
        let told: serde_json::Value =
            serde_json::from_str(&out).map_err(|e| format!("{e}: {err}"))?;
        check(
            code == Some(0)
                && told["answer"] == answer
                && told["policy"]["by"] == by
                && told["enforced"] == enforced,
            || format!("{args:?}: {out}"),
        )?;
    }
    let (_, out, _) = said(&["policy", "explain", "exec", "/tmp/.x/y"], at)?;
    check(out.contains("not known path.dropped"), || out.clone())?;
    let (code, _, err) = said(&["policy", "explain", "exce", "/tmp/x"], at)?;
    check(code == Some(2) && err.contains("read, write, exec"), || {
        err.clone()
    })
}

fn cases() -> Result {
    let dir = tempfile::tempdir()?;
    let at = dir.path();
    let case = |expect: &str| {
        format!(
            "[[rule]]\nid = \"x\"\naction = \"deny\"\ncondition = \"evt.op = exec and proc.name = npm\"\n\
             [[test]]\nop = \"exec\"\nobject = \"/tmp/x\"\nexpect = \"{expect}\"\nwith = {{ program = \"/usr/bin/npm\" }}\n"
        )
    };
    std::fs::write(at.join("good.toml"), case("deny"))?;
    std::fs::write(at.join("bad.toml"), case("allow"))?;
    let (code, out, err) = said(&["policy", "test", "good.toml"], at)?;
    check(
        code == Some(0) && out.contains("exec /tmp/x: deny by good:x"),
        || format!("{out}{err}"),
    )?;
    let (code, out, _) = said(&["policy", "test", "good.toml", "bad.toml"], at)?;
    check(
        code == Some(1) && out.contains("FAIL  bad.toml:6") && out.contains("1 passed, 1 failed"),
        || out.clone(),
    )?;
    let (code, out, _) = said(&["policy", "test", "--policy", "default", "bad.toml"], at)?;
    check(code == Some(0), || out.clone())
}

fn traces() -> [PathBuf; 2] {
    ["npm-benign", "npm-credential-thief"].map(|name| repo(&format!("fixtures/traces/{name}.bjt")))
}

fn learned() -> Result {
    let dir = tempfile::tempdir()?;
    let at = dir.path();
    let [one, other] = traces().map(|path| path.to_string_lossy().into_owned());
    let (_, first, err) = said(&["policy", "learn", &one, &other], at)?;
    let (_, second, _) = said(&["policy", "learn", &other, &one, "-o", "l.toml"], at)?;
    let written = std::fs::read_to_string(at.join("l.toml"))?;
    check(first == written && second.contains("lines"), || {
        second.clone()
    })?;
    for part in [
        "read ~/.ssh/id_rsa: a decoy",
        "connect 198.51.100.7:443: denied by default:direct",
        "refused at the lookup",
    ] {
        check(err.contains(part), || format!("not {part}:\n{err}"))?;
    }
    let (code, _, err) = said(&["policy", "check", "l.toml"], at)?;
    check(code == Some(0), || err.clone())?;
    // What is there is not written over.
    let (code, _, err) = said(&["policy", "learn", &one, "-o", "l.toml"], at)?;
    check(code == Some(2) && err.contains("exists already"), || {
        err.clone()
    })
}

const TIGHT: &str = r#"[[rule]]
id = "tmp"
action = "deny"
condition = "evt.op = exec and fd.name startswith /tmp/"

[[rule]]
id = "asks"
action = "ask"
condition = "evt.op = exec and fd.filename = true"
"#;

const SCRIPT: &str = r#"cp /usr/bin/true /tmp/t; /tmp/t; echo "STEP tmp $?"
/usr/bin/true; echo "STEP asked $?"
/usr/bin/false; echo "STEP other $?"
echo x > ~/.npmrc; echo "STEP npmrc $?"
mkdir -p node_modules/a; printf '#!/usr/bin/env node\n' > node_modules/a/x.js
chmod +x node_modules/a/x.js; node_modules/a/x.js; echo "STEP script $?"
printf '#!/bin/sh\n' > dropped.sh; chmod +x dropped.sh; ./dropped.sh; echo "STEP dropped $?"
"#;

/// A strict run of a node project whose own file asks for more.
fn project() -> Result {
    let dir = tempfile::tempdir()?;
    let (trace, project) = (dir.path().join("t.bjt"), dir.path().join("p"));
    std::fs::create_dir(&project)?;
    std::fs::write(project.join(".belljar.toml"), TIGHT)?;
    std::fs::write(project.join("package.json"), "{\"name\": \"p\"}")?;
    std::fs::write(project.join("steps.sh"), SCRIPT)?;
    let words = [
        "--policy",
        "strict",
        "--allow",
        "files.example",
        "--",
        "sh",
        "steps.sh",
    ];
    let mut command = run(&project, &trace, &words);
    command.env("XDG_CONFIG_HOME", dir.path().join("config"));
    json(&output(&mut command)?)?;
    let events = events(&trace)?;
    let printed = terminal(&events);
    for line in [
        "STEP tmp 126",
        "STEP asked 126",
        "STEP other 1",
        "STEP npmrc 2",
        "STEP script 0",
        "STEP dropped 126",
    ] {
        let there = printed.lines().any(|said| said.trim() == line);
        check(there, || format!("not `{line}`; all:\n{printed}"))?;
    }
    for (kind, by) in [
        ("denied", "repository:tmp"),
        ("denied", "node:npmrc"),
        ("answer", "repository:asks"),
        ("answer", "node:scripts"),
        ("answer", "strict:dropped"),
    ] {
        let told = events
            .iter()
            .any(|event| event["kind"] == kind && event["fact"]["by"] == by);
        check(told, || format!("no {kind} by {by}"))?;
    }
    let policy = events.iter().find(|event| event["kind"] == "policy");
    let source = policy.map(|event| event["fact"]["source"].to_string());
    check(
        source.is_some_and(|text| text.contains("[[restrict]]")),
        || "the restrictions are not recorded".into(),
    )
}

/// The benign sample under what was learned from its own recording, and nothing else.
fn enough() -> Result {
    let dir = tempfile::tempdir()?;
    let at = dir.path();
    let [benign, _] = traces().map(|path| path.to_string_lossy().into_owned());
    said(&["policy", "learn", &benign, "-o", "l.toml"], at)?;
    let trace = at.join("t.bjt");
    let learned = at.join("l.toml").to_string_lossy().into_owned();
    let script = "npm install && echo STEP installed; touch ~/elsewhere || echo STEP kept";
    let words = [
        "--policy",
        &learned,
        "--no-registries",
        "--",
        "sh",
        "-c",
        script,
    ];
    let sample = repo("fixtures/packages/npm-benign");
    let mut command = run(&sample, &trace, &words);
    command.env("XDG_CONFIG_HOME", at.join("config"));
    json(&output(&mut command)?)?;
    let events = events(&trace)?;
    let printed = terminal(&events);
    check(
        printed.contains("STEP installed") && printed.contains("STEP kept"),
        || printed.clone(),
    )?;
    let denied: Vec<_> = events
        .iter()
        .filter(|event| event["kind"] == "denied")
        .map(|event| event["fact"]["by"].clone())
        .collect();
    check(denied == ["learned:elsewhere"], || format!("{denied:?}"))
}
