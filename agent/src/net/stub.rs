//! The resolver stub: every name that is not denied gets a stand-in address at
//! once, nothing is asked upstream. The kernel brings questions to any server
//! here and makes the answers look as if they came from it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use belljar_event::NameAnswer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;

use super::dns::{self, Question, Reply};
use super::{Net, Ruling};
use crate::seam::PORT_STUB;

/// Questions in work at a time, on each socket; more wait in its buffer.
const MAX_DATAGRAMS: usize = 256;
/// Connections at a time; more wait.
const MAX_CONNECTIONS: usize = 64;
/// A connection that is silent for longer is closed.
const IDLE: Duration = Duration::from_secs(10);

pub(super) async fn start(net: &Net) -> io::Result<()> {
    for ip in [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ] {
        let at = SocketAddr::from((ip, PORT_STUB));
        tokio::spawn(datagrams(net.clone(), UdpSocket::bind(at).await?));
        tokio::spawn(connections(net.clone(), TcpListener::bind(at).await?));
    }
    Ok(())
}

async fn datagrams(net: Net, socket: UdpSocket) {
    let socket = Arc::new(socket);
    let slots = Arc::new(Semaphore::new(MAX_DATAGRAMS));
    let mut buffer = vec![0; 4096];
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        // Errors of one datagram (its sender is gone) are not the socket's.
        let Ok((count, peer)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let asked = buffer.get(..count).unwrap_or_default().to_vec();
        let (net, socket) = (net.clone(), Arc::clone(&socket));
        tokio::spawn(async move {
            if let Some(reply) = serve(&net, peer, &asked).await {
                let _ = socket.send_to(&reply, peer).await;
            }
            drop(slot);
        });
    }
}

async fn connections(net: Net, listener: TcpListener) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let net = net.clone();
        tokio::spawn(async move {
            // Only its own connection suffers.
            let _ = converse(&net, stream, peer).await;
            drop(slot);
        });
    }
}

/// Questions on a connection, one after the other.
async fn converse(net: &Net, mut stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
    loop {
        let mut length = [0; 2];
        tokio::time::timeout(IDLE, stream.read_exact(&mut length)).await??;
        let mut asked = vec![0; usize::from(u16::from_be_bytes(length))];
        tokio::time::timeout(IDLE, stream.read_exact(&mut asked)).await??;
        let Some(reply) = serve(net, peer, &asked).await else {
            return Ok(());
        };
        let mut bytes = u16::try_from(reply.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes()
            .to_vec();
        bytes.extend(reply);
        stream.write_all(&bytes).await?;
    }
}

async fn serve(net: &Net, peer: SocketAddr, asked: &[u8]) -> Option<Vec<u8>> {
    match dns::parse(asked) {
        Ok(question) => {
            let reply = decide(net, peer, &question).await;
            Some(dns::answer(&question, &reply))
        }
        Err(bad) => dns::refuse(bad),
    }
}

async fn decide(net: &Net, peer: SocketAddr, question: &Question) -> Reply {
    let pid = net.origins.asker(peer).map_or(0, |(pid, _)| pid);
    let ask = |answer| net.ask(pid, question.name.clone(), question.kind, answer);
    let host = match &question.host {
        Some(host) if question.kind != dns::PTR => host,
        // Nothing leads on from here, but it was asked, and that is worth recording.
        _ => {
            return ask(NameAnswer::Refused)
                .await
                .map_or(Reply::Failure, no_name);
        }
    };
    if question.kind != dns::A {
        return match ask(NameAnswer::NoData).await {
            Some(ruling) if ruling.allowed => Reply::NoData,
            Some(ruling) => no_name(ruling),
            None => Reply::Failure,
        };
    }
    let Some((addr, fresh)) = net.names.address(host) else {
        ask(NameAnswer::Refused).await;
        return Reply::Failure;
    };
    match ask(NameAnswer::Synthetic(addr)).await {
        Some(ruling) if ruling.allowed => Reply::Address(addr),
        answer => {
            if fresh {
                net.names.forget(host);
            }
            answer.map_or(Reply::Failure, no_name)
        }
    }
}

fn no_name(ruling: Ruling) -> Reply {
    Reply::NoName { by: ruling.by }
}
