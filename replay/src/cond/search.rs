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
use super::share::{NO, OPEN, literals};
use super::trail::{Pair, Searched};
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

    /// Settles every comparison whose literals are not there; `open` is called
    /// for each other one.
    pub(super) fn search(
        &self,
        slots: &mut [u8],
        subject: &dyn Subject,
        trails: Option<&mut Pair>,
        open: &mut dyn FnMut(usize),
    ) {
        let mut values = [const { Value::Absent }; MAX_PARTS];
        for (value, (field, _)) in values.iter_mut().zip(&self.parts) {
            *value = subject.value(*field);
        }
        let values = values.get(..self.parts.len()).unwrap_or_default();
        for ((_, range), value) in self.parts.iter().zip(values) {
            // Unknown or cut: each comparison must see for itself.
            let known = matches!(value, Value::Absent | Value::Bytes(_));
            if let Some(slots) = slots.get_mut(range.clone()) {
                slots.fill(if known { NO } else { OPEN });
            }
            if !known {
                range.clone().for_each(&mut *open);
            }
        }
        let mut done = 0u8;
        let mut trails = trails.into_iter().flatten();
        for (part, value) in values.iter().enumerate() {
            let Value::Bytes(text) = value else {
                continue;
            };
            if done >> part & 1 == 1 {
                continue;
            }
            let here = values.iter().enumerate().filter(|(_, other)| match other {
                Value::Bytes(other) => is_part(other, text),
                _ => false,
            });
            let covers = here.fold(1u8 << part, |covers, (other, _)| covers | 1 << other) & !done;
            done |= covers;
            self.finder.walk(text, trails.next(), &mut |literal| {
                for (part, at) in self.of.get(literal).into_iter().flatten() {
                    let at = usize::from(*at);
                    // A literal may be there many times.
                    let place = slots.get_mut(at).filter(|place| **place == NO);
                    if let Some(place) = place.filter(|_| covers >> part & 1 == 1) {
                        *place = OPEN;
                        open(at);
                    }
                }
            });
        }
    }
}

/// Are these the very bytes, or some of them? Both are borrowed now, so that
/// one place in memory is one text.
fn is_part(part: &[u8], whole: &[u8]) -> bool {
    let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
    whole.start <= part.start && part.end <= whole.end
}
