//! What the rules said, folded.
//!
//! Owns: one finding per rule, process and subject, with its events.
//! Must not: weigh findings against each other; the verdict does.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::Map;
use super::process::Lineage;
use super::rows::{Evidence, Finding};
use crate::rules::{Rule, Severity};
use crate::suppress::Suppressions;

/// More findings are counted, not kept.
const MAX_FINDINGS: usize = 10_000;
/// Event numbers kept per finding.
const MAX_SEQS: usize = 256;
/// Events kept in words per finding.
const MAX_EVIDENCE: usize = 8;

/// Which finding it is. Asked for with borrowed words, so that an event more of
/// a known one allocates nothing.
trait Named {
    fn name(&self) -> Name<'_>;
}

/// Rule, process, subject.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Name<'a>(&'a str, Option<u64>, &'a str);

#[derive(Clone)]
struct Key {
    rule: Arc<Rule>,
    process: Option<u64>,
    subject: Arc<str>,
}

impl Named for Key {
    fn name(&self) -> Name<'_> {
        Name(&self.rule.id, self.process, &self.subject)
    }
}

impl Named for Name<'_> {
    fn name(&self) -> Name<'_> {
        *self
    }
}

impl<'a> Borrow<dyn Named + 'a> for Key {
    fn borrow(&self) -> &(dyn Named + 'a) {
        self
    }
}

impl Hash for dyn Named + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl PartialEq for dyn Named + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for dyn Named + '_ {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Key {}

/// The findings. Cloning shares everything.
#[derive(Clone, Default)]
pub(crate) struct Findings {
    pub(crate) list: imbl::Vector<Finding>,
    by_key: Map<Key, usize>,
    /// Beyond the list; their severity still counts.
    pub(crate) overflow: u64,
    pub(crate) worst: Option<Severity>,
    /// Rules that may have held, by id; at most as many as there are rules.
    pub(crate) open: imbl::OrdMap<Arc<str>, OpenRule>,
    suppressions: Arc<Suppressions>,
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
    /// None so far, and these decisions about what comes.
    pub(crate) fn under(suppressions: &Arc<Suppressions>) -> Self {
        Self {
            suppressions: Arc::clone(suppressions),
            ..Self::default()
        }
    }

    /// Counts an event for which a rule was neither true nor false.
    pub(crate) fn left_open(&mut self, rule: &Arc<Rule>, seq: u64) {
        if self.suppressions.silences(&rule.id) {
            return;
        }
        let id = rule.id.as_str().into();
        let new = || OpenRule {
            rule: Arc::clone(rule),
            count: 0,
            first_seq: seq,
        };
        let open = self.open.entry(id).or_insert_with(new);
        open.count = open.count.saturating_add(1);
    }

    /// Adds event `seq`, and those `before` it that belong to it. `evidence` is asked
    /// for only while there is room, `story` only if the finding is new.
    pub(crate) fn found(
        &mut self,
        (rule, process, subject): (&Arc<Rule>, Option<u64>, &str),
        seq: u64,
        before: &[u64],
        evidence: &dyn Fn() -> Evidence,
        story: &mut dyn FnMut() -> Story,
    ) {
        let suppressed = self.suppressions.of(&rule.id, subject).cloned();
        if suppressed.is_none() {
            self.worst = self.worst.max(Some(rule.severity));
        }
        let name = Name(&rule.id, process, subject);
        let known = self.by_key.get(&name as &dyn Named);
        if let Some(finding) = known.and_then(|at| self.list.get_mut(*at)) {
            finding.count = finding.count.saturating_add(1);
            if finding.seqs.len() < MAX_SEQS {
                let room = MAX_SEQS.saturating_sub(finding.seqs.len() + 1);
                finding.seqs.extend(before.iter().take(room));
                finding.seqs.push(seq);
                if finding.evidence.len() < MAX_EVIDENCE {
                    finding.evidence.push(evidence());
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
        let subject: Arc<str> = subject.into();
        self.list.push_back(Finding {
            number: at as u64 + 1,
            rule: Arc::clone(rule),
            at: event.at,
            seqs: before.iter().copied().chain([seq]).collect(),
            evidence: vec![event],
            process,
            subject: Arc::clone(&subject),
            message: message.into(),
            lineage,
            count: 1,
            suppressed,
        });
        let key = Key {
            rule: Arc::clone(rule),
            process,
            subject,
        };
        self.by_key.insert(key, at);
    }
}
