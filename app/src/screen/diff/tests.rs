//! Two made-up runs side by side: whole screens, keys, folding, filter, paste.

use belljar_replay::compare::{Alike, Behind, Did, Evident, Gather, Kind};
use belljar_replay::rules::RuleSet;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use super::lines::Key;
use super::{Diff, Found, Side};
use crate::screen::model::{Effect, Msg};
use crate::screen::render::text_of;
use crate::screen::run::Screen;
use crate::screen::tests::story;
use crate::screen::theme::{THEMES, Theme};

type Entries = Vec<belljar_recorder::Entry>;

fn did(entries: &Entries) -> Did {
    let (_, done) = story::theft();
    let start = story::start();
    let mut gather = Gather::new(&start, &RuleSet::builtin(), Alike::default());
    entries.iter().for_each(|entry| gather.push(entry));
    let whole = belljar_recorder::Integrity::Complete {
        receipt: done.receipt,
    };
    gather.finish("t.bjt", &whole)
}

/// A harmless run and a thief, in a theme.
fn diff(theme: &str) -> Diff {
    let (a, b) = (story::unfinished(), story::theft().0);
    let names = ["old/tool-1.2.2.bjt", "new/tool-1.2.3.bjt"].map(str::to_owned);
    let mut diff = Diff::new(Theme::named(theme).unwrap(), names);
    diff.update(Msg::Sides(Box::new((did(&a), did(&b)))));
    diff
}

fn draw(diff: &mut Diff, columns: u16, rows: u16) -> Buffer {
    diff.update(Msg::Resize(columns, rows));
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| diff.view(frame)).unwrap();
    terminal.backend().buffer().clone()
}

fn text(diff: &mut Diff, columns: u16, rows: u16) -> String {
    text_of(&draw(diff, columns, rows))
}

fn press(diff: &mut Diff, code: KeyCode) -> Vec<Effect> {
    diff.update(Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

fn typed(diff: &mut Diff, text: &str) -> Vec<Effect> {
    let keys = text.chars().map(KeyCode::Char);
    keys.flat_map(|code| press(diff, code)).collect()
}

macro_rules! golden {
    ($name:literal, $text:expr) => {
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true, snapshot_path => "../tests/snapshots" }, {
            insta::assert_snapshot!($name, $text);
        });
    };
}

#[test]
fn whole_screens() {
    let mut diff = diff("dark");
    let all: Vec<String> = [(80, 24), (120, 40), (200, 60), (50, 14), (20, 5), (5, 1)]
        .into_iter()
        .map(|(columns, rows)| text(&mut diff, columns, rows))
        .collect();
    golden!("diff", all.join("\n"));
}

#[test]
fn before_anything_is_known() {
    let names = ["a.bjt", "b\u{202e}.bjt"].map(str::to_owned);
    let mut diff = Diff::new(Theme::named("dark").unwrap(), names);
    golden!("diff-reading", text(&mut diff, 80, 10));
}

#[test]
fn drawing_twice_is_equal_in_every_theme() {
    for (theme, _) in THEMES {
        let mut diff = diff(theme);
        assert_eq!(draw(&mut diff, 120, 40), draw(&mut diff, 120, 40));
    }
}

/// What a row says without colour: every state has its glyph and a word.
#[test]
fn states_are_told_without_colour() {
    let mut diff = diff("mono");
    let shown = text(&mut diff, 120, 40);
    for word in ["only B", "= ", "+ ", "not in A", "they differ"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let cells = draw(&mut diff, 120, 40);
    let plain = ratatui::style::Style::default().fg;
    for cell in &cells.content {
        assert!(
            cell.style()
                .fg
                .is_none_or(|fg| Some(fg) == plain || format!("{fg:?}") == "Reset")
        );
    }
}

/// The row with these words, selected.
fn go_to(diff: &mut Diff, words: &str) {
    typed(diff, "/");
    typed(diff, words);
    press(diff, KeyCode::Enter);
    let found = diff
        .lines
        .iter()
        .position(|line| matches!(line.key, Key::Pair(_)));
    diff.index = found.expect("a row with these words");
    diff.keep();
}

#[test]
fn a_row_opens_with_the_events_of_both_runs() {
    let mut diff = diff("dark");
    go_to(&mut diff, "honey .ssh");
    let asked = press(&mut diff, KeyCode::Enter);
    let [Effect::Evidence(wanted)] = asked.as_slice() else {
        panic!("{asked:?}");
    };
    assert_eq!(wanted.kind, Kind::Findings);
    let start = story::start();
    let mut behind = Behind::new(
        &start,
        &RuleSet::builtin(),
        Alike::default(),
        wanted.kind,
        &wanted.what,
    );
    story::theft().0.iter().for_each(|entry| behind.push(entry));
    let events = Ok(behind.finish());
    let late = Found {
        number: wanted.number - 1,
        side: Side::B,
        events: Err("late".into()),
    };
    diff.update(Msg::Found(late));
    let found = |side, events| {
        Msg::Found(Found {
            number: wanted.number,
            side,
            events,
        })
    };
    diff.update(found(Side::A, Ok(Evident::default())));
    diff.update(found(Side::B, events));
    golden!("diff-row", text(&mut diff, 100, 24));
    assert!(press(&mut diff, KeyCode::Esc).is_empty());
    assert!(diff.open.is_none());
}

#[test]
fn every_kind_of_row_has_its_events() {
    let mut all = diff("dark");
    let pairs = std::mem::take(&mut all.pairs);
    let entries = story::theft().0;
    for kind in [
        Kind::Findings,
        Kind::Processes,
        Kind::Destinations,
        Kind::Names,
        Kind::Files,
    ] {
        let of_kind = pairs
            .iter()
            .filter(|pair| pair.kind == kind && pair.cells[1].is_some());
        let mut rows = 0;
        for pair in of_kind {
            rows += 1;
            let mut behind = Behind::new(
                &story::start(),
                &RuleSet::builtin(),
                Alike::default(),
                kind,
                &pair.what,
            );
            entries.iter().for_each(|entry| behind.push(entry));
            let found = behind.finish();
            assert!(found.count > 0, "{kind:?} {}", pair.what);
            assert!(!found.events.is_empty());
        }
        assert!(rows > 0, "no row of {kind:?}");
    }
}

#[test]
fn what_differs_is_stepped_through_and_what_is_the_same_is_folded() {
    let mut diff = diff("dark");
    let differing = diff
        .pairs
        .iter()
        .filter(|pair| pair.state != super::lines::State::Same)
        .count();
    let mut seen = vec![diff.index];
    for _ in 0..200 {
        typed(&mut diff, "n");
        if seen.last() == Some(&diff.index) {
            break;
        }
        seen.push(diff.index);
    }
    let behind: u64 = seen.iter().map(|at| diff.lines[*at].count).sum();
    assert_eq!(behind as usize, differing);
    let folded = diff.lines.len();
    typed(&mut diff, "=");
    assert!(diff.lines.len() > folded);
    typed(&mut diff, "=");
    assert_eq!(diff.lines.len(), folded);
    // A title folds what is below it, and a row goes to what it stands below.
    typed(&mut diff, "gh");
    assert!(diff.lines.len() < folded);
    typed(&mut diff, "l");
    assert_eq!(diff.lines.len(), folded);
    typed(&mut diff, "jh");
    assert_eq!(diff.index, 0);
}

#[test]
fn a_filter_narrows_and_what_is_pasted_is_no_key() {
    let mut diff = diff("dark");
    let before = diff.lines.len();
    // Nothing is typed: nothing happens, whatever is pasted.
    diff.update(Msg::Paste("q/=?\r\u{1b}".into()));
    assert!(diff.open.is_none() && diff.prompt.is_none() && diff.filter.is_empty());
    typed(&mut diff, "/");
    diff.update(Msg::Paste("FINDINGS\nhoney\u{202e}\u{1b}[2J".into()));
    assert_eq!(diff.filter, "FINDINGS honey[2J");
    press(&mut diff, KeyCode::Enter);
    assert!(diff.lines.is_empty());
    assert!(text(&mut diff, 80, 24).contains("nothing fits the filter"));
    press(&mut diff, KeyCode::Esc);
    assert_eq!(diff.lines.len(), before);
    typed(&mut diff, "/zzz");
    press(&mut diff, KeyCode::Esc);
    assert_eq!((diff.filter.as_str(), diff.lines.len()), ("", before));
}

#[test]
fn a_row_is_copied_as_one_word() {
    let mut diff = diff("dark");
    go_to(&mut diff, "honey .ssh");
    let copied = typed(&mut diff, "y");
    let [Effect::Copy(text)] = copied.as_slice() else {
        panic!("{copied:?}");
    };
    assert!(text.starts_with('\'') && text.ends_with('\''), "{text}");
}
