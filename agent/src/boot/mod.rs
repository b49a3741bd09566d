//! The machine from the kernel's hand-over to a root that a payload can live in.
//!
//! Owns: mounts, modules, devices, the clock, the console, power, and (in
//! `raw`, `spawn` and `probe`) every system call that has no safe wrapper.
//! Must not: talk to the host, or decide what the payload may do.

pub(crate) mod clock;
pub(crate) mod console;
pub(crate) mod modules;
pub(crate) mod mounts;
pub(crate) mod notify;
pub(crate) mod power;
pub(crate) mod probe;
pub(crate) mod raw;
pub(crate) mod root;
pub(crate) mod spawn;
pub(crate) mod sysctl;

use std::path::PathBuf;

/// Why the machine could not be brought up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BootError {
    /// A mount.
    #[error("cannot mount {what} on {at}: {source}")]
    Mount {
        /// File system.
        what: &'static str,
        /// Mount point.
        at: PathBuf,
        /// Cause.
        source: rustix::io::Errno,
    },
    /// Any other step on a file.
    #[error("cannot {step} {path}: {source}")]
    File {
        /// What was tried.
        step: &'static str,
        /// On which path.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// Any other step.
    #[error("cannot {step}: {source}")]
    Step {
        /// What was tried.
        step: &'static str,
        /// Cause.
        source: std::io::Error,
    },
    /// A device did not turn up.
    #[error("{what} did not appear within {seconds} s")]
    Missing {
        /// Device.
        what: &'static str,
        /// How long it was waited for.
        seconds: u64,
    },
}

impl BootError {
    /// For `map_err`: a step on a path that failed.
    pub(crate) fn file<E: Into<std::io::Error>>(
        step: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Self {
        let path = path.into();
        move |source| Self::File {
            step,
            path,
            source: source.into(),
        }
    }

    /// For `map_err`: a step that failed.
    pub(crate) fn step<E: Into<std::io::Error>>(step: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Step {
            step,
            source: source.into(),
        }
    }
}
