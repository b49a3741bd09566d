//! The verdict: SAFE, WARNING or MALICIOUS, with reasons down to findings.
//!
//! Owns: how findings and gaps weigh. Must not: look at events; the rules did.
//!
//! - A critical finding is MALICIOUS.
//! - Two different rules of severity high in one branch of the process tree
//!   are MALICIOUS: each alone has an innocent explanation, both together in
//!   one program's doing hardly. A branch is a child of the payload's first
//!   process with all that came of it; what the first process does itself
//!   counts for every branch, since it started them.
//! - Any other high or a medium finding is WARNING.
//! - Low and info findings do not change the verdict.
//! - What is not whole is never SAFE: loss, missing or unknown events, no end,
//!   an end by time-out, interruption or failure, a limit reached, a cut trace, enforcement not
//!   proved, tables that overflowed where rules look, and a rule of medium or
//!   higher severity that could be neither affirmed nor denied for some event.
//!
//! The payload's own exit status is reported and means nothing here. Nor does
//! software emulation: it weakens the wall, not the evidence; it is stated.

use std::collections::BTreeMap;

use belljar_event::End;
use belljar_recorder::Integrity;

use crate::escape;
use crate::moment;
use crate::rules::Severity;
use crate::session::{Finding, Session};

/// How a run is judged.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// Nothing speaks against it, and nothing is missing.
    #[default]
    Safe,
    /// Suspicious, or not known well enough.
    Warning,
    /// Hostile.
    Malicious,
}

impl Verdict {
    /// `SAFE`, `WARNING`, `MALICIOUS`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Safe => "SAFE",
            Self::Warning => "WARNING",
            Self::Malicious => "MALICIOUS",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

/// Why the verdict is not SAFE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// This finding.
    Finding {
        /// Its number.
        number: u64,
        /// What it makes of the verdict by itself.
        weighs: Verdict,
    },
    /// These findings of different rules, in one branch of the process tree.
    Together {
        /// Their numbers, ascending.
        numbers: Vec<u64>,
    },
    /// Findings beyond those that are kept.
    More {
        /// How many.
        count: u64,
        /// What they make of the verdict.
        weighs: Verdict,
    },
    /// Something is missing.
    Incomplete {
        /// What, as a phrase.
        what: String,
    },
}

impl Reason {
    /// What it makes of the verdict.
    #[must_use]
    pub fn weighs(&self) -> Verdict {
        match self {
            Self::Finding { weighs, .. } | Self::More { weighs, .. } => *weighs,
            Self::Together { .. } => Verdict::Malicious,
            Self::Incomplete { .. } => Verdict::Warning,
        }
    }
}

/// A verdict with its reasons, the weightiest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Every reason that it is not SAFE.
    pub reasons: Vec<Reason>,
}

/// Judges a session. Without `integrity` the run goes on: its missing end is no fault yet.
#[must_use]
pub fn judge(session: &Session, integrity: Option<&Integrity>) -> Judgement {
    let mut reasons = Vec::new();
    for finding in session.findings() {
        let weighs = weight(finding.rule.severity);
        if weighs > Verdict::Safe {
            reasons.push(Reason::Finding {
                number: finding.number,
                weighs,
            });
        }
    }
    if let Some(numbers) = together(session) {
        reasons.push(Reason::Together { numbers });
    }
    let (count, worst) = (session.findings.overflow, session.findings.worst);
    if let Some(weighs) = worst
        .map(weight)
        .filter(|weighs| count > 0 && *weighs > Verdict::Safe)
    {
        reasons.push(Reason::More { count, weighs });
    }
    let gaps = gaps(session, integrity);
    reasons.extend(gaps.into_iter().map(|what| Reason::Incomplete { what }));
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.weighs()));
    let verdict = reasons.first().map_or(Verdict::Safe, Reason::weighs);
    Judgement { verdict, reasons }
}

fn weight(severity: Severity) -> Verdict {
    match severity {
        Severity::Critical => Verdict::Malicious,
        Severity::High | Severity::Medium => Verdict::Warning,
        Severity::Low | Severity::Info => Verdict::Safe,
    }
}

/// High findings of different rules in one branch, if there are any.
fn together(session: &Session) -> Option<Vec<u64>> {
    let high: Vec<&Finding> = session
        .findings()
        .iter()
        .filter(|f| f.rule.severity == Severity::High)
        .collect();
    let first = high.first()?;
    if high.iter().all(|finding| finding.rule.id == first.rule.id) {
        return None;
    }
    // `None`: done by a first process itself, or by nobody known.
    let mut branches: BTreeMap<Option<u64>, Vec<&Finding>> = BTreeMap::new();
    for finding in high {
        branches
            .entry(finding.process.and_then(|key| branch(session, key)))
            .or_default()
            .push(finding);
    }
    let trunk = branches.remove(&None).unwrap_or_default();
    let mut numbers = Vec::new();
    let mut weigh = |findings: &[&Finding]| {
        let first = findings.first().map(|finding| finding.rule.id.as_str());
        if findings
            .iter()
            .any(|finding| Some(finding.rule.id.as_str()) != first)
        {
            numbers.extend(findings.iter().map(|finding| finding.number));
        }
    };
    weigh(&trunk);
    for mut findings in branches.into_values() {
        findings.extend(&trunk);
        weigh(&findings);
    }
    numbers.sort_unstable();
    numbers.dedup();
    Some(numbers).filter(|numbers| !numbers.is_empty())
}

/// The child of the payload's first process that this one comes from.
fn branch(session: &Session, key: u64) -> Option<u64> {
    let mut below = None;
    for (key, process) in session.processes.line(key) {
        if process.payload || process.parent.is_none() {
            return below;
        }
        below = Some(key);
    }
    below
}

/// Everything that keeps a run from being SAFE without a finding.
fn gaps(session: &Session, integrity: Option<&Integrity>) -> Vec<String> {
    let run = &session.run;
    let mut gaps = Vec::new();
    let mut gap = |is: bool, what: &dyn Fn() -> String| {
        if is {
            gaps.push(what());
        }
    };
    gap(run.lost > 0, &|| format!("{} events were lost", run.lost));
    gap(run.missing > 0, &|| {
        format!(
            "{} events are missing or of a kind that this version does not know",
            run.missing
        )
    });
    gap(run.behind > 0, &|| {
        format!("{} events follow the end of the run", run.behind)
    });
    gap(run.forged_policies > 0, &|| {
        "the policy's digest is not that of its text".to_owned()
    });
    for reached in run.limits.iter() {
        gap(true, &|| {
            let (what, unit) = (escape::string(&reached.what), escape::string(&reached.unit));
            format!("the limit of {what} was reached: {} {unit}", reached.limit)
        });
    }
    let overflow = session.processes.overflow;
    gap(overflow > 0, &|| {
        format!("{overflow} processes were too many to follow")
    });
    gap(session.files.decoys_lost, &|| {
        "decoys were renamed too often to be followed".to_owned()
    });
    for open in session
        .findings
        .open
        .values()
        .filter(|open| open.rule.severity >= Severity::Medium)
    {
        gap(true, &|| {
            let (id, count, seq) = (&open.rule.id, open.count, open.first_seq);
            format!("{id} could not be decided for {count} events, the first is #{seq}")
        });
    }
    for (id, count) in session.windows.full() {
        gap(true, &|| {
            format!("limit reached: {id} had {count} more partial matches than are kept")
        });
    }
    let started = run.phases_total > 0 || session.processes.len() > 0;
    match run.held() {
        Some(false) => gap(true, &|| "a self-test of the enforcement failed".to_owned()),
        None => gap(started || integrity.is_some(), &|| {
            "the enforcement was never proved".to_owned()
        }),
        Some(true) => {}
    }
    if let Some(why) = run.end.as_deref().and_then(bad_end) {
        gap(true, &|| why.clone());
    }
    match integrity {
        None => {}
        Some(Integrity::Cut { entries, why, .. }) => {
            gap(true, &|| {
                format!(
                    "the trace is cut after {entries} events: {}",
                    escape::string(why)
                )
            });
        }
        Some(Integrity::Complete { receipt }) => {
            gap(run.end.is_none(), &|| "the run has no end".to_owned());
            gap(
                receipt.events > run.events.saturating_add(run.missing),
                &|| {
                    let unseen = receipt
                        .events
                        .saturating_sub(run.events.saturating_add(run.missing));
                    format!(
                        "{unseen} events at the end of the trace are of a kind that this version does not know"
                    )
                },
            );
        }
    }
    gaps
}

fn bad_end(end: &End) -> Option<String> {
    match end {
        End::Finished(_) => None,
        other => Some(moment::end(other)),
    }
}
