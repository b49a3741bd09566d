//! Correlation rules: counts, different values, several rules together.
//!
//! Owns: how they become patterns of several events.
//! Must not: hold state; see `session::windows`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::document::Correlation;
use super::source::{Mapped, Record};
use crate::cond::{Condition, Field};
use crate::rules::{Beyond, By, Form, MAX_COUNT, MAX_FIELDS, MAX_STEPS, window};

/// A rule that others may refer to.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) condition: Condition,
    pub(super) records: &'static [Record],
    /// Its id here.
    pub(super) id: String,
}

/// Why there is no pattern.
pub(super) enum Why {
    Missing(String),
    Wrong(String),
}

type Result<T> = std::result::Result<T, Why>;

/// The pattern, and the rules that it is made of.
pub(super) fn pattern(
    raw: &Correlation,
    known: &BTreeMap<String, Known>,
) -> Result<(Beyond, Vec<String>)> {
    let mut parts = Vec::new();
    for name in &raw.rules {
        let found = known.get(name).ok_or_else(|| {
            Why::Missing(format!(
                "rule `{}`, which can be evaluated",
                name.escape_debug()
            ))
        })?;
        parts.push(found);
    }
    if parts.is_empty() || parts.len() > MAX_STEPS {
        return Err(Why::Wrong(format!(
            "a correlation has 1 to {MAX_STEPS} rules"
        )));
    }
    if raw.aliases.is_some() {
        return Err(Why::Missing("aliases of fields".to_owned()));
    }
    let (form, limit) = form(raw, &parts)?;
    if let Form::Sequence { .. } = form
        && limit != parts.len() as u64
    {
        return Err(Why::Missing("some of the rules, not all".to_owned()));
    }
    let span = raw.timespan.as_deref().unwrap_or_default();
    let within = window(span)
        .ok_or_else(|| Why::Wrong(format!("`{}` is no time span", span.escape_debug())))?;
    let beyond = Beyond {
        form,
        by: by(&raw.group_by, &parts)?,
        within,
        steps: parts.iter().map(|part| part.condition.clone()).collect(),
    };
    Ok((beyond, parts.iter().map(|part| part.id.clone()).collect()))
}

fn form(raw: &Correlation, parts: &[&Known]) -> Result<(Form, u64)> {
    let ordered = match raw.kind.as_str() {
        "temporal" => Some(false),
        "temporal_ordered" => Some(true),
        "event_count" | "value_count" => None,
        other => {
            let kind = other.escape_debug();
            return Err(Why::Missing(format!("correlation of type `{kind}`")));
        }
    };
    if let Some(ordered) = ordered {
        let limit = match &raw.condition {
            Some(_) => at_least(raw)?,
            None => parts.len() as u64,
        };
        if parts.len() < 2 {
            return Err(Why::Wrong("one rule alone has no order".to_owned()));
        }
        return Ok((Form::Sequence { ordered }, limit));
    }
    let limit = at_least(raw)?;
    let count = u32::try_from(limit)
        .ok()
        .filter(|n| (1..=MAX_COUNT).contains(n));
    let count = count.ok_or_else(|| Why::Missing(format!("counts above {MAX_COUNT}")))?;
    let distinct = if raw.kind == "value_count" {
        let named = raw.condition.as_ref().and_then(|parts| parts.get("field"));
        let names: Vec<String> = match named {
            Some(Value::String(name)) => vec![name.clone()],
            Some(Value::Array(names)) => names
                .iter()
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect(),
            _ => return Err(Why::Wrong("`value_count` names a field".to_owned())),
        };
        fields(&names, parts)?
    } else {
        Vec::new()
    };
    Ok((
        Form::Count {
            at_least: count,
            distinct,
        },
        limit,
    ))
}

/// The only bound that a growing count can reach: at least so many.
fn at_least(raw: &Correlation) -> Result<u64> {
    let empty = BTreeMap::new();
    let condition = raw.condition.as_ref().unwrap_or(&empty);
    let number = |name: &str| condition.get(name).and_then(Value::as_u64);
    for other in ["lt", "lte", "eq", "neq"] {
        if condition.contains_key(other) {
            return Err(Why::Missing(format!("correlation by `{other}`")));
        }
    }
    match (number("gte"), number("gt")) {
        (Some(least), _) => Ok(least),
        (None, Some(more)) => Ok(more.saturating_add(1)),
        (None, None) => Err(Why::Wrong("the condition has no `gte` or `gt`".to_owned())),
    }
}

fn by(names: &[String], parts: &[&Known]) -> Result<By> {
    if names.is_empty() {
        return Ok(By::Run);
    }
    fields(names, parts).map(By::Fields)
}

/// Our fields for names that mean the same in every part.
fn fields(names: &[String], parts: &[&Known]) -> Result<Vec<Field>> {
    if names.len() > MAX_FIELDS {
        return Err(Why::Wrong(format!("more than {MAX_FIELDS} fields")));
    }
    let one = |name: &String| {
        let mut found: Option<Field> = None;
        for part in parts {
            let here = part.records.iter().find_map(|record| field(record, name));
            match (found, here) {
                (_, None) => return Err(Why::Missing(format!("field `{}`", name.escape_debug()))),
                (Some(before), Some(here)) if before != here => {
                    let name = name.escape_debug();
                    return Err(Why::Missing(format!("field `{name}` across log sources")));
                }
                (_, Some(here)) => found = Some(here),
            }
        }
        found.ok_or_else(|| Why::Missing(format!("field `{}`", name.escape_debug())))
    };
    names.iter().map(one).collect()
}

fn field(record: &Record, name: &str) -> Option<Field> {
    match record.field(name) {
        Mapped::Text(field) | Mapped::Number(field) | Mapped::Address(field) => {
            Field::named(field, false)
        }
        Mapped::Argument(at) => Some(Field::ProcArgvAt(at)),
        Mapped::Raw(at) => Some(Field::EvtArgAt(at)),
        Mapped::Call => Some(Field::EvtType),
        _ => None,
    }
}
