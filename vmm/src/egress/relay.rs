//! Bytes both ways until both sides are done.
//!
//! Owns: half-closes, resets, counting, byte limits. Must not: time out (a quiet
//! connection is not a dead one), buffer more than one piece each way beyond
//! what the sniffer holds, or end a flow by itself before that is recorded.

use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use belljar_event::{Action, Decision, Fact, LimitReached};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::sniff::{Next, Sniffer};
use super::{Ask, Eye, Limits, by};
use crate::link::Stream;

/// Bytes read at once.
const PIECE: usize = 32 << 10;
/// How long a first line may have no end before its sender is taken to wait for an answer.
const QUIET: Duration = Duration::from_millis(300);

/// The check that refuses what stands in a decoy.
const CANARY: &str = "canary";

/// The guest's end of a flow.
pub(super) trait Flow: AsyncRead + AsyncWrite + Send + Unpin {
    /// True if neither direction is open any more. A multiplexed stream that
    /// was reset reads like one that ended in order, but for this.
    fn is_shut(&self) -> bool;
}

impl Flow for Stream {
    fn is_shut(&self) -> bool {
        self.get_ref().is_closed()
    }
}

/// What ended a relay before its time.
enum Broken {
    /// One side broke off.
    Io,
    /// We did, for this reason.
    Stopped(String),
}

impl From<Error> for Broken {
    fn from(_: Error) -> Self {
        Self::Io
    }
}

/// What a flow came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Relayed {
    /// Bytes from the guest.
    pub(super) sent: u64,
    /// Bytes to it.
    pub(super) received: u64,
    /// Why we ended it, if we did.
    pub(super) why: Option<String>,
}

/// Relays; afterwards both sides are closed; where it did not end in order,
/// both are reset.
pub(super) async fn both_ways<F: Flow>(
    flow: F,
    mut socket: TcpStream,
    ahead: &[u8],
    watch: Watch<'_>,
) -> Relayed {
    let guest = Guest {
        flow: Mutex::new(flow),
        said_all: AtomicBool::new(false),
    };
    let (mut sent, mut received) = (0, 0);
    let limits = watch.limits;
    let notes = watch.notes;
    let ended = {
        let (from_net, to_net) = socket.split();
        let mut out = Counted {
            to: to_net,
            count: &mut sent,
            limit: limits.sent,
            notes,
        };
        let mut back = Counted {
            to: &guest,
            count: &mut received,
            limit: limits.received,
            notes,
        };
        let outward = watch.outward(&guest, &mut out, ahead);
        let inward = async {
            copy(from_net, &mut back).await?;
            guest.said_all.store(true, Ordering::Relaxed);
            Ok(())
        };
        // The first error ends both.
        tokio::try_join!(outward, inward)
    };
    if ended.is_err() {
        // Otherwise the server would see an orderly end of a cut-off request.
        let _ = socket.set_zero_linger();
    }
    let why = match ended {
        Err(Broken::Stopped(why)) => Some(why),
        Err(Broken::Io) | Ok(_) => None,
    };
    Relayed {
        sent,
        received,
        why,
    }
}

/// What watches the bytes from the guest.
pub(super) struct Watch<'a> {
    pub(super) sniffer: Sniffer,
    pub(super) limits: Limits,
    pub(super) eye: Option<Box<dyn Eye>>,
    pub(super) notes: &'a Notes<'a>,
}

impl Watch<'_> {
    /// Passes on what the guest says, as far as it may go.
    async fn outward<F: Flow>(
        mut self,
        mut guest: &Guest<F>,
        out: &mut Counted<'_, impl AsyncWrite + Unpin>,
        ahead: &[u8],
    ) -> Result<(), Broken> {
        self.look(ahead).await?;
        self.sniffer.push(ahead);
        let mut piece = vec![0; PIECE];
        let mut waits = self.forward(out).await?;
        loop {
            let read = guest.read(&mut piece);
            let length = if waits {
                match timeout(QUIET, read).await {
                    Ok(length) => length?,
                    Err(_) => {
                        if let Some(bytes) = self.sniffer.quiet() {
                            out.write(&bytes).await?;
                        }
                        waits = false;
                        continue;
                    }
                }
            } else {
                read.await?
            };
            let Some(bytes) = piece.get(..length).filter(|bytes| !bytes.is_empty()) else {
                let end = self.sniffer.end();
                self.act(end, out).await?;
                return Ok(out.to.shutdown().await?);
            };
            self.look(bytes).await?;
            self.sniffer.push(bytes);
            waits = self.forward(out).await?;
        }
    }

    /// Records what must not leave, and ends the flow if it does not go on
    /// with it. Bytes are looked at as they come in: none of these goes on.
    async fn look(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let Some(eye) = &mut self.eye else {
            return Ok(());
        };
        let mut why = None;
        for fact in eye.look(bytes) {
            if fact.cut && why.is_none() {
                why = Some(format!(
                    "the canary of a decoy was leaving ({}, {})",
                    fact.kind, fact.encoding
                ));
            }
            self.notes.record(fact).await?;
        }
        match why {
            Some(why) => {
                self.notes.refuse(CANARY).await?;
                Err(Broken::Stopped(why))
            }
            None => Ok(()),
        }
    }

    /// Does what there is to do; true if something may wait.
    async fn forward(
        &mut self,
        out: &mut Counted<'_, impl AsyncWrite + Unpin>,
    ) -> Result<bool, Broken> {
        loop {
            let next = self.sniffer.next();
            if !self.act(next, out).await? {
                return Ok(self.sniffer.waits());
            }
        }
    }

    /// True if there may be more to do.
    async fn act(
        &mut self,
        next: Next,
        out: &mut Counted<'_, impl AsyncWrite + Unpin>,
    ) -> Result<bool, Broken> {
        match next {
            Next::More => Ok(false),
            Next::Pass(bytes) => out.write(&bytes).await.map(|()| true),
            Next::Said(fact) => self.notes.record(fact).await.map(|()| true),
            Next::Refuse(refusal) => {
                self.notes.refuse(refusal.check).await?;
                Err(Broken::Stopped(refusal.why))
            }
        }
    }
}

/// Where notes on a flow go.
pub(super) struct Notes<'a> {
    pub(super) flow: u64,
    pub(super) ask: &'a mpsc::Sender<Ask>,
    /// The policy line that allowed the flow.
    pub(super) by: &'a str,
}

impl Notes<'_> {
    /// Returns once it is recorded. If nobody records any more, the flow ends.
    async fn record(&self, fact: impl Into<Fact>) -> Result<(), Broken> {
        let (recorded, done) = oneshot::channel();
        let note = Ask::Stated {
            flow: self.flow,
            fact: fact.into(),
            recorded,
        };
        let sent = self.ask.send(note).await;
        match (sent, done.await) {
            (Ok(()), Ok(())) => Ok(()),
            _ => Err(Broken::Stopped("nobody records any more".to_owned())),
        }
    }

    async fn refuse(&self, check: &'static str) -> Result<(), Broken> {
        self.record(Decision {
            flow: self.flow,
            action: Action::Deny,
            by: by(self.by, check),
        })
        .await
    }
}

/// One end, its count and its limit.
struct Counted<'a, W> {
    to: W,
    count: &'a mut u64,
    limit: Option<u64>,
    notes: &'a Notes<'a>,
}

impl<W: AsyncWrite + Unpin> Counted<'_, W> {
    /// Writes as much as may go.
    async fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let room = self
            .limit
            .map_or(u64::MAX, |limit| limit.saturating_sub(*self.count));
        let fits = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        let part = bytes.get(..fits).unwrap_or_default();
        self.to.write_all(part).await?;
        self.to.flush().await?;
        *self.count = self.count.saturating_add(part.len() as u64);
        match self.limit {
            Some(limit) if fits < bytes.len() => {
                self.notes
                    .record(LimitReached {
                        what: "flow bytes".to_owned(),
                        limit,
                        unit: "bytes".to_owned(),
                    })
                    .await?;
                Err(Broken::Stopped(format!(
                    "the flow's limit of {limit} bytes is reached"
                )))
            }
            _ => Ok(()),
        }
    }
}

/// Copies until the end, and passes the end on.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    to: &mut Counted<'_, impl AsyncWrite + Unpin>,
) -> Result<(), Broken> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = from.read(&mut piece).await?;
        let Some(bytes) = piece.get(..length).filter(|bytes| !bytes.is_empty()) else {
            return Ok(to.to.shutdown().await?);
        };
        to.write(bytes).await?;
    }
}

/// The guest's end, used by both directions within one task.
struct Guest<F> {
    flow: Mutex<F>,
    /// Our direction has ended in order.
    said_all: AtomicBool,
}

impl<F: Flow> Guest<F> {
    fn flow(&self) -> MutexGuard<'_, F> {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Flow> AsyncRead for &Guest<F> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let mut flow = self.flow();
        let before = buf.filled().len();
        let read = Pin::new(&mut *flow).poll_read(cx, buf);
        let ended = matches!(read, Poll::Ready(Ok(()))) && buf.filled().len() == before;
        if ended && flow.is_shut() && !self.said_all.load(Ordering::Relaxed) {
            return Poll::Ready(Err(Error::from(ErrorKind::ConnectionReset)));
        }
        read
    }
}

impl<F: Flow> AsyncWrite for &Guest<F> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut *self.flow()).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.flow()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.flow()).poll_shutdown(cx)
    }
}
