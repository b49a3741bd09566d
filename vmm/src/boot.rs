//! From a [`Spec`] to a running [`Vm`].
//!
//! Owns: the choice of the machine, handing files over as descriptors, and the
//! errors of the way up. Must not: wait for the agent (that is
//! [`Vm::link`]), or fall back from what was asked for.

mod files;

use std::path::{Path, PathBuf};
use std::time::Duration;

use belljar_event::Machine;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::os::fd::{AsRawFd, OwnedFd};
use tokio::net::UnixStream;

use crate::probe::{self, Probe};
use crate::process::{Process, Program, SpawnError};
use crate::qemu::{self, Accelerator, Fds, Qmp, QmpError, Shutdown};
use crate::vm::{Channel, MachineExit, Tail, Vm, collect};
use crate::{MachineChoice, Spec, SpecError};

pub(crate) use files::{copy_to_memory, in_memory};

/// The hypervisor that is looked for in `PATH`.
pub(crate) const QEMU: &str = "qemu-system-x86_64";
/// How long the hypervisor may take to start before its end explains a failure.
const LAST_WORDS: Duration = Duration::from_secs(2);

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
    /// KVM was asked for by name and cannot be used.
    #[error("machine `kvm` cannot be used: {why}")]
    Kvm { why: String },
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
        source: QmpError,
    },
}

fn said(exit: &MachineExit) -> String {
    match exit.messages.trim() {
        "" => String::new(),
        text => format!(", saying: {text}"),
    }
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
            Self::NoHypervisor { .. } | Self::Spawn(SpawnError::Exec { .. }) => {
                "install QEMU (Debian: apt install qemu-system-x86) so that every user may run it"
                    .into()
            }
            _ => return None,
        })
    }
}

/// Boots a machine. Returns when the hypervisor runs and obeys; the guest is
/// still on its way up then (see [`Vm::link`]).
///
/// Must be called within a tokio runtime with I/O and time.
///
/// # Errors
/// See [`BootError`].
pub async fn boot(spec: &Spec) -> Result<Vm, BootError> {
    spec.validate()?;
    let program = find(spec.hypervisor.as_deref().unwrap_or(Path::new(QEMU)))?;
    let accelerator = choose(spec, &program).await?;
    let owned = spec.clone();
    let started = tokio::task::spawn_blocking(move || start(&owned, accelerator, program)).await;
    let started =
        started.map_err(|error| prepare("the hypervisor", std::io::Error::other(error)))??;

    let mut parts = started.listen()?;
    let shutdown = Shutdown::default();
    let qmp = tokio::select! {
        qmp = Qmp::connect(parts.qmp, shutdown.clone()) => qmp,
        _ = parts.process.wait() => Err(QmpError::Gone { command: "qmp_capabilities" }),
    };
    let stage = "its control socket was set up";
    let qmp = match qmp {
        Ok(qmp) => qmp,
        Err(QmpError::Gone { .. }) => {
            parts.process.kill();
            let how = parts.process.wait().await;
            parts.messages.drained(LAST_WORDS).await;
            let exit = MachineExit {
                how,
                reason: None,
                console: parts.console.text(),
                messages: parts.messages.text(),
            };
            return Err(BootError::Ended {
                stage,
                exit: Box::new(exit),
            });
        }
        Err(source) => {
            return Err(BootError::Control {
                stage: "setting up control",
                source,
            });
        }
    };
    Ok(Vm {
        process: parts.process,
        qmp,
        shutdown,
        channel: parts.channel.take(),
        console: parts.console,
        messages: parts.messages,
        machine: Machine {
            hypervisor: "qemu".into(),
            accelerator: accelerator.name().into(),
            degraded: accelerator == Accelerator::Tcg,
            cpus: spec.cpus,
            memory_mib: spec.memory_mib,
        },
    })
}

/// What executes the guest: never less than what was asked for or consented to.
async fn choose(spec: &Spec, program: &Path) -> Result<Accelerator, BootError> {
    let kvm = match spec.machine {
        MachineChoice::Tcg => Probe::Unusable("software emulation was asked for".into()),
        MachineChoice::Auto | MachineChoice::Kvm => probe::kvm_with(program).await,
    };
    match (kvm, spec.machine, spec.allow_degraded) {
        (Probe::Usable, _, _) => Ok(Accelerator::Kvm),
        (Probe::Unusable(why), MachineChoice::Kvm, _) => Err(BootError::Kvm { why }),
        (Probe::Unusable(_), _, true) => Ok(Accelerator::Tcg),
        (Probe::Unusable(why), _, false) => Err(BootError::NeedsConsent { why }),
    }
}

/// A running hypervisor and our ends of its sockets, before a runtime knows them.
struct Started {
    process: Process,
    channel: OwnedFd,
    console: OwnedFd,
    qmp: OwnedFd,
    messages: OwnedFd,
}

/// The same, known to the runtime.
struct Parts {
    process: Process,
    channel: Option<Channel>,
    console: Tail,
    messages: Tail,
    qmp: UnixStream,
}

impl Started {
    fn listen(self) -> Result<Parts, BootError> {
        Ok(Parts {
            process: self.process,
            channel: Some(Channel(stream(self.channel)?)),
            console: collect(stream(self.console)?),
            messages: collect(stream(self.messages)?),
            qmp: stream(self.qmp)?,
        })
    }
}

/// Opens everything, starts the hypervisor, and keeps only our ends.
fn start(spec: &Spec, accelerator: Accelerator, program: PathBuf) -> Result<Started, BootError> {
    let [kernel, initramfs, root] = spec.files();
    let kernel = in_memory(kernel)?;
    let initramfs = in_memory(initramfs)?;
    let root = files::open(root)?;
    let (channel, their_channel) = pair()?;
    let (console, their_console) = pair()?;
    let (qmp, their_qmp) = pair()?;
    let (messages, stderr) = pair()?;
    let fds = Fds {
        kernel: kernel.as_raw_fd(),
        initramfs: initramfs.as_raw_fd(),
        root: root.as_raw_fd(),
        channel: their_channel.as_raw_fd(),
        console: their_console.as_raw_fd(),
        qmp: their_qmp.as_raw_fd(),
    };
    let process = Process::spawn(Program {
        path: program,
        argv: qemu::argv(spec, accelerator, fds),
        inherit: vec![
            kernel,
            initramfs,
            root,
            their_channel,
            their_console,
            their_qmp,
        ],
        stderr,
        group: kvm_group(accelerator),
    })?;
    Ok(Started {
        process,
        channel,
        console,
        qmp,
        messages,
    })
}

/// The group that opens `/dev/kvm` for an ordinary user.
pub(crate) fn kvm_group(accelerator: Accelerator) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let needed = accelerator == Accelerator::Kvm;
    let meta = needed
        .then(|| std::fs::metadata("/dev/kvm").ok())
        .flatten()?;
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

fn prepare(what: impl Into<String>, source: std::io::Error) -> BootError {
    BootError::Prepare {
        what: what.into(),
        source,
    }
}

#[cfg(test)]
mod tests;
