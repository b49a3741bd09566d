//! What stands over the panes.

use ratatui::layout::Rect;

use super::paint::{Paint, rows_in};
use crate::screen::layout::inner;
use crate::screen::model::Model;
use crate::screen::overlay::{Overlay, Span};

pub(super) fn draw(model: &Model, open: &Overlay, paint: &mut Paint<'_>) {
    let rect = model.layout.overlay;
    boxed(rect, &open.title, &open.lines, open.offset, paint);
}

/// Lines in a frame, from `offset` on; the title says which, if they are not all.
pub(in crate::screen) fn boxed(
    rect: Rect,
    title: &str,
    lines: &[Vec<Span>],
    offset: usize,
    paint: &mut Paint<'_>,
) {
    let rows = usize::from(inner(rect).height);
    let title = match lines.len() > rows {
        true => {
            let last = (offset + rows).min(lines.len());
            format!("{title}  {}-{last} of {}", offset + 1, lines.len())
        }
        false => title.to_owned(),
    };
    paint.frame(rect, &title, true);
    for (line, row) in lines.iter().skip(offset).zip(rows_in(inner(rect))) {
        let row = Rect {
            x: row.x.saturating_add(1),
            width: row.width.saturating_sub(2),
            ..row
        };
        paint.spans(row, line);
    }
}
