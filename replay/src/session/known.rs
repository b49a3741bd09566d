//! What each process settles of the rules, as long as it stays what it is, and
//! how the last searches went.
//!
//! Owns: keeping a [`Standing`] for each process, and noticing that it is out of
//! date. Must not: say anything of its own; without it every answer is the same,
//! only later. A clone of the session begins without.

use std::sync::Arc;

use super::process::{Lineage, Processes, Program};
use crate::cond::Trails;
use crate::rules::{Remembered, Standing};

/// Processes remembered; each has one place, and shares it with others.
const MAX_KNOWN: usize = 1024;
/// A process with more ancestors is asked anew for each event.
const MAX_ABOVE: usize = 64;

/// What processes settle.
#[derive(Debug, Default)]
pub(crate) struct Known {
    table: Vec<Option<Box<Who>>>,
    trails: Trails,
    lineage: Option<(u64, u64, Lineage)>,
}

/// A clone has all that matters elsewhere.
impl Clone for Known {
    fn clone(&self) -> Self {
        Self::default()
    }
}

#[derive(Debug)]
struct Who {
    key: u64,
    /// When it was last compared: [`Processes::turns`].
    turns: u64,
    /// What it and its ancestors executed.
    line: Vec<Option<Arc<Program>>>,
    payload: bool,
    standing: Standing,
}

impl Who {
    fn new(key: u64) -> Self {
        Self {
            key,
            turns: u64::MAX,
            line: Vec::new(),
            payload: false,
            standing: Standing::default(),
        }
    }

    /// Begun anew if it is not what it was. False where it cannot be told.
    fn is_current(&mut self, processes: &Processes) -> bool {
        let turns = processes.turns();
        if self.turns == turns {
            return true;
        }
        let payload = processes
            .get(self.key)
            .is_some_and(|process| process.payload);
        let mut length = 0;
        let mut same = payload == self.payload;
        for (_, process) in processes.line(self.key).take(MAX_ABOVE + 1) {
            same &= match (self.line.get(length), &process.program) {
                (Some(Some(old)), Some(new)) => Arc::ptr_eq(old, new),
                (Some(None), None) => true,
                _ => false,
            };
            length += 1;
        }
        if length > MAX_ABOVE {
            return false;
        }
        if !same || length != self.line.len() {
            let line = processes.line(self.key).take(MAX_ABOVE);
            self.line = line.map(|(_, process)| process.program.clone()).collect();
            self.payload = payload;
            self.standing = Standing::default();
        }
        self.turns = turns;
        true
    }
}

impl Known {
    /// What is remembered for an event of this process.
    pub(crate) fn of(&mut self, key: Option<u64>, processes: &Processes) -> Remembered<'_> {
        let Self { table, trails, .. } = self;
        Remembered {
            standing: key.and_then(|key| standing(table, key, processes)),
            trails,
        }
    }

    /// As [`Processes::lineage`]: a flood of findings of one process tells it once.
    pub(crate) fn lineage(&mut self, key: Option<u64>, processes: &Processes) -> Lineage {
        let Some(key) = key else {
            return Lineage::default();
        };
        let turns = processes.turns();
        match &self.lineage {
            Some((whose, when, known)) if (*whose, *when) == (key, turns) => Arc::clone(known),
            _ => {
                let told = processes.lineage(key);
                self.lineage = Some((key, turns, Arc::clone(&told)));
                told
            }
        }
    }
}

fn standing<'k>(
    table: &'k mut Vec<Option<Box<Who>>>,
    key: u64,
    processes: &Processes,
) -> Option<&'k mut Standing> {
    // Keys are numbers in order, so that processes of one time have places of their own.
    let place = usize::try_from(key).ok()? % MAX_KNOWN;
    if table.len() <= place {
        table.resize_with(place.saturating_add(1), || None);
    }
    let who = table.get_mut(place)?;
    if who.as_ref().is_none_or(|who| who.key != key) {
        *who = Some(Box::new(Who::new(key)));
    }
    let who = who.as_mut()?;
    who.is_current(processes).then_some(&mut who.standing)
}
