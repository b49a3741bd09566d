//! Lists and macros that conditions refer to.
//!
//! Owns: [`Names`]. A name is known from its definition on, so definitions
//! cannot go round in circles.
//! Must not: read files.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::compile::{self, Compiled, MAX_ITEMS};
use super::error::CondError;
use super::parse;
use super::spell;

/// Named lists and macros.
#[derive(Clone, Debug, Default)]
pub struct Names {
    lists: BTreeMap<String, Vec<String>>,
    macros: BTreeMap<String, Arc<Compiled>>,
    /// What the macros say, with the macros in them spelled out.
    sources: BTreeMap<String, Arc<str>>,
    items: usize,
    foreign: bool,
}

/// Most items of all lists together.
const MAX_ALL_ITEMS: usize = 1 << 18;

impl Names {
    /// No names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No names, for conditions of others: fields and calls that belljar does not
    /// have are remembered instead of refused.
    #[must_use]
    pub(crate) fn foreign() -> Self {
        Self {
            foreign: true,
            ..Self::default()
        }
    }

    pub(super) fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// Defines a list. Items that name an earlier list stand for its items;
    /// one pair of double quotes around an item is taken off, as in Falco's files.
    ///
    /// # Errors
    /// If the name is taken or no name, or the list is too long.
    pub fn define_list<'a>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), CondError> {
        self.free(name)?;
        let mut all = Vec::new();
        for item in items {
            match self.lists.get(item) {
                Some(list) => all.extend(list.iter().cloned()),
                None => all.push(unquoted(item).to_owned()),
            }
            if all.len() > MAX_ITEMS || all.len() + self.items > MAX_ALL_ITEMS {
                let message = format!("list `{name}` has too many items");
                return Err(CondError::new("", 0, message));
            }
        }
        self.items += all.len();
        self.lists.insert(name.to_owned(), all);
        Ok(())
    }

    /// Defines a macro.
    ///
    /// # Errors
    /// If the name is taken or no name, or the condition cannot be used.
    pub fn define_macro(&mut self, name: &str, source: &str) -> Result<(), CondError> {
        self.free(name)?;
        let parsed = parse::parse_as(source, self.foreign)?;
        let compiled = compile::compile(source, self, &parsed)?;
        let spelled = spell::out(source, &parsed, self);
        self.sources.insert(name.to_owned(), spelled.into());
        self.macros.insert(name.to_owned(), Arc::new(compiled));
        Ok(())
    }

    fn free(&self, name: &str) -> Result<(), CondError> {
        // Names in the files of others may have dashes and dots too.
        let foreign = self.foreign;
        let word =
            |c: char| c.is_ascii_alphanumeric() || c == '_' || foreign && (c == '-' || c == '.');
        let problem = if name.is_empty() || !name.chars().all(word) {
            "is no name: use letters, digits and `_`"
        } else if ["and", "or", "not", "in"].contains(&name) {
            "is a keyword"
        } else if self.lists.contains_key(name) || self.macros.contains_key(name) {
            "is defined twice"
        } else {
            return Ok(());
        };
        Err(CondError::new(
            "",
            0,
            format!("`{}` {problem}", name.escape_debug()),
        ))
    }

    pub(super) fn list(&self, name: &str) -> Option<&[String]> {
        self.lists.get(name).map(Vec::as_slice)
    }

    pub(super) fn find(&self, name: &str) -> Option<&Arc<Compiled>> {
        self.macros.get(name)
    }

    /// What a macro says, with the macros in it spelled out.
    pub(super) fn source(&self, name: &str) -> Option<&str> {
        self.sources.get(name).map(|source| &**source)
    }

    /// The names of all macros.
    pub fn macros(&self) -> impl Iterator<Item = &str> {
        self.macros.keys().map(String::as_str)
    }

    /// The names of all lists.
    pub fn lists(&self) -> impl Iterator<Item = &str> {
        self.lists.keys().map(String::as_str)
    }
}

fn unquoted(item: &str) -> &str {
    item.strip_prefix('"')
        .and_then(|item| item.strip_suffix('"'))
        .unwrap_or(item)
}
