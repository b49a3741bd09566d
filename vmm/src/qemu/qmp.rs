//! A minimal QMP client: JSON lines over a socket, one command at a time.
//!
//! Owns: the greeting, commands with deadlines, and the reason of a shutdown.
//! Must not: trust the other end. A guest may have taken the hypervisor over,
//! so lines are capped and unknown ones are skipped.
//!
//! One task reads all the time (an unread socket would make QEMU buffer), and
//! a caller that gives up waiting leaves nothing half-read behind.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::control::{ControlError, DEADLINE, Shutdown, short};

/// Longest line that is read.
const MAX_LINE: u64 = 64 << 10;
struct Request {
    command: &'static str,
    answer: oneshot::Sender<Result<Value, ControlError>>,
}

/// The control socket of one machine.
#[derive(Debug)]
pub(crate) struct Qmp {
    requests: mpsc::Sender<Request>,
    driver: tokio::task::JoinHandle<()>,
}

impl Qmp {
    /// Takes the socket over and negotiates.
    pub(crate) async fn connect(
        socket: UnixStream,
        shutdown: Shutdown,
    ) -> Result<Self, ControlError> {
        let (read, write) = socket.into_split();
        let (requests, queue) = mpsc::channel(8);
        let driver = tokio::spawn(drive(BufReader::new(read), write, queue, shutdown));
        let qmp = Self { requests, driver };
        // QEMU queues what comes before its greeting, and its answer comes after it.
        qmp.command("qmp_capabilities").await?;
        Ok(qmp)
    }

    /// Runs a command without arguments.
    pub(crate) async fn command(&self, command: &'static str) -> Result<Value, ControlError> {
        let (answer, reply) = oneshot::channel();
        let exchange = async {
            let gone = ControlError::Gone { command };
            if self
                .requests
                .send(Request { command, answer })
                .await
                .is_err()
            {
                return Err(gone);
            }
            reply.await.unwrap_or(Err(gone))
        };
        timeout(DEADLINE, exchange)
            .await
            .unwrap_or(Err(ControlError::Silent { command }))
    }

    /// Waits until the socket is closed, so that the last words are in.
    pub(crate) async fn drained(&self, most: Duration) {
        let _ = timeout(most, self.requests.closed()).await;
    }
}

impl Drop for Qmp {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn drive(
    mut read: BufReader<OwnedReadHalf>,
    mut write: OwnedWriteHalf,
    mut queue: mpsc::Receiver<Request>,
    shutdown: Shutdown,
) {
    let mut number: u64 = 0;
    let mut waiting: Option<(u64, Request)> = None;
    let mut line = Vec::new();
    let mut open = true;
    loop {
        // A line that is read in parts stays in `line` across turns.
        let room = MAX_LINE.saturating_sub(line.len() as u64);
        let mut limited = (&mut read).take(room);
        tokio::select! {
            got = limited.read_until(b'\n', &mut line) => {
                if !matches!(got, Ok(1..)) {
                    return;
                }
                if line.last() != Some(&b'\n') {
                    // Either the end of the stream or too long a line: no more sense here.
                    return;
                }
                understand(&line, &mut waiting, &shutdown);
                line.clear();
            }
            request = queue.recv(), if open && waiting.is_none() => {
                let Some(request) = request else { open = false; continue };
                number += 1;
                let text = format!("{{\"execute\":\"{}\",\"id\":{number}}}\n", request.command);
                if write.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
                waiting = Some((number, request));
            }
        }
    }
}

/// An answer goes to who waits for it, a shutdown is noted, all else is skipped.
fn understand(line: &[u8], waiting: &mut Option<(u64, Request)>, shutdown: &Shutdown) {
    let Ok(value) = serde_json::from_slice::<Value>(line) else {
        return;
    };
    if value.get("event").and_then(Value::as_str) == Some("SHUTDOWN") {
        let reason = value.pointer("/data/reason").and_then(Value::as_str);
        shutdown.set(reason.unwrap_or("unknown"));
        return;
    }
    let id = value.get("id").and_then(Value::as_u64);
    let Some((number, request)) = waiting.take_if(|(number, _)| Some(*number) == id) else {
        return;
    };
    let _ = number;
    let answer = match value.get("error") {
        Some(error) => {
            let why = error
                .get("desc")
                .and_then(Value::as_str)
                .unwrap_or("no reason given");
            Err(ControlError::Refused {
                command: request.command,
                why: short(why),
            })
        }
        None => Ok(value.get("return").cloned().unwrap_or_default()),
    };
    // Whoever asked may have given up.
    let _ = request.answer.send(answer);
}

#[cfg(test)]
mod tests;
