//! To where the playhead was moved.
//!
//! Owns: the fold that is to be shown there, from what is nearest, at once or a
//! piece at a time. Must not: show anything between: until the fold is there, what
//! was shown before stays.

use belljar_replay::session::Session;

use super::{NEAR, PIECE, Player};

impl Player {
    /// Whether the playhead was moved to where nothing is folded yet.
    pub(in crate::screen) fn is_on_its_way(&self) -> bool {
        self.way.is_some()
    }

    /// Folds one piece more of the way to the playhead; true if it has got there.
    pub(in crate::screen) fn go_on(&mut self) -> bool {
        let Some((at, session)) = self.way.take() else {
            return true;
        };
        self.fold_from(at, session, PIECE);
        self.way.is_none()
    }

    /// Folds all that is left of it.
    pub(in crate::screen) fn arrive(&mut self) {
        while !self.go_on() {}
    }

    /// Moves the playhead, and folds forward from the nearest known session.
    pub(super) fn fold_to(&mut self, target: usize) {
        let is_end = target == self.entries.len();
        let stands = target == self.position && self.way.is_none();
        if stands && (is_end || self.shown.is_some()) {
            return;
        }
        if is_end {
            self.position = target;
            self.shown = None;
            self.way = None;
            self.fold += 1;
            return;
        }
        let (at, session) = self.nearest(target);
        self.position = target;
        // What is far is not begun before the playhead is seen to have moved.
        let is_near = target - at <= self.at_once;
        self.fold_from(at, session, if is_near { self.at_once } else { 0 });
    }

    /// Folds as many entries at most on the way to the playhead.
    fn fold_from(&mut self, mut at: usize, mut session: Session, most: usize) {
        let target = self.position;
        let end = target.min(at.saturating_add(most));
        while at < end {
            if at + NEAR == target {
                self.near = Some((at, session.clone()));
            }
            let Some(entry) = self.entries.get(at) else {
                // Nothing else can be shown there.
                self.position = at;
                break;
            };
            session.push(&entry);
            at += 1;
        }
        if at < self.position {
            self.way = Some((at, session));
            return;
        }
        self.fold += 1;
        self.shown = Some(session);
    }

    /// Takes the session that needs the least folding to reach `target`.
    fn nearest(&mut self, target: usize) -> (usize, Session) {
        let last = self.checkpoints.partition_point(|(at, _)| *at <= target);
        let kept = last.checked_sub(1).and_then(|at| self.checkpoints.get(at));
        let near = self.near.as_ref().filter(|(at, _)| *at <= target);
        let best = [kept, near].into_iter().flatten().max_by_key(|(at, _)| *at);
        let reach = best.map_or(0, |(at, _)| *at);
        let goes_on = |at: &usize| (reach..=target).contains(at);
        let own = match self.way.take() {
            Some(way) => Some(way).filter(|(at, _)| goes_on(at)),
            None if !goes_on(&self.position) => None,
            // It goes on as what is to be shown at once, or stands meanwhile.
            None if target - self.position <= self.at_once => {
                self.shown.take().map(|shown| (self.position, shown))
            }
            None => self.shown.clone().map(|shown| (self.position, shown)),
        };
        match own {
            Some(own) => own,
            None => best.cloned().unwrap_or_else(|| (0, self.empty.clone())),
        }
    }
}
