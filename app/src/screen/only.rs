//! Only what one process, and what it started, did: files, network and the list of
//! events follow the process that is selected.
//!
//! Owns: which events those are, and a fold of them alone, a bounded piece at a
//! time. Must not: judge: findings and the verdict are those of the whole.

use std::collections::{HashMap, HashSet};

use belljar_event::Fact;
use belljar_recorder::Entry;
use belljar_replay::session::Session;

use super::model::{Model, Pane};
use super::rows::RowKey;
use super::update::toast;

/// Entries folded at a time.
const PIECE: usize = 20_000;

/// A process, and what it and its children did up to the playhead.
#[derive(Clone)]
pub(super) struct Only {
    key: u64,
    /// What it is called: its words, escaped.
    pub(super) name: String,
    /// When which pid is one of them.
    lives: HashMap<u32, Vec<(u64, u64)>>,
    /// How many processes there were when that was found out.
    known: u64,
    session: Session,
    /// How many entries were looked at.
    at: usize,
    /// Their own entries, ascending, up to `listed`: what follows goes on ahead of the
    /// playhead and never back.
    entries: Vec<usize>,
    listed: usize,
    /// The flows that they asked for: what became of these is told by the host.
    flows: HashSet<u64>,
}

/// Flows that are followed.
const MAX_FLOWS: usize = 65_536;

impl Only {
    fn new(model: &Model, key: u64) -> Self {
        let mut only = Self {
            key,
            name: String::new(),
            lives: HashMap::new(),
            known: 0,
            session: model.player.empty().clone(),
            at: 0,
            entries: Vec::new(),
            listed: 0,
            flows: HashSet::new(),
        };
        only.learn(model.player.tip());
        only
    }

    /// Which process, and how far it is folded: the session is the same while this is.
    pub(super) fn made(&self) -> (u64, usize) {
        (self.key, self.at)
    }

    /// What they did.
    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// How far the fold is behind the playhead, if it is.
    pub(super) fn percent(&self, position: usize) -> Option<usize> {
        (self.at != position).then(|| self.at * 100 / position.max(1))
    }

    /// Finds out which processes belong to it.
    fn learn(&mut self, tip: &Session) {
        let known = tip.counts().processes;
        if known == self.known {
            return;
        }
        self.known = known;
        self.lives.clear();
        let mut inside = HashSet::from([self.key]);
        for row in tip.processes() {
            let below = row.parent.is_some_and(|parent| inside.contains(&parent));
            if row.key != self.key && !below {
                continue;
            }
            if row.key == self.key {
                let words = super::rows::command(&row);
                self.name = format!("{words} (pid {})", row.pid);
            }
            inside.insert(row.key);
            let end = row.ended.as_ref().map_or(u64::MAX, |(at, _)| *at);
            let lives = self.lives.entry(row.pid).or_default();
            lives.push((row.started, end));
        }
    }

    /// Which process.
    pub(super) fn key(&self) -> u64 {
        self.key
    }

    /// Their own entries, ascending, as far as they were looked for.
    pub(super) fn entries(&self) -> &[usize] {
        &self.entries
    }

    /// How far that is.
    pub(super) fn listed(&self) -> usize {
        self.listed
    }

    /// Looks for their entries a piece further; true if nothing is left to look at.
    fn list(&mut self, model: &Model) -> bool {
        let end = model.player.len().min(self.listed.saturating_add(PIECE));
        while self.listed < end {
            let Some(entry) = model.player.entry(self.listed) else {
                break;
            };
            if self.is_theirs(&entry) {
                self.entries.push(self.listed);
            }
            self.listed += 1;
        }
        self.listed == model.player.len()
    }

    /// One of them did it, or it is about a flow that one of them asked for.
    fn is_theirs(&mut self, entry: &Entry) -> bool {
        let theirs = entry.event().pid != 0 && self.has(entry);
        match &entry.event().fact {
            Fact::FlowAsked(asked) if theirs => {
                if self.flows.len() < MAX_FLOWS {
                    self.flows.insert(asked.flow);
                }
                true
            }
            Fact::Decision(fact) => theirs || self.flows.contains(&fact.flow),
            Fact::FlowOpened(fact) => theirs || self.flows.contains(&fact.flow),
            Fact::FlowClosed(fact) => theirs || self.flows.contains(&fact.flow),
            Fact::TlsHello(fact) => theirs || self.flows.contains(&fact.flow),
            Fact::HttpRequest(fact) => theirs || self.flows.contains(&fact.flow),
            Fact::CanarySeen(fact) => theirs || self.flows.contains(&fact.flow),
            _ => theirs,
        }
    }

    /// What no process did (the policy, decoys, how flows went) belongs to all.
    fn has(&self, entry: &Entry) -> bool {
        let (pid, at) = (entry.event().pid, entry.at());
        let lives = |lives: &Vec<(u64, u64)>| {
            let mut lives = lives.iter();
            lives.any(|(from, to)| (*from..=*to).contains(&at))
        };
        pid == 0 || self.lives.get(&pid).is_some_and(lives)
    }

    /// Folds on towards the playhead; true once it is there.
    fn advance(&mut self, model: &Model) -> bool {
        let target = model.player.position();
        self.learn(model.player.tip());
        if self.at > target {
            (self.session, self.at) = (model.player.empty().clone(), 0);
        }
        let end = target.min(self.at.saturating_add(PIECE));
        while self.at < end {
            let Some(entry) = model.player.entry(self.at) else {
                break;
            };
            if self.has(&entry) {
                self.session.follow(&entry);
            }
            self.at += 1;
        }
        self.list(model) && self.at == target
    }
}

fn selected(model: &Model) -> Option<u64> {
    let list = model.list(Pane::Processes)?;
    match model.rows.key(Pane::Processes, list.index)? {
        RowKey::Process(key) | RowKey::Finished(key) => Some(*key),
        _ => None,
    }
}

/// Follows the selected process, or no longer.
pub(super) fn toggle(model: &mut Model) {
    if model.only.take().is_some() {
        toast(model, "files, network and events of every process");
        return;
    }
    let Some(key) = selected(model) else {
        toast(model, "no process is selected");
        return;
    };
    let only = Only::new(model, key);
    toast(
        model,
        format!(
            "files, network and events of {} alone; f: of all",
            only.name
        ),
    );
    model.only = Some(only);
    if let Some(list) = model.lists.get_mut(Pane::Processes as usize) {
        list.key = list.key.take().or(Some(RowKey::Process(key)));
    }
}

/// Keeps up with the playhead and with the selection; true if nothing is left to do.
pub(super) fn keep_up(model: &mut Model) -> bool {
    let Some(mut only) = model.only.take() else {
        return true;
    };
    let list = model.list(Pane::Processes);
    if let Some(RowKey::Process(key)) = list.and_then(|list| list.key.as_ref())
        && *key != only.key
    {
        only = Only::new(model, *key);
    }
    let done = only.advance(model);
    model.only = Some(only);
    done
}
