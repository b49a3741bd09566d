//! Bytes both ways until both sides are done.
//!
//! Owns: half-closes, resets, counting. Must not: time out (a quiet connection
//! is not a dead one) or buffer more than one piece each way.

use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use crate::link::Stream;

/// Bytes read at once.
const PIECE: usize = 32 << 10;

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

/// Relays; returns the bytes from the guest and those to it. Afterwards both
/// are closed; where it did not end in order, both are reset.
pub(super) async fn both_ways<F: Flow>(flow: F, mut socket: TcpStream, ahead: &[u8]) -> (u64, u64) {
    let guest = Guest {
        flow: Mutex::new(flow),
        said_all: AtomicBool::new(false),
    };
    let (mut sent, mut received) = (0, 0);
    let ended = {
        let (from_net, mut to_net) = socket.split();
        let outward = async {
            to_net.write_all(ahead).await?;
            sent = ahead.len() as u64;
            copy(&mut &guest, &mut to_net, &mut sent).await
        };
        let inward = async {
            copy(from_net, &mut &guest, &mut received).await?;
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
    (sent, received)
}

/// Copies until the end, passes the end on, and counts what was delivered.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    to: &mut (impl AsyncWrite + Unpin),
    count: &mut u64,
) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = from.read(&mut piece).await?;
        let Some(bytes) = piece.get(..length).filter(|bytes| !bytes.is_empty()) else {
            return to.shutdown().await;
        };
        to.write_all(bytes).await?;
        to.flush().await?;
        *count = count.saturating_add(length as u64);
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
