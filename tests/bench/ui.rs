//! The screen with a long trace, on a pseudo-terminal: memory, keys, and rest.
//!
//! Owns: what can only be measured of the whole program from outside. How long
//! frames take is measured inside: `screen::tests::frames`.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use super::Result;

/// Events of the long trace.
const EVENTS: usize = 10_000_000;
/// Output that pauses for so long is a whole frame.
const QUIET: Duration = Duration::from_millis(40);
/// How long rest is watched.
const REST: Duration = Duration::from_secs(20);
/// What is aimed at: milliseconds from key to frame, MiB, parts of a processor.
const KEY: f64 = 30.0;
const MEMORY: f64 = 300.0;
const IDLE: f64 = 0.02;

fn path() -> Result<PathBuf> {
    let named = std::env::var_os("BELLJAR_BENCH_LONG").map(PathBuf::from);
    named.ok_or_else(|| "BELLJAR_BENCH_LONG names no file; ./dev bench ui does".into())
}

/// Writes the long trace.
pub(crate) fn long() -> Result<()> {
    let path = path()?;
    let begun = Instant::now();
    super::long::into_file(&path, EVENTS)?;
    println!(
        "a trace of {EVENTS} events, {:.0} MiB, made in {:.1} s",
        std::fs::metadata(&path)?.len() as f64 / 1_048_576.0,
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Belljar on a terminal, and when it last wrote something.
struct Screen {
    pid: u32,
    keys: Box<dyn Write + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    begun: Instant,
    /// Nanoseconds since then of the first and the last output, and how much there was.
    first: Arc<AtomicU64>,
    last: Arc<Mutex<Instant>>,
    bytes: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    _master: Box<dyn portable_pty::MasterPty + Send>,
}

impl Screen {
    fn start(path: &Path) -> Result<Self> {
        let window = PtySize {
            rows: 40,
            cols: 120,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pty = native_pty_system().openpty(window)?;
        // Another build than the bench's own may be measured.
        let program = std::env::var_os("BELLJAR_BENCH_PROGRAM");
        let mut command =
            CommandBuilder::new(program.unwrap_or(env!("CARGO_BIN_EXE_belljar").into()));
        command.args(["--theme", "dark", "replay"]);
        command.arg(path);
        command.env("TERM", "xterm-256color");
        let begun = Instant::now();
        let child = pty.slave.spawn_command(command)?;
        drop(pty.slave);
        let mut reader = pty.master.try_clone_reader()?;
        let screen = Self {
            pid: child.process_id().ok_or("no process")?,
            keys: pty.master.take_writer()?,
            child,
            begun,
            first: Arc::default(),
            last: Arc::new(Mutex::new(begun)),
            bytes: Arc::default(),
            ended: Arc::default(),
            _master: pty.master,
        };
        let (first, last) = (Arc::clone(&screen.first), Arc::clone(&screen.last));
        let (bytes, ended) = (Arc::clone(&screen.bytes), Arc::clone(&screen.ended));
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let now = Instant::now();
                *last.lock().unwrap_or_else(PoisonError::into_inner) = now;
                // The first words set the terminal up; a frame is longer.
                if bytes.fetch_add(count as u64, Ordering::SeqCst) + count as u64 > 1000 {
                    let nanos = now.duration_since(begun).as_nanos();
                    let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
                    let _ = first.compare_exchange(0, nanos, Ordering::SeqCst, Ordering::SeqCst);
                }
            }
            ended.store(true, Ordering::SeqCst);
        });
        Ok(screen)
    }

    fn last(&self) -> Instant {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn press(&mut self, keys: &str) -> Result<Instant> {
        let now = Instant::now();
        self.keys.write_all(keys.as_bytes())?;
        self.keys.flush()?;
        Ok(now)
    }

    /// Milliseconds from a key to the end of what it brought to the screen; `None` if
    /// that was nothing.
    fn answer(&mut self, key: &str) -> Result<Option<f64>> {
        while self.last().elapsed() < 2 * QUIET {
            std::thread::sleep(Duration::from_millis(1));
        }
        let pressed = self.press(key)?;
        loop {
            std::thread::sleep(Duration::from_millis(1));
            let last = self.last();
            if last > pressed && last.elapsed() > QUIET {
                return Ok(Some(last.duration_since(pressed).as_secs_f64() * 1e3));
            }
            if pressed.elapsed() > Duration::from_secs(2) {
                return Ok(None);
            }
        }
    }

    /// Milliseconds from a key to the next output, while output comes anyway.
    fn next_output(&mut self, key: &str) -> Result<f64> {
        let pressed = self.press(key)?;
        while self.last() <= pressed && pressed.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(self.last().saturating_duration_since(pressed).as_secs_f64() * 1e3)
    }

    /// Seconds of the processor that all its threads had.
    fn cpu(&self) -> f64 {
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", self.pid)) else {
            return 0.0;
        };
        let own = |task: std::fs::DirEntry| -> Option<f64> {
            let told = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            Some(told.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
        };
        tasks.flatten().filter_map(own).sum()
    }

    /// MiB: now, and the most so far.
    fn memory(&self) -> Option<(f64, f64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let of = |name: &str| -> Option<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
        };
        Some((of("VmRSS:")?, of("VmHWM:")?))
    }

    /// Whether it still has the trace open, which it reads to the end.
    fn reads(&self, path: &Path) -> bool {
        let Ok(open) = std::fs::read_dir(format!("/proc/{}/fd", self.pid)) else {
            return false;
        };
        let links = open
            .flatten()
            .filter_map(|fd| std::fs::read_link(fd.path()).ok());
        links.into_iter().any(|link| link == path)
    }
}

fn told(what: &str, mut millis: Vec<f64>) {
    millis.sort_by(f64::total_cmp);
    let part = |part: f64| {
        let at = (millis.len() as f64 * part) as usize;
        millis.get(at.min(millis.len().saturating_sub(1))).copied()
    };
    let [p50, p99] = [0.5, 0.99].map(|at| part(at).unwrap_or(f64::NAN));
    println!(
        "  {what:<44} {:>5} keys    p50 {p50:>5.1} ms  p99 {p99:>5.1} ms  < {KEY} ms: {}",
        millis.len(),
        says(p99 < KEY)
    );
}

fn says(holds: bool) -> &'static str {
    if holds { "holds" } else { "DOES NOT HOLD" }
}

/// The figures.
pub(crate) fn ui() -> Result<()> {
    let path = path()?.canonicalize()?;
    let mut screen = Screen::start(&path)?;
    while screen.first.load(Ordering::SeqCst) == 0 {
        if screen.ended.load(Ordering::SeqCst) || screen.begun.elapsed().as_secs() > 30 {
            return Err("no frame came".into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("screen: {EVENTS} events, on a pseudo-terminal of 120 x 40");
    println!(
        "  first frame                                  {:>8.1} ms",
        screen.first.load(Ordering::SeqCst) as f64 / 1e6
    );
    let mut busy = Vec::new();
    let mut keys = ["j", "k", "\t", "?", "\x1b"].iter().cycle();
    while screen.reads(&path) {
        busy.push(screen.next_output(keys.next().ok_or("no key")?)?);
        std::thread::sleep(Duration::from_millis(97));
    }
    // The rest of what was read is folded.
    let mut before = screen.cpu();
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let now = screen.cpu();
        if now - before < 0.1 {
            break;
        }
        before = now;
    }
    let (loaded, cpu) = (screen.begun.elapsed().as_secs_f64(), screen.cpu());
    println!(
        "  read, folded and judged                      {loaded:>8.1} s, {cpu:.1} s of the processor"
    );
    told("key to frame while it reads", busy);
    screen.press("\x1b")?;
    std::thread::sleep(Duration::from_millis(300));
    screen.press(" ")?;
    std::thread::sleep(Duration::from_millis(5000));
    let groups: [(&str, &[&str], usize); 3] = [
        (
            "key to frame: moves, help and details",
            // Only Esc shuts the help: into it, keys are typed.
            &["\t", "j", "j", "k", "?", "\x1b"],
            20,
        ),
        ("key to frame: steps", &[",", ".", "]", "["], 20),
        ("key to frame: seeks", &["5", "2", "9", "1", "7", "4"], 6),
    ];
    for (what, keys, rounds) in groups {
        let mut millis = Vec::new();
        for _ in 0..rounds {
            for key in keys {
                millis.extend(screen.answer(key)?);
            }
        }
        told(what, millis);
    }
    std::thread::sleep(Duration::from_secs(5));
    let before = screen.cpu();
    let written = screen.bytes.load(Ordering::SeqCst);
    std::thread::sleep(REST);
    let idle = (screen.cpu() - before) / REST.as_secs_f64();
    println!(
        "  at rest                                      {:>8.2} % of a processor, {} bytes written  < {} %: {}",
        idle * 100.0,
        screen.bytes.load(Ordering::SeqCst) - written,
        IDLE * 100.0,
        says(idle < IDLE)
    );
    match screen.memory() {
        Some((now, most)) => println!(
            "  memory                                       {now:>8.0} MiB now, {most:.0} MiB at most  < {MEMORY} MiB: {}",
            says(most < MEMORY)
        ),
        None => println!("  memory: skipped, no /proc/{}/status", screen.pid),
    }
    println!(
        "  in all                                       {:>8.1} s of the processor",
        screen.cpu()
    );
    screen.press("q")?;
    let begun = Instant::now();
    while !screen.ended.load(Ordering::SeqCst) && begun.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(10));
    }
    screen.child.kill().ok();
    screen.child.wait()?;
    Ok(())
}
