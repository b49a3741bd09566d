//! What two runs differ in.
//!
//! Owns: comparing rows, and the receipt of that. Must not: fold or judge.

use std::collections::BTreeMap;

use serde::Serialize;

use super::gather::{Did, Kind, Row, Section};
use crate::report::Report;

/// The shape of [`Difference`] in JSON. Raised with every change of it.
const FORMAT: u32 = 0;

/// Which run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct About {
    /// The trace, as it was named.
    pub name: String,
    /// What the user of the run named.
    pub label: String,
    /// The command.
    pub command: String,
    /// The verdict.
    pub verdict: String,
    /// True if nothing of the trace is missing.
    pub complete: bool,
    /// What is wrong with it, if anything is.
    pub why: Option<String>,
    /// Events.
    pub events: u64,
    /// blake3 of its events.
    pub trace: Option<String>,
    /// The rules that judged it now.
    pub rules: String,
    /// blake3 of its report.
    pub report: Option<String>,
}

impl About {
    pub(super) fn of(name: &str, report: &Report) -> Self {
        Self {
            name: name.to_owned(),
            label: report.ran.label.clone(),
            command: report.ran.command.clone(),
            verdict: report.verdict.word().to_owned(),
            complete: report.integrity.complete,
            why: report.integrity.why.clone(),
            events: report.integrity.events,
            trace: report.receipt.trace.clone(),
            rules: report.receipt.rules.clone(),
            report: report.receipt.report.clone(),
        }
    }
}

/// Something that only one of the runs did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What.
    pub what: String,
    /// How it stands there.
    pub state: String,
    /// How often.
    pub count: u64,
    /// An event about it in that run's trace.
    pub event: Option<u64>,
}

/// Something that both did, each in its own way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What.
    pub what: String,
    /// How it stands in the first run.
    pub from: String,
    /// How it stands in the second.
    pub to: String,
    /// An event about it in the second run's trace.
    pub event: Option<u64>,
}

/// One kind of things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SectionDifference {
    /// What they are.
    pub kind: Kind,
    /// Rows that are the same in both.
    pub same: u64,
    /// Only in the second run.
    pub new: Vec<Line>,
    /// Only in the first.
    pub gone: Vec<Line>,
    /// In both, but not the same.
    pub changed: Vec<Change>,
    /// What had no room in the tables of the first run, and of the second: it
    /// is not compared.
    pub beyond: [u64; 2],
}

impl SectionDifference {
    /// True if nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.new.is_empty() && self.gone.is_empty() && self.changed.is_empty()
    }
}

/// What two runs differ in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The shape of this.
    pub format: u32,
    /// True if they do not differ.
    pub same: bool,
    /// The first run.
    pub a: About,
    /// The second.
    pub b: About,
    /// Each kind, in the order in which they are shown.
    pub sections: Vec<SectionDifference>,
    /// blake3 of this without this field.
    pub digest: Option<String>,
}

impl Difference {
    /// Holds the second run against the first.
    #[must_use]
    pub fn of(a: &Did, b: &Did) -> Self {
        let none = Section::default();
        let side = |did: &BTreeMap<Kind, Section>, kind| did.get(&kind).cloned();
        let sections: Vec<_> = Kind::ALL
            .into_iter()
            .map(|kind| {
                let (a, b) = (side(&a.sections, kind), side(&b.sections, kind));
                section(
                    kind,
                    a.as_ref().unwrap_or(&none),
                    b.as_ref().unwrap_or(&none),
                )
            })
            .collect();
        let mut difference = Self {
            format: FORMAT,
            same: sections.iter().all(SectionDifference::is_empty),
            a: a.about.clone(),
            b: b.about.clone(),
            sections,
            digest: None,
        };
        let digest = blake3::hash(difference.to_json().as_bytes());
        difference.digest = Some(digest.to_hex().to_string());
        difference
    }

    /// True if they do not differ.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.same
    }

    /// For scripts: one object, indented, a newline at its end.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Structs of strings and numbers cannot fail to serialise.
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        crate::report::jsonl::guarded(&text) + "\n"
    }
}

fn line(what: &str, row: &Row) -> Line {
    Line {
        what: what.to_owned(),
        state: row.state(),
        count: row.count,
        event: row.first,
    }
}

/// What is in `these` and not in `those`.
fn only(these: &Section, those: &Section) -> Vec<Line> {
    let rows = these.rows.iter();
    rows.filter(|(what, _)| !those.rows.contains_key(*what))
        .map(|(what, row)| line(what, row))
        .collect()
}

fn section(kind: Kind, a: &Section, b: &Section) -> SectionDifference {
    let both = a
        .rows
        .iter()
        .filter_map(|(what, old)| Some((what, old, b.rows.get(what)?)));
    let mut same = 0u64;
    let mut changed = Vec::new();
    for (what, old, new) in both {
        if old.stands_like(new) {
            same = same.saturating_add(1);
        } else {
            changed.push(Change {
                what: what.clone(),
                from: old.state(),
                to: new.state(),
                event: new.first,
            });
        }
    }
    SectionDifference {
        kind,
        same,
        new: only(b, a),
        gone: only(a, b),
        changed,
        beyond: [a.beyond, b.beyond],
    }
}
