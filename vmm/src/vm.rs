//! A running machine.
//!
//! Owns: the handle through which everything else is reached: channel,
//! console, pause, resume, end. Must not: interpret the channel's bytes.
//!
//! Dropping a [`Vm`] kills the hypervisor and waits until it is reaped. There
//! is nothing else to remove: no file is ever made.

mod tail;

pub(crate) use tail::{Tail, collect};

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use belljar_event::Machine;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

use crate::link::{Link, LinkError};
use crate::process::{ExitHow, Process};
use crate::qemu::{Qmp, QmpError, Shutdown};

/// How long last words may take after the hypervisor has ended.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The host's end of the byte stream to the agent.
#[derive(Debug)]
pub struct Channel(pub(crate) UnixStream);

impl AsyncRead for Channel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Channel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// How a machine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineExit {
    /// How the hypervisor's process ended.
    pub how: ExitHow,
    /// Why, in the hypervisor's words, if it had the time to say:
    /// `guest-shutdown`, `guest-reset` (a panic too), `host-qmp-quit` …
    pub reason: Option<String>,
    /// The last of the guest's console, escaped.
    pub console: String,
    /// The last of what the hypervisor itself printed, escaped.
    pub messages: String,
}

impl MachineExit {
    /// True if the guest powered itself off.
    #[must_use]
    pub fn powered_off(&self) -> bool {
        self.how == ExitHow::Code(0) && self.reason.as_deref() == Some("guest-shutdown")
    }
}

impl std::fmt::Display for MachineExit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.reason {
            Some(reason) => write!(f, "{reason}, {}", self.how),
            None => write!(f, "{}", self.how),
        }
    }
}

/// A running machine. Dropping it ends it.
#[derive(Debug)]
pub struct Vm {
    pub(crate) process: Process,
    pub(crate) qmp: Qmp,
    pub(crate) shutdown: Shutdown,
    pub(crate) channel: Option<Channel>,
    pub(crate) console: Tail,
    pub(crate) messages: Tail,
    pub(crate) machine: Machine,
}

impl Vm {
    /// The channel, once.
    pub fn take_channel(&mut self) -> Option<Channel> {
        self.channel.take()
    }

    /// Takes the channel and shakes hands with the agent. Fails at once if the
    /// machine ends meanwhile; every error carries the console's last lines.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn link(&mut self, deadline: Duration) -> Result<Link, LinkError> {
        let channel = self.take_channel().ok_or(LinkError::Taken)?;
        let failed = tokio::select! {
            biased;
            link = Link::handshake(channel, deadline) => match link {
                Ok(link) => return Ok(link),
                // Usually the symptom of the machine's end, which says more.
                Err(error @ (LinkError::Closed | LinkError::Io { .. })) => {
                    let exit = tokio::time::timeout(LAST_WORDS, self.wait()).await;
                    exit.map_or(error, |exit| LinkError::ended(&exit))
                }
                Err(error) => error,
            },
            exit = self.wait() => LinkError::ended(&exit),
        };
        Err(failed.on_console(self.console_tail()))
    }

    /// The last lines of the guest's console, escaped.
    #[must_use]
    pub fn console_tail(&self) -> String {
        self.console.text()
    }

    /// The machine as it is recorded.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.machine.clone()
    }

    /// The hypervisor's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Stops the guest's processors and clocks.
    ///
    /// # Errors
    /// If the hypervisor does not carry it out.
    pub async fn pause(&self) -> Result<(), QmpError> {
        self.qmp.command("stop").await.map(drop)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// If the hypervisor does not carry it out.
    pub async fn resume(&self) -> Result<(), QmpError> {
        self.qmp.command("cont").await.map(drop)
    }

    /// True if the guest's processors run, in the hypervisor's words.
    ///
    /// # Errors
    /// If the hypervisor does not answer.
    pub async fn running(&self) -> Result<bool, QmpError> {
        let status = self.qmp.command("query-status").await?;
        Ok(status
            .get("running")
            .and_then(serde_json::Value::as_bool)
            .unwrap_or(false))
    }

    /// Waits for the machine's end; may be asked again.
    pub async fn wait(&self) -> MachineExit {
        let how = self.process.wait().await;
        self.qmp.drained(LAST_WORDS).await;
        self.console.drained(LAST_WORDS).await;
        self.messages.drained(LAST_WORDS).await;
        MachineExit {
            how,
            reason: self.shutdown.get(),
            console: self.console.text(),
            messages: self.messages.text(),
        }
    }

    /// Ends the machine now and waits for it.
    pub async fn kill(&self) -> MachineExit {
        self.process.kill();
        self.wait().await
    }
}
