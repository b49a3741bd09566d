//! The terminal driver: the only part of the screen with a terminal and a clock.
//!
//! Owns: raw mode and the alternate screen (and giving the terminal back on
//! return, error and panic), reading keys, ticks, when to draw.
//! Must not: decide anything; the [`Screen`] does.
//!
//! One thread on purpose: nobody else reads the terminal, and nothing is left
//! reading it when the screen is gone. A key wakes the loop at once; what was
//! recorded is taken at the next tick at the latest.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use crossterm::event::{self, Event};
use crossterm::style::Print;
use crossterm::terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{cursor, execute};
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::{Frame, Terminal};

use super::model::{Effect, Model, Msg};
use super::update::update;
use super::view::view;

/// What the driver shows.
pub(crate) trait Screen {
    /// Something happened; returns what the owner has to do.
    fn update(&mut self, msg: Msg) -> Vec<Effect>;
    /// Does a piece of what is left to do; true if there is more.
    fn go_on(&mut self) -> bool {
        false
    }
    /// Draws it.
    fn view(&self, frame: &mut Frame<'_>);
    /// Changes whenever the picture does.
    fn revision(&self) -> u64;
}

impl Screen for Model {
    fn update(&mut self, msg: Msg) -> Vec<Effect> {
        update(self, msg)
    }

    fn go_on(&mut self) -> bool {
        super::update::go_on(self)
    }

    fn view(&self, frame: &mut Frame<'_>) {
        view(self, frame);
    }

    fn revision(&self) -> u64 {
        Model::revision(self)
    }
}

/// How the driver runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Time between two ticks; a frame is drawn at most as often.
    pub(crate) tick: Duration,
    /// How long messages are taken from the source in one turn, so that a flood
    /// of events cannot lock the keys out.
    pub(crate) taking: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tick: Duration::from_millis(60),
            taking: Duration::from_millis(4),
        }
    }
}

/// Shows a screen until someone leaves; returns it as it then is.
///
/// `effects` gets everything that the screen asks for, `Quit` included (after which
/// it closes), `Copy` (which was already offered to the terminal) and `Suspend`.
///
/// # Errors
/// If the terminal cannot be set up, read or drawn to. It is given back in any case.
pub(crate) fn run<S: Screen>(
    mut screen: S,
    source: &Receiver<Msg>,
    mut effects: impl FnMut(&Effect),
    options: Options,
) -> io::Result<S> {
    let _guard = Guard::new()?;
    let told = told_to_end()?;
    let _rope = Rope::new(&told);
    let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
    let (columns, rows) = terminal::size()?;
    screen.update(Msg::Resize(columns, rows));
    // The first picture waits for nothing; the trace is folded behind it.
    let mut turns = Turns::new(terminal, options);
    turns.draw(&screen)?;
    let woken = woken()?;
    loop {
        let mut asked = keys(&mut screen, turns.wait(), &told)?;
        asked.extend(turns.go_on(&mut screen, source, &|| {
            matches!(ready(Duration::ZERO), Ok(Ready::Input))
        }));
        if told.load(Ordering::Relaxed) {
            asked.push(Effect::Quit);
        }
        for effect in &asked {
            if let Effect::Copy(text) = effect {
                offer(text)?;
            }
            effects(effect);
        }
        if asked.contains(&Effect::Quit) {
            return Ok(screen);
        }
        if asked.contains(&Effect::Suspend) {
            stand_still()?;
        }
        // Whoever stopped this process has used the terminal meanwhile.
        if woken.swap(false, Ordering::Relaxed) || asked.contains(&Effect::Suspend) {
            turns.anew(take_again(&mut screen)?);
        }
        turns.draw(&screen)?;
    }
}

/// What a turn of the loop does besides keys: entries, time, and the picture.
pub(super) struct Turns<B: Backend> {
    terminal: Terminal<B>,
    options: Options,
    /// The picture that stands.
    drawn: Option<u64>,
    last: Instant,
    /// The source has more than was taken, or the screen has more to do.
    more: bool,
}

impl<B: Backend> Turns<B> {
    pub(super) fn new(terminal: Terminal<B>, options: Options) -> Self {
        Self {
            terminal,
            options,
            drawn: None,
            last: Instant::now(),
            more: false,
        }
    }

    /// Goes on with a terminal on which nothing is drawn yet.
    fn anew(&mut self, terminal: Terminal<B>) {
        self.terminal = terminal;
        self.drawn = None;
        self.last = Instant::now();
    }

    /// How long there is nothing to do but to wait for a key.
    pub(super) fn wait(&self) -> Duration {
        if self.more {
            return Duration::ZERO;
        }
        self.options.tick.saturating_sub(self.last.elapsed())
    }

    /// Takes what the source has, until a key `waits`, and lets time go by.
    pub(super) fn go_on<S: Screen>(
        &mut self,
        screen: &mut S,
        source: &Receiver<Msg>,
        waits: &dyn Fn() -> bool,
    ) -> Vec<Effect> {
        let mut asked = Vec::new();
        let elapsed = self.last.elapsed();
        let is_due = elapsed >= self.options.tick;
        // Before a picture only a little is taken: what floods is taken behind it.
        let room = self.options.taking / if is_due { 4 } else { 1 };
        self.more = entries(screen, source, room, waits, &mut asked);
        if is_due {
            self.last = Instant::now();
            let elapsed = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
            asked.extend(screen.update(Msg::Tick { elapsed }));
            // A tick does a piece itself, and it makes a picture.
            self.more = true;
        } else {
            self.more |= screen.go_on();
        }
        asked
    }

    /// Draws if the picture changed; true if it did.
    pub(super) fn draw<S: Screen>(&mut self, screen: &S) -> Result<bool, B::Error> {
        let changed = self.drawn != Some(screen.revision());
        if changed {
            self.terminal.draw(|frame| screen.view(frame))?;
            self.drawn = Some(screen.revision());
        }
        Ok(changed)
    }
}

/// Turns true when the process is told to end: its default would leave the
/// terminal in raw mode. Who else listens to these signals hears them too.
fn told_to_end() -> io::Result<Arc<AtomicBool>> {
    let told = Arc::new(AtomicBool::new(false));
    #[cfg(unix)]
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&told))?;
    }
    Ok(told)
}

/// Turns true when the process goes on after it was stopped.
fn woken() -> io::Result<Arc<AtomicBool>> {
    let woken = Arc::new(AtomicBool::new(false));
    #[cfg(unix)]
    signal_hook::flag::register(signal_hook::consts::SIGCONT, Arc::clone(&woken))?;
    Ok(woken)
}

/// Gives the terminal back and stops this process, as ^Z does where a shell has the
/// terminal; returns when somebody goes on with it. Where no shell waits for it, the
/// kernel does not stop it, and nothing happens.
fn stand_still() -> io::Result<()> {
    give_back();
    #[cfg(unix)]
    signal_hook::low_level::raise(signal_hook::consts::SIGTSTP)?;
    Ok(())
}

/// Takes the terminal as it was taken at first, with nothing drawn on it.
fn take_again<S: Screen>(screen: &mut S) -> io::Result<Terminal<CrosstermBackend<io::Stdout>>> {
    give_back();
    take()?;
    // It may have another size by now.
    let (columns, rows) = terminal::size()?;
    screen.update(Msg::Resize(columns, rows));
    // `Terminal::clear` asks where the cursor stands, which not every terminal says.
    execute!(io::stdout(), Clear(ClearType::All))?;
    Terminal::new(CrosstermBackend::new(io::stdout()))
}

/// Ends the process if it was told to end and cannot.
///
/// Of a terminal that is gone crossterm reads for ever, so the loop above never
/// comes to see that it was told. Whoever records has its time to finish first.
struct Rope(Arc<AtomicBool>);

/// Asks for presses, moves while pressed, and the wheel; not for every move, as
/// crossterm's own command would, which floods. Text is selected with Shift held.
///
/// And for pasted text in brackets: without them every character of it is a key, and
/// a clipboard could answer a question.
const LISTEN: &str = "\x1b[?1000h\x1b[?1002h\x1b[?1006h\x1b[?2004h";
const IGNORE: &str = "\x1b[?2004l\x1b[?1006l\x1b[?1002l\x1b[?1000l";

/// How long an end may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// As a shell reports a program that a hangup has ended.
const HUNG_UP: i32 = 129;

impl Rope {
    fn new(told: &Arc<AtomicBool>) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let (told, ended) = (Arc::clone(told), Arc::clone(&done));
        std::thread::spawn(move || {
            let mut since = None;
            while !ended.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK);
                if told.load(Ordering::Relaxed)
                    && since.get_or_insert_with(Instant::now).elapsed() > PATIENCE
                {
                    give_back();
                    std::process::exit(HUNG_UP);
                }
            }
        });
        Self(done)
    }
}

impl Drop for Rope {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What has already come. Not zero: for that crossterm looks at nothing at all, not even
/// at what it has read (its issue 839). Below a millisecond it looks again and again, so
/// it is short; too short on a busy machine, and what came is taken in the next turn.
const AT_ONCE: Duration = Duration::from_micros(20);

/// Waits for a key, then takes all there are.
fn keys<S: Screen>(screen: &mut S, wait: Duration, told: &AtomicBool) -> io::Result<Vec<Effect>> {
    let mut asked = Vec::new();
    let mut wait = wait;
    // Bounded: a terminal that floods must not keep the screen from being drawn.
    for _ in 0..256 {
        let ready = ready(wait)?;
        // A signal of the end comes before the end itself can be seen.
        if matches!(ready, Ready::Gone) || told.load(Ordering::Relaxed) {
            asked.push(Effect::Quit);
            break;
        }
        if matches!(ready, Ready::Interrupted) {
            break;
        }
        if !event::poll(AT_ONCE)? {
            // Half a key, perhaps: the rest is not waited for in a busy loop.
            if matches!(ready, Ready::Input) {
                std::thread::sleep(wait);
            }
            break;
        }
        wait = Duration::ZERO;
        match event::read()? {
            Event::Key(key) => asked.extend(screen.update(Msg::Key(key))),
            Event::Mouse(mouse) => asked.extend(screen.update(Msg::Mouse(mouse))),
            Event::Paste(text) => asked.extend(screen.update(Msg::Paste(text))),
            Event::Resize(columns, rows) => asked.extend(screen.update(Msg::Resize(columns, rows))),
            _ => {}
        }
        // What was typed behind ^Z is for whoever gets the terminal now.
        if asked.contains(&Effect::Suspend) {
            break;
        }
    }
    Ok(asked)
}

/// What waiting for the terminal came to.
enum Ready {
    Input,
    Nothing,
    Interrupted,
    /// Hung up: its window was closed.
    Gone,
}

/// Waits for input without reading it. A terminal that is gone reads as an
/// endless nothing, in which crossterm would turn for ever.
#[cfg(target_os = "linux")]
fn ready(wait: Duration) -> io::Result<Ready> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    let stdin = io::stdin();
    let mut terminal = [PollFd::new(&stdin, PollFlags::IN)];
    match poll(&mut terminal, Timespec::try_from(wait).ok().as_ref()) {
        Ok(0) => return Ok(Ready::Nothing),
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(Ready::Interrupted),
        Err(error) => return Err(error.into()),
    }
    let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    let gone = terminal.iter().any(|fd| fd.revents().intersects(gone));
    Ok(if gone { Ready::Gone } else { Ready::Input })
}

#[cfg(not(target_os = "linux"))]
fn ready(wait: Duration) -> io::Result<Ready> {
    let some = event::poll(wait)?;
    Ok(if some { Ready::Input } else { Ready::Nothing })
}

/// Takes what the source has, for so long that keys and pictures do not wait for it.
/// A source that is gone sends nothing; the screen stays. True if there may be more.
fn entries<S: Screen>(
    screen: &mut S,
    source: &Receiver<Msg>,
    room: Duration,
    waits: &dyn Fn() -> bool,
    asked: &mut Vec<Effect>,
) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < room && !waits() {
        match source.try_recv() {
            Ok(msg) => asked.extend(screen.update(msg)),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => return false,
        }
    }
    true
}

/// Puts text into the clipboard through the terminal (OSC 52). The text is
/// base64, so nothing in it can reach the terminal as a command.
fn offer(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    write!(out, "\x1b]52;c;{}\x07", base64(text.as_bytes()))?;
    out.flush()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = (group >> (18 - 6 * at) & 63) as usize;
            let digit = DIGITS.get(digit).copied().unwrap_or(b'=');
            out.push(if at > chunk.len() {
                '='
            } else {
                char::from(digit)
            });
        }
    }
    out
}

type Hook = Box<dyn Fn(&std::panic::PanicHookInfo<'_>) + Sync + Send>;

/// The terminal, to be given back however the screen ends.
struct Guard {
    before: Arc<Hook>,
}

impl Guard {
    fn new() -> io::Result<Self> {
        let before: Arc<Hook> = Arc::new(std::panic::take_hook());
        let inner = Arc::clone(&before);
        // A panic's message must not be printed into the alternate screen.
        std::panic::set_hook(Box::new(move |info| {
            give_back();
            inner(info);
        }));
        let guard = Self { before };
        take()?;
        Ok(guard)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        give_back();
        // Changing the hook while panicking would abort.
        if !std::thread::panicking() {
            let before = Arc::clone(&self.before);
            std::panic::set_hook(Box::new(move |info| before(info)));
        }
    }
}

/// Whether the terminal is ours. Leaving it twice would move the cursor back over
/// what a panic has printed.
static OURS: AtomicBool = AtomicBool::new(false);

fn take() -> io::Result<()> {
    OURS.store(true, Ordering::SeqCst);
    terminal::enable_raw_mode()?;
    execute!(
        io::stdout(),
        EnterAlternateScreen,
        cursor::Hide,
        Print(LISTEN)
    )
}

/// Best effort: there is nobody left to tell.
fn give_back() {
    if !OURS.swap(false, Ordering::SeqCst) {
        return;
    }
    let _ = execute!(
        io::stdout(),
        Print(IGNORE),
        cursor::Show,
        LeaveAlternateScreen
    );
    let _ = terminal::disable_raw_mode();
}
