//! The project that is to be run: what of it goes into the guest.
//!
//! Owns: the choice of files, the archive.
//! Must not: change anything in the project, or follow a link out of it.

mod credential;
mod pack;
#[cfg(test)]
mod tests;

pub(crate) use pack::{PackError, pack};
