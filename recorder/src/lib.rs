//! The trace: what a run recorded, in one file that anyone can check and replay.
//!
//! Owns: the `.bjt` format (layout in `format`, nowhere else), the writer, the
//! reader, and [`Entry`], the only form in which the rest of Belljar accepts an
//! event: one that is written, or read and verified.
//! Must not: open files, know a clock, the environment, a rule or a terminal.
//! It works on any `Read` and `Write` handed in. Traces of others are hostile:
//! every length is capped before memory is asked for, and every section's hash
//! is checked before its bytes are decompressed or decoded.
#![forbid(unsafe_code)]

mod block;
mod columns;
mod entry;
mod error;
mod format;
mod glance;
mod reader;
mod receipt;
pub mod redact;
mod rewrite;
mod seek;
mod shape;
mod shelf;
mod source;
mod start;
mod varint;
mod version;
pub mod visit;
mod writer;

#[cfg(test)]
mod tests;

pub use entry::Entry;
pub use error::{Fault, OpenError, ReadError, SeekError, WriteError};
pub use format::{MAX_BLOCK_EVENTS, Place, Section};
pub use glance::{Glance, Kinds};
pub use reader::Reader;
pub use receipt::{Finished, Integrity, TraceReceipt};
pub use rewrite::{RewriteError, Rewritten, pack, rewrite};
pub use seek::Seeker;
pub use shelf::{Shelf, Taken};
pub use start::Start;
pub use version::{Compatibility, VERSION, Version};
pub use writer::Writer;
