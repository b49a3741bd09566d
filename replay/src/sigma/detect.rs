//! Selections: maps of fields and values, lists of maps, keywords.
//!
//! Owns: modifiers, and what a selection asks of one record.
//! Must not: parse the rule's condition.

use serde_json::Value;

use super::source::{Mapped, Record, nametype};
use super::term::Term;
use super::value::{Pattern, base64_of, dashes};
use crate::cond::quoted;

/// Deepest nesting of lists and maps in a selection.
const MAX_DEPTH: usize = 8;

/// What is wrong in a selection's text.
type Result<T> = std::result::Result<T, String>;

/// What a selection asks of records of one sort.
pub(super) fn selection(record: &Record, value: &Value) -> Result<Term> {
    nested(record, value, 0)
}

fn nested(record: &Record, value: &Value, depth: usize) -> Result<Term> {
    if depth > MAX_DEPTH {
        return Err("a selection is nested too deeply".to_owned());
    }
    match value {
        Value::Object(entries) => {
            let each = entries.iter().map(|(key, value)| entry(record, key, value));
            Ok(Term::all(each.collect::<Result<Vec<_>>>()?))
        }
        Value::Array(items) => {
            let each = items.iter().map(|item| nested(record, item, depth + 1));
            Ok(Term::any(each.collect::<Result<Vec<_>>>()?))
        }
        scalar => Ok(keyword(record, &text(scalar))),
    }
}

fn keyword(record: &Record, text: &str) -> Term {
    let pattern = Pattern::parse(text).surrounded(true, true);
    let each = record.keywords.iter();
    Term::any(each.map(|field| pattern.against(field, false)))
}

/// How the values of an entry are compared.
enum How {
    Text { cased: bool },
    Regex(String),
    Network,
    Order(&'static str),
    Exists,
    Field(Option<&'static str>),
}

/// `Image|endswith: …` with one value or several.
fn entry(record: &Record, key: &str, value: &Value) -> Result<Term> {
    let mut words = key.split('|');
    let name = words.next().unwrap_or_default().trim();
    let modifiers: Vec<&str> = words.map(str::trim).collect();
    let values = match value {
        Value::Array(values) => values.as_slice(),
        one => std::slice::from_ref(one),
    };
    let field = resolved(record, name);
    let each = values.iter().map(|value| match &field {
        Field::Keywords => words_of(record, &modifiers, value),
        field => one(record, field, name, &modifiers, value),
    });
    let terms = each.collect::<Result<Vec<_>>>()?;
    Ok(if modifiers.contains(&"all") {
        Term::all(terms)
    } else {
        Term::any(terms)
    })
}

fn words_of(record: &Record, modifiers: &[&str], value: &Value) -> Result<Term> {
    if modifiers.contains(&"re") {
        let each = record.keywords.iter();
        return Ok(Term::any(each.map(|field| regex(field, &text(value), ""))));
    }
    Ok(keyword(record, &text(value)))
}

/// A field of a record, as ours.
enum Field {
    Keywords,
    Text(String),
    Number(String, u32),
    Address(&'static str),
    Call,
    Fixed(&'static str),
    Success,
    NameType(bool),
    Absent,
    Missing,
}

fn resolved(record: &Record, name: &str) -> Field {
    if name.is_empty() {
        return Field::Keywords;
    }
    match record.field(name) {
        Mapped::Text(field) => Field::Text(field.to_owned()),
        Mapped::Argument(at) => Field::Text(format!("proc.argv[{at}]")),
        Mapped::Number(field) => Field::Number(field.to_owned(), 10),
        Mapped::Raw(at) => Field::Number(format!("evt.arg[{at}]"), 16),
        Mapped::Address(field) => Field::Address(field),
        Mapped::Call => Field::Call,
        Mapped::Fixed(text) => Field::Fixed(text),
        Mapped::Success => Field::Success,
        Mapped::NameType(second) => Field::NameType(second),
        Mapped::Absent => Field::Absent,
        Mapped::Missing => Field::Missing,
    }
}

impl Field {
    /// Its name in conditions.
    fn name(&self) -> Option<&str> {
        match self {
            Self::Text(name) | Self::Number(name, _) => Some(name),
            Self::Address(name) => Some(name),
            Self::Call => Some("evt.type"),
            _ => None,
        }
    }
}

fn one(
    record: &Record,
    field: &Field,
    name: &str,
    modifiers: &[&str],
    value: &Value,
) -> Result<Term> {
    if matches!(field, Field::Missing) {
        return Ok(Term::missing(format!("field `{name}`")));
    }
    let (how, patterns) = match modified(modifiers, value)? {
        Ok(found) => found,
        Err(lacking) => return Ok(Term::missing(lacking)),
    };
    if value.is_null() || matches!(how, How::Exists) {
        let wanted = !value.is_null() && text(value).eq_ignore_ascii_case("true");
        return Ok(exists(field, wanted));
    }
    match how {
        How::Text { cased } => {
            let each = patterns
                .iter()
                .map(|pattern| held(field, name, pattern, cased));
            Ok(Term::any(each))
        }
        How::Regex(flags) => Ok(match field {
            Field::Text(field) => regex(field, &text(value), &flags),
            Field::Absent => Term::Always(false),
            _ => Term::missing(format!("a regular expression on `{name}`")),
        }),
        How::Network => Ok(match field {
            Field::Address(field) => Term::test(format!("{field} in ({})", text(value))),
            Field::Absent => Term::Always(false),
            _ => Term::missing(format!("a network compared with `{name}`")),
        }),
        How::Order(op) => order(field, name, op, &text(value)),
        How::Exists => Ok(exists(field, true)),
        How::Field(op) => {
            let other = resolved(record, &text(value));
            Ok(match (field, &other) {
                (Field::Text(a), Field::Text(b)) => {
                    let op = op.unwrap_or("=");
                    Term::test(format!("tolower({a}) {op} tolower({b})"))
                }
                (Field::Number(a, _), Field::Number(b, _)) if op.is_none() => {
                    Term::test(format!("{a} = val({b})"))
                }
                (Field::Absent, _) | (_, Field::Absent) => Term::Always(false),
                _ => Term::missing(format!("`{name}` compared with another field")),
            })
        }
    }
}

fn exists(field: &Field, wanted: bool) -> Term {
    let is = match (field, field.name()) {
        (Field::Absent, _) => Term::Always(false),
        (_, Some(name)) => Term::test(format!("{name} exists")),
        _ => Term::Always(true),
    };
    if wanted { is } else { Term::negated(is) }
}

/// A pattern held against a field.
fn held(field: &Field, name: &str, pattern: &Pattern, cased: bool) -> Term {
    match field {
        Field::Text(field) => pattern.against(field, cased),
        Field::Number(field, base) => match pattern.literal() {
            Some(digits) => match i64::from_str_radix(digits.trim(), *base) {
                Ok(number) => Term::test(format!("{field} = {number}")),
                Err(_) => Term::Always(false),
            },
            None => Term::missing(format!("wildcards in the number `{name}`")),
        },
        Field::Address(field) => match pattern.literal() {
            Some(text) if text.parse::<std::net::IpAddr>().is_ok() => {
                Term::test(format!("{field} = {text}"))
            }
            _ => Term::missing(format!("wildcards in the address `{name}`")),
        },
        Field::Call => match pattern.literal() {
            Some(call) => Term::test(format!("evt.type = {}", quoted(&call.to_ascii_lowercase()))),
            None => Term::missing("wildcards in the name of a call"),
        },
        Field::Fixed(text) => Term::Always(pattern.matches(text)),
        Field::Success => match pattern.matches("yes") {
            true => Term::test("evt.failed = false"),
            false => Term::test("evt.failed = true"),
        },
        Field::NameType(second) => {
            let value = pattern.literal().unwrap_or_default();
            nametype(&value, *second).map_or_else(
                || Term::missing(format!("`nametype` {}", value.escape_debug())),
                Term::test,
            )
        }
        Field::Absent | Field::Missing | Field::Keywords => Term::Always(false),
    }
}

fn order(field: &Field, name: &str, op: &str, value: &str) -> Result<Term> {
    let number: i64 = value
        .trim()
        .parse()
        .map_err(|_| format!("`{}` is no number", value.escape_debug()))?;
    Ok(match field {
        Field::Number(field, _) => Term::test(format!("{field} {op} {number}")),
        Field::Absent => Term::Always(false),
        _ => Term::missing(format!("`{name}` compared as a number")),
    })
}

fn regex(field: &str, pattern: &str, flags: &str) -> Term {
    let flags = if flags.is_empty() {
        String::new()
    } else {
        format!("(?{flags})")
    };
    let anywhere = format!("{flags}.*(?:{pattern}).*");
    Term::test(format!("{field} regex {}", quoted(&anywhere)))
}

/// How a value is compared, and the patterns that the modifiers make of it; the
/// inner error is a modifier that belljar does not have.
type Modified = std::result::Result<(How, Vec<Pattern>), String>;

fn modified(modifiers: &[&str], value: &Value) -> Result<Modified> {
    let mut how = How::Text { cased: false };
    let mut texts = vec![text(value)];
    let mut bytes: Option<Vec<u8>> = None;
    let mut plain = false;
    let (mut before, mut behind) = (false, false);
    for modifier in modifiers {
        match *modifier {
            "all" => {}
            "contains" => (before, behind) = (true, true),
            "startswith" => behind = true,
            "endswith" => before = true,
            "cased" => how = How::Text { cased: true },
            "re" => how = How::Regex(String::new()),
            "i" | "m" | "s" => match &mut how {
                How::Regex(flags) => flags.push_str(modifier),
                _ => return Err(format!("modifier `{modifier}` belongs behind `re`")),
            },
            "cidr" => how = How::Network,
            "gt" => how = How::Order(">"),
            "gte" => how = How::Order(">="),
            "lt" => how = How::Order("<"),
            "lte" => how = How::Order("<="),
            "exists" => how = How::Exists,
            "fieldref" => how = How::Field(None),
            "windash" => texts = texts.iter().flat_map(|text| dashes(text)).collect(),
            "wide" | "utf16le" | "utf16" | "utf16be" => {
                let big = *modifier == "utf16be";
                bytes = Some(wide(&text(value), big, *modifier == "utf16"));
            }
            "base64" | "base64offset" => {
                let offset = *modifier == "base64offset";
                let raw = bytes.take().unwrap_or_else(|| text(value).into_bytes());
                texts = base64_of(&raw, offset);
                plain = true;
                how = How::Text { cased: true };
            }
            other => return Ok(Err(format!("modifier `{}`", other.escape_debug()))),
        }
    }
    if bytes.is_some() {
        return Ok(Err("text in UTF-16".to_owned()));
    }
    if let How::Field(op) = &mut how {
        *op = match (before, behind) {
            (true, true) => Some("contains"),
            (true, false) => Some("endswith"),
            (false, true) => Some("startswith"),
            (false, false) => None,
        };
    }
    let patterns = texts.iter().map(|text| {
        let pattern = if plain {
            Pattern::plain(text)
        } else {
            Pattern::parse(text)
        };
        pattern.surrounded(before, behind)
    });
    Ok(Ok((how, patterns.collect())))
}

fn wide(text: &str, big: bool, mark: bool) -> Vec<u8> {
    let units = text.encode_utf16();
    let each = units.flat_map(|unit| {
        if big {
            unit.to_be_bytes()
        } else {
            unit.to_le_bytes()
        }
    });
    let begin: &[u8] = if mark { &[0xff, 0xfe] } else { &[] };
    begin.iter().copied().chain(each).collect()
}

/// A scalar as text.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
