//! What was held, asked, answered and refused, in numbers.
//!
//! Owns: [`DecisionCounts`], its words. Must not: decide what a refusal means.
//!
//! A lookup or a flow that a line wanted asked about, and that was refused,
//! found nobody to ask; the recorded policy tells which lines those are.

use belljar_event::Who;
use serde::{Deserialize, Serialize};

use super::page::{count, grouped};
use crate::policy::{Action, Policy};
use crate::session::Session;

/// Who decided what a policy did not settle by itself, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionCounts {
    /// Calls that were held until they were decided.
    pub held: u64,
    /// Of these, settled by a policy line.
    pub by_policy: u64,
    /// Questions that a person was asked.
    pub asked: u64,
    /// Of these, answered with yes.
    pub allowed: u64,
    /// Of these, answered with no.
    pub refused: u64,
    /// Answers by the person, one for each question.
    pub by_person: u64,
    /// Holds that an earlier answer settled.
    pub by_earlier: u64,
    /// Holds, lookups and flows that a line wanted asked about when nobody was there: refused.
    pub nobody: u64,
    /// Holds refused because the time for an answer ran out.
    pub timed_out: u64,
    /// Holds whose process ended before there was an answer.
    pub gone: u64,
    /// Calls that the guest's kernel refused because a line says so.
    pub denied: u64,
    /// Process trees that were ended.
    pub killed: u64,
}

impl DecisionCounts {
    pub(super) fn of(session: &Session) -> Self {
        let holds = &session.holds;
        let by = |who| holds.answered_by(who);
        Self {
            held: holds.held,
            by_policy: by(Who::Policy),
            asked: holds.asked,
            allowed: holds.allowed,
            refused: holds.refused,
            by_person: by(Who::Person),
            by_earlier: by(Who::Earlier),
            nobody: by(Who::Nobody).saturating_add(unasked(session)),
            timed_out: by(Who::Timer),
            gone: by(Who::Gone),
            denied: holds.denied,
            killed: holds.killed,
        }
    }

    /// In words; nothing where nothing of the sort happened.
    pub(super) fn words(&self) -> Option<String> {
        let asked = [
            count(self.asked, "question"),
            format!("{} allowed", grouped(self.allowed)),
            format!("{} denied", grouped(self.refused)),
        ];
        let parts = [
            (self.asked, asked.join(", ")),
            (
                self.by_earlier,
                format!(
                    "{} settled by an earlier answer",
                    count(self.by_earlier, "call")
                ),
            ),
            (
                self.by_policy,
                format!(
                    "{} held and settled by policy",
                    count(self.by_policy, "call")
                ),
            ),
            (
                self.denied,
                format!("{} denied by policy", count(self.denied, "call")),
            ),
            (
                self.nobody,
                format!("nobody was there to ask for {}", grouped(self.nobody)),
            ),
            (
                self.timed_out,
                format!("no answer in time for {}", grouped(self.timed_out)),
            ),
            (
                self.gone,
                format!("gone before an answer: {}", grouped(self.gone)),
            ),
            (
                self.killed,
                format!("{} ended", count(self.killed, "process tree")),
            ),
        ];
        let said = parts.into_iter().filter(|(number, _)| *number > 0);
        let said: Vec<_> = said.map(|(_, words)| words).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }
}

/// Lookups and flows that were refused by a line that says ask.
fn unasked(session: &Session) -> u64 {
    let recorded = session.run.policy.as_ref();
    let Some(policy) = recorded.and_then(|policy| Policy::parse("recorded", &policy.source).ok())
    else {
        return 0;
    };
    let asks = |by: &str| {
        policy
            .line(by)
            .is_some_and(|line| line.action == Action::Ask)
    };
    let names = session.network.names().filter(|row| asks(&row.by));
    let names = names.map(|row| row.refused).fold(0, u64::saturating_add);
    let flows = session
        .network
        .destinations()
        .flat_map(|to| to.refused_by.iter());
    let flows = flows.filter(|(by, _)| asks(by)).map(|(_, number)| *number);
    flows.fold(names, u64::saturating_add)
}
