//! What Falco files say, once later items have overridden or extended earlier ones.
//!
//! Owns: the shape of the items, `append` and `override`.
//! Must not: parse conditions.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::rules::{Checked, Place, Status, foreign_yaml};

/// One item of a file: exactly one of the first five says what it is.
#[derive(Deserialize)]
struct Item {
    rule: Option<Spanned<String>>,
    #[serde(rename = "macro")]
    name: Option<Spanned<String>>,
    list: Option<Spanned<String>>,
    required_engine_version: Option<Value>,
    required_plugin_versions: Option<Value>,
    condition: Option<Spanned<String>>,
    items: Option<Vec<String>>,
    desc: Option<String>,
    output: Option<String>,
    priority: Option<String>,
    source: Option<String>,
    #[serde(default)]
    tags: Option<Vec<String>>,
    enabled: Option<bool>,
    append: Option<bool>,
    #[serde(rename = "override")]
    changed: Option<BTreeMap<String, String>>,
    exceptions: Option<Vec<ExceptionItem>>,
}

/// An exception as written; each part may be one word or a list.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ExceptionItem {
    pub(super) name: Option<String>,
    pub(super) fields: Option<Value>,
    pub(super) comps: Option<Value>,
    pub(super) values: Option<Value>,
}

/// A rule with everything that was said of it.
#[derive(Clone, Debug)]
pub(super) struct RuleItem {
    pub(super) name: String,
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) condition: String,
    pub(super) desc: String,
    pub(super) output: String,
    pub(super) priority: String,
    pub(super) source: String,
    pub(super) tags: Vec<String>,
    pub(super) enabled: bool,
    pub(super) exceptions: Vec<ExceptionItem>,
    /// The file's text and where the condition begins in it.
    text: std::sync::Arc<str>,
    begins: usize,
}

impl RuleItem {
    /// Where a byte of the condition stands in the file.
    pub(super) fn place(&self, offset: usize) -> Place {
        Place::within(&self.text, self.begins, &self.condition, offset)
    }
}

/// Everything in the files.
#[derive(Default)]
pub(super) struct Files {
    pub(super) lists: BTreeMap<String, Vec<String>>,
    pub(super) macros: BTreeMap<String, String>,
    rules: Vec<RuleItem>,
    by_name: BTreeMap<String, usize>,
}

impl Files {
    pub(super) fn rules(&self) -> &[RuleItem] {
        &self.rules
    }

    /// Takes in a file; what is wrong with it is added to `checked`.
    pub(super) fn read(&mut self, file: &str, text: &str, checked: &mut Vec<Checked>) {
        let items: Vec<Item> = match foreign_yaml(text) {
            Ok(items) => items,
            Err((place, message)) => {
                checked.push(Checked::file(file, place, message));
                return;
            }
        };
        let shared: std::sync::Arc<str> = text.into();
        for item in items {
            let at = item.rule.as_ref().or(item.name.as_ref());
            let place = at
                .or(item.list.as_ref())
                .map_or(Place { line: 1, column: 1 }, |name| {
                    Place::at(text, offset(name))
                });
            if let Err(message) = self.take(item, file, &shared) {
                checked.push(Checked::file(file, place, message));
            }
        }
    }

    fn take(&mut self, item: Item, file: &str, text: &std::sync::Arc<str>) -> Result<(), String> {
        if let Some(name) = &item.list {
            let items = item.items.clone().unwrap_or_default();
            let list = self.lists.entry(name.value.clone()).or_default();
            if !appends(&item, "items") {
                list.clear();
            }
            list.extend(items);
            return Ok(());
        }
        if let Some(name) = &item.name {
            let condition = item.condition.as_ref().map(|text| text.value.as_str());
            let condition = condition
                .ok_or_else(|| format!("macro `{}` has no condition", name.value.escape_debug()))?;
            let known = self.macros.entry(name.value.clone()).or_default();
            *known = if appends(&item, "condition") {
                format!("{known} {condition}")
            } else {
                condition.to_owned()
            };
            return Ok(());
        }
        if item.rule.is_some() {
            return self.take_rule(item, file, text);
        }
        if item.required_engine_version.is_some() || item.required_plugin_versions.is_some() {
            return Ok(());
        }
        Err("an item is a rule, a macro, a list, or a required version".to_owned())
    }

    fn take_rule(
        &mut self,
        item: Item,
        file: &str,
        text: &std::sync::Arc<str>,
    ) -> Result<(), String> {
        let Some(name) = &item.rule else {
            return Ok(());
        };
        let known = self.by_name.get(&name.value).copied();
        let changes = item.append == Some(true) || item.changed.is_some();
        let only_switch = item.condition.is_none() && item.output.is_none() && !changes;
        if let Some(rule) = known.and_then(|at| self.rules.get_mut(at))
            && (changes || only_switch)
        {
            extend(rule, &item);
            return Ok(());
        }
        if changes || only_switch {
            let name = name.value.escape_debug();
            return Err(format!("rule `{name}` is changed here, but does not exist"));
        }
        let condition = item
            .condition
            .as_ref()
            .ok_or_else(|| format!("rule `{}` has no condition", name.value.escape_debug()))?;
        let Place { line, .. } = Place::at(text, offset(name));
        let rule = RuleItem {
            name: name.value.clone(),
            file: file.to_owned(),
            line,
            condition: condition.value.clone(),
            desc: item.desc.clone().unwrap_or_default(),
            output: item.output.clone().unwrap_or_default(),
            priority: item.priority.clone().unwrap_or_default(),
            source: item.source.clone().unwrap_or_else(|| "syscall".to_owned()),
            tags: item.tags.clone().unwrap_or_default(),
            enabled: item.enabled.unwrap_or(true),
            exceptions: item.exceptions.clone().unwrap_or_default(),
            text: std::sync::Arc::clone(text),
            begins: offset(condition),
        };
        match known.and_then(|at| self.rules.get_mut(at)) {
            Some(old) => *old = rule,
            None => {
                self.by_name.insert(rule.name.clone(), self.rules.len());
                self.rules.push(rule);
            }
        }
        Ok(())
    }
}

/// True if this part of the item extends what is known.
fn appends(item: &Item, part: &str) -> bool {
    let changed = item.changed.as_ref().and_then(|parts| parts.get(part));
    item.append == Some(true) || changed.is_some_and(|how| how == "append")
}

fn extend(rule: &mut RuleItem, item: &Item) {
    let joined = |known: &mut String, part: &str, said: Option<&str>| match said {
        Some(said) if appends(item, part) => {
            known.push(' ');
            known.push_str(said);
        }
        Some(said) => said.clone_into(known),
        None => {}
    };
    let condition = item.condition.as_ref().map(|text| text.value.as_str());
    joined(&mut rule.condition, "condition", condition);
    joined(&mut rule.output, "output", item.output.as_deref());
    joined(&mut rule.desc, "desc", item.desc.as_deref());
    if let Some(priority) = &item.priority {
        rule.priority.clone_from(priority);
    }
    if let Some(enabled) = item.enabled {
        rule.enabled = enabled;
    }
    if let Some(tags) = &item.tags {
        if !appends(item, "tags") {
            rule.tags.clear();
        }
        rule.tags.extend(tags.iter().cloned());
    }
    for exception in item.exceptions.iter().flatten() {
        rule.except(exception);
    }
}

impl RuleItem {
    /// More values for an exception, or a new one.
    fn except(&mut self, more: &ExceptionItem) {
        let known = self.exceptions.iter_mut().find(|old| old.name == more.name);
        match (known, &more.values) {
            (Some(old), Some(Value::Array(values))) => {
                let mut all = match old.values.take() {
                    Some(Value::Array(all)) => all,
                    _ => Vec::new(),
                };
                all.extend(values.iter().cloned());
                old.values = Some(Value::Array(all));
            }
            (Some(_), _) => {}
            (None, _) => self.exceptions.push(more.clone()),
        }
    }
}

fn offset<T>(value: &Spanned<T>) -> usize {
    crate::rules::offset_of(value)
}

impl Checked {
    /// Something wrong with a file, or an item that is no rule.
    pub(crate) fn file(file: &str, place: Place, message: String) -> Self {
        let Place { line, column } = place;
        Self {
            id: String::new(),
            title: String::new(),
            file: file.to_owned(),
            line,
            enabled: true,
            status: Status::Wrong {
                line,
                column,
                message,
            },
        }
    }
}
