//! Reading a trace for some kinds of events only.
//!
//! Owns: [`Kinds`] and [`Glance`]. Must not: leave out a check on bytes: what
//! is passed over was verified like everything else, it is only not decoded.

use belljar_event::KINDS;

use crate::Entry;

/// The kind whose event ends a run: the reader itself needs it.
const ENDED: u16 = 8;

/// A set of kinds of events. Kinds that this version does not know are in every set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u128);

impl Kinds {
    /// All of them.
    pub const ALL: Self = Self(u128::MAX);

    /// The known kinds that `wanted` accepts.
    #[must_use]
    pub fn of(wanted: impl Fn(u16) -> bool) -> Self {
        let unwanted = KINDS
            .iter()
            .filter(|(kind, _)| *kind != ENDED && !wanted(*kind))
            .filter_map(|(kind, _)| 1u128.checked_shl(u32::from(*kind)));
        Self(unwanted.fold(u128::MAX, |set, bit| set & !bit))
    }

    /// Is this kind among them?
    #[must_use]
    pub fn has(self, kind: u16) -> bool {
        let bit = 1u128.checked_shl(u32::from(kind));
        bit.is_none_or(|bit| self.0 & bit != 0)
    }
}

/// What a reader meets that looks for some kinds only.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "given out one at a time, never kept"
)]
pub enum Glance {
    /// An event of a wanted kind.
    Entry(Entry),
    /// Another one, passed over.
    Passed {
        /// Its place in the trace.
        seq: u64,
        /// Guest monotonic time in nanoseconds.
        at: u64,
        /// Process, 0 where none is meant.
        pid: u32,
        /// Thread, 0 where none is meant.
        tid: u32,
    },
}
