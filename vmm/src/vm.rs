//! A running machine.
//!
//! Owns: the handle through which everything else is reached: channel,
//! console, pause, resume, end. Must not: interpret the channel's bytes.
//!
//! Dropping a [`Vm`] kills the hypervisor and waits until it is reaped. There
//! is nothing else to remove: no file is ever made.

mod tail;
mod vsock;

pub(crate) use tail::{Tail, collect};

use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use belljar_event::Machine;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::control::{Control, ControlError, Shutdown};
use crate::link::{Link, LinkError};
use crate::process::{ExitHow, Process};
use crate::warm::{Base, Saver};
use crate::{cloud_hypervisor, qemu};

/// How long last words may take after the hypervisor has ended.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// The host's end of the byte stream to the agent.
#[derive(Debug)]
pub struct Channel(UnixStream);

/// Where the channel is had.
#[derive(Debug)]
pub(crate) enum Way {
    /// It stands already.
    Stream(UnixStream),
    /// Through the place of the hypervisor's vsock socket, once the agent listens.
    Vsock(OwnedFd),
}

impl Way {
    /// Waits for as long as it takes.
    async fn open(self) -> Channel {
        match self {
            Self::Stream(stream) => Channel(stream),
            Self::Vsock(place) => Channel(vsock::connect(&place).await),
        }
    }
}

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
    pub(crate) control: Control,
    pub(crate) shutdown: Shutdown,
    pub(crate) channel: Option<Way>,
    pub(crate) console: Tail,
    pub(crate) messages: Tail,
    pub(crate) machine: Machine,
    /// Keeps the machine for later ones, once it waits for the host.
    pub(crate) saver: Option<Saver>,
    /// What the machine went on from.
    pub(crate) woken: Option<Base>,
}

impl Vm {
    /// The channel, once. Waits until the guest has its end open, where the
    /// hypervisor knows that.
    pub async fn channel(&mut self) -> Option<Channel> {
        Some(self.channel.take()?.open().await)
    }

    /// Takes the channel and shakes hands with the agent. Fails at once if the
    /// machine ends meanwhile; every error carries the console's last lines.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn link(&mut self, deadline: Duration) -> Result<Link, LinkError> {
        let way = self.channel.take().ok_or(LinkError::Taken)?;
        let saver = self.saver.take();
        let greet = async {
            let since = Instant::now();
            self.keep(saver, &way, deadline).await?;
            let silent = || LinkError::Silent {
                deadline,
                console: String::new(),
            };
            let channel = timeout(deadline, way.open()).await.map_err(|_| silent())?;
            Link::handshake(channel, deadline.saturating_sub(since.elapsed())).await
        };
        let failed = tokio::select! {
            biased;
            link = greet => match link {
                Ok(link) => return Ok(link),
                // Usually the symptom of the machine's end, which says more.
                Err(error @ (LinkError::Closed | LinkError::Io { .. })) => {
                    let exit = timeout(LAST_WORDS, self.wait()).await;
                    exit.map_or(error, |exit| LinkError::ended(&exit))
                }
                Err(error) => error,
            },
            exit = self.wait() => LinkError::ended(&exit),
        };
        // Whatever it was, the next machine must not go on from the same.
        if let Some(base) = &self.woken {
            base.remove();
        }
        Err(failed.on_console(self.console_tail()))
    }

    /// Puts the machine down for later ones, if that is wanted.
    async fn keep(
        &self,
        saver: Option<Saver>,
        way: &Way,
        deadline: Duration,
    ) -> Result<(), LinkError> {
        let Some(saver) = saver else {
            return Ok(());
        };
        let save = async {
            match (&self.control, way) {
                (Control::Qemu(qmp), _) => qemu::save(saver, qmp).await,
                (Control::CloudHypervisor(api), Way::Vsock(place)) => {
                    vsock::listening(place).await;
                    cloud_hypervisor::save(saver, api).await
                }
                (Control::CloudHypervisor(_), Way::Stream(_)) => Ok(()),
            }
        };
        let saved = timeout(deadline, save).await;
        let saved = saved.map_err(|_| LinkError::Silent {
            deadline,
            console: String::new(),
        })?;
        // A machine that does not go on after it stood still is of no use.
        saved.map_err(|error| LinkError::Io {
            doing: "saving the machine",
            source: std::io::Error::other(error),
        })
    }

    /// True if the machine went on from one that had booted already.
    #[must_use]
    pub fn woken(&self) -> bool {
        self.woken.is_some()
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
    pub async fn pause(&self) -> Result<(), ControlError> {
        self.control.pause().await
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// If the hypervisor does not carry it out.
    pub async fn resume(&self) -> Result<(), ControlError> {
        self.control.resume().await
    }

    /// True if the guest's processors run, in the hypervisor's words.
    ///
    /// # Errors
    /// If the hypervisor does not answer.
    pub async fn running(&self) -> Result<bool, ControlError> {
        self.control.running().await
    }

    /// Waits for the machine's end; may be asked again.
    pub async fn wait(&self) -> MachineExit {
        let how = self.process.wait().await;
        self.control.drained(LAST_WORDS).await;
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
