//! Putting styled text into cells.
//!
//! Owns: cutting at the edge, frames, the look of a selected row.
//! Must not: know what is drawn.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, BorderType, Clear, Widget};

use crate::screen::terminal::Look;
use crate::screen::text::{cut, width};
use crate::screen::theme::{Role, Theme};

/// Pieces of a row.
pub(in crate::screen) type Spans = Vec<(Role, String)>;

/// The cells of a frame with a theme.
pub(in crate::screen) struct Paint<'a> {
    cells: &'a mut Buffer,
    theme: &'a Theme,
}

impl<'a> Paint<'a> {
    pub(in crate::screen) fn new(cells: &'a mut Buffer, theme: &'a Theme) -> Self {
        Self { cells, theme }
    }

    /// The ordinary look everywhere.
    pub(in crate::screen) fn ground(&mut self) {
        let area = self.cells.area;
        self.cells.set_style(area, self.theme.style(Role::Text));
    }

    /// Writes pieces one after the other; what does not fit is cut with an ellipsis.
    /// Returns the cells used.
    pub(in crate::screen) fn spans(&mut self, row: Rect, spans: &[(Role, String)]) -> u16 {
        let row = row.intersection(self.cells.area);
        if row.is_empty() {
            return 0;
        }
        let mut x = row.x;
        for (role, text) in spans {
            let room = row.right().saturating_sub(x);
            if room == 0 {
                break;
            }
            let fitting = cut(text, usize::from(room));
            let style = self.theme.style(Role::Text).patch(self.theme.style(*role));
            let (next, _) = self
                .cells
                .set_stringn(x, row.y, &fitting, usize::from(room), style);
            x = next;
            if fitting.len() != text.len() {
                break;
            }
        }
        x - row.x
    }

    /// A line of the guest's terminal.
    pub(in crate::screen) fn guest(&mut self, row: Rect, line: &[(Look, String)]) {
        let row = row.intersection(self.cells.area);
        let mut x = row.x;
        for (look, text) in line {
            let room = usize::from(row.right().saturating_sub(x));
            if row.is_empty() || room == 0 {
                break;
            }
            let style = self.theme.guest(look);
            (x, _) = self.cells.set_stringn(x, row.y, text, room, style);
        }
    }

    /// Pieces at the right end of a row, and others in what is left of it.
    pub(in crate::screen) fn both_ends(
        &mut self,
        row: Rect,
        left: &[(Role, String)],
        right: &[(Role, String)],
    ) {
        let wanted: usize = right.iter().map(|(_, text)| width(text)).sum();
        let wanted = u16::try_from(wanted).unwrap_or(u16::MAX).min(row.width);
        let room = row.width - wanted;
        self.spans(
            Rect {
                width: room.saturating_sub(1),
                ..row
            },
            left,
        );
        self.spans(
            Rect {
                x: row.x + room,
                width: wanted,
                ..row
            },
            right,
        );
    }

    /// A frame with a title in its upper edge; what was there is cleared.
    pub(in crate::screen) fn frame(&mut self, rect: Rect, title: &str, focused: bool) {
        let rect = rect.intersection(self.cells.area);
        let (border, name) = match focused {
            true => (Role::BorderFocus, Role::TitleFocus),
            false => (Role::Border, Role::Title),
        };
        Clear.render(rect, self.cells);
        self.cells.set_style(rect, self.theme.style(Role::Text));
        Block::bordered()
            .border_type(BorderType::Rounded)
            .border_style(self.theme.style(border))
            .render(rect, self.cells);
        if rect.width > 6 {
            let row = Rect {
                x: rect.x + 1,
                width: rect.width - 2,
                height: 1.min(rect.height),
                ..rect
            };
            self.spans(row, &[(name, format!(" {title} "))]);
        }
    }

    /// Takes away what a row shows.
    pub(in crate::screen) fn blank(&mut self, row: Rect) {
        let row = row.intersection(self.cells.area);
        Clear.render(row, self.cells);
        self.cells.set_style(row, self.theme.style(Role::Text));
    }

    /// Marks a row as selected.
    pub(in crate::screen) fn select(&mut self, row: Rect) {
        let row = row.intersection(self.cells.area);
        self.cells.set_style(row, self.theme.style(Role::Selection));
    }

    /// Patches one cell's look.
    pub(in crate::screen) fn touch(&mut self, x: u16, y: u16, role: Role) {
        let cell = Rect::new(x, y, 1, 1).intersection(self.cells.area);
        self.cells.set_style(cell, self.theme.style(role));
    }
}

/// The visible rows of a list: each line with its place, and whether it is selected.
pub(in crate::screen) fn rows_in(rect: Rect) -> impl Iterator<Item = Rect> {
    (rect.y..rect.bottom()).map(move |y| Rect {
        y,
        height: 1,
        ..rect
    })
}

/// As many spaces as a depth takes; deep trees must leave room for text.
pub(in crate::screen) fn indent(depth: usize, room: u16) -> String {
    " ".repeat((depth * 2).min(usize::from(room) / 2))
}
