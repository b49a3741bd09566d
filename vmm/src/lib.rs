//! Disposable machines: a plain [`Spec`] goes in, a running [`Vm`] comes out.
//!
//! Owns: the hypervisor process and everything that reaches it ([`boot`],
//! [`Vm`], [`probe`]), the host's end of the channel ([`link`]), the only way
//! out of the guest ([`egress`]) and the guest image ([`image`]).
//! Must not: know policy, traces or a terminal. Whether a flow may go is asked
//! through a channel; what the guest reports is handed on as events.
//!
//! Everything that arrives from the hypervisor or the guest is hostile:
//! lengths are capped before anything is allocated, waits have deadlines, and
//! text meant for people is escaped.
#![deny(unsafe_code)]

mod boot;
mod cloud_hypervisor;
mod cmdline;
mod control;
pub mod doctor;
pub mod egress;
pub mod image;
pub mod link;
pub mod probe;
mod process;
mod qemu;
#[cfg(test)]
mod scripts;
mod spec;
mod vm;
mod warm;

pub use boot::{BootError, boot};
pub use control::ControlError;
pub use process::{ExitHow, SpawnError};
pub use spec::{MachineChoice, Spec, SpecError};
pub use vm::{Channel, MachineExit, Vm};
