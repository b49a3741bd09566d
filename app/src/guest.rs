//! The guest agent's binary, built by `build.rs` and carried inside belljar.

/// The static binary that becomes `/init` of each guest; empty where it could not be built.
pub(crate) static AGENT: &[u8] = include_bytes!(env!("BELLJAR_AGENT_PATH"));
