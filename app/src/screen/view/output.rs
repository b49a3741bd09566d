//! The end of what the payload wrote to its terminal.

use ratatui::layout::Rect;

use super::paint::{Paint, rows_in};
use crate::screen::model::Model;
use crate::screen::theme::Role;

pub(super) fn draw(model: &Model, rect: Rect, paint: &mut Paint<'_>) {
    let lines = model.rows.output.iter().skip(model.output.offset);
    for (line, row) in lines.zip(rows_in(rect)) {
        paint.spans(
            row,
            &[(Role::Text, " ".to_owned()), (Role::Text, line.clone())],
        );
    }
}
