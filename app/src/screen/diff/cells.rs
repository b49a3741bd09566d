//! What stands in one column of a line of a comparison.
//!
//! Owns: the words and colours of a cell. Must not: place it.

use belljar_replay::compare::Kind;

use super::lines::{Cell, Key, Line, Pair, State};
use super::view::{legend, mark};
use super::{Diff, Side};
use crate::screen::text::{cut, cut_start, grouped, short, width};
use crate::screen::theme::Role;
use crate::screen::verdict::Mark;
use crate::screen::view::paint::Spans;

fn fold(line: &Line) -> &'static str {
    match line.fold {
        Some(true) => "▾ ",
        Some(false) => "▸ ",
        None => "",
    }
}

/// What stands in one column of a line.
pub(super) fn cell(diff: &Diff, line: &Line, side: Side, room: u16) -> (Spans, Spans) {
    let indent = (
        Role::Faint,
        " ".repeat(1 + line.depth.saturating_sub(1) * 2),
    );
    let arrow = (Role::Muted, fold(line).to_owned());
    match &line.key {
        Key::Title(kind) => match side {
            Side::A => (
                vec![indent, arrow, (Role::Title, kind.title().to_owned())],
                Vec::new(),
            ),
            Side::B => {
                let tally = diff.tallies.get(kind).copied().unwrap_or_default();
                let mut spans = vec![indent];
                spans.extend(legend(&tally, false, true));
                (spans, Vec::new())
            }
        },
        Key::Same(_) => {
            let mark = mark(State::Same);
            let text = format!("{} {} the same", mark.glyph, grouped(line.count));
            (vec![indent, arrow, (mark.role, text)], Vec::new())
        }
        Key::Folder(state, folder) => {
            let there = match side {
                Side::A => *state != State::OnlyB,
                Side::B => *state != State::OnlyA,
            };
            if !there {
                return (vec![indent, absent(side)], Vec::new());
            }
            let mark = mark(*state);
            let right = vec![(mark.role, format!(" {} files ", grouped(line.count)))];
            let room = usize::from(room).saturating_sub(16);
            let left = vec![
                indent,
                (mark.role, format!("{} ", mark.glyph)),
                arrow,
                (
                    mark.role,
                    cut_start(&format!("{folder}/"), room).into_owned(),
                ),
            ];
            (left, right)
        }
        Key::Pair(index) => match diff.pairs.get(*index) {
            Some(pair) => thing(pair, side, usize::from(room), indent),
            None => (Vec::new(), Vec::new()),
        },
    }
}

fn absent(side: Side) -> (Role, String) {
    (Role::Faint, format!("· not in {}", side.name()))
}

fn thing(pair: &Pair, side: Side, room: usize, indent: (Role, String)) -> (Spans, Spans) {
    let Some(cell) = pair.cells.get(side as usize).and_then(Option::as_ref) else {
        return (vec![indent, absent(side)], Vec::new());
    };
    let mark = mark(pair.state);
    let right = stands(pair, cell, room);
    let taken: usize = right.iter().map(|(_, text)| width(text)).sum();
    let left = room.saturating_sub(taken + width(&indent.1) + 3);
    let role = match pair.state {
        State::Same => Role::Text,
        _ => mark.role,
    };
    let spans = vec![
        indent,
        (mark.role, format!("{} ", mark.glyph)),
        (role, what(pair, left)),
    ];
    (spans, right)
}

/// Of a path the end says more than the start.
fn what(pair: &Pair, room: usize) -> String {
    match pair.kind {
        Kind::Files => cut_start(&pair.what, room).into_owned(),
        _ => pair.what.clone(),
    }
}

/// `only B  read, written ×3`, as far as there is room.
fn stands(pair: &Pair, cell: &Cell, room: usize) -> Spans {
    let mut spans = Vec::new();
    if room >= 60 && pair.state != State::Same {
        let mark = mark(pair.state);
        spans.push((mark.role, format!("  {}", mark.word)));
    }
    let role = tone(pair.kind, &cell.state);
    let state = cut(&cell.state, room / 3).into_owned();
    spans.push((role, format!("  {state}")));
    if cell.count > 1 && room >= 48 {
        spans.push((Role::Muted, format!(" ×{}", short(cell.count))));
    }
    spans.push((Role::Text, " ".to_owned()));
    spans
}

/// What the words of a state weigh.
fn tone(kind: Kind, state: &str) -> Role {
    match kind {
        Kind::Verdict => judged(state).role,
        Kind::Findings if state.starts_with("critical") => Role::Danger,
        Kind::Findings if state.starts_with("high") => Role::Warning,
        Kind::Findings => Role::Notice,
        Kind::Destinations | Kind::Names | Kind::Files if state.contains("refused") => Role::Denied,
        _ => Role::Muted,
    }
}

/// A verdict by its word.
pub(super) fn judged(word: &str) -> Mark {
    let (glyph, role) = match word {
        "SAFE" => ("✓", Role::Good),
        "MALICIOUS" => ("✗", Role::Danger),
        _ => ("▲", Role::Warning),
    };
    Mark {
        glyph,
        word: "",
        role,
    }
}
