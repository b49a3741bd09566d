//! What is wrong with a condition, where, and what was probably meant.
//!
//! Owns: [`CondError`] and the search for the nearest known word.
//! Must not: know files; who loads a file translates the offset (see `crate::rules`).

use std::fmt;

/// A condition that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct CondError {
    /// Byte offset in the condition.
    pub offset: usize,
    /// Line in the condition, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// The known word that is nearest to an unknown one.
    pub nearest: Option<String>,
}

impl CondError {
    pub(super) fn new(source: &str, offset: usize, message: impl Into<String>) -> Self {
        let (line, column) = position(source, offset);
        Self {
            offset,
            line,
            column,
            message: message.into(),
            nearest: None,
        }
    }

    pub(super) fn near<'a>(mut self, word: &str, known: impl Iterator<Item = &'a str>) -> Self {
        self.nearest = nearest(word, known).map(str::to_owned);
        self
    }

    /// The message with its suggestion, without the position.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.nearest {
            Some(word) => format!("{}; did you mean `{word}`?", self.message),
            None => self.message.clone(),
        }
    }
}

impl fmt::Display for CondError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column {}: {}",
            self.line,
            self.column,
            self.text()
        )
    }
}

/// Foreign text, fit to stand in a message: short, and without control characters.
pub(crate) fn shown(text: &str, max: usize) -> String {
    let mut out = String::new();
    for c in text.chars().take(max) {
        // Quotes and backslashes stay as they are.
        if c.is_control() || c.escape_debug().len() > 2 {
            out.extend(c.escape_debug())
        } else {
            out.push(c)
        }
    }
    if text.chars().nth(max).is_some() {
        out.push('…');
    }
    out
}

/// A value in quotes, as conditions take it.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Longest piece of a condition in a message about it.
pub(super) const WORD: usize = 60;

/// Line and column (characters) of a byte offset, both from 1.
pub(crate) fn position(source: &str, offset: usize) -> (usize, usize) {
    let mut end = offset.min(source.len());
    while !source.is_char_boundary(end) {
        end -= 1;
    }
    let before = source.get(..end).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before.get(start..).unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// Words longer than this are not compared: the search stays cheap for hostile input.
const MAX_WORD: usize = 64;

/// The known word with the smallest edit distance, if that is small enough to be a slip.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > MAX_WORD {
        return None;
    }
    let limit = (word.chars().count() / 3).clamp(1, 3);
    known
        .filter(|other| other.len() <= MAX_WORD)
        .map(|other| (distance(word, other), other))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, other)| other)
}

/// Levenshtein distance with neighbouring swaps counted as one edit.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (row, ca) in a.iter().enumerate() {
        let mut now = Vec::with_capacity(b.len() + 1);
        now.push(row + 1);
        for (column, cb) in b.iter().enumerate() {
            let cell =
                |cells: &[usize], at: usize| cells.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut best = (cell(&last, column) + usize::from(ca != cb))
                .min(cell(&last, column + 1) + 1)
                .min(cell(&now, column) + 1);
            let swapped = row > 0
                && column > 0
                && a.get(row - 1) == Some(cb)
                && b.get(column - 1) == Some(ca);
            if swapped {
                best = best.min(cell(&before, column - 1) + 1);
            }
            now.push(best);
        }
        before = std::mem::replace(&mut last, now);
    }
    last.last().copied().unwrap_or(usize::MAX)
}
