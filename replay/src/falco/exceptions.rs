//! Exceptions: `and not (…)` behind a rule's condition.
//!
//! Owns: fields, comparisons and values of exceptions as a condition.
//! Must not: parse conditions.

use serde_json::Value;

use super::items::{ExceptionItem, RuleItem};

/// Operators that take a list.
const LISTS: &[&str] = &["in", "pmatch", "intersects"];

/// The rule's condition with its exceptions, and how many bytes stand before
/// what the rule itself says.
pub(super) fn applied(rule: &RuleItem) -> Result<(String, usize), String> {
    let mut terms = Vec::new();
    for exception in &rule.exceptions {
        terms.extend(term(exception)?);
    }
    if terms.is_empty() {
        return Ok((rule.condition.clone(), 0));
    }
    let excepted = terms.join(" or ");
    Ok((format!("({}) and not ({excepted})", rule.condition), 1))
}

/// `(a = 1 and b in (2, 3))` for each row of values.
fn term(exception: &ExceptionItem) -> Result<Vec<String>, String> {
    let name = exception.name.as_deref().unwrap_or("without a name");
    let wrong = |what: &str| format!("exception `{}`: {what}", name.escape_debug());
    let Some(Value::Array(rows)) = &exception.values else {
        return Ok(Vec::new());
    };
    let fields = match &exception.fields {
        Some(Value::String(field)) => {
            // One field: all values at once.
            let comp = one(exception.comps.as_ref(), "in");
            let text = if LISTS.contains(&comp.as_str()) {
                format!("({field} {comp} {})", list(rows))
            } else {
                let each = rows
                    .iter()
                    .map(|row| format!("{field} {comp} {}", word(row)));
                format!("({})", each.collect::<Vec<_>>().join(" or "))
            };
            return Ok(if rows.is_empty() {
                Vec::new()
            } else {
                vec![text]
            });
        }
        Some(Value::Array(fields)) => fields,
        _ => return Err(wrong("has no fields")),
    };
    let comps: Vec<String> = match &exception.comps {
        Some(Value::Array(comps)) => comps.iter().map(|comp| one(Some(comp), "=")).collect(),
        _ => vec!["=".to_owned(); fields.len()],
    };
    let mut terms = Vec::new();
    for row in rows {
        let Value::Array(cells) = row else {
            return Err(wrong("each of its values is a list, one item a field"));
        };
        if cells.len() != fields.len() || comps.len() != fields.len() {
            return Err(wrong("has not as many values as fields"));
        }
        let parts = fields.iter().zip(&comps).zip(cells);
        let parts = parts.map(|((field, comp), cell)| {
            let value = match cell {
                Value::Array(items) => list(items),
                one if LISTS.contains(&comp.as_str()) => list(std::slice::from_ref(one)),
                one => word(one),
            };
            format!("{} {comp} {value}", one(Some(field), ""))
        });
        terms.push(format!("({})", parts.collect::<Vec<_>>().join(" and ")));
    }
    Ok(terms)
}

fn one(value: Option<&Value>, default: &str) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        _ => default.to_owned(),
    }
}

fn list(items: &[Value]) -> String {
    let words: Vec<_> = items.iter().map(word).collect();
    format!("({})", words.join(", "))
}

/// A value as a condition takes it. Names of lists stay bare, as Falco reads them.
fn word(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let bare = !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-./:".contains(c));
    let quoted = text.starts_with('(') || text.len() > 1 && text.starts_with('"');
    if bare || quoted {
        return text;
    }
    crate::cond::quoted(&text)
}
