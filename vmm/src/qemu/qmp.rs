//! A minimal QMP client: JSON lines over a socket, one command at a time.
//!
//! Owns: the greeting, commands with deadlines, and the reason of a shutdown.
//! Must not: trust the other end. A guest may have taken the hypervisor over,
//! so lines are capped and unknown ones are skipped.
//!
//! One task reads all the time (an unread socket would make QEMU buffer), and
//! a caller that gives up waiting leaves nothing half-read behind.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::control::{ControlError, DEADLINE, Shutdown, short};

/// Longest line that is read.
const MAX_LINE: u64 = 64 << 10;
struct Request {
    command: &'static str,
    arguments: Option<Value>,
    /// Goes along with the command.
    pass: Option<OwnedFd>,
    answer: oneshot::Sender<Result<Value, ControlError>>,
}

/// The control socket of one machine.
#[derive(Debug)]
pub(crate) struct Qmp {
    requests: mpsc::Sender<Request>,
    /// The guest has its end of the channel open.
    opened: watch::Receiver<bool>,
    driver: tokio::task::JoinHandle<()>,
}

impl Qmp {
    /// Takes the socket over and negotiates. When it is closed, `closed` runs.
    pub(crate) async fn connect(
        socket: UnixStream,
        shutdown: Shutdown,
        closed: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Self, ControlError> {
        let (read, write) = socket.into_split();
        let (requests, queue) = mpsc::channel(8);
        let (open, opened) = watch::channel(false);
        let told = Told { shutdown, open };
        let driver = tokio::spawn(async move {
            drive(BufReader::new(read), write, queue, told).await;
            closed.await;
        });
        let qmp = Self {
            requests,
            opened,
            driver,
        };
        // QEMU queues what comes before its greeting, and its answer comes after it.
        qmp.command("qmp_capabilities").await?;
        Ok(qmp)
    }

    /// Runs a command without arguments.
    pub(crate) async fn command(&self, command: &'static str) -> Result<Value, ControlError> {
        self.tell(command, None, None).await
    }

    /// Runs a command, and hands a descriptor over with it.
    pub(crate) async fn tell(
        &self,
        command: &'static str,
        arguments: Option<Value>,
        pass: Option<OwnedFd>,
    ) -> Result<Value, ControlError> {
        let (answer, reply) = oneshot::channel();
        let exchange = async {
            let gone = ControlError::Gone { command };
            if self
                .requests
                .send(Request {
                    command,
                    arguments,
                    pass,
                    answer,
                })
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

    /// Waits until the guest opens its end of the channel; false if the hypervisor
    /// ends first.
    pub(crate) async fn channel_open(&self) -> bool {
        let mut opened = self.opened.clone();
        opened.wait_for(|open| *open).await.is_ok()
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
    told: Told,
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
                understand(&line, &mut waiting, &told);
                line.clear();
            }
            request = queue.recv(), if open && waiting.is_none() => {
                let Some(request) = request else { open = false; continue };
                number += 1;
                let mut request = request;
                let arguments = request.arguments.take().unwrap_or_else(|| json!({}));
                let said = json!({
                    "execute": request.command, "arguments": arguments, "id": number,
                });
                let text = format!("{said}\n");
                let sent = match request.pass.take() {
                    None => write.write_all(text.as_bytes()).await,
                    Some(fd) => hand_over(&write, text.as_bytes(), &fd).await,
                };
                if sent.is_err() {
                    return;
                }
                waiting = Some((number, request));
            }
        }
    }
}

/// What the hypervisor says unasked.
struct Told {
    shutdown: Shutdown,
    open: watch::Sender<bool>,
}

/// Sends a command together with a descriptor. Commands are short: what a socket
/// buffer does not take at once is no command of ours.
async fn hand_over(write: &OwnedWriteHalf, text: &[u8], fd: &OwnedFd) -> std::io::Result<()> {
    let socket: &UnixStream = write.as_ref();
    loop {
        socket.writable().await?;
        let sent = socket.try_io(Interest::WRITABLE, || {
            let fds = [fd.as_fd()];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(&fds));
            let parts = [IoSlice::new(text)];
            Ok(sendmsg(socket, &parts, &mut control, SendFlags::NOSIGNAL)?)
        });
        match sent {
            Ok(count) if count == text.len() => return Ok(()),
            Ok(_) => return Err(std::io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// An answer goes to who waits for it; a shutdown and an open channel are noted;
/// all else is skipped.
fn understand(line: &[u8], waiting: &mut Option<(u64, Request)>, told: &Told) {
    let Ok(value) = serde_json::from_slice::<Value>(line) else {
        return;
    };
    if value.get("event").and_then(Value::as_str) == Some("SHUTDOWN") {
        let reason = value.pointer("/data/reason").and_then(Value::as_str);
        told.shutdown.set(reason.unwrap_or("unknown"));
        return;
    }
    if value.get("event").and_then(Value::as_str) == Some("VSERPORT_CHANGE") {
        if value.pointer("/data/open") == Some(&Value::Bool(true)) {
            told.open.send_replace(true);
        }
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
