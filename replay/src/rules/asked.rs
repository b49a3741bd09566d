//! Which rules are asked about which event, and what of them.
//!
//! Owns: for each event type, what is left of each rule's condition once the
//! type is known. Must not: change what a rule says.

use std::sync::{Arc, OnceLock};

use belljar_event::{Event, Fact};

use super::Rule;
use crate::cond::{Gates, Kept, Special, Types};

/// What to ask about events of one type.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pub(super) rows: Box<[Row]>,
    /// Comparisons that several of them share, or that are searched together.
    pub(super) kept: Arc<Kept>,
    /// Which of them an event leaves to be asked; `None`: all.
    pub(super) gates: Option<Arc<Gates>>,
}

/// A step of a rule (there is one, unless it looks beyond one event).
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) rule: u32,
    pub(super) step: u16,
    pub(super) left: Special,
}

/// Rows by event type, made when the first event of a type comes.
#[derive(Clone, Debug)]
pub(super) struct Asked(Box<[OnceLock<Rows>]>);

impl Asked {
    pub(super) fn new() -> Self {
        Self(Types::names().map(|_| OnceLock::new()).collect())
    }

    /// What to ask about an event of the type at this place of `Types::names`.
    pub(super) fn of(&self, at: usize, rules: &[Arc<Rule>]) -> Option<&Rows> {
        Some(self.0.get(at)?.get_or_init(|| rows(at, rules)))
    }
}

fn rows(at: usize, rules: &[Arc<Rule>]) -> Rows {
    let mut rows = Vec::new();
    let mut shared = Kept::default();
    for (number, rule) in (0u32..).zip(rules) {
        for (step, condition) in (0u16..).zip(rule.steps()) {
            if !condition.types().has(at) {
                continue;
            }
            if let Some(left) = condition.special(at) {
                shared.count(&left);
                rows.push(Row {
                    rule: number,
                    step,
                    left,
                });
            }
        }
    }
    shared.settle();
    for row in &mut rows {
        row.left = shared.share(&row.left);
    }
    let gates = Gates::of(&shared, rows.iter().map(|row| &row.left));
    Rows {
        rows: rows.into(),
        gates: gates.map(Arc::new),
        kept: Arc::new(shared.done()),
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

#[cfg(test)]
mod tests {
    use belljar_recorder::Reader;

    use super::*;
    use crate::cond::{FIELDS, Subject as _, Trails, Value};
    use crate::moment::Moment;
    use crate::rules::{Remembered, RuleSet};
    use crate::session::Session;

    /// The last one has an event of every kind.
    const TRACES: [&[u8]; 3] = [
        include_bytes!("../../../fixtures/traces/npm-credential-thief.bjt"),
        include_bytes!("../../../fixtures/traces/npm-benign.bjt"),
        include_bytes!("../../../fixtures/golden/1.0.bjt"),
    ];

    /// Rules are left out for events that have no path: what says so, and what gives
    /// an event its path, stand in two places.
    #[test]
    fn what_a_type_lacks_its_events_do_not_have() {
        let mut lacking = 0;
        for trace in TRACES {
            let mut session = Session::new(RuleSet::builtin());
            for entry in Reader::open(trace).unwrap() {
                let entry = entry.unwrap();
                session.follow(&entry);
                let moment = Moment::new(&session, &entry);
                let at = type_of(entry.event());
                let fields = FIELDS.iter().map(|info| info.field);
                for field in fields.filter(|field| Types::lacks(at, *field)) {
                    let value = moment.value(field);
                    assert!(
                        matches!(value, Value::Absent | Value::Bool(false)),
                        "{field:?} is {value:?} of {:?}",
                        entry.event()
                    );
                    lacking += 1;
                }
            }
        }
        assert!(lacking > 100);
    }

    #[test]
    fn what_is_left_of_a_rule_says_what_the_rule_says() {
        let rules = RuleSet::builtin();
        let mut said = 0;
        for trace in TRACES {
            let mut trails = Trails::default();
            let mut session = Session::new(Arc::clone(&rules));
            for entry in Reader::open(trace).unwrap() {
                let entry = entry.unwrap();
                session.follow(&entry);
                let moment = Moment::new(&session, &entry);
                let mut whole = Vec::new();
                rules.weigh(&moment, moment.event_type(), &mut |rule, truth| {
                    whole.push((rule.id.clone(), truth));
                });
                // What is remembered of the events before makes no difference.
                let remembered = Remembered {
                    standing: None,
                    trails: &mut trails,
                };
                for remembered in [None, Some(remembered)] {
                    let mut left = Vec::new();
                    let at = type_of(entry.event());
                    rules.weigh_type(&moment, at, remembered, &mut |said| {
                        // A step of a pattern says nothing by itself.
                        if said.rule.beyond.is_none() {
                            left.push((said.rule.id.clone(), said.truth));
                        }
                    });
                    assert_eq!(whole, left, "#{}", entry.seq());
                }
                said += whole.len();
            }
        }
        assert!(said > 10);
    }

    #[test]
    fn numbers_and_names_of_types_agree() {
        for trace in TRACES {
            for entry in Reader::open(trace).unwrap() {
                let entry = entry.unwrap();
                let name = Types::names().nth(type_of(entry.event()));
                assert_eq!(name, Some(crate::rules::event_type(entry.event())));
            }
        }
        for (kind, name) in belljar_event::KINDS {
            assert_eq!(Types::names().nth(Types::of_kind(*kind)), Some(*name));
        }
        for row in belljar_event::CALLS {
            let at = Types::of_call(belljar_event::Call(row.number));
            assert_eq!(Types::names().nth(at), Some(row.name));
        }
        let unknown = Types::of_call(belljar_event::Call(999));
        assert_eq!(Types::names().nth(unknown), Some("syscall"));
    }
}
