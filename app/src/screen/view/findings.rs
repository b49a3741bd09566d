//! Findings, the worst first.

use ratatui::layout::Rect;

use super::paint::{Paint, Spans, rows_in};
use crate::screen::model::{Model, Pane};
use crate::screen::rows::FindingLine;
use crate::screen::text::{clock, cut, fit, grouped};
use crate::screen::theme::Role;
use crate::screen::verdict;

pub(super) fn draw(model: &Model, rect: Rect, paint: &mut Paint<'_>) {
    let Some(list) = model.list(Pane::Findings) else {
        return;
    };
    let first = model.player.range().0;
    let ids = model.rows.ids.min(if rect.width >= 90 { 28 } else { 14 });
    let lines = (list.offset..).zip(&model.rows.seen);
    for ((at, line), row) in lines.zip(rows_in(rect)) {
        let (left, right) = spans(line, first, ids, usize::from(rect.width));
        paint.both_ends(row, &left, &right);
        if at == list.index && model.focus == Pane::Findings {
            paint.select(row);
        }
    }
}

fn spans(line: &FindingLine, first: u64, ids: usize, room: usize) -> (Spans, Spans) {
    let mark = verdict::severity(line.severity);
    let left = vec![
        (mark.role, format!("{} {} ", mark.glyph, fit(mark.word, 8))),
        (Role::Accent, format!("{}  ", fit(&line.id, ids))),
        (Role::Text, format!("{}  ", line.title)),
        (Role::Muted, line.subject.clone()),
    ];
    let mut right = Vec::new();
    if room >= 90 {
        right.push((Role::Muted, format!("{}  ", cut(&line.lineage, room / 4))));
    }
    if line.count > 1 {
        right.push((Role::Muted, format!("×{}  ", grouped(line.count))));
    }
    right.push((
        Role::Text,
        format!("{:>7} ", clock(line.at.saturating_sub(first))),
    ));
    (left, right)
}
