//! The fold from entries to reports, over its public interface.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test helpers, too"
)]

mod batch;
mod decisions;
mod hostile;
mod patterns;
mod report;
mod speed;
mod tables;
mod tape;
mod verdict;
