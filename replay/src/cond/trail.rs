//! Searching texts that begin alike.
//!
//! Owns: the automaton of a search, [`Trail`]: where it stood at each byte of the
//! last text, and [`Past`]: all that is remembered of a search.
//! Must not: find anything else than a search from the beginning.
//!
//! The files of a folder come one after the other, and most of a path is its
//! folder: the search goes on where the new path differs from the one before.

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::{Anchored, MatchKind, dfa, nfa};

use super::found::{Found, NONE, Outcome};
use crate::steps::took;

/// Bytes of a text that are remembered.
const MAX_TEXT: usize = 1024;
/// Bytes that are compared in one step.
const STEP: usize = 16;

/// Literals in any ASCII case, all at once.
#[derive(Debug)]
pub(super) enum Searched {
    /// Twice as quick, and a thousand times as large as the literals.
    Dense(dfa::DFA, StateID),
    Sparse(nfa::contiguous::NFA, StateID),
}

impl Searched {
    pub(super) fn of(words: &[Box<[u8]>], dense: bool) -> Option<Self> {
        if dense {
            let finder = dfa::DFA::builder()
                .match_kind(MatchKind::Standard)
                .ascii_case_insensitive(true)
                .build(words)
                .ok()?;
            let start = finder.start_state(Anchored::No).ok()?;
            return Some(Self::Dense(finder, start));
        }
        let finder = nfa::contiguous::NFA::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(words)
            .ok()?;
        let start = finder.start_state(Anchored::No).ok()?;
        Some(Self::Sparse(finder, start))
    }

    /// Calls `hit` with the number of each literal that is in the text, as often
    /// as it is.
    pub(super) fn each(&self, text: &[u8], hit: &mut dyn FnMut(usize)) {
        match self {
            Self::Dense(finder, start) => each(finder, *start, text, hit),
            Self::Sparse(finder, start) => each(finder, *start, text, hit),
        }
    }

    /// The set of the literals that are in the text. `None`: there is no room for it.
    pub(super) fn walk(&self, text: &[u8], trail: &mut Trail, found: &mut Found) -> Option<u32> {
        match self {
            Self::Dense(finder, start) => trail.walk(finder, *start, text, found),
            Self::Sparse(finder, start) => trail.walk(finder, *start, text, found),
        }
    }
}

fn each<A: Automaton>(finder: &A, start: StateID, text: &[u8], hit: &mut dyn FnMut(usize)) {
    took(text.len());
    let mut state = start;
    for byte in text {
        state = finder.next_state(Anchored::No, state, *byte);
        if finder.is_special(state) && finder.is_match(state) {
            for at in 0..finder.match_len(state) {
                took(1);
                hit(finder.match_pattern(state, at).as_usize());
            }
        }
    }
}

/// Where the search of a text stood at each of its bytes. It belongs to one
/// automaton.
#[derive(Debug, Default)]
pub(super) struct Trail {
    text: Vec<u8>,
    /// Behind each byte of `text`.
    states: Vec<StateID>,
    /// Where the set of literals found so far grew, and its number from there on.
    sets: Vec<(usize, u32)>,
}

impl Trail {
    fn walk<A: Automaton>(
        &mut self,
        finder: &A,
        start: StateID,
        text: &[u8],
        found: &mut Found,
    ) -> Option<u32> {
        let same = common(&self.text, text);
        let (kept, beyond) = text.split_at(text.len().min(MAX_TEXT));
        took(text.len().saturating_sub(same));
        let left = self.sets.partition_point(|(end, _)| *end <= same);
        self.sets.truncate(left);
        self.text.truncate(same);
        self.text
            .extend_from_slice(kept.get(same..).unwrap_or_default());
        let before = same.checked_sub(1).and_then(|at| self.states.get(at));
        let mut state = before.copied().unwrap_or(start);
        let mut set = self.sets.last().map_or(NONE, |(_, set)| *set);
        self.states.resize(kept.len(), start);
        let places = self.states.get_mut(same..).unwrap_or_default();
        let bytes = kept.get(same..).unwrap_or_default();
        for (end, (place, byte)) in (same + 1..).zip(places.iter_mut().zip(bytes)) {
            state = finder.next_state(Anchored::No, state, *byte);
            *place = state;
            if finder.is_special(state) && finder.is_match(state) {
                let next = found.and(set, finder, state)?;
                if next != set {
                    set = next;
                    self.sets.push((end, set));
                }
            }
        }
        for byte in beyond {
            state = finder.next_state(Anchored::No, state, *byte);
            if finder.is_special(state) && finder.is_match(state) {
                set = found.and(set, finder, state)?;
            }
        }
        Some(set)
    }

    fn clear(&mut self) {
        self.text.clear();
        self.states.clear();
        self.sets.clear();
    }
}

/// How many bytes both begin with.
fn common(one: &[u8], other: &[u8]) -> usize {
    let steps = one.as_chunks::<STEP>().0.iter();
    let steps = steps.zip(other.as_chunks::<STEP>().0);
    let sure = steps.take_while(|(one, other)| one == other).count() * STEP;
    let (one, other) = (one.get(sure..), other.get(sure..));
    let rest = one
        .unwrap_or_default()
        .iter()
        .zip(other.unwrap_or_default());
    sure + rest.take_while(|(one, other)| one == other).count()
}

/// What is remembered of one search of one event type.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// Of the first text, and of the second.
    trails: [Trail; 2],
    found: Found,
}

impl Past {
    /// What the text in this place leaves open of the fields that it stands for;
    /// `open` says it of literals. `None`: the text must be searched by itself.
    pub(super) fn outcome(
        &mut self,
        (finder, place): (&Searched, usize),
        text: &[u8],
        covers: u8,
        open: impl FnOnce(&[u32]) -> Box<[u16]>,
    ) -> Option<&mut Outcome> {
        let trail = self.trails.get_mut(place)?;
        match finder.walk(text, trail, &mut self.found) {
            Some(set) => self.found.outcome(set, covers, open),
            None => {
                self.trails.iter_mut().for_each(Trail::clear);
                self.found.clear();
                None
            }
        }
    }
}

/// What is remembered of the searches of every event type, by its place and the
/// number of the search.
#[derive(Debug, Default)]
pub(crate) struct Trails(Vec<Vec<Past>>);

impl Trails {
    /// Those of the searches of the type at this place; there are so many types,
    /// and so many searches of each, as the rules have.
    pub(crate) fn of(&mut self, at: usize, searches: usize) -> &mut [Past] {
        if self.0.len() <= at {
            self.0.resize_with(at.saturating_add(1), Vec::new);
        }
        let Some(pasts) = self.0.get_mut(at) else {
            return &mut [];
        };
        if pasts.len() < searches {
            pasts.resize_with(searches, Past::default);
        }
        pasts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn alone(finder: &Searched, text: &[u8]) -> Vec<u32> {
        let mut found = Vec::new();
        finder.each(text, &mut |literal| {
            found.push(u32::try_from(literal).unwrap())
        });
        found.sort_unstable();
        found.dedup();
        found
    }

    proptest! {
        /// Whatever came before, a text is searched as if it were the first, and
        /// what is known of a set is what follows from its literals.
        #[test]
        fn what_is_remembered_changes_nothing(
            words in prop::collection::vec("[abAB/]{1,4}", 1..8),
            texts in prop::collection::vec(("[ab/]{0,40}", 0usize..3, 1u8..4), 1..12),
            long in 0usize..1500,
            room in prop_oneof![1usize..12, Just(usize::MAX)],
            dense: bool,
        ) {
            let mut words: Vec<Box<[u8]>> =
                words.iter().map(|word| word.to_ascii_lowercase().into_bytes().into()).collect();
            words.sort();
            words.dedup();
            let finder = Searched::of(&words, dense).unwrap();
            let mut past = Past { found: Found::with_room(room), ..Past::default() };
            let padding = "ab/".repeat(long);
            for (text, place, covers) in &texts {
                for text in [text.clone(), format!("{padding}{text}")] {
                    let expected = words.iter().zip(0u32..).filter(|(word, _)| {
                        let mut windows = text.as_bytes().windows(word.len());
                        windows.any(|part| *part == ***word)
                    });
                    let expected: Vec<u32> = expected.map(|(_, at)| at).collect();
                    prop_assert_eq!(&alone(&finder, text.as_bytes()), &expected);
                    let open = |literals: &[u32]| -> Box<[u16]> {
                        let both = literals.iter().map(|at| u16::from(*covers) << 8 | *at as u16);
                        both.collect()
                    };
                    let what = (&finder, *place);
                    let outcome = past.outcome(what, text.as_bytes(), *covers, open);
                    if *place > 1 {
                        prop_assert!(outcome.is_none());
                    } else if let Some(outcome) = outcome {
                        prop_assert_eq!(&outcome.open, &open(&expected));
                    } else {
                        // Only for want of room, and the next one has room again.
                        prop_assert!(room < 12);
                        prop_assert_eq!(past.trails[*place].text.len(), 0);
                    }
                    for trail in &past.trails {
                        prop_assert!(trail.text.len() <= MAX_TEXT);
                        prop_assert_eq!(trail.text.len(), trail.states.len());
                        prop_assert!(trail.sets.len() <= words.len());
                    }
                }
            }
        }
    }
}
