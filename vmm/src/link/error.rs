//! Why a link did not come up, or broke.

use std::time::Duration;

use super::FrameError;
use crate::vm::MachineExit;

/// Why a link did not come up, or broke. Where it says `console`, that is the
/// end of the guest's console, escaped.
#[derive(Debug, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "each field is the subject that the message names"
)]
pub enum LinkError {
    /// No hello in time.
    #[error("agent did not answer within {} s{}", deadline.as_secs(), tail(console))]
    Silent { deadline: Duration, console: String },
    /// It speaks another version.
    #[error(
        "agent speaks version {agent} of the channel, this host speaks {host}{}",
        tail(console)
    )]
    Version {
        agent: u16,
        host: u16,
        console: String,
    },
    /// Megabytes, and no hello among them.
    #[error("channel carried {bytes} bytes without a hello among them")]
    Noise { bytes: usize },
    /// The other end is gone.
    #[error("channel closed before the agent answered")]
    Closed,
    /// The machine ended before the agent answered.
    #[error("machine ended before the agent answered ({exit}){}", tail(console))]
    Ended { exit: String, console: String },
    /// The channel failed.
    #[error("{doing} failed: {source}")]
    Io {
        doing: &'static str,
        source: std::io::Error,
    },
    /// A frame could not be sent.
    #[error("{doing} failed: {source}")]
    Frame {
        doing: &'static str,
        source: FrameError,
    },
    /// The link ended while it was in use.
    #[error("link to the agent is broken: {why}")]
    Broken { why: String },
    /// Somebody else has the channel.
    #[error("channel was already taken")]
    Taken,
}

fn tail(console: &str) -> String {
    match console.trim() {
        "" => "; its console is empty".into(),
        text => format!("; its console ends with:\n{text}"),
    }
}

impl LinkError {
    pub(crate) fn ended(exit: &MachineExit) -> Self {
        Self::Ended {
            exit: exit.to_string(),
            console: String::new(),
        }
    }

    /// Puts the console's end where the variant has a place for it.
    pub(crate) fn on_console(mut self, text: String) -> Self {
        if let Self::Silent { console, .. }
        | Self::Version { console, .. }
        | Self::Ended { console, .. } = &mut self
        {
            *console = text;
        }
        self
    }
}
