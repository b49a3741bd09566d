//! The process tree as lines: what is finished and unremarkable folds into a count.

use std::collections::BTreeMap;

use belljar_event::Status;
use belljar_replay::rules::Severity;
use belljar_replay::session::{PhaseRow, ProcessRow};

use super::{Fold, Folds, MAX_LINES, RowKey};
use crate::screen::player::SECOND;
use crate::screen::text::{safe_str, safe_text, span};

/// A finished process stays in sight for so long, …
const LINGER: u64 = 3 * SECOND;
/// … if it is one of its parent's newest.
const NEWEST: usize = 3;

/// One line of the tree. There may be many, of which few are seen: their words are
/// made when they are drawn.
#[derive(Clone, Debug)]
pub(in crate::screen) struct ProcessLine {
    pub(in crate::screen) key: RowKey,
    pub(in crate::screen) depth: usize,
    pub(in crate::screen) fold: Fold,
    pub(in crate::screen) worst: Option<Severity>,
    pub(in crate::screen) stands_for: StandsFor,
    pub(in crate::screen) running: bool,
    /// Its program was made during the run.
    pub(in crate::screen) dropped: bool,
    /// Its program stands in a hidden place, or has no name any more.
    pub(in crate::screen) hidden: bool,
}

/// What a line speaks of.
#[derive(Clone, Debug)]
pub(in crate::screen) enum StandsFor {
    /// A process at this time, and the phase that began with it if there are several.
    Process {
        row: ProcessRow,
        now: u64,
        phase: Option<String>,
    },
    /// So many finished children.
    Finished(usize),
}

impl ProcessLine {
    /// Program and arguments, escaped; or `14 finished`.
    pub(in crate::screen) fn label(&self) -> String {
        match &self.stands_for {
            StandsFor::Process {
                row,
                phase: Some(phase),
                ..
            } => format!("[{}] {}", safe_str(phase), command(row)),
            StandsFor::Process { row, .. } => command(row),
            StandsFor::Finished(count) => format!("{count} finished"),
        }
    }

    /// Age, duration, or how it ended.
    pub(in crate::screen) fn note(&self) -> String {
        match &self.stands_for {
            StandsFor::Process { row, now, .. } => note(row, *now),
            StandsFor::Finished(_) => String::new(),
        }
    }
}

/// What the fold of a subtree depends on.
struct Shape {
    /// First index behind the subtree.
    end: usize,
    /// Finished, unremarkable, and so is all below it.
    quiet: bool,
    /// The worst finding in the subtree.
    worst: Option<Severity>,
}

/// What the tree depends on besides its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::screen) struct Moment {
    /// The playhead's time.
    pub(in crate::screen) now: u64,
    /// The run is over: nothing lingers.
    pub(in crate::screen) over: bool,
    /// The selected process, which must not fold away.
    pub(in crate::screen) keep: Option<u64>,
}

/// The lines of the tree.
pub(super) fn lines(rows: &[ProcessRow], moment: Moment, folds: &Folds) -> Vec<ProcessLine> {
    let shapes = shapes(rows, moment);
    let now = moment.now;
    let mut out = Vec::new();
    // Open parents: key, end of subtree, depth, quiet children so far.
    let mut open: Vec<(u64, usize, usize, usize)> = Vec::new();
    let mut at = 0;
    while let (Some(row), Some(shape)) = (rows.get(at), shapes.get(at)) {
        close_until(at, &mut open, folds, &mut out);
        if out.len() >= MAX_LINES {
            break;
        }
        let depth = usize::from(row.depth);
        let mut hidden = false;
        if shape.quiet
            && depth > 0
            && let Some((parent, _, _, quiet)) = open.last_mut()
        {
            *quiet += 1;
            hidden = !folds
                .get(&RowKey::Finished(*parent))
                .copied()
                .unwrap_or(false);
        }
        if hidden {
            at = shape.end.max(at + 1);
            continue;
        }
        let leaf = shape.end <= at + 1;
        let closed = !leaf && folds.get(&RowKey::Process(row.key)) == Some(&false);
        out.push(line(row, shape, now, leaf, closed));
        if closed {
            at = shape.end.max(at + 1);
        } else {
            open.push((row.key, shape.end, depth, 0));
            at += 1;
        }
    }
    close_until(rows.len(), &mut open, folds, &mut out);
    out
}

/// Says of each phase's first process which phase it is, if there are several.
pub(super) fn marked(mut lines: Vec<ProcessLine>, phases: &[PhaseRow]) -> Vec<ProcessLine> {
    if phases.len() < 2 {
        return lines;
    }
    let by_key: BTreeMap<u64, &str> = phases
        .iter()
        .filter_map(|phase| Some((phase.process?, phase.name.as_str())))
        .collect();
    for line in &mut lines {
        if let StandsFor::Process { row, phase, .. } = &mut line.stands_for {
            *phase = by_key.get(&row.key).map(|name| (*name).to_owned());
        }
    }
    lines
}

/// Closes the parents whose subtree ends here: their finished children become a count.
fn close_until(
    at: usize,
    open: &mut Vec<(u64, usize, usize, usize)>,
    folds: &Folds,
    out: &mut Vec<ProcessLine>,
) {
    while let Some((key, _, depth, quiet)) = open.pop_if(|(_, end, _, _)| *end <= at) {
        if quiet == 0 {
            continue;
        }
        let shown = folds.get(&RowKey::Finished(key)).copied().unwrap_or(false);
        out.push(ProcessLine {
            key: RowKey::Finished(key),
            depth: depth + 1,
            fold: if shown { Fold::Open } else { Fold::Closed },
            worst: None,
            stands_for: StandsFor::Finished(quiet),
            running: false,
            dropped: false,
            hidden: false,
        });
    }
}

fn line(row: &ProcessRow, shape: &Shape, now: u64, leaf: bool, closed: bool) -> ProcessLine {
    ProcessLine {
        key: RowKey::Process(row.key),
        depth: usize::from(row.depth),
        fold: match (leaf, closed) {
            (true, _) => Fold::Leaf,
            (_, true) => Fold::Closed,
            (_, false) => Fold::Open,
        },
        worst: if closed { shape.worst } else { row.worst },
        stands_for: StandsFor::Process {
            row: row.clone(),
            now,
            phase: None,
        },
        running: row.ended.is_none(),
        dropped: row.dropped,
        hidden: row.hidden,
    }
}

/// `node postinstall.js`: the program's own name and the arguments behind it.
pub(in crate::screen) fn command(row: &ProcessRow) -> String {
    let mut name = safe_text(&row.name);
    if name.is_empty() {
        name = row.argv.first().map(safe_text).unwrap_or_default();
    }
    if name.is_empty() {
        name = format!("pid {}", row.pid);
    }
    for word in row.argv.iter().skip(1).take(64) {
        name.push(' ');
        name.push_str(&safe_text(word));
    }
    name
}

fn note(row: &ProcessRow, now: u64) -> String {
    let Some((end, status)) = row.ended else {
        return span(now.saturating_sub(row.started));
    };
    match status {
        Some(Status::Code(0)) | None => span(end.saturating_sub(row.started)),
        Some(status) => ended(status),
    }
}

/// `exit 1`, `signal 9`.
pub(in crate::screen) fn ended(status: Status) -> String {
    match status {
        Status::Code(code) => format!("exit {code}"),
        Status::Signal(signal) => format!("signal {signal}"),
    }
}

/// One pass from the end: a child always stands behind its parent.
fn shapes(rows: &[ProcessRow], moment: Moment) -> Vec<Shape> {
    let mut shapes: Vec<Shape> = Vec::with_capacity(rows.len());
    // By depth, what the subtrees seen since the last row of a lesser depth amount to.
    let mut below: BTreeMap<u16, Below> = BTreeMap::new();
    // Starts of later rows by depth: the next row that is not deeper ends a subtree.
    let mut starts: Vec<(u16, usize)> = Vec::new();
    for (at, row) in rows.iter().enumerate().rev() {
        while starts.pop_if(|(depth, _)| *depth > row.depth).is_some() {}
        let end = starts.last().map_or(rows.len(), |(_, start)| *start);
        starts.push((row.depth, at));
        let inside = below
            .remove(&row.depth.saturating_add(1))
            .unwrap_or_default();
        let siblings = below.entry(row.depth).or_default();
        let worst = row.worst.max(inside.worst);
        let odd = row.dropped || row.hidden;
        let kept = row.ended.is_none() || worst.is_some() || odd || moment.keep == Some(row.key);
        let mut quiet = !kept && !inside.loud;
        if quiet {
            siblings.quiet += 1;
            let since = row
                .ended
                .map_or(0, |(end, _)| moment.now.saturating_sub(end));
            quiet = moment.over || since >= LINGER || siblings.quiet > NEWEST;
        }
        siblings.loud |= !quiet;
        siblings.worst = siblings.worst.max(worst);
        shapes.push(Shape { end, quiet, worst });
    }
    shapes.reverse();
    shapes
}

/// What the children of a row to come amount to.
#[derive(Default)]
struct Below {
    loud: bool,
    worst: Option<Severity>,
    /// Finished ones so far, the newest first.
    quiet: usize,
}
