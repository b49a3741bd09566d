//! A policy out of its text, and its text out of a policy.
//!
//! Owns: limits, errors with their places, and the canonical form.
//! Must not: decide.
//!
//! Conditions see no macros and no named lists: a recorded policy means the
//! same in every version.

use std::net::SocketAddr;
use std::sync::Arc;

use belljar_event::Action;
use serde::Serialize;

use super::file::{At, Source, Syntax, WrittenRule};
use super::{AllowError, Line, Origin, Policy};
use crate::cond::{CondError, Condition, Names};
use crate::rules::Place;

/// Longest text in bytes.
pub(super) const MAX_TEXT: usize = 128 << 10;
/// Most lines.
const MAX_LINES: usize = 1024;
/// Most patterns in all conditions together.
const MAX_PATTERNS: usize = 128;
/// Longest id.
const MAX_ID: usize = 80;
/// Errors beyond this many are not collected.
const MAX_ERRORS: usize = 100;

/// A policy that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Something in the text is wrong.
    #[error("{name}:{line}:{column}: {message}")]
    Text {
        /// The file, as the caller named it.
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
    /// No such profile.
    #[error("there is no profile `{name}`; there are: {}", super::PROFILES.join(", "))]
    NoProfile {
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

/// The canonical form, written.
#[derive(Serialize)]
struct Canonical<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    restrict: Vec<CanonicalRule<'a>>,
    rule: Vec<CanonicalRule<'a>>,
}

#[derive(Serialize)]
struct CanonicalRule<'a> {
    id: &'a str,
    action: Action,
    condition: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    literal: Option<SocketAddr>,
}

/// Reads a policy, or says all that is wrong with it.
pub(super) fn read(source: &Source<'_>) -> Result<Policy, Vec<PolicyError>> {
    let file = source.written().map_err(|error| vec![error])?;
    let own = file.name.as_ref().map_or(source.name, |name| &name.value);
    if own.is_empty() || id_part(own) != own {
        let offset = file.name.as_ref().map_or(0, |name| name.offset);
        let message = "a policy's name has small letters, digits, `-` and `_`";
        return Err(vec![source.error_at(offset, message)]);
    }
    let mut errors = Vec::new();
    let mut all = |rules: &[WrittenRule], kind: Kind| {
        let mut lines = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            match source.line(own, number + 1, rule, kind) {
                Ok(line) => lines.push(line),
                Err(error) if errors.len() < MAX_ERRORS => errors.push(error),
                Err(_) => {}
            }
        }
        lines
    };
    let lines = all(&file.rules, Kind::Rule);
    let guards = all(&file.restrict, Kind::Restrict);
    if !errors.is_empty() {
        return Err(errors);
    }
    Policy::build(own.to_owned(), lines, guards).map_err(|error| {
        vec![match error {
            PolicyError::Line { id, message } => {
                source.error_at(0, format!("line `{id}`: {message}"))
            }
            error => error,
        }]
    })
}

/// What a table of a file becomes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Rule,
    /// Only ever narrows what the rules allow.
    Restrict,
}

impl Source<'_> {
    pub(super) fn line(
        &self,
        policy: &str,
        number: usize,
        rule: &WrittenRule,
        kind: Kind,
    ) -> Result<Line, PolicyError> {
        let id = match &rule.id {
            None => format!("{policy}:{number}"),
            Some(id) => full_id(policy, &id.value).ok_or_else(|| {
                self.error_at(
                    id.offset,
                    "an id has small letters, digits, `-` and `_`, and one `:` at most",
                )
            })?,
        };
        let action = rule.action.value;
        if kind == Kind::Restrict && action == Action::Allow {
            let message = "a line that restricts denies, asks or kills; it cannot allow";
            return Err(self.error_at(rule.action.offset, message));
        }
        if rule.literal.is_some() && action != Action::Allow {
            let message = "`literal` belongs to lines that allow";
            return Err(self.error_at(rule.action.offset, message));
        }
        let condition = Condition::parse(rule.condition.value.trim(), &Names::new())
            .map_err(|error| self.inside(&rule.condition, &error))?;
        let place = Place::within(self.text, rule.condition.offset, condition.source(), 0);
        Ok(Line {
            id,
            action,
            condition,
            reason: rule.reason.clone(),
            literal: rule.literal,
            origin: Some(Origin {
                file: Arc::from(self.file),
                line: place.line,
                column: place.column,
            }),
        })
    }

    fn inside(&self, condition: &At<String>, error: &CondError) -> PolicyError {
        let trimmed = condition.value.trim();
        let place = Place::within(self.text, condition.offset, trimmed, error.offset);
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
            origin: None,
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
    pub(super) fn build(
        name: String,
        lines: Vec<Line>,
        guards: Vec<Line>,
    ) -> Result<Self, PolicyError> {
        let fail = |id: &str, message: String| {
            Err(PolicyError::Line {
                id: id.into(),
                message,
            })
        };
        let all = || guards.iter().chain(&lines);
        if let Some(line) = all().nth(MAX_LINES) {
            return fail(&line.id, format!("more than {MAX_LINES} lines"));
        }
        let mut ids: Vec<&str> = all().map(|line| line.id.as_str()).collect();
        ids.sort_unstable();
        if let Some(twice) = ids.windows(2).find_map(|pair| match pair {
            [one, other] if one == other => Some(*one),
            _ => None,
        }) {
            return fail(twice, "two lines have this id".into());
        }
        let mut patterns = 0;
        for line in all() {
            patterns += line.condition.patterns();
            if patterns > MAX_PATTERNS {
                return fail(
                    &line.id,
                    format!("more than {MAX_PATTERNS} patterns in a policy"),
                );
            }
        }
        let written = Canonical {
            name: &name,
            restrict: guards.iter().map(written).collect(),
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
            guards,
            source,
        })
    }

    pub(super) fn parse_toml(name: &str, text: &str) -> Result<Self, PolicyError> {
        let source = Source {
            name,
            file: name,
            text,
            syntax: Syntax::Toml,
        };
        Self::read(&source)
    }
}

fn written(line: &Line) -> CanonicalRule<'_> {
    CanonicalRule {
        id: &line.id,
        action: line.action,
        condition: line.condition.source(),
        reason: line.reason.as_deref(),
        literal: line.literal,
    }
}
