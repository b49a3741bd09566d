//! Sets of literals that texts had, and what each set leaves open.
//!
//! Owns: [`Found`]: a number for each set that came up, the step from one to the
//! next, and the comparisons that a set leaves open, worked out once.
//! Must not: grow with the texts. What does not fit makes it begin anew.
//!
//! Most texts of a run have the same few literals as others before them. So what
//! follows from a literal is not done for each text that has it: a text comes to
//! the number of its set, and with it to what is known of that set.

use std::collections::{BTreeMap, HashMap};

use aho_corasick::automaton::{Automaton, StateID};
use foldhash::quality::RandomState;

use crate::steps::took;

/// Most sets that are known of one search.
const MAX_SETS: usize = 256;
/// Most literals of all sets together.
const MAX_LITERALS: usize = 1 << 14;
/// The set without any.
pub(super) const NONE: u32 = 0;

/// Comparisons that are open where a text has certain literals.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The fields that the text stands for, a bit each.
    covers: u8,
    /// Their places in the search.
    pub(super) open: Box<[u16]>,
    /// The conditions that hang on them, once somebody has worked it out.
    pub(super) rows: Option<Box<[u64]>>,
}

#[derive(Debug, Default)]
struct Set {
    /// Sorted, each once.
    literals: Box<[u32]>,
    /// For each choice of fields that came up.
    outcomes: Vec<Outcome>,
}

/// The sets that came up in one search.
#[derive(Debug)]
pub(super) struct Found {
    sets: Vec<Set>,
    numbers: BTreeMap<Box<[u32]>, u32>,
    /// From a set, over a state of the automaton in which literals end.
    steps: HashMap<(u32, StateID), u32, RandomState>,
    literals: usize,
    room: usize,
}

impl Default for Found {
    fn default() -> Self {
        Self::with_room(MAX_SETS)
    }
}

impl Found {
    /// Knows so many sets at most.
    pub(super) fn with_room(room: usize) -> Self {
        Self {
            sets: vec![Set::default()],
            numbers: BTreeMap::from([(Box::default(), NONE)]),
            steps: HashMap::default(),
            literals: 0,
            room,
        }
    }

    /// Forgets all of it.
    pub(super) fn clear(&mut self) {
        *self = Self::with_room(self.room);
    }

    /// The set's literals.
    pub(super) fn literals(&self, set: u32) -> &[u32] {
        self.sets
            .get(set as usize)
            .map_or(&[], |set| &*set.literals)
    }

    /// The set once this state was reached, too. `None`: there is no room for it.
    pub(super) fn and<A: Automaton>(
        &mut self,
        set: u32,
        finder: &A,
        state: StateID,
    ) -> Option<u32> {
        if let Some(next) = self.steps.get(&(set, state)) {
            return Some(*next);
        }
        let mut all = self.literals(set).to_vec();
        for at in 0..finder.match_len(state) {
            took(1);
            all.push(finder.match_pattern(state, at).as_u32());
        }
        all.sort_unstable();
        all.dedup();
        let next = self.number(all.into())?;
        // Each set has a few steps for each literal that it lacks; what it has leads to itself.
        if self.steps.len() < self.room.saturating_mul(64) {
            self.steps.insert((set, state), next);
        }
        Some(next)
    }

    fn number(&mut self, literals: Box<[u32]>) -> Option<u32> {
        if let Some(known) = self.numbers.get(&literals) {
            return Some(*known);
        }
        let all = self.literals.saturating_add(literals.len());
        if self.sets.len() >= self.room || all > MAX_LITERALS {
            return None;
        }
        let number = u32::try_from(self.sets.len()).ok()?;
        self.literals = all;
        self.numbers.insert(literals.clone(), number);
        self.sets.push(Set {
            literals,
            outcomes: Vec::new(),
        });
        Some(number)
    }

    /// What the set leaves open of these fields; `open` says it the first time.
    pub(super) fn outcome(
        &mut self,
        set: u32,
        covers: u8,
        open: impl FnOnce(&[u32]) -> Box<[u16]>,
    ) -> Option<&mut Outcome> {
        let Set { literals, outcomes } = self.sets.get_mut(set as usize)?;
        let known = outcomes.iter().position(|known| known.covers == covers);
        let at = known.unwrap_or(outcomes.len());
        if known.is_none() {
            let open = open(literals);
            let rows = None;
            outcomes.push(Outcome { covers, open, rows });
        }
        outcomes.get_mut(at)
    }
}
