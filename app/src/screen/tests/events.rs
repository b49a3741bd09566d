//! The list of events and its filter.

use belljar_replay::cond::{Condition, Names, Truth};
use belljar_replay::moment::Moment;
use belljar_replay::rules::RuleSet;
use belljar_replay::session::Session;
use crossterm::event::KeyCode;

use super::{ctrl, feed, live, press, replay, story, typed};
use crate::screen::events;
use crate::screen::model::{Effect, Model, Msg, Pane};
use crate::screen::player::Motion;
use crate::screen::render::render_text;
use crate::screen::rows::RowKey;
use crate::screen::update::update;

const OPENS: &str = "evt.type = openat and fd.name contains .ssh";

fn filtered(text: &str) -> Model {
    let mut model = replay();
    typed(&mut model, "/");
    typed(&mut model, text);
    press(&mut model, &[KeyCode::Enter]);
    model
}

/// What a fold from the start finds.
fn expected(text: &str) -> Vec<usize> {
    let condition = Condition::parse(text, &Names::new()).unwrap();
    let mut session = Session::new(RuleSet::builtin()).with_start(&story::start());
    let mut found = Vec::new();
    for (at, entry) in story::theft().0.iter().enumerate() {
        session.push(entry);
        if condition.matches(&Moment::new(&session, entry)) != Truth::No {
            found.push(at);
        }
    }
    found
}

fn shown(model: &Model) -> Vec<u64> {
    model.rows.events.iter().map(|line| line.seq).collect()
}

#[test]
fn the_list_follows_the_playhead() {
    let mut model = replay();
    typed(&mut model, "e");
    assert_eq!(model.focus, Pane::Events);
    let last = model.player.len() as u64 - 1;
    assert_eq!(shown(&model).last(), Some(&last));
    typed(&mut model, ",,");
    assert_eq!(shown(&model).last(), Some(&(last - 2)));
    typed(&mut model, "0");
    assert!(shown(&model).len() <= 1);
    typed(&mut model, "e");
    assert_eq!(model.focus, Pane::Processes);
}

#[test]
fn a_filter_narrows_the_list_to_what_a_fold_finds() {
    for text in [
        OPENS,
        "proc.name = node",
        "path.decoy",
        "not evt.type = openat",
    ] {
        let model = filtered(text);
        assert_eq!(
            (&model.prompt, model.focus),
            (&None, Pane::Events),
            "{text}"
        );
        let expected = expected(text);
        assert!(!expected.is_empty(), "{text} must find something");
        assert_eq!(events::total(&model), expected.len(), "{text}");
        let rows = shown(&model);
        let tail = &expected[expected.len() - rows.len()..];
        assert!(
            rows.iter().zip(tail).all(|(seq, at)| *seq == *at as u64),
            "{text}"
        );
        assert!(
            render_text(&model, 120, 40).contains(&format!("filter: {text}")),
            "{text}"
        );
    }
}

#[test]
fn matches_are_jumped_between_and_move_the_playhead() {
    let mut model = filtered(OPENS);
    let expected = expected(OPENS);
    press(&mut model, &[KeyCode::Home]);
    assert_eq!(events::total(&model), 0);
    for at in &expected {
        typed(&mut model, "n");
        assert_eq!(model.player.position(), at + 1);
        assert_eq!(shown(&model).last(), Some(&(*at as u64)));
    }
    typed(&mut model, "n");
    assert!(
        model
            .toast
            .as_ref()
            .unwrap()
            .text
            .contains("no match after")
    );
    for at in expected.iter().rev().skip(1) {
        typed(&mut model, "N");
        assert_eq!(model.player.position(), at + 1);
    }
    typed(&mut model, "N");
    assert!(
        model
            .toast
            .as_ref()
            .unwrap()
            .text
            .contains("no match before")
    );
    press(&mut model, &[KeyCode::Esc]);
    assert!(model.filter.is_none());
    typed(&mut model, "n");
    assert!(model.toast.as_ref().unwrap().text.contains("no filter"));
}

#[test]
fn what_is_wrong_stands_below_its_column_with_the_nearest_field() {
    let mut model = replay();
    typed(&mut model, "/evt.type = open and fd.nmae = x");
    press(&mut model, &[KeyCode::Enter]);
    assert!(
        model.filter.is_none() && model.prompt.is_some(),
        "it stays open"
    );
    let text = render_text(&model, 120, 40);
    let lines: Vec<&str> = text.lines().collect();
    let [line, below] = lines[lines.len() - 2..] else {
        panic!()
    };
    let column = line.find("fd.nmae").unwrap();
    assert_eq!(below.find('^'), Some(column), "{line}\n{below}");
    assert!(below.contains("did you mean `fd.name`?"), "{below}");
    // What is right again says nothing.
    ctrl(&mut model, 'u');
    typed(&mut model, "path.decoy");
    assert_eq!(model.prompt.as_ref().unwrap().error(), None);
}

#[test]
fn a_long_filter_keeps_cursor_and_error_in_sight() {
    let mut model = replay();
    typed(&mut model, "/");
    typed(&mut model, &"proc.name = node and ".repeat(8));
    typed(&mut model, "fd.nmae = x");
    let text = render_text(&model, 60, 16);
    assert!(text.contains("fd.nmae = x"), "{text}");
    assert!(text.contains("did you mean `fd.name`?"), "{text}");
}

#[test]
fn the_line_is_edited_and_keys_are_text_in_it() {
    let mut model = replay();
    typed(&mut model, "/q5 o");
    assert_eq!(
        model.prompt.as_ref().unwrap().text(),
        "q5 o",
        "q does not leave"
    );
    ctrl(&mut model, 'w');
    assert_eq!(model.prompt.as_ref().unwrap().text(), "q5 ");
    press(
        &mut model,
        &[KeyCode::Home, KeyCode::Delete, KeyCode::Right],
    );
    typed(&mut model, "é");
    press(&mut model, &[KeyCode::Left, KeyCode::Backspace]);
    assert_eq!(model.prompt.as_ref().unwrap().text(), "é ");
    ctrl(&mut model, 'u');
    typed(&mut model, "proc.na");
    press(&mut model, &[KeyCode::Tab]);
    assert_eq!(model.prompt.as_ref().unwrap().text(), "proc.name");
    press(&mut model, &[KeyCode::Esc]);
    assert!(model.prompt.is_none() && model.filter.is_none());
    // Stopping a run works from here too.
    let mut model = live(story::unfinished());
    typed(&mut model, "/");
    assert_eq!(ctrl(&mut model, 'c'), [Effect::Interrupt]);
}

#[test]
fn an_event_opens_and_can_be_gone_to() {
    let mut model = filtered(OPENS);
    typed(&mut model, "g");
    let first = expected(OPENS)[0];
    press(&mut model, &[KeyCode::Enter]);
    let open = model.overlay.as_ref().unwrap();
    assert_eq!(
        open.kind,
        crate::screen::overlay::Kind::Detail(RowKey::Event(first as u64))
    );
    assert!(
        open.text().contains("\"openat\"") && open.text().contains(".ssh"),
        "{}",
        open.text()
    );
    press(&mut model, &[KeyCode::Esc]);
    assert!(model.filter.is_some(), "Esc closed the detail only");
    typed(&mut model, "m");
    assert_eq!(
        (model.player.position(), model.player.motion()),
        (first + 1, Motion::Paused)
    );
}

#[test]
fn a_selected_event_stays_while_more_come() {
    let mut entries = story::unfinished();
    let later = entries.split_off(100);
    let mut model = live(entries);
    typed(&mut model, "ekkk");
    let held = events::selected(&model);
    assert_eq!(held, Some(96));
    feed(&mut model, later);
    assert_eq!(events::selected(&model), held);
    typed(&mut model, "G");
    assert_eq!(events::selected(&model), Some(model.player.len() - 1));
}

#[test]
fn a_filter_takes_in_what_comes_later() {
    let mut entries = story::unfinished();
    let later = entries.split_off(20);
    let mut model = live(entries);
    typed(&mut model, "/path.decoy");
    press(&mut model, &[KeyCode::Enter]);
    let before = events::total(&model);
    feed(&mut model, later);
    assert!(events::total(&model) > before);
}

/// One tick does a bounded piece, and the pane says how far it is.
#[test]
fn a_long_trace_is_searched_piece_by_piece() {
    let mut story = story::Story::new();
    story::boot(&mut story);
    story::install(&mut story, 2);
    for at in 0..50_000 {
        story.open(300, &format!("/tmp/f{}", at % 70), 0, 3);
    }
    let mut model = live(story.record(None).0);
    typed(&mut model, "/fd.name = /tmp/f69");
    press(&mut model, &[KeyCode::Enter]);
    let text = render_text(&model, 120, 40);
    assert!(text.contains("searched 39 %"), "{text}");
    for _ in 0..3 {
        update(&mut model, Msg::Tick { elapsed: 1 });
    }
    let text = render_text(&model, 120, 40);
    assert!(
        !text.contains("searched") && text.contains("714 of"),
        "{text}"
    );
}
