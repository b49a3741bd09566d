//! Holding judgements against each other: two runs of the same thing, and one
//! trace under two sets of rules.
//!
//! Owns: what counts as the same (`alike`), what a run did, in folded rows
//! ([`Gather`], [`Did`]), what two runs differ in ([`Difference`]), the events
//! behind a row ([`Behind`]), and what other rules change of a trace's score
//! ([`Score`], [`Rescored`]). Must not: read files, judge,
//! or depend on the order in which unrelated things happened.

mod alike;
mod behind;
mod differ;
mod gather;
mod page;
mod programs;
mod rescored;
mod scored;

#[cfg(test)]
mod tests;

pub use alike::{Alike, FoldError, Folded, folds};
pub use behind::{Behind, Evident};
pub use differ::{About, Change, Difference, Line, SectionDifference};
pub use gather::{Did, Gather, Kind, Row, Section};
pub use rescored::{FindingNote, Rescored, SeverityChange};
pub use scored::{Score, ScoredFinding};
