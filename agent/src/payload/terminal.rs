//! The payload's terminal: it has the far end, the agent reads the near one.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::thread::JoinHandle;

use belljar_event::Output;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Gid, Mode, Uid, fchmod, fchown};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::seam::EventSink;
use crate::setup::USER_ID;

/// Largest piece of output in one event.
const CHUNK: usize = 16 * 1024;
/// How soon the next piece must come to be of the same event.
const CLOSELY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 5_000_000,
};
/// The group `tty`.
const TTY: u32 = 5;

pub(super) struct Terminal {
    near: OwnedFd,
}

impl Terminal {
    /// A new one of this size.
    pub(super) fn open(rows: u16, columns: u16) -> io::Result<Self> {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        unlockpt(&near)?;
        let size = Winsize {
            ws_row: rows.clamp(2, 1000),
            ws_col: columns.clamp(2, 1000),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&near, size)?;
        Ok(Self { near })
    }

    /// The payload's end, which belongs to it as a login's does.
    pub(super) fn far(&self) -> io::Result<OwnedFd> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let far = ioctl_tiocgptpeer(&self.near, flags)?;
        fchown(&far, Some(Uid::from_raw(USER_ID)), Some(Gid::from_raw(TTY)))?;
        fchmod(&far, Mode::from_raw_mode(0o620))?;
        Ok(far)
    }

    /// Starts to carry what the payload writes.
    pub(super) fn carry(self, sink: EventSink) -> io::Result<Carrier> {
        let mut near = File::from(self.near);
        let thread = std::thread::Builder::new()
            .name("terminal".into())
            .spawn(move || {
                let mut chunk = vec![0; CHUNK];
                loop {
                    let (count, more) = fill(&mut near, &mut chunk);
                    let bytes = chunk.get(..count).unwrap_or_default();
                    if count > 0
                        && sink
                            .state(Output {
                                bytes: bytes.into(),
                            })
                            .is_err()
                    {
                        break;
                    }
                    if !more {
                        break;
                    }
                }
            })?;
        Ok(Carrier(thread))
    }
}

/// Waits for output, then takes what follows closely: a terminal hands on a
/// line in several pieces. Returns how much there is, and whether more may come.
fn fill(near: &mut File, chunk: &mut [u8]) -> (usize, bool) {
    let mut count = 0;
    while let Some(room) = chunk.get_mut(count..).filter(|room| !room.is_empty()) {
        if count > 0 {
            let mut fds = [PollFd::new(near, PollFlags::IN)];
            if !poll(&mut fds, Some(&CLOSELY)).is_ok_and(|ready| ready > 0) {
                break;
            }
        }
        match near.read(room) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            // EIO: nobody has the far end any more.
            Ok(0) | Err(_) => return (count, false),
            Ok(more) => count += more,
        }
    }
    (count, true)
}

/// The thread that carries output.
pub(super) struct Carrier(JoinHandle<()>);

impl Carrier {
    /// Waits until everything written is queued; every process is gone already.
    pub(super) fn finish(self) {
        // A panic there has ended the machine.
        let _ = self.0.join();
    }
}
