//! The screen on a pseudo-terminal, seen through a terminal emulator.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use libtest_mimic::Trial;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::support::*;

pub fn tests() -> Vec<Trial> {
    vec![
        test("screen::replay_seek_resize_quit", &[], replay),
        test(
            "screen::replay_restores_the_terminal_on_sigterm",
            &[],
            sigterm,
        ),
        test("screen::ends_with_its_terminal", &[], hangup),
        test("screen::live_run_shows_the_verdict", &[Need::Guest], live),
        test("screen::questions_are_answered", &[Need::Guest], questions),
        test(
            "screen::a_saved_answer_holds_in_the_next_run",
            &[Need::Guest],
            saved,
        ),
        test(
            "screen::the_guest_is_frozen_and_a_process_ended",
            &[Need::Guest],
            watched,
        ),
    ]
}

fn size(cells: u16) -> NonZeroU16 {
    NonZeroU16::new(cells).unwrap_or(NonZeroU16::MIN)
}

/// A program on a terminal.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    parser: Arc<Mutex<vt100::Parser>>,
    reader: JoinHandle<()>,
    /// Nothing more is to be read.
    leave: Arc<AtomicBool>,
}

impl Terminal {
    pub fn start(args: &[&str], path: &Path) -> Result<Self> {
        let mut command = CommandBuilder::new(BELLJAR);
        command.args(args);
        command.arg(path);
        // Where answers are saved.
        let config = path.parent().unwrap_or(path).join("config");
        command.env("XDG_CONFIG_HOME", config);
        Self::of(command)
    }

    pub fn of(mut command: CommandBuilder) -> Result<Self> {
        let window = PtySize {
            rows: 40,
            cols: 120,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pty = native_pty_system().openpty(window)?;
        command.env("TERM", "xterm-256color");
        command.env("BELLJAR_ALLOW_DEGRADED", "1");
        let child = pty.slave.spawn_command(command)?;
        drop(pty.slave);
        let parser = Arc::new(Mutex::new(vt100::Parser::new(size(40), size(120), 0)));
        let mut reader = pty.master.try_clone_reader()?;
        let feed = Arc::clone(&parser);
        let leave = Arc::new(AtomicBool::new(false));
        let left = Arc::clone(&leave);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if left.load(Ordering::SeqCst) {
                    break;
                }
                if let (Ok(mut parser), Some(bytes)) = (feed.lock(), buffer.get(..count)) {
                    parser.process(bytes);
                }
            }
        });
        let keys = pty.master.take_writer()?;
        Ok(Self {
            child,
            master: pty.master,
            keys,
            parser,
            reader,
            leave,
        })
    }

    pub fn contents(&self) -> String {
        self.parser
            .lock()
            .map(|parser| parser.screen().contents())
            .unwrap_or_default()
    }

    pub fn shows(&self, text: &str, limit: Duration) -> Result {
        wait_until(&format!("{text:?} on the screen"), limit, || {
            self.contents().contains(text)
        })
        .map_err(|e| format!("{}\n{}", e.message().unwrap_or_default(), self.contents()).into())
    }

    pub fn press(&mut self, keys: &str) -> Result {
        self.keys.write_all(keys.as_bytes())?;
        self.keys.flush()?;
        Ok(())
    }

    /// Waits for a question about this, and answers it once keys count.
    fn answer(&mut self, about: &str, keys: &str) -> Result {
        self.shows("? question", LONG)?;
        self.shows(about, SOON)?;
        for key in keys.chars() {
            std::thread::sleep(Duration::from_secs(2));
            self.press(&key.to_string())?;
        }
        Ok(())
    }

    pub fn resize(&self, rows: u16, cols: u16) -> Result {
        // The emulator first, and nothing is read between the two: a picture of the
        // new size must not be cut to the old one.
        let mut parser = self.parser.lock().map_err(|_| "the reader panicked")?;
        parser.screen_mut().set_size(size(rows), size(cols));
        self.master.resize(PtySize {
            rows,
            cols,
            pixel_width: 0,
            pixel_height: 0,
        })?;
        Ok(())
    }

    pub fn pid(&self) -> u32 {
        self.child.process_id().unwrap_or_default()
    }

    /// True if anything of the terminal is as the screen wants it.
    pub fn is_taken(&self) -> bool {
        self.parser.lock().is_ok_and(|parser| {
            let screen = parser.screen();
            let mouse = screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None;
            let paste = screen.bracketed_paste();
            screen.alternate_screen() || screen.hide_cursor() || mouse || paste
        })
    }

    /// True if lines are read and echoed, as a shell leaves a terminal.
    fn is_cooked(&self) -> bool {
        self.master.get_termios().is_none_or(|modes| {
            let flags = format!("{:?}", modes.local_flags);
            flags.contains("ICANON") && flags.contains("ECHO")
        })
    }

    /// Waits for the end; true if the terminal is as it was.
    pub fn end(&mut self, limit: Duration) -> Result<(u32, bool)> {
        let mut status = None;
        wait_until("the program's end", limit, || {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        })
        .map_err(|e| format!("{}\n{}", e.message().unwrap_or_default(), self.contents()))?;
        // Its last words are still on their way through the terminal.
        let restored = wait_until("the terminal as it was", Duration::from_secs(10), || {
            !self.is_taken() && self.is_cooked()
        });
        Ok((
            status.map_or(0, |status| status.exit_code()),
            restored.is_ok(),
        ))
    }
}

/// The run is over and its trace whole. Not `finished`: the tree counts the processes
/// that have, and `q` asks first while the run goes on.
pub const RECORDED: &str = "✓ recorded";

pub const SOON: Duration = Duration::from_secs(90);

fn replay() -> Result {
    let trace = repo("fixtures/traces/npm-credential-thief.bjt");
    let mut terminal = Terminal::start(&["replay"], &trace)?;
    terminal.shows("processes", SOON)?;
    terminal.press("\x1b[F")?; // End
    terminal.shows("MALICIOUS", SOON)?;
    terminal.shows("198.51.100.7:443", SOON)?;
    terminal.press("0")?;
    wait_until("the start", SOON, || {
        !terminal.contents().contains("MALICIOUS")
    })?;
    terminal.press("]")?;
    terminal.shows("L4-HONEY-001", SOON)?;
    for (rows, cols) in [(24, 80), (5, 20), (3, 10), (60, 200), (40, 120)] {
        terminal.resize(rows, cols)?;
        std::thread::sleep(Duration::from_millis(250));
    }
    terminal.press("?")?;
    const HELP: &str = "Every key, by where it holds";
    terminal.shows(HELP, SOON)?;
    terminal.press("\x1b")?;
    // Escape and a key at once would be another key.
    wait_until("the end of the help", SOON, || {
        !terminal.contents().contains(HELP)
    })?;
    terminal.press("q")?;
    let (code, restored) = terminal.end(SOON)?;
    check(code == 0 && restored, || {
        format!("exit {code}, restored {restored}")
    })
}

fn sigterm() -> Result {
    let trace = repo("fixtures/traces/npm-credential-thief.bjt");
    let mut terminal = Terminal::start(&["replay"], &trace)?;
    terminal.shows("processes", SOON)?;
    let pid = terminal.child.process_id().unwrap_or_default();
    signal(pid, "TERM");
    let (_, restored) = terminal.end(SOON)?;
    check(restored, || {
        "the terminal was left in raw mode or on the other screen".into()
    })
}

/// The window is closed: belljar neither stays nor eats a processor.
fn hangup() -> Result {
    let trace = repo("fixtures/traces/npm-credential-thief.bjt");
    let mut terminal = Terminal::start(&["replay"], &trace)?;
    terminal.shows("processes", SOON)?;
    terminal.leave.store(true, Ordering::SeqCst);
    let reading = |terminal: &Terminal| !terminal.reader.is_finished();
    // Whatever it draws next wakes the reader, who then lets go of the terminal.
    wait_until("the reader's end", SOON, || {
        let _ = terminal.press("?");
        !reading(&terminal)
    })?;
    let Terminal {
        mut child,
        master,
        keys,
        ..
    } = terminal;
    drop(keys); // It says its farewell to the terminal, which must be drawn before.
    std::thread::sleep(Duration::from_secs(1));
    drop(master);
    let ended = wait_until("the program's end", Duration::from_secs(20), || {
        child.try_wait().is_ok_and(|status| status.is_some())
    });
    if ended.is_err() {
        child.kill()?;
    }
    ended
}

fn live() -> Result {
    let project = repo("fixtures/packages/npm-credential-thief");
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("t.bjt").to_string_lossy().into_owned();
    let mut terminal = Terminal::start(&["run", "-o", &trace], &project)?;
    terminal.shows("MALICIOUS", LONG)?;
    // Its upload to a name that no line allows waits for somebody to say no.
    terminal.answer("telemetry.left-padded", "d")?;
    terminal.shows(RECORDED, LONG)?;
    terminal.shows("postinstall.js", SOON)?;
    terminal.press("q")?;
    let (code, restored) = terminal.end(SOON)?;
    check(code == 1 && restored, || {
        format!("exit {code}, restored {restored}")
    })?;
    // The summary is longer than the screen; its last line names the trace.
    terminal.shows("trace: ", SOON)
}

/// Four programs from a hidden place: allowed once, denied, allowed for the run,
/// not asked again. What the payload sees is what was answered, and no time passes
/// for it while somebody thinks.
const ASKED: &str = r#"import os, shutil, subprocess, time
os.makedirs("/tmp/.h")
for name in ("one", "two", "three"):
    shutil.copy("/usr/bin/true", "/tmp/.h/" + name)
def run(name):
    since = time.monotonic()
    try:
        subprocess.run(["/tmp/.h/" + name], check=True)
        how = "ran"
    except OSError as e:
        how = "errno" + str(e.errno)
    print("ASKED", name, how, "late" if time.monotonic() - since > 7 else "in-time", flush=True)
run("one"); run("two"); run("three"); run("three")
"#;

fn questions() -> Result {
    let dir = tempfile::tempdir()?;
    let project = dir.path().join("p");
    std::fs::create_dir(&project)?;
    std::fs::write(project.join("asks.py"), ASKED)?;
    let trace = dir.path().join("t.bjt");
    let kept = trace.to_string_lossy().into_owned();
    // The folder comes behind the options; what runs in it is named by a phase.
    let words = ["run", "-o", &kept, "--phase", "run=python3 asks.py"];
    let mut terminal = Terminal::start(&words, &project)?;
    terminal.answer("/tmp/.h/one", "a")?;
    terminal.answer("/tmp/.h/two", "d")?;
    // Enter is no answer: it opens what is selected, as ever.
    terminal.answer("/tmp/.h/three", "\r\u{1b}")?;
    terminal.answer("/tmp/.h/three", "Ar")?;
    terminal.shows(RECORDED, LONG)?;
    terminal.press("q")?;
    let (_, restored) = terminal.end(SOON)?;
    check(restored, || "the terminal was not given back".into())?;
    let events = crate::support::events(&trace)?;
    let printed = crate::support::terminal(&events);
    for line in [
        "ASKED one ran in-time",
        "ASKED two errno13 in-time",
        "ASKED three ran in-time",
    ] {
        check(printed.contains(line), || {
            format!("not `{line}`; all:\n{printed}")
        })?;
    }
    check(printed.matches("ASKED three ran").count() == 2, || {
        printed.clone()
    })?;
    let kinds = |kind: &str| events.iter().filter(|event| event["kind"] == kind).count();
    check(kinds("question") == 3, || {
        format!("{} questions", kinds("question"))
    })?;
    let said: Vec<String> = events
        .iter()
        .filter(|event| event["kind"] == "answer" && event["fact"]["who"] != "policy")
        .map(|event| format!("{} {}", event["fact"]["action"], event["fact"]["who"]))
        .collect();
    check(
        said == [
            "\"allow\" \"person\"",
            "\"deny\" \"person\"",
            "\"allow\" \"person\"",
            "\"allow\" \"earlier answer\"",
        ],
        || format!("{said:?}"),
    )
}

/// Runs a copy of true out of a hidden folder, with a name that nobody can read.
const SAVED: &str = r#"import os, shutil, subprocess
path = "/tmp/.h/a\u202eb\x1bc"
os.makedirs("/tmp/.h", exist_ok=True)
shutil.copy("/usr/bin/true", path)
os.chmod(path, 0o755)
try:
    how = "ran" if subprocess.run([path]).returncode == 0 else "failed"
except OSError as e:
    how = "errno" + str(e.errno)
print("SAVED", how, flush=True)
"#;

fn saved() -> Result {
    let dir = tempfile::tempdir()?;
    let project = dir.path().join("p");
    std::fs::create_dir(&project)?;
    std::fs::write(project.join("asks.py"), SAVED)?;
    let trace = dir.path().join("t.bjt");
    let kept = trace.to_string_lossy().into_owned();
    let words = ["run", "-o", &kept, "--phase", "run=python3 asks.py"];
    let mut terminal = Terminal::start(&words, &project)?;
    terminal.answer("/tmp/.h/a", "s")?;
    terminal.shows("allow evt.op = exec and fd.name", SOON)?;
    terminal.press("\r")?;
    terminal.shows("saved as user:saved-1", SOON)?;
    terminal.shows(RECORDED, LONG)?;
    terminal.press("q")?;
    terminal.end(SOON)?;
    let file = dir.path().join("config/belljar/policy.toml");
    let text = std::fs::read_to_string(&file)?;
    check(
        text.starts_with("# Your own lines") && text.contains("saved-1"),
        || text.clone(),
    )?;
    // The next run has nobody there, and asks nobody.
    let mut command = crate::support::run(&project, &trace, &["--", "python3", "asks.py"]);
    command.env("XDG_CONFIG_HOME", dir.path().join("config"));
    crate::support::json(&crate::support::output(&mut command)?)?;
    let events = crate::support::events(&trace)?;
    let printed = crate::support::terminal(&events);
    check(printed.contains("SAVED ran"), || printed.clone())?;
    let refused = events
        .iter()
        .any(|event| event["kind"] == "answer" && event["fact"]["who"] == "nobody there");
    let line = events
        .iter()
        .any(|event| event["kind"] == "policy" && event.to_string().contains("user:saved-1"));
    check(line && !refused, || {
        "the saved line was not in force".into()
    })
}

/// Ticks while it is let; a hidden program that nobody answers about; a child
/// that would sleep for ever.
const WATCHED: &str = r#"import os, shutil, subprocess, time
gap, last = 0, time.monotonic()
for _ in range(250):
    time.sleep(0.1)
    now = time.monotonic()
    gap, last = max(gap, now - last), now
    print("TICK", flush=True)
print("GAP", "short" if gap < 6 else "long", flush=True)
os.makedirs("/tmp/.h")
shutil.copy("/usr/bin/true", "/tmp/.h/tool")
try:
    subprocess.run(["/tmp/.h/tool"])
    print("TOOL ran", flush=True)
except OSError as e:
    print("TOOL errno", e.errno, flush=True)
child = subprocess.Popen(["sleep", "1000"])
print("CHILD", child.wait(), flush=True)
"#;

/// What the person does unasked: stops the guest, ends a process. What nobody
/// answers in the time that was set is denied.
fn watched() -> Result {
    let dir = tempfile::tempdir()?;
    let project = dir.path().join("p");
    std::fs::create_dir(&project)?;
    std::fs::write(project.join("watched.py"), WATCHED)?;
    let trace = dir.path().join("t.bjt");
    let kept = trace.to_string_lossy().into_owned();
    let words = [
        "run",
        "-o",
        &kept,
        "--ask-timeout",
        "4s",
        "--phase",
        "run=python3 watched.py",
    ];
    let mut terminal = Terminal::start(&words, &project)?;
    terminal.shows("watched.py", LONG)?;
    terminal.press("o")?;
    terminal.shows("TICK", LONG)?;
    terminal.press("p")?;
    terminal.shows("GUEST FROZEN", SOON)?;
    let ticks = |terminal: &Terminal| terminal.contents().matches("TICK").count();
    // What was on its way when the machine was told to stop.
    let mut before = usize::MAX;
    wait_until("an end of the ticks", SOON, || {
        std::thread::sleep(Duration::from_secs(3));
        std::mem::replace(&mut before, ticks(&terminal)) == before
    })?;
    let before = ticks(&terminal);
    std::thread::sleep(Duration::from_secs(6));
    check(ticks(&terminal) == before, || {
        "the guest ran on while it was frozen".into()
    })?;
    terminal.press("p")?;
    terminal.shows("denied in", LONG)?;
    terminal.shows("TOOL errno 13", LONG)?;
    terminal.press("o")?;
    terminal.shows("sleep 1000", SOON)?;
    // The newest process is the last one of the tree.
    terminal.press("GK")?;
    // Unless what has ended is counted there by now.
    if terminal
        .shows("end sleep (pid", Duration::from_secs(8))
        .is_err()
    {
        terminal.press("kK")?;
    }
    terminal.shows("end sleep (pid", SOON)?;
    terminal.press("y")?;
    terminal.shows(RECORDED, LONG)?;
    terminal.press("q")?;
    let (_, restored) = terminal.end(SOON)?;
    check(restored, || "the terminal was not given back".into())?;
    let events = crate::support::events(&trace)?;
    let printed = crate::support::terminal(&events);
    for line in ["GAP short", "TOOL errno 13", "CHILD -9"] {
        check(printed.contains(line), || {
            format!("not `{line}`; all:\n{printed}")
        })?;
    }
    for (kind, field, value) in [
        ("freeze", "frozen", serde_json::json!(true)),
        ("freeze", "frozen", serde_json::json!(false)),
        ("answer", "who", serde_json::json!("timer")),
        ("killed", "by", serde_json::json!("person")),
    ] {
        let told =
            |event: &serde_json::Value| event["kind"] == kind && event["fact"][field] == value;
        check(events.iter().any(told), || {
            format!("no {kind} with {field} {value}")
        })?;
    }
    Ok(())
}
