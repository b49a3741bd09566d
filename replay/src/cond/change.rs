//! Transformers: what a condition may do to a field's value before it compares.
//!
//! Owns: [`Change`], their names, and applying them.
//! Must not: know fields. `tolower` and `toupper` before a literal never come
//! here: the compiler turns them into comparisons that ignore case.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::value::Value;

/// A transformer, as Falco names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// `tolower()`: ASCII letters.
    Lower,
    /// `toupper()`: ASCII letters.
    Upper,
    /// `b64()`: what the value is base64 of; no value if it is none.
    Base64,
    /// `basename()`: what stands behind the last slash.
    Base,
    /// `len()`: how many bytes.
    Length,
}

/// Every transformer as written.
pub(super) const CHANGES: &[(&str, Change)] = &[
    ("tolower", Change::Lower),
    ("toupper", Change::Upper),
    ("b64", Change::Base64),
    ("basename", Change::Base),
    ("len", Change::Length),
];

/// Most transformers around one field.
pub(super) const MAX_CHANGES: usize = 4;

impl Change {
    pub(super) fn named(name: &str) -> Option<Self> {
        let row = CHANGES.iter().find(|(known, _)| *known == name);
        row.map(|(_, change)| *change)
    }

    pub(super) fn name(self) -> &'static str {
        let row = CHANGES.iter().find(|(_, change)| *change == self);
        row.map_or("?", |(name, _)| name)
    }

    /// The changed value. What was cut stays cut, where that means anything.
    pub(super) fn of<'a>(self, value: Value<'a>) -> Value<'a> {
        match (self, value) {
            (Self::Lower, value) => each(value, &|b| b.to_ascii_lowercase()),
            (Self::Upper, value) => each(value, &|b| b.to_ascii_uppercase()),
            (Self::Base, Value::Bytes(bytes)) => Value::Bytes(base(bytes)),
            (Self::Length, Value::Bytes(bytes)) => Value::from(bytes.len() as u64),
            (Self::Base64, Value::Bytes(bytes)) => {
                decoded(&bytes).map_or(Value::Absent, |bytes| Value::Bytes(Cow::Owned(bytes)))
            }
            (_, Value::Cut(_) | Value::Unknown) => Value::Unknown,
            (_, _) => Value::Absent,
        }
    }
}

fn each<'a>(value: Value<'a>, change: &dyn Fn(&[u8]) -> Vec<u8>) -> Value<'a> {
    match value {
        Value::Bytes(bytes) => Value::Bytes(Cow::Owned(change(&bytes))),
        Value::Cut(bytes) => Value::Cut(Cow::Owned(change(&bytes))),
        Value::Unknown => Value::Unknown,
        _ => Value::Absent,
    }
}

fn base(bytes: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let from = bytes
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |at| at + 1);
    match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(from..).unwrap_or_default()),
        Cow::Owned(bytes) => Cow::Owned(bytes.get(from..).unwrap_or_default().to_vec()),
    }
}

/// A text that is no base64 has no value. Padding may be missing.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    ENGINE.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_taken_off() {
        let of = |text: &[u8]| decoded(text).map(|b| String::from_utf8(b).unwrap());
        assert_eq!(of(b"aGVsbG8=").as_deref(), Some("hello"));
        assert_eq!(of(b"aGVsbG8").as_deref(), Some("hello"));
        assert_eq!(of(b"aGVsbG8hIQ==").as_deref(), Some("hello!!"));
        assert_eq!(of(b"").as_deref(), Some(""));
        assert_eq!(of(b"a"), None);
        assert_eq!(of(b"a b="), None);
    }

    #[test]
    fn what_is_cut_is_not_taken_for_whole() {
        let cut = || Value::Cut(Cow::Borrowed(&b"Ab/C"[..]));
        assert_eq!(Change::Lower.of(cut()), Value::Cut(b"ab/c"[..].into()));
        assert_eq!(Change::Base.of(cut()), Value::Unknown);
        assert_eq!(Change::Length.of(cut()), Value::Unknown);
        assert_eq!(Change::Base.of(Value::str("/a/b")), Value::str("b"));
        assert_eq!(Change::Length.of(Value::str("/a/b")), Value::Int(4));
        assert_eq!(Change::Upper.of(Value::Absent), Value::Absent);
    }
}
