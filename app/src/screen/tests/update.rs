//! Scripted keys over a made-up run.

use belljar_recorder::Integrity;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{ctrl, feed, live, model, press, replay, story, typed};
use crate::screen::model::{Effect, Mode, Model, Msg, Pane};
use crate::screen::overlay::Kind;
use crate::screen::player::{Motion, SECOND};
use crate::screen::render::render_text;
use crate::screen::rows::{Fold, RowKey};
use crate::screen::update::update;

fn label(model: &Model) -> String {
    model.rows.processes[model.lists[0].index].label()
}

#[test]
fn same_messages_same_screen() {
    let run = || {
        let mut model = live(story::unfinished());
        typed(&mut model, "jjlp,,,[o");
        render_text(&model, 120, 40)
    };
    assert_eq!(run(), run());
}

#[test]
fn a_release_is_no_press() {
    let mut model = replay();
    let mut event = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
    event.kind = KeyEventKind::Release;
    assert_eq!(update(&mut model, Msg::Key(event)), []);
}

#[test]
fn leaving_a_run_asks_first() {
    let mut model = live(story::unfinished());
    assert_eq!(typed(&mut model, "q"), []);
    assert!(render_text(&model, 80, 24).contains("the run goes on"));
    assert_eq!(typed(&mut model, "n"), []);
    assert!(!model.leaving);
    assert_eq!(typed(&mut model, "qy"), [Effect::Interrupt, Effect::Quit]);
    // Enter must not answer it.
    let mut model = live(story::unfinished());
    typed(&mut model, "q");
    assert_eq!(press(&mut model, &[KeyCode::Enter]), []);
    assert!(model.leaving);
}

#[test]
fn a_run_that_ends_while_asked_is_stayed_with() {
    let mut model = live(story::unfinished());
    typed(&mut model, "q");
    let receipt = story::theft().1.receipt;
    update(
        &mut model,
        Msg::SourceEnded(Integrity::Complete { receipt }),
    );
    let shown = render_text(&model, 80, 24);
    assert!(!shown.contains("the run goes on"), "{shown}");
    assert!(shown.contains("q leaves"), "{shown}");
    assert_eq!(typed(&mut model, "q"), [Effect::Quit]);
}

#[test]
fn interrupt_stops_the_run_once_then_leaves() {
    let mut model = live(story::unfinished());
    assert_eq!(ctrl(&mut model, 'c'), [Effect::Interrupt]);
    assert_eq!(ctrl(&mut model, 'c'), [Effect::Quit]);
    assert_eq!(ctrl(&mut replay(), 'c'), [Effect::Quit]);
    assert_eq!(typed(&mut replay(), "q"), [Effect::Quit]);
}

#[test]
fn pausing_stops_the_view_not_the_recording() {
    let mut entries = story::unfinished();
    let later = entries.split_off(100);
    let count = later.len();
    let mut model = live(entries);
    typed(&mut model, " ");
    feed(&mut model, later);
    assert_eq!(model.player.position(), 100);
    assert!(render_text(&model, 120, 40).contains(&format!("{count} behind")));
    press(&mut model, &[KeyCode::End]);
    assert_eq!(model.player.motion(), Motion::Following);
    assert_eq!(model.player.position(), 100 + count);
}

#[test]
fn paused_in_the_past_the_newest_verdict_is_still_shown() {
    let mut entries = story::unfinished();
    let later = entries.split_off(60);
    let mut model = live(entries);
    typed(&mut model, " ");
    feed(&mut model, later);
    let text = render_text(&model, 120, 40);
    assert!(
        text.contains("NOTHING FOUND SO FAR") && text.contains("now ✗ MALICIOUS"),
        "{text}"
    );
}

#[test]
fn a_live_run_can_be_stepped_and_followed_again() {
    let mut model = live(story::unfinished());
    let len = model.player.len();
    typed(&mut model, ",,");
    assert_eq!(
        (model.player.position(), model.player.motion()),
        (len - 2, Motion::Paused)
    );
    typed(&mut model, ".");
    assert_eq!(model.player.position(), len - 1);
    press(&mut model, &[KeyCode::End]);
    assert_eq!(
        (model.player.position(), model.player.motion()),
        (len, Motion::Following)
    );
    // From the past it plays on until it has caught up.
    press(&mut model, &[KeyCode::Left]);
    typed(&mut model, " ");
    assert_eq!(model.player.motion(), Motion::Playing);
    for _ in 0..200 {
        update(
            &mut model,
            Msg::Tick {
                elapsed: SECOND / 10,
            },
        );
    }
    assert_eq!(model.player.motion(), Motion::Following);
}

#[test]
fn a_replay_plays_from_the_start_and_stops_at_the_end() {
    let (entries, done) = story::theft();
    let mut model = model(Mode::Replay, "dark");
    feed(&mut model, entries);
    update(
        &mut model,
        Msg::SourceEnded(Integrity::Complete {
            receipt: done.receipt,
        }),
    );
    assert!(model.player.position() < 3);
    for _ in 0..400 {
        update(
            &mut model,
            Msg::Tick {
                elapsed: SECOND / 20,
            },
        );
    }
    assert_eq!(
        (model.player.position(), model.player.motion()),
        (model.player.len(), Motion::Paused)
    );
    assert!(render_text(&model, 120, 40).contains("✗ MALICIOUS"));
    // And once more.
    typed(&mut model, " ");
    assert_eq!(
        (model.player.position(), model.player.motion()),
        (0, Motion::Playing)
    );
}

#[test]
fn tenths_and_arrows_go_by_time() {
    let mut model = replay();
    let (first, last) = model.player.range();
    typed(&mut model, "5");
    assert_eq!(model.player.now(), first + (last - first) / 10 * 5);
    typed(&mut model, "0");
    assert_eq!(model.player.now(), first);
    press(&mut model, &[KeyCode::Right]);
    assert_eq!(
        model.player.now(),
        last,
        "five seconds are more than there is"
    );
    typed(&mut model, "t");
    assert_eq!(model.focus, Pane::Timeline);
    typed(&mut model, "g");
    assert_eq!(model.player.position(), 0);
    typed(&mut model, "G");
    assert_eq!(model.player.position(), model.player.len());
}

#[test]
fn findings_are_marks_to_jump_between() {
    let mut model = replay();
    typed(&mut model, "0]");
    let at = model.player.position();
    assert_eq!(
        model.player.session().findings().len(),
        1,
        "it stands right behind the first"
    );
    assert_eq!(
        model.lists[Pane::Findings as usize].key,
        Some(RowKey::Finding(1))
    );
    typed(&mut model, "]");
    assert!(model.player.position() > at);
    typed(&mut model, "[");
    assert_eq!(model.player.position(), at);
    typed(&mut model, "[");
    assert_eq!(model.player.position(), at);
    assert!(
        model
            .toast
            .as_ref()
            .is_some_and(|toast| toast.text.contains("no finding before"))
    );
    update(
        &mut model,
        Msg::Tick {
            elapsed: 5 * SECOND,
        },
    );
    assert_eq!(model.toast, None);
}

#[test]
fn the_selection_stays_on_its_row_while_rows_come() {
    let mut entries = story::unfinished();
    let later = entries.split_off(entries.len() - 20);
    let mut model = live(entries);
    typed(&mut model, "G");
    let before = label(&model).to_owned();
    feed(&mut model, later);
    assert_eq!(label(&model), before);
}

#[test]
fn the_view_does_not_jump_when_rows_come_above() {
    let mut entries = story::unfinished();
    let later = entries.split_off(75);
    let mut model = live(entries);
    update(&mut model, Msg::Resize(80, 12));
    press(&mut model, &[KeyCode::Tab]);
    typed(&mut model, "jjjj");
    let row = |model: &Model| {
        let list = &model.lists[Pane::Files as usize];
        (list.key.clone(), list.index - list.offset)
    };
    let before = row(&model);
    let index = model.lists[Pane::Files as usize].index;
    feed(&mut model, later);
    assert!(
        model.lists[Pane::Files as usize].index > index,
        "decoys float above"
    );
    assert_eq!(row(&model), before);
}

#[test]
fn what_is_finished_folds_and_unfolds() {
    let mut model = replay();
    let at = model
        .rows
        .processes
        .iter()
        .position(|line| line.label() == "12 finished")
        .unwrap();
    let rows = model.rows.processes.len();
    typed(&mut model, &"j".repeat(at));
    press(&mut model, &[KeyCode::Enter]);
    assert_eq!(model.rows.processes.len(), rows + 12);
    assert_eq!(label(&model), "12 finished");
    typed(&mut model, "h");
    assert_eq!(model.rows.processes.len(), rows);
}

#[test]
fn folders_fold_and_count() {
    let mut model = replay();
    press(&mut model, &[KeyCode::Tab]);
    let line = |model: &Model, name: &str| {
        model
            .rows
            .files
            .iter()
            .position(|line| line.label == name)
            .unwrap()
    };
    let at = line(&model, "node_modules");
    assert_eq!(
        (model.rows.files[at].fold, model.rows.files[at].writes),
        (Fold::Closed, 36)
    );
    typed(&mut model, &"j".repeat(at));
    typed(&mut model, "l");
    assert_eq!(
        model.rows.files[line(&model, "node_modules")].fold,
        Fold::Open
    );
    assert!(model.rows.files.iter().any(|line| line.label == "dep0"));
    typed(&mut model, "jh");
    assert_eq!(
        model.lists[Pane::Files as usize].index,
        at,
        "folding a folded one leads to its parent"
    );
}

#[test]
fn detail_goes_from_finding_to_events() {
    let mut model = replay();
    press(
        &mut model,
        &[KeyCode::Tab, KeyCode::Tab, KeyCode::Tab, KeyCode::Enter],
    );
    assert!(matches!(&model.overlay, Some(open) if open.kind == Kind::Detail(RowKey::Finding(1))));
    let text = model.overlay.as_ref().unwrap().text();
    for part in [
        "L4-HONEY-001",
        "Why",
        "What to do",
        "The events",
        ".ssh/id_ed25519",
        "node postinstall.js ← ",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    press(&mut model, &[KeyCode::Esc]);
    assert_eq!(model.overlay, None);
}

#[test]
fn copied_text_is_escaped() {
    let mut model = live(story::unfinished());
    let at = model
        .rows
        .processes
        .iter()
        .position(|line| line.label().contains("evil"))
        .unwrap();
    typed(&mut model, &"j".repeat(at));
    let effects = typed(&mut model, "y");
    let [Effect::Copy(text)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert!(
        text.contains("\\u{202e}evil") && !text.contains('\u{1b}'),
        "{text}"
    );
}

#[test]
fn output_follows_until_someone_scrolls() {
    let mut story = story::Story::new();
    story::boot(&mut story);
    for at in 0..100 {
        story.say(&format!("line {at}\n"));
    }
    let mut entries = story.record(None).0;
    let later = entries.split_off(80);
    let mut model = live(entries);
    typed(&mut model, "o");
    assert!(model.output.offset > 0);
    typed(&mut model, "kk");
    let held = model.output.offset;
    feed(&mut model, later);
    assert_eq!(model.output.offset, held);
    typed(&mut model, "G");
    assert!(render_text(&model, 80, 24).contains("line 99"));
}

#[test]
fn a_quiet_run_still_shows_its_time() {
    let mut model = live(story::unfinished());
    let before = model.revision();
    update(
        &mut model,
        Msg::Tick {
            elapsed: SECOND / 100,
        },
    );
    assert_eq!(model.revision(), before, "nothing to draw");
    let text = render_text(&model, 120, 40);
    update(
        &mut model,
        Msg::Tick {
            elapsed: 90 * SECOND,
        },
    );
    assert_ne!(model.revision(), before);
    assert_ne!(render_text(&model, 120, 40), text);
}
