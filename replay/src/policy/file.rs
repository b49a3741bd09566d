//! A policy file as it is written: TOML or YAML, the same keys in both.
//!
//! Owns: the shape of the files, and where in them each value stands.
//! Must not: know what a condition means.

use std::net::SocketAddr;

use belljar_event::Action;
use serde::Deserialize;

use super::PolicyError;
use crate::rules::{Place, own_options, yaml_error};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Syntax {
    /// `[[rule]]` tables.
    #[default]
    Toml,
    /// A list below `rule:`.
    Yaml,
}

impl Syntax {
    /// By the file's name: `.yaml` and `.yml` are YAML, everything else TOML.
    #[must_use]
    pub fn of(file: &str) -> Self {
        let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending);
        if ["yaml", "yml"]
            .iter()
            .any(|yaml| ending.eq_ignore_ascii_case(yaml))
        {
            Self::Yaml
        } else {
            Self::Toml
        }
    }
}

/// A policy's text, and what to call it.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Stands in the ids of its lines, unless the text names itself.
    pub name: &'a str,
    /// Stands in errors: the file.
    pub file: &'a str,
    /// What is in it.
    pub text: &'a str,
    /// How it is written.
    pub syntax: Syntax,
}

/// A value and the byte at which it begins.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) offset: usize,
}

impl<T> From<toml::Spanned<T>> for At<T> {
    fn from(spanned: toml::Spanned<T>) -> Self {
        Self {
            offset: spanned.span().start,
            value: spanned.into_inner(),
        }
    }
}

impl<T> From<serde_saphyr::Spanned<T>> for At<T> {
    fn from(spanned: serde_saphyr::Spanned<T>) -> Self {
        let offset = spanned.defined.span().byte_offset();
        Self {
            offset: offset.and_then(|at| usize::try_from(at).ok()).unwrap_or(0),
            value: spanned.value,
        }
    }
}

/// A whole file.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) name: Option<At<String>>,
    pub(super) rules: Vec<WrittenRule>,
    pub(super) restrict: Vec<WrittenRule>,
    pub(super) tests: Vec<WrittenTest>,
}

/// One line.
#[derive(Debug)]
pub(super) struct WrittenRule {
    pub(super) id: Option<At<String>>,
    pub(super) action: At<Action>,
    pub(super) condition: At<String>,
    pub(super) reason: Option<String>,
    pub(super) literal: Option<SocketAddr>,
}

/// One case, and what it is to come to.
#[derive(Debug)]
pub(super) struct WrittenTest {
    pub(super) op: At<String>,
    pub(super) object: At<String>,
    pub(super) expect: At<Action>,
    pub(super) by: Option<String>,
    pub(super) facts: TestFacts,
}

/// What else is known in a case.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestFacts {
    pub(super) other: Option<String>,
    pub(super) program: Option<String>,
    pub(super) args: Option<String>,
    pub(super) parents: Option<Vec<String>>,
    pub(super) phase: Option<String>,
    pub(super) uid: Option<u32>,
    pub(super) dropped: Option<bool>,
    pub(super) decoy: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileOf<S, A> {
    name: Option<S>,
    #[serde(default = "Vec::new")]
    rule: Vec<RuleOf<S, A>>,
    #[serde(default = "Vec::new")]
    restrict: Vec<RuleOf<S, A>>,
    #[serde(default = "Vec::new")]
    test: Vec<TestOf<S, A>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleOf<S, A> {
    id: Option<S>,
    action: A,
    condition: S,
    reason: Option<String>,
    literal: Option<SocketAddr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestOf<S, A> {
    op: S,
    object: S,
    expect: A,
    by: Option<String>,
    #[serde(default)]
    with: TestFacts,
}

impl<S: Into<At<String>>, A: Into<At<Action>>> From<FileOf<S, A>> for Written {
    fn from(file: FileOf<S, A>) -> Self {
        Self {
            name: file.name.map(Into::into),
            rules: file.rule.into_iter().map(Into::into).collect(),
            restrict: file.restrict.into_iter().map(Into::into).collect(),
            tests: file.test.into_iter().map(Into::into).collect(),
        }
    }
}

impl<S: Into<At<String>>, A: Into<At<Action>>> From<RuleOf<S, A>> for WrittenRule {
    fn from(rule: RuleOf<S, A>) -> Self {
        Self {
            id: rule.id.map(Into::into),
            action: rule.action.into(),
            condition: rule.condition.into(),
            reason: rule.reason,
            literal: rule.literal,
        }
    }
}

impl<S: Into<At<String>>, A: Into<At<Action>>> From<TestOf<S, A>> for WrittenTest {
    fn from(test: TestOf<S, A>) -> Self {
        Self {
            op: test.op.into(),
            object: test.object.into(),
            expect: test.expect.into(),
            by: test.by,
            facts: test.with,
        }
    }
}

impl Source<'_> {
    pub(super) fn error(&self, place: Place, message: impl Into<String>) -> PolicyError {
        let Place { line, column } = place;
        PolicyError::Text {
            name: self.file.into(),
            line,
            column,
            message: message.into(),
        }
    }

    pub(super) fn error_at(&self, offset: usize, message: impl Into<String>) -> PolicyError {
        self.error(Place::at(self.text, offset), message)
    }

    /// Reads the shape of it.
    pub(super) fn written(&self) -> Result<Written, PolicyError> {
        if self.text.len() > super::text::MAX_TEXT {
            let message = format!("longer than {} bytes", super::text::MAX_TEXT);
            return Err(self.error_at(0, message));
        }
        match self.syntax {
            Syntax::Toml => self.toml(),
            Syntax::Yaml => self.yaml(),
        }
    }

    fn toml(&self) -> Result<Written, PolicyError> {
        type File = FileOf<toml::Spanned<String>, toml::Spanned<Action>>;
        toml::from_str::<File>(self.text)
            .map(Into::into)
            .map_err(|error| {
                let offset = error.span().map_or(0, |span| span.start);
                self.error_at(offset, error.message().trim())
            })
    }

    fn yaml(&self) -> Result<Written, PolicyError> {
        type File = FileOf<serde_saphyr::Spanned<String>, serde_saphyr::Spanned<Action>>;
        if self.text.trim().is_empty() {
            return Ok(Written::default());
        }
        let options = own_options(super::text::MAX_TEXT, 20_000);
        serde_saphyr::from_str_with_options::<File>(self.text, options)
            .map(Into::into)
            .map_err(|error| {
                let (place, message) = yaml_error(&error);
                self.error(place, message)
            })
    }
}
