//! The start record: what was run, and on what.
//!
//! Owns: [`Start`] and its bytes. Must not: hold anything of the host (paths,
//! host or user names): a trace is made to be given away.

use belljar_event::{CodecError, Text};
use bincode::{Decode, Encode};

/// The first record of a trace. New fields go to the end: a reader ignores what
/// it does not know behind the fields that it does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Start {
    /// Version of the belljar that recorded.
    pub engine: String,
    /// What the user named: the base name of the folder, or the package.
    pub label: String,
    /// The command, word by word.
    pub command: Vec<Text>,
    /// Digest of the guest image.
    pub image: String,
    /// Release of the guest kernel.
    pub kernel: String,
    /// Digest of the rules that judged while recording, in hex.
    pub rules: String,
    /// Patterns that were redacted; empty in an original recording.
    pub redacted: Vec<String>,
}

impl Start {
    /// The bytes, proved to be readable again: a limit that only the reader
    /// knows of must not make a trace unreadable after the fact.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, CodecError> {
        let bytes = belljar_event::encode(self)?;
        Self::from_bytes(&bytes)?;
        Ok(bytes)
    }

    /// A newer minor version may have added fields behind the known ones.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        match belljar_event::decode(bytes) {
            Err(CodecError::Trailing(rest)) => {
                let known = bytes.len().saturating_sub(rest);
                belljar_event::decode(bytes.get(..known).unwrap_or_default())
            }
            other => other,
        }
    }
}
