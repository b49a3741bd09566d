//! The one task that drives the multiplexer.
//!
//! Owns: opening and accepting streams, and the first frame of each inbound
//! one. Must not: wait for anybody; a slow reader must not stop the others.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use belljar_event::wire::StreamKind;
use futures::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::compat::FuturesAsyncReadCompatExt;

use super::{Stream, read_frame};

/// How long the first frame of a stream may take. Long, since the machine may
/// be paused in the middle of it.
const FIRST_FRAME: Duration = Duration::from_secs(60);
/// Streams that may be without their first frame at once; further ones are reset.
pub(super) const UNANNOUNCED: usize = 128;

/// Somebody waits for a stream of ours.
pub(super) type Wanted = oneshot::Sender<Stream>;

/// Ends with the reason why the link ended.
pub(super) struct Driver<C> {
    connection: yamux::Connection<C>,
    opens: mpsc::Receiver<Wanted>,
    wanted: Option<Wanted>,
    arrivals: mpsc::Sender<(StreamKind, Stream)>,
    unannounced: Arc<Semaphore>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Driver<C> {
    pub(super) fn new(
        connection: yamux::Connection<C>,
        opens: mpsc::Receiver<Wanted>,
        arrivals: mpsc::Sender<(StreamKind, Stream)>,
    ) -> Self {
        let unannounced = Arc::new(Semaphore::new(UNANNOUNCED));
        Self {
            connection,
            opens,
            wanted: None,
            arrivals,
            unannounced,
        }
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<yamux::ConnectionError> {
        loop {
            if self.wanted.is_none() {
                match self.opens.poll_recv(cx) {
                    Poll::Ready(Some(wanted)) => self.wanted = Some(wanted),
                    // Nobody can ask any more; inbound streams still count.
                    Poll::Ready(None) | Poll::Pending => return Poll::Pending,
                }
            }
            match self.connection.poll_new_outbound(cx) {
                Poll::Ready(Ok(stream)) => {
                    if let Some(wanted) = self.wanted.take() {
                        // Whoever asked may have given up: the stream is dropped.
                        let _ = wanted.send(stream.compat());
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Reads what an inbound stream is for, beside the driver.
    fn announce(&self, stream: yamux::Stream) {
        let Ok(place) = Arc::clone(&self.unannounced).try_acquire_owned() else {
            return;
        };
        let arrivals = self.arrivals.clone();
        tokio::spawn(async move {
            let mut stream = stream.compat();
            let first = tokio::time::timeout(FIRST_FRAME, read_frame(&mut stream)).await;
            drop(place);
            // A stream that is dropped here is reset, which is all it gets.
            if let Ok(Ok(Some(kind @ StreamKind::Flow(_)))) = first {
                let _ = arrivals.send((kind, stream)).await;
            }
        });
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Future for Driver<C> {
    type Output = String;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<String> {
        let this = &mut *self;
        loop {
            if let Poll::Ready(error) = this.poll_open(cx) {
                return Poll::Ready(error.to_string());
            }
            match this.connection.poll_next_inbound(cx) {
                Poll::Ready(Some(Ok(stream))) => this.announce(stream),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(error.to_string()),
                Poll::Ready(None) => return Poll::Ready("the agent closed the channel".into()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
