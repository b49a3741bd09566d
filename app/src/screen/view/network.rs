//! Destinations and names.

use ratatui::layout::Rect;

use super::paint::{Paint, Spans, rows_in};
use crate::screen::model::{Model, Pane};
use crate::screen::rows::NetworkLine;
use crate::screen::text::{bytes, cut, fit, short};
use crate::screen::theme::Role;
use crate::screen::verdict;

pub(super) fn draw(model: &Model, rect: Rect, paint: &mut Paint<'_>) {
    let Some(list) = model.list(Pane::Network) else {
        return;
    };
    let lines = model.rows.network.iter().enumerate().skip(list.offset);
    for ((at, line), row) in lines.zip(rows_in(rect)) {
        let (left, right) = spans(line, usize::from(rect.width));
        paint.both_ends(row, &left, &right);
        if at == list.index && model.focus == Pane::Network {
            paint.select(row);
        }
    }
}

fn spans(line: &NetworkLine, room: usize) -> (Spans, Spans) {
    let mark = verdict::network(line.state);
    let name = if line.state.is_bad() {
        mark.role
    } else {
        Role::Text
    };
    let left = vec![
        (mark.role, format!("{} ", mark.glyph)),
        (name, line.label.clone()),
    ];
    let mut right = Vec::new();
    if room >= 36 && !line.programs.is_empty() {
        right.push((Role::Muted, format!("{} ", cut(&line.programs, room / 5))));
    }
    let volume = line.sent.saturating_add(line.received);
    let times = line.flows.saturating_add(line.refused);
    if volume > 0 {
        right.push((Role::Text, format!("{:>7}", bytes(volume))));
    } else {
        right.push((mark.role, format!("{:>7}", mark.word)));
    }
    let times = if times > 1 {
        format!(" ×{}", short(times))
    } else {
        String::new()
    };
    right.push((Role::Muted, fit(&times, 5)));
    (left, right)
}
