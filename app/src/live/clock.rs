//! The guest's clock as the host sees it.
//!
//! Owns: the translation of host time to guest time, fixed at the handshake.
//! Events that the host makes itself carry guest time, so that a trace has one
//! time line and nothing of the host's clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Guest time now, estimated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GuestClock {
    host: Instant,
    guest: u64,
    /// The machine stands still: so does its clock.
    stopped: bool,
}

impl GuestClock {
    /// The guest said that its monotonic clock stands at `guest` now.
    pub(crate) fn set(guest: u64) -> Self {
        Self {
            host: Instant::now(),
            guest,
            stopped: false,
        }
    }

    /// The machine stands still from now on.
    pub(crate) fn stop(&mut self) {
        self.guest = self.now();
        self.stopped = true;
    }

    /// It goes on.
    pub(crate) fn go_on(&mut self) {
        self.host = Instant::now();
        self.stopped = false;
    }

    /// Guest monotonic nanoseconds.
    pub(crate) fn now(&self) -> u64 {
        if self.stopped {
            return self.guest;
        }
        let passed = u64::try_from(self.host.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.guest.saturating_add(passed)
    }
}

/// The host's time of day, for the guest's clock: never recorded.
pub(super) fn unix_nanos() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
