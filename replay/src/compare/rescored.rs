//! What other rules change of a trace's report.
//!
//! Owns: the verdicts, and which findings and gaps appeared, went or weigh
//! differently. Must not: judge; both scores are made already.

use std::collections::BTreeMap;

use serde::Serialize;

use super::scored::{Score, ScoredFinding};
use crate::rules::Severity;
use crate::verdict::Verdict;

/// Notes of each sort that are kept; what is beyond is counted.
const MAX_NOTES: usize = 1000;

/// A finding that only one of the reports has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FindingNote {
    /// The rule's id.
    pub rule: String,
    /// How bad.
    pub severity: Severity,
    /// What happened.
    pub message: String,
    /// True if a person has decided that it does not weigh.
    pub suppressed: bool,
    /// The first event.
    pub event: Option<u64>,
}

/// A finding that both have, and that weighs differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeverityChange {
    /// The rule's id.
    pub rule: String,
    /// How it weighed: a severity, or `suppressed`.
    pub from: String,
    /// How it weighs.
    pub to: String,
    /// What happened.
    pub message: String,
    /// The first event.
    pub event: Option<u64>,
}

/// What other rules change of a trace's report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rescored {
    /// The verdict under the old rules.
    pub from: Verdict,
    /// The verdict under the new ones.
    pub to: Verdict,
    /// Findings that only the new rules make.
    pub appeared: Vec<FindingNote>,
    /// Findings that only the old rules made.
    pub disappeared: Vec<FindingNote>,
    /// Findings that weigh differently.
    pub changed: Vec<SeverityChange>,
    /// What is not known for certain under the new rules only.
    pub now_open: Vec<String>,
    /// What was not known for certain under the old rules only.
    pub no_longer_open: Vec<String>,
    /// What is beyond these lists.
    pub beyond: u64,
}

/// Which finding it is, in both reports of one trace.
type Key<'r> = (&'r str, &'r str, &'r [String]);

fn by_key(score: &Score) -> BTreeMap<Key<'_>, Vec<&ScoredFinding>> {
    let mut rows: BTreeMap<Key<'_>, Vec<&ScoredFinding>> = BTreeMap::new();
    for finding in &score.findings {
        let key = (
            finding.rule.as_str(),
            finding.subject.as_str(),
            finding.lineage.as_slice(),
        );
        rows.entry(key).or_default().push(finding);
    }
    rows
}

fn note(finding: &&ScoredFinding) -> FindingNote {
    FindingNote {
        rule: finding.rule.clone(),
        severity: finding.severity,
        message: finding.message.clone(),
        suppressed: finding.suppressed,
        event: finding.event,
    }
}

/// Those of `these` that find no partner among `those`: processes of one
/// lineage and subject are alike, and told apart by their number only.
fn only(these: &Score, those: &Score) -> Vec<FindingNote> {
    let others = by_key(those);
    let mut notes: Vec<FindingNote> = Vec::new();
    for (key, findings) in by_key(these) {
        let met = others.get(&key).map_or(0, Vec::len);
        notes.extend(findings.iter().skip(met).map(note));
    }
    notes.sort_by(|a, b| {
        (b.severity, a.event, &a.rule, &a.message).cmp(&(a.severity, b.event, &b.rule, &b.message))
    });
    notes
}

fn changed(old: &Score, new: &Score) -> Vec<SeverityChange> {
    let others = by_key(new);
    let mut changes = Vec::new();
    for (key, findings) in by_key(old) {
        let Some(now) = others.get(&key) else {
            continue;
        };
        for (old, new) in findings.iter().zip(now) {
            if old.weighs() != new.weighs() {
                changes.push(SeverityChange {
                    rule: old.rule.clone(),
                    from: old.weighs().to_owned(),
                    to: new.weighs().to_owned(),
                    message: new.message.clone(),
                    event: new.event,
                });
            }
        }
    }
    changes
}

fn open(score: &Score, other: &Score) -> Vec<String> {
    let texts = score.open.iter().filter(|text| !other.open.contains(text));
    texts.cloned().collect()
}

impl Rescored {
    /// Holds the new score of a trace against the old one of the same trace.
    #[must_use]
    pub fn of(old: &Score, new: &Score) -> Self {
        let mut rescored = Self {
            from: old.verdict,
            to: new.verdict,
            appeared: only(new, old),
            disappeared: only(old, new),
            changed: changed(old, new),
            now_open: open(new, old),
            no_longer_open: open(old, new),
            beyond: 0,
        };
        let mut beyond = 0usize;
        beyond = beyond.saturating_add(cut(&mut rescored.appeared));
        beyond = beyond.saturating_add(cut(&mut rescored.disappeared));
        beyond = beyond.saturating_add(cut(&mut rescored.changed));
        beyond = beyond.saturating_add(cut(&mut rescored.now_open));
        beyond = beyond.saturating_add(cut(&mut rescored.no_longer_open));
        rescored.beyond = beyond as u64;
        rescored
    }

    /// True if the verdict is another.
    #[must_use]
    pub fn verdict_changed(&self) -> bool {
        self.from != self.to
    }

    /// True if neither verdict nor findings nor gaps are others.
    #[must_use]
    pub fn is_same(&self) -> bool {
        !self.verdict_changed()
            && self.appeared.is_empty()
            && self.disappeared.is_empty()
            && self.changed.is_empty()
            && self.now_open.is_empty()
            && self.no_longer_open.is_empty()
    }
}

fn cut<T>(list: &mut Vec<T>) -> usize {
    let beyond = list.len().saturating_sub(MAX_NOTES);
    list.truncate(MAX_NOTES);
    beyond
}
