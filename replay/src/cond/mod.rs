//! The condition language: one for rules, policy, the screen's filter, search and export.
//!
//! Owns: fields, values, grammar, type check, compiled form, evaluation.
//! Must not: know events or sessions; whoever is asked implements [`Subject`].
//!
//! Syntax and field names are Falco's: `evt.type in (open, openat) and
//! fd.name startswith /etc/ and not proc.aname[2] = node`. Beyond it, a boolean
//! field may stand by itself (`path.decoy`). An absent field makes every
//! comparison false, so `not` of it true; an unknown one leaves it open.

mod change;
mod check;
mod compare;
mod compile;
mod error;
mod eval;
mod fields;
mod flag;
mod found;
mod gate;
mod names;
mod parse;
mod pattern;
mod required;
mod search;
mod sets;
mod shape;
mod share;
mod spell;
mod standing;
mod syntax;
mod trail;
mod types;
mod value;
mod words;

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

/// Every value that `evt.type` has.
pub fn event_types() -> impl Iterator<Item = &'static str> {
    types::Types::names()
}

pub use error::CondError;
pub(crate) use error::{nearest, position, quoted, shown};
pub use fields::{ALIASES, FIELDS, Field, FieldInfo, MAX_INDEX, Type};
pub(crate) use gate::{Gates, ROW_WORDS, members};
pub use names::Names;
pub(crate) use shape::{Shape, shape};
pub(crate) use share::{Kept, MAX_KEPT, Memo};
pub(crate) use trail::{Past, Trails};
pub(crate) use types::Types;
pub use value::{Subject, Truth, Value};

use compile::{Compiled, Node};
use eval::{fields_of, holds};

/// A condition, ready to be asked.
#[derive(Clone, Debug)]
pub struct Condition {
    source: Box<str>,
    /// With its macros spelled out, where it has any.
    spelled: Option<Box<str>>,
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
        let parsed = parse::parse_as(source, names.is_foreign())?;
        let compiled = compile::compile(source, names, &parsed)?;
        let types = Types::possible(&compiled.node);
        let spelled = spell::out(source, &parsed, names);
        Ok(Self {
            source: source.into(),
            spelled: (spelled != source).then(|| spelled.into()),
            compiled,
            types,
        })
    }

    /// Does it hold?
    #[must_use]
    pub fn matches(&self, subject: &dyn Subject) -> Truth {
        holds(&self.compiled.node, subject, &mut Memo::none())
    }

    /// What it asks for and belljar does not have, of a foreign condition: fields,
    /// and calls without which it can never hold.
    pub(crate) fn missing(&self) -> BTreeSet<Arc<str>> {
        let mut found = BTreeSet::new();
        self.compiled.node.missing(&mut found);
        if self.compiled.node.settled() == Some(false) && !self.compiled.seen {
            let unseen = self.compiled.unseen.iter();
            found.extend(unseen.map(|call| Arc::from(format!("calls of `{call}`"))));
        }
        found
    }

    /// Calls that it names and that are not recorded.
    pub(crate) fn unseen(&self) -> &BTreeSet<String> {
        &self.compiled.unseen
    }

    /// True or false for every event, whatever happens.
    pub(crate) fn settled(&self) -> Option<bool> {
        self.compiled.node.settled()
    }

    /// What is left of it for events of the type at this place of [`Types::names`];
    /// `None` if nothing: it holds for none of them.
    pub(crate) fn special(&self, at: usize) -> Option<Special> {
        let name = Types::names().nth(at)?;
        let node =
            match types::Special::of(&self.compiled.node, name, &|field| Types::lacks(at, field)) {
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

    /// The text with every macro replaced by what it stands for.
    #[must_use]
    pub fn spelled_out(&self) -> String {
        let text = self.spelled.as_deref().unwrap_or(&self.source);
        text.trim().to_owned()
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
    /// Does it hold? The memo is that of the event.
    pub(crate) fn matches(&self, subject: &dyn Subject, memo: &mut Memo<'_>) -> Truth {
        holds(&self.0, subject, memo)
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.source)
    }
}
