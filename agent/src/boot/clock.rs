//! The guest's clocks. Event time is monotonic; the wall clock is set once from
//! the host and only the payload looks at it.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

use super::BootError;

/// Nanoseconds since boot, on the clock that kernel programs stamp events with.
pub(crate) fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// Sets the wall clock.
pub(crate) fn set_wall(unix_nanos: u64) -> Result<(), BootError> {
    let since = Duration::from_nanos(unix_nanos);
    let time = Timespec {
        tv_sec: i64::try_from(since.as_secs()).unwrap_or(0),
        tv_nsec: i64::from(since.subsec_nanos()),
    };
    clock_settime(ClockId::Realtime, time).map_err(BootError::step("set the clock"))
}
