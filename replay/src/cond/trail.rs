//! Searching texts that begin alike.
//!
//! Owns: the automaton of a search, and [`Trail`]: where it stood at each byte of
//! the last text. Must not: find anything else than a search from the beginning.
//!
//! The files of a folder come one after the other, and most of a path is its
//! folder: the search goes on where the new path differs from the one before.

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::{Anchored, MatchKind, dfa, nfa};

use crate::steps::took;

/// Bytes of a text that are remembered.
const MAX_TEXT: usize = 1024;
/// Hits in a text that are remembered, with the bytes up to the last of them.
const MAX_HITS: usize = 256;
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
    pub(super) fn walk(&self, text: &[u8], trail: Option<&mut Trail>, hit: &mut dyn FnMut(usize)) {
        let mut none = Trail::default();
        let (trail, keep) = match trail {
            Some(trail) => (trail, MAX_TEXT),
            None => (&mut none, 0),
        };
        match self {
            Self::Dense(finder, start) => trail.walk(finder, *start, (text, keep), hit),
            Self::Sparse(finder, start) => trail.walk(finder, *start, (text, keep), hit),
        }
    }
}

/// Where the search of a text stood at each of its bytes. It belongs to one
/// automaton.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    text: Vec<u8>,
    /// Behind each byte of `text`.
    states: Vec<StateID>,
    /// Where each hit ends, and the literal.
    hits: Vec<(usize, usize)>,
}

impl Trail {
    fn walk<A: Automaton>(
        &mut self,
        finder: &A,
        start: StateID,
        (text, keep): (&[u8], usize),
        hit: &mut dyn FnMut(usize),
    ) {
        let same = common(&self.text, text);
        self.text.truncate(same);
        self.states.truncate(same);
        let left = self.hits.partition_point(|(end, _)| *end <= same);
        self.hits.truncate(left);
        took(text.len().saturating_sub(same) + self.hits.len());
        self.hits.iter().for_each(|(_, literal)| hit(*literal));
        let mut state = self.states.last().copied().unwrap_or(start);
        let mut keep = keep;
        for (end, byte) in (1..).zip(text).skip(same) {
            state = finder.next_state(Anchored::No, state, *byte);
            let remembered = end <= keep;
            if finder.is_special(state) && finder.is_match(state) {
                for at in 0..finder.match_len(state) {
                    let literal = finder.match_pattern(state, at).as_usize();
                    took(1);
                    hit(literal);
                    if remembered {
                        self.hits.push((end, literal));
                    }
                }
                // What follows would be without its hits.
                if self.hits.len() >= MAX_HITS {
                    keep = keep.min(end);
                }
            }
            if remembered {
                self.states.push(state);
            }
        }
        let remembered = self.states.len();
        let new = text.get(self.text.len()..remembered);
        self.text.extend_from_slice(new.unwrap_or_default());
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

/// The trails of one event type's searches: of the first text, and of the second.
pub(crate) type Pair = [Trail; 2];

/// The trails of every event type, by its place and the number of the search.
#[derive(Debug, Default)]
pub(crate) struct Trails(Vec<Vec<Pair>>);

impl Trails {
    /// Those of the searches of the type at this place; there are so many types,
    /// and so many searches of each, as the rules have.
    pub(crate) fn of(&mut self, at: usize, searches: usize) -> &mut [Pair] {
        if self.0.len() <= at {
            self.0.resize_with(at.saturating_add(1), Vec::new);
        }
        let Some(pairs) = self.0.get_mut(at) else {
            return &mut [];
        };
        if pairs.len() < searches {
            pairs.resize_with(searches, Pair::default);
        }
        pairs
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(finder: &Searched, text: &[u8], trail: Option<&mut Trail>) -> Vec<usize> {
        let mut found = Vec::new();
        finder.walk(text, trail, &mut |literal| found.push(literal));
        found
    }

    proptest! {
        /// Whatever came before, a text is searched as if it were the first.
        #[test]
        fn a_trail_changes_nothing(
            words in prop::collection::vec("[abAB/]{1,4}", 1..8),
            texts in prop::collection::vec("[ab/]{0,40}", 1..12),
            long in 0usize..1500,
            dense: bool,
        ) {
            let mut words: Vec<Box<[u8]>> =
                words.iter().map(|word| word.to_ascii_lowercase().into_bytes().into()).collect();
            words.sort();
            words.dedup();
            let finder = Searched::of(&words, dense).unwrap();
            let mut trail = Trail::default();
            let padding = "ab/".repeat(long);
            for text in &texts {
                for text in [text.clone(), format!("{padding}{text}")] {
                    let expected = words.iter().enumerate().flat_map(|(at, word)| {
                        let windows = text.as_bytes().windows(word.len());
                        windows.filter(|part| *part == &**word).map(move |_| at)
                    });
                    let mut expected: Vec<_> = expected.collect();
                    let alone = found(&finder, text.as_bytes(), None);
                    let mut after = found(&finder, text.as_bytes(), Some(&mut trail));
                    prop_assert_eq!(&alone, &after);
                    after.sort();
                    expected.sort();
                    prop_assert_eq!(after, expected);
                    prop_assert!(trail.text.len() <= MAX_TEXT);
                    prop_assert!(trail.hits.len() < MAX_HITS + words.len());
                }
            }
        }
    }
}
