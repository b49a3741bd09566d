//! The emulated terminal: right at any playhead, obeyed by nobody, bounded.

use belljar_event::{Outcome, Output};
use belljar_recorder::Entry;
use belljar_replay::escape::is_plain;
use belljar_replay::rules::RuleSet;
use belljar_replay::session::Session;
use proptest::prelude::*;

use super::story;
use crate::screen::player::{Motion, Player};
use crate::screen::terminal::Terminal;
use crate::screen::theme::Ink;

fn record(pieces: &[Vec<u8>]) -> Vec<Entry> {
    let mut story = story::Story::new();
    for piece in pieces {
        story.push(
            0,
            Outcome::None,
            Output {
                bytes: piece.clone().into(),
            },
        );
    }
    story.record(None).0
}

fn player(entries: &[Entry]) -> (Player, Terminal) {
    let mut player = Player::new(Session::new(RuleSet::builtin()), Motion::Paused, None);
    let mut terminal = Terminal::default();
    for (at, entry) in entries.iter().enumerate() {
        if matches!(entry.event().fact, belljar_event::Fact::Output(_)) {
            terminal.has_output_at(at, entry);
        }
    }
    player.append(entries.to_vec());
    (player, terminal)
}

/// The lines as text, however many calls it takes.
fn text(player: &Player, terminal: &mut Terminal) -> Vec<String> {
    let mut calls = 0;
    while !terminal.catch_up(player) {
        calls += 1;
        assert!(calls < 10_000, "it must come to an end");
    }
    let join = |line: &Vec<(_, String)>| line.iter().map(|(_, text)| text.as_str()).collect();
    terminal.lines(120).iter().map(join).collect()
}

fn shown(bytes: &[u8]) -> Vec<String> {
    let (mut player, mut terminal) = player(&record(&[bytes.to_vec()]));
    player.seek(player.len());
    text(&player, &mut terminal)
}

#[test]
fn output_is_shown_as_a_terminal_shows_it_and_obeyed_by_nobody() {
    assert_eq!(shown(b"\x1b[1mbold\x1b[0m\r\nnext"), ["bold", "next"]);
    assert_eq!(shown(b"10%\r20%\r30%\r\n"), ["30%"]);
    assert_eq!(
        shown(b"a\x1b]52;c;ZXZpbA==\x07b\x1b]0;title\x1b\\c"),
        ["abc"]
    );
    // Up, and over what is there.
    assert_eq!(shown(b"one\r\ntwo\r\n\x1b[2Axx"), ["xxe", "two"]);
    assert_eq!(shown(b"abd\x08c\r\n"), ["abc"]);
    // A backslash is one; what hides or reorders is a mark.
    assert_eq!(
        shown("a\\b \u{202e}x".as_bytes())[0].chars().next(),
        Some('a')
    );
    assert!(
        shown("\u{202e}x\u{e000}".as_bytes())[0]
            .chars()
            .all(is_plain)
    );
    assert_eq!(shown("日本".as_bytes()), ["日本"]);
    // The other screen goes away as it came.
    assert_eq!(
        shown(b"before\r\n\x1b[?1049hfull screen\x1b[?1049l"),
        ["before"]
    );
    assert_eq!(shown(b"x\x1b[2J").len(), 0);
}

#[test]
fn scrollback_is_bounded_and_in_order() {
    let all: String = (0..5000).map(|at| format!("line {at}\r\n")).collect();
    let lines = shown(all.as_bytes());
    assert_eq!(lines.last().map(String::as_str), Some("line 4999"));
    assert_eq!(lines.len(), 1039, "a thousand above a screen of forty");
    let first = lines[0]
        .strip_prefix("line ")
        .unwrap()
        .parse::<usize>()
        .unwrap();
    let expected: Vec<String> = (first..5000).map(|at| format!("line {at}")).collect();
    assert_eq!(lines, expected);
}

#[test]
fn narrow_panes_hide_nothing() {
    let (mut player, mut terminal) = player(&record(&[vec![b'x'; 119]]));
    player.seek(1);
    assert!(terminal.catch_up(&player));
    let lines = terminal.lines(50);
    assert_eq!(lines.len(), 3);
    assert_eq!(
        lines
            .iter()
            .flatten()
            .map(|(_, text)| text.len())
            .sum::<usize>(),
        119
    );
}

#[test]
fn colours_are_kept_and_hidden_text_is_not_hidden() {
    let (mut player, mut terminal) = player(&record(&[b"\x1b[31mred\x1b[30;40mhidden".to_vec()]));
    player.seek(1);
    assert!(terminal.catch_up(&player));
    let lines = terminal.lines(80);
    assert_eq!(lines[0][0].0.fg, Ink::Index(1));
    assert_eq!(lines[0][1].1, "hidden");
    assert_eq!(
        (lines[0][1].0.fg, lines[0][1].0.bg),
        (Ink::Default, Ink::Default)
    );
}

/// A few bytes that ask for tens of thousands of characters each.
#[test]
fn expensive_output_is_taken_in_pieces() {
    let (mut player, mut terminal) = player(&record(&[b"x\x1b[65535b".repeat(200)]));
    player.seek(player.len());
    assert!(!terminal.catch_up(&player), "more than one call may do");
    let lines = text(&player, &mut terminal);
    assert!(lines.iter().all(|line| line.chars().all(|c| c == 'x')));
}

/// Sequences that are cut by the end of a piece, and enough of all for checkpoints.
fn pieces() -> Vec<Vec<u8>> {
    (0..900)
        .flat_map(|at| {
            let long = "y".repeat(at % 1900);
            let text = format!("\x1b[3{}m{at} {long}\x1b[0m\r\n\x1b[1A\x1b]0;t\x07", at % 8);
            let cut = text.len() / 2;
            let (a, b) = text.as_bytes().split_at(cut - cut % 3);
            [a.to_vec(), b.to_vec()]
        })
        .collect()
}

#[test]
fn any_playhead_equals_output_from_the_start() {
    let entries = record(&pieces());
    let (mut player, mut terminal) = player(&entries);
    let len = entries.len();
    for target in [len, 3, 0, 1200, 1199, 1201, len - 1, 700, 1, len] {
        player.seek(target);
        let found = text(&player, &mut terminal);
        let (_, mut fresh) = self::player(&entries);
        assert_eq!(found, text(&player, &mut fresh), "at {target}");
        // A copy may have to start from a checkpoint, and shows the same.
        assert_eq!(
            found,
            text(&player, &mut terminal.clone()),
            "copied at {target}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn nothing_but_plain_cells_comes_out(pieces in proptest::collection::vec(piece(), 0..60)) {
        let bytes: Vec<u8> = pieces.concat();
        for line in shown(&bytes) {
            prop_assert!(line.chars().all(|c| c == '\\' || is_plain(c)), "{line:?}");
        }
    }

    #[test]
    fn going_back_equals_never_having_gone_on(
        pieces in proptest::collection::vec(proptest::collection::vec(piece(), 0..8).prop_map(|p| p.concat()), 1..12),
        back in any::<proptest::sample::Index>(),
    ) {
        let entries = record(&pieces);
        let (mut player, mut terminal) = player(&entries);
        player.seek(entries.len());
        text(&player, &mut terminal);
        player.seek(back.index(entries.len() + 1));
        let found = text(&player, &mut terminal);
        let (_, mut fresh) = self::player(&entries);
        prop_assert_eq!(found, text(&player, &mut fresh));
    }
}

/// Text, controls, and control sequences with odd numbers.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..12),
        "[a-z\u{300}-\u{310}\u{200b}日本⌫]{0,10}".prop_map(String::into_bytes),
        ("[0-9]{0,6}", "[;:?]{0,2}", "[0-9]{0,4}", "[@-~]")
            .prop_map(|(a, b, c, d)| format!("\x1b[{b}{a};{c}{d}").into_bytes()),
        proptest::sample::select(vec![
            &b"\r\n"[..],
            b"\x1b[?1049h",
            b"\x1b[?1049l",
            b"\x1bM",
            b"\x1bc",
            b"\x1b7",
            b"\x1b8",
            b"\x1b]0;",
            b"\x1bP",
            b"\x07",
            b"\x1b\\",
            b"\x1b[3;5r",
            b"\x1b[?6h",
            b"\t",
            b"\x08",
        ])
        .prop_map(<[u8]>::to_vec),
    ]
}
