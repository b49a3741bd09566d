//! Asking the rules about one event: those that it and its process leave.
//!
//! Owns: [`Standing`], what a process settles of the rules for all its events,
//! and the order of asking. Must not: know processes; whoever keeps a standing
//! drops it when the process changes.

use std::sync::Arc;

use super::asked::Rows;
use super::{Rule, Said};
use crate::cond::{Memo, Past, ROW_WORDS, Subject, Trails, Truth, members};

/// Events of a type that a process has before it pays to look at what it settles.
const SELDOM: u8 = 2;

/// What a process settles, by event type.
#[derive(Debug, Default)]
pub(crate) struct Standing(Vec<Settled>);

#[derive(Debug)]
struct Settled {
    at: usize,
    seen: u8,
    /// Rows of the type that it does not settle as a no.
    alive: Option<Box<[u64]>>,
}

impl Standing {
    fn of(&mut self, at: usize) -> Option<&mut Settled> {
        let known = self.0.iter().position(|known| known.at == at);
        if known.is_none() {
            self.0.push(Settled {
                at,
                seen: 0,
                alive: None,
            });
        }
        let place = known.unwrap_or(self.0.len().saturating_sub(1));
        self.0.get_mut(place)
    }
}

/// What is remembered from event to event, so that less need be asked. It changes
/// no answer.
pub(crate) struct Remembered<'a> {
    /// Of the event's process.
    pub(crate) standing: Option<&'a mut Standing>,
    pub(crate) trails: &'a mut Trails,
}

/// An event, and what is to be asked about it.
pub(super) struct Weighing<'a> {
    pub(super) rules: &'a [Arc<Rule>],
    pub(super) asked: &'a Rows,
    pub(super) subject: &'a dyn Subject,
    pub(super) at: usize,
}

impl Weighing<'_> {
    /// Asks in the order of rows. `room` is for the answers that rows share.
    pub(super) fn rows(
        &self,
        room: &mut [u8],
        remembered: Option<Remembered<'_>>,
        found: &mut dyn FnMut(Said<'_>),
    ) {
        let (standing, trails) = self.split(remembered);
        let mut memo = Memo::new(&self.asked.kept, room, trails);
        let Some(gates) = &self.asked.gates else {
            let all = 0..self.asked.rows.len();
            all.for_each(|row| self.row(row, &mut memo, found));
            return;
        };
        let mut settled = standing
            .filter(|_| gates.has_standing())
            .and_then(|standing| standing.of(self.at));
        if let Some(settled) = &mut settled {
            if settled.alive.is_none() && settled.seen >= SELDOM {
                let rows = self.asked.rows.iter().map(|row| &row.left);
                settled.alive = Some(gates.alive(&mut memo, self.subject, rows));
            }
            settled.seen = settled.seen.saturating_add(1);
        }
        let alive = settled
            .as_ref()
            .and_then(|settled| settled.alive.as_deref());
        let mut words = [0; ROW_WORDS];
        let open = words.get_mut(..gates.words()).unwrap_or_default();
        gates.open(&mut memo, self.subject, alive, open);
        members(open).for_each(|row| self.row(row, &mut memo, found));
    }

    fn split<'r>(
        &self,
        remembered: Option<Remembered<'r>>,
    ) -> (Option<&'r mut Standing>, &'r mut [Past]) {
        match remembered {
            Some(Remembered { standing, trails }) => {
                (standing, trails.of(self.at, self.asked.kept.searches()))
            }
            None => (None, &mut []),
        }
    }

    fn row(&self, row: usize, memo: &mut Memo<'_>, found: &mut dyn FnMut(Said<'_>)) {
        let Some(row) = self.asked.rows.get(row) else {
            return;
        };
        let truth = row.left.matches(self.subject, memo);
        if truth != Truth::No
            && let Some(rule) = self.rules.get(row.rule as usize)
        {
            found(Said {
                rule,
                number: row.rule,
                step: usize::from(row.step),
                truth,
            });
        }
    }
}
