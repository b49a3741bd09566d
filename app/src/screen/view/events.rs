//! The list of events before the playhead.

use ratatui::layout::Rect;

use super::paint::{Paint, rows_in};
use crate::screen::model::{Model, Pane};
use crate::screen::text::{clock, fit, grouped, safe_str};
use crate::screen::theme::Role;

pub(super) fn draw(model: &Model, rect: Rect, paint: &mut Paint<'_>) {
    let Some(list) = model.list(Pane::Events) else {
        return;
    };
    let first = model.player.range().0;
    let who = usize::from(rect.width / 4).clamp(8, 28);
    for ((at, line), row) in (list.offset..).zip(&model.rows.events).zip(rows_in(rect)) {
        let time = clock(line.at.saturating_sub(first));
        let mut left = vec![
            (Role::Text, format!(" {time:>8} ")),
            (Role::Muted, format!("#{:<8} ", line.seq)),
            (Role::Accent, format!("{}  ", fit(&line.process, who))),
        ];
        if model.mark(line.seq).is_some() {
            left.push((Role::Accent, "⚑ ".to_owned()));
        }
        if let Some(row) = model.otherwise(line.seq) {
            let mark = crate::screen::other::mark(row);
            left.push((mark.role, format!("≠ {} ", mark.word)));
        }
        if line.open {
            left.push((Role::Notice, "≈ ".to_owned()));
        }
        left.push((Role::Text, line.summary.clone()));
        paint.spans(row, &left);
        if at == list.index && model.focus == Pane::Events {
            paint.select(row);
        }
    }
}

/// `1,284`, or `12 of 1,284 · searched 43 % · FILTER`.
pub(super) fn count(model: &Model, room: usize) -> Option<String> {
    let all = model.player.position() as u64;
    let matching = grouped(model.rows.events_total as u64);
    let Some(filter) = &model.filter else {
        return (all > 0).then(|| match model.only.is_some() {
            true => format!("{matching} of {}", grouped(all)),
            false => grouped(all),
        });
    };
    let mut text = format!("{matching} of {} · ", grouped(all));
    let (searched, len) = (filter.searched(), model.player.len());
    if searched < len {
        let percent = searched as u128 * 100 / len as u128;
        text.push_str(&format!("searched {percent} % · "));
    }
    text.push_str(&format!("filter: {}", safe_str(filter.source())));
    Some(crate::screen::text::cut(&text, room.saturating_sub("events ".len())).into_owned())
}
