//! What the panes show, as plain data computed from the session at the playhead.
//!
//! Owns: turning the session's rows into lines: folding, counting, what floats
//! up. All guest text is escaped here, once.
//! Must not: style, measure or place anything.

mod files;
mod network;
mod processes;

use std::collections::BTreeMap;
use std::sync::Arc;

use belljar_event::{End, Machine};
use belljar_recorder::Integrity;
use belljar_replay::rules::Severity;
use belljar_replay::session::{Counts, Finding, Session};
use belljar_replay::verdict::{Judgement, Verdict, judge};

pub(super) use files::{FileLine, FileMark, short_path};
pub(super) use network::{NetworkLine, NetworkState, host};
pub(super) use processes::{Moment, ProcessLine, command, ended};

use super::model::Pane;
use super::player::Player;
use super::terminal::Line;
use super::text::safe_str;

/// Lines that a pane has at most.
const MAX_LINES: usize = 20_000;

/// What stays the same about a row while its numbers change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RowKey {
    /// A process.
    Process(u64),
    /// The finished children of a process.
    Finished(u64),
    /// A file or folder in the tree.
    Path(Vec<u8>),
    /// An unusual file above the tree.
    Float(Vec<u8>),
    /// A destination.
    Destination(String, u16),
    /// A name that was only looked up.
    Name(Vec<u8>),
    /// A finding by its number.
    Finding(u64),
    /// An event by its number.
    Event(u64),
}

/// Folds that someone changed: true is unfolded.
pub(super) type Folds = BTreeMap<RowKey, bool>;

/// Whether a row can fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    /// Nothing to fold.
    Leaf,
    /// Unfolded.
    Open,
    /// Folded.
    Closed,
}

/// One line of the findings pane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FindingLine {
    pub(super) key: RowKey,
    pub(super) severity: Severity,
    pub(super) id: String,
    pub(super) title: String,
    /// What it is about: a path, a destination, a command.
    pub(super) subject: String,
    /// `node postinstall.js ← sh ← npm`.
    pub(super) lineage: String,
    pub(super) at: u64,
    pub(super) count: u64,
}

/// One line of the events pane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EventLine {
    pub(super) key: RowKey,
    pub(super) at: u64,
    pub(super) seq: u64,
    /// The process, as its arguments call it.
    pub(super) process: String,
    pub(super) summary: String,
    /// The filter can neither affirm nor deny it.
    pub(super) open: bool,
}

/// Lines of every pane.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pub(super) processes: Vec<ProcessLine>,
    pub(super) files: Vec<FileLine>,
    pub(super) network: Vec<NetworkLine>,
    pub(super) findings: Vec<FindingLine>,
    /// Only those in the window.
    pub(super) events: Vec<EventLine>,
    pub(super) events_total: usize,
    pub(super) output: Arc<Vec<Line>>,
}

/// What the header says.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) phase: Option<String>,
    pub(super) rate: u64,
    pub(super) lost: u64,
    pub(super) armed: Option<bool>,
    pub(super) machine: Option<Machine>,
    /// At the playhead; `None` while nothing has happened.
    pub(super) verdict: Option<Verdict>,
    /// Its reasons.
    pub(super) judgement: Judgement,
    /// With everything that is known.
    pub(super) newest: Option<Verdict>,
    /// Nothing comes after what is shown.
    pub(super) over: bool,
    pub(super) ended: Option<End>,
    pub(super) counts: Counts,
}

impl Facts {
    /// `integrity`: whether the trace is whole, once that is known.
    pub(super) fn of(player: &Player, integrity: Option<&Integrity>) -> Self {
        let shown = player.session();
        let overview = shown.overview();
        // Only who stands at the end of a trace sees the final verdict.
        let at_end = player.position() == player.len();
        let judgement = judge(shown, integrity.filter(|_| at_end));
        let newest = judge(player.tip(), integrity).verdict;
        Self {
            phase: overview.phase.map(safe_str),
            rate: overview.rate,
            lost: overview.lost,
            armed: overview.armed,
            machine: overview.machine.cloned(),
            verdict: (overview.events > 0).then_some(judgement.verdict),
            newest: (player.len() > 0).then_some(newest),
            judgement,
            over: overview.ended.is_some() || (at_end && integrity.is_some()),
            ended: overview.ended.cloned(),
            counts: overview.counts,
        }
    }
}

impl Rows {
    /// `part`: where files and network come from, if that is another session.
    pub(super) fn of(
        session: &Session,
        part: Option<&Session>,
        moment: Moment,
        home: Option<&[u8]>,
        folds: &Folds,
    ) -> Self {
        let part = part.unwrap_or(session);
        Self {
            processes: processes::marked(
                processes::lines(&session.processes(), moment, folds),
                &session.phases(),
            ),
            files: files::lines(&part.files(), home, folds),
            network: network::lines(&part.destinations(), &part.names()),
            findings: findings(session, home),
            ..Self::default()
        }
    }

    /// What stands at a row of a list.
    pub(super) fn key(&self, pane: Pane, at: usize) -> Option<&RowKey> {
        match pane {
            Pane::Processes => self.processes.get(at).map(|line| &line.key),
            Pane::Files => self.files.get(at).map(|line| &line.key),
            Pane::Network => self.network.get(at).map(|line| &line.key),
            Pane::Findings => self.findings.get(at).map(|line| &line.key),
            Pane::Events | Pane::Output | Pane::Timeline => None,
        }
    }

    /// The folder that a row went into when folders came to stand apart or folded.
    pub(super) fn above(&self, pane: Pane, key: &RowKey) -> Option<usize> {
        let RowKey::Path(path) = key else { return None };
        let lines = self
            .files
            .iter()
            .enumerate()
            .filter(|_| pane == Pane::Files);
        lines
            .filter_map(|(at, line)| match &line.key {
                RowKey::Path(folder) if path.starts_with(folder) => Some((folder.len(), at)),
                _ => None,
            })
            .max()
            .map(|(_, at)| at)
    }

    pub(super) fn len(&self, pane: Pane) -> usize {
        match pane {
            Pane::Processes => self.processes.len(),
            Pane::Files => self.files.len(),
            Pane::Network => self.network.len(),
            Pane::Findings => self.findings.len(),
            Pane::Events => self.events_total,
            Pane::Output => self.output.len(),
            Pane::Timeline => 0,
        }
    }
}

/// The worst first; equals in order of appearance.
fn findings(session: &Session, home: Option<&[u8]>) -> Vec<FindingLine> {
    let mut out: Vec<FindingLine> = session
        .findings()
        .iter()
        .take(MAX_LINES)
        .map(|one| finding(one, home))
        .collect();
    out.sort_by_key(|line| std::cmp::Reverse(line.severity));
    out
}

fn finding(finding: &Finding, home: Option<&[u8]>) -> FindingLine {
    // The subject is escaped already; an ordinary home reads the same escaped.
    let rest = home.and_then(|home| finding.subject.as_bytes().strip_prefix(home));
    let subject = match rest.and_then(|rest| std::str::from_utf8(rest).ok()) {
        Some(rest) if rest.starts_with('/') => format!("~{rest}"),
        _ => finding.subject.to_string(),
    };
    FindingLine {
        key: RowKey::Finding(finding.number),
        severity: finding.rule.severity,
        id: safe_str(&finding.rule.id),
        title: safe_str(&finding.rule.title),
        subject,
        lineage: finding.lineage.join(" ← "),
        at: finding.at,
        count: finding.count,
    }
}
