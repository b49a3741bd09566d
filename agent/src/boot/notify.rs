//! Held calls: the kernel's seccomp notifications.
//!
//! Owns: the three ioctls on a listener, and fetching a child's listener.
//! Must not: decide or read memory (`hold` does).
#![expect(unsafe_code, reason = "ioctls that have no safe wrapper")]

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd, RawFd};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

const RECV: libc::c_ulong = 0xc050_2100;
const SEND: libc::c_ulong = 0xc018_2101;
const ID_VALID: libc::c_ulong = 0x4008_2102;
const CONTINUE: u32 = 1;

/// A call that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notice {
    /// The kernel's number of it.
    pub(crate) id: u64,
    /// The thread.
    pub(crate) tid: u32,
    /// x86-64 number of the call.
    pub(crate) call: u16,
    /// Its arguments.
    pub(crate) args: [u64; 6],
}

/// Where calls are reported.
#[derive(Debug)]
pub(crate) struct Listener(OwnedFd);

impl Listener {
    /// A child's own listener, by its number there.
    pub(crate) fn of_child(pid: i32, fd: RawFd) -> io::Result<Self> {
        let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
        let process = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Self(pidfd_getfd(process, fd, PidfdGetfdFlags::empty())?))
    }

    /// The next call; one that was broken off meanwhile is an error.
    pub(crate) fn receive(&self) -> io::Result<Notice> {
        // SAFETY: plain data for which zeroes are valid, and what the kernel demands.
        let mut notice: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the request fills a `seccomp_notif`, which outlives the call.
        check(unsafe { libc::ioctl(self.0.as_raw_fd(), RECV, &raw mut notice) })?;
        Ok(Notice {
            id: notice.id,
            tid: notice.pid,
            call: u16::try_from(notice.data.nr).unwrap_or(u16::MAX),
            args: notice.data.args,
        })
    }

    /// Whether the call still waits: only then does its thread's memory belong to it.
    pub(crate) fn waits(&self, id: u64) -> bool {
        // SAFETY: the request reads a live number.
        check(unsafe { libc::ioctl(self.0.as_raw_fd(), ID_VALID, &raw const id) }).is_ok()
    }

    /// Lets the call go on.
    pub(crate) fn go_on(&self, id: u64) -> io::Result<()> {
        self.send(id, 0, CONTINUE)
    }

    /// Lets it fail.
    pub(crate) fn fail(&self, id: u64, errno: i32) -> io::Result<()> {
        self.send(id, -errno, 0)
    }

    fn send(&self, id: u64, error: i32, flags: u32) -> io::Result<()> {
        let answer = libc::seccomp_notif_resp {
            id,
            val: 0,
            error,
            flags,
        };
        // SAFETY: the request reads a `seccomp_notif_resp`, which outlives the call.
        check(unsafe { libc::ioctl(self.0.as_raw_fd(), SEND, &raw const answer) })
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
