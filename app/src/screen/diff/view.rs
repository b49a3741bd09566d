//! The picture of a comparison, as a pure function of its state.
//!
//! ```text
//!  belljar diff  ▲ they differ  + 12 only B  - 3 only A  ~ 2 changed  = 340 same
//! ╭ A  ✓ SAFE  1.2.2.bjt  1,204 events ──╮╭ B  ✗ MALICIOUS  1.2.3.bjt  1,310 events ─╮
//! │ ▾ Findings                           ││ + 2 only B                               │
//! │ · not in A                           ││ + L4-HONEY-001  ~/.aws     only B  high  │
//! ╰──────────────────────────────────────╯╰──────────────────────────────────────────╯
//!  + only B  L4-HONEY-001  ~/.aws  high                              what is selected
//!  Enter open  n/N difference                                                  footer
//! ```
//! Where two columns have no room, one has a line a thing with its mark before it.
//! Owns: drawing. Must not: change anything, or name a colour.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::act::scopes;
use super::cells::{cell, judged};
use super::lines::{Key, Line, Pair, State, Tally};
use super::{Diff, Side};
use crate::screen::layout::{MIN, inner};
use crate::screen::text::{cut, grouped, safe_str};
use crate::screen::theme::Role;
use crate::screen::verdict::Mark;
use crate::screen::view::paint::{Paint, Spans, rows_in};
use crate::screen::view::{boxed, footer, typed_line};

/// From here on the two runs stand side by side.
const TWO: u16 = 72;

/// Glyph, word and colour of a state.
pub(super) fn mark(state: State) -> Mark {
    let (glyph, word, role) = match state {
        State::OnlyB => ("+", "only B", Role::Warning),
        State::OnlyA => ("-", "only A", Role::Decoy),
        State::Changed => ("~", "changed", Role::Accent),
        State::Same => ("=", "same", Role::Muted),
    };
    Mark { glyph, word, role }
}

pub(super) fn is_tiny(area: Rect) -> bool {
    area.width < MIN.0 || area.height < MIN.1
}

/// The room of both frames.
fn body(area: Rect) -> Rect {
    Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(3),
        ..area
    }
}

/// Where the rows stand, both columns together.
pub(super) fn rows(area: Rect) -> Rect {
    inner(body(area))
}

/// Where something opens over them.
pub(super) fn over(area: Rect) -> Rect {
    let body = body(area);
    let (dx, dy) = match area.width {
        ..100 => (0, 0),
        _ => (area.width / 10, 1),
    };
    Rect {
        x: body.x + dx,
        y: body.y + dy,
        width: body.width.saturating_sub(2 * dx),
        height: body.height.saturating_sub(2 * dy),
    }
}

/// Draws the whole screen.
pub(super) fn view(diff: &Diff, frame: &mut Frame<'_>) {
    let mut paint = Paint::new(frame.buffer_mut(), &diff.theme);
    paint.ground();
    let area = diff.area;
    let line = |y: u16| Rect {
        y,
        height: 1,
        ..area
    };
    if is_tiny(area) {
        let mut spans = says(diff);
        spans.push((Role::Text, " · enlarge the terminal".to_owned()));
        paint.spans(line(0), &spans);
        return;
    }
    head(diff, line(0), &mut paint);
    let body = body(area);
    match area.width >= TWO {
        true => two(diff, body, &mut paint),
        false => one(diff, body, &mut paint),
    }
    if let Some(open) = &diff.open {
        boxed(
            over(area),
            &open.title,
            &open.lines,
            open.offset,
            &mut paint,
        );
    }
    let (last, above) = (line(area.bottom() - 1), line(area.bottom() - 2));
    match &diff.prompt {
        Some(prompt) => drop(typed_line(above, " filter: ", prompt, &mut paint)),
        None => {
            paint.spans(above, &selected(diff));
        }
    }
    match &diff.toast {
        Some(toast) => {
            paint.spans(last, &[(Role::Toast, format!(" {}", toast.text))]);
        }
        None => footer::keys(scopes(diff), last, &mut paint),
    }
}

fn says(diff: &Diff) -> Spans {
    let (role, text) = match (&diff.about, diff.tallies.values().any(Tally::differs)) {
        (None, _) => (Role::Muted, "… reading"),
        (Some(_), true) => (Role::Warning, "▲ they differ"),
        (Some(_), false) => (Role::Good, "✓ the same"),
    };
    vec![(role, format!(" {text}"))]
}

/// The numbers of each state, with its word where there is room: they are the legend,
/// too. Those that are zero only where `all` are wanted.
pub(super) fn legend(tally: &Tally, all: bool, words: bool) -> Spans {
    let mut spans = Vec::new();
    for state in State::ALL {
        let (count, mark) = (tally.count(state), mark(state));
        if all || count > 0 {
            let role = if count > 0 { mark.role } else { Role::Faint };
            let gap = if spans.is_empty() { "" } else { "  " };
            let word = if words { mark.word } else { "" };
            let text = format!("{gap}{} {} {word}", mark.glyph, grouped(count));
            spans.push((role, text.trim_end().to_owned()));
        }
    }
    if tally.beyond > 0 {
        let text = format!("  ✗ {} not compared", grouped(tally.beyond));
        spans.push((Role::Danger, text));
    }
    spans
}

fn head(diff: &Diff, row: Rect, paint: &mut Paint<'_>) {
    let mut all = Tally::default();
    for tally in diff.tallies.values() {
        for (sum, count) in all.of.iter_mut().zip(tally.of) {
            *sum = sum.saturating_add(count);
        }
        all.beyond = all.beyond.saturating_add(tally.beyond);
    }
    let mut left = Vec::new();
    if row.width >= TWO {
        left.push((Role::Accent, " belljar diff ".to_owned()));
    }
    left.extend(says(diff));
    left.push((Role::Text, "  ".to_owned()));
    if diff.about.is_some() {
        left.extend(legend(&all, true, row.width >= TWO));
    }
    let mut right = Vec::new();
    if !diff.filter.is_empty() {
        let pairs = diff.lines.iter().filter(|line| match &line.key {
            Key::Pair(_) => true,
            Key::Title(_) => false,
            Key::Same(_) | Key::Folder(..) => line.fold == Some(false),
        });
        let shown: u64 = pairs.map(|line| line.count).sum();
        let room = usize::from(row.width / 3);
        let text = format!("filter: {} · {} ", safe_str(&diff.filter), grouped(shown));
        right.push((Role::Toast, cut(&text, room).into_owned()));
    }
    paint.both_ends(row, &left, &right);
}

/// `A  ✓ SAFE  1.2.2.bjt  1,204 events`.
fn title(diff: &Diff, side: Side, room: usize) -> String {
    let at = side as usize;
    let name = diff.names.get(at).map_or("", String::as_str);
    let file = name.rsplit('/').next().unwrap_or(name);
    let about = diff.about.as_ref().and_then(|about| about.get(at));
    let text = match about {
        None => format!("{}  {}", side.name(), safe_str(file)),
        Some(about) => {
            let damaged = if about.complete { "" } else { "  ✗ damaged" };
            format!(
                "{}  {} {}{damaged}  {}  {} events",
                side.name(),
                judged(&about.verdict).glyph,
                about.verdict,
                safe_str(file),
                grouped(about.events)
            )
        }
    };
    cut(&text, room.saturating_sub(4)).into_owned()
}

/// The lines that are shown, each with its row.
fn shown(diff: &Diff, rect: Rect) -> impl Iterator<Item = (usize, &Line, Rect)> {
    let lines = diff.lines.iter().enumerate().skip(diff.offset);
    lines
        .zip(rows_in(rect))
        .map(|((at, line), row)| (at, line, row))
}

fn waits(diff: &Diff, rect: Rect, paint: &mut Paint<'_>) {
    let text = match (&diff.stage, diff.filter.is_empty()) {
        (Some(stage), _) => safe_str(stage),
        (None, false) => "nothing fits the filter; Esc clears it".to_owned(),
        (None, true) => "neither run did anything".to_owned(),
    };
    let row = Rect {
        height: rect.height.min(1),
        ..rect
    };
    paint.spans(row, &[(Role::Muted, format!(" {text}"))]);
}

/// Both runs side by side: a row is the same thing in both.
fn two(diff: &Diff, body: Rect, paint: &mut Paint<'_>) {
    let half = body.width / 2;
    let left = Rect {
        width: half,
        ..body
    };
    let right = Rect {
        x: body.x + half,
        width: body.width - half,
        ..body
    };
    for (side, rect) in Side::BOTH.into_iter().zip([left, right]) {
        let title = title(diff, side, usize::from(rect.width));
        paint.frame(rect, &title, true);
        let inside = inner(rect);
        if diff.lines.is_empty() {
            waits(diff, inside, paint);
        }
        for (at, line, row) in shown(diff, inside) {
            let (left, right) = cell(diff, line, side, row.width);
            paint.both_ends(row, &left, &right);
            if at == diff.index {
                paint.select(row);
            }
        }
    }
}

/// Both runs in one column.
fn one(diff: &Diff, body: Rect, paint: &mut Paint<'_>) {
    let name = |side| title(diff, side, usize::from(body.width / 2));
    let both = format!("{} │ {}", name(Side::A), name(Side::B));
    paint.frame(body, &both, true);
    let inside = inner(body);
    if diff.lines.is_empty() {
        waits(diff, inside, paint);
    }
    for (at, line, row) in shown(diff, inside) {
        let (left, right) = match &line.key {
            Key::Title(_) => {
                let (mut left, _) = cell(diff, line, Side::A, row.width);
                left.push((Role::Text, "  ".to_owned()));
                left.extend(cell(diff, line, Side::B, row.width).0);
                (left, Vec::new())
            }
            Key::Pair(index) => {
                let pair = diff.pairs.get(*index);
                let only = pair.is_some_and(|pair| pair.state == State::OnlyA);
                cell(diff, line, if only { Side::A } else { Side::B }, row.width)
            }
            Key::Folder(State::OnlyA, _) => cell(diff, line, Side::A, row.width),
            Key::Folder(..) | Key::Same(_) => cell(diff, line, Side::B, row.width),
        };
        paint.both_ends(row, &left, &right);
        if at == diff.index {
            paint.select(row);
        }
    }
}

/// The selected line in words: what had no room above has some here.
fn selected(diff: &Diff) -> Spans {
    let Some(line) = diff.selected() else {
        return Vec::new();
    };
    let (state, text) = match &line.key {
        Key::Title(kind) => {
            let what = format!("{}: {} things", kind.title(), grouped(line.count));
            return vec![(Role::Muted, format!(" {what}"))];
        }
        Key::Same(kind) => {
            let what = format!("{}: {} things", kind.title(), grouped(line.count));
            (State::Same, what)
        }
        Key::Folder(state, folder) => (*state, format!("{folder}/  {} files", grouped(line.count))),
        Key::Pair(index) => match diff.pairs.get(*index) {
            Some(pair) => (pair.state, in_words(pair)),
            None => return Vec::new(),
        },
    };
    let mark = mark(state);
    vec![
        (mark.role, format!(" {} {}  ", mark.glyph, mark.word)),
        (Role::Text, text),
    ]
}

fn in_words(pair: &Pair) -> String {
    match &pair.cells {
        [Some(a), Some(b)] if pair.state == State::Changed => {
            format!("{} → {}  {}", a.state, b.state, pair.what)
        }
        [_, Some(cell)] | [Some(cell), None] => format!("{}  {}", cell.state, pair.what),
        [None, None] => pair.what.clone(),
    }
}
