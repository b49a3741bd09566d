//! Traces held against rules and against each other: rescore, test, diff, export.

use std::path::Path;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::support::*;

pub fn tests() -> Vec<Trial> {
    vec![
        test("compare::our_fixtures_are_as_expected", &[], expected),
        test("compare::a_miss_is_named_with_its_line", &[], missed),
        test(
            "compare::rescore_is_the_same_on_any_number_of_threads",
            &[],
            rescored,
        ),
        test("compare::rescore_says_what_new_rules_find", &[], new_rules),
        test("compare::rescore_reads_its_own_scores", &[], saved),
        test("compare::rescore_stops_cleanly", &[], stopped),
        test("compare::export_takes_the_rules", &[], exported),
        test(
            "compare::two_versions_differ_in_what_the_new_one_does",
            &[Need::Guest],
            versions,
        ),
    ]
}

fn fixtures() -> std::path::PathBuf {
    repo("fixtures")
}

/// What a person might have decided: the thief's worst findings do not weigh.
const DECIDED: &str = "\
severity:
  - {rule: L4-HONEY-001, is: low, reason: a test, until: 2099-01-01}
suppress:
  - {rule: L4-EXFIL-005, reason: a test, until: 2099-01-01}
  - {rule: L4-NET-006, reason: a test, until: 2099-01-01}
";

fn write(path: &Path, text: &str) -> Result {
    Ok(std::fs::write(path, text)?)
}

fn tested(expect: &Path, more: &[&str]) -> Result<std::process::Output> {
    let mut command = belljar(["test", "--corpus"]);
    command.arg(fixtures()).arg("--expect").arg(expect);
    output(command.args(more))
}

fn expected() -> Result {
    let ran = tested(&fixtures().join("expect.yaml"), &["--strict"])?;
    check(code(&ran) == 0, || text(&ran.stdout) + &text(&ran.stderr))?;
    check(text(&ran.stdout).contains("; 0 misses, 0 damaged"), || {
        text(&ran.stdout)
    })
}

fn missed() -> Result {
    let dir = tempfile::tempdir()?;
    let (expect, xml) = (dir.path().join("e.yaml"), dir.path().join("o.xml"));
    write(
        &expect,
        "expect:\n  - trace: traces/npm-benign.bjt\n    verdict: MALICIOUS\n    rules:\n      - {rule: L4-HONEY-001, at_least: 1}\n",
    )?;
    let ran = tested(&expect, &["--junit", &xml.to_string_lossy()])?;
    let said = text(&ran.stdout);
    check(code(&ran) == 1, || format!("exit {}: {said}", code(&ran)))?;
    for part in [
        "traces/npm-benign.bjt: verdict MALICIOUS, found SAFE",
        "e.yaml:3:14",
        "L4-HONEY-001 at least 1, found 0",
        "e.yaml:5:16",
        "traces/npm-credential-thief.bjt: no expectation fits it",
        "0 of 2 expectations held",
    ] {
        check(said.contains(part), || format!("{part:?} is not in {said}"))?;
    }
    let xml = std::fs::read_to_string(xml)?;
    check(
        // Both expectations, and the two traces that none fits.
        xml.contains("tests=\"4\"") && xml.contains("failures=\"2\""),
        || xml.clone(),
    )?;
    let wrong = "expect:\n  - trace: x\n    rules: [{rule: L4-HONNEY-001, exactly: 1}]\n";
    write(&expect, wrong)?;
    let ran = tested(&expect, &[])?;
    check(
        code(&ran) == 2 && text(&ran.stderr).contains("did you mean L4-HONEY-001?"),
        || text(&ran.stderr),
    )
}

fn rescore(args: &[&Path], options: &[&str]) -> Result<std::process::Output> {
    let mut command = belljar(["rescore"]);
    output(command.args(args).args(options))
}

/// Whole traces, one that is cut, and one that is none.
fn corpus(folder: &Path) -> Result {
    let thief = std::fs::read(repo("fixtures/traces/npm-credential-thief.bjt"))?;
    let benign = std::fs::read(repo("fixtures/traces/npm-benign.bjt"))?;
    std::fs::create_dir(folder.join("deep"))?;
    for n in 0..3 {
        std::fs::write(folder.join(format!("benign-{n}.bjt")), &benign)?;
        std::fs::write(folder.join(format!("deep/thief-{n}.bjt")), &thief)?;
    }
    let half = benign.get(..benign.len() / 2).unwrap_or_default();
    std::fs::write(folder.join("cut.bjt"), half)?;
    std::fs::write(folder.join("none.bjt"), "nothing")?;
    std::fs::write(folder.join("notes.txt"), "no trace, not looked at")?;
    Ok(())
}

fn rescored() -> Result {
    let dir = tempfile::tempdir()?;
    let traces = dir.path().join("traces");
    std::fs::create_dir(&traces)?;
    corpus(&traces)?;
    let decided = dir.path().join("decided.yaml");
    write(&decided, DECIDED)?;
    let decided = decided.to_string_lossy();
    let mut outputs = Vec::new();
    for jobs in ["1", "2", "5"] {
        let options = ["--suppress", &decided, "--format", "json", "--jobs", jobs];
        let ran = rescore(&[&traces], &options)?;
        // Damaged traces are named, the others judged, and the exit code says so.
        check(code(&ran) == 5, || {
            format!("exit {}: {}", code(&ran), text(&ran.stderr))
        })?;
        outputs.push(text(&ran.stdout));
    }
    check(
        outputs.windows(2).all(|two| two.first() == two.last()),
        || format!("{outputs:#?}"),
    )?;
    let all: Value = serde_json::from_str(outputs.first().map_or("", String::as_str))?;
    let counts = &all["counts"];
    check(
        counts["traces"] == 8 && counts["verdict_changed"] == 3 && counts["damaged"] == 1,
        || counts.to_string(),
    )?;
    check(counts["unreadable"] == 1 && counts["same"] == 4, || {
        counts.to_string()
    })?;
    let rows = all["traces"].as_array().cloned().unwrap_or_default();
    let names: Vec<_> = rows
        .iter()
        .filter_map(|row| row["trace"].as_str())
        .collect();
    check(names.is_sorted() && names.len() == 8, || {
        format!("{names:?}")
    })?;
    let thief = &rows[4]["change"];
    check(rows[0]["score"]["verdict"] == "SAFE", || {
        rows[0].to_string()
    })?;
    check(
        thief["from"] == "MALICIOUS" && thief["to"] == "WARNING",
        || thief.to_string(),
    )?;
    check(
        thief["changed"]
            .as_array()
            .is_some_and(|all| all.len() == 8),
        || thief.to_string(),
    )
}

/// A rule more, held against the built-in rules and against itself.
fn new_rules() -> Result {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("T-NODE-001.yaml");
    write(
        &file,
        "id: T-NODE-001\ntitle: node runs\nwhy: a test\nseverity: medium\nattack: [T1059]\nsince: 0.1.0\n\
         condition: evt.type = execve and proc.name = node\nmessage: node ran\nadvice: none\n",
    )?;
    let (benign, rule) = (
        repo("fixtures/traces/npm-benign.bjt"),
        file.to_string_lossy(),
    );
    let ran = rescore(&[&benign], &["--rules", &rule])?;
    let said = text(&ran.stdout);
    check(
        code(&ran) == 1 && said.contains("npm-benign.bjt: SAFE → WARNING"),
        || said.clone(),
    )?;
    check(said.contains("+ medium   T-NODE-001  node ran"), || {
        said.clone()
    })?;
    check(said.contains("receipt: rules "), || said.clone())?;
    let ran = rescore(&[&benign], &["--rules", &rule, "--against", &rule])?;
    check(code(&ran) == 0, || text(&ran.stdout))?;
    let ran = rescore(&[&benign], &[])?;
    check(
        code(&ran) == 2 && text(&ran.stderr).contains("no new rules"),
        || text(&ran.stderr),
    )
}

/// Scores are put down, moved, and held against what comes later.
fn saved() -> Result {
    let dir = tempfile::tempdir()?;
    let traces = dir.path().join("traces");
    std::fs::create_dir(&traces)?;
    corpus(&traces)?;
    let decided = dir.path().join("decided.yaml");
    write(&decided, DECIDED)?;
    let decided = decided.to_string_lossy();
    for format in ["json", "jsonl"] {
        let ran = rescore(&[&traces], &["--format", format])?;
        check(code(&ran) == 5, || text(&ran.stderr))?;
        let file = dir.path().join(format!("scores.{format}"));
        std::fs::write(&file, &ran.stdout)?;
        let against = file.to_string_lossy();
        // Nothing is another, wherever the traces lie; the cut one has no score.
        let elsewhere = dir.path().join("elsewhere");
        std::fs::rename(&traces, &elsewhere)?;
        let ran = rescore(&[&elsewhere], &["--against", &against])?;
        let said = text(&ran.stdout);
        check(
            code(&ran) == 5
                && said.contains("0 with another verdict")
                && said.contains("6 the same"),
            || said.clone(),
        )?;
        check(said.contains("1 trace without a saved score"), || {
            said.clone()
        })?;
        // By other decisions the change is that of two sets of rules.
        let options = ["--suppress", &decided, "--format", "json"];
        let both: Value = json(&rescore(&[&elsewhere], &options)?)?;
        let options = [
            "--suppress",
            &decided,
            "--format",
            "json",
            "--against",
            &against,
        ];
        let later: Value = json(&rescore(&[&elsewhere], &options)?)?;
        for at in [0, 1, 2, 4, 5, 6] {
            let (both, later) = (&both["traces"][at], &later["traces"][at]);
            check(both == later && !both["change"].is_null(), || {
                format!("{both:#} {later:#}")
            })?;
        }
        check(later["counts"]["verdict_changed"] == 3, || {
            later["counts"].to_string()
        })?;
        std::fs::rename(&elsewhere, &traces)?;
        let more = ["--against", &against, "--against", &decided];
        let ran = rescore(&[&traces], &more)?;
        check(
            code(&ran) == 2 && text(&ran.stderr).contains("one saved result, not both"),
            || text(&ran.stderr),
        )?;
    }
    let newer = dir.path().join("newer.json");
    write(&newer, "{\n\"format\": 99,\n\"all\": \"new\"}\n")?;
    let ran = rescore(&[&traces], &["--against", &newer.to_string_lossy()])?;
    check(
        code(&ran) == 2 && text(&ran.stderr).contains("made by a newer belljar"),
        || text(&ran.stderr),
    )
}

fn stopped() -> Result {
    let dir = tempfile::tempdir()?;
    let thief = repo("fixtures/traces/npm-credential-thief.bjt");
    for n in 0..2000 {
        std::fs::hard_link(&thief, dir.path().join(format!("{n:04}.bjt")))
            .or_else(|_| std::fs::copy(&thief, dir.path().join(format!("{n:04}.bjt"))).map(drop))?;
    }
    let decided = dir.path().join("decided.yaml");
    write(&decided, DECIDED)?;
    let mut command = belljar(["rescore", "--format", "json"]);
    let to = dir.path().join("out.json");
    let child = command
        .arg(dir.path())
        .arg("--suppress")
        .arg(&decided)
        .stdout(std::fs::File::create(&to)?)
        .stderr(std::process::Stdio::piped())
        .spawn()?;
    let said = || std::fs::read_to_string(&to).unwrap_or_default();
    wait_until("the first trace", LONG, || said().contains("0000.bjt"))?;
    signal(child.id(), "INT");
    let ran = finish(child)?;
    check(code(&ran) == 130, || format!("exit {}", code(&ran)))?;
    let all: Value = serde_json::from_str(&said())?;
    let judged = all["counts"]["judged"].as_u64().unwrap_or_default();
    check(
        all["interrupted"] == true && (1..2000).contains(&judged),
        || all["counts"].to_string(),
    )?;
    // What was done is told, in order and without a gap.
    let rows = all["traces"].as_array().map_or(0, Vec::len);
    check(rows as u64 == judged, || format!("{rows} rows of {judged}"))
}

fn exported() -> Result {
    let dir = tempfile::tempdir()?;
    let decided = dir.path().join("decided.yaml");
    write(&decided, DECIDED)?;
    let thief = repo("fixtures/traces/npm-credential-thief.bjt");
    let picture = |name: &str, more: &[&str]| -> Result<String> {
        let to = dir.path().join(name);
        let mut command = belljar(["--no-color", "export", "--keys", "End"]);
        let made = output(command.arg(&thief).arg("-o").arg(&to).args(more))?;
        check(code(&made) == 0, || text(&made.stderr))?;
        Ok(std::fs::read_to_string(to)?)
    };
    let plain = picture("a.svg", &[])?;
    check(plain.contains("MALICIOUS"), || "not MALICIOUS".into())?;
    let other = picture("b.svg", &["--suppress", &decided.to_string_lossy()])?;
    check(
        other.contains("WARNING") && !other.contains("MALICIOUS"),
        || "the suppressions made no difference".into(),
    )
}

fn diff(a: &Path, b: &Path) -> Result<(i32, Value)> {
    let mut command = belljar(["diff", "--format", "json"]);
    let ran = output(command.arg(a).arg(b))?;
    Ok((code(&ran), json(&ran)?))
}

/// What stands in a list of a section, in one string.
fn listed(difference: &Value, kind: &str, list: &str) -> String {
    let sections = difference["sections"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let section = sections.iter().find(|one| one["kind"] == kind);
    section.map_or_else(String::new, |one| one[list].to_string())
}

fn versions() -> Result {
    let dir = tempfile::tempdir()?;
    let traced = |version: &str, name: &str| -> Result<std::path::PathBuf> {
        let trace = dir.path().join(name);
        let project = repo("fixtures/packages/versions").join(version);
        let ran = output(&mut run(&project, &trace, &["--no-registries"]))?;
        check(json(&ran)?["phases"][0]["status"] == "exit 0", || {
            text(&ran.stdout)
        })?;
        Ok(trace)
    };
    let (old, again) = (traced("1.2.2", "old.bjt")?, traced("1.2.2", "again.bjt")?);
    let (exit, same) = diff(&old, &again)?;
    check(exit == 0 && same["same"] == true, || format!("{same:#}"))?;
    let new = traced("1.2.3", "new.bjt")?;
    let (exit, difference) = diff(&old, &new)?;
    check(exit == 1 && difference["same"] == false, || {
        format!("{difference:#}")
    })?;
    for (kind, list, what) in [
        ("processes", "new", "uname -sr"),
        ("files", "new", "~/.config/padded-tool/settings.json"),
        ("names", "new", "telemetry.example"),
        ("findings", "new", "telemetry.example"),
    ] {
        let rows = listed(&difference, kind, list);
        check(rows.contains(what), || {
            format!("{kind} {list}: no {what} in {rows}")
        })?;
    }
    // What both versions do stands in neither list.
    let files = listed(&difference, "files", "new") + &listed(&difference, "files", "gone");
    check(
        !files.contains("built.json") && !files.contains("node-compile-cache"),
        || files.clone(),
    )?;
    let gone = listed(&difference, "processes", "gone");
    check(gone == "[]", || gone.clone())
}
