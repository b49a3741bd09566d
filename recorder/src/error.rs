//! What can go wrong with a trace, by operation.
//!
//! Owns: the error types and their texts. Must not: decide what follows from
//! one (exit codes and hints are the app's).

use std::io;

use belljar_event::CodecError;

use crate::{Section, VERSION, Version};

/// Why a trace is not whole. Found while reading; the entries before it are good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not read to its end yet.
    #[error("not read to its end")]
    Unread,
    /// The file ends where another section must follow.
    #[error("ends early: no footer, so the recording was not finished or the file was cut")]
    NoFooter,
    /// The file ends inside a section.
    #[error("ends early: the file stops inside {0}")]
    EndsInside(Section),
    /// A section that this version does not have.
    #[error("damaged: an unknown section follows")]
    UnknownSection,
    /// The bytes are not those that were written.
    #[error("damaged: hash mismatch in {0}")]
    Hash(Section),
    /// A length that no writer produces; nothing was allocated for it.
    #[error("damaged: {section} claims {claimed} bytes, at most {limit} are possible")]
    Size {
        /// Where.
        section: Section,
        /// What it claims.
        claimed: u64,
        /// What is possible.
        limit: u64,
    },
    /// The hash agrees, but the contents contradict themselves or what came before.
    #[error("damaged: {section}: {what}")]
    Malformed {
        /// Where.
        section: Section,
        /// What is wrong.
        what: String,
    },
    /// Something follows the footer.
    #[error("damaged: bytes follow the footer")]
    Trailing,
    /// The source failed.
    #[error("reading failed: {0}")]
    Source(String),
}

impl Fault {
    pub(crate) fn malformed(section: Section, what: impl Into<String>) -> Self {
        Self::Malformed {
            section,
            what: what.into(),
        }
    }

    /// True if the file just stops (a kill, a power cut, a partial copy); false
    /// if what is there is wrong.
    #[must_use]
    pub fn ends_early(&self) -> bool {
        matches!(self, Self::NoFooter | Self::EndsInside(_))
    }
}

/// Why a trace could not be opened: there is no good prefix.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The source failed.
    #[error("reading the beginning of the trace failed")]
    Io(#[source] io::Error),
    /// Not a trace.
    #[error("not a belljar trace: it does not begin with the .bjt signature")]
    Foreign,
    /// Made by a newer belljar.
    #[error(
        "trace format {0} is newer than this belljar reads ({VERSION}): \
         open it with a belljar that reads format {major}", major = .0.major
    )]
    Newer(Version),
    /// Made by a belljar too old.
    #[error(
        "trace format {0} is older than this belljar reads ({VERSION}): \
         open it with a belljar that reads format {major}, or record it again", major = .0.major
    )]
    Older(Version),
    /// Header or start record are incomplete or damaged.
    #[error("no event can be read from the trace: {0}")]
    Damaged(Fault),
}

/// Reading went wrong in a way that says nothing about the trace.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The source failed.
    #[error("reading the trace failed at byte {byte}")]
    Io {
        /// Where the section began that was being read.
        byte: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Why a place in a trace could not be looked up.
#[derive(Debug, thiserror::Error)]
pub enum SeekError {
    /// It is no trace that can be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The source failed.
    #[error("reading the trace failed")]
    Io(#[from] io::Error),
    /// Index, footer or a block are missing or damaged.
    #[error("the trace cannot be searched by its index: {0}")]
    Damaged(Fault),
    /// There is no such block.
    #[error("the trace has no block {0}")]
    NoBlock(usize),
}

impl From<Fault> for SeekError {
    fn from(fault: Fault) -> Self {
        Self::Damaged(fault)
    }
}

/// Why something could not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The start record is too large.
    #[error("the start record cannot be recorded")]
    Start(#[source] CodecError),
    /// An event is too large. Nothing was written and the writer goes on: the
    /// caller records a loss in its place, or ends the run.
    #[error("event {seq} ({kind}) cannot be recorded")]
    Event {
        /// The number that it would have had.
        seq: u64,
        /// Its kind.
        kind: &'static str,
        /// Why.
        source: CodecError,
    },
    /// The sink failed: the run must end. Every later call fails too.
    #[error("writing {section} of the trace failed")]
    Sink {
        /// What was being written.
        section: Section,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No trace may be larger.
    #[error("the trace is full: {0} blocks")]
    Full(usize),
    /// An earlier write failed.
    #[error("the trace cannot be continued: an earlier write failed")]
    Poisoned,
    /// It was finished before.
    #[error("the trace is already finished")]
    Closed,
}
