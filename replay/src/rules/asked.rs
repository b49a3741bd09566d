//! Which rules are asked about which event, and what of them.
//!
//! Owns: for each event type, what is left of each rule's condition once the
//! type is known. Must not: change what a rule says.

use std::sync::{Arc, OnceLock};

use belljar_event::{Event, Fact};

use super::Rule;
use crate::cond::{Special, Types};

/// A rule by its number, and its condition for events of one type.
type Rows = Box<[(u32, Special)]>;

/// Rows by event type, made when the first event of a type comes.
#[derive(Clone, Debug)]
pub(super) struct Asked(Box<[OnceLock<Rows>]>);

impl Asked {
    pub(super) fn new() -> Self {
        Self(Types::names().map(|_| OnceLock::new()).collect())
    }

    /// What to ask about an event of the type at this place of `Types::names`.
    pub(super) fn of(&self, at: usize, rules: &[Arc<Rule>]) -> &[(u32, Special)] {
        let Some(rows) = self.0.get(at) else {
            return &[];
        };
        rows.get_or_init(|| {
            let numbered = (0u32..).zip(rules);
            numbered
                .filter(|(_, rule)| rule.condition.types().has(at))
                .filter_map(|(number, rule)| Some((number, rule.condition.special(at)?)))
                .collect()
        })
    }
}

/// Where the event's type stands in `Types::names`: its call's, else its kind's.
pub(crate) fn type_of(event: &Event) -> usize {
    match &event.fact {
        Fact::Exec(fact) => Types::of_call(fact.call),
        Fact::Open(fact) => Types::of_call(fact.call),
        Fact::Change(fact) => Types::of_call(fact.call),
        Fact::Look(fact) => Types::of_call(fact.call),
        Fact::Send(fact) => Types::of_call(fact.call),
        Fact::Dup(fact) => Types::of_call(fact.call),
        Fact::Guard(fact) => Types::of_call(fact.call),
        Fact::Signal(fact) => Types::of_call(fact.call),
        Fact::Identity(fact) => Types::of_call(fact.call),
        fact => Types::of_kind(fact.kind()),
    }
}
