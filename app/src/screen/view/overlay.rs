//! Overlays and the error pane.

use ratatui::layout::Rect;

use super::paint::{Paint, rows_in};
use crate::screen::layout::inner;
use crate::screen::model::{Failure, Model};
use crate::screen::overlay::Overlay;
use crate::screen::text::{safe_str, wrap};
use crate::screen::theme::Role;

pub(super) fn draw(model: &Model, open: &Overlay, paint: &mut Paint<'_>) {
    let rect = model.layout.overlay;
    let rows = usize::from(inner(rect).height);
    let more = open.lines.len() > rows;
    let title = match more {
        true => {
            let last = (open.offset + rows).min(open.lines.len());
            format!("{}  {}-{last} of {}", open.title, open.offset + 1, open.lines.len())
        }
        false => open.title.clone(),
    };
    paint.frame(rect, &title, true);
    for (line, row) in open.lines.iter().skip(open.offset).zip(rows_in(inner(rect))) {
        let row = Rect { x: row.x.saturating_add(1), width: row.width.saturating_sub(2), ..row };
        paint.spans(row, line);
    }
}

/// An error printed under the alternate screen is lost: it gets a pane.
pub(super) fn failure(model: &Model, failure: &Failure, paint: &mut Paint<'_>) {
    let rect = model.layout.overlay;
    paint.frame(rect, "✗ stopped", true);
    let room = usize::from(inner(rect).width).saturating_sub(2);
    let mut lines: Vec<(Role, String)> =
        wrap(&safe_str(&failure.what), room).into_iter().map(|line| (Role::Danger, line)).collect();
    lines.push((Role::Text, String::new()));
    for hint in failure.hints.iter().take(40) {
        lines.extend(wrap(&safe_str(hint), room).into_iter().map(|line| (Role::Text, line)));
    }
    lines.push((Role::Text, String::new()));
    lines.push((Role::Muted, "What was recorded until then can still be looked at after leaving: q".to_owned()));
    for (line, row) in lines.into_iter().zip(rows_in(inner(rect))) {
        let row = Rect { x: row.x.saturating_add(1), width: row.width.saturating_sub(2), ..row };
        paint.spans(row, &[line]);
    }
}
