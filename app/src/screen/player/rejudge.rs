//! Folding the same entries again, by other rules.
//!
//! Owns: the second fold, a bounded piece at a time, and the change from one to
//! the other. Must not: move the playhead: who looks at a moment goes on doing so.

use belljar_replay::session::Session;

use super::{CHECKPOINTS, PIECE, Player};

/// A fold by rules that are not in force yet.
#[derive(Clone)]
pub(super) struct Rejudging {
    /// Nothing folded.
    empty: Session,
    tip: Session,
    /// How many entries it has folded.
    at: usize,
    checkpoints: Vec<(usize, Session)>,
}

impl Player {
    /// Begins to fold everything again, from this session that has seen nothing.
    pub(in crate::screen) fn rejudge(&mut self, empty: Session) {
        self.again = Some(Rejudging {
            tip: empty.clone(),
            empty,
            at: 0,
            checkpoints: Vec::new(),
        });
    }

    /// How many entries of how many are folded again, while that goes on.
    pub(in crate::screen) fn rejudged(&self) -> Option<(usize, usize)> {
        self.again.as_ref().map(|again| (again.at, self.len()))
    }

    /// Folds on; true if the new fold is from now on the one that is shown.
    pub(in crate::screen) fn rejudge_on(&mut self) -> bool {
        let Some(mut again) = self.again.take() else {
            return false;
        };
        let end = self.len().min(again.at.saturating_add(PIECE));
        while again.at < end {
            let Some(entry) = self.entries.get(again.at) else {
                break;
            };
            again.tip.push(&entry);
            again.at += 1;
            if again.at.is_multiple_of(self.spacing) && again.checkpoints.len() <= CHECKPOINTS {
                again.checkpoints.push((again.at, again.tip.clone()));
            }
        }
        if again.at < self.len() {
            self.again = Some(again);
            return false;
        }
        (self.empty, self.tip) = (again.empty, again.tip);
        self.checkpoints = again.checkpoints;
        (self.near, self.shown, self.way) = (None, None, None);
        self.fold += 1;
        self.tip_fold += 1;
        // What the old rules said is not shown any more, not for a moment.
        self.fold_to(self.position);
        self.arrive();
        true
    }
}
