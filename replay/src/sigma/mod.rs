//! Sigma rules, as they are: detections and correlations.
//!
//! Owns: what the files say and how it becomes rules. Must not: read files, or
//! evaluate. A detection becomes a condition of belljar's own language, so that
//! it is compiled, indexed and explained like any other.
//!
//! Sigma compares without regard to case; here that means ASCII letters.

mod correlate;
mod detect;
mod document;
mod grammar;
mod source;
mod term;
mod value;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::cond::{Condition, Names, position};
use crate::rules::{Checked, Place, Rule, Severity, Status, Template, is_technique, listed_once};

use correlate::{Known, Why};
use document::Document;
use grammar::Choice;
use source::Record;
use term::Term;

/// True if a YAML text is a Sigma file.
pub(crate) fn is_file(text: &str) -> bool {
    let begins = |word: &str| text.lines().any(|line| line.starts_with(word));
    begins("detection:") || begins("correlation:")
}

/// The rules of Sigma files.
pub(crate) fn load(sources: &[(&str, &str)], rules: &mut Vec<Arc<Rule>>) -> Vec<Checked> {
    let mut loader = Loader::default();
    for (file, text) in sources {
        match document::read(text) {
            Ok(documents) => {
                for document in documents {
                    loader.take(file, text, document);
                }
            }
            Err((place, message)) => loader.checked.push(Checked::file(file, place, message)),
        }
    }
    loader.correlate();
    let Loader {
        mut checked,
        made,
        hidden,
        ..
    } = loader;
    for (at, rule) in made {
        if hidden.contains(&rule.id) {
            // Its records count for a correlation only, as Sigma has it.
            if let Some(Checked {
                status: Status::Evaluable(notes),
                ..
            }) = checked.get_mut(at)
            {
                notes.push("only part of a correlation".to_owned());
            }
        } else {
            rules.push(Arc::new(rule));
        }
    }
    checked
}

#[derive(Default)]
struct Loader {
    names: Option<Names>,
    ids: BTreeSet<String>,
    known: BTreeMap<String, Known>,
    /// Correlations wait until every rule is known.
    waiting: Vec<(usize, Document)>,
    checked: Vec<Checked>,
    made: Vec<(usize, Rule)>,
    hidden: BTreeSet<String>,
}

/// What a detection became.
struct Made {
    condition: Condition,
    records: &'static [Record],
    message: &'static str,
    notes: Vec<String>,
}

impl Loader {
    fn take(&mut self, file: &str, text: &str, document: Document) {
        let title = document.title.clone().unwrap_or_default();
        let own = document.id.clone().or_else(|| document.name.clone());
        let own = own.unwrap_or_else(|| crate::rules::slug(&title));
        let id = listed_once(&mut self.ids, format!("sigma:{own}"));
        let at = self.checked.len();
        let line = line_of(text, document.id.as_deref().unwrap_or(&title));
        let mut checked = Checked {
            id: id.clone(),
            title,
            file: file.to_owned(),
            line,
            enabled: true,
            status: Status::Missing(Vec::new()),
        };
        if document.correlation.is_some() {
            self.checked.push(checked);
            self.waiting.push((at, document));
            return;
        }
        match self.made(text, &document) {
            Ok(made) => {
                let rule = rule(&document, &id, made.condition.clone(), made.message);
                checked.status = Status::Evaluable(made.notes);
                let known = Known {
                    condition: made.condition,
                    records: made.records,
                    id,
                };
                for name in [&document.id, &document.name].into_iter().flatten() {
                    self.known.insert(name.clone(), known.clone());
                }
                self.made.push((at, rule));
            }
            Err(status) => checked.status = status,
        }
        self.checked.push(checked);
    }

    fn made(&mut self, text: &str, document: &Document) -> Result<Made, Status> {
        if document.filter.is_some() || document.action.is_some() {
            return Err(Status::not("filters, and actions over several documents"));
        }
        let (Some(source), Some(detection)) = (&document.logsource, &document.detection) else {
            return Err(wrong(text, "title", "no log source or no detection"));
        };
        let records = source::records(
            source.product.as_deref(),
            source.category.as_deref(),
            source.service.as_deref(),
        )
        .map_err(Status::not);
        let choice = choice(text, detection)?;
        let mut message = "";
        let mut terms = Vec::new();
        // Detections are read even where nothing can be asked, to find what is wrong in them.
        let asked = records
            .as_ref()
            .map_or(source::fallback(), |records| records);
        for record in asked {
            let term = asked_of(record, detection, &choice)
                .map_err(|message| wrong(text, "detection:", &message))?;
            if term != Term::Always(false) {
                if message.is_empty() {
                    message = record.message;
                }
                terms.push(Term::all([Term::test(record.guard), term]));
            }
        }
        let records = records?;
        self.compiled(records, detection, Term::any(terms), message)
    }

    fn compiled(
        &mut self,
        records: &'static [Record],
        detection: &BTreeMap<String, Value>,
        term: Term,
        message: &'static str,
    ) -> Result<Made, Status> {
        let mut lacks = BTreeSet::new();
        term.lacks(&mut lacks);
        if !lacks.is_empty() {
            return Err(Status::Missing(lacks.into_iter().collect()));
        }
        let others = other_records(records, detection);
        if term == Term::Always(false) {
            return Err(Status::Missing(others));
        }
        let names = self.names.get_or_insert_with(Names::foreign);
        let condition = Condition::parse(&term.text(), names)
            .map_err(|error| Status::Missing(vec![error.text()]))?;
        let missing = condition.missing();
        if !missing.is_empty() {
            return Err(Status::Missing(
                missing.iter().map(ToString::to_string).collect(),
            ));
        }
        let mut notes: Vec<String> = others
            .iter()
            .map(|other| format!("without {other}"))
            .collect();
        let unseen = condition.unseen().iter();
        notes.extend(unseen.map(|call| format!("without calls of `{call}`")));
        Ok(Made {
            condition,
            records,
            message,
            notes,
        })
    }

    fn correlate(&mut self) {
        for (at, document) in std::mem::take(&mut self.waiting) {
            let Some(raw) = &document.correlation else {
                continue;
            };
            let found = correlate::pattern(raw, &self.known);
            let Some(checked) = self.checked.get_mut(at) else {
                continue;
            };
            match found {
                Ok((beyond, parts)) => {
                    checked.status = Status::Evaluable(Vec::new());
                    let Some(last) = beyond.steps.last().cloned() else {
                        continue;
                    };
                    let mut rule = rule(&document, &checked.id, last, "%proc.exeline");
                    rule.beyond = Some(beyond);
                    if !raw.generate {
                        self.hidden.extend(parts);
                    }
                    self.made.push((at, rule));
                }
                Err(Why::Missing(what)) => checked.status = Status::not(what),
                Err(Why::Wrong(message)) => {
                    checked.status = Status::Wrong {
                        line: checked.line,
                        column: 1,
                        message,
                    };
                }
            }
        }
    }
}

/// The condition over the selections.
fn choice(text: &str, detection: &BTreeMap<String, Value>) -> Result<Choice, Status> {
    let selections: Vec<&str> = detection
        .keys()
        .map(String::as_str)
        .filter(|name| !["condition", "timeframe"].contains(name))
        .collect();
    let sources = match detection.get("condition") {
        Some(Value::String(source)) => vec![source.as_str()],
        Some(Value::Array(sources)) => sources.iter().filter_map(Value::as_str).collect(),
        _ => return Err(wrong(text, "detection:", "the detection has no condition")),
    };
    let each = sources.into_iter().map(|source| {
        grammar::parse(source, &selections).map_err(|(offset, message)| {
            if message.starts_with("aggregations") {
                return Status::not(message);
            }
            let begin = text.find(source).unwrap_or(0);
            let (line, column) = position(text, begin + offset);
            Status::Wrong {
                line,
                column,
                message,
            }
        })
    });
    Ok(Choice::Any(each.collect::<Result<_, _>>()?))
}

/// What the rule asks of records of one sort.
fn asked_of(
    record: &Record,
    detection: &BTreeMap<String, Value>,
    choice: &Choice,
) -> Result<Term, String> {
    let each = |choices: &[Choice]| {
        let terms = choices
            .iter()
            .map(|choice| asked_of(record, detection, choice));
        terms.collect::<Result<Vec<_>, _>>()
    };
    Ok(match choice {
        Choice::All(choices) => Term::all(each(choices)?),
        Choice::Any(choices) => Term::any(each(choices)?),
        Choice::Not(inner) => Term::negated(asked_of(record, detection, inner)?),
        Choice::Selection(name) => match detection.get(name) {
            Some(value) => detect::selection(record, value)
                .map_err(|message| format!("selection `{name}`: {message}"))?,
            None => Term::Always(false),
        },
    })
}

/// Sorts of records that the rule names and that are not among these.
fn other_records(records: &[Record], detection: &BTreeMap<String, Value>) -> Vec<String> {
    let mut found = BTreeSet::new();
    for value in detection.values() {
        types_of(value, &mut found);
    }
    let known = |name: &String| {
        let pattern = value::Pattern::parse(name);
        records.iter().any(|record| match record.field("type") {
            source::Mapped::Fixed(text) => pattern.matches(text),
            _ => false,
        })
    };
    let others = found.iter().filter(|name| !known(name));
    others
        .map(|name| format!("records of type `{}`", name.escape_debug()))
        .collect()
}

fn types_of(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(entries) => match entries.get("type") {
            Some(Value::String(name)) => {
                found.insert(name.clone());
            }
            Some(Value::Array(names)) => {
                found.extend(
                    names
                        .iter()
                        .filter_map(|name| name.as_str().map(str::to_owned)),
                );
            }
            _ => {}
        },
        Value::Array(items) => items.iter().for_each(|item| types_of(item, found)),
        _ => {}
    }
}

fn rule(document: &Document, id: &str, condition: Condition, message: &str) -> Rule {
    let title = document.title.clone().unwrap_or_else(|| id.to_owned());
    let about = document.description.as_deref().unwrap_or_default().trim();
    let author = document.author.as_deref().unwrap_or("unknown");
    let why = format!("{about}\nBy {author}; Detection Rule License 1.1.");
    let tags = document.tags.iter().flatten();
    let attack = tags.filter_map(|tag| Some(tag.strip_prefix("attack.")?.to_ascii_uppercase()));
    let usual = match &document.falsepositives {
        Some(Value::Array(usual)) => usual.iter().filter_map(Value::as_str).collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    let advice = format!(
        "A Sigma rule. Innocent explanations that it names: {}.",
        if usual.is_empty() {
            "none".to_owned()
        } else {
            usual.join("; ")
        }
    );
    Rule {
        id: id.to_owned(),
        title: title.clone(),
        why: why.trim().to_owned(),
        severity: severity(document.level.as_deref()),
        attack: attack.filter(|tag| is_technique(tag)).collect(),
        since: "sigma".to_owned(),
        condition,
        beyond: None,
        message: Template::foreign(&format!("{}: {message}", title.replace('%', "%%"))),
        advice,
        subject: Some(Template::foreign(message)),
    }
}

fn severity(level: Option<&str>) -> Severity {
    match level {
        Some("critical") => Severity::Critical,
        Some("high") => Severity::High,
        Some("low") => Severity::Low,
        Some("informational") => Severity::Info,
        _ => Severity::Medium,
    }
}

fn line_of(text: &str, words: &str) -> usize {
    let at = text.find(words).unwrap_or(0);
    position(text, at).0
}

fn wrong(text: &str, near: &str, message: &str) -> Status {
    let at = text.find(near).unwrap_or(0);
    let Place { line, column } = Place::at(text, at);
    Status::Wrong {
        line,
        column,
        message: message.to_owned(),
    }
}
