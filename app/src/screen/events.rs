//! The list of events, and the filter that narrows it.
//!
//! Owns: searching the trace with a condition a bounded piece at a time, the
//! window of events before the playhead (of one process alone, where that was
//! chosen), the next and previous match.
//! Must not: parse keys or draw.
//!
//! A condition is asked about each event in the session that has folded it and
//! nothing after it, so the search folds a session of its own from the start.

use belljar_recorder::Entry;
use belljar_replay::cond::{Condition, Truth};
use belljar_replay::moment::Moment;
use belljar_replay::session::Session;

use super::model::{List, Model, Pane};
use super::only::Only;
use super::player::{Motion, Player};
use super::rows::{EventLine, RowKey};
use super::update::{toast, window};

/// Events searched in one tick: keys stay alive while a million are gone through.
const PER_TICK: usize = 20_000;

/// A condition and what it has found so far.
#[derive(Clone)]
pub(super) struct Filter {
    condition: Condition,
    session: Session,
    searched: usize,
    /// Entries for which it holds or may hold, ascending; true: may.
    found: Vec<(usize, bool)>,
    /// Those of one process.
    narrowed: Narrowed,
}

/// What a filter has found of one process alone.
#[derive(Clone, Default)]
struct Narrowed {
    /// Which process.
    key: Option<u64>,
    /// How many of the filter's were looked at.
    next: usize,
    found: Vec<(usize, bool)>,
}

/// The entries that the list has, ascending, without what lies behind the playhead.
enum Listed<'a> {
    /// Every one.
    All,
    /// Those of one process.
    Of(&'a [usize]),
    /// Those that a filter leaves.
    Found(&'a [(usize, bool)]),
}

impl Listed<'_> {
    /// How many lie before an entry.
    fn before(&self, index: usize) -> usize {
        match self {
            Self::All => index,
            Self::Of(entries) => entries.partition_point(|at| *at < index),
            Self::Found(found) => found.partition_point(|(at, _)| *at < index),
        }
    }

    /// The entry at a row, and whether the filter left it open.
    fn nth(&self, row: usize) -> Option<(usize, bool)> {
        match self {
            Self::All => Some((row, false)),
            Self::Of(entries) => entries.get(row).map(|at| (*at, false)),
            Self::Found(found) => found.get(row).copied(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::All => 0,
            Self::Of(entries) => entries.len(),
            Self::Found(found) => found.len(),
        }
    }
}

fn listed(model: &Model) -> Listed<'_> {
    match (&model.filter, &model.only) {
        (None, None) => Listed::All,
        (None, Some(only)) => Listed::Of(only.entries()),
        (Some(filter), None) => Listed::Found(&filter.found),
        (Some(filter), Some(_)) => Listed::Found(&filter.narrowed.found),
    }
}

impl Filter {
    /// `empty`: a session that has seen nothing.
    pub(super) fn new(condition: Condition, empty: Session) -> Self {
        Self {
            condition,
            session: empty,
            searched: 0,
            found: Vec::new(),
            narrowed: Narrowed::default(),
        }
    }

    /// Goes on to find which of the found are this process's.
    fn narrow(&mut self, only: &Only) {
        let narrowed = &mut self.narrowed;
        if narrowed.key != Some(only.key()) {
            *narrowed = Narrowed {
                key: Some(only.key()),
                ..Narrowed::default()
            };
        }
        let rest = self.found.get(narrowed.next..).unwrap_or_default();
        let known = |found: &&(usize, bool)| found.0 < only.listed();
        for found in rest.iter().take_while(known) {
            if only.entries().binary_search(&found.0).is_ok() {
                narrowed.found.push(*found);
            }
            narrowed.next += 1;
        }
    }

    /// The condition as written.
    pub(super) fn source(&self) -> &str {
        self.condition.source()
    }

    /// The condition, to be asked from the start.
    pub(super) fn into_condition(self) -> Condition {
        self.condition
    }

    pub(super) fn searched(&self) -> usize {
        self.searched
    }

    /// Searches on; true if it did anything.
    fn search(&mut self, player: &Player) -> bool {
        let before = self.searched;
        let end = player.len().min(before.saturating_add(PER_TICK));
        while let Some(entry) = player.entry(self.searched).filter(|_| self.searched < end) {
            self.session.push(&entry);
            let truth = self.condition.matches(&Moment::new(&self.session, &entry));
            if truth != Truth::No {
                self.found.push((self.searched, truth == Truth::Maybe));
            }
            self.searched += 1;
        }
        self.searched != before
    }
}

/// How many events the list has at the playhead.
pub(super) fn total(model: &Model) -> usize {
    listed(model).before(model.player.position())
}

/// The entry at a row, and whether the filter left it open.
fn at_row(model: &Model, row: usize) -> Option<(usize, bool)> {
    listed(model).nth(row)
}

fn row_of(model: &Model, index: usize) -> usize {
    // The entry itself, or the last one before it.
    listed(model)
        .before(index.saturating_add(1))
        .saturating_sub(1)
}

/// Searches on and lays the list out anew if that changed it; true if so.
pub(super) fn search(model: &mut Model) -> bool {
    let Some(mut filter) = model.filter.take() else {
        return false;
    };
    let changed = filter.search(&model.player);
    model.filter = Some(filter);
    if changed {
        settle(model);
    }
    changed
}

/// Computes the rows in the window from the playhead and the selection.
pub(super) fn settle(model: &mut Model) {
    if let (Some(filter), Some(only)) = (&mut model.filter, &model.only) {
        filter.narrow(only);
    }
    let rows = model.layout.rows_of(Pane::Events);
    let total = total(model);
    let held = model.event.filter(|index| *index < model.player.position());
    let index = held.map_or(usize::MAX, |index| row_of(model, index));
    let mut list = model.list(Pane::Events).cloned().unwrap_or_default();
    list.index = index.min(total.saturating_sub(1));
    if held.is_none() {
        list.offset = total.saturating_sub(rows);
    }
    window(&mut list, total, rows);
    model.rows.events_total = total;
    model.rows.events = (list.offset..total.min(list.offset.saturating_add(rows)))
        .filter_map(|row| {
            let (index, open) = at_row(model, row)?;
            Some(line(model, &*model.player.entry(index)?, open))
        })
        .collect();
    list.key = None;
    if let Some(slot) = model.lists.get_mut(Pane::Events as usize) {
        *slot = list;
    }
}

fn line(model: &Model, entry: &Entry, open: bool) -> EventLine {
    let session = model.player.session();
    let moment = Moment::new(session, entry);
    let pid = entry.event().pid;
    let process = match moment.process_key() {
        Some(key) => session.lineage(key).into_iter().next().unwrap_or_default(),
        None if pid == 0 => "belljar".to_owned(),
        None => format!("pid {pid}"),
    };
    EventLine {
        key: RowKey::Event(entry.seq()),
        at: entry.at(),
        seq: entry.seq(),
        process,
        summary: moment.summary(),
        open,
    }
}

/// Selects another row; on the last one the list follows the playhead again.
pub(super) fn select(model: &mut Model, row: usize, following: bool) {
    model.event = match at_row(model, row) {
        Some((index, _)) if row < total(model) && (!following || row + 1 < total(model)) => {
            Some(index)
        }
        _ => None,
    };
}

/// The selected event.
pub(super) fn selected(model: &Model) -> Option<usize> {
    let row = model.list(Pane::Events)?.index;
    at_row(model, row)
        .map(|(index, _)| index)
        .filter(|index| *index < model.player.position())
}

/// Narrows the list.
pub(super) fn apply(model: &mut Model, condition: Condition) {
    model.filter = Some(Filter::new(condition, model.player.empty().clone()));
    model.event = None;
    search(model);
}

/// Moves the playhead to the moment right behind a match.
pub(super) fn jump(model: &mut Model, forward: bool) {
    let here = model.player.position();
    let listed = listed(model);
    if matches!(listed, Listed::All) {
        toast(model, "no filter is set; / sets one");
        return;
    }
    let row = match forward {
        true => Some(listed.before(here)),
        false => listed.before(here.saturating_sub(1)).checked_sub(1),
    };
    let found = row.and_then(|row| Some((row, listed.nth(row)?.0)));
    let all = listed.len();
    let searched = model
        .filter
        .as_ref()
        .map_or(model.player.len(), Filter::searched);
    let Some((row, index)) = found else {
        let text = match (forward, searched < model.player.len()) {
            (true, true) => "no match up to where the search has come; it goes on",
            (true, false) => "no match after this moment",
            (false, _) => "no match before this moment",
        };
        toast(model, text);
        return;
    };
    model.player.set_motion(Motion::Paused);
    model.player.seek(index + 1);
    model.event = None;
    toast(model, format!("match {} of {all}", row + 1));
}

/// The list's window, for keys that scroll it.
pub(super) fn list(model: &Model) -> (List, usize) {
    (
        model.list(Pane::Events).cloned().unwrap_or_default(),
        total(model),
    )
}
