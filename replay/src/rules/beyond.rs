//! What a rule says beyond one event: sequences, counts, absences.
//!
//! Owns: [`Beyond`], its limits, and the words that rule files use for it.
//! Must not: hold state; see `session::windows`.

use crate::cond::{Condition, Field};

/// Most steps of a sequence.
pub(crate) const MAX_STEPS: usize = 16;
/// Most events that a rule counts up to.
pub(crate) const MAX_COUNT: u32 = 256;
/// Longest window, in nanoseconds: a day.
pub(crate) const MAX_WITHIN: u64 = 24 * 3600 * NANOS;
/// Most fields that events are tied by.
pub(crate) const MAX_FIELDS: usize = 8;
const NANOS: u64 = 1_000_000_000;

/// A pattern of several events.
#[derive(Clone, Debug)]
pub struct Beyond {
    /// Which pattern.
    pub form: Form,
    /// What its events have in common.
    pub by: By,
    /// In how much guest time it must happen, in nanoseconds.
    pub within: u64,
    /// The conditions of its events. Of an absence: what begins it, and what
    /// should have followed.
    pub steps: Vec<Condition>,
}

/// Which pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// Every step happens.
    Sequence {
        /// In the order of the steps, by different events.
        ordered: bool,
    },
    /// One step happens so often.
    Count {
        /// How often.
        at_least: u32,
        /// With so many different values of these, instead of so many times.
        distinct: Vec<Field>,
    },
    /// The first step happens, and the second does not follow.
    Absence,
}

/// What the events of a pattern have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// Nothing but the run.
    Run,
    /// The process.
    Process,
    /// The branch of the process tree: a child of the payload's first process
    /// with all that came of it.
    Tree,
    /// The path (`fs.path.name`).
    Path,
    /// The destination: its name, else its address.
    Destination,
    /// The values of these.
    Fields(Vec<Field>),
}

impl By {
    /// As written in rule files.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "run" => Self::Run,
            "process" => Self::Process,
            "tree" => Self::Tree,
            "path" => Self::Path,
            "destination" => Self::Destination,
            _ => return None,
        })
    }
}

impl std::fmt::Display for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Run => f.write_str("run"),
            Self::Process => f.write_str("process"),
            Self::Tree => f.write_str("tree"),
            Self::Path => f.write_str("path"),
            Self::Destination => f.write_str("destination"),
            Self::Fields(fields) => {
                let names: Vec<_> = fields.iter().map(ToString::to_string).collect();
                f.write_str(&names.join(", "))
            }
        }
    }
}

/// `500ms`, `30s`, `10m`, `2h`, `1d` in nanoseconds.
pub(crate) fn window(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(end)?;
    let unit = match unit {
        "ms" => NANOS / 1000,
        "s" => NANOS,
        "m" => 60 * NANOS,
        "h" => 3600 * NANOS,
        "d" => 24 * 3600 * NANOS,
        _ => return None,
    };
    let nanos = number.parse::<u64>().ok()?.checked_mul(unit)?;
    (1..=MAX_WITHIN).contains(&nanos).then_some(nanos)
}

impl std::fmt::Display for Beyond {
    /// One line for a person: `3 in this order, within 30 s, by process`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.within / NANOS;
        let millis = self.within / (NANOS / 1000) % 1000;
        let steps = self.steps.len();
        match &self.form {
            Form::Sequence { ordered: true } => write!(f, "{steps} events in this order")?,
            Form::Sequence { ordered: false } => write!(f, "{steps} events in any order")?,
            Form::Count { at_least, distinct } if distinct.is_empty() => {
                write!(f, "at least {at_least} events")?;
            }
            Form::Count { at_least, distinct } => {
                let names: Vec<_> = distinct.iter().map(ToString::to_string).collect();
                write!(f, "at least {at_least} different {}", names.join(", "))?;
            }
            Form::Absence => write!(f, "the first event without the second")?,
        }
        write!(f, " within {seconds}")?;
        if millis > 0 {
            write!(f, ".{millis:03}")?;
        }
        write!(f, " s, tied by {}", self.by)
    }
}
