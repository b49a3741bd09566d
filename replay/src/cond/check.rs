//! One comparison: its compiled right-hand side, and how a value is held against it.
//!
//! Owns: [`Check`] and [`Matcher`].
//! Must not: allocate while matching, or take time that is not bounded by the value's length.

use std::cmp::Ordering;
use std::sync::Arc;

use regex::bytes::Regex;

use super::pattern::{Finder, any_finder};
use super::required::required;
use super::sets::{IpSet, PathSet, WordSet};
use super::value::{Truth, Value};

/// What a value is compared with.
#[derive(Clone, Debug)]
pub(super) enum Check {
    /// There is a value.
    Exists,
    Is(bool),
    /// Compares like this with the number; `or_equal` adds equality.
    Int {
        order: Ordering,
        or_equal: bool,
        than: i64,
    },
    /// Sorted numbers.
    IntIn(Box<[i64]>),
    Ip(IpSet),
    Text {
        matcher: Matcher,
        fold: bool,
        /// A host name: its final dot says nothing.
        host: bool,
    },
}

/// What bytes are compared with. Literals are in lower case where the check folds case.
#[derive(Clone, Debug)]
pub(super) enum Matcher {
    Equal(Box<[u8]>),
    In(WordSet),
    /// The set, with every parent domain of the value looked up too.
    Domain(WordSet),
    Contains(Finder),
    StartsWith(Box<[u8]>),
    EndsWith(Box<[u8]>),
    Pattern(Regex),
    /// A glob, and the longest piece of it that is always there.
    Glob(Regex, Box<[u8]>),
    Path(PathSet),
}

impl Check {
    /// Does one value (no list) satisfy the check?
    pub(super) fn holds(&self, value: &Value<'_>) -> Truth {
        match (self, value) {
            (_, Value::Absent) => Truth::No,
            (Self::Exists, _) => Truth::Yes,
            (_, Value::Unknown) => Truth::Maybe,
            (Self::Is(wanted), Value::Bool(is)) => (wanted == is).into(),
            (
                Self::Int {
                    order,
                    or_equal,
                    than,
                },
                Value::Int(is),
            ) => {
                let found = is.cmp(than);
                (found == *order || (*or_equal && found == Ordering::Equal)).into()
            }
            (Self::IntIn(set), Value::Int(is)) => set.binary_search(is).is_ok().into(),
            (Self::Ip(set), Value::Ip(is)) => set.contains(*is).into(),
            (
                Self::Text {
                    matcher,
                    fold,
                    host,
                },
                Value::Bytes(is),
            ) => {
                let bare = is.strip_suffix(b".").filter(|_| *host);
                matcher.whole(bare.unwrap_or(is), *fold).into()
            }
            (Self::Text { matcher, fold, .. }, Value::Cut(is)) => matcher.cut(is, *fold),
            // A value of another type than the field's is as good as none.
            _ => Truth::No,
        }
    }

    /// Literals without any of which it cannot hold, in any case; `None`: there
    /// are none.
    pub(super) fn needles(&self) -> Option<Vec<Box<[u8]>>> {
        let Self::Text {
            matcher,
            host: false,
            ..
        } = self
        else {
            return None;
        };
        Some(match matcher {
            Matcher::Equal(literal) | Matcher::StartsWith(literal) | Matcher::EndsWith(literal) => {
                vec![literal.clone()]
            }
            Matcher::In(set) => set.words().map(Into::into).collect(),
            Matcher::Contains(finder) => finder.literals(),
            Matcher::Glob(_, literal) => vec![literal.clone()],
            Matcher::Path(set) => set.needles()?,
            Matcher::Pattern(regex) => required(regex.as_str())?,
            Matcher::Domain(_) => return None,
        })
    }

    /// One of no values.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Text { matcher: Matcher::In(set), .. } if set.words().next().is_none())
    }

    /// A search for a literal in any case.
    pub(super) fn is_folded_search(&self) -> bool {
        matches!(
            self,
            Self::Text {
                matcher: Matcher::Contains(Finder::Fold(..)),
                ..
            }
        )
    }

    /// The searches as one that finds any of them; `None` if that gains nothing.
    pub(super) fn joined(checks: &[Arc<Self>]) -> Option<Self> {
        let literals = checks.iter().filter_map(|check| match &**check {
            Self::Text {
                matcher: Matcher::Contains(finder),
                host: false,
                ..
            } => Some(finder.literals()),
            _ => None,
        });
        let literals: Vec<_> = literals.flatten().collect();
        if checks.len() < 2 || literals.len() < checks.len() {
            return None;
        }
        Some(Self::Text {
            matcher: Matcher::Contains(any_finder(&literals)?),
            fold: true,
            host: false,
        })
    }

    /// How dear the check is, to put cheap ones first.
    pub(super) fn cost(&self) -> u32 {
        match self {
            Self::Exists | Self::Is(_) | Self::Int { .. } | Self::IntIn(_) | Self::Ip(_) => 1,
            Self::Text {
                matcher: Matcher::Equal(_),
                ..
            } => 2,
            Self::Text {
                matcher: Matcher::Pattern(_) | Matcher::Glob(..),
                ..
            } => 40,
            Self::Text {
                matcher: Matcher::Contains(_),
                ..
            } => 20,
            Self::Text { .. } => 4,
        }
    }
}

impl Matcher {
    fn whole(&self, is: &[u8], fold: bool) -> bool {
        match self {
            Self::Equal(literal) => equal(is, literal, fold),
            Self::In(set) => set.contains(is, fold),
            Self::Domain(set) => parents(is).any(|name| set.contains(name, fold)),
            Self::Contains(finder) => finder.is_match(is),
            Self::StartsWith(literal) => starts(is, literal, fold),
            Self::EndsWith(literal) => {
                is.len() >= literal.len()
                    && is
                        .get(is.len() - literal.len()..)
                        .is_some_and(|end| equal(end, literal, fold))
            }
            Self::Pattern(regex) | Self::Glob(regex, _) => regex.is_match(is),
            Self::Path(set) => set.covers(is),
        }
    }

    /// `is` is only the beginning of the value, and at least one more byte follows it.
    fn cut(&self, is: &[u8], fold: bool) -> Truth {
        // `literal` may be the whole value, or begin it, once the rest is known.
        let may_grow = |literal: &[u8]| literal.len() > is.len() && starts(literal, is, fold);
        let possible = |yes| if yes { Truth::Maybe } else { Truth::No };
        match self {
            Self::Equal(literal) => possible(may_grow(literal)),
            Self::In(set) => possible(set.words().any(may_grow)),
            Self::StartsWith(literal) if starts(is, literal, fold) => Truth::Yes,
            Self::StartsWith(literal) => possible(may_grow(literal)),
            Self::Contains(finder) if finder.is_match(is) => Truth::Yes,
            Self::Path(set) => set.covers_cut(is),
            Self::Contains(_)
            | Self::EndsWith(_)
            | Self::Pattern(_)
            | Self::Glob(..)
            | Self::Domain(_) => Truth::Maybe,
        }
    }
}

fn equal(is: &[u8], literal: &[u8], fold: bool) -> bool {
    if fold {
        is.eq_ignore_ascii_case(literal)
    } else {
        is == literal
    }
}

fn starts(is: &[u8], literal: &[u8], fold: bool) -> bool {
    is.get(..literal.len())
        .is_some_and(|head| equal(head, literal, fold))
}

/// A host name and its parent domains: `a.b.c`, `b.c`, `c`.
fn parents(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let below = name.iter().enumerate().filter(|(_, byte)| **byte == b'.');
    std::iter::once(name).chain(below.filter_map(move |(dot, _)| name.get(dot + 1..)))
}
