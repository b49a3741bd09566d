//! The host's end of the channel to the agent.
//!
//! Owns: the handshake, the multiplexer and its driver task, frames. Must not:
//! know what the messages mean, or believe the guest: every length is capped,
//! every wait has a deadline, streams are counted.

mod driver;
mod error;
mod frame;

pub use error::LinkError;
pub use frame::{FrameError, FrameReader, read_frame, write_frame};

use std::convert::Infallible;
use std::io::Cursor;
use std::time::Duration;

use belljar_event::wire::{self, StreamKind};
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use driver::{Driver, Wanted};

/// Streams open at once, both ways together. One more is not taken, and the agent is told to go.
pub const MAX_STREAMS: usize = 512;
/// What a guest can make the host buffer on all its streams together.
const MAX_WINDOW: usize = 256 << 20;
/// Most bytes before the agent's hello: what an earlier session left behind.
const MAX_STALE: usize = 16 << 20;
/// One stream of the channel.
pub type Stream = Compat<yamux::Stream>;

/// A channel after the handshake. Dropping it closes the channel, which makes
/// the agent power the guest off.
#[derive(Debug)]
pub struct Link {
    session: [u8; 16],
    wanted: mpsc::Sender<Wanted>,
    arrivals: Mutex<mpsc::Receiver<(StreamKind, Stream)>>,
    ended: watch::Receiver<Option<String>>,
    driver: tokio::task::AbortHandle,
}

impl Link {
    /// Says hello, waits for the agent's echo, then starts the multiplexer.
    ///
    /// # Errors
    /// If the agent is silent until the deadline, speaks another version, or
    /// the channel closes.
    pub async fn handshake<C>(channel: C, deadline: Duration) -> Result<Self, LinkError>
    where
        C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut session = [0; 16];
        getrandom(&mut session, GetRandomFlags::empty()).map_err(|errno| LinkError::Io {
            doing: "making a session id",
            source: errno.into(),
        })?;
        let (mut read, mut write) = tokio::io::split(channel);
        let echo = await_echo(&mut read, session);
        let rest = tokio::select! {
            rest = tokio::time::timeout(deadline, echo) => {
                rest.unwrap_or(Err(LinkError::Silent { deadline, console: String::new() }))?
            }
            never = say_hello(&mut write, session) => match never {},
        };
        let channel = tokio::io::join(Cursor::new(rest).chain(read), write);
        Ok(Self::start(channel, session))
    }

    fn start<C>(channel: C, session: [u8; 16]) -> Self
    where
        C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut config = yamux::Config::default();
        // The window first: it must hold the streams at any time.
        config.set_max_connection_receive_window(Some(MAX_WINDOW));
        config.set_max_num_streams(MAX_STREAMS);
        let connection = yamux::Connection::new(channel.compat(), config, yamux::Mode::Client);
        let (wanted, opens) = mpsc::channel(16);
        let (sender, arrivals) = mpsc::channel(64);
        let (report, ended) = watch::channel(None);
        let driver = Driver::new(connection, opens, sender);
        let driver = tokio::spawn(async move {
            let why = driver.await;
            report.send_replace(Some(why));
        });
        Self {
            session,
            wanted,
            arrivals: Mutex::new(arrivals),
            ended,
            driver: driver.abort_handle(),
        }
    }

    /// The id that both ends agreed on.
    #[must_use]
    pub fn session(&self) -> [u8; 16] {
        self.session
    }

    /// Opens a stream and announces what it is for.
    ///
    /// # Errors
    /// If the link has ended.
    pub async fn open(&self, kind: StreamKind) -> Result<Stream, LinkError> {
        let (answer, stream) = oneshot::channel();
        self.wanted.send(answer).await.map_err(|_| self.broken())?;
        let mut stream = stream.await.map_err(|_| self.broken())?;
        write_frame(&mut stream, &kind)
            .await
            .map_err(|source| LinkError::Frame {
                doing: "announcing a stream",
                source,
            })?;
        Ok(stream)
    }

    /// The next stream that the guest opens; `None` once the link has ended.
    /// Always a [`StreamKind::Flow`]: anything else is reset.
    pub async fn accept(&self) -> Option<(StreamKind, Stream)> {
        self.arrivals.lock().await.recv().await
    }

    /// Waits for the link's end and says why it ended.
    pub async fn ended(&self) -> String {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => "the link was dropped".into(),
        }
    }

    fn broken(&self) -> LinkError {
        let why = self.ended.borrow().clone();
        LinkError::Broken {
            why: why.unwrap_or_else(|| "the link is ending".into()),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Says hello, once: until the agent opens its end, the hypervisor holds the
/// bytes back, so nothing is lost, and a second hello would reach the agent as
/// the first bytes of the multiplexer. Never returns.
async fn say_hello(write: &mut (impl AsyncWrite + Unpin), session: [u8; 16]) -> Infallible {
    let hello = wire::hello(wire::HOST_MAGIC, session);
    // A failure here is the channel's end, which the reading half tells better.
    if write.write_all(&hello).await.is_ok() {
        let _ = write.flush().await;
    }
    std::future::pending().await
}

/// Reads until the echo of this session; returns what came behind it.
async fn await_echo(
    read: &mut (impl AsyncRead + Unpin),
    session: [u8; 16],
) -> Result<Vec<u8>, LinkError> {
    let mut seen = Vec::with_capacity(4096);
    let mut stale = 0_usize;
    loop {
        match read.read_buf(&mut seen).await {
            Ok(0) => return Err(LinkError::Closed),
            Ok(_) => {}
            Err(source) => {
                return Err(LinkError::Io {
                    doing: "reading the handshake",
                    source,
                });
            }
        }
        while let Some((version, id, end)) = wire::find_hello(wire::AGENT_MAGIC, &seen) {
            let rest = seen.split_off(end.min(seen.len()));
            if id == session && version != wire::VERSION {
                let console = String::new();
                return Err(LinkError::Version {
                    agent: version,
                    host: wire::VERSION,
                    console,
                });
            }
            if id == session {
                return Ok(rest);
            }
            // The echo of an earlier session.
            stale = stale.saturating_add(seen.len());
            seen = rest;
        }
        // A hello may be half here: keep what could be its beginning.
        let excess = excess(&seen);
        stale = stale.saturating_add(excess);
        seen.drain(..excess);
        if stale > MAX_STALE {
            return Err(LinkError::Noise { bytes: stale });
        }
    }
}

/// How many bytes at the front cannot belong to a hello that is still coming.
fn excess(seen: &[u8]) -> usize {
    let magic = wire::AGENT_MAGIC;
    match seen.windows(magic.len()).position(|window| window == magic) {
        Some(start) => start,
        None => seen.len().saturating_sub(magic.len() - 1),
    }
}

#[cfg(test)]
mod tests;
