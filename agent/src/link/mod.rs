//! The host channel: the port, the handshake, streams over it, frames on them.
//!
//! Owns: the one byte stream to the host, and the machine's end when it ends.
//! Must not: know what the messages mean.

mod door;
pub(crate) mod frames;
mod handshake;
mod mux;
mod outbox;
mod port;

pub(crate) use mux::{Mux, Opener, Stream};
pub(crate) use outbox::carry;
pub(crate) use port::Port;

use std::sync::Arc;

use door::Door;
use handshake::Answer;

/// Why there is no channel.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// No such port.
    #[error("no virtio port is named {0}, and there is no vsock device")]
    NoPort(&'static str),
    /// A system call on it.
    #[error("cannot {step} the host port: {source}")]
    Port {
        /// What was tried.
        step: &'static str,
        /// Cause.
        source: std::io::Error,
    },
}

/// A port on which the handshake is done.
pub(crate) struct Greeted {
    /// The port.
    pub(crate) port: Arc<Port>,
    /// What the host sent behind its hello.
    pub(crate) rest: Vec<u8>,
}

/// Finds the door and waits for the host.
pub(crate) fn greet() -> Result<Greeted, LinkError> {
    let greeted = greet_at(&Door::find()?)?;
    port::watch(Arc::clone(&greeted.port));
    Ok(greeted)
}

/// Whoever connects and goes before the hello was answered leaves the door as it
/// was; whoever comes anew before it takes the place of who came before.
fn greet_at(door: &Door) -> Result<Greeted, LinkError> {
    let mut port = door.open()?;
    loop {
        port = match handshake::answer(&port, door)? {
            Answer::Greeted(rest) => {
                let port = Arc::new(port);
                return Ok(Greeted { port, rest });
            }
            Answer::Ended => door.open()?,
            Answer::Newer(newer) => newer,
        };
    }
}

#[cfg(test)]
mod tests;
