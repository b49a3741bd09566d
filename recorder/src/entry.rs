//! One recorded event.
//!
//! Owns: [`Entry`]. Must not: offer any way to make one outside this crate.

use belljar_event::Event;

/// An event that is in a trace: written by a [`Writer`](crate::Writer), or read
/// and verified by a [`Reader`](crate::Reader). Nothing else can make one, so
/// whoever holds an entry knows that it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    seq: u64,
    event: Event,
}

impl Entry {
    pub(crate) fn new(seq: u64, event: Event) -> Self {
        Self { seq, event }
    }

    /// Its place in the trace, from 0. Events of kinds that this version does
    /// not know have a place too, so numbers stay the same for every reader.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Guest monotonic time in nanoseconds.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.event.at
    }

    /// What happened.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// Gives the event up, to write it into another trace.
    #[must_use]
    pub fn into_event(self) -> Event {
        self.event
    }
}
