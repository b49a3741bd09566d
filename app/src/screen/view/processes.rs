//! The process tree.

use ratatui::layout::Rect;

use super::paint::{Paint, Spans, indent, rows_in};
use crate::screen::model::{Model, Pane};
use crate::screen::rows::{Fold, ProcessLine};
use crate::screen::theme::Role;
use crate::screen::verdict;

pub(super) fn draw(model: &Model, rect: Rect, paint: &mut Paint<'_>) {
    let Some(list) = model.list(Pane::Processes) else {
        return;
    };
    let lines = model.rows.processes.iter().enumerate().skip(list.offset);
    for ((at, line), row) in lines.zip(rows_in(rect)) {
        let (left, right) = spans(line, rect.width);
        paint.both_ends(row, &left, &right);
        if at == list.index && model.focus == Pane::Processes {
            paint.select(row);
        }
    }
}

fn spans(line: &ProcessLine, room: u16) -> (Spans, Spans) {
    let mark = line.worst.map(verdict::severity);
    let role = match (line.running, mark) {
        (_, Some(mark)) => mark.role,
        (true, None) => Role::Text,
        (false, None) => Role::Faint,
    };
    let left = vec![
        (role, format!("{} ", mark.map_or(" ", |mark| mark.glyph))),
        (Role::Faint, indent(line.depth, room)),
        (Role::Muted, fold(line.fold).to_owned()),
        (role, line.label()),
    ];
    let said = line.note();
    let note = if said.is_empty() {
        String::new()
    } else {
        format!(" {said} ")
    };
    let tone = if said.starts_with("exit") || said.starts_with("signal") {
        Role::Notice
    } else {
        Role::Muted
    };
    let mut right = Vec::new();
    for (is, origin) in [
        (line.dropped, verdict::DROPPED),
        (line.hidden, verdict::HIDDEN),
    ] {
        if is {
            let text = match room >= 44 {
                true => format!(" {} {}", origin.glyph, origin.word),
                false => format!(" {}", origin.glyph),
            };
            right.push((origin.role, text));
        }
    }
    right.push((tone, note));
    (left, right)
}

/// The mark before a row that folds.
pub(super) fn fold(fold: Fold) -> &'static str {
    match fold {
        Fold::Leaf => "  ",
        Fold::Open => "▾ ",
        Fold::Closed => "▸ ",
    }
}
