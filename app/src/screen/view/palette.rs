//! The command palette.

use ratatui::layout::Rect;

use super::paint::{Paint, rows_in};
use crate::screen::layout::inner;
use crate::screen::palette::Palette;
use crate::screen::text::{cut, fit, width};
use crate::screen::theme::Role;

/// Room for keys.
const KEYS: usize = 12;

/// Draws it where overlays stand.
pub(super) fn draw(palette: &Palette, rect: Rect, paint: &mut Paint<'_>) {
    let title = format!("commands {}", palette.lines.len());
    paint.frame(rect, &title, true);
    let inside = inner(rect);
    let mut rows = rows_in(inside);
    let Some(line) = rows.next() else { return };
    let room = usize::from(line.width).saturating_sub(4);
    let text = palette.typed.text();
    paint.spans(
        line,
        &[
            (Role::Key, " ▸ ".to_owned()),
            (Role::Text, cut(text, room).into_owned()),
        ],
    );
    let before = text.get(..palette.typed.cursor()).unwrap_or_default();
    let at = u16::try_from(3 + width(before)).unwrap_or(u16::MAX);
    paint.touch(
        line.x + at.min(line.width.saturating_sub(1)),
        line.y,
        Role::Playhead,
    );
    let shown = usize::from(inside.height).saturating_sub(1);
    let first = (palette.at + 1).saturating_sub(shown);
    if palette.lines.is_empty() {
        if let Some(row) = rows.next() {
            paint.spans(row, &[(Role::Muted, " nothing fits".to_owned())]);
        }
        return;
    }
    let lines = palette.lines.iter().enumerate().skip(first);
    for ((at, line), row) in lines.zip(rows) {
        let key = format!(" {} ", fit(&line.key, KEYS));
        let mut spans = vec![(Role::Key, key), (Role::Text, line.text.clone())];
        if !line.label.is_empty() {
            spans.push((Role::Muted, format!("  {}", line.label)));
        }
        paint.spans(row, &spans);
        if at == palette.at {
            paint.select(row);
        }
    }
}
