//! Text in cells: measuring, cutting and padding.
//!
//! Owns: how wide a text is and how it is shortened. Every string that came
//! from a guest or a trace passes [`safe`] before it reaches a cell.
//! Must not: style anything, or know what a text means.

use std::borrow::Cow;

use belljar_event::Text;
use belljar_replay::escape;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands where something was cut off.
pub(super) const ELLIPSIS: char = '…';

/// Hostile bytes as text that cannot move a cursor, hide or reorder anything.
pub(super) fn safe(bytes: &[u8]) -> String {
    escape::bytes(bytes)
}

/// [`safe`] for a string.
pub(super) fn safe_str(text: &str) -> String {
    escape::string(text)
}

/// [`safe`] for a three-state text; what is missing is said.
pub(super) fn safe_text(text: &Text) -> String {
    escape::text(text)
}

/// Cells that a text takes.
pub(crate) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The head of `text` that fits into `room` cells, with an ellipsis if that is not all.
pub(super) fn cut(text: &str, room: usize) -> Cow<'_, str> {
    if width(text) <= room {
        return Cow::Borrowed(text);
    }
    let Some(keep) = room.checked_sub(1) else {
        return Cow::Borrowed("");
    };
    let mut used = 0;
    let mut out = String::with_capacity(room + 2);
    for c in text.chars() {
        used += UnicodeWidthChar::width(c).unwrap_or(0);
        if used > keep {
            break;
        }
        out.push(c);
    }
    out.push(ELLIPSIS);
    Cow::Owned(out)
}

/// The tail of `text` that fits: for paths, whose end says more than their start.
pub(super) fn cut_start(text: &str, room: usize) -> Cow<'_, str> {
    if width(text) <= room {
        return Cow::Borrowed(text);
    }
    let Some(keep) = room.checked_sub(1) else {
        return Cow::Borrowed("");
    };
    let mut used = 0;
    let mut from = text.len();
    for (at, c) in text.char_indices().rev() {
        used += UnicodeWidthChar::width(c).unwrap_or(0);
        if used > keep {
            break;
        }
        from = at;
    }
    Cow::Owned(format!("{ELLIPSIS}{}", text.get(from..).unwrap_or("")))
}

/// `text` in exactly `room` cells: cut or filled with spaces behind it.
pub(super) fn fit(text: &str, room: usize) -> String {
    let mut out = cut(text, room).into_owned();
    out.extend(std::iter::repeat_n(' ', room.saturating_sub(width(&out))));
    out
}

/// Breaks safe text into lines of at most `room` cells, at spaces where there are any.
pub(super) fn wrap(text: &str, room: usize) -> Vec<String> {
    let room = room.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let mut word = word;
        if !line.is_empty() && width(&line) + 1 + width(word) > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        while width(word) > room {
            let (head, tail) = split_at_width(word, room);
            lines.push(head.to_owned());
            word = tail;
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// Splits so that the head takes at most `room` cells, and at least one character.
fn split_at_width(text: &str, room: usize) -> (&str, &str) {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += UnicodeWidthChar::width(c).unwrap_or(0);
        if used > room && at > 0 {
            return text.split_at(at);
        }
    }
    (text, "")
}

/// `1,284`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `912`, `1.2k`, `34k`, `5.6M`: at most four cells.
pub(super) fn short(number: u64) -> String {
    scaled(number, 1000, &["", "k", "M", "G", "T", "P", "E"])
}

/// `912 B`, `1.2 MB`.
pub(super) fn bytes(number: u64) -> String {
    scaled(
        number,
        1000,
        &[" B", " kB", " MB", " GB", " TB", " PB", " EB"],
    )
}

fn scaled(number: u64, step: u64, units: &[&str]) -> String {
    let (mut whole, mut tenth, mut at) = (number, 0, 0);
    while whole >= step && at + 1 < units.len() {
        tenth = whole % step * 10 / step;
        whole /= step;
        at += 1;
    }
    let unit = units.get(at).copied().unwrap_or("");
    if at > 0 && whole < 10 {
        format!("{whole}.{tenth}{unit}")
    } else {
        format!("{whole}{unit}")
    }
}

/// `0:07.4`: a moment of the run.
pub(super) fn clock(nanos: u64) -> String {
    let tenths = nanos / 100_000_000;
    let (seconds, tenth) = (tenths / 10, tenths % 10);
    let (minutes, second) = (seconds / 60, seconds % 60);
    match minutes / 60 {
        0 => format!("{minutes}:{second:02}.{tenth}"),
        hours => format!("{hours}:{:02}:{second:02}.{tenth}", minutes % 60),
    }
}

/// `412 ms`, `7.4 s`, `3 m`, `2 h`: an age or a duration.
pub(super) fn span(nanos: u64) -> String {
    let millis = nanos / 1_000_000;
    let seconds = millis / 1000;
    match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{seconds}.{} s", millis % 1000 / 100),
        60..3600 => format!("{} m", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}
