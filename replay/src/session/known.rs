//! What each process settles of the rules, as long as it stays what it is.
//!
//! Owns: keeping a [`Standing`] for each process, and noticing that it is out of
//! date. Must not: say anything of its own; without it every answer is the same,
//! only later. A clone of the session begins without.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::quality::RandomState;

use super::process::{Processes, Program};
use crate::rules::Standing;

/// Processes remembered; more than these take the place of all.
const MAX_KNOWN: usize = 1024;
/// A process with more ancestors is asked anew for each event.
const MAX_ABOVE: usize = 64;

/// What processes settle.
#[derive(Debug, Default)]
pub(crate) struct Known {
    table: HashMap<u64, Who, RandomState>,
}

/// A clone has all that matters elsewhere.
impl Clone for Known {
    fn clone(&self) -> Self {
        Self::default()
    }
}

#[derive(Debug)]
struct Who {
    /// When it was last compared: [`Processes::turns`].
    turns: u64,
    /// What it and its ancestors executed.
    line: Vec<Option<Arc<Program>>>,
    payload: bool,
    standing: Standing,
}

impl Known {
    /// What this process settles, begun anew if it is not what it was.
    pub(crate) fn of(&mut self, key: u64, processes: &Processes) -> Option<&mut Standing> {
        if self.table.len() >= MAX_KNOWN && !self.table.contains_key(&key) {
            self.table.clear();
        }
        let turns = processes.turns();
        let who = self.table.entry(key).or_insert_with(|| Who {
            turns: u64::MAX,
            line: Vec::new(),
            payload: false,
            standing: Standing::default(),
        });
        if who.turns != turns {
            let payload = processes.get(key).is_some_and(|process| process.payload);
            let mut length = 0;
            let mut same = payload == who.payload;
            for (_, process) in processes.line(key).take(MAX_ABOVE + 1) {
                same &= match (who.line.get(length), &process.program) {
                    (Some(Some(old)), Some(new)) => Arc::ptr_eq(old, new),
                    (Some(None), None) => true,
                    _ => false,
                };
                length += 1;
            }
            if length > MAX_ABOVE {
                self.table.remove(&key);
                return None;
            }
            if !same || length != who.line.len() {
                let line = processes.line(key).take(MAX_ABOVE);
                who.line = line.map(|(_, process)| process.program.clone()).collect();
                who.payload = payload;
                who.standing = Standing::default();
            }
            who.turns = turns;
        }
        self.table.get_mut(&key).map(|who| &mut who.standing)
    }
}
