//! What the rules said, folded.
//!
//! Owns: one finding per rule, process and subject, with its events.
//! Must not: weigh findings against each other; the verdict does.

use std::sync::Arc;

use super::process::Lineage;
use super::rows::{Evidence, Finding};
use crate::rules::{Rule, Severity};

/// More findings are counted, not kept.
const MAX_FINDINGS: usize = 10_000;
/// Event numbers kept per finding.
const MAX_SEQS: usize = 256;
/// Events kept in words per finding.
const MAX_EVIDENCE: usize = 8;

type Key = (Arc<str>, Option<u64>, Arc<str>);

/// The findings. Cloning shares everything.
#[derive(Clone, Default)]
pub(crate) struct Findings {
    pub(crate) list: imbl::Vector<Finding>,
    by_key: imbl::OrdMap<Key, usize>,
    /// Beyond the list; their severity still counts.
    pub(crate) overflow: u64,
    pub(crate) worst: Option<Severity>,
    /// Rules that may have held, by id; at most as many as there are rules.
    pub(crate) open: imbl::OrdMap<Arc<str>, OpenRule>,
}

/// A rule that could not be decided for some events.
#[derive(Clone)]
pub(crate) struct OpenRule {
    pub(crate) rule: Arc<Rule>,
    pub(crate) count: u64,
    pub(crate) first_seq: u64,
}

/// What a new finding needs besides its events.
#[derive(Clone)]
pub(crate) struct Story {
    pub(crate) message: String,
    pub(crate) lineage: Lineage,
}

impl Findings {
    /// Counts an event for which a rule was neither true nor false.
    pub(crate) fn left_open(&mut self, rule: &Arc<Rule>, seq: u64) {
        let id = rule.id.as_str().into();
        let new = || OpenRule {
            rule: Arc::clone(rule),
            count: 0,
            first_seq: seq,
        };
        let open = self.open.entry(id).or_insert_with(new);
        open.count = open.count.saturating_add(1);
    }

    /// Adds an event, and those `before` it that belong to it. `story` is asked
    /// for only if the finding is new.
    pub(crate) fn found(
        &mut self,
        rule: &Arc<Rule>,
        process: Option<u64>,
        subject: Arc<str>,
        before: &[u64],
        evidence: &mut dyn FnMut() -> Evidence,
        story: &mut dyn FnMut() -> Story,
    ) {
        self.worst = self.worst.max(Some(rule.severity));
        let key: Key = (rule.id.as_str().into(), process, subject);
        if let Some(finding) = self.by_key.get(&key).and_then(|at| self.list.get_mut(*at)) {
            finding.count = finding.count.saturating_add(1);
            if finding.seqs.len() < MAX_SEQS {
                let event = evidence();
                let room = MAX_SEQS.saturating_sub(finding.seqs.len() + 1);
                finding.seqs.extend(before.iter().take(room));
                finding.seqs.push(event.seq);
                if finding.evidence.len() < MAX_EVIDENCE {
                    finding.evidence.push(event);
                }
            }
            return;
        }
        let at = self.list.len();
        if at >= MAX_FINDINGS {
            self.overflow = self.overflow.saturating_add(1);
            return;
        }
        let event = evidence();
        let Story { message, lineage } = story();
        self.list.push_back(Finding {
            number: at as u64 + 1,
            rule: Arc::clone(rule),
            at: event.at,
            seqs: before.iter().copied().chain([event.seq]).collect(),
            evidence: vec![event],
            process,
            subject: Arc::clone(&key.2),
            message: message.into(),
            lineage,
            count: 1,
        });
        self.by_key.insert(key, at);
    }
}
