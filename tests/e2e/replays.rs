//! A trace on the screen while something changes: its rules, or itself.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::screen::{SOON, Terminal};
use crate::support::*;

pub fn tests() -> Vec<Trial> {
    vec![
        test("replays::rules_are_judged_by_as_they_change", &[], rules),
        test("replays::a_trace_that_grows_is_followed", &[], follow),
        test("replays::mouse_palette_and_bookmarks", &[], depth),
    ]
}

/// A rule that every connection breaks.
fn rule(severity: &str, field: &str) -> String {
    format!(
        "id: X1-NET-001\ntitle: Any connection\nwhy: A test.\nseverity: {severity}\nattack: []\n\
         since: 0.1.0\ncondition: {field} = connect\nmessage: It connects.\nadvice: Look.\n"
    )
}

fn leave(terminal: &mut Terminal) -> Result {
    terminal.press("q")?;
    let (code, restored) = terminal.end(SOON)?;
    check(code == 0 && restored, || {
        format!("exit {code}, restored {restored}")
    })
}

/// As editors write: over the file, or beside it and then renamed.
fn renamed(path: &Path, text: &str) -> Result {
    let beside = path.with_extension("tmp");
    std::fs::write(&beside, text)?;
    Ok(std::fs::rename(&beside, path)?)
}

fn rules() -> Result {
    let dir = tempfile::tempdir()?;
    let folder = dir.path().join("rules");
    std::fs::create_dir(&folder)?;
    let mine = folder.join("mine.yaml");
    std::fs::write(&mine, rule("low", "evt.type"))?;
    let trace = repo("fixtures/traces/npm-credential-thief.bjt");
    let named = folder.to_string_lossy().into_owned();
    let options = ["replay", "--rules", &named, "--no-builtin-rules"];
    let mut terminal = Terminal::start(&options, &trace)?;
    terminal.shows("1 in force", SOON)?;
    terminal.shows("verified", SOON)?;
    terminal.press("\x1b[F")?; // End
    terminal.shows("✓ SAFE", SOON)?;
    // In place.
    std::fs::write(&mine, rule("critical", "evt.type"))?;
    terminal.shows("✗ MALICIOUS", SOON)?;
    terminal.shows("reloaded", SOON)?;
    // Broken: the verdict stays, and the place is named.
    renamed(&mine, &rule("low", "evt.tpye"))?;
    terminal.shows("mine.yaml:7:12", SOON)?;
    terminal.shows("1 in force", SOON)?;
    terminal.shows("✗ MALICIOUS", SOON)?;
    // Renamed over it.
    renamed(&mine, &rule("low", "evt.type"))?;
    terminal.shows("✓ SAFE", SOON)?;
    // One more in the folder.
    let other = rule("high", "evt.type").replace("X1-NET-001", "X1-NET-002");
    renamed(&folder.join("other.yaml"), &other)?;
    terminal.shows("2 in force", SOON)?;
    terminal.shows("WARNING", SOON)?;
    leave(&mut terminal)
}

fn follow() -> Result {
    let whole = std::fs::read(repo("fixtures/traces/npm-credential-thief.bjt"))?;
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("t.bjt");
    let mut file = File::create(&trace)?;
    let (first, rest) = whole.split_at(whole.len() / 2);
    file.write_all(first)?;
    let mut terminal = Terminal::start(&["replay", "--follow"], &trace)?;
    terminal.shows("tailing", SOON)?;
    std::thread::sleep(Duration::from_millis(500));
    check(!terminal.contents().contains("verified"), || {
        terminal.contents()
    })?;
    file.write_all(rest)?;
    terminal.shows("verified", SOON)?;
    terminal.shows("✗ MALICIOUS", SOON)?;
    leave(&mut terminal)
}

/// A press and a release of the left button, at a cell from 1.
fn click(terminal: &mut Terminal, column: u16, row: u16) -> Result {
    terminal.press(&format!("\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m"))
}

fn depth() -> Result {
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("t.bjt");
    let source = repo("fixtures/traces/npm-credential-thief.bjt");
    std::fs::copy(source, &trace)?;
    let mut terminal = Terminal::start(&["replay"], &trace)?;
    terminal.shows("verified", SOON)?;
    terminal.press("\x1b[F")?; // End
    terminal.shows("MALICIOUS", SOON)?;
    // The first row of the files, twice: chosen, then opened.
    click(&mut terminal, 50, 4)?;
    click(&mut terminal, 50, 4)?;
    terminal.shows("Esc close", SOON)?;
    terminal.shows(".aws/credentials", SOON)?;
    click(&mut terminal, 1, 1)?;
    wait_until("the detail's end", SOON, || {
        !terminal.contents().contains("Esc close")
    })?;
    // The wheel, over the processes: the keys stay with the files.
    terminal.press("\x1b[<65;5;6M")?;
    // By a few letters to a command.
    terminal.press(":prevfind")?;
    terminal.shows("Previous finding", SOON)?;
    terminal.press("\r")?;
    terminal.shows("finding ", SOON)?;
    terminal.press("Bhere it reads\r")?;
    terminal.shows("bookmark at #", SOON)?;
    let beside = dir.path().join("t.bjt.marks.json");
    wait_until("the bookmarks' file", SOON, || beside.exists())?;
    leave(&mut terminal)?;
    // Nothing of the trace is changed, and the note is there the next time.
    let same =
        std::fs::read(&trace)? == std::fs::read(repo("fixtures/traces/npm-credential-thief.bjt"))?;
    check(same, || "the trace was changed".into())?;
    let mut terminal = Terminal::start(&["replay"], &trace)?;
    terminal.shows("verified", SOON)?;
    terminal.press(" ")?;
    terminal.press("0}")?;
    terminal.shows("here it reads", SOON)?;
    leave(&mut terminal)
}
