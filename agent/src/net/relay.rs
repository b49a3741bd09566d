//! The relay: one flow at the host for each connection that the kernel brings here.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use belljar_event::wire::{FlowReply, FlowRequest, StreamKind};
use belljar_event::{Target, decode, encode};
use rustix::net::sockopt::set_socket_linger;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::Net;
use crate::boot::clock;
use crate::link::{Stream, frames};
use crate::seam::{Origin, PORT_RELAY};

/// Connections at a time; more wait in the listener's queue. Streams are left
/// for control and uploads.
const MAX_FLOWS: usize = 448;
/// Copy buffer of each direction.
const BUFFER: usize = 32 * 1024;

pub(super) async fn start(net: &Net) -> io::Result<()> {
    let slots = Arc::new(Semaphore::new(MAX_FLOWS));
    for ip in [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ] {
        let listener = TcpListener::bind(SocketAddr::from((ip, PORT_RELAY))).await?;
        tokio::spawn(accept(net.clone(), listener, Arc::clone(&slots)));
    }
    Ok(())
}

async fn accept(net: Net, listener: TcpListener, slots: Arc<Semaphore>) {
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let Ok((mut stream, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let net = net.clone();
        tokio::spawn(async move {
            if serve(&net, &mut stream, peer).await.is_none() {
                // Refused, failed, or broken off: the payload sees a reset, not an end.
                let _ = set_socket_linger(&stream, Some(Duration::ZERO));
            }
            drop((stream, slot));
        });
    }
}

/// Carries one connection; `None` if it did not end in order.
async fn serve(net: &Net, stream: &mut TcpStream, peer: SocketAddr) -> Option<()> {
    let origin = net.origins.take(peer)?;
    let mut flow = net.opener.open().await?;
    let request = FlowRequest {
        at: clock::monotonic(),
        pid: origin.pid,
        tid: origin.tid,
        target: target(net, &origin),
    };
    frames::write(&mut flow, encode(&StreamKind::Flow(request)))
        .await
        .ok()?;
    let reply = frames::read(&mut flow).await.ok()??;
    match decode(&reply).ok()? {
        FlowReply::Connected => {
            let mut flow = Flow {
                stream: flow,
                said_all: false,
            };
            copy_bidirectional_with_sizes(stream, &mut flow, BUFFER, BUFFER)
                .await
                .ok()
                .map(drop)
        }
        FlowReply::Refused { .. } | FlowReply::Failed => None,
    }
}

/// The host's end of a flow. A stream that the host reset reads like one that
/// ended in order, but for this: nobody here has closed the other direction,
/// and it is closed all the same.
struct Flow<S> {
    stream: S,
    /// Our direction has ended in order.
    said_all: bool,
}

/// A stream that knows whether both its directions are over.
trait Shut {
    fn is_shut(&self) -> bool;
}

impl Shut for Stream {
    fn is_shut(&self) -> bool {
        self.get_ref().is_closed()
    }
}

impl<S: AsyncRead + Shut + Unpin> AsyncRead for Flow<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let ended = matches!(read, Poll::Ready(Ok(()))) && buf.filled().len() == before;
        if ended && !self.said_all && self.stream.is_shut() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Flow<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.said_all = true;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A stand-in address means its name; anything else is a direct address.
fn target(net: &Net, origin: &Origin) -> Target {
    let addr = SocketAddr::new(origin.addr.ip().to_canonical(), origin.addr.port());
    match net.names.name(addr) {
        Some(name) => Target::Name {
            name,
            port: addr.port(),
        },
        None => Target::Direct(addr),
    }
}

#[cfg(test)]
mod tests;
