//! What a trace came to: as much of a report as a later judgement is held against.
//!
//! Owns: [`Score`]. Must not: judge, or leave out what a comparison looks at.

use serde::{Deserialize, Serialize};

use crate::report::{FindingReport, Report};
use crate::rules::Severity;
use crate::verdict::Verdict;

/// A finding, as far as others are held against it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoredFinding {
    /// The rule's id.
    pub rule: String,
    /// How bad.
    pub severity: Severity,
    /// True if a person has decided that it does not weigh.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suppressed: bool,
    /// What it is about.
    pub subject: String,
    /// Process, parent, grandparent …
    pub lineage: Vec<String>,
    /// What happened.
    pub message: String,
    /// The first event.
    pub event: Option<u64>,
}

/// What a trace came to under some rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    /// The verdict.
    pub verdict: Verdict,
    /// Every finding, in the report's order.
    pub findings: Vec<ScoredFinding>,
    /// Reasons that rest on no finding: rules that could not be decided, limits.
    pub open: Vec<String>,
}

impl ScoredFinding {
    fn of(finding: &FindingReport) -> Self {
        Self {
            rule: finding.rule.clone(),
            severity: finding.severity,
            suppressed: finding.suppressed.is_some(),
            subject: finding.subject.clone(),
            lineage: finding.lineage.clone(),
            message: finding.message.clone(),
            event: finding.seqs.first().copied(),
        }
    }

    /// How it weighs: two are told apart by nothing else.
    pub(super) fn weighs(&self) -> &'static str {
        if self.suppressed {
            "suppressed"
        } else {
            self.severity.name()
        }
    }
}

impl Score {
    /// Of a report.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let reasons = report.reasons.iter().filter(|one| one.findings.is_empty());
        Self {
            verdict: report.verdict,
            findings: report.findings.iter().map(ScoredFinding::of).collect(),
            open: reasons.map(|reason| reason.text.clone()).collect(),
        }
    }
}
