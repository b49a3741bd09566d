//! Taking secrets out of a trace.
//!
//! Owns: the two passes. [`Finder`] sees the whole trace and learns what the
//! patterns match; [`Redactor`] puts a placeholder for each of these secrets
//! wherever its bytes stand, in whatever field, so that the same secret has the
//! same placeholder everywhere. [`Redactor::survivor`] is the proof afterwards.
//! Must not: open files, or know rules and policies.

mod find;
mod pattern;
mod replace;

#[cfg(test)]
mod tests;

pub use find::Finder;
pub use pattern::Patterns;
pub use replace::{Redactor, Replaced};

/// Why a trace cannot be redacted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedactError {
    /// A pattern makes no sense.
    #[error("bad {what} pattern {pattern:?}: {why}")]
    Pattern {
        /// `path`, `name`, `address`, `output`.
        what: &'static str,
        /// As it was given.
        pattern: String,
        /// What is wrong.
        why: String,
    },
    /// A match is so short or so common that no placeholder is without it.
    #[error("{0:?} cannot be hidden: it is too short, or part of every placeholder")]
    TooCommon(String),
    /// More different secrets than are kept track of.
    #[error("the patterns match more than {0} different things")]
    TooMany(usize),
    /// More output than is looked at in one piece.
    #[error("the trace has more than {0} bytes of output")]
    TooMuchOutput(usize),
}

/// What sort of secret something is: it decides what stands in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A path or the front part of one.
    Path,
    /// A home folder: `/home/` stays, so that rules still know what it is.
    Home,
    /// A host name.
    Name,
    /// An address.
    Address,
    /// Bytes that a regular expression matched.
    Text,
}

impl Kind {
    /// As lists show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Home => "home",
            Self::Name => "name",
            Self::Address => "address",
            Self::Text => "output",
        }
    }
}
