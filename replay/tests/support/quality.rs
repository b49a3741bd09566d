//! How good each family of rules is over the hand-written cases.
//!
//! Owns: counting. Of the hit cases of a family: how many fire their own rule
//! (recall). Of all miss cases that are called ordinary: how often a rule of
//! the family that weighs fires nevertheless (precision).

use std::collections::BTreeMap;
use std::sync::Arc;

use belljar_replay::rules::{RuleSet, Severity};

use super::support;

/// One family.
#[derive(Clone, Copy, Default)]
pub(crate) struct Row {
    pub(crate) rules: usize,
    pub(crate) hits: usize,
    pub(crate) fired: usize,
    pub(crate) ordinary: usize,
    pub(crate) wrong: usize,
}

/// All of them.
pub(crate) struct Measured {
    pub(crate) rows: BTreeMap<String, Row>,
    pub(crate) ordinary: usize,
}

/// `L4-NET` of `L4-NET-006-NAME`.
pub(crate) fn family(id: &str) -> String {
    id.split('-').take(2).collect::<Vec<_>>().join("-")
}

pub(crate) fn percent(part: usize, whole: usize) -> usize {
    part * 100 / whole.max(1)
}

/// True of rules that a verdict hangs on.
pub(crate) fn weighs(rules: &RuleSet, id: &str) -> bool {
    rules
        .rule(id)
        .is_some_and(|rule| rule.severity >= Severity::Medium)
}

pub(crate) fn of_cases(rules: &Arc<RuleSet>) -> Measured {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut ordinary = 0;
    for rule in rules.rules() {
        rows.entry(family(&rule.id)).or_default().rules += 1;
        let folder = support::folder().join(&rule.id);
        for case in support::cases(&folder.join("hit.yaml")) {
            let fired = support::run(&case, rules).fired.contains(&rule.id);
            let row = rows.entry(family(&rule.id)).or_default();
            row.hits += 1;
            row.fired += usize::from(fired);
        }
        for case in support::cases(&folder.join("miss.yaml")) {
            if !case.name.starts_with("ordinary") {
                continue;
            }
            ordinary += 1;
            rows.entry(family(&rule.id)).or_default().ordinary += 1;
            for id in support::run(&case, rules).fired {
                rows.entry(family(&id)).or_default().wrong += usize::from(weighs(rules, &id));
            }
        }
    }
    Measured { rows, ordinary }
}
