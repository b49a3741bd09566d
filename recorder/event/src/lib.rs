//! What a guest reports and how it is put into bytes.
//!
//! Owns: [`Event`] and its facts, the three-state [`Text`], the syscall table,
//! the codec, and the messages on the host channel ([`wire`]).
//! Must not: read a clock, a file, the environment or a socket; know a
//! terminal, a rule or a trace file. Everything here is shared by the guest
//! agent and the host, so all of it must hold for hostile bytes.
#![forbid(unsafe_code)]

mod call;
mod codec;
mod fact;
mod net;
mod op;
mod text;
pub mod wire;

#[cfg(test)]
mod tests;

pub use call::{Arg, CALLS, Call, CallInfo, Class, MOVERS, Mover};
pub use codec::{CodecError, MAX_EVENT, decode, decode_fact, decode_head, encode, encode_fact};
pub use fact::*;
pub use net::{Addr, NameAnswer, Target, refused_by};
pub use op::Op;
pub use text::Text;

// What frames and records are made of; the codec behind them is nobody else's business.
pub use bincode::{Decode, Encode};

/// One thing that happened, as the guest's kernel, the agent or the host saw it.
///
/// An event has no sequence number of its own: the trace writer gives it one
/// when it makes the entry, so a number always means "this is on disk".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Guest monotonic time in nanoseconds since its boot. Host-side events
    /// carry the host's time translated to the guest's clock at the handshake.
    pub at: u64,
    /// Thread group id inside the guest; 0 where no process is meant.
    pub pid: u32,
    /// Thread id inside the guest; 0 where no thread is meant.
    pub tid: u32,
    /// How the call ended, where the event is a call.
    pub outcome: Outcome,
    /// What happened.
    pub fact: Fact,
}

impl Event {
    /// An event that is no system call and belongs to no process.
    #[must_use]
    pub fn host(at: u64, fact: Fact) -> Self {
        Self {
            at,
            pid: 0,
            tid: 0,
            outcome: Outcome::None,
            fact,
        }
    }
}

/// How a system call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// Not a call.
    None,
    /// The kernel returned this value (negative: errno).
    Returned(i64),
    /// The payload's seccomp filter answered before the kernel looked at it.
    Refused(i64),
    /// The thread died inside the call.
    Died,
}

impl Outcome {
    /// The returned value, if the call returned.
    #[must_use]
    pub fn value(self) -> Option<i64> {
        match self {
            Self::Returned(v) | Self::Refused(v) => Some(v),
            Self::None | Self::Died => None,
        }
    }

    /// True if the call returned and did not fail.
    #[must_use]
    pub fn succeeded(self) -> bool {
        matches!(self, Self::Returned(v) if v >= 0)
    }

    /// The positive errno of a failed call.
    #[must_use]
    pub fn errno(self) -> Option<u16> {
        let value = self.value()?;
        u16::try_from(value.checked_neg()?)
            .ok()
            .filter(|e| (1..4096).contains(e))
    }
}
