//! From a [`Spec`] to a running [`Vm`].
//!
//! Owns: the choice of the machine, what every hypervisor's start needs (files
//! and sockets as descriptors, programs found), and the errors of the way up.
//! Must not: wait for the agent (that is [`Vm::link`]), or fall back from what
//! was asked for.

mod files;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tokio::net::UnixStream;

use crate::control::ControlError;
use crate::probe::{self, Probe};
use crate::process::SpawnError;
use crate::qemu::{self, Accelerator};
use crate::vm::{MachineExit, Vm};
use crate::warm::Failed;
use crate::{MachineChoice, Spec, SpecError, cloud_hypervisor};

pub(crate) use files::{bytes_of, copy_to_memory, open};

/// The hypervisor that is looked for in `PATH`.
pub(crate) const QEMU: &str = "qemu-system-x86_64";

/// Why a machine did not come up.
#[derive(Debug, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "each field is the subject that the message names"
)]
pub enum BootError {
    /// The spec is wrong.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A machine that needs KVM was asked for by name, and KVM cannot be used.
    #[error("machine `{machine}` cannot be used: {why}")]
    Kvm { machine: &'static str, why: String },
    /// Only software emulation is possible, and nobody consented to it.
    #[error("only software emulation is possible ({why}), and it is no security boundary")]
    NeedsConsent { why: String },
    /// There is no hypervisor.
    #[error("hypervisor {} was not found", program.display())]
    NoHypervisor { program: PathBuf },
    /// A file or socket of the machine could not be prepared.
    #[error("cannot prepare {what}: {source}")]
    Prepare {
        what: String,
        source: std::io::Error,
    },
    /// The hypervisor could not be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The hypervisor ended while it was being set up.
    #[error("hypervisor ended while {stage}: {exit}{}", said(exit))]
    Ended {
        stage: &'static str,
        exit: Box<MachineExit>,
    },
    /// The hypervisor runs but cannot be controlled.
    #[error("{stage} failed: {source}")]
    Control {
        stage: &'static str,
        source: ControlError,
    },
}

fn said(exit: &MachineExit) -> String {
    match exit.messages.trim() {
        "" => String::new(),
        text => format!(", saying: {text}"),
    }
}

fn is_cloud_hypervisor(program: &Path) -> bool {
    let name = program.file_name().unwrap_or_default();
    name.as_encoded_bytes()
        .starts_with(cloud_hypervisor::PROGRAM.as_bytes())
}

impl BootError {
    /// What to do about it, where there is something to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Spec(error) => error.hint(),
            Self::Kvm { .. } => {
                "run on a machine with working KVM as a member of the group `kvm`, \
                 or use `--machine auto --allow-degraded` to accept software emulation"
                    .into()
            }
            Self::NeedsConsent { .. } => {
                "pass `--allow-degraded` to run under emulation all the same: fit for looking at \
                 ordinary packages, not for code that attacks the hypervisor; every report is \
                 marked"
                    .into()
            }
            Self::NoHypervisor { program } if is_cloud_hypervisor(program) => {
                "take the release binary of cloud-hypervisor, compare its checksum with the \
                 release page, and put it into PATH or name it in BELLJAR_CLOUD_HYPERVISOR; or \
                 use `--machine qemu`"
                    .into()
            }
            Self::NoHypervisor { .. } | Self::Spawn(SpawnError::Exec { .. }) => {
                "install QEMU (Debian: apt install qemu-system-x86) so that every user may run it"
                    .into()
            }
            Self::Ended { .. } | Self::Control { .. } => {
                "`belljar doctor` says whether this hypervisor runs a guest at all; if it does, \
                 the kernel or the image may be damaged (`belljar image list`)"
                    .into()
            }
            _ => return None,
        })
    }
}

/// Boots a machine, or goes on with one that has booted already. Returns when the
/// hypervisor runs and obeys; the guest is still on its way up then (see
/// [`Vm::link`]). A base that is of no use is thrown away, and the machine booted.
///
/// Must be called within a tokio runtime with I/O and time.
///
/// # Errors
/// See [`BootError`].
pub async fn boot(spec: &Spec) -> Result<Vm, BootError> {
    spec.validate()?;
    let chosen = choose(spec).await?;
    let mut spec = spec.clone();
    loop {
        let attempt = match &chosen {
            Chosen::CloudHypervisor(program) => {
                cloud_hypervisor::start(&spec, program.clone()).await
            }
            Chosen::Qemu(program, accelerator) => {
                qemu::start(&spec, *accelerator, program.clone()).await
            }
        };
        match attempt {
            Ok(vm) => return Ok(vm),
            Err(Failed::Boot(error)) => return Err(error),
            Err(Failed::Base(base)) => {
                base.remove();
                // So there is no third attempt.
                spec.warm = None;
            }
        }
    }
}

/// What runs the guest, after the choice was made.
#[derive(Debug, PartialEq, Eq)]
enum Chosen {
    CloudHypervisor(PathBuf),
    Qemu(PathBuf, Accelerator),
}

/// What runs the guest: never less than what was asked for or consented to.
async fn choose(spec: &Spec) -> Result<Chosen, BootError> {
    let qemu = find(spec.hypervisor.as_deref().unwrap_or(Path::new(QEMU)));
    let named = spec.cloud_hypervisor.as_deref();
    let other = find(named.unwrap_or(Path::new(cloud_hypervisor::PROGRAM)));
    let kvm = match spec.machine {
        MachineChoice::Tcg => Probe::Unusable("software emulation was asked for".into()),
        _ => probe::kvm_with(qemu.as_deref().ok(), other.as_deref().ok()).await,
    };
    decide(spec, qemu, other, kvm)
}

/// The choice by what was found.
fn decide(
    spec: &Spec,
    qemu: Result<PathBuf, BootError>,
    other: Result<PathBuf, BootError>,
    kvm: Probe,
) -> Result<Chosen, BootError> {
    match (spec.machine, kvm) {
        (MachineChoice::CloudHypervisor, Probe::Usable) => Ok(Chosen::CloudHypervisor(other?)),
        (MachineChoice::CloudHypervisor, Probe::Unusable(why)) => {
            // Without the program the machine's lack of KVM is not what to mend first.
            other?;
            Err(BootError::Kvm {
                machine: "cloud-hypervisor",
                why,
            })
        }
        (MachineChoice::Auto, Probe::Usable) if other.is_ok() => {
            Ok(Chosen::CloudHypervisor(other?))
        }
        // A program that was named is meant, and one that is not there is no wish.
        (MachineChoice::Auto, _) if spec.cloud_hypervisor.is_some() && other.is_err() => {
            other.map(Chosen::CloudHypervisor)
        }
        (_, Probe::Usable) => Ok(Chosen::Qemu(qemu?, Accelerator::Kvm)),
        (MachineChoice::Kvm, Probe::Unusable(why)) => {
            qemu?;
            Err(BootError::Kvm {
                machine: "kvm",
                why,
            })
        }
        (_, Probe::Unusable(why)) => {
            let program = qemu?;
            if spec.allow_degraded {
                Ok(Chosen::Qemu(program, Accelerator::Tcg))
            } else {
                Err(BootError::NeedsConsent { why })
            }
        }
    }
}

/// The group that opens `/dev/kvm` for an ordinary user.
pub(crate) fn kvm_group() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata("/dev/kvm").ok()?;
    // Never the group of root: that would open far more than one device.
    Some(meta.gid()).filter(|gid| *gid != 0)
}

/// The hypervisor's path: as given, or found in `PATH`.
///
/// # Errors
/// If there is none.
pub(crate) fn find(program: &Path) -> Result<PathBuf, BootError> {
    use std::os::unix::fs::PermissionsExt;
    let runs = |path: &Path| {
        path.metadata()
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if program.components().count() > 1 {
        // Started from another directory, so it must not be relative.
        return std::path::absolute(program)
            .ok()
            .filter(|path| runs(path))
            .ok_or_else(|| BootError::NoHypervisor {
                program: program.into(),
            });
    }
    std::env::var_os("PATH")
        .iter()
        .flat_map(std::env::split_paths)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(program))
        .find(|path| runs(path))
        .ok_or_else(|| BootError::NoHypervisor {
            program: program.into(),
        })
}

/// A connected pair of stream sockets, closed on exec.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), BootError> {
    socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(|errno| prepare("a socket pair", errno.into()))
}

pub(crate) fn stream(fd: OwnedFd) -> Result<UnixStream, BootError> {
    let stream = std::os::unix::net::UnixStream::from(fd);
    stream
        .set_nonblocking(true)
        .and_then(|()| UnixStream::from_std(stream))
        .map_err(|source| prepare("a socket", source))
}

pub(crate) fn prepare(what: impl Into<String>, source: std::io::Error) -> BootError {
    BootError::Prepare {
        what: what.into(),
        source,
    }
}

#[cfg(test)]
mod tests;
