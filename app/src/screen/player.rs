//! The entries known so far, and the session at the playhead.
//!
//! Owns: the tip (all entries folded), the shown session where it is another,
//! checkpoints for seeking back, and pace. Folding to where the playhead was moved
//! is in `way`, folding everything again in `rejudge`. Live and replay are the same here:
//! entries come in at the end, the playhead stands somewhere.
//! Must not: know a clock. Time comes with entries and with ticks.

mod rejudge;
mod way;

use belljar_recorder::{Entry, Shelf, Taken};
use belljar_replay::session::Session;

/// One second.
pub(super) const SECOND: u64 = 1_000_000_000;
/// A pause in the recording never plays longer than this, unless it is said otherwise.
const IDLE: u64 = 2 * SECOND;
/// Entries between two checkpoints at first; doubles when there are too many.
const SPACING: usize = 4096;
/// Checkpoints kept at most.
const CHECKPOINTS: usize = 192;
/// How far before the playhead one more checkpoint is kept, so that stepping back is instant.
const NEAR: usize = 256;
/// Entries folded at once when the playhead is moved: as many as lie between two
/// checkpoints at first. What is farther is folded a piece at a time.
const AT_ONCE: usize = SPACING;
/// Entries folded at a time while it plays or is judged again, a millisecond or two of
/// work: between two pieces there are keys and pictures.
const PIECE: usize = 1_000;

/// Speeds as fractions.
const SPEEDS: &[(u64, u64, &str)] = &[
    (1, 4, "0.25×"),
    (1, 2, "0.5×"),
    (1, 1, "1×"),
    (2, 1, "2×"),
    (4, 1, "4×"),
    (8, 1, "8×"),
    (16, 1, "16×"),
    (32, 1, "32×"),
    (64, 1, "64×"),
];
const NORMAL: usize = 2;

/// How the playhead moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Motion {
    /// It stands at the newest entry, whatever comes.
    Following,
    /// It moves at the pace of the recording.
    Playing,
    /// It stands.
    Paused,
}

/// Entries, sessions and the playhead.
#[derive(Clone)]
pub(super) struct Player {
    entries: Shelf,
    /// All entries folded.
    tip: Session,
    /// The entries before the playhead folded; `None`: that is the tip.
    shown: Option<Session>,
    /// How many entries stand before the playhead.
    position: usize,
    /// The playhead's time; between two entries while it plays.
    clock: u64,
    /// Time that is still to be played: what lies in it is folded a piece at a time.
    owed: u64,
    motion: Motion,
    speed: usize,
    spacing: usize,
    /// Nothing folded.
    empty: Session,
    checkpoints: Vec<(usize, Session)>,
    near: Option<(usize, Session)>,
    /// The fold that is to be shown, where the playhead was moved far: how many entries
    /// it has. Until it gets there, what was shown before is.
    way: Option<(usize, Session)>,
    at_once: usize,
    /// Longest pause while it plays.
    idle: u64,
    again: Option<rejudge::Rejudging>,
    /// Grows whenever the shown session, or the tip, may be another.
    fold: u64,
    /// Grows whenever the tip may be.
    tip_fold: u64,
}

impl Player {
    /// `tip`: a session that has seen nothing. `idle`: the longest pause while it plays.
    pub(super) fn new(tip: Session, motion: Motion, idle: Option<u64>) -> Self {
        Self {
            entries: Shelf::default(),
            empty: tip.clone(),
            checkpoints: Vec::new(),
            tip,
            shown: None,
            position: 0,
            clock: 0,
            owed: 0,
            motion,
            speed: NORMAL,
            spacing: SPACING,
            near: None,
            way: None,
            at_once: AT_ONCE,
            idle: idle.unwrap_or(IDLE),
            again: None,
            fold: 0,
            tip_fold: 0,
        }
    }

    /// The same as long as nothing about both sessions has changed.
    pub(super) fn fold(&self) -> u64 {
        self.fold
    }

    /// Takes what was recorded since; shows it if it follows.
    pub(super) fn append(&mut self, entries: Vec<Entry>) {
        if entries.is_empty() {
            return;
        }
        self.fold += 1;
        self.tip_fold += 1;
        let first = self.entries.is_empty();
        if self.motion != Motion::Following && self.shown.is_none() {
            self.shown = Some(self.tip.clone());
        }
        for entry in entries {
            self.tip.push(&entry);
            self.entries.push(entry);
            if self.entries.len().is_multiple_of(self.spacing) {
                self.checkpoint();
            }
        }
        if first {
            self.clock = self.entries.first_time().unwrap_or(0);
        }
        if self.motion == Motion::Following {
            self.go_to_end();
        }
    }

    fn checkpoint(&mut self) {
        self.checkpoints
            .push((self.entries.len(), self.tip.clone()));
        if self.checkpoints.len() > CHECKPOINTS {
            self.spacing *= 2;
            let spacing = self.spacing;
            self.checkpoints
                .retain(|(at, _)| at.is_multiple_of(spacing));
        }
    }

    /// The same as long as nothing about everything that is known has changed.
    pub(super) fn tip_fold(&self) -> u64 {
        self.tip_fold
    }

    /// Folds so many entries at once at most.
    #[cfg(test)]
    pub(super) fn fold_at_once(&mut self, most: usize) {
        self.at_once = most;
    }

    /// The session at the playhead.
    pub(super) fn session(&self) -> &Session {
        self.shown.as_ref().unwrap_or(&self.tip)
    }

    /// The session with everything that is known.
    pub(super) fn tip(&self) -> &Session {
        &self.tip
    }

    /// A session that has seen nothing of this recording.
    pub(super) fn empty(&self) -> &Session {
        &self.empty
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of the entries that are packed.
    #[cfg(test)]
    pub(super) fn packed(&self) -> usize {
        self.entries.packed()
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn motion(&self) -> Motion {
        self.motion
    }

    pub(super) fn speed(&self) -> &'static str {
        SPEEDS.get(self.speed).map_or("1×", |(_, _, name)| name)
    }

    pub(super) fn is_normal_speed(&self) -> bool {
        self.speed == NORMAL
    }

    /// The playhead's time.
    pub(super) fn now(&self) -> u64 {
        self.clock
    }

    /// First and last time on the timeline.
    pub(super) fn range(&self) -> (u64, u64) {
        let first = self.entries.first_time().unwrap_or(0);
        (first, self.entries.last_time().unwrap_or(first))
    }

    pub(super) fn entry(&self, index: usize) -> Option<Taken<'_>> {
        self.entries.get(index)
    }

    /// When the entry with this sequence number was recorded.
    pub(super) fn time_of(&self, seq: u64) -> Option<u64> {
        self.entries.time_of(seq)
    }

    /// Where the entry with this sequence number stands.
    pub(super) fn index_of(&self, seq: u64) -> Option<usize> {
        self.entries.index_of(seq)
    }

    /// The first entry that is not before this time.
    pub(super) fn since(&self, time: u64) -> Option<usize> {
        let before = time.checked_sub(1).map(|time| self.entries.until(time));
        let index = before.unwrap_or(0);
        (index < self.entries.len()).then_some(index)
    }

    /// Moves the playhead so that `target` entries stand before it.
    pub(super) fn seek(&mut self, target: usize) {
        let target = target.min(self.entries.len());
        self.owed = 0;
        self.fold_to(target);
        if let Some(last) = target
            .checked_sub(1)
            .and_then(|last| self.entries.time(last))
        {
            self.clock = last;
        } else {
            self.clock = self.range().0;
        }
    }

    /// Moves the playhead to a time.
    pub(super) fn seek_time(&mut self, time: u64) {
        let (first, last) = self.range();
        let time = time.clamp(first, last);
        self.owed = 0;
        self.fold_to(self.entries.until(time));
        self.clock = time;
    }

    pub(super) fn go_to_end(&mut self) {
        self.fold += 1;
        self.way = None;
        self.position = self.entries.len();
        self.shown = None;
        self.clock = self.range().1;
    }

    pub(super) fn set_motion(&mut self, motion: Motion) {
        self.motion = motion;
        self.owed = 0;
        if motion == Motion::Following {
            self.go_to_end();
        }
    }

    pub(super) fn change_speed(&mut self, faster: bool) {
        let next = if faster {
            self.speed + 1
        } else {
            self.speed.saturating_sub(1)
        };
        self.speed = next.min(SPEEDS.len() - 1);
    }

    /// Moves on by `nanos` of the watcher's time, as far as one piece; true if
    /// something new is shown.
    pub(super) fn tick(&mut self, nanos: u64) -> bool {
        let (times, over, _) = SPEEDS.get(self.speed).copied().unwrap_or((1, 1, ""));
        let due = nanos.saturating_mul(times) / over;
        // What cannot be folded in time plays slower: it is not made up for later.
        self.owed = self.owed.min(due).saturating_add(due);
        self.play_on()
    }

    /// Whether there is more to fold before what is shown is as far as it should be.
    pub(super) fn is_behind(&self) -> bool {
        self.motion == Motion::Playing && self.owed > 0 && self.position < self.entries.len()
    }

    /// Plays one piece more; true if something new is shown.
    pub(super) fn play_on(&mut self) -> bool {
        let owed = std::mem::take(&mut self.owed);
        if self.motion != Motion::Playing || self.way.is_some() {
            return false;
        }
        let before = (self.position, self.clock);
        let mut clock = self.clock.saturating_add(owed);
        let mut target = self.position;
        while let Some(next) = self.entries.time(target) {
            let last = target
                .checked_sub(1)
                .and_then(|at| self.entries.time(at))
                .unwrap_or(next);
            let due = next.min(last.saturating_add(self.idle));
            if due > clock {
                break;
            }
            if target - self.position == PIECE {
                // Nothing is shown as past that is not folded yet.
                self.owed = clock - due;
                clock = due;
                break;
            }
            // What was idle beyond the limit is left out.
            clock += next - due;
            target += 1;
        }
        self.fold_to(target);
        self.clock = if target == self.entries.len() {
            clock.min(self.range().1)
        } else {
            clock
        };
        before != (self.position, self.clock)
    }
}
