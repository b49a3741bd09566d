//! The right-hand side of a comparison: which values a field takes, and the
//! check that is made of them.
//!
//! Owns: what may be compared with what, by which operator.
//! Must not: resolve macros, or evaluate.

use std::cmp::Ordering;

use super::change::Change;
use super::check::{Check, Matcher};
use super::compile::{Compiler, MAX_ITEMS, Result, host, lower};
use super::error::{CondError, WORD, shown};
use super::fields::{Field, Type};
use super::pattern::{bytes_finder, finder};
use super::sets::{IpSet, WordSet};
use super::syntax::{Left, Op, Operand, Word};
use super::types::Types;

/// What a comparison's right-hand side depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) field: Field,
    pub(super) kind: Type,
    pub(super) at: usize,
    pub(super) op: Op,
    /// `tolower` or `toupper`, where it becomes a comparison that ignores case.
    case: Option<Change>,
    /// The transformers are dealt with by the check itself.
    pub(super) applied: bool,
}

/// Operators whose literals can be held against any case.
const LITERAL: &[Op] = &[
    Op::Equal,
    Op::Differs,
    Op::In,
    Op::Intersects,
    Op::Contains,
    Op::StartsWith,
    Op::EndsWith,
];

impl Compiler<'_> {
    /// What the left side is, once its transformers are applied.
    pub(super) fn place(&self, left: &Left, op: Op) -> Result<Place> {
        let mut field = left.field;
        // A mode compared as text means its flags, as in Falco.
        if field == Field::EvtArgMode && matches!(op, Op::Contains | Op::StartsWith | Op::EndsWith)
        {
            field = Field::EvtArgModeFlags;
        }
        let mut kind = field.kind();
        let case = match left.changes.as_slice() {
            [case @ (Change::Lower | Change::Upper)]
                if kind.is_text() && (LITERAL.contains(&op) || op == Op::Exists) =>
            {
                Some(*case)
            }
            _ => None,
        };
        for change in left.changes.iter().filter(|_| case.is_none()) {
            if !kind.is_text() {
                let message = format!("`{}()` takes text, not {}", change.name(), kind.name());
                return Err(self.error(left.at, message));
            }
            kind = match change {
                Change::Length => Type::Int,
                _ => Type::Text,
            };
        }
        Ok(Place {
            field,
            kind,
            at: left.at,
            op,
            case,
            applied: case.is_some(),
        })
    }

    pub(super) fn check(&mut self, place: Place, operand: &Operand<'_>) -> Result<Check> {
        match operand {
            Operand::None | Operand::Other(_) => Ok(Check::Exists),
            Operand::One(word) => self.against_one(place, word),
            Operand::Many(words) => {
                let items = self.expand(words)?;
                self.against_many(place, &items)
            }
        }
    }

    /// Bare words that name a list stand for its items.
    fn expand(&mut self, words: &[Word<'_>]) -> Result<Vec<(String, usize)>> {
        let mut items = Vec::with_capacity(words.len());
        for word in words {
            let list = self.names.list(&word.text).filter(|_| !word.quoted);
            self.items = self.items.saturating_add(list.map_or(1, <[String]>::len));
            if self.items > MAX_ITEMS {
                return Err(self.error(word.at, format!("more than {MAX_ITEMS} list items")));
            }
            match list {
                Some(list) => items.extend(list.iter().map(|item| (item.clone(), word.at))),
                None => items.push((word.text.clone().into_owned(), word.at)),
            }
        }
        Ok(items)
    }

    fn mismatch(&self, place: Place) -> CondError {
        let Place {
            field,
            kind,
            at,
            op,
            ..
        } = place;
        let kind = kind.name();
        self.error(
            at,
            format!(
                "`{field}` is {kind} and cannot be compared with `{}`",
                op.name()
            ),
        )
    }

    fn against_one(&mut self, place: Place, word: &Word<'_>) -> Result<Check> {
        let equality = matches!(place.op, Op::Equal | Op::Differs);
        match place.kind {
            Type::Bool if equality => match word.text.as_ref() {
                "true" => Ok(Check::Is(true)),
                "false" => Ok(Check::Is(false)),
                other => {
                    let message = format!("`{}` is neither `true` nor `false`", shown(other, WORD));
                    Err(self.error(word.at, message))
                }
            },
            Type::Int => {
                let (order, or_equal) = match place.op {
                    Op::Equal | Op::Differs => (Ordering::Equal, false),
                    Op::Less => (Ordering::Less, false),
                    Op::AtMost => (Ordering::Less, true),
                    Op::Greater => (Ordering::Greater, false),
                    Op::AtLeast => (Ordering::Greater, true),
                    _ => return Err(self.mismatch(place)),
                };
                let mut than = self.number(&word.text, word.at)?;
                // Falco counts events from 1.
                if place.field == Field::EvtNum && self.names.is_foreign() {
                    than = than.saturating_sub(1);
                }
                Ok(Check::Int {
                    order,
                    or_equal,
                    than,
                })
            }
            Type::Ip if equality => {
                Ok(Check::Ip(IpSet::new(&[self.network(&word.text, word.at)?])))
            }
            kind if kind.is_text() => self.text(place, word),
            _ => Err(self.mismatch(place)),
        }
    }

    fn text(&mut self, place: Place, word: &Word<'_>) -> Result<Check> {
        let names = matches!(place.kind, Type::Name | Type::Domain);
        let fold = names || place.case.is_some();
        let text = word.text.as_ref();
        let check = |matcher| Check::Text {
            matcher,
            fold,
            host: names,
        };
        if !reaches(place.case, text) {
            return Ok(check(Matcher::In(WordSet::default())));
        }
        let matcher = match place.op {
            Op::Equal | Op::Differs => {
                if place.kind == Type::EventType && !self.event_type(text, word.at)? {
                    return Ok(check(Matcher::In(WordSet::default())));
                }
                Ok(Matcher::Equal(if names {
                    host(text)
                } else {
                    lower(text, fold)
                }))
            }
            Op::StartsWith => Ok(Matcher::StartsWith(lower(text, fold))),
            Op::EndsWith => Ok(Matcher::EndsWith(lower(text, fold))),
            Op::Contains => finder(text, fold).map(Matcher::Contains),
            Op::ContainsFold => finder(text, true).map(Matcher::Contains),
            Op::ContainsBytes => Ok(Matcher::Contains(bytes_finder(&self.hex(text, word.at)?))),
            Op::StartsWithBytes => Ok(Matcher::StartsWith(self.hex(text, word.at)?.into())),
            Op::Glob => self
                .patterns
                .glob(text, fold)
                .map(|regex| globbed(regex, text)),
            Op::GlobFold => self
                .patterns
                .glob(text, true)
                .map(|regex| globbed(regex, text)),
            Op::Regex => self.patterns.whole(text, fold).map(Matcher::Pattern),
            _ => return Err(self.mismatch(place)),
        };
        let matcher = matcher.map_err(|message| self.error(word.at, message))?;
        Ok(check(matcher))
    }

    /// `cafebabe`, as Falco writes bytes.
    fn hex(&self, text: &str, at: usize) -> Result<Vec<u8>> {
        let digits = text.as_bytes().chunks(2);
        let bytes: Option<Vec<u8>> = digits
            .map(|pair| {
                let pair = std::str::from_utf8(pair).ok().filter(|p| p.len() == 2)?;
                u8::from_str_radix(pair, 16).ok()
            })
            .collect();
        bytes.ok_or_else(|| {
            let message = format!("`{}` is no bytes in hexadecimal", shown(text, WORD));
            self.error(at, message)
        })
    }

    fn against_many(&mut self, place: Place, items: &[(String, usize)]) -> Result<Check> {
        match (place.kind, place.op) {
            (Type::Int, Op::In | Op::Intersects) => {
                let numbers = items.iter().map(|(item, at)| self.number(item, *at));
                let mut numbers = numbers.collect::<Result<Vec<_>>>()?;
                numbers.sort_unstable();
                Ok(Check::IntIn(numbers.into()))
            }
            (Type::Ip, Op::In | Op::Intersects) => {
                let nets = items.iter().map(|(item, at)| self.network(item, *at));
                Ok(Check::Ip(IpSet::new(&nets.collect::<Result<Vec<_>>>()?)))
            }
            (Type::Text, Op::PathMatch) => {
                let at = items.first().map_or(place.at, |(_, at)| *at);
                let set = self
                    .patterns
                    .paths(items.iter().map(|(item, _)| item.as_str()));
                let matcher = Matcher::Path(set.map_err(|message| self.error(at, message))?);
                Ok(Check::Text {
                    matcher,
                    fold: false,
                    host: false,
                })
            }
            (kind, Op::In | Op::Intersects) if kind.is_text() => self.one_of(place, items),
            _ => Err(self.mismatch(place)),
        }
    }

    fn one_of(&mut self, place: Place, items: &[(String, usize)]) -> Result<Check> {
        let names = matches!(place.kind, Type::Name | Type::Domain);
        let fold = names || place.case.is_some();
        let mut words = Vec::with_capacity(items.len());
        for (item, at) in items {
            match place.kind {
                Type::EventType if !self.event_type(item, *at)? => continue,
                Type::Domain if item.starts_with("*.") || item.starts_with('.') => {
                    let message = format!(
                        "write `{item}` without its beginning: `in` covers every name below"
                    );
                    return Err(self.error(*at, message));
                }
                _ => {}
            }
            if reaches(place.case, item) {
                words.push(if names { host(item) } else { lower(item, fold) });
            }
        }
        let set = WordSet::new(words);
        let matcher = if place.kind == Type::Domain {
            Matcher::Domain(set)
        } else {
            Matcher::In(set)
        };
        Ok(Check::Text {
            matcher,
            fold,
            host: names,
        })
    }

    /// Whether such events are recorded. A foreign rule may name other calls;
    /// they are remembered, and never seen.
    fn event_type(&mut self, name: &str, at: usize) -> Result<bool> {
        if Types::known(name) {
            self.seen = true;
            return Ok(true);
        }
        let like_a_call = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if self.names.is_foreign() && like_a_call {
            self.unseen.insert(name.to_owned());
            return Ok(false);
        }
        Err(self
            .error(at, format!("unknown event type `{}`", shown(name, WORD)))
            .near(name, Types::names()))
    }

    fn number(&self, text: &str, at: usize) -> Result<i64> {
        let parsed = match text.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16),
            None => text.parse(),
        };
        parsed.map_err(|_| self.error(at, format!("`{}` is no number", shown(text, WORD))))
    }

    fn network(&self, text: &str, at: usize) -> Result<ipnet::IpNet> {
        IpSet::item(text).ok_or_else(|| {
            self.error(
                at,
                format!(
                    "`{}` is neither an address nor a network (`10.0.0.0/8`)",
                    shown(text, WORD)
                ),
            )
        })
    }
}

/// The glob with its longest piece without signs, if it has one.
fn globbed(regex: regex::bytes::Regex, glob: &str) -> Matcher {
    // Alternatives and classes make nothing certain.
    if glob.contains(['{', '[', '\\']) {
        return Matcher::Pattern(regex);
    }
    let longest = glob.split(['*', '?']).max_by_key(|piece| piece.len());
    match longest {
        Some(piece) if !piece.is_empty() => Matcher::Glob(regex, piece.as_bytes().into()),
        _ => Matcher::Pattern(regex),
    }
}

/// Can a value in this case hold, or be, this literal at all?
fn reaches(case: Option<Change>, literal: &str) -> bool {
    match case {
        Some(Change::Lower) => !literal.bytes().any(|b| b.is_ascii_uppercase()),
        Some(Change::Upper) => !literal.bytes().any(|b| b.is_ascii_lowercase()),
        _ => true,
    }
}
