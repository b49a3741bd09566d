//! What a Sigma rule asks, before it is a condition: terms that simplify.
//!
//! Owns: [`Term`], its simplification and its text. Must not: know Sigma's words.

use std::collections::BTreeSet;

/// A piece of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Term {
    Always(bool),
    /// A comparison, as conditions write it.
    Test(String),
    All(Vec<Term>),
    Any(Vec<Term>),
    Not(Box<Term>),
    /// Something that belljar does not have.
    Missing(String),
}

impl Term {
    pub(super) fn test(text: impl Into<String>) -> Self {
        Self::Test(text.into())
    }

    pub(super) fn missing(what: impl Into<String>) -> Self {
        Self::Missing(what.into())
    }

    pub(super) fn all(terms: impl IntoIterator<Item = Term>) -> Self {
        Self::group(terms, false)
    }

    pub(super) fn any(terms: impl IntoIterator<Item = Term>) -> Self {
        Self::group(terms, true)
    }

    pub(super) fn negated(term: Term) -> Self {
        match term {
            Self::Always(is) => Self::Always(!is),
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    fn group(terms: impl IntoIterator<Item = Term>, decides: bool) -> Self {
        let mut left = Vec::new();
        for term in terms {
            match term {
                Self::Always(is) if is == decides => return Self::Always(decides),
                Self::Always(_) => {}
                other if left.contains(&other) => {}
                other => left.push(other),
            }
        }
        match left.pop() {
            None => Self::Always(!decides),
            Some(only) if left.is_empty() => only,
            Some(last) => {
                left.push(last);
                if decides {
                    Self::Any(left)
                } else {
                    Self::All(left)
                }
            }
        }
    }

    /// Everything in it that belljar does not have.
    pub(super) fn lacks(&self, found: &mut BTreeSet<String>) {
        match self {
            Self::Missing(what) => {
                found.insert(what.clone());
            }
            Self::All(terms) | Self::Any(terms) => {
                terms.iter().for_each(|term| term.lacks(found));
            }
            Self::Not(inner) => inner.lacks(found),
            Self::Always(_) | Self::Test(_) => {}
        }
    }

    /// As a condition.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Always(true) => "evt.num >= 0".to_owned(),
            Self::Always(false) | Self::Missing(_) => "evt.num < 0".to_owned(),
            Self::Test(text) => text.clone(),
            Self::Not(inner) => match &**inner {
                Self::Test(text) => format!("not {text}"),
                other => format!("not ({})", other.text()),
            },
            Self::All(terms) => joined(terms, " and "),
            Self::Any(terms) => joined(terms, " or "),
        }
    }
}

fn joined(terms: &[Term], by: &str) -> String {
    let each = terms.iter().map(|term| match term {
        Term::All(_) | Term::Any(_) => format!("({})", term.text()),
        other => other.text(),
    });
    each.collect::<Vec<_>>().join(by)
}
