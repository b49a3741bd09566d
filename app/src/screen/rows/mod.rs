//! What the panes show, as plain data computed from the session at the playhead.
//!
//! Owns: turning the session's rows into lines: folding, counting, what floats
//! up. All guest text is escaped here, once.
//! Must not: style, measure or place anything.

mod files;
mod network;
mod processes;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use belljar_event::{End, Machine};
use belljar_recorder::Integrity;
use belljar_replay::rules::{Rule, Severity};
use belljar_replay::session::{Counts, Finding, Session};
use belljar_replay::verdict::{Judgement, Verdict, judge};

pub(super) use files::{FileLine, FileMark, short_path};
pub(super) use network::{NetworkLine, NetworkState, host};
#[cfg(test)]
pub(super) use processes::StandsFor;
pub(super) use processes::{Moment, ProcessLine, command, ended};

use super::model::Pane;
use super::player::Player;
use super::terminal::Line;
use super::text::{safe_str, width};

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

/// A finding in the order of the pane. There may be very many, of which few are seen.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) key: RowKey,
    /// Where it stands among the session's.
    index: usize,
}

/// One line of the findings pane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FindingLine {
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
    pub(super) findings: Vec<Listed>,
    /// How wide the longest id of their rules is.
    pub(super) ids: usize,
    /// Only those in the window.
    pub(super) seen: Vec<FindingLine>,
    /// Only those in the window.
    pub(super) events: Vec<EventLine>,
    pub(super) events_total: usize,
    pub(super) output: Arc<Vec<Line>>,
    /// What all these were made of.
    basis: Option<Basis>,
}

/// What rows are made of.
pub(super) struct Made<'a> {
    pub(super) session: &'a Session,
    /// Changes with every change of the session.
    pub(super) fold: u64,
    /// Where files and network come from, if that is another session, and how far
    /// that is folded.
    pub(super) part: Option<(&'a Session, (u64, usize))>,
    pub(super) moment: Moment,
    pub(super) home: Option<&'a [u8]>,
    pub(super) folds: &'a Folds,
}

/// The same, to be compared: most keys change nothing of it.
#[derive(Clone, Debug, PartialEq)]
struct Basis {
    fold: u64,
    part: Option<(u64, usize)>,
    home: Option<Vec<u8>>,
    folds: Folds,
    moment: Moment,
}

impl Made<'_> {
    fn basis(&self) -> Basis {
        Basis {
            fold: self.fold,
            part: self.part.map(|(_, part)| part),
            home: self.home.map(<[u8]>::to_vec),
            folds: self.folds.clone(),
            moment: self.moment,
        }
    }

    /// Whether the tree of processes has to be made again, and whether all else has.
    fn changed(&self, before: &Option<Basis>) -> (bool, bool) {
        let Some(before) = before else {
            return (true, true);
        };
        let both = self.fold != before.fold || *self.folds != before.folds;
        let part = self.part.map(|(_, part)| part) != before.part;
        (
            both || self.moment != before.moment,
            both || part || self.home != before.home.as_deref(),
        )
    }
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
    /// What they were made of: the fold, and whether the end is known.
    basis: Option<(u64, bool)>,
    /// What `newest` was made of: the fold of everything, and the same.
    newest_basis: Option<(u64, bool)>,
}

impl Facts {
    /// Finds them again, if anything has changed. `integrity`: whether the trace is
    /// whole, once that is known.
    pub(super) fn renew(&mut self, player: &Player, integrity: Option<&Integrity>) {
        let basis = Some((player.fold(), integrity.is_some()));
        if self.basis == basis {
            return;
        }
        let newest = Some((player.tip_fold(), integrity.is_some()));
        let known = self.newest.filter(|_| self.newest_basis == newest);
        *self = Self {
            basis,
            newest_basis: newest,
            ..Self::of(player, integrity, known)
        };
    }

    /// `known`: the verdict with everything that is known, if that was found before:
    /// with thousands of findings it takes a while.
    fn of(player: &Player, integrity: Option<&Integrity>, known: Option<Verdict>) -> Self {
        let shown = player.session();
        let overview = shown.overview();
        // Only who stands at the end of a trace sees the final verdict.
        let at_end = player.position() == player.len();
        let judgement = judge(shown, integrity.filter(|_| at_end));
        let newest = match known {
            _ if at_end => judgement.verdict,
            Some(known) => known,
            None => judge(player.tip(), integrity).verdict,
        };
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
            basis: None,
            newest_basis: None,
        }
    }
}

impl Rows {
    /// Computes them again, as far as what they are made of has changed.
    pub(super) fn renew(&mut self, of: &Made<'_>) {
        let (tree, rest) = of.changed(&self.basis);
        let session = of.session;
        if tree {
            let lines = processes::lines(&session.processes(), of.moment, of.folds);
            self.processes = processes::marked(lines, &session.phases());
        }
        if rest {
            let part = of.part.map_or(session, |(part, _)| part);
            self.files = files::lines(&part.files(), of.home, of.folds);
            self.network = network::lines(&part.destinations(), &part.names());
            (self.findings, self.ids) = findings(session);
        }
        if tree || rest {
            self.basis = Some(of.basis());
        }
    }

    /// Makes the lines of the findings that are seen.
    pub(super) fn look(
        &mut self,
        session: &Session,
        home: Option<&[u8]>,
        from: usize,
        rows: usize,
    ) {
        let listed = self.findings.iter().skip(from).take(rows);
        let found = listed.filter_map(|listed| session.findings().get(listed.index));
        self.seen = found.map(|one| finding(one, home)).collect();
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

/// The worst first; equals in order of appearance. And the width of the longest id.
fn findings(session: &Session) -> (Vec<Listed>, usize) {
    let mut out: Vec<(Severity, Listed)> = Vec::new();
    let mut rules: HashSet<*const Rule> = HashSet::new();
    let mut ids = 0;
    for (index, one) in session.findings().iter().take(MAX_LINES).enumerate() {
        let key = RowKey::Finding(one.number);
        out.push((one.rule.severity, Listed { key, index }));
        if rules.insert(Arc::as_ptr(&one.rule)) {
            ids = ids.max(width(&safe_str(&one.rule.id)));
        }
    }
    out.sort_by_key(|(severity, _)| Reverse(*severity));
    (out.into_iter().map(|(_, listed)| listed).collect(), ids)
}

fn finding(finding: &Finding, home: Option<&[u8]>) -> FindingLine {
    // The subject is escaped already; an ordinary home reads the same escaped.
    let rest = home.and_then(|home| finding.subject.as_bytes().strip_prefix(home));
    let subject = match rest.and_then(|rest| std::str::from_utf8(rest).ok()) {
        Some(rest) if rest.starts_with('/') => format!("~{rest}"),
        _ => finding.subject.to_string(),
    };
    FindingLine {
        severity: finding.rule.severity,
        id: safe_str(&finding.rule.id),
        title: safe_str(&finding.rule.title),
        subject,
        lineage: finding.lineage.join(" ← "),
        at: finding.at,
        count: finding.count,
    }
}
