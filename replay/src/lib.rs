//! Judging what was recorded: the session fold, conditions, rules, policy,
//! verdict and reports.
//!
//! Owns: everything between an [`Entry`](belljar_recorder::Entry) and a verdict.
//! Must not: read a clock, the environment, a file or a socket. The same trace
//! and the same rules give the same bytes on any machine, with any number of
//! threads; live and replay push the same entries through the same code.
#![forbid(unsafe_code)]

pub mod baseline;
pub mod batch;
pub mod canary;
pub mod compare;
pub mod cond;
pub mod escape;
pub mod expect;
mod falco;
pub mod moment;
pub mod policy;
pub mod report;
pub mod rules;
pub mod search;
pub mod session;
mod sigma;
mod steps;
pub mod suppress;
pub mod verdict;
pub mod what_if;

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('?');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}
