//! How rule files write patterns of several events.
//!
//! Owns: the shape of `sequence`, `count` and `absence`, and their limits.
//! Must not: parse conditions; the loader does.

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::beyond::{By, Form, MAX_COUNT, MAX_FIELDS, MAX_STEPS, window};
use crate::cond::{FIELDS, Field, nearest, shown};

/// `sequence:` with at least two steps.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SequenceEntry {
    by: Spanned<String>,
    within: Spanned<String>,
    /// False: the steps may come in any order.
    #[serde(default)]
    ordered: Option<bool>,
    steps: Vec<Spanned<String>>,
}

/// `count:` of the events that the rule's condition holds for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CountEntry {
    by: Spanned<String>,
    within: Spanned<String>,
    at_least: Spanned<u32>,
    #[serde(default)]
    distinct: Option<Spanned<String>>,
}

/// `absence:` of what should follow the event that the rule's condition holds for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AbsenceEntry {
    by: Spanned<String>,
    within: Spanned<String>,
    of: Spanned<String>,
}

/// A pattern, and the sources of its steps beyond the rule's condition.
pub(super) struct Parsed<'a> {
    pub(super) form: Form,
    pub(super) by: By,
    pub(super) within: u64,
    pub(super) more: Vec<&'a Spanned<String>>,
}

/// Where something is wrong, and what.
type Wrong<'a> = (&'a Spanned<String>, String);

/// The pattern that a rule file has, if any.
pub(super) fn parse<'a>(
    sequence: Option<&'a SequenceEntry>,
    count: Option<&'a CountEntry>,
    absence: Option<&'a AbsenceEntry>,
) -> Result<Option<Parsed<'a>>, Wrong<'a>> {
    if let Some(entry) = sequence {
        if !(2..=MAX_STEPS).contains(&entry.steps.len()) {
            let message = format!("a sequence has 2 to {MAX_STEPS} steps");
            return Err((&entry.by, message));
        }
        return Ok(Some(Parsed {
            form: Form::Sequence {
                ordered: entry.ordered.unwrap_or(true),
            },
            by: by(&entry.by)?,
            within: within(&entry.within)?,
            more: entry.steps.iter().collect(),
        }));
    }
    if let Some(entry) = count {
        if !(2..=MAX_COUNT).contains(&entry.at_least.value) {
            let message = format!("`at_least` is a number from 2 to {MAX_COUNT}");
            return Err((&entry.by, message));
        }
        let distinct = match &entry.distinct {
            Some(names) => fields(names)?,
            None => Vec::new(),
        };
        return Ok(Some(Parsed {
            form: Form::Count {
                at_least: entry.at_least.value,
                distinct,
            },
            by: by(&entry.by)?,
            within: within(&entry.within)?,
            more: Vec::new(),
        }));
    }
    let Some(entry) = absence else {
        return Ok(None);
    };
    Ok(Some(Parsed {
        form: Form::Absence,
        by: by(&entry.by)?,
        within: within(&entry.within)?,
        more: vec![&entry.of],
    }))
}

/// `process`, or names of fields with commas between them.
fn by(text: &Spanned<String>) -> Result<By, Wrong<'_>> {
    match By::named(&text.value) {
        Some(by) => Ok(by),
        None if text.value.contains('.') => fields(text).map(By::Fields),
        None => Err((
            text,
            format!(
                "`{}` ties nothing: write run, process, tree, path, destination, or fields",
                shown(&text.value, 60)
            ),
        )),
    }
}

fn fields(text: &Spanned<String>) -> Result<Vec<Field>, Wrong<'_>> {
    let mut found = Vec::new();
    for name in text.value.split(',').map(str::trim) {
        let Some(field) = Field::named(name, false) else {
            let near = nearest(name, FIELDS.iter().map(|row| row.name));
            let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            let message = format!("unknown field `{}`{hint}", shown(name, 60));
            return Err((text, message));
        };
        found.push(field);
    }
    if found.len() > MAX_FIELDS {
        return Err((text, format!("more than {MAX_FIELDS} fields")));
    }
    Ok(found)
}

fn within(text: &Spanned<String>) -> Result<u64, Wrong<'_>> {
    window(&text.value).ok_or_else(|| {
        let message = "write a window like 500ms, 30s or 10m, a day at most";
        (text, message.to_owned())
    })
}
