//! What is seldom so, and without which a condition cannot hold.
//!
//! Owns: [`Flags`]: comparisons that are asked before the conditions that need
//! them, each once. Must not: leave out a condition that may hold.

use std::sync::Arc;

use super::check::Check;
use super::compile::Node;
use super::fields::Field;
use super::gate::set;
use super::share::{Memo, key};
use super::value::{Subject, Truth};
use crate::steps::took;

/// Comparisons, and which conditions hang on each.
#[derive(Debug, Default)]
pub(super) struct Flags(Vec<Flag>);

#[derive(Debug)]
pub(super) struct Flag {
    /// What it says in full: two with the same words are the same.
    words: String,
    field: Field,
    check: Arc<Check>,
    /// Where its answer is kept for the conditions themselves.
    slot: Option<u32>,
    pub(super) rows: Box<[u64]>,
}

impl Flag {
    /// As the comparison itself is evaluated; flags have one value, unchanged.
    pub(super) fn ask(&self, subject: &dyn Subject, memo: &mut Memo<'_>) -> Truth {
        took(1);
        let truth = self.check.holds(&subject.value(self.field));
        self.slot
            .into_iter()
            .for_each(|slot| memo.keep(slot, truth));
        truth
    }
}

impl Flags {
    /// The condition in this row can hold only if one of the comparisons does.
    pub(super) fn hang(&mut self, row: u16, words: usize, tests: &[Test<'_>]) {
        for test in tests {
            let says = key(test.node);
            let known = self.0.iter().position(|flag| flag.words == says);
            let at = known.unwrap_or(self.0.len());
            if known.is_none() {
                self.0.push(Flag {
                    words: says,
                    field: test.field,
                    check: Arc::clone(test.check),
                    slot: test.slot,
                    rows: vec![0; words].into(),
                });
            }
            if let Some(flag) = self.0.get_mut(at) {
                set(&mut flag.rows, row);
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Flag> {
        self.0.iter()
    }
}

/// How seldom it is so: more is better, none is no flag.
fn seldom(field: Field) -> Option<u8> {
    Some(match field {
        Field::PathDecoy
        | Field::PathDecoyKind
        | Field::PathCredential
        | Field::EvtArgSetid
        | Field::BaselineLearned
        | Field::BaselineOver
        | Field::CanaryKind
        | Field::NetRefused => 4,
        Field::PathDropped | Field::PathHidden | Field::NetDirect => 3,
        Field::EvtIsOpenWrite | Field::EvtIsOpenCreate | Field::FsPathWritten => 2,
        Field::EvtIsOpenRead | Field::EvtFailed => 1,
        _ => return None,
    })
}

/// A comparison that is a flag.
#[derive(Clone, Copy)]
pub(super) struct Test<'n> {
    node: &'n Node,
    field: Field,
    check: &'n Arc<Check>,
    slot: Option<u32>,
    seldom: u8,
}

impl<'n> Test<'n> {
    fn of(node: &'n Node) -> Option<Self> {
        match node {
            Node::Test {
                field,
                negated: false,
                check,
            } if matches!(**check, Check::Is(_) | Check::Exists) => Some(Self {
                node,
                field: *field,
                check,
                slot: None,
                seldom: seldom(*field)?,
            }),
            Node::Kept { slot, test } => Some(Self {
                node,
                slot: Some(*slot),
                ..Self::of(test)?
            }),
            _ => None,
        }
    }
}

/// The flags without any of which the condition is a certain no.
pub(super) fn flags(node: &Node) -> Option<Vec<Test<'_>>> {
    match node {
        Node::Test { .. } | Node::Kept { .. } => Some(vec![Test::of(node)?]),
        Node::All(nodes) => {
            let all = nodes.iter().filter_map(flags);
            // The best is as good as the commonest of its flags.
            let worth = |tests: &Vec<Test<'_>>| tests.iter().map(|test| test.seldom).min();
            all.max_by_key(|tests| (worth(tests), std::cmp::Reverse(tests.len())))
        }
        Node::Any(nodes) => {
            let mut all = Vec::new();
            for node in nodes {
                all.extend(flags(node)?);
            }
            (!all.is_empty()).then_some(all)
        }
        Node::Shared(shared) => flags(&shared.node),
        Node::Not(_) | Node::Changed(_) | Node::Fields(_) | Node::Missing(_) => None,
    }
}
