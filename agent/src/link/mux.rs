//! Streams over the port: one task drives yamux, everybody else holds handles.

use std::collections::VecDeque;
use std::task::Poll;

use tokio::sync::{mpsc, oneshot};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt as _, TokioAsyncReadCompatExt as _};
use yamux::{Config, Connection, Mode};

use super::port::AsyncPort;
use super::{Greeted, LinkError};

/// A stream, with tokio's traits.
pub(crate) type Stream = Compat<yamux::Stream>;

/// Most streams at a time: flows, uploads, control. The relay stays below it.
pub(crate) const MAX_STREAMS: usize = 512;

/// What the host may send ahead of slow readers, on all streams together: the
/// least that so many streams allow (256 KiB each).
const WINDOW: usize = MAX_STREAMS * (256 << 10);

/// Opens streams to the host. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Opener {
    requests: mpsc::Sender<oneshot::Sender<Stream>>,
}

impl Opener {
    /// A new stream; `None` if the host takes no more.
    pub(crate) async fn open(&self) -> Option<Stream> {
        let (reply, stream) = oneshot::channel();
        self.requests.send(reply).await.ok()?;
        stream.await.ok()
    }
}

/// The driven connection.
pub(crate) struct Mux {
    /// Streams that the host opens.
    pub(crate) inbound: mpsc::Receiver<Stream>,
    /// For ours.
    pub(crate) opener: Opener,
}

impl Mux {
    /// Starts the driver. When the connection ends, so does the machine.
    pub(crate) fn start(greeted: Greeted) -> Result<Self, LinkError> {
        let port = AsyncPort::new(greeted)?;
        let mut config = Config::default();
        // The window first: it must hold the streams at any time.
        config.set_max_connection_receive_window(Some(WINDOW));
        config.set_max_num_streams(MAX_STREAMS);
        let connection = Connection::new(port.compat(), config, Mode::Server);
        let (requests, asked) = mpsc::channel(64);
        let (arrived, inbound) = mpsc::channel(16);
        tokio::spawn(async move {
            let why = drive(connection, asked, arrived).await;
            crate::boot::power::off(format_args!("channel ended: {why}"));
        });
        Ok(Self {
            inbound,
            opener: Opener { requests },
        })
    }
}

type Wire = Connection<Compat<AsyncPort>>;

/// Polls the connection for ever; returns why it ended.
async fn drive(
    mut connection: Wire,
    mut asked: mpsc::Receiver<oneshot::Sender<Stream>>,
    arrived: mpsc::Sender<Stream>,
) -> String {
    let mut waiting: VecDeque<oneshot::Sender<Stream>> = VecDeque::new();
    std::future::poll_fn(|cx| {
        while let Poll::Ready(Some(reply)) = asked.poll_recv(cx) {
            waiting.push_back(reply);
        }
        while !waiting.is_empty() {
            match connection.poll_new_outbound(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(stream)) => {
                    let reply = waiting.pop_front();
                    drop(reply.map(|reply| reply.send(stream.compat())));
                }
                // Its asker sees that the reply is dropped.
                Poll::Ready(Err(yamux::ConnectionError::TooManyStreams)) => {
                    drop(waiting.pop_front());
                }
                Poll::Ready(Err(e)) => return Poll::Ready(e.to_string()),
            }
        }
        loop {
            match connection.poll_next_inbound(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready("closed by the host".into()),
                Poll::Ready(Some(Err(e))) => return Poll::Ready(e.to_string()),
                // One stream too many for us is the host's mistake: reset it.
                Poll::Ready(Some(Ok(stream))) => drop(arrived.try_send(stream.compat())),
            }
        }
    })
    .await
}
