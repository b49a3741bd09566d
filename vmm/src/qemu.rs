//! QEMU's command line and its control socket.
//!
//! Owns: argv as a pure function of [`Spec`] and descriptor numbers, the QMP
//! client, and starting the process. Must not: choose the machine (`boot` does)
//! or fall back to another.
//!
//! Nothing of the host's is named on the command line: every file and socket
//! is an inherited descriptor, so no path leaks into the process list, commas
//! in paths mean nothing, and nothing is left on disk when all of it dies.

mod qmp;
mod start;

pub(crate) use qmp::Qmp;
pub(crate) use start::{save, start};

use std::os::fd::RawFd;

use crate::Spec;
use crate::boot::kvm_group;
use crate::cmdline::cmdline;

/// The name of the channel's port inside the guest.
const PORT: &str = "belljar.0";

/// What executes the guest's instructions, after the choice was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accelerator {
    /// The host kernel's.
    Kvm,
    /// Software emulation.
    Tcg,
}

impl Accelerator {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    /// The group that the hypervisor must keep.
    pub(crate) fn group(self) -> Option<u32> {
        match self {
            Self::Kvm => kvm_group(),
            Self::Tcg => None,
        }
    }

    /// `-accel` and `-cpu`.
    fn flags(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            Self::Tcg => ["-accel", "tcg,thread=multi", "-cpu", "max"],
        }
    }
}

/// Numbers of the descriptors that QEMU inherits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fds {
    pub(crate) kernel: RawFd,
    pub(crate) initramfs: RawFd,
    pub(crate) root: RawFd,
    pub(crate) channel: RawFd,
    pub(crate) console: RawFd,
    pub(crate) qmp: RawFd,
    /// The machine's memory, where it is to be saved or was.
    pub(crate) memory: Option<RawFd>,
}

/// No defaults, no configuration files, no window, nothing that comes back after a reset.
const BARE: &[&str] = &[
    "-nodefaults",
    "-no-user-config",
    "-no-reboot",
    "-display",
    "none",
];

/// QEMU's own seccomp filter; `on` alone would leave spawning and privileges open.
const SANDBOX: &[&str] = &[
    "-sandbox",
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
];

/// Every device that q35 brings along and Linux does not need is a device that a guest can attack.
const MACHINE: &str = "q35,hpet=off,vmport=off,smbus=off,sata=off,usb=off,graphics=off,\
                       dump-guest-core=off,mem-merge=off";

/// The command line for a guest.
pub(crate) fn argv(spec: &Spec, accelerator: Accelerator, fds: Fds, incoming: bool) -> Vec<String> {
    let mut argv: Vec<String> = Vec::with_capacity(64);
    let mut add = |words: &[&str]| argv.extend(words.iter().map(|word| (*word).to_owned()));
    add(BARE);
    add(SANDBOX);
    add(&["-name", "belljar"]);
    match fds.memory {
        None => add(&["-machine", MACHINE]),
        Some(memory) => {
            add(&["-machine", &format!("{MACHINE},memory-backend=ram")]);
            // Shared with us alone: its descriptor is all there is of the file.
            let object = format!(
                "memory-backend-file,id=ram,size={}M,mem-path={},share=on",
                spec.memory_mib,
                path_of(memory)
            );
            add(&["-object", &object]);
        }
    }
    if incoming {
        add(&["-incoming", "defer"]);
    }
    add(&accelerator.flags());
    add(&[
        "-smp",
        &spec.cpus.to_string(),
        "-m",
        &format!("{}M", spec.memory_mib),
    ]);

    add(&[
        "-kernel",
        &path_of(fds.kernel),
        "-initrd",
        &path_of(fds.initramfs),
    ]);
    add(&["-append", &cmdline(spec, accelerator == Accelerator::Tcg)]);

    add(&[
        "-chardev",
        &socket("console", fds.console),
        "-device",
        "isa-serial,chardev=console",
    ]);
    add(&[
        "-chardev",
        &socket("qmp", fds.qmp),
        "-mon",
        "chardev=qmp,mode=control",
    ]);

    add(&["-chardev", &socket("channel", fds.channel)]);
    add(&["-device", "virtio-serial-pci,max_ports=2,disable-legacy=on"]);
    add(&[
        "-device",
        &format!("virtserialport,id=port,chardev=channel,name={PORT}"),
    ]);

    add(&["-add-fd", &format!("fd={},set=1", fds.root)]);
    // Read-only by descriptor, by block layer and by device; no lock, since
    // many machines share the file and nobody writes it.
    add(&[
        "-blockdev",
        "driver=raw,node-name=root,read-only=on,file.driver=file,\
         file.filename=/dev/fdset/1,file.read-only=on,file.locking=off",
    ]);
    add(&["-device", "virtio-blk-pci,drive=root,disable-legacy=on"]);

    add(&["-object", "rng-random,id=rng,filename=/dev/urandom"]);
    add(&["-device", "virtio-rng-pci,rng=rng,disable-legacy=on"]);
    argv
}

/// The command line for the probe: a flat image of 64 KiB as firmware, which
/// answers by an exit code (see [`crate::probe`]).
pub(crate) fn probe_argv(accelerator: Accelerator, image: RawFd) -> Vec<String> {
    let mut argv: Vec<String> = Vec::with_capacity(24);
    let mut add = |words: &[&str]| argv.extend(words.iter().map(|word| (*word).to_owned()));
    add(BARE);
    add(SANDBOX);
    add(&["-machine", MACHINE]);
    add(&accelerator.flags());
    add(&["-m", "16M", "-bios", &path_of(image)]);
    add(&["-device", "isa-debug-exit,iobase=0xf4,iosize=1"]);
    argv
}

/// QEMU opens these two by name only.
fn path_of(fd: RawFd) -> String {
    format!("/proc/self/fd/{fd}")
}

fn socket(id: &str, fd: RawFd) -> String {
    format!("socket,id={id},fd={fd}")
}

#[cfg(test)]
mod tests;
