//! Asking a compiled condition about an event.
//!
//! Owns: three-valued evaluation. Must not: allocate, but for transformers.
//! Recursion is bounded by the compiler's limit on levels.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use super::change::Change;
use super::check::Check;
use super::compile::{Fields, Node};
use super::fields::Field;
use super::share::Memo;
use super::syntax::Op;
use super::value::{Subject, Truth, Value};
use crate::steps::took;

/// Kleene's three-valued logic. `memo` has the answers of shared comparisons
/// that were given for this event.
pub(super) fn holds(node: &Node, subject: &dyn Subject, memo: &mut Memo<'_>) -> Truth {
    took(1);
    match node {
        Node::All(nodes) => {
            let mut truth = Truth::Yes;
            for node in nodes {
                truth = truth.and(holds(node, subject, memo));
                if truth == Truth::No {
                    break;
                }
            }
            truth
        }
        Node::Any(nodes) => {
            let mut truth = Truth::No;
            for node in nodes {
                truth = truth.or(holds(node, subject, memo));
                if truth == Truth::Yes {
                    break;
                }
            }
            truth
        }
        Node::Not(node) => !holds(node, subject, memo),
        Node::Shared(shared) => holds(&shared.node, subject, memo),
        Node::Test {
            field,
            negated,
            check,
        } => tested(*field, &[], *negated, check, subject),
        Node::Changed(changed) => tested(
            changed.field,
            &changed.changes,
            changed.negated,
            &changed.check,
            subject,
        ),
        Node::Fields(fields) => compared(fields, subject),
        Node::Missing(_) => Truth::Maybe,
        Node::Kept { slot, test } => kept(*slot, test, subject, memo),
    }
}

fn kept(slot: u32, test: &Node, subject: &dyn Subject, memo: &mut Memo<'_>) -> Truth {
    if let Some(truth) = memo.answer(slot, subject) {
        return truth;
    }
    let truth = holds(test, subject, memo);
    memo.keep(slot, truth);
    truth
}

/// A comparison holds if it holds for any of the field's values. `!=` is a
/// comparison too: false where there is no value.
fn tested(
    field: Field,
    changes: &[Change],
    negated: bool,
    check: &Check,
    subject: &dyn Subject,
) -> Truth {
    let judge = |value: &Value<'_>| match (negated, value) {
        (true, Value::Absent) => Truth::No,
        (true, value) => !check.holds(value),
        (false, value) => check.holds(value),
    };
    let ask = |value: &Value<'_>| {
        if let Value::Bytes(bytes) | Value::Cut(bytes) = value {
            took(bytes.len());
        }
        if changes.is_empty() {
            judge(value)
        } else {
            judge(&changed(value.clone(), changes))
        }
    };
    if !field.is_many() {
        match subject.value(field) {
            Value::List(_) => {}
            value => return ask(&value),
        }
    }
    let mut truth = Truth::No;
    subject.each(field, &mut |value| {
        truth = truth.or(ask(value));
        if truth == Truth::Yes {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    truth
}

fn changed<'a>(value: Value<'a>, changes: &[Change]) -> Value<'a> {
    changes.iter().fold(value, |value, change| change.of(value))
}

/// One field against another of the same event.
fn compared(fields: &Fields, subject: &dyn Subject) -> Truth {
    let right = changed(subject.value(fields.right.field), &fields.right.changes);
    let mut truth = Truth::No;
    subject.each(fields.left.field, &mut |value| {
        let left = changed(value.clone(), &fields.left.changes);
        truth = truth.or(pair(fields.op, &left, &right));
        ControlFlow::Continue(())
    });
    truth
}

fn pair(op: Op, left: &Value<'_>, right: &Value<'_>) -> Truth {
    use Value::{Absent, Bool, Bytes, Cut, Int, Ip, Unknown};
    match (left, right) {
        (Absent, _) | (_, Absent) => Truth::No,
        (Unknown | Cut(_), _) | (_, Unknown | Cut(_)) => Truth::Maybe,
        (Bytes(a), Bytes(b)) => texts(op, a, b).into(),
        (Int(a), Int(b)) => ordered(op, a.cmp(b)).into(),
        (Ip(a), Ip(b)) => ordered(op, a.cmp(b)).into(),
        (Bool(a), Bool(b)) => ordered(op, a.cmp(b)).into(),
        _ => Truth::No,
    }
}

fn texts(op: Op, a: &[u8], b: &[u8]) -> bool {
    match op {
        Op::StartsWith => a.starts_with(b),
        Op::EndsWith => a.ends_with(b),
        Op::Contains => b.is_empty() || memchr::memmem::find(a, b).is_some(),
        _ => ordered(op, a.cmp(b)),
    }
}

fn ordered(op: Op, found: Ordering) -> bool {
    match op {
        Op::Equal => found.is_eq(),
        Op::Differs => found.is_ne(),
        Op::Less => found.is_lt(),
        Op::AtMost => found.is_le(),
        Op::Greater => found.is_gt(),
        Op::AtLeast => found.is_ge(),
        _ => false,
    }
}

/// Every field that a condition asks for.
pub(super) fn fields_of(node: &Node, seen: &mut dyn FnMut(Field)) {
    match node {
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().for_each(|node| fields_of(node, seen)),
        Node::Not(node) => fields_of(node, seen),
        Node::Shared(shared) => fields_of(&shared.node, seen),
        Node::Test { field, .. } => seen(*field),
        Node::Changed(changed) => seen(changed.field),
        Node::Fields(fields) => {
            seen(fields.left.field);
            seen(fields.right.field);
        }
        Node::Missing(_) => {}
        Node::Kept { test, .. } => fields_of(test, seen),
    }
}
