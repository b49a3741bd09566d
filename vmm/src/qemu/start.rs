//! From a [`Spec`] to a machine that runs under QEMU.
//!
//! Owns: handing over the files, the control socket, and the errors of the way
//! up. Must not: wait for the agent.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use belljar_event::Machine;

use super::{Accelerator, Fds, Qmp, argv};
use crate::Spec;
use crate::boot::{self, BootError, in_memory, pair, prepare, stream};
use crate::control::{Control, ControlError, Shutdown};
use crate::process::{Process, Program};
use crate::vm::{MachineExit, Vm, Way, collect};

/// How long the hypervisor may take to start before its end explains a failure.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A running hypervisor and our ends of its sockets, before a runtime knows them.
struct Started {
    process: Process,
    channel: OwnedFd,
    console: OwnedFd,
    qmp: OwnedFd,
    messages: OwnedFd,
}

/// Starts the hypervisor, which boots the machine at once.
pub(crate) async fn start(
    spec: &Spec,
    accelerator: Accelerator,
    program: PathBuf,
) -> Result<Vm, BootError> {
    let owned = spec.clone();
    let started = tokio::task::spawn_blocking(move || launch(&owned, accelerator, program)).await;
    let started =
        started.map_err(|error| prepare("the hypervisor", std::io::Error::other(error)))??;

    let channel = Way::Stream(stream(started.channel)?);
    let console = collect(stream(started.console)?);
    let messages = collect(stream(started.messages)?);
    let socket = stream(started.qmp)?;
    let process = started.process;
    let shutdown = Shutdown::default();
    let qmp = tokio::select! {
        qmp = Qmp::connect(socket, shutdown.clone()) => qmp,
        _ = process.wait() => Err(ControlError::Gone { command: "qmp_capabilities" }),
    };
    let qmp = match qmp {
        Ok(qmp) => qmp,
        Err(ControlError::Gone { .. }) => {
            process.kill();
            let how = process.wait().await;
            messages.drained(LAST_WORDS).await;
            let exit = MachineExit {
                how,
                reason: None,
                console: console.text(),
                messages: messages.text(),
            };
            return Err(BootError::Ended {
                stage: "its control socket was set up",
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
        process,
        control: Control::Qemu(qmp),
        shutdown,
        channel: Some(channel),
        console,
        messages,
        machine: Machine {
            hypervisor: "qemu".into(),
            accelerator: accelerator.name().into(),
            degraded: accelerator == Accelerator::Tcg,
            cpus: spec.cpus,
            memory_mib: spec.memory_mib,
        },
    })
}

/// Opens everything, starts the hypervisor, and keeps only our ends.
fn launch(spec: &Spec, accelerator: Accelerator, program: PathBuf) -> Result<Started, BootError> {
    let [kernel, initramfs, root] = spec.files();
    let kernel = in_memory(kernel)?;
    let initramfs = in_memory(initramfs)?;
    let root = boot::open(root)?;
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
        argv: argv(spec, accelerator, fds),
        inherit: vec![
            kernel,
            initramfs,
            root,
            their_channel,
            their_console,
            their_qmp,
        ],
        stderr,
        group: accelerator.group(),
    })?;
    Ok(Started {
        process,
        channel,
        console,
        qmp,
        messages,
    })
}
