//! From a [`Spec`] to a machine that runs under cloud-hypervisor.
//!
//! Owns: handing over the files, the order of the commands, and the errors of
//! the way up. Must not: wait for the agent.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use belljar_event::Machine;
use cloud_hypervisor_client::models::VmConfig;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::net::unix::pipe;

use super::events::Events;
use super::folder::{Folder, place};
use super::{Api, Fds, argv, config};
use crate::Spec;
use crate::boot::{self, BootError, copy_to_memory, in_memory, pair, prepare, stream};
use crate::control::{Control, ControlError, Shutdown, cut_off};
use crate::process::{NOBODY, Process, Program};
use crate::vm::{Vm, Way, collect};

/// What is said when it ends on the way up.
const STAGE: &str = "its machine was set up";

/// A running hypervisor and our ends, before a runtime knows them.
struct Started {
    process: Process,
    config: VmConfig,
    folder: Folder,
    api: OwnedFd,
    console: OwnedFd,
    events: OwnedFd,
    messages: OwnedFd,
}

/// Starts the hypervisor and has it boot the machine.
pub(crate) async fn start(spec: &Spec, program: PathBuf) -> Result<Vm, BootError> {
    let owned = spec.clone();
    let started = tokio::task::spawn_blocking(move || launch(&owned, program)).await;
    let started =
        started.map_err(|error| prepare("the hypervisor", std::io::Error::other(error)))??;

    let console = pipe::Receiver::from_owned_fd(started.console)
        .map_err(|source| prepare("the console", source))?;
    let console = collect(console);
    let messages = collect(stream(started.messages)?);
    let shutdown = Shutdown::default();
    let process = started.process;
    let killer = process.killer();
    let closed = cut_off(process.killer(), shutdown.clone());
    let end = move || killer.kill();
    let events = Events::read(stream(started.events)?, shutdown.clone(), end, closed);
    let api = Api::new(started.api, events);

    let up = async {
        api.create(started.config).await?;
        api.boot().await
    };
    let up = tokio::select! {
        up = up => up,
        _ = process.wait() => Err(ControlError::Gone { command: "vm.create" }),
    };
    let mut vm = Vm {
        process,
        control: Control::CloudHypervisor(api),
        shutdown,
        channel: None,
        console,
        messages,
        machine: Machine {
            hypervisor: super::PROGRAM.into(),
            accelerator: "kvm".into(),
            degraded: false,
            cpus: spec.cpus,
            memory_mib: spec.memory_mib,
        },
        saver: None,
        woken: None,
    };
    if let Err(source) = up {
        return Err(explain(&vm, source).await);
    }
    let vsock = place(&started.folder.vsock());
    vm.channel = Some(Way::Vsock(
        vsock.map_err(|source| prepare("the channel's socket", source))?,
    ));
    // From here on nothing of the machine has a name.
    drop(started.folder);
    Ok(vm)
}

/// A refusal stands for itself; for anything else the hypervisor's end is the reason.
async fn explain(vm: &Vm, source: ControlError) -> BootError {
    match source {
        ControlError::Gone { .. } => BootError::Ended {
            stage: STAGE,
            exit: Box::new(vm.kill().await),
        },
        source => BootError::Control {
            stage: "setting the machine up",
            source,
        },
    }
}

/// Opens everything, starts the hypervisor, and keeps only our ends.
fn launch(spec: &Spec, program: PathBuf) -> Result<Started, BootError> {
    let [kernel, initramfs, root] = spec.files();
    let kernel = in_memory(kernel)?;
    let initramfs = in_memory(initramfs)?;
    let root = openable(boot::open(root)?)?;
    let folder = Folder::make().map_err(|source| prepare("a folder for sockets", source))?;
    let listener =
        UnixListener::bind(folder.api()).map_err(|source| prepare("the control socket", source))?;
    let api = place(&folder.api()).map_err(|source| prepare("the control socket", source))?;
    let (console, their_console) = console()?;
    let (events, their_events) = pair()?;
    let (messages, stderr) = pair()?;
    let their_api = OwnedFd::from(listener);
    let fds = Fds {
        kernel: kernel.as_raw_fd(),
        initramfs: initramfs.as_raw_fd(),
        root: root.as_raw_fd(),
        console: their_console.as_raw_fd(),
        api: their_api.as_raw_fd(),
        events: their_events.as_raw_fd(),
    };
    let process = Process::spawn(Program {
        path: program,
        argv: argv(fds),
        inherit: vec![
            kernel,
            initramfs,
            root,
            their_console,
            their_api,
            their_events,
        ],
        stderr,
        group: boot::kvm_group(),
        // Where its folders are: another one is made when it is to be saved.
        folder: Some(std::env::temp_dir()),
    })?;
    Ok(Started {
        process,
        config: config(spec, fds, &folder.vsock()),
        folder,
        api,
        console,
        events,
        messages,
    })
}

/// A pipe that the hypervisor's user may open for writing by its descriptor.
pub(crate) fn console() -> Result<(OwnedFd, OwnedFd), BootError> {
    let made = pipe_with(PipeFlags::CLOEXEC).and_then(|(read, write)| {
        rustix::fs::fcntl_setfl(&read, rustix::fs::OFlags::NONBLOCK)?;
        if rustix::process::geteuid().is_root() {
            rustix::fs::fchown(&write, Some(rustix::fs::Uid::from_raw(NOBODY)), None)?;
        }
        Ok((read, write))
    });
    made.map_err(|errno| prepare("the console", errno.into()))
}

/// The root image, such that the hypervisor's user may open it by its
/// descriptor: images are readable by all, since their folder is not. One that
/// is not is copied.
fn openable(root: OwnedFd) -> Result<OwnedFd, BootError> {
    let mode = rustix::fs::fstat(root.as_fd())
        .map_err(|errno| prepare("the root image", errno.into()))?
        .st_mode;
    if !rustix::process::geteuid().is_root() || mode & 0o004 != 0 {
        return Ok(root);
    }
    copy_to_memory(File::from(root)).map_err(|source| prepare("the root image", source))
}
