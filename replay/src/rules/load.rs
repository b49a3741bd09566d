//! YAML text to rules.
//!
//! Owns: the shape of rule files, their limits, errors with their places, the digest.
//! Must not: read files.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_saphyr::{Options, Spanned};

use super::pattern::{self, AbsenceEntry, CountEntry, SequenceEntry};
use super::{Beyond, Place, Rule, RuleError, RuleErrors, Severity, Template};
use crate::cond::{CondError, Condition, Names, shown};

/// Longest rule file in bytes.
const MAX_FILE: usize = 128 << 10;
/// Most rule files.
const MAX_FILES: usize = 10_000;
/// Errors beyond this many are not collected.
const MAX_ERRORS: usize = 100;

/// A rule file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    id: Spanned<String>,
    title: Spanned<String>,
    why: Spanned<String>,
    severity: Severity,
    attack: Spanned<Vec<String>>,
    since: Spanned<String>,
    /// Of a single event, of those that are counted, or of what an absence begins with.
    #[serde(default)]
    condition: Option<Spanned<String>>,
    #[serde(default)]
    sequence: Option<SequenceEntry>,
    #[serde(default)]
    count: Option<CountEntry>,
    #[serde(default)]
    absence: Option<AbsenceEntry>,
    message: Spanned<String>,
    advice: Spanned<String>,
    #[serde(default)]
    subject: Option<Spanned<String>>,
}

/// The file of lists and macros. Each may use those that stand before it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamesFile {
    #[serde(default)]
    lists: Vec<ListEntry>,
    #[serde(default)]
    macros: Vec<MacroEntry>,
}

/// `- list: shells` with its items, as in Falco's files.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListEntry {
    list: Spanned<String>,
    items: Vec<String>,
}

/// `- macro: open_read` with its condition.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MacroEntry {
    #[serde(rename = "macro")]
    name: Spanned<String>,
    condition: Spanned<String>,
}

/// What a set of files holds.
pub(super) struct Loaded {
    /// Sorted by id.
    pub(super) rules: Vec<Arc<Rule>>,
    pub(super) names: Names,
    /// Of all texts.
    pub(super) digest: [u8; 32],
}

pub(super) fn load(sources: &[(&str, &str)]) -> Result<Loaded, RuleErrors> {
    let mut sources = sources.to_vec();
    sources.sort_unstable();
    let mut loader = Loader {
        names: Names::new(),
        rules: BTreeMap::new(),
        errors: Vec::new(),
    };
    if let Some((file, _)) = sources.get(MAX_FILES) {
        let place = Place { line: 1, column: 1 };
        loader.fail(file, place, format!("more than {MAX_FILES} rule files"));
        return Err(RuleErrors(loader.errors));
    }
    let (names, rules): (Vec<_>, Vec<_>) = sources.iter().partition(|(file, _)| is_names(file));
    for (file, text) in names {
        loader.names_file(file, text);
    }
    for (file, text) in rules {
        loader.rule_file(file, text);
    }
    if loader.errors.is_empty() {
        let rules = loader.rules.into_values().map(|(_, rule)| rule).collect();
        Ok(Loaded {
            rules,
            names: loader.names,
            digest: digest(&sources),
        })
    } else {
        Err(RuleErrors(loader.errors))
    }
}

fn is_names(file: &str) -> bool {
    file.rsplit(['/', '\\']).next() == Some("names.yaml")
}

/// Sorted by text, so that neither names nor order of the files matter.
fn digest(sources: &[(&str, &str)]) -> [u8; 32] {
    let mut texts: Vec<_> = sources
        .iter()
        .map(|(file, text)| (is_names(file), *text))
        .collect();
    texts.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"belljar rules 1\n");
    for (is_names, text) in texts {
        hasher.update(&[u8::from(is_names)]);
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

struct Loader {
    names: Names,
    /// With the file that each stands in.
    rules: BTreeMap<String, (String, Arc<Rule>)>,
    errors: Vec<RuleError>,
}

/// Files of belljar's own: so many bytes and nodes. Aliases, anchors and merge keys
/// are no part of them, so nothing can multiply.
pub(crate) fn own_options(bytes: usize, nodes: usize) -> Options {
    let mut budget = serde_saphyr::Budget::default();
    budget.max_reader_input_bytes = Some(bytes);
    budget.max_events = nodes.saturating_mul(2);
    budget.max_nodes = nodes;
    budget.max_depth = 8;
    budget.max_aliases = 0;
    budget.max_anchors = 0;
    budget.max_documents = 1;
    budget.max_merge_keys = 0;
    budget.max_total_scalar_bytes = bytes;
    let mut options = Options::default();
    options.budget = Some(budget);
    options
}

impl Loader {
    fn fail(&mut self, file: &str, place: Place, message: impl Into<String>) {
        if self.errors.len() < MAX_ERRORS {
            let Place { line, column } = place;
            self.errors.push(RuleError {
                file: file.into(),
                line,
                column,
                message: message.into(),
            });
        }
    }

    fn yaml<'t, T: Deserialize<'t>>(&mut self, file: &str, text: &'t str) -> Option<T> {
        if text.len() > MAX_FILE {
            let message = format!("the file is longer than {MAX_FILE} bytes");
            self.fail(file, Place { line: 1, column: 1 }, message);
            return None;
        }
        match serde_saphyr::from_str_with_options(text, own_options(MAX_FILE, 10_000)) {
            Ok(value) => Some(value),
            Err(error) => {
                let (place, message) = yaml_error(&error);
                self.fail(file, place, message);
                None
            }
        }
    }

    fn names_file(&mut self, file: &str, text: &str) {
        let Some(names) = self.yaml::<NamesFile>(file, text) else {
            return;
        };
        for ListEntry { list, items } in names.lists {
            if let Err(error) = self
                .names
                .define_list(&list.value, items.iter().map(String::as_str))
            {
                self.fail(file, start(text, &list), error.text());
            }
        }
        for MacroEntry { name, condition } in names.macros {
            if let Err(error) = self.names.define_macro(&name.value, &condition.value) {
                self.fail(file, inside(text, &condition, &error), error.text());
            }
        }
    }

    fn rule_file(&mut self, file: &str, text: &str) {
        let Some(raw) = self.yaml::<RuleFile>(file, text) else {
            return;
        };
        let before = self.errors.len();
        let id = raw.id.value.clone();
        if !is_id(&id) {
            let message = format!(
                "`{}` is no rule id: like L4-NET-006, with capitals, digits and `-`",
                id.escape_debug()
            );
            self.fail(file, start(text, &raw.id), message);
        }
        if let Some((other, _)) = self.rules.get(&id) {
            let message = format!("rule `{id}` also stands in {other}");
            self.fail(file, start(text, &raw.id), message);
        }
        for (name, value) in [
            ("title", &raw.title),
            ("why", &raw.why),
            ("since", &raw.since),
            ("message", &raw.message),
            ("advice", &raw.advice),
        ] {
            if value.value.trim().is_empty() {
                self.fail(file, start(text, value), format!("`{name}` is empty"));
            }
        }
        if let Some(tag) = raw.attack.value.iter().find(|tag| !is_technique(tag)) {
            let message = format!(
                "`{}` is no ATT&CK technique such as T1552.001",
                tag.escape_debug()
            );
            self.fail(file, start(text, &raw.attack), message);
        }
        let asked = self.asked(file, text, &raw);
        let message = self.template(file, text, &raw.message);
        let subject = raw
            .subject
            .as_ref()
            .map(|subject| self.template(file, text, subject));
        let (Some((condition, beyond)), Some(message)) = (asked, message) else {
            return;
        };
        if self.errors.len() > before {
            return;
        }
        let rule = Rule {
            id: id.clone(),
            title: trimmed(raw.title),
            why: trimmed(raw.why),
            severity: raw.severity,
            attack: raw.attack.value,
            since: trimmed(raw.since),
            condition,
            beyond,
            message,
            advice: trimmed(raw.advice),
            subject: subject.flatten(),
        };
        self.rules.insert(id, (file.to_owned(), Arc::new(rule)));
    }

    fn condition(&mut self, file: &str, text: &str, raw: &Spanned<String>) -> Option<Condition> {
        match Condition::parse(&raw.value, &self.names) {
            Ok(condition) => Some(condition),
            Err(error) => {
                self.fail(file, inside(text, raw, &error), error.text());
                None
            }
        }
    }

    /// The condition, and the pattern where there is one.
    fn asked(
        &mut self,
        file: &str,
        text: &str,
        raw: &RuleFile,
    ) -> Option<(Condition, Option<Beyond>)> {
        let patterns = [
            raw.sequence.is_some(),
            raw.count.is_some(),
            raw.absence.is_some(),
        ];
        let single = raw.sequence.is_none();
        if patterns.iter().filter(|is| **is).count() > 1 || raw.condition.is_some() != single {
            let message = "a rule has a `condition`, or one of `sequence`, `count` and `absence` \
                           (the last two beside a `condition`)";
            self.fail(file, start(text, &raw.id), message);
            return None;
        }
        let condition = match &raw.condition {
            Some(source) => Some(self.condition(file, text, source)?),
            None => None,
        };
        let parsed = pattern::parse(
            raw.sequence.as_ref(),
            raw.count.as_ref(),
            raw.absence.as_ref(),
        );
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err((value, message)) => {
                self.fail(file, start(text, value), message);
                return None;
            }
        };
        let Some(pattern::Parsed {
            form,
            by,
            within,
            more,
        }) = parsed
        else {
            return Some((condition?, None));
        };
        let mut steps: Vec<Condition> = condition.into_iter().collect();
        for source in more {
            steps.push(self.condition(file, text, source)?);
        }
        let last = steps.last()?.clone();
        let beyond = Beyond {
            form,
            by,
            within,
            steps,
        };
        Some((last, Some(beyond)))
    }

    fn template(&mut self, file: &str, text: &str, source: &Spanned<String>) -> Option<Template> {
        match Template::parse(source.value.trim_end()) {
            Ok(template) => Some(template),
            Err((offset, message)) => {
                let place = Place::within(text, offset_of(source), &source.value, offset);
                self.fail(file, place, message);
                None
            }
        }
    }
}

fn trimmed(text: Spanned<String>) -> String {
    text.value.trim().to_owned()
}

pub(crate) fn offset_of<T>(value: &Spanned<T>) -> usize {
    value
        .defined
        .span()
        .byte_offset()
        .and_then(|at| usize::try_from(at).ok())
        .unwrap_or(0)
}

/// Where a value begins.
fn start<T>(text: &str, value: &Spanned<T>) -> Place {
    Place::at(text, offset_of(value))
}

/// Where in the file an error in a condition stands.
fn inside(text: &str, condition: &Spanned<String>, error: &CondError) -> Place {
    Place::within(text, offset_of(condition), &condition.value, error.offset)
}

/// Where a YAML error stands, and what it is.
pub(crate) fn yaml_error(error: &serde_saphyr::Error) -> (Place, String) {
    let at = error.location();
    let number = |n: Option<u64>| n.and_then(|n| usize::try_from(n).ok()).unwrap_or(1).max(1);
    let place = Place {
        line: number(at.map(|at| at.line())),
        column: number(at.map(|at| at.column())),
    };
    (place, yaml_message(error.without_snippet()))
}

/// The message without the picture and the position, which are given apart.
pub(crate) fn yaml_message(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let message = first
        .rsplit_once(" at line ")
        .map_or(first, |(message, _)| message);
    shown(message, 300)
}

/// `L4-HONEY-001`, `L4-HONEY-001-ATTEMPT`: parts of capitals and digits.
fn is_id(id: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    id.len() <= 64 && id.contains('-') && id.split('-').all(part)
}

/// `T1552` or `T1552.001`.
pub(crate) fn is_technique(tag: &str) -> bool {
    let digits =
        |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    tag.strip_prefix('T')
        .is_some_and(|tag| match tag.split_once('.') {
            Some((technique, sub)) => digits(technique, 4) && digits(sub, 3),
            None => digits(tag, 4),
        })
}
