//! Where the host is met: a virtio port, or a listener on vsock.
//!
//! Owns: finding it and taking the host in. Must not: let anybody but the host connect.
//!
//! Which of the two there is depends on the hypervisor. The payload can open
//! neither: the port is root's, and its filter knows no vsock.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use belljar_event::wire::VSOCK_PORT;
use rustix::event::{PollFd, PollFlags, poll};

use super::LinkError;
use super::port::{Port, failed};
use crate::boot::raw;

const NAME: &str = "belljar.0";
const CLASS: &str = "/sys/class/virtio-ports";
const DEVICES: &str = "/sys/bus/virtio/devices";
/// The number of socket devices in the virtio standard, as the kernel prints it.
const VSOCK_DEVICE: &str = "0x0013";
const WAIT: Duration = Duration::from_secs(60);
/// Failures of an attempt, not of the listener.
const PASSING: [io::ErrorKind; 4] = [
    io::ErrorKind::WouldBlock,
    io::ErrorKind::Interrupted,
    io::ErrorKind::ConnectionAborted,
    io::ErrorKind::ConnectionReset,
];

/// Where the host can be met.
pub(super) enum Door {
    /// A port with our name: there is one host, and it is there or not yet.
    Port(Port),
    /// A listener: the host comes, and may go and come again.
    Listener(Listener),
}

/// A socket, and how a connection is taken from it: its descriptor, and whose it is.
pub(super) struct Listener {
    pub(super) socket: OwnedFd,
    pub(super) accept: fn(&OwnedFd) -> io::Result<(OwnedFd, u32)>,
}

impl Door {
    /// Waits for the device to turn up and opens it.
    pub(super) fn find() -> Result<Self, LinkError> {
        let start = Instant::now();
        loop {
            if let Some(device) = device() {
                return OpenOptions::new()
                    .read(true)
                    .write(true)
                    .custom_flags(libc::O_NONBLOCK)
                    .open(device)
                    .map(|file| Self::Port(Port::new(file.into(), false)))
                    .map_err(failed("open"));
            }
            if has_vsock() {
                let socket = raw::listen_vsock(VSOCK_PORT).map_err(failed("listen on"))?;
                let accept = raw::accept_vsock;
                return Ok(Self::Listener(Listener { socket, accept }));
            }
            if start.elapsed() > WAIT {
                return Err(LinkError::NoPort(NAME));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The stream to the host, which may have to come first.
    pub(super) fn open(&self) -> Result<Port, LinkError> {
        loop {
            match self {
                Self::Port(port) => return port.again(),
                Self::Listener(listener) => {
                    let mut fds = [PollFd::new(&listener.socket, PollFlags::IN)];
                    poll(&mut fds, None).map_err(|errno| failed("accept")(errno.into()))?;
                    if let Some(port) = listener.next()? {
                        return Ok(port);
                    }
                }
            }
        }
    }

    /// Waits until `port` has something to say, or the host has come anew. A machine
    /// that was saved may hold a connection whose other end nobody has any more.
    pub(super) fn wait(&self, port: &Port) -> Result<Turn, LinkError> {
        let Self::Listener(listener) = self else {
            let seen = port.wait().map_err(failed("poll"))?;
            return Ok(if seen.there {
                Turn::Ready
            } else {
                Turn::Absent
            });
        };
        let mut fds = [
            PollFd::new(port, PollFlags::IN | PollFlags::RDHUP),
            PollFd::new(&listener.socket, PollFlags::IN),
        ];
        poll(&mut fds, None).map_err(|errno| failed("poll")(errno.into()))?;
        let [said, come] = fds.map(|fd| !fd.revents().is_empty());
        // What it says comes first: it may be the hello, and then whoever came is nobody.
        match (said, come) {
            (false, true) => Ok(listener.next()?.map_or(Turn::Absent, Turn::Newer)),
            _ => Ok(Turn::Ready),
        }
    }
}

/// What there is to do.
pub(super) enum Turn {
    /// Something can be read, or the end.
    Ready,
    /// Nobody is there yet.
    Absent,
    /// The host has come again: what it had before counts no more.
    Newer(Port),
}

impl Listener {
    /// The next connection that the host has made.
    fn next(&self) -> Result<Option<Port>, LinkError> {
        match (self.accept)(&self.socket) {
            Ok((fd, raw::HOST)) => Ok(Some(Port::new(fd, true))),
            Ok(_) => Ok(None),
            // Nobody, or nobody any more.
            Err(error) if PASSING.contains(&error.kind()) => Ok(None),
            Err(error) => Err(failed("accept")(error)),
        }
    }
}

/// The node of the port with our name, once the kernel has made both.
fn device() -> Option<PathBuf> {
    for entry in std::fs::read_dir(CLASS).ok()?.filter_map(Result::ok) {
        let name = std::fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if name.trim_end() == NAME {
            let node = Path::new("/dev").join(entry.file_name());
            return node.exists().then_some(node);
        }
    }
    None
}

/// True if the hypervisor gave the machine a vsock device.
fn has_vsock() -> bool {
    let devices = std::fs::read_dir(DEVICES);
    devices
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .any(|entry| {
            let id = std::fs::read_to_string(entry.path().join("device"));
            // The driver must have taken it: until then nobody could connect.
            id.is_ok_and(|id| id.trim() == VSOCK_DEVICE) && entry.path().join("driver").exists()
        })
}
