//! A payload that knows the machine from inside and tries everything at once:
//! each trick is a case with the answer that SECURITY.md documents, and what the
//! payload was told is held against what the trace says of it.
//!
//! One guest runs all tricks, another all races. A case announces itself by an
//! open of `/case/NAME`, so the events up to the next one are its own.

mod cases;
mod matrix;
mod names;
mod questions;
mod races;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::support::*;
use cases::{CASES, Case, Told};

pub fn tests() -> Vec<Trial> {
    let mut tests = vec![test(
        "adversary::every_trick_is_answered_as_documented",
        &[Need::Guest],
        tricks,
    )];
    tests.extend(races::tests());
    tests.extend(names::tests());
    tests.extend(matrix::tests());
    tests.extend(questions::tests());
    tests
}

/// The payload's sources, which are compiled in the guest.
const SOURCES: &[(&str, &str)] = &[
    ("tricks.h", include_str!("adversary/tricks.h")),
    ("main.c", include_str!("adversary/main.c")),
    ("files.c", include_str!("adversary/files.c")),
    ("programs.c", include_str!("adversary/programs.c")),
    ("calls.c", include_str!("adversary/calls.c")),
    ("agent.c", include_str!("adversary/agent.c")),
    ("network.c", include_str!("adversary/network.c")),
    ("signals.c", include_str!("adversary/signals.c")),
];
const POLICY: &str = include_str!("adversary/policy.toml");

/// Files that are there before any line could keep somebody from making them.
fn lay(dir: &Path, sources: &[(&str, &str)]) -> Result {
    std::fs::write(dir.join("policy.toml"), POLICY)?;
    let project = dir.join("p");
    for folder in ["no-write", "ask-write", "stop", "src"] {
        std::fs::create_dir_all(project.join(folder))?;
    }
    for file in ["no-write/f", "ask-write/f", "stop/f"] {
        std::fs::write(project.join(file), "first")?;
    }
    for (name, text) in sources {
        std::fs::write(project.join("src").join(name), text)?;
    }
    Ok(())
}

fn tricks() -> Result {
    let dir = tempfile::tempdir()?;
    lay(dir.path(), SOURCES)?;
    let (trace, project) = (dir.path().join("t.bjt"), dir.path().join("p"));
    let policy = dir
        .path()
        .join("policy.toml")
        .to_string_lossy()
        .into_owned();
    let script = "gcc -O1 -w -pthread -o /tmp/tricks src/*.c && /tmp/tricks";
    let words = [
        "--policy", &policy, "--pids", "160", "--", "sh", "-c", script,
    ];
    let live = output(&mut run(&project, &trace, &words))?;
    let report = json(&live)?;
    let events = events(&trace)?;
    let printed = terminal(&events);
    let said = answers(&printed);
    let slices = slices(&events);
    let mut wrong = Vec::new();
    let known: BTreeSet<_> = CASES.iter().flat_map(Case::names).collect();
    for case in CASES {
        for name in case.names() {
            match said.get(name.as_str()) {
                Some(answer) if case.answers.contains(&answer.as_str()) => {
                    let told = slices.get(name.as_str()).map_or(&[][..], Vec::as_slice);
                    if let Err(why) = recorded(case, answer, told) {
                        wrong.push(format!("{name} {answer}: {why}"));
                    }
                }
                other => wrong.push(format!("{name}: {other:?}, not {:?}", case.answers)),
            }
        }
    }
    check(printed.contains("CASE end OK"), || {
        format!("it did not come to its end:\n{printed}")
    })?;
    let unknown = said.keys().filter(|name| !known.contains(**name));
    wrong.extend(unknown.map(|name| format!("{name}: no row says what to expect")));
    check(wrong.is_empty(), || {
        format!("{}\n\nall:\n{printed}", wrong.join("\n"))
    })?;
    // The host states lookups, in its own order.
    let lookup = |event: &Value| event["kind"] == "dns" && event["fact"]["name"] == "data.example";
    check(events.iter().any(lookup), || {
        "the lookup by a connection is not recorded".into()
    })?;
    check(report["lost"]["events"] == 0, || {
        format!("{}", report["lost"])
    })?;
    check(report["verdict"] == "MALICIOUS", || {
        format!("{}", report["reasons"])
    })
}

/// What each case said: `CASE NAME ANSWER`.
fn answers(printed: &str) -> BTreeMap<&str, String> {
    let lines = printed.lines().filter_map(|line| {
        let (name, answer) = line.trim().strip_prefix("CASE ")?.split_once(' ')?;
        Some((name, answer.to_owned()))
    });
    lines.filter(|(name, _)| *name != "end").collect()
}

/// The events of each case.
fn slices(events: &[Value]) -> BTreeMap<&str, Vec<&Value>> {
    let mut slices: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    let mut case = "";
    for event in events {
        let path = event["fact"]["path"].as_str().unwrap_or_default();
        match path.strip_prefix("/case/") {
            Some(name) => case = name,
            None => slices.entry(case).or_default().push(event),
        }
    }
    slices
}

/// The trace tells of it: of a refusal that errno, and the line where there is one.
fn recorded(case: &Case, answer: &str, told: &[&Value]) -> std::result::Result<(), String> {
    let result = |event: &Value| {
        event["result"]
            .as_i64()
            .is_some_and(|result| result == -errno(answer))
    };
    // The kernel's own lines have a name of their own.
    let by = |event: &Value, line: &str| {
        let said = event["fact"]["by"].as_str().unwrap_or_default();
        let said = said.strip_prefix("adversary:").unwrap_or(said);
        matches!(event["kind"].as_str(), Some("denied" | "answer")) && said == line
    };
    let listed = || {
        let short = |event: &&Value| {
            let (kind, fact) = (&event["type"], &event["fact"]);
            format!("  {kind} {} {fact}", event["result"])
        };
        let lines: Vec<_> = told.iter().map(short).collect();
        format!("\n{}", lines.join("\n"))
    };
    let fine = match case.told {
        Told::Errno => told.iter().any(|event| result(event)),
        Told::Line(line) => told.iter().any(|event| by(event, line)),
        Told::Event(kind) => told.iter().any(|event| event["type"] == kind),
        Told::Nothing(why) => !why.is_empty(),
    };
    if fine {
        Ok(())
    } else {
        Err(format!("not recorded as {:?}{}", case.told, listed()))
    }
}

fn errno(name: &str) -> i64 {
    const NUMBERS: &[(&str, i64)] = &[
        ("EPERM", 1),
        ("ENOENT", 2),
        ("EBADF", 9),
        ("EACCES", 13),
        ("EINVAL", 22),
        ("EROFS", 30),
        ("ENOSYS", 38),
        ("EPROTONOSUPPORT", 93),
        ("EAFNOSUPPORT", 97),
        ("EADDRINUSE", 98),
        ("ECONNREFUSED", 111),
    ];
    let found = NUMBERS.iter().find(|(known, _)| *known == name);
    found.map_or(i64::MAX, |(_, number)| *number)
}
