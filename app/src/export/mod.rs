//! Pictures and recordings of the screen, made from a trace without a terminal.
//!
//! Owns: the film (which frame stands when), and the formats it is written in.
//! Must not: know a clock or a pane. The same trace, rules, size, theme and keys
//! give the same bytes.

mod animation;
mod cast;
mod film;
mod glyphs;
mod html;
mod ink;
mod script;
mod shapes;
mod svg;

#[cfg(test)]
mod tests;

pub(crate) use animation::animation;
pub(crate) use cast::cast;
pub(crate) use film::{Film, Frame};
pub(crate) use html::html;
#[cfg(test)]
pub(crate) use ink::parts as rgb;
pub(crate) use script::Script;
pub(crate) use svg::{animated, still};

/// What stands in a title, and what must not be drawn with a size of nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Columns.
    pub(crate) columns: u16,
    /// Rows.
    pub(crate) rows: u16,
}

/// Smallest and largest size of a picture.
const SIDES: (std::ops::RangeInclusive<u16>, std::ops::RangeInclusive<u16>) = (20..=400, 5..=200);

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (columns, rows) = text.split_once(['x', 'X'])?;
            let (columns, rows) = (columns.parse().ok()?, rows.parse().ok()?);
            let fits = SIDES.0.contains(&columns) && SIDES.1.contains(&rows);
            fits.then_some(Self { columns, rows })
        };
        read().ok_or_else(|| format!("`{text}`: write columns and rows, as in 120x36"))
    }
}
