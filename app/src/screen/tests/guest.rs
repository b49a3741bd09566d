//! Freezing the guest, ending a process, and a question that nobody looks at.

use belljar_event::{End, Freeze, Held, Op, Outcome, Question, Status, Text};
use crossterm::event::KeyCode;

use super::{live, press, story, typed};
use crate::screen::model::{Effect, Mode, Model, Msg, Pane};
use crate::screen::player::SECOND;
use crate::screen::render::render_text;
use crate::screen::rows::RowKey;
use crate::screen::update::update;

fn running() -> story::Story {
    let mut story = story::Story::new();
    story::boot(&mut story);
    story::install(&mut story, 3);
    story
}

#[test]
fn p_freezes_the_guest_and_lets_it_go_on() {
    let mut model = live(running().record(None).0);
    assert_eq!(typed(&mut model, "p"), [Effect::Freeze(true)]);
    assert!(!render_text(&model, 120, 40).contains("GUEST FROZEN"));
    // Only what was recorded is shown as done.
    let mut story = running();
    story.push(0, Outcome::None, Freeze { frozen: true });
    let mut model = live(story.record(None).0);
    assert!(render_text(&model, 120, 40).contains("GUEST FROZEN"));
    assert_eq!(typed(&mut model, "p"), [Effect::Freeze(false)]);
}

#[test]
fn p_pauses_a_recording() {
    let (entries, _) = running().record(Some(End::Finished(Status::Code(0))));
    let mut model = super::model(Mode::Replay, "dark");
    super::feed(&mut model, entries);
    assert_eq!(typed(&mut model, "p"), []);
    assert!(render_text(&model, 120, 40).contains("paused"));
}

#[test]
fn a_process_ends_only_when_it_is_said_twice() {
    let mut model = live(running().record(None).0);
    let index = model
        .rows
        .processes
        .iter()
        .position(|line| match &line.key {
            RowKey::Process(key) => {
                let process = model.player.tip().process(*key);
                process.is_some_and(|process| process.ended.is_none())
            }
            _ => false,
        })
        .expect("something runs");
    let select = |model: &mut Model| {
        model.focus = Pane::Processes;
        for _ in 0..index {
            typed(model, "j");
        }
    };
    select(&mut model);
    assert_eq!(typed(&mut model, "K"), []);
    let RowKey::Process(key) = model.rows.processes[index].key else {
        panic!("a process is selected");
    };
    let pid = model.player.tip().process(key).unwrap().pid;
    assert!(render_text(&model, 120, 40).contains(&format!("(pid {pid})?")));
    // Anything but yes leaves it alone.
    assert_eq!(typed(&mut model, "xKq"), []);
    assert_eq!(press(&mut model, &[KeyCode::Esc]), []);
    assert_eq!(typed(&mut model, "K"), []);
    assert_eq!(typed(&mut model, "y"), [Effect::Kill(pid)]);
    assert_eq!(typed(&mut model, "y").len(), 1, "copies again");
}

#[test]
fn a_timer_is_shown_and_any_key_stops_it() {
    let mut story = running();
    let held = Held {
        hold: 7,
        op: Op::Exec,
        call: belljar_event::Call(59),
        path: Some(Text::from("/tmp/x")),
        other: None,
        target: None,
        argv: Vec::new(),
    };
    story.push(311, Outcome::None, held);
    let by = "strict:dropped".to_owned();
    story.push(311, Outcome::None, Question { hold: 7, by });
    let mut model = live(story.record(None).0);
    assert!(!render_text(&model, 120, 40).contains("denied in"));
    model.setup.patience = Some(30 * SECOND);
    assert!(render_text(&model, 120, 40).contains("denied in 30 s"));
    let elapsed = 12 * SECOND;
    update(&mut model, Msg::Tick { elapsed });
    assert!(render_text(&model, 120, 40).contains("denied in 18 s"));
    assert!(typed(&mut model, "j").contains(&Effect::Here));
    assert!(render_text(&model, 120, 40).contains("denied in 30 s"));
}
