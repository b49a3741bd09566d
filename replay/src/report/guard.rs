//! What must be true of every report, looked at each time one is made.
//!
//! Owns: the rules that a report can be held against by itself, and what becomes of
//! one that breaks them. Must not: know the session; a mistake there must not be
//! repeated here.
//!
//! A report that contradicts itself is a bug of belljar. It is not SAFE then, says
//! so, and `verify` calls it a mismatch.

use serde_json::Value;

use super::{FindingReport, ReasonReport, Report};
use crate::escape;
use crate::rules::Severity;
use crate::verdict::Verdict;

/// What must hold, in words, and whether it does.
type Rule = (&'static str, fn(&Report) -> bool);

const RULES: &[Rule] = &[
    ("the verdict is that of its weightiest reason", verdict),
    ("reasons stand in order of weight", reasons_in_order),
    ("reasons name findings that there are", reasons_named),
    ("findings are numbered one by one", numbered),
    ("a finding's events are in order, and in the trace", events),
    ("allowed destinations are sorted", allowed_sorted),
    ("SAFE lacks nothing", safe_is_whole),
    ("no character that a terminal obeys, and no fraction", plain),
    ("it reads back to itself", reads_back),
];

impl Report {
    /// The rules that this report breaks: none, or belljar has a bug.
    #[must_use]
    pub fn contradictions(&self) -> Vec<&'static str> {
        let broken = RULES.iter().filter(|(_, holds)| !holds(self));
        broken.map(|(what, _)| *what).collect()
    }

    /// Never SAFE if it contradicts itself.
    pub(super) fn guarded(mut self) -> Self {
        for what in self.contradictions() {
            self.verdict = self.verdict.max(Verdict::Warning);
            self.reasons.push(ReasonReport {
                weighs: Verdict::Warning,
                text: format!("this report contradicts itself (a bug of belljar): not so: {what}"),
                findings: Vec::new(),
            });
        }
        self
    }
}

fn verdict(report: &Report) -> bool {
    let weights = report.reasons.iter().map(|reason| reason.weighs);
    report.verdict == weights.max().unwrap_or(Verdict::Safe)
}

fn reasons_in_order(report: &Report) -> bool {
    let weights = report.reasons.iter().map(|reason| reason.weighs);
    weights.is_sorted_by(|one, next| one >= next)
}

fn reasons_named(report: &Report) -> bool {
    let all = (report.findings.len() as u64).saturating_add(report.findings_beyond);
    let mut named = report.reasons.iter().flat_map(|reason| &reason.findings);
    named.all(|number| (1..=all).contains(number))
}

fn numbered(report: &Report) -> bool {
    let mut pairs = report.findings.iter().zip(1u64..);
    pairs.all(|(finding, number)| finding.number == number)
}

fn events(report: &Report) -> bool {
    let whole = &report.integrity;
    let end = whole.events.saturating_add(whole.unknown);
    report.findings.iter().all(|finding| {
        let shown = finding.events.iter().map(|event| event.seq);
        let mut all = finding.seqs.iter().copied().chain(shown);
        finding.seqs.is_sorted_by(|one, next| one < next) && all.all(|seq| seq < end)
    })
}

fn allowed_sorted(report: &Report) -> bool {
    let rows = report.allowed.iter().map(|row| &row.destination);
    rows.is_sorted()
}

fn safe_is_whole(report: &Report) -> bool {
    let weighs = |finding: &FindingReport| {
        finding.suppressed.is_none() && finding.severity >= Severity::Medium
    };
    let armed = |report: &Report| {
        let proved = report.enforcement.as_ref();
        proved.is_some_and(|proved| proved.armed && proved.checks.iter().all(|check| check.held))
    };
    report.verdict != Verdict::Safe
        || (report.integrity.complete
            && report.integrity.unknown == 0
            && report.lost.events == 0
            && report.lost.missing == 0
            && report.findings_beyond == 0
            && report.ran.end.is_some()
            && !report.findings.iter().any(weighs)
            && armed(report))
}

fn plain(report: &Report) -> bool {
    fn is_plain(value: &Value) -> bool {
        match value {
            Value::String(text) => text
                .chars()
                .all(|c| matches!(c, '\\' | '\n') || escape::is_plain(c)),
            Value::Number(number) => number.is_u64() || number.is_i64(),
            Value::Array(all) => all.iter().all(is_plain),
            Value::Object(all) => all.values().all(is_plain),
            Value::Null | Value::Bool(_) => true,
        }
    }
    serde_json::to_value(report).is_ok_and(|value| is_plain(&value))
}

fn reads_back(report: &Report) -> bool {
    serde_json::from_slice::<Report>(&report.to_json()).is_ok_and(|again| again == *report)
}

#[cfg(test)]
mod tests;
