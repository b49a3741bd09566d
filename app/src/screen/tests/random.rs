//! Whatever is pressed, at whatever size, with whatever in the trace: no panic,
//! and nothing of the guest reaches a cell unescaped.

use belljar_event::{Outcome, Output};
use belljar_recorder::Integrity;
use belljar_replay::escape::is_plain;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;

use super::{model, story};
use crate::screen::model::{Effect, Mode, Model, Msg};
use crate::screen::render::{render_at as render, render_text};
use crate::screen::update::{finish, update};
use crate::screen::view::view;

fn code() -> impl Strategy<Value = KeyCode> {
    prop_oneof![
        8 => proptest::sample::select(" phjklgGyvoteem/nN?,.[]<>-+0123456789nq=.xzfbB{}:".chars().collect::<Vec<_>>())
            .prop_map(KeyCode::Char),
        4 => proptest::sample::select(vec![
            KeyCode::Tab, KeyCode::BackTab, KeyCode::Enter, KeyCode::Esc, KeyCode::Left,
            KeyCode::Right, KeyCode::Up, KeyCode::Down, KeyCode::PageUp, KeyCode::PageDown,
            KeyCode::Home, KeyCode::End, KeyCode::F(5), KeyCode::Delete, KeyCode::Backspace,
        ]),
    ]
}

#[derive(Clone, Debug)]
enum Move {
    Key(KeyCode, bool),
    Resize(u16, u16),
    Mouse(u8, u16, u16),
    Tick(u64),
    Feed(usize),
    End(bool),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        12 => (code(), proptest::bool::weighted(0.05)).prop_map(|(code, ctrl)| Move::Key(code, ctrl)),
        1 => (0u16..260, 0u16..70).prop_map(|(w, h)| Move::Resize(w, h)),
        4 => (0u8..5, 0u16..130, 0u16..50).prop_map(|(what, x, y)| Move::Mouse(what, x, y)),
        3 => (0u64..3_000_000_000).prop_map(Move::Tick),
        3 => (1usize..60).prop_map(Move::Feed),
        1 => any::<bool>().prop_map(Move::End),
    ];
    proptest::collection::vec(one, 1..60)
}

/// `after` each move.
fn play(model: &mut Model, moves: Vec<Move>, mut after: impl FnMut(&mut Model)) {
    let mut entries = story::unfinished();
    for one in moves {
        let msg = match one {
            Move::Key(code, ctrl) => {
                let modifiers = if ctrl {
                    KeyModifiers::CONTROL
                } else {
                    KeyModifiers::NONE
                };
                Msg::Key(KeyEvent::new(code, modifiers))
            }
            Move::Mouse(what, column, row) => {
                use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
                let kind = match what {
                    0 => MouseEventKind::Down(MouseButton::Left),
                    1 => MouseEventKind::Drag(MouseButton::Left),
                    2 => MouseEventKind::Up(MouseButton::Left),
                    3 => MouseEventKind::ScrollUp,
                    _ => MouseEventKind::ScrollDown,
                };
                Msg::Mouse(MouseEvent {
                    kind,
                    column,
                    row,
                    modifiers: KeyModifiers::NONE,
                })
            }
            Move::Resize(columns, rows) => Msg::Resize(columns, rows),
            Move::Tick(elapsed) => Msg::Tick { elapsed },
            Move::Feed(count) => Msg::Entries(entries.drain(..count.min(entries.len())).collect()),
            Move::End(whole) => {
                let receipt = story::theft().1.receipt;
                let cut = Integrity::Cut {
                    entries: 1,
                    byte: 2,
                    why: "cut".into(),
                };
                Msg::SourceEnded(if whole {
                    Integrity::Complete { receipt }
                } else {
                    cut
                })
            }
        };
        for effect in update(model, msg) {
            if let Effect::Copy(text) = effect {
                assert!(
                    text.chars().all(|c| c == '\n' || c == '\\' || is_plain(c)),
                    "{text:?}"
                );
            }
        }
        after(model);
        let area = model.layout.area;
        let backend = ratatui::backend::TestBackend::new(area.width, area.height);
        ratatui::Terminal::new(backend)
            .unwrap()
            .draw(|frame| view(model, frame))
            .unwrap();
    }
}

/// True if every cell holds only what may be shown.
fn is_clean(model: &Model, columns: u16, rows: u16) -> bool {
    render(model, columns, rows)
        .content()
        .iter()
        .all(|cell| cell.symbol().chars().all(|c| c == '\\' || is_plain(c)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn random_keys_never_panic(moves in moves(), live: bool) {
        let mode = if live { Mode::Live } else { Mode::Replay };
        let mut model = model(mode, "mono");
        let at_once = if live { usize::MAX } else { 3 };
        model.player.fold_at_once(at_once);
        play(&mut model, moves, |_| {});
        prop_assert!(is_clean(&model, 120, 40));
    }

    #[test]
    fn hostile_bytes_never_reach_a_cell(
        name in proptest::collection::vec(any::<u8>(), 1..60),
        output in proptest::collection::vec(any::<u8>(), 0..300),
        width in 24u16..200,
        height in 6u16..50,
    ) {
        let mut story = story::Story::new();
        story::boot(&mut story);
        let text = belljar_event::Text::new(&name);
        story.exec(9, 300, "/bin/x", &[&String::from_utf8_lossy(&name), "a"]);
        story.push(9, Outcome::Returned(3), belljar_event::Open {
            call: belljar_event::Call(257), path: text.clone(), base: None, file: Some(text), flags: 0, mode: 0,
        });
        story.push(0, Outcome::None, Output { bytes: output.into() });
        let mut model = model(Mode::Live, "dark");
        super::feed(&mut model, story.record(None).0);
        for _ in 0..7 {
            prop_assert!(is_clean(&model, width, height));
            super::press(&mut model, &[KeyCode::End, KeyCode::Char('G'), KeyCode::Enter]);
            prop_assert!(is_clean(&model, width, height));
            super::press(&mut model, &[KeyCode::Esc, KeyCode::Tab]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// However many pieces a move of the playhead takes, it comes to the same.
    #[test]
    fn what_is_folded_in_pieces_is_the_same(moves in moves()) {
        let pictures = |at_once: usize| {
            let mut model = model(Mode::Replay, "mono");
            model.player.fold_at_once(at_once);
            let mut pictures = Vec::new();
            play(&mut model, moves.clone(), |model| {
                finish(model);
                pictures.push(render_text(model, 120, 40));
            });
            pictures
        };
        prop_assert_eq!(pictures(usize::MAX), pictures(2));
    }
}

/// The check above can fail.
#[test]
fn the_cleanliness_check_sees_what_is_hidden() {
    assert!(!is_plain('\u{1b}') && !is_plain('\u{202e}') && !is_plain('\u{200b}'));
}
