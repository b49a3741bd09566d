//! The text of a policy: TOML, with `[[rule]]` tables.
//!
//! Owns: the shape, its limits, errors with their places, and the canonical form.
//! Must not: decide.
//!
//! Conditions see no macros and no named lists: a recorded policy means the
//! same in every version.

use std::net::SocketAddr;

use belljar_event::Action;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{AllowError, Line, Policy};
use crate::cond::{CondError, Condition, Names};
use crate::rules::Place;

/// Longest text in bytes.
const MAX_TEXT: usize = 128 << 10;
/// Most lines.
const MAX_LINES: usize = 1024;
/// Most patterns in all conditions together.
const MAX_PATTERNS: usize = 128;
/// Longest id.
const MAX_ID: usize = 80;

/// A policy that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Something in the text is wrong.
    #[error("{name}:{line}:{column}: {message}")]
    Text {
        /// The policy, as the caller named it.
        name: String,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// No such preset.
    #[error("there is no policy preset `{name}`; there are: default, observe, strict")]
    NoPreset {
        /// What was asked for.
        name: String,
    },
    /// A line could not be made.
    #[error("policy line `{id}`: {message}")]
    Line {
        /// Its id.
        id: String,
        /// What is wrong.
        message: String,
    },
    /// A destination could not be used.
    #[error(transparent)]
    Allow(#[from] AllowError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    name: Option<Spanned<String>>,
    #[serde(default)]
    rule: Vec<RuleTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    id: Option<Spanned<String>>,
    action: Spanned<Action>,
    condition: Spanned<String>,
    reason: Option<String>,
    literal: Option<SocketAddr>,
}

/// The canonical form, written.
#[derive(Serialize)]
struct Written<'a> {
    name: &'a str,
    rule: Vec<WrittenRule<'a>>,
}

#[derive(Serialize)]
struct WrittenRule<'a> {
    id: &'a str,
    action: Action,
    condition: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    literal: Option<SocketAddr>,
}

struct Text<'a> {
    name: &'a str,
    text: &'a str,
}

impl Text<'_> {
    fn error(&self, place: Place, message: impl Into<String>) -> PolicyError {
        let Place { line, column } = place;
        PolicyError::Text {
            name: self.name.into(),
            line,
            column,
            message: message.into(),
        }
    }

    fn error_at(&self, offset: usize, message: impl Into<String>) -> PolicyError {
        self.error(Place::at(self.text, offset), message)
    }
}

pub(super) fn parse(name: &str, text: &str) -> Result<Policy, PolicyError> {
    let source = Text { name, text };
    if text.len() > MAX_TEXT {
        return Err(source.error_at(0, format!("longer than {MAX_TEXT} bytes")));
    }
    let file: PolicyFile = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        source.error_at(offset, error.message().trim())
    })?;
    let own = file
        .name
        .as_ref()
        .map_or(name, |name| name.as_ref().as_str());
    if own.is_empty() || id_part(own) != own {
        let offset = file.name.as_ref().map_or(0, |name| name.span().start);
        return Err(source.error_at(
            offset,
            "a policy's name has small letters, digits, `-` and `_`",
        ));
    }
    let mut lines = Vec::new();
    for (number, rule) in file.rule.into_iter().enumerate() {
        lines.push(source.line(own, number + 1, rule)?);
    }
    Policy::from_lines(own.to_owned(), lines).map_err(|error| match error {
        PolicyError::Line { id, message } => source.error_at(0, format!("line `{id}`: {message}")),
        error => error,
    })
}

impl Text<'_> {
    fn line(&self, policy: &str, number: usize, rule: RuleTable) -> Result<Line, PolicyError> {
        let id = match &rule.id {
            None => format!("{policy}:{number}"),
            Some(id) => full_id(policy, id.as_ref()).ok_or_else(|| {
                self.error_at(
                    id.span().start,
                    "an id has small letters, digits, `-` and `_`, and one `:` at most",
                )
            })?,
        };
        let action = *rule.action.as_ref();
        if rule.literal.is_some() && action != Action::Allow {
            let message = "`literal` belongs to lines that allow";
            return Err(self.error_at(rule.action.span().start, message));
        }
        let condition = Condition::parse(rule.condition.as_ref().trim(), &Names::new())
            .map_err(|error| self.inside(&rule.condition, &error))?;
        Ok(Line {
            id,
            action,
            condition,
            reason: rule.reason,
            literal: rule.literal,
        })
    }

    fn inside(&self, condition: &Spanned<String>, error: &CondError) -> PolicyError {
        let trimmed = condition.as_ref().trim();
        let place = Place::within(self.text, condition.span().start, trimmed, error.offset);
        self.error(place, error.text())
    }
}

/// A line from its parts.
pub(super) fn line(
    id: String,
    action: Action,
    condition: &str,
    reason: Option<String>,
    literal: Option<SocketAddr>,
) -> Result<Line, PolicyError> {
    match Condition::parse(condition, &Names::new()) {
        Ok(condition) => Ok(Line {
            id,
            action,
            condition,
            reason,
            literal,
        }),
        Err(error) => Err(PolicyError::Line {
            id,
            message: error.to_string(),
        }),
    }
}

/// Makes any text fit for an id.
pub(super) fn id_part(text: &str) -> String {
    let fit = |c: char| if is_id_char(c) { c } else { '-' };
    text.chars()
        .take(MAX_ID)
        .map(|c| fit(c.to_ascii_lowercase()))
        .collect()
}

fn is_id_char(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_'
}

/// `egress` becomes `default:egress`; an id with its own origin stays.
fn full_id(policy: &str, id: &str) -> Option<String> {
    let (origin, rest) = id.split_once(':').unwrap_or((policy, id));
    let good =
        |part: &str| !part.is_empty() && part.len() <= MAX_ID && part.chars().all(is_id_char);
    (good(origin) && good(rest)).then(|| format!("{origin}:{rest}"))
}

impl Policy {
    /// Checks the limits and writes the canonical text.
    pub(super) fn from_lines(name: String, lines: Vec<Line>) -> Result<Self, PolicyError> {
        let fail = |id: &str, message: String| {
            Err(PolicyError::Line {
                id: id.into(),
                message,
            })
        };
        if let Some(line) = lines.get(MAX_LINES) {
            return fail(&line.id, format!("more than {MAX_LINES} lines"));
        }
        let mut ids: Vec<&str> = lines.iter().map(|line| line.id.as_str()).collect();
        ids.sort_unstable();
        if let Some(twice) = ids.windows(2).find_map(|pair| match pair {
            [one, other] if one == other => Some(*one),
            _ => None,
        }) {
            return fail(twice, "two lines have this id".into());
        }
        let mut patterns = 0;
        for line in &lines {
            patterns += line.condition.patterns();
            if patterns > MAX_PATTERNS {
                return fail(
                    &line.id,
                    format!("more than {MAX_PATTERNS} patterns in a policy"),
                );
            }
        }
        let written = Written {
            name: &name,
            rule: lines.iter().map(written).collect(),
        };
        let source = match toml::to_string(&written) {
            Ok(source) if source.len() <= MAX_TEXT => source,
            Ok(_) => return fail(&name, format!("longer than {MAX_TEXT} bytes")),
            Err(error) => return fail(&name, error.to_string()),
        };
        Ok(Self {
            name,
            lines,
            source,
        })
    }
}

fn written(line: &Line) -> WrittenRule<'_> {
    WrittenRule {
        id: &line.id,
        action: line.action,
        condition: line.condition.source(),
        reason: line.reason.as_deref(),
        literal: line.literal,
    }
}
