//! A recorded run under another policy: what it would have decided, and where
//! that differs from what was in force.
//!
//! Owns: which events are questions to a policy, asking both policies about
//! each, folding what differs. Must not: judge the run, or pretend to know what
//! the payload would have done next.
//!
//! Both policies are asked about the same moment: the recorded one is the
//! policy in force then, saved lines included. What is compared is what a line
//! says (allow, deny, ask, kill), so that the run's own policy never differs
//! from itself; what came of it in the run stands beside. An answer by a person
//! is an answer to `ask`.
//!
//! The given policy stands where the run's own one stood: behind the lines that
//! a run puts in front of any policy (`--allow`, the user's own, registries, the
//! host of a clone), a preset behind the run's
//! profiles too, and under the restrictions of the project's folder. `--lure`
//! and what was saved during the run are not kept.
//!
//! Not asked about: calls that failed by themselves; sockets inside the guest;
//! datagrams, which no policy allows.

mod asking;
mod object;
mod page;
mod told;

use std::io::Read;
use std::sync::Arc;

use belljar_recorder::{ReadError, Reader};
use serde::Serialize;

use crate::policy::{Policy, PolicyError};
use crate::rules::RuleSet;
use asking::Asking;

/// What came of asking another policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WhatIf {
    /// The other policy's name.
    pub policy: String,
    /// blake3 of it as it was asked.
    pub digest: String,
    /// blake3 of the policy in force at the end of the run.
    pub recorded: Option<String>,
    /// What both were asked about.
    pub asked: u64,
    /// The same answer from both.
    pub same: u64,
    /// The run allowed it, the other policy would not have.
    pub would_deny: u64,
    /// The run allowed it without asking, the other policy asks.
    pub would_ask: u64,
    /// The run did not allow it, the other policy would have.
    pub would_allow: u64,
    /// Other differences: asked by one and refused by the other, denied and killed.
    pub otherwise: u64,
    /// Calls that failed by themselves: no policy was asked.
    pub failed: u64,
    /// Each difference, folded by what was wanted and who decides, in order of the first event.
    pub rows: Vec<Row>,
    /// Rows beyond those listed.
    pub beyond: u64,
    /// What the trace cannot tell.
    pub limits: Vec<String>,
}

/// A difference (or, if all are asked for, an agreement).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The first event.
    pub seq: u64,
    /// How many like it.
    pub count: u64,
    /// `read`, `exec`, `connect`, `lookup` …
    pub op: &'static str,
    /// With what.
    pub object: String,
    /// The program.
    pub program: String,
    /// What the recorded policy said.
    pub recorded: Said,
    /// What came of it.
    pub ended: Ended,
    /// What the other one says.
    pub now: Said,
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Said {
    /// `allow`, `deny`, `ask`, `kill`.
    pub action: &'static str,
    /// By which line.
    pub by: String,
    /// The line's reason.
    pub reason: Option<String>,
}

/// What came of it in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ended {
    /// It was let through.
    Allowed,
    /// It was refused.
    Refused,
    /// Nobody decided before the end.
    Open,
}

impl WhatIf {
    /// The same for programs: indented, one newline at the end.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Structs of strings and numbers cannot fail to serialise.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// True if something that the run allowed would have been refused.
    #[must_use]
    pub fn denies(&self) -> bool {
        self.would_deny > 0
    }
}

/// Why a policy cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum WhatIfError {
    /// The source failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The policy cannot stand behind the run's own lines, or in its home.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// Asks `policy` about everything that the trace's own policy was asked.
/// `all`: rows for agreements too.
///
/// # Errors
/// If the source fails, or the policy does not fit the run. Damage is no error:
/// see the reader's integrity.
pub fn what_if<R: Read>(
    reader: &mut Reader<R>,
    rules: &Arc<RuleSet>,
    policy: &Policy,
    all: bool,
) -> Result<WhatIf, WhatIfError> {
    let mut asking = Asking::new(rules, reader.start(), policy, all);
    for entry in reader.by_ref() {
        asking.entry(&entry?)?;
    }
    Ok(asking.finish(&reader.integrity()))
}

#[cfg(test)]
mod tests;
