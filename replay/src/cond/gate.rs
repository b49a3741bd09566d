//! Which of many conditions can hold at all, once literals were searched for.
//!
//! Owns: for each condition the literals without any of which it is a certain
//! no, and the set of conditions that are left for an event.
//! Must not: leave out a condition that may hold.
//!
//! Asking a hundred conditions takes longer than finding that the path of an
//! event has nothing of what ninety of them look for. What has no literal mostly
//! has a flag: something that is seldom so, and asked once for all.

use super::Special;
use super::compile::Node;
use super::flag::{Flags, flags};
use super::found::Outcome;
use super::search::Opened;
use super::share::{Kept, Memo, literals};
use super::standing;
use super::value::{Subject, Truth};

/// More conditions than this are all asked.
pub(crate) const MAX_ROWS: usize = 2048;
/// Room for their set.
pub(crate) const ROW_WORDS: usize = MAX_ROWS / 64;
/// Longer literals are no better.
const LONG: usize = 8;

/// What each condition needs.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    /// Conditions that need no literal and no flag.
    free: Box<[u64]>,
    flags: Flags,
    /// One for each search of [`Kept`].
    groups: Box<[Gate]>,
    /// Some condition asks for something that stands for a process.
    standing: bool,
}

/// What hangs on one search.
#[derive(Clone, Debug)]
struct Gate {
    /// Every condition that does.
    rows: Box<[u64]>,
    /// For each comparison of the search, those that may hold if it does.
    of: Vec<Vec<u16>>,
    /// Its field stands for a process.
    standing: bool,
}

impl Gate {
    /// Adds the conditions that hang on these comparisons.
    fn opened(&self, opened: Opened<'_>, open: &mut [u64]) {
        let hang = |at: usize, open: &mut [u64]| {
            let rows = self.of.get(at);
            rows.into_iter().flatten().for_each(|row| set(open, *row));
        };
        match opened {
            Opened::One(at) => hang(at, open),
            Opened::Known(Outcome {
                open: all, rows, ..
            }) => {
                let rows = rows.get_or_insert_with(|| {
                    let mut rows = vec![0; open.len()];
                    all.iter().for_each(|at| hang(usize::from(*at), &mut rows));
                    rows.into()
                });
                for (open, rows) in open.iter_mut().zip(&**rows) {
                    *open |= rows;
                }
            }
        }
    }
}

/// Comparisons without any of which a condition does not hold.
struct Needed {
    slots: Vec<u32>,
    shortest: usize,
    standing: bool,
}

impl Gates {
    /// Of conditions that share these comparisons; `None` if they are too many.
    pub(crate) fn of<'a>(
        kept: &Kept,
        conditions: impl ExactSizeIterator<Item = &'a Special>,
    ) -> Option<Self> {
        let rows = conditions.len();
        if rows > MAX_ROWS {
            return None;
        }
        let words = rows.div_ceil(64);
        let none = || vec![0u64; words].into_boxed_slice();
        let groups = kept.groups().map(|(field, slots)| Gate {
            rows: none(),
            of: vec![Vec::new(); slots],
            standing: field.is_standing(),
        });
        let mut gates = Self {
            free: none(),
            flags: Flags::default(),
            groups: groups.collect(),
            standing: false,
        };
        for (row, condition) in (0u16..).zip(conditions) {
            gates.standing |= standing::asks(&condition.0);
            // What hangs on a literal of the process is open for all its events.
            match (needed(&condition.0, kept), flags(&condition.0)) {
                (Some(needed), None) => gates.hang(row, &needed, kept),
                (Some(needed), _) if !needed.standing => gates.hang(row, &needed, kept),
                (_, Some(flags)) => gates.flags.hang(row, words, &flags),
                (None, None) => set(&mut gates.free, row),
            }
        }
        Some(gates)
    }

    fn hang(&mut self, row: u16, needed: &Needed, kept: &Kept) {
        for slot in &needed.slots {
            let place = kept.place_of(*slot);
            let gate = place.and_then(|(group, at)| Some((self.groups.get_mut(group)?, at)));
            // Every needed comparison is searched for: else it would not be needed.
            let Some((gate, at)) = gate else {
                set(&mut self.free, row);
                continue;
            };
            set(&mut gate.rows, row);
            if let Some(of) = gate.of.get_mut(at) {
                of.push(row);
            }
        }
    }

    /// How many words a set of its conditions has.
    pub(crate) fn words(&self) -> usize {
        self.free.len()
    }

    /// Is it worth knowing what a process settles?
    pub(crate) fn has_standing(&self) -> bool {
        self.standing
    }

    /// Puts the conditions that may hold into `open`. `alive` are those that the
    /// process leaves, where that is known.
    pub(crate) fn open(
        &self,
        memo: &mut Memo<'_>,
        subject: &dyn Subject,
        alive: Option<&[u64]>,
        open: &mut [u64],
    ) {
        for (at, (open, free)) in open.iter_mut().zip(&self.free).enumerate() {
            *open = free & left(alive, at);
        }
        for (number, gate) in self.groups.iter().enumerate() {
            // What the process settles is settled: its literals say nothing more.
            if gate.standing && alive.is_some() {
                for (open, rows) in open.iter_mut().zip(&gate.rows) {
                    *open |= rows;
                }
                continue;
            }
            let mut rows = gate.rows.iter().enumerate();
            if !rows.any(|(at, rows)| rows & left(alive, at) != 0) {
                continue;
            }
            memo.search(number, subject, &mut |opened| gate.opened(opened, open));
        }
        for flag in self.flags.iter() {
            let mut rows = flag.rows.iter().zip(&*open).enumerate();
            // Others may have opened them already.
            if rows.any(|(at, (rows, open))| rows & !open & left(alive, at) != 0)
                && flag.ask(subject, memo) != Truth::No
            {
                for (open, rows) in open.iter_mut().zip(&flag.rows) {
                    *open |= rows;
                }
            }
        }
        for (at, open) in open.iter_mut().enumerate() {
            *open &= left(alive, at);
        }
    }

    /// The conditions that this process does not settle as a no.
    pub(crate) fn alive<'a>(
        &self,
        memo: &mut Memo<'_>,
        subject: &dyn Subject,
        conditions: impl Iterator<Item = &'a Special>,
    ) -> Box<[u64]> {
        let mut alive = vec![0; self.free.len()].into_boxed_slice();
        for (row, condition) in (0u16..).zip(conditions) {
            if standing::settled(&condition.0, subject, memo) != Some(Truth::No) {
                set(&mut alive, row);
            }
        }
        alive
    }
}

fn left(alive: Option<&[u64]>, at: usize) -> u64 {
    alive.map_or(u64::MAX, |alive| alive.get(at).copied().unwrap_or(0))
}

pub(super) fn set(rows: &mut [u64], row: u16) {
    if let Some(word) = rows.get_mut(usize::from(row / 64)) {
        *word |= 1 << (row % 64);
    }
}

/// The members of a set, in order.
pub(crate) fn members(rows: &[u64]) -> impl Iterator<Item = usize> {
    rows.iter().enumerate().flat_map(|(at, word)| {
        let mut left = *word;
        std::iter::from_fn(move || {
            let bit = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            (bit < 64).then_some(at * 64 + bit as usize)
        })
    })
}

/// Comparisons that are searched for, without any of which the node is a no.
fn needed(node: &Node, kept: &Kept) -> Option<Needed> {
    match node {
        Node::Kept { slot, test } => {
            kept.place_of(*slot)?;
            let (field, literals) = literals(test)?;
            Some(Needed {
                slots: vec![*slot],
                shortest: literals.iter().map(|literal| literal.len()).min()?,
                standing: field.is_standing(),
            })
        }
        // The one that is met least often, as far as can be told.
        Node::All(nodes) => nodes
            .iter()
            .filter_map(|node| needed(node, kept))
            .max_by_key(|one| {
                let fewer = std::cmp::Reverse(one.slots.len());
                (!one.standing, one.shortest.min(LONG), fewer)
            }),
        Node::Any(nodes) => {
            let mut all = Needed {
                slots: Vec::new(),
                shortest: usize::MAX,
                standing: false,
            };
            for node in nodes {
                let one = needed(node, kept)?;
                all.slots.extend(one.slots);
                all.shortest = all.shortest.min(one.shortest);
                all.standing |= one.standing;
            }
            Some(all)
        }
        Node::Shared(shared) => needed(&shared.node, kept),
        Node::Not(_)
        | Node::Test { .. }
        | Node::Changed(_)
        | Node::Fields(_)
        | Node::Missing(_) => None,
    }
}
