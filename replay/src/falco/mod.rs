//! Falco's rule files, as they are: rules, macros, lists, exceptions.
//!
//! Owns: what the files say and how it becomes rules. Must not: read files, or
//! evaluate. What belljar does not have is named, rule by rule; see
//! [`crate::rules::Checked`].
//!
//! Fields that mean something in a container or a cluster only have the values
//! that Falco gives them on a host: `container.id` is `host`, the rest is absent.

mod exceptions;
mod items;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::cond::{CondError, Condition, Names};
use crate::rules::{
    Checked, Place, Rule, Severity, Status, Template, is_technique, listed_once, slug,
};

use items::{Files, RuleItem};

/// Calls of which belljar records less than Falco asks for, and what.
const PARTLY: &[(&str, &str)] = &[
    (
        "accept",
        "of a connection that is taken, only the server's address",
    ),
    (
        "dup2",
        "of `dup2` and `dup3`, only network sockets that become descriptor 0, 1 or 2",
    ),
    (
        "sendto",
        "of `sendto` and `sendmsg`, only those with an address of their own",
    ),
];

/// True if a YAML text is a Falco file: a list of items.
pub(crate) fn is_file(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_end);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#') && *line != "---");
    first.is_some_and(|line| line.starts_with("- "))
}

/// The rules of Falco files, in order of loading: later files override earlier ones.
pub(crate) fn load(sources: &[(&str, &str)], rules: &mut Vec<Arc<Rule>>) -> Vec<Checked> {
    let mut files = Files::default();
    let mut checked = Vec::new();
    for (file, text) in sources {
        files.read(file, text, &mut checked);
    }
    let mut compiler = Compiler::new(&files);
    compiler.lists();
    compiler.macros();
    let mut slugs = BTreeSet::new();
    for item in files.rules() {
        let id = listed_once(&mut slugs, format!("falco:{}", slug(&item.name)));
        let (status, rule) = compiler.rule(item, &id);
        checked.push(Checked {
            id,
            title: item.name.clone(),
            file: item.file.clone(),
            line: item.line,
            enabled: item.enabled,
            status,
        });
        rules.extend(rule.filter(|_| item.enabled).map(Arc::new));
    }
    checked
}

struct Compiler<'f> {
    files: &'f Files,
    names: Names,
    /// Macros and lists that cannot be used, and why.
    broken: BTreeMap<&'f str, String>,
    done: BTreeSet<&'f str>,
}

impl<'f> Compiler<'f> {
    fn new(files: &'f Files) -> Self {
        Self {
            files,
            names: Names::foreign(),
            broken: BTreeMap::new(),
            done: BTreeSet::new(),
        }
    }

    fn lists(&mut self) {
        let mut done = BTreeSet::new();
        for name in self.files.lists.keys() {
            self.list(name, &mut done, 0);
        }
    }

    /// Lists that it names come first; one that names itself stays a word.
    fn list(&mut self, name: &'f str, done: &mut BTreeSet<&'f str>, depth: usize) {
        let Some(items) = self.files.lists.get(name) else {
            return;
        };
        if depth > MAX_NESTED || !done.insert(name) {
            return;
        }
        for item in items {
            if let Some((inner, _)) = self.files.lists.get_key_value(item.as_str()) {
                self.list(inner, done, depth + 1);
            }
        }
        if let Err(error) = self
            .names
            .define_list(name, items.iter().map(String::as_str))
        {
            self.broken.insert(name, error.text());
        }
    }

    fn macros(&mut self) {
        for name in self.files.macros.keys() {
            self.define(name, 0);
        }
    }

    /// Macros that it names come first.
    fn define(&mut self, name: &'f str, depth: usize) {
        let Some(source) = self.files.macros.get(name) else {
            return;
        };
        if depth > MAX_NESTED || !self.done.insert(name) {
            return;
        }
        for word in words(source) {
            if let Some((inner, _)) = self.files.macros.get_key_value(word) {
                self.define(inner, depth + 1);
            }
        }
        if let Err(error) = self.names.define_macro(name, source) {
            let why = self.why(&error);
            self.broken.insert(name, why);
        }
    }

    /// The error, and where it is a macro that cannot be used, that one's.
    fn why(&self, error: &CondError) -> String {
        let name = error.message.strip_prefix("unknown macro `");
        let inner = name.and_then(|name| self.broken.get(name.strip_suffix('`')?));
        match (name.and_then(|name| name.strip_suffix('`')), inner) {
            (Some(name), Some(why)) => format!("macro `{name}`: {why}"),
            _ => error.text(),
        }
    }

    fn rule(&self, item: &RuleItem, id: &str) -> (Status, Option<Rule>) {
        if item.source != "syscall" {
            return (Status::not(format!("events of `{}`", item.source)), None);
        }
        let (source, prefix) = match exceptions::applied(item) {
            Ok(source) => source,
            Err(why) => return (Status::not(why), None),
        };
        let condition = match Condition::parse(&source, &self.names) {
            Ok(condition) => condition,
            Err(error) => {
                let place = item.place(error.offset.saturating_sub(prefix));
                return (self.wrong(item, place, &error), None);
            }
        };
        let missing: Vec<String> = condition
            .missing()
            .iter()
            .map(ToString::to_string)
            .collect();
        if !missing.is_empty() {
            return (Status::Missing(missing), None);
        }
        let notes = notes(&condition);
        let rule = Rule {
            id: id.to_owned(),
            title: item.name.clone(),
            why: item.desc.trim().to_owned(),
            severity: severity(&item.priority),
            attack: techniques(&item.tags),
            since: "falco".to_owned(),
            condition,
            beyond: None,
            message: Template::foreign(item.output.trim()),
            advice: ADVICE.to_owned(),
            subject: None,
        };
        (Status::Evaluable(notes), Some(rule))
    }

    fn wrong(&self, item: &RuleItem, place: Place, error: &CondError) -> Status {
        let Place { line, column } = place;
        Status::Wrong {
            line,
            column,
            message: format!("rule `{}`: {}", item.name, self.why(error)),
        }
    }
}

/// Deepest nesting of names that are looked for.
const MAX_NESTED: usize = 64;
const ADVICE: &str = "A rule of Falco's: its description says what it looks for and what is \
                      usual. It was written for servers; weigh it against what was installed.";

fn words(source: &str) -> impl Iterator<Item = &str> {
    source.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

fn notes(condition: &Condition) -> Vec<String> {
    if condition.settled() == Some(false) {
        return vec!["never holds here: there are no containers in the guest".to_owned()];
    }
    let unseen = condition.unseen().iter();
    let mut notes: Vec<String> = unseen
        .map(|call| format!("calls of `{call}` are not recorded"))
        .collect();
    let types = condition.event_types().unwrap_or_default();
    if types.len() < 12 {
        let partly = PARTLY.iter().filter(|(call, _)| types.contains(call));
        notes.extend(partly.map(|(_, what)| format!("recorded is, {what}")));
    }
    notes
}

/// Falco's priorities, by severity.
fn severity(priority: &str) -> Severity {
    match priority.to_ascii_uppercase().as_str() {
        "EMERGENCY" | "ALERT" | "CRITICAL" => Severity::Critical,
        "ERROR" => Severity::High,
        "WARNING" => Severity::Medium,
        "NOTICE" => Severity::Low,
        _ => Severity::Info,
    }
}

fn techniques(tags: &[String]) -> Vec<String> {
    let found = tags.iter().filter(|tag| is_technique(tag));
    found.cloned().collect()
}

#[cfg(test)]
mod tests;
