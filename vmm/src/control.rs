//! What every hypervisor can be told, and why one could not be.
//!
//! Owns: the commands that a running machine takes whatever runs it, their
//! errors, and the reason that a hypervisor gives for a machine's end.
//! Must not: know how a hypervisor is spoken to (`qemu` and `cloud_hypervisor` do).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::cloud_hypervisor::Api;
use crate::process::Killer;
use crate::qemu::Qmp;

/// Longest wait for an answer. Under load a command takes milliseconds.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Why a command to the hypervisor failed.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ControlError {
    /// No answer in time.
    #[error("hypervisor did not answer `{command}` within {} s", DEADLINE.as_secs())]
    Silent {
        /// The command.
        command: &'static str,
    },
    /// The control socket is closed, most likely since the hypervisor is gone.
    #[error("hypervisor's control socket is closed: `{command}` was not carried out")]
    Gone {
        /// The command.
        command: &'static str,
    },
    /// The hypervisor said no.
    #[error("hypervisor refused `{command}`: {why}")]
    Refused {
        /// The command.
        command: &'static str,
        /// Its words, escaped.
        why: String,
    },
}

/// The way to speak to the hypervisor of one machine.
#[derive(Debug)]
pub(crate) enum Control {
    Qemu(Qmp),
    CloudHypervisor(Api),
}

impl Control {
    pub(crate) async fn pause(&self) -> Result<(), ControlError> {
        match self {
            Self::Qemu(qmp) => qmp.command("stop").await.map(drop),
            Self::CloudHypervisor(api) => api.pause().await,
        }
    }

    pub(crate) async fn resume(&self) -> Result<(), ControlError> {
        match self {
            Self::Qemu(qmp) => qmp.command("cont").await.map(drop),
            Self::CloudHypervisor(api) => api.resume().await,
        }
    }

    pub(crate) async fn running(&self) -> Result<bool, ControlError> {
        match self {
            Self::Qemu(qmp) => {
                let status = qmp.command("query-status").await?;
                let running = status.get("running").and_then(serde_json::Value::as_bool);
                Ok(running.unwrap_or(false))
            }
            Self::CloudHypervisor(api) => api.running().await,
        }
    }

    /// Waits until its last words are in.
    pub(crate) async fn drained(&self, most: Duration) {
        match self {
            Self::Qemu(qmp) => qmp.drained(most).await,
            Self::CloudHypervisor(api) => api.drained(most).await,
        }
    }
}

/// Why the machine went down, as the hypervisor put it (`guest-shutdown`,
/// `guest-reset`, `guest-panic`, `host-qmp-quit` …). Filled when it says so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shutdown(Arc<Mutex<Option<String>>>);

impl Shutdown {
    pub(crate) fn get(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set(&self, reason: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(short(reason));
    }
}

/// What is told of a machine that was ended since nothing was told of it any more.
const CUT_OFF: &str = "the hypervisor closed its control socket";
/// How long a hypervisor may outlive the socket over which it tells of its machine.
const OUTLIVES: Duration = Duration::from_secs(2);

/// The socket over which the hypervisor tells of its machine is closed. Usually
/// that is its end. One that lives on without having said that it goes down is
/// ended: its machine could reset itself, or not be stopped, and nobody would know.
pub(crate) async fn cut_off(killer: Killer, shutdown: Shutdown) {
    tokio::time::sleep(OUTLIVES).await;
    if shutdown.get().is_none() && !killer.is_over() {
        shutdown.set(CUT_OFF);
        killer.kill();
    }
}

/// Safe to print: at most 200 characters, escaped.
pub(crate) fn short(text: &str) -> String {
    text.chars()
        .take(200)
        .flat_map(char::escape_default)
        .collect()
}
