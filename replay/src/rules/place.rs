//! Where in a file a place in one of its strings stands.
//!
//! Owns: the translation from an offset in a condition to line and column of
//! the YAML or TOML around it, folded and quoted scalars included.
//! Must not: parse YAML or TOML.

use crate::cond::position;

/// Line and column, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Place {
    /// Of a byte offset in the file.
    pub(crate) fn at(file: &str, offset: usize) -> Self {
        let (line, column) = position(file, offset);
        Self { line, column }
    }

    /// Of byte `offset` in `value`, whose scalar begins at byte `start` of
    /// `file`. White space is what folding and indentation change, so the
    /// other characters are counted.
    pub(crate) fn within(file: &str, start: usize, value: &str, offset: usize) -> Self {
        let mut end = offset.min(value.len());
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        let (before, after) = value.split_at(end);
        let ahead = before.chars().filter(|c| !c.is_whitespace()).count();
        // An offset behind everything stands behind the last character.
        let at_end = after.trim().is_empty();
        let body = start.saturating_add(indicator(file.get(start..).unwrap_or_default()));
        let mut last = body;
        let chars = file.get(body..).unwrap_or_default().char_indices();
        for (number, (at, c)) in chars.filter(|(_, c)| !c.is_whitespace()).enumerate() {
            if number == ahead {
                last = if at_end { last } else { body + at };
                break;
            }
            last = body + at + c.len_utf8();
        }
        Self::at(file, last)
    }
}

/// How many bytes of the scalar stand before its content: quotes, or the line of a block's sign.
fn indicator(scalar: &str) -> usize {
    for quote in ["\"\"\"", "'''", "\"", "'"] {
        if scalar.starts_with(quote) {
            return quote.len();
        }
    }
    if scalar.starts_with(['|', '>']) {
        return scalar.find('\n').map_or(scalar.len(), |at| at + 1);
    }
    0
}
