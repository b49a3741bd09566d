//! Ways in: everything that a user may point belljar at, turned into phases.
//!
//! Owns: names of packages and repositories, the phases that each way runs,
//! what is asked inside the guest and what is made of the answers.
//! Must not: talk to a guest, or believe one: answers are capped, parsed
//! strictly, and only names of the plainest form are used again.

#![cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "elsewhere nothing runs, it is only reported")
)]

pub(crate) mod answer;
pub(crate) mod ecosystem;
pub(crate) mod git;
pub(crate) mod installed;
pub(crate) mod notes;
pub(crate) mod package;
pub(crate) mod phase;
pub(crate) mod script;
pub(crate) mod seen;
pub(crate) mod transcript;

#[cfg(test)]
mod tests;
