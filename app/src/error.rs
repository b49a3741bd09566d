//! Every way a command can fail, and the one place that turns it into a
//! message, hints and an exit code.
//!
//! Messages say what failed, on what, and why; hints say what to do. Text from
//! guests and traces is escaped before it is printed.

use std::path::{Path, PathBuf};

use belljar_replay::escape;

use crate::exit::Exit;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppError {
    /// The arguments do not make sense.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A file or the terminal.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A trace cannot be opened at all.
    #[error("cannot read trace {}: {source}", path.display())]
    Trace {
        /// The file.
        path: PathBuf,
        /// Why.
        source: belljar_recorder::OpenError,
    },
    /// A trace cannot be judged.
    #[error("cannot judge trace {}: {source}", path.display())]
    Judge {
        /// The file.
        path: PathBuf,
        /// Why.
        source: belljar_replay::batch::BatchError,
    },
    /// A trace cannot be made from another.
    #[error("cannot make a trace of {}: {}", path.display(), chain(source))]
    Rewrite {
        /// The old one.
        path: PathBuf,
        /// Why.
        source: belljar_recorder::RewriteError,
    },
    /// The rules or the policy do not load.
    #[error("{0}")]
    Rules(String),
    /// There is no guest image.
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Image(#[from] belljar_vmm::image::ImageError),
    /// The machine did not boot.
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Boot(#[from] belljar_vmm::BootError),
    /// The guest's agent could not be reached.
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Link(#[from] belljar_vmm::link::LinkError),
    /// The project could not be copied in.
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Pack(#[from] crate::project::PackError),
    /// Recording failed.
    #[error("cannot record: {0}")]
    Record(#[from] belljar_recorder::WriteError),
    /// The trace does not reach the disk.
    #[error("cannot record: the trace does not reach the disk: {0}")]
    Sync(std::io::Error),
    /// The guest did not do its part.
    #[error("{0}")]
    Guest(String),
    /// This system cannot run guests.
    #[cfg(not(target_os = "linux"))]
    #[error("this system cannot boot guests: belljar run needs Linux")]
    NoGuests,
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

impl AppError {
    pub(crate) fn io(doing: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io {
            doing: doing.into(),
            source,
        }
    }

    pub(crate) fn file(verb: &str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            doing: format!("{verb} {}", path.display()),
            source,
        }
    }

    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } | Self::Io { .. } | Self::Rules(_) => Exit::Usage,
            Self::Trace { .. } | Self::Judge { .. } => Exit::Damaged,
            #[cfg(target_os = "linux")]
            Self::Boot(belljar_vmm::BootError::Spec(_)) => Exit::Usage,
            #[cfg(target_os = "linux")]
            Self::Image(_) | Self::Boot(_) | Self::Link(_) | Self::Pack(_) => Exit::NotEnforced,
            #[cfg(not(target_os = "linux"))]
            Self::NoGuests => Exit::NotEnforced,
            Self::Record(_) | Self::Sync(_) | Self::Guest(_) | Self::Rewrite { .. } => {
                Exit::NotEnforced
            }
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Usage { hint, .. } => hint.clone(),
            Self::Record(_) | Self::Sync(_) => {
                "the run was ended, because what cannot be recorded must not happen; \
                                free some space or write the trace elsewhere with -o"
                    .into()
            }
            #[cfg(target_os = "linux")]
            Self::Boot(error) => return error.hint(),
            #[cfg(target_os = "linux")]
            Self::Image(error) => return error.hint().map(str::to_owned),
            #[cfg(target_os = "linux")]
            Self::Link(_) => {
                "the console above shows how far the guest came; under load a second try may do"
                    .into()
            }
            Self::Guest(_) => {
                "nothing was judged SAFE; run it again, and `belljar doctor` if it persists".into()
            }
            _ => return None,
        })
    }

    /// Message and hint, safe to print.
    pub(crate) fn present(&self) -> String {
        let mut lines: Vec<String> = self.to_string().lines().map(escape::string).collect();
        if let Some(first) = lines.first_mut() {
            *first = format!("belljar: {first}");
        }
        if let Some(hint) = self.hint() {
            lines.push(format!("  hint: {hint}"));
        }
        lines.join("\n")
    }
}
