//! The virtio port to the host.
//!
//! Owns: finding and opening it, and noticing that the host's end is gone.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::LinkError;

const NAME: &str = "belljar.0";
const CLASS: &str = "/sys/class/virtio-ports";
const WAIT: Duration = Duration::from_secs(60);
/// How often a thread that does nothing else looks whether the host is there.
const WATCH: Duration = Duration::from_millis(200);

/// The port's descriptor, non-blocking.
pub(crate) struct Port(OwnedFd);

impl Port {
    /// Waits for the port to turn up and opens it.
    pub(crate) fn find() -> Result<Self, LinkError> {
        let start = Instant::now();
        loop {
            if let Some(device) = device() {
                return OpenOptions::new()
                    .read(true)
                    .write(true)
                    .custom_flags(libc::O_NONBLOCK)
                    .open(device)
                    .map(|file| Self(file.into()))
                    .map_err(|source| LinkError::Port {
                        step: "open",
                        source,
                    });
            }
            if start.elapsed() > WAIT {
                return Err(LinkError::NoPort(NAME));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until there is something to read; false if the host's end is
    /// closed, or not yet open.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> io::Result<bool> {
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        let timeout = timeout.map(|t| Timespec {
            tv_sec: t.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: t.subsec_nanos().into(),
        });
        poll(&mut fds, timeout.as_ref())?;
        let [fd] = fds;
        Ok(!fd.revents().contains(PollFlags::HUP))
    }

    pub(super) fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        read(&self.0, into)
    }

    pub(super) fn write(&self, from: &[u8]) -> io::Result<usize> {
        write(&self.0, from)
    }
}

fn read(port: &OwnedFd, into: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(port, into)?)
}

fn write(port: &OwnedFd, from: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::write(port, from)?)
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

/// Powers the machine off soon after the host is gone, even if everything else
/// in the agent is stuck.
pub(super) fn watch(port: Arc<Port>) {
    let watcher = std::thread::Builder::new()
        .name("watch".into())
        .spawn(move || {
            loop {
                std::thread::sleep(WATCH);
                match port.wait(Some(Duration::ZERO)) {
                    Ok(true) => {}
                    Ok(false) => crate::boot::power::off("the host is gone"),
                    Err(e) => crate::boot::power::off(format_args!("the host port failed: {e}")),
                }
            }
        });
    if let Err(e) = watcher {
        crate::boot::power::off(format_args!("cannot watch the host port: {e}"));
    }
}

/// The port as the runtime reads and writes it.
pub(super) struct AsyncPort {
    port: AsyncFd<OwnedFd>,
    /// What came behind the handshake.
    rest: Vec<u8>,
}

impl AsyncPort {
    pub(super) fn new(greeted: super::Greeted) -> Result<Self, LinkError> {
        let port = greeted.port.0.try_clone();
        let port = port
            .and_then(crate::boot::raw::register)
            .map_err(|source| LinkError::Port {
                step: "register",
                source,
            })?;
        Ok(Self {
            port,
            rest: greeted.rest,
        })
    }
}

impl AsyncRead for AsyncPort {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.rest.is_empty() {
            let count = self.rest.len().min(buf.remaining());
            let head: Vec<u8> = self.rest.drain(..count).collect();
            buf.put_slice(&head);
            return Poll::Ready(Ok(()));
        }
        loop {
            let mut guard = ready!(self.port.poll_read_ready(cx))?;
            let room = buf.initialize_unfilled();
            match guard.try_io(|fd| read(fd.get_ref(), room)) {
                Ok(count) => {
                    buf.advance(count?);
                    return Poll::Ready(Ok(()));
                }
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for AsyncPort {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.port.poll_write_ready(cx))?;
            match guard.try_io(|fd| write(fd.get_ref(), from)) {
                Ok(result) => return Poll::Ready(result),
                Err(_would_block) => {}
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
