//! The channel over a vsock device, as cloud-hypervisor hands it to the host.
//!
//! Owns: asking for the agent's port until it listens, and finding out that it
//! does. Must not: read a byte of what follows the answer.

use std::os::fd::OwnedFd;
use std::time::Duration;

use belljar_event::wire::VSOCK_PORT;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Between attempts, while the guest boots.
const AGAIN: Duration = Duration::from_millis(20);
/// How long the guest may take to let a connection go that was given up.
const GOING: Duration = Duration::from_secs(10);
/// Longest answer: `OK ` and a number of 32 bits.
const ANSWER: usize = 16;

/// Connects to the agent, however long it takes to listen.
pub(super) async fn connect(place: &OwnedFd) -> UnixStream {
    loop {
        if let Some(stream) = attempt(place).await {
            return stream;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Waits until the agent listens, and leaves no connection behind: a machine that is
/// put down with one would hold on to it when it goes on, with nobody at the other end.
pub(super) async fn listening(place: &OwnedFd) {
    let mut stream = connect(place).await;
    // Ours is given up; the end of theirs says that the guest has let it go. Without
    // it the worst is a connection that the agent leaves for the next one.
    if stream.shutdown().await.is_ok() {
        let _ = tokio::time::timeout(GOING, stream.read_u8()).await;
    }
}

/// One attempt; the hypervisor closes the connection if nobody listens.
async fn attempt(place: &OwnedFd) -> Option<UnixStream> {
    let mut stream = crate::cloud_hypervisor::connect(place).await.ok()?;
    let ask = format!("CONNECT {VSOCK_PORT}\n");
    stream.write_all(ask.as_bytes()).await.ok()?;
    let mut answer = Vec::with_capacity(ANSWER);
    while answer.last() != Some(&b'\n') {
        if answer.len() == ANSWER {
            return None;
        }
        answer.push(stream.read_u8().await.ok()?);
    }
    answer.starts_with(b"OK ").then_some(stream)
}
