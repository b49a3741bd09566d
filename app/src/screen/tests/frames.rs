//! How long frames take, live at 50,000 events a second and in a trace of ten
//! million. Measurements, not tests: `./dev bench ui` runs them with optimisation.
//!
//! Everything is what runs in a session: core, writer, reader, pump, the turns of
//! the screen's loop, and the bytes for the terminal; these alone go nowhere.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use belljar_recorder::Reader;
use crossterm::event::KeyCode;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};

use super::{press, typed};
use crate::screen::model::{Mode, Model, Msg, Setup};
use crate::screen::player::Motion;
use crate::screen::run::{Options, Turns};
use crate::screen::theme::Theme;
use crate::screen::update::{go_on, update};
use belljar_replay::rules::RuleSet;

const SIZE: (u16, u16) = (120, 40);
/// A frame may take so long.
const AIM: f64 = 16.0;

/// What was measured, in milliseconds.
#[derive(Default)]
struct Times {
    /// By the clock.
    clock: Vec<f64>,
    /// Of the processor, in this thread: others use the machine too.
    own: Vec<f64>,
}

fn cpu() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = told.split_whitespace().next().and_then(|n| n.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn part(times: &mut [f64], part: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    let at = (times.len() as f64 * part) as usize;
    times
        .get(at.min(times.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0.0)
}

impl Times {
    /// Measures a turn; it counts if it drew.
    fn turn(&mut self, work: impl FnOnce() -> bool) {
        let (begun, before) = (Instant::now(), cpu());
        if work() {
            self.clock.push(millis(begun.elapsed()));
            self.own.push(millis(cpu().saturating_sub(before)));
        }
    }

    fn tell(mut self, what: &str) {
        let count = self.clock.len();
        let [p50, p99, most] = [0.5, 0.99, 1.0].map(|at| part(&mut self.own, at));
        let [clock50, clock99] = [0.5, 0.99].map(|at| part(&mut self.clock, at));
        let says = if p99 < AIM { "holds" } else { "DOES NOT HOLD" };
        eprintln!(
            "  {what:<44} {count:>5} frames  p50 {p50:>5.1} ms  p99 {p99:>5.1} ms  most {most:>6.1} ms  \
             (by the clock {clock50:.1}, {clock99:.1})  p99 < {AIM} ms: {says}"
        );
    }
}

fn turns() -> Turns<CrosstermBackend<io::Sink>> {
    let viewport = Viewport::Fixed(Rect::new(0, 0, SIZE.0, SIZE.1));
    let backend = CrosstermBackend::new(io::sink());
    let terminal = Terminal::with_options(backend, TerminalOptions { viewport }).unwrap();
    Turns::new(terminal, Options::default())
}

/// Goes on as the screen does, with a key now and then, until `done`.
fn go(
    model: &mut Model,
    turns: &mut Turns<CrosstermBackend<io::Sink>>,
    source: &Receiver<Msg>,
    keys: &mut dyn Iterator<Item = KeyCode>,
    done: &dyn Fn(&Model) -> bool,
) -> Times {
    let mut times = Times::default();
    let mut pressed = Instant::now();
    while !done(model) {
        // A key wakes the loop; here they come when it wakes.
        std::thread::sleep(turns.wait());
        times.turn(|| {
            if pressed.elapsed() > Duration::from_millis(250)
                && let Some(key) = keys.next()
            {
                pressed = Instant::now();
                press(model, &[key]);
            }
            turns.go_on(model, source, &|| false);
            turns.draw(model).unwrap()
        });
    }
    times
}

/// Through all panes, up and down in them, details open and shut.
fn keys() -> impl Iterator<Item = KeyCode> {
    let round = [
        KeyCode::Tab,
        KeyCode::Down,
        KeyCode::Down,
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Up,
    ];
    std::iter::repeat(round).flatten()
}

fn tape() -> Reader<&'static [u8]> {
    Reader::open(&include_bytes!("../../../../fixtures/traces/npm-credential-thief.bjt")[..])
        .unwrap()
}

fn fresh(mode: Mode, reader: &Reader<impl io::Read>) -> Model {
    let theme = Theme::named("dark").unwrap();
    let setup = Setup::new(mode, reader.start().clone(), RuleSet::builtin(), theme);
    let mut model = Model::new(setup);
    update(&mut model, Msg::Resize(SIZE.0, SIZE.1));
    model
}

/// Frames, and how long it takes until what stands there is shown.
fn seeks(model: &mut Model, turns: &mut Turns<CrosstermBackend<io::Sink>>) {
    let (mut frames, mut whole) = (Times::default(), Times::default());
    for tenth in "537192846055".chars().chain("0192837465".chars()) {
        whole.turn(|| {
            frames.turn(|| {
                typed(model, &tenth.to_string());
                turns.draw(model).unwrap()
            });
            while model.player.is_on_its_way() {
                frames.turn(|| {
                    go_on(model);
                    turns.draw(model).unwrap()
                });
            }
            true
        });
    }
    frames.tell("seeks to a tenth");
    let [p50, p99] = [0.5, 0.99].map(|at| part(&mut whole.own, at));
    eprintln!(
        "  until all of that moment is shown            p50 {p50:>5.1} ms  p99 {p99:>5.1} ms"
    );
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "a measurement; ./dev bench ui runs it"]
fn live_at_fifty_thousand_events_a_second() {
    use crate::live::flood::{Flood, flood};
    let mut reader = tape();
    let mut model = fresh(Mode::Live, &reader);
    let start = reader.start().clone();
    let flooded = Flood {
        events: reader
            .by_ref()
            .map(|entry| entry.unwrap().into_event())
            .collect(),
        rate: 50_000,
        lasts: Duration::from_secs(20),
    };
    let file = tempfile::tempfile().unwrap();
    let (messages, source) = sync_channel(256);
    let begun = Instant::now();
    let core =
        std::thread::spawn(move || flood(flooded, start, RuleSet::builtin(), file, messages));
    let mut turns = turns();
    let ended = |model: &Model| model.ended.is_some();
    let times = go(&mut model, &mut turns, &source, &mut keys(), &ended);
    let events = core.join().unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    assert_eq!(model.player.len() as u64, events + 1);
    eprintln!(
        "live: {events} events in {seconds:.1} s ({:.0} a second), all shown",
        events as f64 / seconds
    );
    times.tell("live at 50,000 events a second");
}

#[test]
#[ignore = "a measurement; ./dev bench ui runs it"]
fn a_trace_of_ten_million_events() {
    let Some(path) = std::env::var_os("BELLJAR_BENCH_LONG").map(PathBuf::from) else {
        eprintln!(
            "  a long trace: skipped, BELLJAR_BENCH_LONG names none; ./dev bench ui makes one"
        );
        return;
    };
    let reader = Reader::open(std::fs::File::open(path).unwrap()).unwrap();
    let mut model = fresh(Mode::Replay, &reader);
    let (messages, source) = sync_channel(crate::commands::WAITING);
    let pump = Arc::new(crate::commands::Pump::new(messages.clone()));
    let begun = Instant::now();
    let reading = std::thread::spawn(move || crate::commands::pumped(reader, &pump, &messages));
    let mut turns = turns();
    let ended = |model: &Model| model.ended.is_some();
    let loading = go(&mut model, &mut turns, &source, &mut keys(), &ended);
    assert!(reading.join().unwrap());
    let count = model.player.len();
    eprintln!(
        "trace: {count} events, all known after {:.1} s; packed {:.0} MiB",
        begun.elapsed().as_secs_f64(),
        model.player.packed() as f64 / 1_048_576.0
    );
    loading.tell("while it is read");
    press(&mut model, &[KeyCode::Home]);
    typed(&mut model, "5");
    for _ in 0..6 {
        typed(&mut model, ">");
    }
    model.player.set_motion(Motion::Playing);
    let begun = Instant::now();
    let over = move |_: &Model| begun.elapsed() > Duration::from_secs(10);
    go(&mut model, &mut turns, &source, &mut keys(), &over)
        .tell("playing 64 times as fast from the middle");
    model.player.set_motion(Motion::Paused);
    seeks(&mut model, &mut turns);
    let mut steps = Times::default();
    for key in [",", ",", ".", "]", "[", "]"].repeat(30) {
        steps.turn(|| {
            typed(&mut model, key);
            turns.draw(&model).unwrap()
        });
    }
    steps.tell("steps by event and by finding");
    let mut moves = Times::default();
    for key in keys().take(600) {
        moves.turn(|| {
            press(&mut model, &[key]);
            turns.draw(&model).unwrap()
        });
    }
    moves.tell("moves and details, paused");
}
