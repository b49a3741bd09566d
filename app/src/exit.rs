//! Exit codes: documented in the README, the same for every command.

use std::process::ExitCode;

/// Why belljar ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Below `--fail-on`.
    Fine = 0,
    /// The verdict is at or above `--fail-on`.
    Verdict = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// Enforcement or recording was not possible, or broke.
    NotEnforced = 3,
    /// A re-computation gave another result.
    Mismatch = 4,
    /// The trace is damaged or cut.
    Damaged = 5,
    /// The user stopped it.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
