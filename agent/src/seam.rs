//! What the observer and the rest of the agent hand each other.
//!
//! Owns: the queue towards the host ([`EventSink`]), the table of mounts, where
//! redirected connects really wanted to go ([`Origins`]), and the ports that
//! kernel programs and listeners must agree on.
//! Must not: know how events are observed, or how they cross the channel.

use std::net::SocketAddr;
use std::path::PathBuf;

use belljar_event::wire::FromAgent;
use belljar_event::{Event, Fact};
use tokio::sync::mpsc;

/// Loopback port (127.0.0.1 and ::1) to which the kernel redirects allowed TCP connects.
pub(crate) const PORT_RELAY: u16 = 9040;
/// Loopback port (127.0.0.1 and ::1; UDP and TCP) of the resolver stub, to
/// which the kernel redirects port 53 of any address.
pub(crate) const PORT_STUB: u16 = 5353;

/// How much may wait for the host before producers wait too (and the kernel's
/// ring buffer fills, and then counts what it loses).
const QUEUE: usize = 8_192;

/// What goes to the host, in order: events are gathered into frames, a message
/// first sends everything before it.
#[derive(Debug)]
pub(crate) enum Item {
    /// An observed event.
    Event(Event),
    /// Any other message.
    Message(FromAgent),
}

/// The producers' end of the queue towards the host. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct EventSink {
    queue: mpsc::Sender<Item>,
}

/// The host is gone, and the machine about to be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("host channel is closed")]
pub(crate) struct Closed;

impl EventSink {
    /// The queue: its producers' and its consumer's end.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Item>) {
        let (queue, items) = mpsc::channel(QUEUE);
        (Self { queue }, items)
    }

    /// Queues an event; waits while the queue is full. Only from a thread of
    /// its own, never from a task of the runtime.
    pub(crate) fn send(&self, event: Event) -> Result<(), Closed> {
        self.queue
            .blocking_send(Item::Event(event))
            .map_err(|_| Closed)
    }

    /// As [`Self::send`], for a fact that the agent states now.
    pub(crate) fn state(&self, fact: impl Into<Fact>) -> Result<(), Closed> {
        self.send(Event::host(crate::boot::clock::monotonic(), fact.into()))
    }

    /// As [`Self::post`], from a thread of its own.
    pub(crate) fn tell(&self, message: FromAgent) -> Result<(), Closed> {
        self.queue
            .blocking_send(Item::Message(message))
            .map_err(|_| Closed)
    }

    /// Queues a message behind everything that was sent before it; from a task.
    pub(crate) async fn post(&self, message: FromAgent) -> Result<(), Closed> {
        self.queue
            .send(Item::Message(message))
            .await
            .map_err(|_| Closed)
    }
}

/// Where each file system that the payload sees is mounted, so that a path
/// found by walking dentries up to a file system's root can be completed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MountTable {
    /// The root file system (the overlay) first.
    pub(crate) mounts: Vec<Mounted>,
}

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mounted {
    /// The superblock's `s_dev` as the kernel stores it: major << 20 | minor.
    pub(crate) device: u32,
    /// Mount point in the payload's root.
    pub(crate) at: PathBuf,
}

/// Who made a redirected connect, and where it wanted to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Process.
    pub(crate) pid: u32,
    /// Thread.
    pub(crate) tid: u32,
    /// Original destination: a stand-in address of the stub, or a direct one.
    pub(crate) addr: SocketAddr,
}

/// The kernel's memory of redirected connects; the observer implements it.
pub(crate) trait Origins: Send + Sync {
    /// The connect whose own (source) address is `peer`, as `accept` reports
    /// it; forgotten afterwards. `None`: nothing was redirected from there,
    /// somebody connected to the relay's port itself.
    fn take(&self, peer: SocketAddr) -> Option<Origin>;

    /// Process and thread that sent a datagram or connect from `peer` to the
    /// stub, if known.
    fn asker(&self, peer: SocketAddr) -> Option<(u32, u32)> {
        let _ = peer;
        None
    }
}
