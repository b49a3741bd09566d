//! Waiting: as PID 1 the agent inherits every orphan of the payload.

use std::time::{Duration, Instant};

use belljar_event::Status;
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

use super::{Cgroup, PayloadError};

/// How long what the first process left behind may go on.
const GRACE: Duration = Duration::from_millis(500);
const STEP: Duration = Duration::from_millis(10);

/// Waits for the first process, then for the rest, ending it after a moment.
/// Nobody else may wait for children meanwhile. Returns the first one's status.
pub(super) fn until_gone(first: i32, cgroup: &Cgroup) -> Result<Status, PayloadError> {
    let first = Pid::from_raw(first);
    let status = loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if Some(pid) == first => break status,
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(PayloadError::Wait(e)),
        }
    };
    let since = Instant::now();
    while cgroup.is_populated()? && since.elapsed() < GRACE {
        reap()?;
        std::thread::sleep(STEP);
    }
    cgroup.kill()?;
    loop {
        reap()?;
        if !cgroup.is_populated()? {
            break;
        }
        std::thread::sleep(STEP);
    }
    reap()?;
    Ok(convert(status))
}

/// Takes every child that has ended.
fn reap() -> Result<(), PayloadError> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(Errno::CHILD) => return Ok(()),
            Err(e) => return Err(PayloadError::Wait(e)),
        }
    }
}

fn convert(status: WaitStatus) -> Status {
    let small = |number: i32| u8::try_from(number & 0xff).unwrap_or(u8::MAX);
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Status::Code(small(code)),
        (None, Some(signal)) => Status::Signal(small(signal)),
        (None, None) => Status::Signal(0),
    }
}
