//! The session: everything that is known of a run, as a pure fold over entries.
//!
//! Owns: [`Session`] and its tables. Must not: know a clock, a file, a
//! terminal or where the entries come from: live and replay push the same
//! entries and get the same session. Entries may be forged or out of order, so
//! every table is bounded and says what it left out.
//!
//! A clone shares all tables and costs about as much as a few dozen counters:
//! clones are the checkpoints of seeking.

pub mod credential;
mod destination;
mod files;
mod findings;
mod holds;
mod known;
mod network;
mod order;
mod output;
pub(crate) mod path;
mod process;
mod rows;
mod run;
mod sweep;
mod view;
mod weigh;
mod windows;

#[cfg(test)]
mod bounds;

use std::sync::Arc;

use belljar_event::{Event, Fact, Outcome, Step};
use belljar_recorder::{Entry, Start};
use foldhash::quality::RandomState;

pub(crate) use destination::{Destination, Flow};
pub(crate) use files::{FileState, Touch, Wants, slot};
pub use holds::{AnswerRow, QuestionRow};
pub(crate) use network::{GUEST, is_local, is_refusal};
pub(crate) use path::{Paths, Place};
pub(crate) use process::{Process, Program};
pub use rows::{
    Counts, DestinationRow, DestinationState, Evidence, FileRow, Finding, Living, NameRow,
    Overview, PhaseRow, ProcessRow,
};
pub(crate) use run::{PhaseState, Run};

use crate::baseline::{Drift, Seen as Kept};
use crate::canary::Canaries;
use crate::cond::{Field, Subject, Value};
use crate::moment::Moment;
use crate::rules::RuleSet;
use files::{By, Files};
use findings::Findings;
use holds::Holds;
use known::Known;
use network::{Network, Seen};
use output::Output;
use process::{Lineage, Processes};
use sweep::Sweeps;
use windows::Windows;

/// A table that clones share. Its hasher is quick, and seeded anew in each
/// process, so that nobody can choose paths that collide.
type Map<K, V> = imbl::GenericHashMap<K, V, RandomState, imbl::shared_ptr::DefaultSharedPtr>;

/// Everything known of a run up to some entry.
#[derive(Clone)]
pub struct Session {
    rules: Arc<RuleSet>,
    pub(crate) run: Run,
    pub(crate) processes: Processes,
    pub(crate) files: Files,
    pub(crate) sweeps: Sweeps,
    pub(crate) network: Network,
    pub(crate) holds: Holds,
    pub(crate) findings: Findings,
    pub(crate) windows: Windows,
    pub(crate) output: Output,
    pub(crate) canaries: Canaries,
    pub(crate) drift: Drift,
    known: Known,
}

impl Session {
    /// A session that has seen nothing.
    #[must_use]
    pub fn new(rules: Arc<RuleSet>) -> Self {
        let findings = Findings::under(rules.suppressions());
        Self {
            rules,
            run: Run::default(),
            processes: Processes::default(),
            files: Files::default(),
            sweeps: Sweeps::default(),
            network: Network::default(),
            holds: Holds::default(),
            findings,
            windows: Windows::default(),
            output: Output::default(),
            canaries: Canaries::default(),
            drift: Drift::default(),
            known: Known::default(),
        }
    }

    /// Tells it what the trace's start record says.
    #[must_use]
    pub fn with_start(mut self, start: &Start) -> Self {
        self.run.start = Some(start.clone().into());
        self
    }

    /// The rules that judge.
    #[must_use]
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// The trace's start record, if it was given.
    #[must_use]
    pub fn start(&self) -> Option<&Start> {
        self.run.start.as_deref()
    }

    /// True if every recorded policy has the digest that it was recorded with.
    #[must_use]
    pub fn policies_agree(&self) -> bool {
        self.run.forged_policies == 0
    }

    /// Folds an entry and judges it.
    pub fn push(&mut self, entry: &Entry) {
        let (seq, event) = (entry.seq(), entry.event());
        self.run.tick(seq, event.at);
        let process = self.processes.seen(event.pid, event.tid, event.at);
        let paths = Paths::of(event);
        let rows = self.fold(seq, event, process, &paths);
        self.compare(seq, event, process, &paths);
        self.judge(seq, event, process, paths, rows);
    }

    /// Folds an entry without judging it: what conditions are asked about is the
    /// same, and there are no findings.
    pub fn follow(&mut self, entry: &Entry) {
        let (seq, event) = (entry.seq(), entry.event());
        self.run.tick(seq, event.at);
        let process = self.processes.seen(event.pid, event.tid, event.at);
        let paths = Paths::of(event);
        self.fold(seq, event, process, &paths);
        self.compare(seq, event, process, &paths);
    }

    /// An event of which only this is known, and of which nothing else is asked.
    pub(crate) fn passed(&mut self, seq: u64, at: u64, pid: u32, tid: u32) {
        self.run.tick(seq, at);
        self.processes.seen(pid, tid, at);
    }

    fn fold(
        &mut self,
        seq: u64,
        event: &Event,
        process: Option<u64>,
        paths: &Paths<'_>,
    ) -> Option<[Option<u32>; 2]> {
        match &event.fact {
            Fact::Open(_) | Fact::Change(_) | Fact::Look(_) => {
                let lineage = &|| lineage(&self.processes, process);
                let by = By {
                    seq,
                    process,
                    lineage,
                };
                let rows = self.files.touched(event, paths, &by);
                self.count_credentials(process, rows);
                if let Some((from, to)) = paths.renamed(event) {
                    self.files.moved(from, to);
                    if path::exchanges(event) {
                        self.files.moved(to, from);
                    }
                }
                return Some(rows);
            }
            Fact::Fork(fork) => self.processes.forked(process, fork, event.at),
            Fact::Exec(exec) if event.outcome.succeeded() => {
                if let Some(key) = process {
                    let file = paths.first.as_ref().filter(|place| place.whole);
                    let dropped = file.and_then(|place| self.files.made(&place.bytes));
                    self.processes.executed(key, exec, dropped);
                }
            }
            Fact::Exit(exit) => {
                if let Some(key) = process {
                    self.processes.exited(key, event.at, exit.status);
                }
            }
            Fact::Dup(dup) if event.outcome.succeeded() => {
                if let Some(key) = process {
                    self.processes.duplicated(key, dup);
                }
            }
            Fact::Socket(socket) => {
                if let (Some(key), Outcome::Returned(fd @ 0..)) = (process, event.outcome) {
                    self.processes.opened_socket(key, fd, socket.kind);
                }
            }
            Fact::Bind(bind) if event.outcome.succeeded() => {
                if let Some(key) = process {
                    self.processes.bound(key, bind.fd, &bind.addr);
                }
            }
            Fact::Connect(_)
            | Fact::Send(_)
            | Fact::Name(_)
            | Fact::FlowAsked(_)
            | Fact::Decision(_)
            | Fact::FlowOpened(_)
            | Fact::FlowClosed(_) => self.fold_network(seq, event, process),
            Fact::Held(_)
            | Fact::Question(_)
            | Fact::Answer(_)
            | Fact::Denied(_)
            | Fact::Killed(_)
            | Fact::Freeze(_) => {
                self.holds
                    .told(&event.fact, seq, event.at, (event.pid, process));
            }
            Fact::Decoys(decoys) => {
                self.files.laid(decoys);
                if self.canaries.has_room() && !decoys.decoys.is_empty() {
                    self.canaries = self.canaries.with(decoys);
                }
            }
            Fact::Output(output) => self.output.wrote(&output.bytes),
            Fact::Phase(phase) => {
                let begun = match &phase.step {
                    Step::Begin { pid, .. } => self.processes.at_pid(*pid, event.at),
                    Step::End(_) => None,
                };
                begun
                    .into_iter()
                    .for_each(|key| self.processes.is_payload(key));
                self.run.told(event);
                if begun.is_some() {
                    self.run.begun_as(begun);
                }
            }
            _ => self.run.told(event),
        }
        None
    }

    /// Holds the event against the phase's baseline.
    fn compare(&mut self, seq: u64, event: &Event, process: Option<u64>, paths: &Paths<'_>) {
        if self.drift.ignores(event) {
            return;
        }
        let place = match &event.fact {
            Fact::Open(open) => {
                let wants = Wants::of(open);
                paths.first.as_ref().filter(|_| wants.write || wants.create)
            }
            Fact::Change(change) => paths.second.as_ref().filter(|_| change.other.is_some()),
            _ => None,
        };
        let flow = match &event.fact {
            Fact::Decision(decision) => self.network.flow(decision.flow),
            _ => None,
        };
        let refused = match &event.fact {
            Fact::Connect(_) | Fact::Send(_) => self.refused(seq, event, process),
            _ => None,
        };
        let seen = Kept {
            written: place
                .filter(|_| event.outcome.succeeded())
                .map(|place| place.bytes.as_ref()),
            target: flow.map(|flow| flow.target.as_ref()),
            refused: refused.as_ref().map(Option::as_deref),
        };
        let baselines = Arc::clone(self.rules.baselines());
        self.drift.fold(seq, event, &seen, &baselines);
    }

    /// Of a connect or send that the guest refused: the name that led there, if one did.
    fn refused(&self, seq: u64, event: &Event, process: Option<u64>) -> Option<Option<String>> {
        let moment = Moment::of(self, seq, event, process);
        match moment.value(Field::NetRefused) {
            Value::Bool(true) => Some(match moment.value(Field::NetName) {
                Value::Bytes(name) => Some(String::from_utf8_lossy(&name).into_owned()),
                _ => None,
            }),
            _ => None,
        }
    }

    fn count_credentials(&mut self, process: Option<u64>, rows: [Option<u32>; 2]) {
        let Some(key) = process else {
            return;
        };
        for id in rows.into_iter().flatten() {
            let sensitive = self.files.row(id).filter(|row| row.is_sensitive());
            if let Some(row) = sensitive {
                self.sweeps.touched(self.processes.branch(key), row);
            }
        }
    }

    fn fold_network(&mut self, seq: u64, event: &Event, process: Option<u64>) {
        let who = process.and_then(|key| self.processes.get(key));
        let program = who
            .and_then(|p| p.program.as_ref())
            .map(|program| &program.name);
        let socket = match &event.fact {
            Fact::Connect(connect) => who.and_then(|p| p.socket(connect.fd)),
            _ => None,
        };
        let seen = Seen {
            seq,
            process,
            program,
            lineage: &|| lineage(&self.processes, process),
        };
        self.network.touched(event, seen, socket);
    }
}

fn lineage(processes: &Processes, process: Option<u64>) -> Lineage {
    process
        .map(|key| processes.lineage(key))
        .unwrap_or_default()
}
