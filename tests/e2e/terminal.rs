//! What a terminal does to the screen: it is resized, taken away, pasted into, and
//! the machine behind it dies.

use std::path::Path;
use std::time::Duration;

use libtest_mimic::Trial;
use portable_pty::CommandBuilder;

use crate::screen::{SOON, Terminal};
use crate::support::*;

pub fn tests() -> Vec<Trial> {
    vec![
        test("terminal::resized_to_almost_nothing_and_back", &[], resized),
        test("terminal::suspended_and_resumed", &[], suspended),
        test("terminal::stopped_and_continued_by_others", &[], stopped),
        test("terminal::what_is_pasted_is_no_key", &[], pasted),
        test(
            "terminal::a_key_while_the_window_changes",
            &[],
            key_and_resize,
        ),
        test("terminal::two_traces_side_by_side", &[], diff),
        test("terminal::what_is_damaged_is_not_alike", &[], damaged),
        test("terminal::another_policy_beside_a_recording", &[], policy),
        test(
            "terminal::the_hypervisor_dies_under_the_screen",
            &[Need::Guest],
            hypervisor_dies,
        ),
        test(
            "terminal::a_live_screen_is_told_to_end",
            &[Need::Guest],
            told_to_end,
        ),
    ]
}

const THIEF: &str = "fixtures/traces/npm-credential-thief.bjt";

/// Standing at the end of a trace.
fn replay() -> Result<Terminal> {
    let mut terminal = Terminal::start(&["replay"], &repo(THIEF))?;
    terminal.shows("verified", SOON)?;
    terminal.press("\x1b[F")?; // End
    terminal.shows("MALICIOUS", SOON)?;
    Ok(terminal)
}

fn leave(terminal: &mut Terminal, want: u32) -> Result {
    terminal.press("q")?;
    let (code, restored) = terminal.end(SOON)?;
    check(code == want && restored, || {
        format!("exit {code}, restored {restored}\n{}", terminal.contents())
    })
}

fn resized() -> Result {
    let mut terminal = replay()?;
    terminal.resize(5, 20)?;
    terminal.shows("MALICIOUS · enlar", SOON)?;
    let lines = terminal.contents().trim_end().lines().count();
    check(lines == 1, || {
        format!("{lines} lines:\n{}", terminal.contents())
    })?;
    for (rows, columns) in [(6, 24), (24, 80), (2, 200), (60, 200), (5, 20), (40, 120)] {
        terminal.resize(rows, columns)?;
        std::thread::sleep(Duration::from_millis(150));
    }
    // All of it is drawn again, to the last line.
    for part in ["processes", "files", "network", "findings", "q quit"] {
        terminal.shows(part, SOON)?;
    }
    leave(&mut terminal, 0)
}

/// A key that comes together with a new size must not wait for the next key, nor the
/// size for the next size. Several sizes at once: the later ones come while the first
/// is drawn, and the key right behind them.
fn key_and_resize() -> Result {
    const HELP: &str = "Every key, by where it holds";
    let mut terminal = replay()?;
    for round in 0..8 {
        for rows in [50, 45, 40, 35 + round] {
            terminal.resize(rows, 120)?;
            std::thread::sleep(Duration::from_millis(10));
        }
        terminal.press("?")?;
        let what = format!("help in round {round}");
        wait_until(&what, Duration::from_secs(20), || {
            terminal.contents().contains(HELP)
        })
        .map_err(|e| {
            format!(
                "{}\n{}",
                e.message().unwrap_or_default(),
                terminal.contents()
            )
        })?;
        terminal.press("\x1b")?;
        wait_until("the end of the help", SOON, || {
            !terminal.contents().contains(HELP)
        })?;
    }
    leave(&mut terminal, 0)
}

/// A shell with job control, whose prompt is known.
fn shell() -> Result<Terminal> {
    let mut bash = CommandBuilder::new("bash");
    bash.args(["--norc", "--noprofile", "-i"]);
    bash.env("PS1", "SHELL> ");
    bash.env("HISTFILE", "/dev/null");
    let terminal = Terminal::of(bash)?;
    terminal.shows("SHELL>", SOON)?;
    Ok(terminal)
}

fn suspended() -> Result {
    let mut terminal = shell()?;
    let command = format!("'{BELLJAR}' replay '{}'\n", repo(THIEF).display());
    terminal.press(&command)?;
    terminal.shows("verified", SOON)?;
    check(terminal.is_taken(), || {
        "the screen did not take the terminal".into()
    })?;
    terminal.press("\x1a")?;
    terminal.shows("Stopped", SOON)?;
    // The shell asks for pasted text in brackets itself, once it has its prompt.
    terminal.press("bind 'set enable-bracketed-paste off'; stty -a | tr -s ' ;' '\\n' | grep -x -- '-*icanon'\n")?;
    terminal.shows("\nicanon", SOON)?;
    wait_until("the shell's terminal", SOON, || !terminal.is_taken())?;
    // It comes back to a window of another size, and draws all of it.
    terminal.resize(30, 100)?;
    terminal.press("fg\n")?;
    terminal.shows("q quit", SOON)?;
    check(terminal.is_taken(), || {
        "the terminal was not taken again".into()
    })?;
    terminal.press("?")?;
    terminal.shows("Every key, by where it holds", SOON)?;
    terminal.press("q")?;
    std::thread::sleep(Duration::from_millis(500));
    terminal.press("q")?;
    wait_until("the shell", SOON, || {
        terminal.contents().trim_end().ends_with("SHELL>")
    })?;
    terminal.press("echo BACK$((40+2)); exit\n")?;
    terminal.shows("BACK42", SOON)?;
    let (code, restored) = terminal.end(SOON)?;
    check(code == 0 && restored, || {
        format!("exit {code}, restored {restored}")
    })
}

/// Nobody waits for it: ^Z stops nothing. And after a stop that it could not see
/// coming it takes the terminal again.
fn stopped() -> Result {
    let mut terminal = replay()?;
    terminal.press("\x1a")?;
    terminal.press("?")?;
    terminal.shows("Every key, by where it holds", SOON)?;
    let pid = terminal.pid();
    signal(pid, "STOP");
    std::thread::sleep(Duration::from_millis(300));
    terminal.resize(30, 100)?;
    signal(pid, "CONT");
    // A key that comes while the terminal is taken may be lost.
    wait_until("the help's end", SOON, || {
        let pressed = terminal.press("\x1b");
        std::thread::sleep(Duration::from_millis(700));
        pressed.is_err() || terminal.contents().contains("q quit")
    })?;
    // The last Escape may still be unread, and with a key behind it be another.
    std::thread::sleep(Duration::from_secs(2));
    leave(&mut terminal, 0)
}

fn pasted() -> Result {
    let mut terminal = replay()?;
    // Quit, help, a filter, leave: all of it text that nobody types.
    terminal.press("\x1b[200~q?/\r\x03\x1aq\x1b[201~")?;
    terminal.shows("what was pasted is left out", SOON)?;
    check(!terminal.contents().contains("Every key"), || {
        terminal.contents()
    })?;
    terminal.press("/")?;
    terminal.shows("filter:", SOON)?;
    terminal.press("\x1b[200~evt.type = openat\rq\x1b[201~")?;
    // The line's end became a space and applied nothing.
    terminal.shows("filter: evt.type = openat q", SOON)?;
    terminal.press("\x7f\r")?;
    terminal.shows("· filter: evt.type = openat", SOON)?;
    leave(&mut terminal, 0)
}

fn diff() -> Result {
    let other = repo("fixtures/traces/npm-benign.bjt");
    let other = other.to_string_lossy().into_owned();
    let mut terminal = Terminal::start(&["diff", "--screen", &other], &repo(THIEF))?;
    terminal.shows("they differ", SOON)?;
    terminal.shows("L4-HONEY-001", SOON)?;
    terminal.press("/id_rsa\r")?;
    terminal.shows("~/.ssh/id_rsa", SOON)?;
    terminal.press("gn\r")?;
    terminal.shows("Events in B: ", SOON)?;
    terminal.shows("belljar replay ", SOON)?;
    terminal.press("\x1b")?;
    wait_until("the row's end", SOON, || {
        !terminal.contents().contains("Events in B: ")
    })?;
    for (rows, columns) in [(5, 20), (16, 50), (24, 80), (60, 200)] {
        terminal.resize(rows, columns)?;
        terminal.shows("they differ", SOON)?;
    }
    leave(&mut terminal, 1)
}

/// A comparison that did not come about must not end as if nothing differed.
fn damaged() -> Result {
    let dir = tempfile::tempdir()?;
    let mut bytes = std::fs::read(repo(THIEF))?;
    let middle = bytes.len() / 2;
    *bytes.get_mut(middle).ok_or("an empty trace")? ^= 0xff;
    let hurt = dir.path().join("hurt.bjt");
    std::fs::write(&hurt, bytes)?;
    let hurt = hurt.to_string_lossy().into_owned();
    let mut terminal = Terminal::start(&["diff", "--screen", &hurt], &repo(THIEF))?;
    terminal.shows("they differ", SOON)?;
    leave(&mut terminal, 5)
}

fn policy() -> Result {
    let words = ["replay", "--policy", "strict", "--screen"];
    let mut terminal = Terminal::start(&words, &repo(THIEF))?;
    // It stands for a few seconds only; `verified` stays.
    terminal.shows("policy strict: would deny 6", SOON)?;
    terminal.shows("verified", SOON)?;
    terminal.press("0)")?;
    terminal.shows("1 of 7 would deny: node: read", SOON)?;
    terminal.press("P")?;
    terminal.shows("would deny, by strict:decoys", SOON)?;
    terminal.press("\x1b")?;
    wait_until("the list's end", SOON, || {
        !terminal.contents().contains("strict:decoys")
    })?;
    // The event itself says so, too.
    terminal.press("e\r")?;
    terminal.shows("Under another policy", SOON)?;
    terminal.press("\x1b")?;
    // Escape and a key at once would be another key.
    wait_until("the event's end", SOON, || {
        !terminal.contents().contains("Under another policy")
    })?;
    leave(&mut terminal, 0)
}

/// A run of something that ticks for ever, with its output in sight.
fn ticking(dir: &Path, trace: &Path) -> Result<Terminal> {
    let project = dir.join("p");
    std::fs::create_dir(&project)?;
    std::fs::write(
        project.join("ticks.py"),
        "import time\nwhile True:\n    print('TICK', flush=True)\n    time.sleep(0.5)\n",
    )?;
    let kept = trace.to_string_lossy().into_owned();
    let words = ["run", "-o", &kept, "--phase", "run=python3 ticks.py"];
    let mut terminal = Terminal::start(&words, &project)?;
    terminal.shows("ticks.py", LONG)?;
    terminal.press("o")?;
    terminal.shows("TICK", LONG)?;
    Ok(terminal)
}

/// The trace is brought to its end first, and the terminal given back.
fn told_to_end() -> Result {
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("t.bjt");
    let mut terminal = ticking(dir.path(), &trace)?;
    let machine = hypervisor(terminal.pid()).ok_or("no hypervisor was started")?;
    signal(terminal.pid(), "TERM");
    let (code, restored) = terminal.end(SOON)?;
    check(code != 0 && restored, || {
        format!("exit {code}, restored {restored}\n{}", terminal.contents())
    })?;
    gone(&[machine])?;
    let verified = output(belljar(["verify"]).arg(&trace))?;
    check(crate::support::code(&verified) == 0, || {
        text(&verified.stderr)
    })?;
    let ended = events(&trace)?.pop().ok_or("an empty trace")?;
    check(ended.to_string().contains("interrupted"), || {
        ended.to_string()
    })
}

fn hypervisor_dies() -> Result {
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("t.bjt");
    let mut terminal = ticking(dir.path(), &trace)?;
    let machine = hypervisor(terminal.pid()).ok_or("no hypervisor was started")?;
    signal(machine, "KILL");
    // It is said on the screen, which stays: what was recorded can be looked at.
    terminal.shows("guest lost", SOON)?;
    terminal.shows("TICK", SOON)?;
    terminal.press("v")?;
    terminal.shows("In numbers", SOON)?;
    terminal.press("\x1b")?;
    wait_until("the verdict's end", SOON, || {
        !terminal.contents().contains("In numbers")
    })?;
    leave(&mut terminal, 3)?;
    gone(&[machine])?;
    let events = crate::support::events(&trace)?;
    let last = events.last().map(ToString::to_string).unwrap_or_default();
    check(last.contains("ended"), || {
        format!("the trace ends with {last}")
    })
}
