//! The fold from entries to reports, over its public interface.

mod batch;
mod hostile;
mod report;
mod tables;
mod tape;
mod verdict;
