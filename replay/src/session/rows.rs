//! What the session shows of itself: plain rows, copied out of the tables.
//!
//! Owns: the row types that the screen, the report and the tests read.
//! Must not: fold, judge, or escape. Bytes in here are the guest's own and
//! hostile: [`crate::escape`] comes before a person or a terminal reads them.

use std::sync::Arc;

use belljar_event::{End, Machine, NameAnswer, Status, Text};

use crate::rules::{Rule, Severity};
use crate::suppress::Decided;

/// The header's facts: is it safe so far, enforced, recorded, and what was lost.
#[derive(Clone, Debug)]
pub struct Overview<'a> {
    /// What the user named, from the trace's start record.
    pub label: Option<&'a str>,
    /// The phase that runs now; `None` before the first and after the last.
    pub phase: Option<&'a str>,
    /// Guest time of the first event.
    pub first_at: u64,
    /// Guest time of the newest event.
    pub now: u64,
    /// Events folded.
    pub events: u64,
    /// Events in the last whole second of guest time.
    pub rate: u64,
    /// Events that were not recorded.
    pub lost: u64,
    /// Whether the agent's self-test held; `None`: not heard of yet.
    pub armed: Option<bool>,
    /// The machine.
    pub machine: Option<&'a Machine>,
    /// blake3 of the policy in force, in hex.
    pub policy_digest: Option<String>,
    /// How the run ended.
    pub ended: Option<&'a End>,
    /// What is counted.
    pub counts: Counts,
}

/// Totals over the whole session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Processes seen.
    pub processes: u64,
    /// Of these, not ended yet.
    pub running: u64,
    /// Of these, ended by a signal.
    pub killed: u64,
    /// Programs executed.
    pub execs: u64,
    /// Paths in the files table.
    pub files: u64,
    /// Successful opens for reading.
    pub reads: u64,
    /// Successful opens for writing and other changes.
    pub writes: u64,
    /// Different decoys opened for reading.
    pub decoys_read: u64,
    /// Flows that were opened.
    pub flows: u64,
    /// Outbound attempts that were refused.
    pub refused: u64,
    /// Bytes out of the guest.
    pub sent: u64,
    /// Bytes into the guest.
    pub received: u64,
    /// Names asked for.
    pub names: u64,
    /// Findings.
    pub findings: u64,
}

/// A process of a tree that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Living {
    /// Its key.
    pub key: u64,
    /// Its pid.
    pub pid: u32,
    /// Its parent has ended: it has another now, outside the tree.
    pub adrift: bool,
}

/// One process, in tree order: a parent stands right above its first child.
#[derive(Clone, Debug)]
pub struct ProcessRow {
    /// Its number in this run; never reused, unlike a pid.
    pub key: u64,
    /// The parent's key.
    pub parent: Option<u64>,
    /// How deep in the tree; a root is 0.
    pub depth: u16,
    /// Its pid in the guest.
    pub pid: u32,
    /// The program's base name; empty while nothing was executed or inherited.
    pub name: Text,
    /// Arguments at the last exec (a fork shows its parent's).
    pub argv: Arc<[Text]>,
    /// The kernel-resolved program or script.
    pub exe: Option<Text>,
    /// The program, or the script, was made during the run.
    pub dropped: bool,
    /// It stands in a hidden place, or has no name any more.
    pub hidden: bool,
    /// Guest time of its first event.
    pub started: u64,
    /// When and how it ended.
    pub ended: Option<(u64, Option<Status>)>,
    /// The worst finding of this very process.
    pub worst: Option<Severity>,
    /// Direct children.
    pub children: usize,
}

/// One phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseRow {
    /// Its name.
    pub name: String,
    /// Guest time of its beginning.
    pub began: u64,
    /// The key of its first process, if that was seen.
    pub process: Option<u64>,
}

/// One path.
#[derive(Clone, Debug)]
pub struct FileRow {
    /// Kernel-resolved where known, else normalised by text.
    pub path: Arc<[u8]>,
    /// Successful opens for reading.
    pub reads: u64,
    /// Successful opens for writing, and changes of attributes.
    pub writes: u64,
    /// Times it came to be: created, linked, renamed to.
    pub creates: u64,
    /// Times it went: unlinked, renamed away.
    pub deletes: u64,
    /// Attempts that failed otherwise (not there, wrong kind …).
    pub failed: u64,
    /// Attempts that were refused for want of permission.
    pub denied: u64,
    /// What it pretends to be, where it is a decoy.
    pub decoy: Option<Arc<str>>,
    /// What kind of credential lives at such a path.
    pub credential: Option<&'static str>,
    /// The newest event about it.
    pub last_seq: u64,
    /// The process of that event.
    pub last_process: Option<u64>,
}

/// One destination: a name or a bare address, with its port.
#[derive(Clone, Debug)]
pub struct DestinationRow {
    /// The name as looked up, or the address in text.
    pub name: Arc<str>,
    /// TCP (or UDP) port.
    pub port: u16,
    /// True where no lookup led to the address.
    pub direct: bool,
    /// Flows that were opened.
    pub flows: u64,
    /// Attempts that were refused.
    pub refused: u64,
    /// Flows open now.
    pub open: u64,
    /// Bytes from the guest.
    pub sent: u64,
    /// Bytes to the guest.
    pub received: u64,
    /// The policy line (or the reason) that decided last.
    pub by: Arc<str>,
    /// Base names of the programs that went there.
    pub programs: Vec<Text>,
    /// The state that matters most.
    pub state: DestinationState,
    /// The first event about it.
    pub first_seq: u64,
    /// The newest event about it.
    pub last_seq: u64,
}

/// How a destination stands, worst news last.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum DestinationState {
    /// Asked, not decided yet.
    Asked,
    /// Let through, now closed.
    Allowed,
    /// A flow is open now.
    Open,
    /// Let through, but could not be reached.
    Failed,
    /// Refused by policy or by the guest's kernel.
    Denied,
    /// Let through by the policy, but the name led to an address that is always refused.
    Range,
}

impl DestinationState {
    /// One word for listings.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Allowed => "allowed",
            Self::Open => "open",
            Self::Failed => "failed",
            Self::Denied | Self::Range => "refused",
        }
    }
}

/// One name that was asked for.
#[derive(Clone, Debug)]
pub struct NameRow {
    /// The name.
    pub name: Text,
    /// How often, over all record types.
    pub asked: u64,
    /// How often the stub said that it does not exist.
    pub refused: u64,
    /// The newest answer.
    pub answer: NameAnswer,
    /// The policy line that decided last.
    pub by: Arc<str>,
    /// The first event about it.
    pub first_seq: u64,
    /// The process that asked first.
    pub process: Option<u64>,
    /// That process, its parent, grandparent … at that moment, escaped.
    pub lineage: Arc<[String]>,
}

/// A rule that fired, folded over equal process and subject.
#[derive(Clone, Debug)]
pub struct Finding {
    /// 1-based, in order of appearance.
    pub number: u64,
    /// The rule.
    pub rule: Arc<Rule>,
    /// Guest time of the first event.
    pub at: u64,
    /// The events, oldest first; [`Finding::count`] says how many there are in all.
    pub seqs: Vec<u64>,
    /// The first of these events, in one line each.
    pub evidence: Vec<Evidence>,
    /// The process's key.
    pub process: Option<u64>,
    /// What it was about: a path, a destination, a command. Hostile bytes, already escaped.
    pub subject: Arc<str>,
    /// The rule's message, filled in and escaped.
    pub message: Arc<str>,
    /// Process, parent, grandparent … at that moment, escaped.
    pub lineage: Arc<[String]>,
    /// How often it fired.
    pub count: u64,
    /// What a person has decided about it: it does not weigh.
    pub suppressed: Option<Arc<Decided>>,
}

/// One event that proves a finding.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Evidence {
    /// Its number in the trace.
    pub seq: u64,
    /// Guest time in nanoseconds.
    pub at: u64,
    /// What happened, in one escaped line.
    pub summary: String,
}
