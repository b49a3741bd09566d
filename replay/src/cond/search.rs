//! One search for the literals of many comparisons.
//!
//! Owns: [`Group`]: fields that are searched together, the automaton, and which
//! comparisons each literal belongs to.
//! Must not: settle a comparison whose literal may be there.
//!
//! A file's name is a part of its path, and most fields of a file event are its
//! path once more: what is in the part is in the whole, so one search of the
//! whole is enough for all of them.

use std::collections::BTreeMap;
use std::ops::Range;

use super::compile::Node;
use super::fields::Field;
use super::found::Outcome;
use super::share::{NO, OPEN, literals};
use super::trail::{Past, Searched};
use super::value::{Subject, Value};

/// Fewer comparisons are not worth a search.
const MIN_SEARCHED: usize = 4;
/// Bytes of literals up to which a search may take a thousand times their room.
const MAX_DENSE: usize = 8192;
/// Most fields that are searched together.
const MAX_PARTS: usize = 8;
/// Fields that are often the same path, or a part of it.
const PATHS: [Field; 7] = [
    Field::FsPathName,
    Field::FsPathSource,
    Field::FsPathTarget,
    Field::FsPathWritten,
    Field::FdName,
    Field::FdDirectory,
    Field::FdFilename,
];

/// Whole paths go before their parts.
pub(super) fn rank(field: Field) -> usize {
    PATHS.iter().position(|known| *known == field).unwrap_or(0)
}

/// The field by which those are known that are searched together.
pub(super) fn searched_with(field: Field) -> Field {
    if PATHS.contains(&field) {
        Field::FsPathName
    } else {
        field
    }
}

/// Comparisons that are open.
pub(super) enum Opened<'o> {
    /// This one of the search.
    One(usize),
    /// Those of a text.
    Known(&'o mut Outcome),
}

/// Comparisons with literals, of fields that are searched together.
#[derive(Debug)]
pub(super) struct Group {
    /// Where their answers stand.
    pub(super) slots: Range<usize>,
    /// Each field, and where its answers stand from the first of `slots` on.
    parts: Vec<(Field, Range<usize>)>,
    finder: Searched,
    /// For each literal, the parts and places that have it.
    of: Vec<Vec<(u8, u16)>>,
}

impl Group {
    /// Of comparisons in the order of their fields; `None` if it is not worth it.
    pub(super) fn of<'a>(
        tests: impl Iterator<Item = (Field, &'a Node)>,
        begins: usize,
    ) -> Option<Self> {
        let mut parts: Vec<(Field, Range<usize>)> = Vec::new();
        let mut words: BTreeMap<Box<[u8]>, Vec<(u8, u16)>> = BTreeMap::new();
        let mut count = 0;
        for (place, (field, test)) in (0u16..).zip(tests) {
            let at = usize::from(place);
            match parts.last_mut() {
                Some((last, range)) if *last == field => range.end = at + 1,
                _ => parts.push((field, at..at + 1)),
            }
            let part = u8::try_from(parts.len() - 1).ok()?;
            for literal in literals(test)?.1 {
                let literal: Box<[u8]> = literal.to_ascii_lowercase().into();
                words.entry(literal).or_default().push((part, place));
            }
            count = at + 1;
        }
        if count < MIN_SEARCHED || parts.len() > MAX_PARTS {
            return None;
        }
        let (words, of): (Vec<_>, Vec<_>) = words.into_iter().unzip();
        let small = words.iter().map(|word| word.len()).sum::<usize>() <= MAX_DENSE;
        let finder = Searched::of(&words, small)?;
        Some(Self {
            slots: begins..begins + count,
            parts,
            finder,
            of,
        })
    }

    /// One of its fields.
    pub(super) fn field(&self) -> Field {
        self.parts
            .first()
            .map_or(Field::EvtType, |(field, _)| *field)
    }

    /// Settles every comparison whose literals are not there; `open` is told of
    /// each other one.
    pub(super) fn search(
        &self,
        slots: &mut [u8],
        subject: &dyn Subject,
        past: Option<&mut Past>,
        open: &mut dyn FnMut(Opened<'_>),
    ) {
        // Most have few fields, and making room takes time.
        match self.parts.len() {
            ..=1 => self.fields::<1>(slots, subject, past, open),
            2..=4 => self.fields::<4>(slots, subject, past, open),
            _ => self.fields::<MAX_PARTS>(slots, subject, past, open),
        }
    }

    /// With room for the values of so many fields.
    fn fields<const ROOM: usize>(
        &self,
        slots: &mut [u8],
        subject: &dyn Subject,
        mut past: Option<&mut Past>,
        open: &mut dyn FnMut(Opened<'_>),
    ) {
        let mut values = [const { Value::Absent }; ROOM];
        for (value, (field, _)) in values.iter_mut().zip(&self.parts) {
            *value = subject.value(*field);
        }
        let values = values.get(..self.parts.len()).unwrap_or_default();
        slots.fill(NO);
        for ((_, range), value) in self.parts.iter().zip(values) {
            // Unknown or cut: each comparison must see for itself.
            if !matches!(value, Value::Absent | Value::Bytes(_)) {
                if let Some(slots) = slots.get_mut(range.clone()) {
                    slots.fill(OPEN);
                }
                range.clone().for_each(|at| open(Opened::One(at)));
            }
        }
        let (mut done, mut place) = (0u8, 0);
        for (part, value) in values.iter().enumerate() {
            let Value::Bytes(text) = value else {
                continue;
            };
            if done >> part & 1 == 1 {
                continue;
            }
            let covers = covered(values, part, text) & !done;
            done |= covers;
            let follows = |literals: &[u32]| self.follows(literals, covers);
            let known = past
                .as_mut()
                .and_then(|past| past.outcome((&self.finder, place), text, covers, follows));
            place += 1;
            match known {
                Some(outcome) => {
                    for at in &outcome.open {
                        if let Some(slot) = slots.get_mut(usize::from(*at)) {
                            *slot = OPEN;
                        }
                    }
                    open(Opened::Known(outcome));
                }
                None => self.alone(slots, text, covers, open),
            }
        }
    }

    /// The comparisons of these fields that are open where the literals are there.
    fn follows(&self, literals: &[u32], covers: u8) -> Box<[u16]> {
        let of = literals.iter().filter_map(|at| self.of.get(*at as usize));
        let covered = of
            .flatten()
            .filter(|(part, _)| covers >> part & 1 == 1)
            .map(|(_, at)| *at);
        let mut open: Vec<u16> = covered.collect();
        open.sort_unstable();
        open.dedup();
        open.into()
    }

    /// A text of which nothing is remembered.
    fn alone(&self, slots: &mut [u8], text: &[u8], covers: u8, open: &mut dyn FnMut(Opened<'_>)) {
        self.finder.each(text, &mut |literal| {
            for (part, at) in self.of.get(literal).into_iter().flatten() {
                let at = usize::from(*at);
                // A literal may be there many times.
                let place = slots.get_mut(at).filter(|place| **place == NO);
                if let Some(place) = place.filter(|_| covers >> part & 1 == 1) {
                    *place = OPEN;
                    open(Opened::One(at));
                }
            }
        });
    }
}

/// The parts whose values lie in this text, which is the value of `part`, a bit each.
fn covered(values: &[Value<'_>], part: usize, text: &[u8]) -> u8 {
    let here = values.iter().enumerate().filter(|(_, other)| match other {
        Value::Bytes(other) => is_part(other, text),
        _ => false,
    });
    here.fold(1u8 << part, |covers, (other, _)| covers | 1 << other)
}

/// Are these the very bytes, or some of them? Both are borrowed now, so that
/// one place in memory is one text.
fn is_part(part: &[u8], whole: &[u8]) -> bool {
    let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
    whole.start <= part.start && part.end <= whole.end
}
