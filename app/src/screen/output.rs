//! The payload's terminal output as plain lines.
//!
//! Owns: taking escape sequences out and overwriting at carriage returns, as a
//! terminal would roughly have shown it. Must not: obey anything in it.

use super::text::safe;

/// Lines kept; the trace has all of it.
const LINES: usize = 2000;
/// A longer line is broken.
const LINE: usize = 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    /// After ESC.
    Escape,
    /// In `ESC [ …`, which a letter ends.
    Control,
    /// In `ESC ] …`, which BEL or `ESC \` ends.
    Command,
    /// After ESC inside a command.
    CommandEscape,
}

/// The last lines of `bytes`, escaped.
pub(super) fn lines(bytes: &[u8]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut line: Vec<u8> = Vec::new();
    let mut state = State::Text;
    // A carriage return takes effect with the next character: `\r\n` ends a line.
    let mut returned = false;
    for byte in bytes {
        state = match (state, byte) {
            (State::Text, 0x1b) => State::Escape,
            (State::Text, b'\n') => {
                out.push(safe(&line));
                line.clear();
                returned = false;
                State::Text
            }
            (State::Text, b'\r') => {
                returned = true;
                State::Text
            }
            (State::Text, 8) => {
                line.pop();
                State::Text
            }
            (State::Text, byte) => {
                if std::mem::take(&mut returned) {
                    line.clear();
                }
                if *byte == b'\t' {
                    line.extend(b"    ");
                } else if *byte != 7 {
                    line.push(*byte);
                }
                if line.len() >= LINE {
                    out.push(safe(&line));
                    line.clear();
                }
                State::Text
            }
            (State::Escape, b'[') => State::Control,
            (State::Escape, b']' | b'P' | b'_' | b'^' | b'X') => State::Command,
            (State::Escape, b'(' | b')' | b'#' | b' ') => State::Escape,
            (State::Escape, _) => State::Text,
            (State::Control, 0x40..=0x7e) => State::Text,
            (State::Control, 0x1b) => State::Escape,
            (State::Control, _) => State::Control,
            (State::Command, 7) => State::Text,
            (State::Command, 0x1b) => State::CommandEscape,
            // An unfinished command must not swallow the rest.
            (State::Command, b'\n') => State::Text,
            (State::Command, _) => State::Command,
            (State::CommandEscape, b'\\') => State::Text,
            (State::CommandEscape, _) => State::Command,
        };
    }
    if !line.is_empty() {
        out.push(safe(&line));
    }
    let surplus = out.len().saturating_sub(LINES);
    out.drain(..surplus);
    out
}
