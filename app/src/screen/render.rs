//! The screen without a terminal: for tests, and for pictures and recordings.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use super::model::{Model, Msg};
use super::update::update;
use super::view::view;

/// The screen's cells, at the model's own size.
#[must_use]
pub(crate) fn render(model: &Model) -> Buffer {
    let area = model.layout.area;
    let mut cells = Buffer::default();
    // The test backend cannot fail.
    if let Ok(mut terminal) = Terminal::new(TestBackend::new(area.width, area.height))
        && terminal.draw(|frame| view(model, frame)).is_ok()
    {
        cells = terminal.backend().buffer().clone();
    }
    cells
}

/// A key without anything held.
pub(crate) fn press(model: &mut Model, c: char) {
    let key = KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE);
    update(model, Msg::Key(key));
}

/// The screen's cells at another size.
#[cfg(test)]
pub(super) fn render_at(model: &Model, columns: u16, rows: u16) -> Buffer {
    let mut model = model.clone();
    update(&mut model, Msg::Resize(columns, rows));
    render(&model)
}

/// The screen as text, `columns` by `rows`, without spaces at line ends.
#[cfg(test)]
pub(crate) fn render_text(model: &Model, columns: u16, rows: u16) -> String {
    text_of(&render_at(model, columns, rows))
}

/// Cells as text, without spaces at line ends.
#[cfg(test)]
pub(super) fn text_of(cells: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..cells.area.height {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..cells.area.width {
            let Some(cell) = cells.cell((x, y)) else {
                continue;
            };
            if skip > 0 {
                skip -= 1;
                continue;
            }
            // A wide character takes the next cell with it.
            skip = super::text::width(cell.symbol()).saturating_sub(1);
            line.push_str(cell.symbol());
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
