//! How fast the payload may make events.
//!
//! Owns: counting them, and letting the payload stand still for the rest of a
//! second whose share it has used up.
//! Must not: drop an event: a flood is slowed down at its source, before it fills
//! the ring buffer, the channel and the host's disk.
//!
//! What came in while the kernel stopped the payload counts against the seconds
//! that follow, so that no flood is faster than its limit for long. A second in
//! which nothing happened gives nothing to the next.

use belljar_event::LimitReached;

use crate::payload::{Freezer, Frozen};

const SECOND: u64 = 1_000_000_000;

/// The limit, and how much of this second's share is used up.
pub(crate) struct Pace {
    most: u32,
    freezer: Freezer,
    /// When this second began.
    since: u64,
    /// Events in it, and those that seconds before it had too many.
    made: u64,
    frozen: Option<Frozen>,
    told: bool,
}

impl Pace {
    /// Nothing where there is no limit.
    pub(crate) fn new(most: u32, freezer: Freezer) -> Option<Self> {
        (most > 0).then_some(Self {
            most,
            freezer,
            since: 0,
            made: 0,
            frozen: None,
            told: false,
        })
    }

    /// One more event, now. The first time that it is the last of a second's, it
    /// is told.
    pub(super) fn count(&mut self, now: u64) -> Option<LimitReached> {
        self.look(now);
        self.made = self.made.saturating_add(1);
        if self.made < u64::from(self.most) || self.frozen.is_some() {
            return None;
        }
        self.frozen = Some(self.freezer.freeze());
        (!std::mem::replace(&mut self.told, true)).then(|| LimitReached {
            what: "events".into(),
            limit: self.most.into(),
            unit: "a second".into(),
        })
    }

    /// Lets the payload go on, if a second with something left has begun.
    pub(super) fn look(&mut self, now: u64) {
        let seconds = now.saturating_sub(self.since) / SECOND;
        let share = seconds.saturating_mul(self.most.into());
        self.made = self.made.saturating_sub(share);
        self.since = self.since.saturating_add(seconds.saturating_mul(SECOND));
        if self.made < u64::from(self.most) {
            self.frozen = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that looks like a cgroup's.
    struct Cgroup(std::path::PathBuf);

    impl Cgroup {
        fn frozen(&self) -> bool {
            std::fs::read_to_string(self.0.join("cgroup.freeze")).unwrap() == "1"
        }
    }

    impl Drop for Cgroup {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn pace(name: &str, most: u32) -> (Cgroup, Pace) {
        let dir = std::env::temp_dir().join(format!("belljar-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("cgroup.freeze"), "0").unwrap();
        let pace = Pace::new(most, Freezer::of(&dir)).unwrap();
        (Cgroup(dir), pace)
    }

    #[test]
    fn a_share_used_up_stands_still_until_the_next_second() {
        let (cgroup, mut pace) = pace("pace", 3);
        let start = 50 * SECOND;
        assert!(pace.count(start).is_none());
        assert!(pace.count(start).is_none());
        assert!(!cgroup.frozen());
        let reached = pace.count(start + 1).unwrap();
        assert_eq!((reached.what.as_str(), reached.limit), ("events", 3));
        assert!(cgroup.frozen());
        pace.look(start + SECOND - 1);
        assert!(cgroup.frozen());
        pace.look(start + SECOND);
        assert!(!cgroup.frozen());
    }

    #[test]
    fn what_came_too_fast_is_paid_back_and_told_once() {
        let (cgroup, mut pace) = pace("debt", 10);
        // Ten were allowed, and thirty came before the payload stood still.
        let told: Vec<_> = (0..30).filter_map(|_| pace.count(SECOND)).collect();
        assert_eq!(told.len(), 1);
        for (second, still) in [(1, true), (2, true), (3, true), (4, false)] {
            pace.look(second * SECOND);
            assert_eq!(cgroup.frozen(), still, "{second}");
        }
        assert!(
            (0..10).all(|_| pace.count(4 * SECOND).is_none()),
            "told twice"
        );
        assert!(cgroup.frozen());
    }

    #[test]
    fn quiet_seconds_give_nothing_to_a_flood() {
        let (cgroup, mut pace) = pace("quiet", 5);
        pace.look(1000 * SECOND);
        (0..5).for_each(|_| drop(pace.count(1000 * SECOND)));
        assert!(cgroup.frozen());
    }

    #[test]
    fn no_limit_is_no_pace() {
        let (_cgroup, pace) = pace("none", 1);
        assert!(Pace::new(0, pace.freezer).is_none());
    }
}
