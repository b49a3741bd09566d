//! Which traces this belljar reads.
//!
//! Owns: the version written, and the comparison with a file's version.
//! Must not: know the layout (see `format`, which also has the list of changes).

use std::fmt;

/// A version of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Raised when older readers cannot read what newer writers write.
    pub major: u16,
    /// Raised with additions that older readers can skip.
    pub minor: u16,
}

/// The version that this belljar writes.
pub const VERSION: Version = Version { major: 1, minor: 0 };

/// What a reader can do with a file of some version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compatibility {
    /// Read all of it.
    Same,
    /// Read it; additions are skipped and counted.
    NewerMinor,
    /// Nothing: a newer belljar is needed.
    NewerMajor,
    /// Nothing: an older belljar is needed.
    OlderMajor,
}

impl Version {
    /// What a reader of version `self` can do with a file of version `file`.
    #[must_use]
    pub fn reads(self, file: Self) -> Compatibility {
        use std::cmp::Ordering::{Equal, Greater, Less};
        match (file.major.cmp(&self.major), file.minor.cmp(&self.minor)) {
            (Greater, _) => Compatibility::NewerMajor,
            (Less, _) => Compatibility::OlderMajor,
            (Equal, Greater) => Compatibility::NewerMinor,
            (Equal, Equal | Less) => Compatibility::Same,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
