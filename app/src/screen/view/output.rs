//! The payload's terminal, as it stood at the playhead.

use ratatui::layout::Rect;

use super::paint::{Paint, rows_in};
use crate::screen::model::Model;

pub(super) fn draw(model: &Model, rect: Rect, paint: &mut Paint<'_>) {
    let rect = Rect {
        x: rect.x.saturating_add(1),
        width: rect.width.saturating_sub(1),
        ..rect
    };
    let lines = model.rows.output.iter().skip(model.output.offset);
    for (line, row) in lines.zip(rows_in(rect)) {
        paint.guest(row, line);
    }
}
