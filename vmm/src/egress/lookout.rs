//! Whoever looks at every byte of a flow before it goes on.
//!
//! Owns: what the egress asks of it. Must not: know what is looked for.

use belljar_event::CanarySeen;

/// Makes an eye for each flow.
pub trait Lookout: std::fmt::Debug + Send + Sync {
    /// A new flow.
    fn watch(&self, flow: u64) -> Box<dyn Eye>;
}

/// Looks at one flow.
pub trait Eye: Send {
    /// The next bytes from the guest, in pieces of any size. What it gives back is
    /// recorded before the bytes go on; one with `cut` keeps them from going on,
    /// and ends the flow.
    fn look(&mut self, bytes: &[u8]) -> Vec<CanarySeen>;
}
