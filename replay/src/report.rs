//! The report: what a run amounts to, for programs and for people.
//!
//! Owns: [`Report`], its canonical bytes and its digest. Must not: depend on
//! anything but the trace (start record, entries, integrity) and the rules: no
//! clock, no host, no floats, no map without order. That the live report and
//! the replayed one are equal to the byte is the product's promise.
//!
//! Every text of the guest in it is escaped already.

mod build;
mod decided;
mod decisions;
mod guard;
pub mod jsonl;
pub(crate) mod page;
mod table;

use std::collections::BTreeMap;

use belljar_event::Action;
pub use decisions::DecisionCounts;
use serde::{Deserialize, Serialize};

use crate::rules::Severity;
use crate::session::{DestinationState, Evidence};
use crate::suppress::Decided;
use crate::verdict::Verdict;

/// The report's own format. Raised with every change of its shape.
pub const FORMAT: u32 = 0;

/// What a run amounts to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, the weightiest first.
    pub reasons: Vec<ReasonReport>,
    /// What ran.
    pub ran: Ran,
    /// What the rules found, oldest first.
    pub findings: Vec<FindingReport>,
    /// Findings beyond those listed.
    pub findings_beyond: u64,
    /// Rules that could be neither affirmed nor denied for some event.
    pub open_rules: Vec<OpenRule>,
    /// Decoys and credential paths that were touched, and how that ended.
    pub sensitive: Vec<SensitivePath>,
    /// Sensitive paths beyond those listed.
    pub sensitive_beyond: u64,
    /// Outbound attempts that were refused.
    pub refused: Vec<RefusedDestination>,
    /// Destinations that were let through.
    pub allowed: Vec<AllowedDestination>,
    /// Destinations that nobody decided about before the end.
    pub undecided: Vec<String>,
    /// Names that were asked for.
    pub names: Names,
    /// Processes.
    pub processes: ProcessCounts,
    /// Files.
    pub files: FileCounts,
    /// Bytes and flows.
    pub network: NetworkCounts,
    /// What was held, asked and answered.
    #[serde(default)]
    pub decisions: DecisionCounts,
    /// Phases, in order.
    pub phases: Vec<PhaseReport>,
    /// What was copied in and what stayed out.
    pub copied: Option<CopiedReport>,
    /// Scripts of the installed packages, where the run asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed: Option<InstalledReport>,
    /// Limits that the run reached; none in most reports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitReport>,
    /// What a person has decided about rules and findings; nothing in most reports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decided: Vec<Decided>,
    /// Phases held against their baselines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub baselines: Vec<BaselineReport>,
    /// What is missing.
    pub lost: LostReport,
    /// The machine.
    pub machine: Option<MachineReport>,
    /// What was proved before the payload started.
    pub enforcement: Option<EnforcementReport>,
    /// Whether the trace is whole.
    pub integrity: IntegrityReport,
    /// What the report was made from, in digests.
    pub receipt: Receipt,
}

/// A reason for the verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonReport {
    /// What it makes of the verdict by itself.
    pub weighs: Verdict,
    /// In words.
    pub text: String,
    /// The findings it rests on, by number.
    pub findings: Vec<u64>,
}

/// What ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// What the user named.
    pub label: String,
    /// The command.
    pub command: String,
    /// Digest of the guest image.
    pub image: String,
    /// Release of the guest kernel.
    pub kernel: String,
    /// Guest nanoseconds from the first to the last event.
    pub nanoseconds: u64,
    /// How it ended.
    pub end: Option<String>,
    /// Bytes that it wrote to its terminal.
    pub output_bytes: u64,
    /// Patterns that were redacted from the trace.
    pub redacted: Vec<String>,
}

/// A finding with its rule and its events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingReport {
    /// 1-based.
    pub number: u64,
    /// The rule's id.
    pub rule: String,
    /// Its title.
    pub title: String,
    /// What it catches and why.
    pub why: String,
    /// How bad.
    pub severity: Severity,
    /// ATT&CK techniques.
    pub attack: Vec<String>,
    /// What to do.
    pub advice: String,
    /// What happened.
    pub message: String,
    /// What it is about.
    pub subject: String,
    /// Process, parent, grandparent …
    pub lineage: Vec<String>,
    /// How often.
    pub count: u64,
    /// The first events, in words.
    pub events: Vec<Evidence>,
    /// The numbers of the events (the first 256).
    pub seqs: Vec<u64>,
    /// Why it does not weigh, where a person has decided so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<Decided>,
}

/// A phase held against its baseline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaselineReport {
    /// The phase.
    pub phase: String,
    /// The baseline's name.
    pub baseline: String,
    /// It came from a file that somebody named.
    pub learned: bool,
    /// 200 for each of five dimensions that was left.
    pub drift: u64,
    /// Each dimension.
    pub dimensions: Vec<DimensionReport>,
}

/// How a dimension stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DimensionReport {
    /// `network`, `names`, `files`, `processes`, `time`.
    pub dimension: String,
    /// How much there was; of time, seconds.
    pub seen: u64,
    /// How much is expected at most.
    pub expected: u64,
    /// How much of it is not expected, by kind or by number.
    pub unexpected: u64,
    /// The first things that are not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
    /// The first events that left it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<u64>,
}

/// A rule that asks for something that was not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRule {
    /// Its id.
    pub rule: String,
    /// Its title.
    pub title: String,
    /// How bad it would be.
    pub severity: Severity,
    /// Events that it may have held for.
    pub count: u64,
    /// The first of them.
    pub first_seq: u64,
}

/// A decoy or credential path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SensitivePath {
    /// The path.
    pub path: String,
    /// What is, or would be, there.
    pub kind: String,
    /// True where a decoy stands.
    pub decoy: bool,
    /// How the attempts ended.
    pub ended: Touches,
    /// Who made them.
    pub by: Vec<Toucher>,
}

/// How attempts on a path ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touches {
    /// Opened for reading.
    pub read: u64,
    /// Opened for writing, or attributes changed.
    pub written: u64,
    /// Made.
    pub created: u64,
    /// Removed or renamed away.
    pub deleted: u64,
    /// Refused for want of permission.
    pub denied: u64,
    /// Failed otherwise, mostly because nothing is there.
    pub failed: u64,
}

/// Who touched a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toucher {
    /// Process, parent, grandparent …
    pub lineage: Vec<String>,
    /// The first event.
    pub first_seq: u64,
    /// How these attempts ended.
    pub ended: Touches,
}

/// Who decided, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidedBy {
    /// The policy line; `guest` where the call never left it; an address range.
    pub by: String,
    /// How often.
    pub count: u64,
}

/// A destination that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedDestination {
    /// Name or address with port.
    pub destination: String,
    /// True where no lookup led to the address.
    pub direct: bool,
    /// How often.
    pub attempts: u64,
    /// Who refused.
    pub by: Vec<DecidedBy>,
    /// The same in the words that the screen and the payload are told: `refused by …`.
    pub says: String,
    /// How the destination stands in all.
    pub state: DestinationState,
    /// Programs that tried.
    pub programs: Vec<String>,
    /// Process, parent, grandparent … of the first few.
    pub who: Vec<Vec<String>>,
    /// The first event.
    pub first_seq: u64,
}

/// A destination that was let through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowedDestination {
    /// Name or address with port.
    pub destination: String,
    /// True where no lookup led to the address.
    pub direct: bool,
    /// Flows opened.
    pub flows: u64,
    /// Of these, open at the end.
    pub open: u64,
    /// Attempts that could not reach it.
    pub unreached: u64,
    /// Bytes out.
    pub sent: u64,
    /// Bytes in.
    pub received: u64,
    /// Who allowed it.
    pub by: Vec<DecidedBy>,
    /// Programs that went there.
    pub programs: Vec<String>,
}

/// Name questions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// Questions in all.
    pub asked: u64,
    /// Each refused name.
    pub refused: Vec<RefusedName>,
    /// Refused names beyond those listed.
    pub refused_beyond: u64,
}

/// A name that does not exist as far as the payload is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedName {
    /// The name.
    pub name: String,
    /// How often.
    pub count: u64,
    /// The policy line.
    pub by: String,
    /// The same in the words that the screen and the payload are told: `refused by …`.
    pub says: String,
    /// Process, parent, grandparent …
    pub lineage: Vec<String>,
}

/// Processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessCounts {
    /// Seen.
    pub started: u64,
    /// Ended by a signal.
    pub killed: u64,
    /// Not ended when the trace ends.
    pub running: u64,
    /// Programs executed.
    pub execs: u64,
    /// Too many to follow.
    pub not_followed: u64,
}

/// Files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCounts {
    /// Different paths.
    pub paths: u64,
    /// Successful opens for reading.
    pub reads: u64,
    /// Successful opens for writing and other changes.
    pub writes: u64,
    /// Decoys laid out.
    pub decoys: u64,
    /// Different decoys opened for reading.
    pub decoys_read: u64,
    /// Touches of paths beyond the table.
    pub beyond: u64,
}

/// The network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkCounts {
    /// Flows opened.
    pub flows: u64,
    /// Attempts refused.
    pub refused: u64,
    /// Bytes out.
    pub sent: u64,
    /// Bytes in.
    pub received: u64,
    /// Events that no table had room for.
    pub beyond: u64,
    /// Decisions and closings of flows that nobody asked for.
    pub stray: u64,
}

/// A limit that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitReport {
    /// `time`, `memory`, `pids`, `disk` …
    pub what: String,
    /// The limit.
    pub limit: u64,
    /// Its unit.
    pub unit: String,
}

/// A phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseReport {
    /// Its name.
    pub name: String,
    /// Its command.
    pub command: String,
    /// How long; nothing where it never ended.
    pub nanoseconds: Option<u64>,
    /// How its first process ended.
    pub status: Option<String>,
}

/// What was copied in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedReport {
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
    /// What stayed out, as far as it was listed.
    pub left_out: Vec<LeftOutReport>,
    /// How much stayed out in all.
    pub left_out_total: u64,
}

/// A path that stayed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOutReport {
    /// Relative to the folder.
    pub path: String,
    /// Why.
    pub why: String,
}

/// What an install brought that it also runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledReport {
    /// `npm`, `pip`.
    pub client: String,
    /// False: the guest gave no usable answer.
    pub answered: bool,
    /// Packages that were looked at.
    pub packages: u64,
    /// Their scripts.
    pub scripts: Vec<InstallScriptReport>,
    /// Packages with scripts beyond those listed.
    pub more: u64,
}

/// A script that an install runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallScriptReport {
    /// The package.
    pub package: String,
    /// Its version, if it is known.
    pub version: Option<String>,
    /// `postinstall`, `setup.py`, or the backend that built it.
    pub script: String,
    /// The command, or the steps of the build.
    pub command: String,
    /// It was seen to run.
    pub ran: bool,
}

/// What is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostReport {
    /// Events known to be lost.
    pub events: u64,
    /// Where.
    pub places: BTreeMap<String, u64>,
    /// Numbers that no event had.
    pub missing: u64,
}

/// The machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineReport {
    /// Hypervisor.
    pub hypervisor: String,
    /// Accelerator.
    pub accelerator: String,
    /// True where it is no security boundary.
    pub degraded: bool,
    /// Processors.
    pub cpus: u32,
    /// MiB.
    pub memory_mib: u32,
}

/// The self-test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnforcementReport {
    /// True if every check held.
    pub armed: bool,
    /// The guest's kernel.
    pub kernel: String,
    /// Each check.
    pub checks: Vec<CheckReport>,
}

/// One self-test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// What was to be proved.
    pub name: String,
    /// Whether it held.
    pub held: bool,
}

/// Whether the trace is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntegrityReport {
    /// True if nothing is missing and every hash agrees.
    pub complete: bool,
    /// Events read.
    pub events: u64,
    /// Events of kinds that this version does not know.
    pub unknown: u64,
    /// What is wrong, if anything is.
    pub why: Option<String>,
}

/// What the report was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Version that recorded.
    pub recorded_by: String,
    /// Version that judged.
    pub judged_by: String,
    /// blake3 of the trace's events; nothing where the trace is cut.
    pub trace: Option<String>,
    /// Digest of the rules that judged.
    pub rules: String,
    /// Digest of the rules while recording, from the start record.
    pub rules_recorded: String,
    /// blake3 of the file of baselines, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baselines: Option<String>,
    /// blake3 of the file of suppressions, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppressions: Option<String>,
    /// blake3 of the policy in force at the end.
    pub policy: Option<String>,
    /// blake3 of this report without this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
}

impl Report {
    /// The canonical bytes: JSON, indented, fields in the order of this file, one newline at the end.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // Structs of strings, numbers and maps with string keys cannot fail to serialise.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// The digest over everything but [`Receipt::report`].
    #[must_use]
    pub fn digest(&self) -> String {
        let mut bare = self.clone();
        bare.receipt.report = None;
        blake3::hash(&bare.to_json()).to_hex().to_string()
    }

    /// True if the digest it carries is its own.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.receipt.report.as_deref() == Some(self.digest().as_str())
    }

    /// The numbers of destinations that were refused, by who refused: what a summary line says.
    #[must_use]
    pub fn refused_attempts(&self) -> u64 {
        self.refused
            .iter()
            .map(|destination| destination.attempts)
            .fold(0, u64::saturating_add)
    }
}

/// An action in a listing.
#[must_use]
pub fn action_word(action: Action) -> &'static str {
    crate::moment::action(action)
}
