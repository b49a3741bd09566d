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
    ///
    /// One far end stays with us until [`Carrier::finish`]. Without it the last
    /// process that closes its own would end the carrying, and our end's closing
    /// hang up on processes that go on, and may open the terminal anew.
    pub(super) fn carry(self, sink: EventSink) -> io::Result<Carrier> {
        let far = self.far()?;
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
        Ok(Carrier { thread, far })
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
pub(super) struct Carrier {
    thread: JoinHandle<()>,
    far: OwnedFd,
}

impl Carrier {
    /// Waits until everything written is queued; every process is gone already.
    pub(super) fn finish(self) {
        // What was written is read before the near end says that nobody is left.
        drop(self.far);
        // A panic there has ended the machine.
        let _ = self.thread.join();
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use belljar_event::Fact;
    use rustix::fs::{Mode, OFlags, open};
    use rustix::pty::ptsname;

    use super::*;
    use crate::seam::Item;

    /// What is carried of what `write` does at the far end, which it is given, and
    /// whose path it is told. `None` where nobody may hand out a terminal.
    fn carried(write: impl FnOnce(OwnedFd, &str)) -> Option<String> {
        let terminal = Terminal::open(40, 120).unwrap();
        let path = ptsname(&terminal.near, Vec::new()).unwrap();
        let far = match terminal.far() {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return None,
            far => far.unwrap(),
        };
        let (sink, mut items) = EventSink::new();
        let carrier = terminal.carry(sink).unwrap();
        write(far, path.to_str().unwrap());
        carrier.finish();
        let mut all = Vec::new();
        while let Some(item) = items.blocking_recv() {
            let Item::Event(event) = item else { continue };
            let Fact::Output(output) = event.fact else {
                continue;
            };
            all.extend_from_slice(&output.bytes);
        }
        Some(String::from_utf8(all).unwrap())
    }

    #[test]
    fn a_terminal_that_everybody_closed_can_be_opened_anew() {
        let all = carried(|far, path| {
            let say = |far: OwnedFd, word: &[u8]| {
                rustix::io::write(&far, word).unwrap();
            };
            say(far, b"one\n");
            // Longer than the near end needs to notice.
            std::thread::sleep(std::time::Duration::from_millis(50));
            let again = open(path, OFlags::WRONLY | OFlags::NOCTTY, Mode::empty());
            say(again.unwrap(), b"two\n");
        });
        if let Some(all) = all {
            assert_eq!(all, "one\r\ntwo\r\n");
        }
    }

    #[test]
    fn nothing_is_lost_at_the_end() {
        // Short programs one after the other, and more than the kernel keeps.
        let script = "echo one; cat /dev/null; echo two | cat; seq 2000 | cat; sh -c 'echo three'";
        let lines = (1..=2000).map(|line| format!("{line}\r\n"));
        let want = format!("one\r\ntwo\r\n{}three\r\n", lines.collect::<String>());
        for _ in 0..50 {
            let all = carried(|far, _| {
                let mut shell = Command::new("sh");
                shell.args(["-c", script]).stdin(Stdio::null());
                let status = shell.stdout(far).status();
                assert!(status.unwrap().success());
            });
            // Not root.
            let Some(all) = all else { return };
            assert_eq!(all, want);
        }
    }
}
