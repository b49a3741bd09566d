//! Values of fields, and who has them.
//!
//! Owns: [`Value`], [`Subject`], [`Truth`].
//! Must not: know events or sessions.

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::ControlFlow;

use belljar_event::Text;

use super::Field;

/// The value of a field for one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// The event has no such field: every comparison is false, as in Falco.
    Absent,
    /// The event has it, but it is not known (yet, or unreadable): comparisons are undecided.
    Unknown,
    /// A boolean.
    Bool(bool),
    /// A number.
    Int(i64),
    /// Bytes in full.
    Bytes(Cow<'a, [u8]>),
    /// The beginning of bytes that go on: at least one more byte follows.
    Cut(Cow<'a, [u8]>),
    /// An address.
    Ip(IpAddr),
    /// Several values; a comparison holds if it holds for any.
    List(Vec<Value<'a>>),
}

impl<'a> Value<'a> {
    /// Borrowed bytes.
    #[must_use]
    pub fn bytes(bytes: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }

    /// Borrowed text.
    #[must_use]
    pub fn str(text: &'a str) -> Self {
        Self::bytes(text.as_bytes())
    }

    /// A recorded text with its three states.
    #[must_use]
    pub fn text(text: &'a Text) -> Self {
        match text {
            Text::Whole(bytes) => Self::bytes(bytes),
            Text::Cut { bytes, .. } => Self::Cut(Cow::Borrowed(bytes)),
            Text::Unreadable => Self::Unknown,
        }
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Into::into)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for Value<'_> {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u16> for Value<'_> {
    fn from(value: u16) -> Self {
        Self::Int(value.into())
    }
}

impl From<u64> for Value<'_> {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<IpAddr> for Value<'_> {
    fn from(value: IpAddr) -> Self {
        Self::Ip(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::str(value)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::bytes(value)
    }
}

impl<'a> From<&'a Text> for Value<'a> {
    fn from(value: &'a Text) -> Self {
        Self::text(value)
    }
}

impl From<String> for Value<'_> {
    fn from(value: String) -> Self {
        Self::Bytes(Cow::Owned(value.into_bytes()))
    }
}

/// Something that conditions can be asked about: an event in its session, a
/// flow that wants out, a name that was asked for.
pub trait Subject {
    /// The field's value here.
    fn value(&self, field: Field) -> Value<'_>;

    /// Visits every value of a field until `visit` breaks. Fields with many
    /// values (ancestors) are worth an own implementation without a list.
    fn each(&self, field: Field, visit: &mut dyn FnMut(&Value<'_>) -> ControlFlow<()>) {
        match self.value(field) {
            Value::List(values) => {
                for value in &values {
                    if visit(value).is_break() {
                        return;
                    }
                }
            }
            value => {
                let _ = visit(&value);
            }
        }
    }
}

/// Three-valued truth. The order makes `and` the smaller and `or` the larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    /// It does not hold.
    No,
    /// Not known: a value it hangs on is unknown.
    Maybe,
    /// It holds.
    Yes,
}

impl Truth {
    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.min(other)
    }

    /// At least one holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.max(other)
    }

    /// True if it certainly holds.
    #[must_use]
    pub fn is_yes(self) -> bool {
        self == Self::Yes
    }
}

impl std::ops::Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
            Self::Yes => Self::No,
        }
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::Yes } else { Self::No }
    }
}
