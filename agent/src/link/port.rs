//! The byte stream to the host, once it is there.
//!
//! Owns: reading and writing it, for a thread and for the runtime, and noticing that
//! the host's end is gone.
//! Must not: find it or let anybody in; the door does.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::LinkError;
use crate::boot::raw;
use crate::fault;

/// How often a thread that does nothing else looks whether the host is there.
const WATCH: Duration = Duration::from_millis(200);

pub(super) fn failed(step: &'static str) -> impl FnOnce(io::Error) -> LinkError {
    move |source| LinkError::Port { step, source }
}

/// The stream's descriptor, non-blocking.
pub(crate) struct Port {
    fd: OwnedFd,
    /// A connection, which ends once; a port's other end may be opened again.
    connection: bool,
    readable: Bell,
    writable: Bell,
}

/// What a poll of the port says.
pub(super) struct Look {
    /// False if the host's end is closed, or not yet open.
    pub(super) there: bool,
    readable: bool,
    writable: bool,
}

/// Tells the runtime that another thread has seen the port ready.
///
/// Whoever polls a virtio port takes what has come off its queue. The interrupt
/// that follows then finds an empty queue, and the kernel returns before the driver
/// could wake anybody (`vring_interrupt`). So a poll at the wrong moment leaves
/// everybody else asleep who waits for the same port, and the whole machine with it.
#[derive(Default)]
struct Bell(Mutex<Rung>);

#[derive(Default)]
struct Rung {
    rung: bool,
    waits: Option<Waker>,
}

impl Bell {
    fn ring(&self) {
        let mut bell = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bell.rung = true;
        if let Some(waits) = bell.waits.take() {
            waits.wake();
        }
    }

    /// True if it has rung since the last time; the next time it rings, the task wakes.
    fn heard(&self, cx: &Context<'_>) -> bool {
        let mut bell = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bell.waits = Some(cx.waker().clone());
        std::mem::take(&mut bell.rung)
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Port {
    pub(super) fn new(fd: OwnedFd, connection: bool) -> Self {
        Self {
            fd,
            connection,
            readable: Bell::default(),
            writable: Bell::default(),
        }
    }

    pub(super) fn again(&self) -> Result<Self, LinkError> {
        let fd = self.fd.try_clone().map_err(failed("open"))?;
        Ok(Self::new(fd, self.connection))
    }

    /// True if no bytes at all means that the host has gone for good.
    pub(super) fn ends(&self) -> bool {
        self.connection
    }

    /// Waits until there is something to read.
    pub(super) fn wait(&self) -> io::Result<Look> {
        self.look(PollFlags::IN, None)
    }

    fn look(&self, at: PollFlags, timeout: Option<Duration>) -> io::Result<Look> {
        let mut fds = [PollFd::new(&self.fd, at | PollFlags::RDHUP)];
        let timeout = timeout.map(|t| Timespec {
            tv_sec: t.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: t.subsec_nanos().into(),
        });
        poll(&mut fds, timeout.as_ref())?;
        let [fd] = fds;
        let seen = fd.revents();
        let gone = PollFlags::HUP | PollFlags::RDHUP | PollFlags::ERR;
        Ok(Look {
            there: !seen.intersects(gone),
            readable: seen.contains(PollFlags::IN),
            writable: seen.contains(PollFlags::OUT),
        })
    }

    /// Passes on what only this thread may have been told.
    fn tell(&self, seen: &Look) {
        if seen.readable {
            self.readable.ring();
        }
        if seen.writable {
            self.writable.ring();
        }
    }

    pub(super) fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        read(&self.fd, into)
    }

    pub(super) fn write(&self, from: &[u8]) -> io::Result<usize> {
        write(&self.fd, from)
    }
}

fn read(port: &OwnedFd, into: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(port, into)?)
}

fn write(port: &OwnedFd, from: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::write(port, from)?)
}

/// `None` if it would have had to wait.
fn done<T>(result: io::Result<T>) -> Option<io::Result<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        result => Some(result),
    }
}

/// Powers the machine off soon after the host is gone, even if everything else
/// in the agent is stuck.
pub(super) fn watch(port: Arc<Port>) {
    let watcher = std::thread::Builder::new()
        .name("watch".into())
        .spawn(move || {
            let every = fault::watched_every(WATCH);
            loop {
                std::thread::sleep(every);
                match port.look(PollFlags::IN | PollFlags::OUT, Some(Duration::ZERO)) {
                    Ok(seen) if !seen.there => crate::boot::power::off("the host is gone"),
                    Ok(seen) => port.tell(&seen),
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
    shared: Arc<Port>,
    /// What came behind the handshake.
    rest: Vec<u8>,
}

impl AsyncPort {
    pub(super) fn new(greeted: super::Greeted) -> Result<Self, LinkError> {
        let port = greeted.port.fd.try_clone();
        let port = port
            .and_then(raw::register)
            .map_err(|source| LinkError::Port {
                step: "register",
                source,
            })?;
        Ok(Self {
            port,
            shared: greeted.port,
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
        if self.shared.readable.heard(cx)
            && let Some(done) = done(self.shared.read(buf.initialize_unfilled()))
        {
            buf.advance(done?);
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
        if self.shared.writable.heard(cx)
            && let Some(done) = done(self.shared.write(from))
        {
            return Poll::Ready(done);
        }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_bell_wakes_who_waits_and_is_heard_once() {
        let counted = Arc::new(Counted::default());
        let waker = Waker::from(Arc::clone(&counted));
        let cx = Context::from_waker(&waker);
        let bell = Bell::default();
        assert!(!bell.heard(&cx));
        bell.ring();
        bell.ring();
        assert_eq!(counted.0.load(Ordering::SeqCst), 1);
        assert!(bell.heard(&cx));
        assert!(!bell.heard(&cx));
        // Hearing it is waiting for the next time.
        bell.ring();
        assert_eq!(counted.0.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn what_another_thread_saw_is_read_without_an_event() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            let port = Arc::new(Port::new(ours.into(), false));
            // Registered with a runtime is another descriptor, on which nothing ever
            // comes: as if each event had been taken by somebody else.
            let (deaf, _kept) = std::os::unix::net::UnixStream::pair().unwrap();
            deaf.set_nonblocking(true).unwrap();
            let mut stream = AsyncPort {
                port: raw::register(deaf.into()).unwrap(),
                shared: Arc::clone(&port),
                rest: Vec::new(),
            };
            rustix::io::write(&theirs, b"word").unwrap();
            let looking = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(50));
                let seen = port.look(PollFlags::IN, Some(Duration::ZERO)).unwrap();
                port.tell(&seen);
            });
            let mut word = [0; 4];
            use tokio::io::AsyncReadExt as _;
            let read = stream.read_exact(&mut word);
            let read = tokio::time::timeout(Duration::from_secs(20), read).await;
            read.unwrap().unwrap();
            assert_eq!(&word, b"word");
            looking.join().unwrap();
        });
    }
}
