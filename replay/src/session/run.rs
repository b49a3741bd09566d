//! The run itself: machine, enforcement, phases, loss, end.
//!
//! Owns: everything that is said once or seldom. Must not: judge.

use std::collections::BTreeMap;
use std::sync::Arc;

use belljar_event::{
    Armed, Copied, End, Ended, Event, Fact, InstallScript, Installed, LeftOut, LimitReached, Lost,
    Machine, Phase, Policy, Status, Step, Text,
};
use belljar_recorder::Start;

/// More phases are counted, not kept.
const MAX_PHASES: usize = 64;
/// Places of loss named; the rest is added to one of others.
const MAX_PLACES: usize = 32;
/// Limits that were reached, kept.
const MAX_LIMITS: usize = 32;
/// Paths that stayed out, and self-tests, kept.
const MAX_LISTED: usize = 1000;
/// Scripts of installed packages, kept.
const MAX_SCRIPTS: usize = 600;
const NANOS: u64 = 1_000_000_000;

/// One phase.
#[derive(Clone, Debug)]
pub(crate) struct PhaseState {
    pub(crate) name: String,
    pub(crate) argv: Arc<[Text]>,
    pub(crate) began: u64,
    pub(crate) ended: Option<(u64, Status)>,
    /// Its first process.
    pub(crate) process: Option<u64>,
}

/// What is known of the run.
#[derive(Clone, Default)]
pub(crate) struct Run {
    pub(crate) start: Option<Arc<Start>>,
    pub(crate) policy: Option<Arc<Policy>>,
    /// Policies whose digest is not that of their text.
    pub(crate) forged_policies: u64,
    pub(crate) machine: Option<Arc<Machine>>,
    pub(crate) armed: Option<Arc<Armed>>,
    pub(crate) copied: Option<Arc<Copied>>,
    pub(crate) installed: Option<Arc<Installed>>,
    pub(crate) phases: Arc<Vec<PhaseState>>,
    pub(crate) phases_total: u64,
    /// Limits that were reached, each kind once.
    pub(crate) limits: Arc<Vec<LimitReached>>,
    pub(crate) lost: u64,
    pub(crate) lost_by: Arc<BTreeMap<String, u64>>,
    pub(crate) end: Option<Arc<End>>,
    /// Events behind the end.
    pub(crate) behind: u64,
    /// Numbers that no event had.
    pub(crate) missing: u64,
    pub(crate) events: u64,
    pub(crate) first_at: u64,
    pub(crate) now: u64,
    next_seq: u64,
    second: u64,
    in_second: u64,
    pub(crate) rate: u64,
}

impl Run {
    /// Counts an event before it is folded.
    pub(crate) fn tick(&mut self, seq: u64, at: u64) {
        if self.events == 0 {
            self.first_at = at;
        }
        self.missing = self
            .missing
            .saturating_add(seq.saturating_sub(self.next_seq));
        self.next_seq = seq.saturating_add(1);
        self.behind = self.behind.saturating_add(u64::from(self.end.is_some()));
        self.events = self.events.saturating_add(1);
        // Events of several processors may come a little out of order.
        self.first_at = self.first_at.min(at);
        self.now = self.now.max(at);
        let second = self.now / NANOS;
        if second == self.second {
            self.in_second = self.in_second.saturating_add(1);
        } else {
            let next = self.second.checked_add(1) == Some(second);
            self.rate = if next { self.in_second } else { 0 };
            self.second = second;
            self.in_second = 1;
        }
    }

    /// Folds an event of the run's kinds.
    pub(crate) fn told(&mut self, event: &Event) {
        match &event.fact {
            Fact::Policy(policy) => {
                let forged = *blake3::hash(policy.source.as_bytes()).as_bytes() != policy.digest;
                self.forged_policies = self.forged_policies.saturating_add(u64::from(forged));
                self.policy = Some(policy.clone().into());
            }
            Fact::Machine(machine) => self.machine = Some(machine.clone().into()),
            Fact::Armed(armed) => {
                let checks = armed.checks.iter().take(MAX_LISTED).cloned().collect();
                self.armed = Some(
                    Armed {
                        kernel: armed.kernel.clone(),
                        checks,
                    }
                    .into(),
                );
            }
            Fact::Copied(copied) => self.copied = Some(shortened(copied).into()),
            Fact::Installed(installed) => self.installed = Some(fewer(installed).into()),
            Fact::Phase(phase) => self.phase(phase, event.at),
            Fact::LimitReached(reached) => self.reach(reached),
            Fact::Lost(lost) => self.lose(lost),
            Fact::Ended(Ended { how }) => self.end = Some(how.clone().into()),
            _ => {}
        }
    }

    fn reach(&mut self, reached: &LimitReached) {
        let limits = Arc::make_mut(&mut self.limits);
        if limits.len() < MAX_LIMITS && !limits.contains(reached) {
            limits.push(LimitReached {
                what: reached.what.chars().take(64).collect(),
                limit: reached.limit,
                unit: reached.unit.chars().take(64).collect(),
            });
        }
    }

    fn lose(&mut self, lost: &Lost) {
        // A loss of unknown size is a loss.
        let count = lost.count.max(1);
        self.lost = self.lost.saturating_add(count);
        let places = Arc::make_mut(&mut self.lost_by);
        let known = places.len() < MAX_PLACES || places.contains_key(&lost.place);
        let place = if known {
            lost.place.as_str()
        } else {
            "(others)"
        };
        let total = places.entry(place.chars().take(64).collect()).or_default();
        *total = total.saturating_add(count);
    }

    fn phase(&mut self, phase: &Phase, at: u64) {
        let phases = Arc::make_mut(&mut self.phases);
        match &phase.step {
            Step::Begin { argv, .. } => {
                self.phases_total = self.phases_total.saturating_add(1);
                if phases.len() < MAX_PHASES {
                    phases.push(PhaseState {
                        name: phase.name.clone(),
                        argv: argv.clone().into(),
                        began: at,
                        ended: None,
                        process: None,
                    });
                }
            }
            Step::End(status) => {
                let open = phases
                    .iter_mut()
                    .rev()
                    .find(|p| p.name == phase.name && p.ended.is_none());
                if let Some(open) = open {
                    open.ended = Some((at, *status));
                }
            }
        }
    }

    /// The phase that has just begun is this process.
    pub(crate) fn begun_as(&mut self, process: Option<u64>) {
        if self.phases_total == self.phases.len() as u64
            && let Some(phase) = Arc::make_mut(&mut self.phases).last_mut()
        {
            phase.process = process;
        }
    }

    /// The phase that runs now.
    pub(crate) fn current(&self) -> Option<&str> {
        let open = self.phases.iter().rev().find(|phase| phase.ended.is_none());
        open.filter(|_| self.end.is_none())
            .map(|phase| phase.name.as_str())
    }

    /// Whether the agent proved that it enforces; `None` if it has not spoken.
    pub(crate) fn held(&self) -> Option<bool> {
        let armed = self.armed.as_ref()?;
        Some(!armed.checks.is_empty() && armed.checks.iter().all(|check| check.held))
    }
}

fn shortened(copied: &Copied) -> Copied {
    let left_out: Vec<LeftOut> = copied.left_out.iter().take(MAX_LISTED).cloned().collect();
    Copied {
        left_out,
        ..*copied
    }
}

fn fewer(installed: &Installed) -> Installed {
    let scripts: Vec<InstallScript> = installed
        .scripts
        .iter()
        .take(MAX_SCRIPTS)
        .cloned()
        .collect();
    let beyond = installed.scripts.len().saturating_sub(scripts.len()) as u64;
    Installed {
        client: installed.client.chars().take(64).collect(),
        scripts,
        more: installed.more.saturating_add(beyond),
        ..*installed
    }
}
