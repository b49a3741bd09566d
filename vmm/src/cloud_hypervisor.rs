//! cloud-hypervisor: its command line, what it is told over REST, its events.
//!
//! Owns: argv and the machine's description as pure functions of [`Spec`] and
//! descriptor numbers, the client of its API, the meaning of its events.
//! Must not: choose the machine (`boot` does) or fall back to another.
//!
//! As with QEMU, every file is an inherited descriptor. One thing it makes by
//! name: the socket of the vsock device, in a folder that exists only while the
//! machine is set up (see [`folder`]).

mod api;
mod events;
mod folder;
mod save;
mod start;

pub(crate) use api::{Api, connect};
pub(crate) use save::save;
pub(crate) use start::{console, start};

use std::os::fd::RawFd;
use std::path::Path;

use cloud_hypervisor_client::models::{
    ConsoleConfig, ConsoleMode, CpusConfig, DiskConfig, ImageType, MemoryConfig, MemoryZoneConfig,
    PayloadConfig, RngConfig, SerialConfig, VmConfig, VsockConfig,
};

use crate::Spec;
use crate::cmdline::cmdline;

/// The hypervisor that is looked for in `PATH`.
pub(crate) const PROGRAM: &str = "cloud-hypervisor";
/// The guest's address in the vsock family. Each machine has a socket of its
/// own, so all of them may have the same.
const GUEST: i64 = 3;

/// Numbers of the descriptors that it inherits.
#[derive(Clone, Copy, Debug)]
struct Fds {
    /// Kernel and initramfs, where the machine boots.
    payload: Option<[RawFd; 2]>,
    /// The machine's memory, where it is to be saved or was.
    memory: Option<RawFd>,
    root: RawFd,
    console: RawFd,
    /// A listening socket.
    api: RawFd,
    events: RawFd,
}

/// Its command line: everything else is said over the API.
fn argv(fds: Fds) -> Vec<String> {
    vec![
        "--api-socket".into(),
        format!("fd={}", fds.api),
        "--event-monitor".into(),
        format!("fd={}", fds.events),
        // Its own filter of system calls, which ends it where it meets a foreign one.
        "--seccomp".into(),
        "true".into(),
    ]
}

/// The command line for the probe: a kernel that answers on the serial port, and
/// then powers the machine off (see [`crate::probe`]).
pub(crate) fn probe_argv(kernel: RawFd, serial: RawFd) -> Vec<String> {
    let words = [
        ("--kernel", path_of(kernel)),
        ("--memory", "size=64M".into()),
        ("--cpus", "boot=1".into()),
        ("--serial", format!("file={}", path_of(serial))),
        ("--console", "off".into()),
        ("--seccomp", "true".into()),
    ];
    let pairs = words.map(|(option, value)| [option.to_owned(), value]);
    pairs.into_iter().flatten().collect()
}

/// The machine: no network card, no graphics, no shared folder, nothing that
/// can be plugged in later.
fn config(spec: &Spec, fds: Fds, vsock: &Path) -> VmConfig {
    let cpus = i32::try_from(spec.cpus).unwrap_or(i32::MAX);
    let (kernel, initramfs) = match fds.payload {
        Some([kernel, initramfs]) => (path_of(kernel), Some(path_of(initramfs))),
        // One must be named, and is not looked at.
        None => ("/dev/null".into(), None),
    };
    let payload = PayloadConfig {
        kernel: Some(kernel),
        initramfs,
        cmdline: Some(cmdline(spec, false)),
        ..PayloadConfig::default()
    };
    let root = DiskConfig {
        // Named, as is the socket device: a saved state finds its devices by name.
        id: Some("root".into()),
        path: Some(path_of(fds.root)),
        readonly: Some(true),
        // Otherwise it looks into the file to find out, and what a file says
        // of itself must not choose the parser.
        image_type: Some(ImageType::Raw),
        ..DiskConfig::default()
    };
    VmConfig {
        cpus: Some(CpusConfig::new(cpus, cpus)),
        memory: Some(memory(spec, fds.memory)),
        disks: Some(vec![root]),
        rng: Some(RngConfig::new("/dev/urandom".into())),
        serial: Some(SerialConfig {
            file: Some(path_of(fds.console)),
            ..SerialConfig::new(ConsoleMode::File)
        }),
        console: Some(ConsoleConfig::new(ConsoleMode::Off)),
        vsock: Some(VsockConfig {
            id: Some("channel".into()),
            ..VsockConfig::new(GUEST, vsock.display().to_string())
        }),
        ..VmConfig::new(payload)
    }
}

/// Its own, or a file that it shares with us.
fn memory(spec: &Spec, shared: Option<RawFd>) -> MemoryConfig {
    let size = i64::from(spec.memory_mib) << 20;
    let Some(fd) = shared else {
        return MemoryConfig::new(size);
    };
    let zone = MemoryZoneConfig {
        file: Some(path_of(fd)),
        shared: Some(true),
        ..MemoryZoneConfig::new("ram".into(), size)
    };
    MemoryConfig {
        zones: Some(vec![zone]),
        // The zones have it all.
        ..MemoryConfig::new(0)
    }
}

/// It opens all of these by name only.
fn path_of(fd: RawFd) -> String {
    format!("/proc/self/fd/{fd}")
}

#[cfg(test)]
mod tests;
