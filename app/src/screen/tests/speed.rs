//! How long a key takes in a trace of a million events. Measurements, not tests:
//! `./dev bench screen` runs them with optimisation.

use std::time::{Duration, Instant};

use belljar_recorder::Entry;
use crossterm::event::KeyCode;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::{model, press, story, typed};
use crate::screen::model::{Mode, Model, Msg};
use crate::screen::update::update;
use crate::screen::view::view;

const EVENTS: usize = 1_000_000;

/// An install that goes on and on: processes, files and output of many names.
fn million() -> Vec<Entry> {
    let mut story = story::Story::new();
    story::boot(&mut story);
    story::install(&mut story, 50);
    for at in 0..EVENTS / 100 {
        let pid = 1000 + u32::try_from(at % 30_000).unwrap();
        story.exec(pid, 300, "/usr/bin/cc", &["cc", "-c", &format!("f{at}.c")]);
        for file in 0..96 {
            story.open(pid, &format!("/home/dev/p/d{}/f{file}", at % 200), 0, 3);
        }
        story.say("\x1b[2Kcompiling\r\n");
        story.exit(pid, 0);
    }
    story.record(None).0
}

fn timed(what: &str, work: impl FnOnce()) {
    let begun = Instant::now();
    work();
    eprintln!("{what:<52} {:>8.1} ms", begun.elapsed().as_secs_f64() * 1e3);
}

fn draw(model: &Model) {
    let mut terminal = Terminal::new(TestBackend::new(120, 40)).unwrap();
    terminal.draw(|frame| view(model, frame)).unwrap();
}

#[test]
#[ignore = "a measurement; ./dev bench screen runs it"]
fn a_million_events() {
    let entries = million();
    let count = entries.len();
    let mut model = model(Mode::Replay, "dark");
    update(&mut model, Msg::Resize(120, 40));
    let mut entries = entries.into_iter();
    let mut batch = || -> Vec<Entry> { entries.by_ref().take(2048).collect() };
    timed("first frame after the first block", || {
        update(&mut model, Msg::Entries(batch()));
        update(
            &mut model,
            Msg::Tick {
                elapsed: 60_000_000,
            },
        );
        draw(&model);
    });
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    loop {
        let next = batch();
        if next.is_empty() {
            break;
        }
        let begun = Instant::now();
        update(&mut model, Msg::Entries(next));
        slowest = slowest.max(begun.elapsed());
    }
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!(
        "fold of {count} events: {seconds:.2} s, {:.0} events/s, slowest batch of 2048: {slowest:?}",
        count as f64 / seconds
    );
    for (name, key) in [
        ("to the end", KeyCode::End),
        ("to the start", KeyCode::Home),
    ] {
        timed(name, || {
            press(&mut model, &[key]);
            draw(&model);
        });
    }
    for tenth in "537192846".chars() {
        timed(&format!("seek to tenth {tenth}"), || {
            typed(&mut model, &tenth.to_string());
            draw(&model);
        });
    }
    for key in [",", ",", ".", "["] {
        timed(&format!("key {key}"), || {
            typed(&mut model, key);
            draw(&model);
        });
    }
    typed(&mut model, "e/fd.name contains d77/f5");
    press(&mut model, &[KeyCode::Enter]);
    let begun = Instant::now();
    let (mut ticks, mut slowest) = (0, Duration::ZERO);
    while model
        .filter
        .as_ref()
        .is_some_and(|filter| filter.searched() < count)
    {
        let begun = Instant::now();
        update(&mut model, Msg::Tick { elapsed: 1 });
        draw(&model);
        slowest = slowest.max(begun.elapsed());
        ticks += 1;
    }
    eprintln!(
        "filter over all: {:?} of work in {ticks} ticks, slowest tick {slowest:?}",
        begun.elapsed()
    );
    for key in ["n", "n", "N"] {
        timed(&format!("match {key}"), || {
            typed(&mut model, key);
            draw(&model);
        });
    }
}
