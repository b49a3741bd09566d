//! The handshake, before anything asynchronous: the host may not be there yet,
//! bytes of an earlier session may come first, and on a machine that was saved
//! the connection may be one that nobody has the other end of.

use std::time::Duration;

use belljar_event::wire::{AGENT_MAGIC, HELLO_LEN, HOST_MAGIC, VERSION, find_hello, hello};

use super::door::{Door, Turn};
use super::{LinkError, Port};
use crate::boot::console;

/// Between looks at a port whose host end is not open (a poll would not sleep).
const ABSENT: Duration = Duration::from_millis(5);

/// How waiting for a hello ended.
pub(super) enum Answer {
    /// With a hello, which was answered. This came behind it.
    Greeted(Vec<u8>),
    /// This was a connection, and it ended.
    Ended,
    /// The host has come anew, by this one.
    Newer(Port),
}

/// Waits for a hello of this version and answers it.
pub(super) fn answer(port: &Port, door: &Door) -> Result<Answer, LinkError> {
    let failed = |step| move |source| LinkError::Port { step, source };
    let mut scanner = Scanner::default();
    let mut chunk = [0; 4096];
    loop {
        match door.wait(port)? {
            Turn::Ready => {}
            Turn::Absent => std::thread::sleep(ABSENT),
            Turn::Newer(newer) => return Ok(Answer::Newer(newer)),
        }
        let count = match port.read(&mut chunk) {
            Ok(0) if port.ends() => return Ok(Answer::Ended),
            Ok(count) => count,
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) if port.ends() => return Ok(Answer::Ended),
            Err(e) => return Err(failed("read")(e)),
        };
        scanner.push(chunk.get(..count).unwrap_or_default());
        while let Some((version, session)) = scanner.next() {
            match send(port, &hello(AGENT_MAGIC, session)) {
                Err(_) if port.ends() => return Ok(Answer::Ended),
                sent => sent.map_err(failed("write"))?,
            }
            if version == VERSION {
                return Ok(Answer::Greeted(scanner.bytes));
            }
            // The answer carries our version: the host says what is wrong, and
            // goes. Or it was a stale hello's beginning, and ours lies in it.
            console::say(format_args!(
                "host speaks version {version}, this agent {VERSION}"
            ));
        }
    }
}

fn send(port: &Port, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match port.write(bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Looks for a hello in what arrives, keeping no more than it needs.
#[derive(Default)]
struct Scanner {
    bytes: Vec<u8>,
}

impl Scanner {
    fn push(&mut self, more: &[u8]) {
        self.bytes.extend_from_slice(more);
    }

    /// Version and session of the next hello; `bytes` then holds what follows it
    /// (what follows its magic, if the version is not ours).
    fn next(&mut self) -> Option<(u16, [u8; 16])> {
        if let Some((version, session, end)) = find_hello(HOST_MAGIC, &self.bytes) {
            let body = HELLO_LEN - HOST_MAGIC.len();
            let used = if version == VERSION {
                end
            } else {
                end.saturating_sub(body)
            };
            self.bytes.drain(..used);
            return Some((version, session));
        }
        // Neither a whole hello nor the start of one can lie before this.
        let start = self
            .bytes
            .windows(HOST_MAGIC.len())
            .position(|w| w == HOST_MAGIC);
        let keep = start.unwrap_or(self.bytes.len().saturating_sub(HELLO_LEN));
        self.bytes.drain(..keep);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hello_is_found_however_it_is_cut() {
        let mut stream = vec![b'B'; 10_000];
        stream.extend(b"BELLJ");
        stream.extend(hello(HOST_MAGIC, [9; 16]));
        stream.extend(b"after");
        for size in [1, 3, 25, 26, 4096] {
            let mut scanner = Scanner::default();
            let mut found = None;
            let mut seen = 0;
            for chunk in stream.chunks(size) {
                seen += chunk.len();
                scanner.push(chunk);
                found = scanner.next();
                assert!(scanner.bytes.len() < 4096 + 2 * HELLO_LEN);
                if found.is_some() {
                    break;
                }
            }
            assert_eq!(found, Some((VERSION, [9; 16])), "chunks of {size}");
            scanner.bytes.extend(&stream[seen..]);
            assert_eq!(scanner.bytes, b"after");
        }
    }

    #[test]
    fn a_stale_hello_cut_short_does_not_swallow_ours() {
        let mut scanner = Scanner::default();
        scanner.push(b"BELLJARh");
        assert_eq!(scanner.next(), None);
        scanner.push(&hello(HOST_MAGIC, [9; 16]));
        assert_ne!(scanner.next().unwrap().0, VERSION);
        assert_eq!(scanner.next(), Some((VERSION, [9; 16])));
        assert_eq!(scanner.next(), None);
    }
}
