//! The last bytes of an endless stream.
//!
//! Owns: a bounded ring that a task fills. Must not: grow with what a guest
//! prints, or hand its bytes out unescaped.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;

/// What is kept of a console.
const KEPT: usize = 64 << 10;
/// What is shown of it.
const SHOWN_LINES: usize = 120;

/// A handle on the last bytes of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Tail {
    bytes: Arc<Mutex<VecDeque<u8>>>,
    ended: watch::Receiver<bool>,
}

impl Tail {
    /// The last lines, escaped: printable ASCII and line ends only.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for &byte in self
            .bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            match byte {
                b'\r' => {}
                b'\n' => text.push('\n'),
                b' '..=b'~' => text.push(char::from(byte)),
                _ => text.extend(std::ascii::escape_default(byte).map(char::from)),
            }
        }
        let skip = text.lines().count().saturating_sub(SHOWN_LINES);
        text.lines().skip(skip).collect::<Vec<_>>().join("\n")
    }

    /// Waits until the stream has ended.
    pub(crate) async fn drained(&self, most: Duration) {
        let mut ended = self.ended.clone();
        let _ = tokio::time::timeout(most, ended.wait_for(|ended| *ended)).await;
    }
}

/// Reads a stream to its end and keeps the last of it.
pub(crate) fn collect(mut stream: impl AsyncRead + Unpin + Send + 'static) -> Tail {
    let bytes = Arc::new(Mutex::new(VecDeque::with_capacity(4096)));
    let (done, ended) = watch::channel(false);
    let ring = Arc::clone(&bytes);
    tokio::spawn(async move {
        let mut buffer = vec![0; 8192];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            let mut ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
            ring.extend(buffer.iter().take(count));
            let excess = ring.len().saturating_sub(KEPT);
            ring.drain(..excess);
        }
        done.send_replace(true);
    });
    Tail { bytes, ended }
}

#[cfg(test)]
mod tests;
