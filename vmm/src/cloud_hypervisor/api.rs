//! The client of its REST API.
//!
//! Owns: the commands, their deadlines and their errors, over a socket that has
//! no name any more. Must not: trust the other end: a guest may have taken the
//! hypervisor over, so an answer is cut off after [`MOST`] bytes.

use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use cloud_hypervisor_client::apis::configuration::Configuration;
use cloud_hypervisor_client::apis::{DefaultApi, DefaultApiClient, Error};
use cloud_hypervisor_client::models::{RestoreConfig, VmConfig, VmSnapshotConfig, VmState};
use hyper::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tower_service::Service;

use super::events::Events;
use crate::control::{ControlError, DEADLINE, short};

/// Most bytes that are read of one connection: a description of a machine, the
/// longest answer, has some thousand.
const MOST: usize = 1 << 20;

/// The API of one machine's hypervisor.
pub(crate) struct Api {
    client: DefaultApiClient<Connector>,
    events: Events,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

impl Api {
    /// `socket` is the listening socket's place, opened as a path.
    pub(super) fn new(socket: OwnedFd, events: Events) -> Self {
        let connector = Connector(Arc::new(socket));
        let client = Client::builder(TokioExecutor::new())
            // One command, one connection: it has its own bound then.
            .pool_max_idle_per_host(0)
            .build(connector);
        Self {
            client: DefaultApiClient::new(Arc::new(Configuration::with_client(client))),
            events,
        }
    }

    pub(super) async fn create(&self, config: VmConfig) -> Result<(), ControlError> {
        told("vm.create", self.client.create_vm(config)).await
    }

    pub(super) async fn boot(&self) -> Result<(), ControlError> {
        told("vm.boot", self.client.boot_vm()).await
    }

    /// Has a stopped machine's state put into a folder.
    pub(super) async fn snapshot(&self, folder: String) -> Result<(), ControlError> {
        let into = VmSnapshotConfig {
            destination_url: Some(folder),
        };
        told("vm.snapshot", self.client.vm_snapshot_put(into)).await
    }

    /// Takes a machine over, which stands still then.
    pub(super) async fn restore(&self, folder: String) -> Result<(), ControlError> {
        let from = RestoreConfig::new(folder);
        told("vm.restore", self.client.vm_restore_put(from)).await
    }

    pub(crate) async fn pause(&self) -> Result<(), ControlError> {
        told("vm.pause", self.client.pause_vm()).await
    }

    pub(crate) async fn resume(&self) -> Result<(), ControlError> {
        told("vm.resume", self.client.resume_vm()).await
    }

    pub(crate) async fn running(&self) -> Result<bool, ControlError> {
        let info = told("vm.info", self.client.vm_info_get()).await?;
        Ok(info.state == VmState::Running)
    }

    /// Waits until its events have ended, so that the last words are in.
    pub(crate) async fn drained(&self, most: Duration) {
        self.events.drained(most).await;
    }
}

/// One command, with its deadline.
async fn told<T>(
    command: &'static str,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, ControlError> {
    match timeout(DEADLINE, call).await {
        Err(_) => Err(ControlError::Silent { command }),
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(Error::Api(refusal))) => Err(ControlError::Refused {
            command,
            why: reason(&refusal.body),
        }),
        Ok(Err(Error::Serde(error))) => Err(ControlError::Refused {
            command,
            why: short(&format!("its answer cannot be read: {error}")),
        }),
        Ok(Err(_)) => Err(ControlError::Gone { command }),
    }
}

/// Its words: a JSON list of causes, from the symptom down.
fn reason(body: &str) -> String {
    match serde_json::from_str::<Vec<String>>(body) {
        Ok(causes) => short(&causes.join(": ")),
        Err(_) if body.trim().is_empty() => "no reason given".into(),
        Err(_) => short(body),
    }
}

/// Connects to a socket whose name is gone: through the descriptor of its place.
#[derive(Clone)]
struct Connector(Arc<OwnedFd>);

impl Service<Uri> for Connector {
    type Response = TokioIo<Limited>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let place = Arc::clone(&self.0);
        Box::pin(async move {
            let stream = connect(&place).await?;
            Ok(TokioIo::new(Limited { stream, left: MOST }))
        })
    }
}

/// A connection to a socket by the descriptor of its place.
pub(crate) async fn connect(place: &OwnedFd) -> std::io::Result<UnixStream> {
    UnixStream::connect(super::path_of(place.as_raw_fd())).await
}

/// A connection that ends after so many bytes.
struct Limited {
    stream: UnixStream,
    left: usize,
}

impl Connection for Limited {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Limited {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.left == 0 {
            let error = std::io::Error::other("the hypervisor's answer is too long");
            return Poll::Ready(Err(error));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let came = buf.filled().len().saturating_sub(before);
        self.left = self.left.saturating_sub(came);
        polled
    }
}

impl AsyncWrite for Limited {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
