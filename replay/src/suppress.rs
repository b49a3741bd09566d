//! What a person has decided about rules and findings, with reason and date.
//!
//! Owns: the file of suppressions and severities, and which of them still hold
//! on the day that is handed in. Must not: know what day it is, or hide
//! anything: what is suppressed stays in the report, with its reason.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

use crate::rules::{Place, RuleSet, Severity, nearest_id, offset_of};

/// Longest file in bytes.
const MAX_FILE: usize = 256 << 10;
/// Most entries.
const MAX_ENTRIES: usize = 2000;
/// Longest reason, in bytes.
const MAX_REASON: usize = 1000;

/// A file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct SuppressError {
    /// As the source was named.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is wrong, and what to write instead.
    pub message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    suppress: Vec<SuppressEntry>,
    #[serde(default)]
    severity: Vec<SeverityEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuppressEntry {
    rule: Spanned<String>,
    /// Only findings about this; `*` stands for anything.
    #[serde(default)]
    subject: Option<Spanned<String>>,
    reason: Spanned<String>,
    until: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeverityEntry {
    rule: Spanned<String>,
    is: Severity,
    reason: Spanned<String>,
    until: Spanned<String>,
}

/// One decision, as reports show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// The rule.
    pub rule: String,
    /// What it is limited to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The severity that it has instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// The severity that it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<Severity>,
    /// Why.
    pub reason: String,
    /// The last day on which it holds.
    pub until: String,
    /// That day is over: it does not hold any more.
    pub expired: bool,
}

/// All decisions of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suppressions {
    suppress: Vec<Arc<Decided>>,
    severity: Vec<Decided>,
    digest: Option<[u8; 32]>,
}

impl Suppressions {
    /// Reads a file. `today` is a date like 2026-01-31; `rules` are the ids that there are.
    ///
    /// # Errors
    /// What is wrong in it, and where.
    pub fn load(
        file: &str,
        text: &str,
        today: &str,
        rules: &RuleSet,
    ) -> Result<Self, SuppressError> {
        let fail = |place: Place, message: String| SuppressError {
            file: file.to_owned(),
            line: place.line,
            column: place.column,
            message,
        };
        let top = Place { line: 1, column: 1 };
        if text.len() > MAX_FILE {
            return Err(fail(top, format!("longer than {MAX_FILE} bytes")));
        }
        let raw: File = serde_saphyr::from_str(text).map_err(|error| {
            let said = error.to_string();
            fail(top, said.lines().next().unwrap_or_default().to_owned())
        })?;
        if raw.suppress.len().saturating_add(raw.severity.len()) > MAX_ENTRIES {
            return Err(fail(top, format!("more than {MAX_ENTRIES} entries")));
        }
        let wrong = |at: &Spanned<String>, message: String| {
            let offset = offset_of(at);
            fail(Place::at(text, offset), message)
        };
        let check = |rule: &Spanned<String>, reason: &Spanned<String>, until: &Spanned<String>| {
            if rules.rule(&rule.value).is_none() {
                let near = nearest_id(rules, &rule.value);
                let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
                return Err(wrong(rule, format!("there is no such rule{hint}")));
            }
            if reason.value.trim().is_empty() || reason.value.len() > MAX_REASON {
                return Err(wrong(
                    reason,
                    format!("write why, in at most {MAX_REASON} bytes"),
                ));
            }
            if !is_date(&until.value) {
                return Err(wrong(
                    until,
                    "write the last day on which it holds, like 2027-01-31".to_owned(),
                ));
            }
            Ok(until.value.as_str() < today)
        };
        let mut all = Self {
            digest: Some(*blake3::hash(text.as_bytes()).as_bytes()),
            ..Self::default()
        };
        for entry in raw.suppress {
            let expired = check(&entry.rule, &entry.reason, &entry.until)?;
            all.suppress.push(Arc::new(Decided {
                rule: entry.rule.value,
                subject: entry.subject.map(|subject| subject.value),
                severity: None,
                was: None,
                reason: entry.reason.value.trim().to_owned(),
                until: entry.until.value,
                expired,
            }));
        }
        for entry in raw.severity {
            let expired = check(&entry.rule, &entry.reason, &entry.until)?;
            let was = rules.rule(&entry.rule.value).map(|rule| rule.severity);
            all.severity.push(Decided {
                rule: entry.rule.value,
                subject: None,
                severity: Some(entry.is),
                was,
                reason: entry.reason.value.trim().to_owned(),
                until: entry.until.value,
                expired,
            });
        }
        Ok(all)
    }

    /// blake3 of the file.
    #[must_use]
    pub fn digest(&self) -> Option<[u8; 32]> {
        self.digest
    }

    /// The decision that this finding falls under, if one holds.
    #[must_use]
    pub fn of(&self, rule: &str, subject: &str) -> Option<&Arc<Decided>> {
        let holds = |one: &&Arc<Decided>| {
            !one.expired
                && one.rule == rule
                && one
                    .subject
                    .as_deref()
                    .is_none_or(|glob| matches(glob, subject))
        };
        self.suppress.iter().find(holds)
    }

    /// True if a whole rule is suppressed.
    #[must_use]
    pub fn silences(&self, rule: &str) -> bool {
        self.suppress
            .iter()
            .any(|one| !one.expired && one.rule == rule && one.subject.is_none())
    }

    /// The severity that a rule has instead of its own.
    #[must_use]
    pub fn severity(&self, rule: &str) -> Option<Severity> {
        let found = self
            .severity
            .iter()
            .find(|one| !one.expired && one.rule == rule);
        found?.severity
    }

    /// Every decision, in the order of the file.
    pub fn all(&self) -> impl Iterator<Item = &Decided> {
        self.suppress
            .iter()
            .map(AsRef::as_ref)
            .chain(&self.severity)
    }
}

/// `2027-01-31`.
fn is_date(text: &str) -> bool {
    let number = |part: &str, length: usize, most: u32| {
        part.len() == length
            && part
                .parse::<u32>()
                .is_ok_and(|number| (1..=most).contains(&number))
    };
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next(), parts.next(), parts.next());
    parts.next().is_none()
        && year.is_some_and(|year| number(year, 4, 9999))
        && month.is_some_and(|month| number(month, 2, 12))
        && day.is_some_and(|day| number(day, 2, 31))
}

/// `*` stands for anything; everything else for itself. In the length of both, at most.
fn matches(glob: &str, text: &str) -> bool {
    let mut parts = glob.split('*');
    let Some(mut rest) = parts.next().and_then(|head| text.strip_prefix(head)) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(tail) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest
            .find(part)
            .and_then(|at| rest.get(at.saturating_add(part.len())..))
        {
            Some(more) => rest = more,
            None => return false,
        }
    }
    rest.ends_with(tail)
}
