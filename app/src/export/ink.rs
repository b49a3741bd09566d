//! Colours of cells as red, green and blue, for pictures.
//!
//! Owns: the terminal's palette, and runs of cells that look the same.
//! Must not: choose colours; the theme does.

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use crate::screen::Theme;

/// How cells look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) fg: Rgb,
    /// Nothing: the page's.
    pub(super) bg: Option<Rgb>,
    pub(super) bold: bool,
    pub(super) italic: bool,
    pub(super) underline: bool,
    pub(super) dim: bool,
}

impl Look {
    /// How a format says that text is bold, italic, underlined and dim: of these
    /// words the ones that hold, one behind the other.
    pub(super) fn marks(&self, words: [&'static str; 4]) -> String {
        let holds = [self.bold, self.italic, self.underline, self.dim];
        let marks = holds.iter().zip(words).filter(|(holds, _)| **holds);
        marks.map(|(_, word)| word).collect()
    }
}

/// Red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Rgb(pub(super) u8, pub(super) u8, pub(super) u8);

impl std::fmt::Display for Rgb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// Cells beside each other that look the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// First column.
    pub(super) column: u16,
    /// Columns.
    pub(super) width: u16,
    pub(super) text: String,
    pub(super) look: Look,
}

/// The page: what a cell without a colour of its own has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) fg: Rgb,
    pub(super) bg: Rgb,
}

const DARK: Page = Page {
    fg: Rgb(0xd0, 0xd0, 0xd0),
    bg: Rgb(0x14, 0x16, 0x1b),
};
const LIGHT: Page = Page {
    fg: Rgb(0x20, 0x20, 0x20),
    bg: Rgb(0xfb, 0xfb, 0xf8),
};

impl Page {
    /// The page that a theme was made for: it leaves the background to the terminal.
    pub(super) fn of(theme: &Theme) -> Self {
        let (fg, bg) = theme.page();
        let page = match fg.map(rgb) {
            Some(Rgb(red, green, blue))
                if u32::from(red) + u32::from(green) + u32::from(blue) < 384 =>
            {
                LIGHT
            }
            _ => DARK,
        };
        Self {
            fg: fg.map_or(page.fg, rgb),
            bg: bg.map_or(page.bg, rgb),
        }
    }

    pub(super) fn look(self, cell: &Cell) -> Look {
        let has = |modifier| cell.modifier.contains(modifier);
        let own = |colour| match colour {
            Color::Reset => None,
            colour => Some(rgb(colour)),
        };
        let (fg, bg) = (own(cell.fg), own(cell.bg));
        let (fg, bg) = match has(Modifier::REVERSED) {
            true => (bg.unwrap_or(self.bg), Some(fg.unwrap_or(self.fg))),
            false => (fg.unwrap_or(self.fg), bg),
        };
        Look {
            fg,
            bg,
            bold: has(Modifier::BOLD),
            italic: has(Modifier::ITALIC),
            underline: has(Modifier::UNDERLINED),
            dim: has(Modifier::DIM),
        }
    }

    /// A row in runs; spaces without a background of their own are left out.
    pub(super) fn runs(self, cells: &Buffer, row: u16) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let mut skip = 0;
        for column in 0..cells.area.width {
            let Some(cell) = cells.cell((column, row)) else {
                continue;
            };
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let wide = crate::screen::width(cell.symbol()).max(1);
            skip = wide - 1;
            let wide = u16::try_from(wide).unwrap_or(1);
            let look = self.look(cell);
            match runs.last_mut() {
                Some(last) if last.look == look && last.column + last.width == column => {
                    last.text.push_str(cell.symbol());
                    last.width += wide;
                }
                _ => runs.push(Run {
                    column,
                    width: wide,
                    text: cell.symbol().to_owned(),
                    look,
                }),
            }
        }
        let blank = |run: &Run| {
            run.look.bg.is_none() && !run.look.underline && run.text.chars().all(|c| c == ' ')
        };
        runs.retain(|run| !blank(run));
        runs
    }
}

/// The first sixteen, as xterm has them.
const NAMED: [Rgb; 16] = [
    Rgb(0x00, 0x00, 0x00),
    Rgb(0xcd, 0x00, 0x00),
    Rgb(0x00, 0xcd, 0x00),
    Rgb(0xcd, 0xcd, 0x00),
    Rgb(0x00, 0x00, 0xee),
    Rgb(0xcd, 0x00, 0xcd),
    Rgb(0x00, 0xcd, 0xcd),
    Rgb(0xe5, 0xe5, 0xe5),
    Rgb(0x7f, 0x7f, 0x7f),
    Rgb(0xff, 0x00, 0x00),
    Rgb(0x00, 0xff, 0x00),
    Rgb(0xff, 0xff, 0x00),
    Rgb(0x5c, 0x5c, 0xff),
    Rgb(0xff, 0x00, 0xff),
    Rgb(0x00, 0xff, 0xff),
    Rgb(0xff, 0xff, 0xff),
];

fn rgb(colour: Color) -> Rgb {
    match colour {
        Color::Rgb(red, green, blue) => Rgb(red, green, blue),
        Color::Indexed(index) => indexed(index),
        Color::Reset | Color::Black => indexed(0),
        Color::Red => indexed(1),
        Color::Green => indexed(2),
        Color::Yellow => indexed(3),
        Color::Blue => indexed(4),
        Color::Magenta => indexed(5),
        Color::Cyan => indexed(6),
        Color::Gray => indexed(7),
        Color::DarkGray => indexed(8),
        Color::LightRed => indexed(9),
        Color::LightGreen => indexed(10),
        Color::LightYellow => indexed(11),
        Color::LightBlue => indexed(12),
        Color::LightMagenta => indexed(13),
        Color::LightCyan => indexed(14),
        Color::White => indexed(15),
    }
}

/// The palette of 256: sixteen, a cube of six by six by six, and greys.
fn indexed(index: u8) -> Rgb {
    if let Some(named) = NAMED.get(usize::from(index)) {
        return *named;
    }
    if index >= 232 {
        let grey = 8 + 10 * (index - 232);
        return Rgb(grey, grey, grey);
    }
    let cube = index - 16;
    let side = |part: u8| if part == 0 { 0 } else { 55 + 40 * part };
    Rgb(side(cube / 36), side(cube / 6 % 6), side(cube % 6))
}

/// Red, green and blue of a colour.
#[cfg(test)]
pub(crate) fn parts(colour: Color) -> (u8, u8, u8) {
    let Rgb(red, green, blue) = rgb(colour);
    (red, green, blue)
}

/// Text inside of XML and HTML. What neither may hold is left out.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}
