//! What a trace amounts to once it is whole, or why it is not.
//!
//! Owns: [`TraceReceipt`], [`Integrity`], [`Finished`].
//! Must not: compute anything; writer and reader do.

use belljar_event::End;

use crate::{Entry, Fault};

/// Proof of a whole trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceReceipt {
    /// Events in the trace, those of unknown kinds included.
    pub events: u64,
    /// How many of them were of kinds that this version does not know.
    pub unknown: u64,
    /// The footer's chain value: it covers every byte of the file.
    pub chain: [u8; 32],
    /// blake3 of all event frames (kind, length, bytes) in order, as they stand
    /// before compression. It depends on the events alone: not on where blocks
    /// begin, how well they were compressed, or what the start record says.
    /// A frame of an unknown kind counts with its bytes as they are, and so do
    /// fields that a newer version added behind the known ones: readers of all
    /// versions find the same digest.
    pub digest: [u8; 32],
    /// How the run ended.
    pub end: End,
}

/// Whether a trace is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// Every byte was read, every hash agrees, nothing follows.
    Complete {
        /// The proof.
        receipt: TraceReceipt,
    },
    /// A good prefix was delivered; what follows it is missing or damaged.
    Cut {
        /// Entries delivered.
        entries: u64,
        /// Where the good prefix ends, in bytes from the start of the file.
        byte: u64,
        /// What is wrong there (the text of a [`Fault`]).
        why: String,
    },
}

impl Integrity {
    pub(crate) fn cut(entries: u64, byte: u64, fault: &Fault) -> Self {
        Self::Cut {
            entries,
            byte,
            why: fault.to_string(),
        }
    }

    /// True if nothing is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(self, Self::Complete { .. })
    }

    /// The proof, if the trace is whole.
    #[must_use]
    pub fn receipt(&self) -> Option<&TraceReceipt> {
        match self {
            Self::Complete { receipt } => Some(receipt),
            Self::Cut { .. } => None,
        }
    }
}

/// A trace that was closed properly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The entries since the last flush; the last of them is the end of the run.
    pub entries: Vec<Entry>,
    /// What a reader of the file will find.
    pub receipt: TraceReceipt,
}
