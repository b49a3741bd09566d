//! Messages with `%field` in them, as in Falco's output lines.
//!
//! Owns: [`Template`].
//! Must not: escape for a terminal; who shows a message does that.

use std::fmt::Write as _;
use std::ops::ControlFlow;

use crate::cond::{FIELDS, Field, MAX_INDEX, Subject, Value, nearest};

/// Longest part of a message that comes from one field, in bytes.
const MAX_VALUE: usize = 512;
/// Most values of a field that are written.
const MAX_VALUES: usize = 16;
/// Most fields in a template.
const MAX_FIELDS: usize = 32;

/// Text with fields to be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    source: Box<str>,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(Field),
}

/// A template that cannot be used: byte offset and what is wrong there.
pub(crate) type TemplateError = (usize, String);

impl Template {
    /// Parses `text with %field, %field[2] and %%`.
    pub(crate) fn parse(source: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut at = 0;
        while let Some(found) = source.get(at..).and_then(|rest| rest.find('%')) {
            text.push_str(source.get(at..at + found).unwrap_or_default());
            at += found + 1;
            let rest = source.get(at..).unwrap_or_default();
            if rest.starts_with('%') {
                text.push('%');
                at += 1;
                continue;
            }
            let (field, used) = field(rest).map_err(|message| (at - 1, message))?;
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(Piece::Field(field));
            if pieces.len() > 2 * MAX_FIELDS {
                return Err((at, format!("more than {MAX_FIELDS} fields")));
            }
            at += used;
        }
        text.push_str(source.get(at..).unwrap_or_default());
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(Self {
            source: source.into(),
            pieces,
        })
    }

    /// A foreign message: what is no field here stays `<NA>`, and what is
    /// too much is left out.
    pub(crate) fn foreign(source: &str) -> Self {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some((before, after)) = rest.split_once('%') {
            text.push_str(before);
            if pieces.len() > 4 * MAX_FIELDS {
                rest = "";
                break;
            }
            match field(after) {
                Ok((field, used)) => {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    pieces.push(Piece::Field(field));
                    rest = after.get(used..).unwrap_or_default();
                }
                Err(_) => {
                    let wanted = |c: char| c.is_ascii_alphanumeric() || "_.[]".contains(c);
                    let end = after.find(|c| !wanted(c)).unwrap_or(after.len());
                    text.push_str(if end == 0 { "%" } else { "<NA>" });
                    rest = after.get(end..).unwrap_or_default();
                }
            }
        }
        text.push_str(rest);
        pieces.push(Piece::Text(text));
        Self {
            source: source.into(),
            pieces,
        }
    }

    /// As written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Fills in the fields. `<NA>` stands for what the event does not have.
    #[must_use]
    pub fn render(&self, subject: &dyn Subject) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field(field) => write_field(&mut out, *field, subject),
            }
        }
        out
    }
}

/// The field at the beginning of `rest` and how many bytes name it. A full
/// stop at the end belongs to the sentence.
fn field(rest: &str) -> Result<(Field, usize), String> {
    let wanted = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
    let name = rest.get(..end).unwrap_or_default().trim_end_matches('.');
    let after = rest.get(name.len()..).unwrap_or_default();
    let index = after
        .strip_prefix('[')
        .and_then(|after| after.split_once(']'));
    let unknown = || {
        let near = nearest(name, FIELDS.iter().map(|row| row.name));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean `%{near}`?"));
        format!("unknown field `%{name}` (a percent sign is written `%%`){hint}")
    };
    if let Some((digits, _)) = index
        && let Some(field) = Field::named(name, true)
    {
        let index = digits.parse().ok().filter(|index| *index <= MAX_INDEX);
        let index =
            index.ok_or_else(|| format!("`{name}[…]` takes a number from 0 to {MAX_INDEX}"))?;
        return Ok((field.at(index), name.len() + digits.len() + 2));
    }
    Field::named(name, false)
        .map(|field| (field, name.len()))
        .ok_or_else(unknown)
}

fn write_field(out: &mut String, field: Field, subject: &dyn Subject) {
    let mut written = 0;
    subject.each(field, &mut |value| {
        if written == MAX_VALUES {
            out.push_str(", …");
            return ControlFlow::Break(());
        }
        if written > 0 {
            out.push_str(", ");
        }
        written += 1;
        write_value(out, value);
        ControlFlow::Continue(())
    });
    if written == 0 {
        out.push_str("<NA>");
    }
}

fn write_value(out: &mut String, value: &Value<'_>) {
    // Writing into a string cannot fail.
    let _ = match value {
        Value::Absent => write!(out, "<NA>"),
        Value::Unknown => write!(out, "<unknown>"),
        Value::Bool(is) => write!(out, "{is}"),
        Value::Int(is) => write!(out, "{is}"),
        Value::Ip(is) => write!(out, "{is}"),
        Value::List(_) => write!(out, "…"),
        Value::Bytes(bytes) => {
            write_bytes(out, bytes, false);
            Ok(())
        }
        Value::Cut(bytes) => {
            write_bytes(out, bytes, true);
            Ok(())
        }
    };
}

/// Bytes that are no UTF-8 stand as `\xNN`, so that different bytes stay different.
fn write_bytes(out: &mut String, bytes: &[u8], cut: bool) {
    let head = bytes.get(..MAX_VALUE).unwrap_or(bytes);
    for chunk in head.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    if cut || head.len() < bytes.len() {
        out.push('…');
    }
}
