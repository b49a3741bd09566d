//! What stands over the panes.

use ratatui::layout::Rect;

use super::paint::{Paint, rows_in};
use crate::screen::layout::inner;
use crate::screen::model::Model;
use crate::screen::overlay::Overlay;

pub(super) fn draw(model: &Model, open: &Overlay, paint: &mut Paint<'_>) {
    let rect = model.layout.overlay;
    let rows = usize::from(inner(rect).height);
    let more = open.lines.len() > rows;
    let title = match more {
        true => {
            let last = (open.offset + rows).min(open.lines.len());
            format!(
                "{}  {}-{last} of {}",
                open.title,
                open.offset + 1,
                open.lines.len()
            )
        }
        false => open.title.clone(),
    };
    paint.frame(rect, &title, true);
    for (line, row) in open
        .lines
        .iter()
        .skip(open.offset)
        .zip(rows_in(inner(rect)))
    {
        let row = Rect {
            x: row.x.saturating_add(1),
            width: row.width.saturating_sub(2),
            ..row
        };
        paint.spans(row, line);
    }
}
