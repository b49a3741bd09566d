//! What `belljar export` writes, read by programs that are not belljar's.

use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;

use crate::support::*;

pub fn tests() -> Vec<Trial> {
    vec![
        test("exports::every_format_is_what_it_says", &[], formats),
        test("exports::the_demo_tells_without_a_terminal", &[], demo),
        test(
            "exports::a_cast_is_taken_by_asciinema",
            &[Need::Asciinema],
            converted,
        ),
        test(
            "exports::a_page_plays_in_a_browser",
            &[Need::Browser],
            played,
        ),
    ]
}

fn exported(dir: &Path, name: &str, rest: &[&str]) -> Result<PathBuf> {
    let path = dir.join(name);
    let trace = repo("fixtures/traces/npm-credential-thief.bjt");
    let mut command = belljar(["--theme", "dark", "export"]);
    command.arg(trace).arg("-o").arg(&path);
    command.args(["--size", "100x30", "--speed", "16", "--rate", "5"]);
    let told = output(command.args(rest))?;
    check(code(&told) == 0, || text(&told.stderr))?;
    Ok(path)
}

fn formats() -> Result {
    let dir = tempfile::tempdir()?;
    let begins = [
        ("run.gif", &[][..], "GIF89a"),
        ("run.svg", &[], "<svg"),
        ("moving.svg", &["--animate"], "<svg"),
        ("run.cast", &[], "{"),
        ("run.html", &[], "<!doctype html>"),
    ];
    for (name, rest, begin) in begins {
        let bytes = std::fs::read(exported(dir.path(), name, rest)?)?;
        check(bytes.starts_with(begin.as_bytes()), || {
            format!("{name} begins otherwise")
        })?;
    }
    let cast = std::fs::read_to_string(dir.path().join("run.cast"))?;
    for chapter in ["phase install", "L4-HONEY-001"] {
        check(cast.contains(&format!("\"m\",\"{chapter}")), || {
            format!("no marker {chapter}")
        })?;
    }
    // Nothing is written over, and a name that says nothing is refused.
    let trace = repo("fixtures/traces/npm-credential-thief.bjt");
    for name in ["run.gif", "run.webm"] {
        let mut again = belljar(["export"]);
        again.arg(&trace).arg("-o").arg(dir.path().join(name));
        check(code(&output(&mut again)?) != 0, || name.to_owned())?;
    }
    Ok(())
}

fn demo() -> Result {
    let told = output(&mut belljar(["demo"]))?;
    check(
        code(&told) == 0 && text(&told.stdout).contains("MALICIOUS"),
        || text(&told.stdout),
    )?;
    let list = text(&output(&mut belljar(["demo", "--list"]))?.stdout);
    check(list.contains("thief") && list.contains("benign"), || list)?;
    let unknown = output(&mut belljar(["demo", "nothing"]))?;
    check(text(&unknown.stderr).contains("thief"), || {
        text(&unknown.stderr)
    })
}

fn converted() -> Result {
    let dir = tempfile::tempdir()?;
    let cast = exported(dir.path(), "run.cast", &[])?;
    let tool = asciinema().ok_or("asciinema is missing")?;
    for (format, name) in [
        ("asciicast-v2", "two.cast"),
        ("asciicast-v3", "three.cast"),
        ("raw", "run.raw"),
        ("txt", "run.txt"),
    ] {
        let into = dir.path().join(name);
        let mut command = Command::new(&tool);
        command.args(["convert", "--output-format", format]);
        let told = output(command.arg(&cast).arg(&into))?;
        check(told.status.success(), || text(&told.stderr))?;
        let made = std::fs::read_to_string(&into)?;
        check(made.contains("MALICIOUS"), || format!("{format}: {made}"))?;
    }
    let two = std::fs::read_to_string(dir.path().join("two.cast"))?;
    let head: serde_json::Value = serde_json::from_str(two.lines().next().unwrap_or_default())?;
    check(head["version"] == 2 && head["width"] == 100, || {
        head.to_string()
    })?;
    check(two.contains("\"m\""), || "the chapters are gone".to_owned())
}

/// What the page shows: the text of its screen.
fn screen(page: &Path, moment: &str) -> Result<String> {
    let home = tempfile::tempdir()?;
    let mut command = Command::new(browser().ok_or("no browser")?);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--virtual-time-budget=60000",
        "--dump-dom",
    ]);
    command.arg(format!("--user-data-dir={}", home.path().display()));
    command.arg(format!("file://{}{moment}", page.display()));
    let told = output(&mut command)?;
    let dom = text(&told.stdout);
    let shown = dom.split_once("<pre id=\"screen\"").and_then(|(_, rest)| {
        let (shown, _) = rest.split_once("</pre>")?;
        Some(shown.to_owned())
    });
    shown.ok_or_else(|| format!("no screen in the page: {dom} {}", text(&told.stderr)).into())
}

fn played() -> Result {
    let dir = tempfile::tempdir()?;
    let page = exported(dir.path(), "run.html", &[])?;
    let first = screen(&page, "")?;
    check(
        first.contains("belljar") && !first.contains("MALICIOUS"),
        || first.clone(),
    )?;
    let last = screen(&page, "#9999")?;
    check(last.contains("MALICIOUS"), || last.clone())?;
    // Left to itself it comes to the same end.
    let end = screen(&page, "#play")?;
    check(end == last, || format!("{end}\n\n{last}"))
}
