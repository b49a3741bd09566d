//! Destinations and names.
//!
//! ```text
//! ✗ drop.example          curl  ▁▁▂  ▇    refused by default:4      refused ×3
//! ✓ files.example  tls ✓  node  ▂▂▇▁      by npm:2                   4.1 MB
//! ```
//! The name comes before everything else. What is left of the row goes to programs,
//! what happened over time, and the line that decided, in this order.

use ratatui::layout::Rect;

use super::paint::{Paint, Spans, rows_in};
use super::timeline::BARS;
use crate::screen::model::{Model, Pane};
use crate::screen::rows::{NetworkLine, RowKey};
use crate::screen::text::{bytes, fit, short, width};
use crate::screen::theme::Role;
use crate::screen::verdict;

/// Cells of the last column: how much or how it stands, and how often.
const END: usize = 12;
/// Cells that programs have at most.
const PROGRAMS: usize = 14;
/// Cells of what happened over time: fewer say nothing, more are not needed.
const OVER_TIME: (usize, usize) = (8, 24);
/// Cells of the line that decided.
const LINE: (usize, usize) = (14, 36);

/// How many cells each column has; 0: it is left out.
#[derive(Clone, Copy, Debug, Default)]
struct Columns {
    programs: usize,
    over_time: usize,
    line: usize,
}

impl Columns {
    fn of(model: &Model, shown: &[&NetworkLine], room: usize) -> Self {
        let widest = |of: &dyn Fn(&NetworkLine) -> usize| {
            shown.iter().map(|line| of(line)).max().unwrap_or(0)
        };
        let name = widest(&|line| {
            let said: usize = said(model, line).iter().map(|(_, text)| width(text)).sum();
            width(&line.label) + said
        });
        let mut left = room.saturating_sub(name.min(room / 2) + END + 4);
        let mut take = |(least, most): (usize, usize)| {
            // One cell stands between two columns.
            let cells = if left > least {
                (left - 1).min(most)
            } else {
                0
            };
            left -= if cells > 0 { cells + 1 } else { 0 };
            cells
        };
        let programs = widest(&|line| width(&line.programs)).min(PROGRAMS);
        let mut columns = Self {
            programs: if programs > 0 {
                take((programs, programs))
            } else {
                0
            },
            over_time: take((OVER_TIME.0, OVER_TIME.0)),
            line: 0,
        };
        let by = widest(&|line| width(&decided(line).1)).min(LINE.1);
        columns.line = take((LINE.0.min(by.max(1)), by.max(1)));
        columns.over_time += match columns.over_time {
            0 => 0,
            _ => take((0, OVER_TIME.1 - OVER_TIME.0)),
        };
        columns
    }
}

pub(super) fn draw(model: &Model, rect: Rect, paint: &mut Paint<'_>) {
    let Some(list) = model.list(Pane::Network) else {
        return;
    };
    let lines = model.rows.network.iter().enumerate().skip(list.offset);
    let shown: Vec<_> = lines.take(usize::from(rect.height)).collect();
    let all: Vec<&NetworkLine> = shown.iter().map(|(_, line)| *line).collect();
    let columns = Columns::of(model, &all, usize::from(rect.width));
    for ((at, line), row) in shown.into_iter().zip(rows_in(rect)) {
        let mut left = left(line);
        left.extend(said(model, line));
        let mut right = middle(model, line, columns);
        right.extend(end(line));
        paint.both_ends(row, &left, &right);
        if at == list.index && model.focus == Pane::Network {
            paint.select(row);
        }
    }
}

fn left(line: &NetworkLine) -> Spans {
    let mark = verdict::network(line.state);
    let name = if line.state.is_bad() {
        mark.role
    } else {
        Role::Text
    };
    vec![
        (mark.role, format!("{} ", mark.glyph)),
        (name, line.label.clone()),
    ]
}

/// What the clients called it in TLS: the same, which is a tick, or something else.
fn said(model: &Model, line: &NetworkLine) -> Spans {
    let RowKey::Destination(name, port) = &line.key else {
        return Vec::new();
    };
    let said = model.pulse.said(name, *port, model.newest_shown());
    let other = said.iter().find(|said| **said != name.as_str());
    match (said.is_empty(), other) {
        (true, _) => Vec::new(),
        (false, None) => vec![(Role::Muted, "  tls ✓".to_owned())],
        (false, Some(other)) => vec![(Role::Warning, format!("  tls ≠ {other}"))],
    }
}

/// Which line decided, in words.
fn decided(line: &NetworkLine) -> (Role, String) {
    match (line.by.is_empty(), line.state.is_bad()) {
        (true, _) => (Role::Muted, String::new()),
        (_, true) => (Role::Denied, belljar_event::refused_by(&line.by)),
        (_, false) => (Role::Muted, format!("by {}", line.by)),
    }
}

/// Who went there, attempts and bytes over time up to the playhead, and the line.
fn middle(model: &Model, line: &NetworkLine, columns: Columns) -> Spans {
    let mut spans = Vec::new();
    if columns.programs > 0 {
        let text = format!(" {}", fit(&line.programs, columns.programs));
        spans.push((Role::Muted, text));
    }
    if columns.over_time > 0 {
        let bars = match &line.key {
            RowKey::Destination(name, port) => {
                let end = model.player.now();
                model.pulse.bars(name, *port, end, columns.over_time)
            }
            _ => vec![0; columns.over_time],
        };
        let bar = |height: u8| BARS.get(usize::from(height)).copied().unwrap_or(" ");
        let text: String = std::iter::once(" ")
            .chain(bars.into_iter().map(bar))
            .collect();
        spans.push((Role::Density, text));
    }
    if columns.line > 0 {
        let (role, text) = decided(line);
        spans.push((role, format!(" {}", fit(&text, columns.line))));
    }
    spans
}

/// How much, or how it stands; and how often.
fn end(line: &NetworkLine) -> Spans {
    let mark = verdict::network(line.state);
    let volume = line.sent.saturating_add(line.received);
    let times = line.flows.saturating_add(line.refused);
    let (role, text) = match volume {
        0 => (mark.role, mark.word.to_owned()),
        _ => (Role::Text, bytes(volume)),
    };
    let pad = " ".repeat(8usize.saturating_sub(width(&text)));
    let times = if times > 1 {
        format!(" ×{}", short(times))
    } else {
        String::new()
    };
    vec![
        (role, format!("{pad}{text}")),
        (Role::Muted, fit(&times, 5)),
    ]
}
