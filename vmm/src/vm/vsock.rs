//! The channel over a vsock device, as cloud-hypervisor hands it to the host.
//!
//! Owns: asking for the agent's port until it listens. Must not: read a byte of
//! what follows the answer.

use std::os::fd::OwnedFd;
use std::time::Duration;

use belljar_event::wire::VSOCK_PORT;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Between attempts, while the guest boots.
const AGAIN: Duration = Duration::from_millis(20);
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
