//! The condition language: one for rules, policy, the screen's filter, search and export.
//!
//! Owns: fields, values, grammar, type check, compiled form, evaluation.
//! Must not: know events or sessions; whoever is asked implements [`Subject`].
//!
//! Syntax and field names are Falco's: `evt.type in (open, openat) and
//! fd.name startswith /etc/ and not proc.aname[2] = node`. Beyond it, a boolean
//! field may stand by itself (`path.decoy`). An absent field makes every
//! comparison false, so `not` of it true; an unknown one leaves it open.

mod check;
mod compile;
mod error;
mod fields;
mod names;
mod parse;
mod pattern;
mod sets;
mod shape;
mod syntax;
mod types;
mod value;

#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

pub use error::CondError;
pub(crate) use error::{nearest, position, shown};
pub use fields::{ALIASES, FIELDS, Field, FieldInfo, MAX_INDEX, Type};
pub use names::Names;
pub(crate) use shape::{Shape, shape};
pub(crate) use types::Types;
pub use value::{Subject, Truth, Value};

use check::Check;
use compile::{Compiled, Node};

/// A condition, ready to be asked.
#[derive(Clone, Debug)]
pub struct Condition {
    source: Box<str>,
    compiled: Compiled,
    types: Types,
}

impl Condition {
    /// Parses, resolves, checks and compiles.
    ///
    /// # Errors
    /// Where the condition does not follow the grammar, names something
    /// unknown, compares unlike things, or exceeds a limit.
    pub fn parse(source: &str, names: &Names) -> Result<Self, CondError> {
        let compiled = compile::compile(source, names, &parse::parse(source)?)?;
        let types = Types::possible(&compiled.node);
        Ok(Self {
            source: source.into(),
            compiled,
            types,
        })
    }

    /// Does it hold?
    #[must_use]
    pub fn matches(&self, subject: &dyn Subject) -> Truth {
        holds(&self.compiled.node, subject)
    }

    /// What is left of it for events of the type at this place of [`Types::names`];
    /// `None` if nothing: it holds for none of them.
    pub(crate) fn special(&self, at: usize) -> Option<Special> {
        let name = Types::names().nth(at)?;
        let node = match types::Special::of(&self.compiled.node, name) {
            types::Special::Always(false) => return None,
            types::Special::Always(true) => Node::All(Box::default()),
            types::Special::Is(node) => node,
        };
        Some(Special(node))
    }

    /// The text it was made from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Calls `seen` for every field that it asks for.
    pub(crate) fn fields(&self, seen: &mut dyn FnMut(Field)) {
        fields_of(&self.compiled.node, seen);
    }

    /// The event types it can hold for; `None` if it does not restrict them.
    #[must_use]
    pub fn event_types(&self) -> Option<Vec<&'static str>> {
        if (0..Types::names().count()).all(|at| self.types.has(at)) {
            return None;
        }
        let names = Types::names()
            .enumerate()
            .filter(|(at, _)| self.types.has(*at));
        let mut names: Vec<_> = names.map(|(_, name)| name).collect();
        names.sort_unstable();
        names.dedup();
        Some(names)
    }

    /// How many patterns were built for it: what a loader of foreign text limits.
    pub(crate) fn patterns(&self) -> usize {
        self.compiled.patterns
    }

    pub(crate) fn types(&self) -> &Types {
        &self.types
    }
}

/// A condition for events of one type.
#[derive(Clone, Debug)]
pub(crate) struct Special(Node);

impl Special {
    /// Does it hold?
    pub(crate) fn matches(&self, subject: &dyn Subject) -> Truth {
        holds(&self.0, subject)
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.source)
    }
}

fn fields_of(node: &Node, seen: &mut dyn FnMut(Field)) {
    match node {
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().for_each(|node| fields_of(node, seen)),
        Node::Not(node) => fields_of(node, seen),
        Node::Shared(shared) => fields_of(&shared.node, seen),
        Node::Test { field, .. } => seen(*field),
    }
}

/// Kleene's three-valued logic. Recursion is bounded by the compiler's limit on levels.
fn holds(node: &Node, subject: &dyn Subject) -> Truth {
    match node {
        Node::All(nodes) => {
            let mut truth = Truth::Yes;
            for node in nodes {
                truth = truth.and(holds(node, subject));
                if truth == Truth::No {
                    break;
                }
            }
            truth
        }
        Node::Any(nodes) => {
            let mut truth = Truth::No;
            for node in nodes {
                truth = truth.or(holds(node, subject));
                if truth == Truth::Yes {
                    break;
                }
            }
            truth
        }
        Node::Not(node) => !holds(node, subject),
        Node::Shared(shared) => holds(&shared.node, subject),
        Node::Test {
            field,
            negated,
            check,
        } => tested(*field, *negated, check, subject),
    }
}

/// A comparison holds if it holds for any of the field's values. `!=` is a
/// comparison too: false where there is no value.
fn tested(field: Field, negated: bool, check: &Check, subject: &dyn Subject) -> Truth {
    let ask = |value: &Value<'_>| match (negated, value) {
        (true, Value::Absent) => Truth::No,
        (true, value) => !check.holds(value),
        (false, value) => check.holds(value),
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
