//! A line more in a policy's text, and every other byte of it as it was.
//!
//! Owns: where in a TOML or YAML file a line goes. Must not: read or write files.
//!
//! The line goes in front of all others, since the first that matches decides.
//! What comes out is read again before it is given back: a file that would not
//! load, or not as what it was with the line in front, is not made.

use toml_edit::{ArrayOfTables, Document, DocumentMut, Item, Table, value};

use super::compose::split_line;
use super::file::{Source, Syntax};
use super::text::MAX_TEXT;
use super::{Policy, PolicyError};

/// A line that cannot be put into a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The file, as it is or as it would be, does not load.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The line is none.
    #[error("{0}")]
    Line(String),
    /// The file is written in a way that no line can be put into.
    #[error("{0}: write the line into it by hand")]
    Form(String),
}

/// The file's text with `line` (`allow evt.op = …`) in front of its others. Says also
/// the id that it got, `saved-1` or the first such that is free.
///
/// # Errors
/// If the file or the line is wrong, or the file's form has no room for it.
pub fn insert_line(
    source: &Source<'_>,
    line: &str,
    reason: &str,
) -> Result<(String, String), EditError> {
    let before = Policy::read(source)?;
    let (action, condition) = split_line(line).map_err(|why| EditError::Line(why.to_owned()))?;
    let taken = |id: &str| {
        let full = format!(":{id}");
        before.lines().iter().any(|line| line.id.ends_with(&full))
    };
    let id = (1..)
        .map(|number| format!("saved-{number}"))
        .find(|id| !taken(id))
        .unwrap_or_default();
    let action = crate::moment::action(action);
    let new = New {
        id: &id,
        action,
        condition,
        reason,
    };
    let text = match source.syntax {
        Syntax::Toml => toml(source, &new)?,
        Syntax::Yaml => yaml(source, &new)?,
    };
    let after = Policy::read(&Source {
        text: &text,
        ..*source
    })?;
    let mut rest = after.lines().iter();
    let first = rest.next();
    let right = first.is_some_and(|first| {
        first.condition.source() == condition && crate::moment::action(first.action) == action
    });
    let same = right
        && rest.map(kept).eq(before.lines().iter().map(kept))
        && after.restrictions().len() == before.restrictions().len();
    if !same || text.len() > MAX_TEXT {
        let why = format!("{} would not read as it did", source.file);
        return Err(EditError::Form(why));
    }
    let full = first.map(|line| line.id.clone()).unwrap_or_default();
    Ok((text, full))
}

/// What of a line must be as it was; a line without a name of its own is named by its place.
fn kept(line: &super::Line) -> (super::Action, &str, Option<&str>) {
    let reason = line.reason.as_deref();
    (line.action, line.condition.source(), reason)
}

struct New<'a> {
    id: &'a str,
    action: &'a str,
    condition: &'a str,
    reason: &'a str,
}

impl New<'_> {
    fn table(&self) -> Table {
        let mut table = Table::new();
        table.insert("id", value(self.id));
        table.insert("action", value(self.action));
        table.insert("condition", value(self.condition));
        table.insert("reason", value(self.reason));
        table
    }
}

fn toml(source: &Source<'_>, new: &New<'_>) -> Result<String, EditError> {
    let text = source.text;
    let written = {
        let mut alone = DocumentMut::new();
        let mut rules = ArrayOfTables::new();
        rules.push(new.table());
        alone.insert("rule", Item::ArrayOfTables(rules));
        alone.to_string()
    };
    let at = first_table(source)?.map_or(text.len(), |at| above_comments(text, at));
    let (head, tail) = text.split_at_checked(at).unwrap_or((text, ""));
    let mut out = head.to_owned();
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    if !out.is_empty() && !out.ends_with("\n\n") && !out.ends_with("\r\n\r\n") {
        out.push('\n');
    }
    out.push_str(&written);
    if !tail.is_empty() {
        out.push('\n');
    }
    out.push_str(tail);
    Ok(out)
}

/// Where the first `[[rule]]` begins.
fn first_table(source: &Source<'_>) -> Result<Option<usize>, EditError> {
    let broken = |error: toml_edit::TomlError| EditError::Form(error.message().to_owned());
    let document = Document::parse(source.text).map_err(broken)?;
    let Some(rule) = document.get("rule") else {
        return Ok(None);
    };
    let tables = rule.as_array_of_tables().ok_or_else(|| {
        EditError::Form(format!("{}: its lines are no [[rule]] tables", source.file))
    })?;
    let spans = tables.iter().filter_map(Table::span);
    Ok(spans.map(|span| span.start).min())
}

/// The beginning of the comments that stand right above the line at `at`: they are that line's.
fn above_comments(text: &str, at: usize) -> usize {
    let line_start = |at: usize| {
        let head = text.get(..at).unwrap_or_default();
        head.rfind('\n').map_or(0, |end| end + 1)
    };
    let mut start = line_start(at);
    while start > 0 {
        let above = line_start(start - 1);
        let line = text.get(above..start).unwrap_or_default().trim();
        // The file's own heading stays above; a comment belongs to what it touches.
        if !line.starts_with('#') || above == 0 {
            break;
        }
        start = above;
    }
    start
}

fn yaml(source: &Source<'_>, new: &New<'_>) -> Result<String, EditError> {
    let text = source.text;
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let item = |indent: &str, end: &str| {
        let mut out = String::new();
        for (at, (key, text)) in [
            ("id", new.id),
            ("action", new.action),
            ("condition", new.condition),
            ("reason", new.reason),
        ]
        .into_iter()
        .enumerate()
        {
            let mark = if at == 0 { "- " } else { "  " };
            out.push_str(&format!("{indent}{mark}{key}: {}{end}", quoted(text)));
        }
        out
    };
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut at = 0;
    let mut found = None;
    for line in text.split_inclusive('\n') {
        let key = line.trim_end().strip_prefix("rule:");
        if let Some(rest) = key {
            let rest = rest.trim_start();
            if !rest.is_empty() && !rest.starts_with('#') {
                let why = format!("{}: its lines are no list below `rule:`", source.file);
                return Err(EditError::Form(why));
            }
            found = Some(at + line.len());
            break;
        }
        at += line.len();
    }
    let mut out = text.to_owned();
    match found {
        None => {
            if !out.is_empty() && !out.ends_with('\n') {
                out.push_str(end);
            }
            out.push_str(&format!("rule:{end}{}", item("  ", end)));
        }
        Some(at) => {
            let (head, tail) = text.split_at_checked(at).unwrap_or((text, ""));
            let first = tail
                .lines()
                .find(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
            let indent = first
                .filter(|line| line.trim_start().starts_with('-'))
                .map_or("  ", |line| {
                    line.get(..line.len() - line.trim_start().len())
                        .unwrap_or("")
                });
            out = head.to_owned();
            if !out.ends_with('\n') {
                out.push_str(end);
            }
            out.push_str(&item(indent, end));
            out.push_str(tail);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
