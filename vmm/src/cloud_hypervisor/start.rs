//! From a [`Spec`] to a machine that runs under cloud-hypervisor: booted, or gone
//! on with.
//!
//! Owns: handing over the files, the order of the commands, and the errors of
//! the way up. Must not: wait for the agent.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use belljar_event::Machine;
use cloud_hypervisor_client::models::VmConfig;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::net::unix::pipe;

use super::events::Events;
use super::folder::{CONFIG, Folder, STATE, place};
use super::{Api, Fds, argv, config};
use crate::Spec;
use crate::boot::{self, BootError, bytes_of, copy_to_memory, pair, prepare, stream};
use crate::control::{Control, ControlError, Shutdown, cut_off};
use crate::process::{NOBODY, Process, Program};
use crate::vm::{Vm, Way, collect};
use crate::warm::{Base, Failed, Runner, Saver, Source};

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
    warmth: Warmth,
}

/// Where the machine comes from, and what may become of it.
enum Warmth {
    /// Booted, and nothing is kept of it.
    Cold,
    /// Booted, to be put down once it waits for the host.
    Saved(Saver),
    /// Goes on from a base, with this state.
    Woken { state: Vec<u8>, base: Base },
}

/// Starts the hypervisor and has it boot the machine, or go on with one that has
/// booted already.
pub(crate) async fn start(spec: &Spec, program: PathBuf) -> Result<Vm, Failed> {
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

    let (saver, woken) = match started.warmth {
        Warmth::Cold => (None, None),
        Warmth::Saved(saver) => (Some(saver), None),
        Warmth::Woken { base, .. } => (None, Some(base)),
    };
    let up = async {
        if woken.is_some() {
            api.restore(started.folder.url()).await?;
            return api.resume().await;
        }
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
        saver,
        woken,
    };
    if let Err(source) = up {
        return Err(match vm.woken.take() {
            Some(base) => Failed::Base(base),
            None => Failed::Boot(explain(&vm, source).await),
        });
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

/// Descriptors that the hypervisor inherits.
#[derive(Default)]
struct Handed(Vec<OwnedFd>);

impl Handed {
    fn hand(&mut self, fd: OwnedFd) -> RawFd {
        let number = fd.as_raw_fd();
        self.0.push(fd);
        number
    }
}

/// Opens everything, starts the hypervisor, and keeps only our ends.
fn launch(spec: &Spec, program: PathBuf) -> Result<Started, BootError> {
    let mut theirs = Handed::default();
    let Parts {
        payload,
        memory,
        warmth,
    } = machine(spec, &program, &mut theirs)?;
    let [_, _, root] = spec.files();
    let root = openable(boot::open(root)?)?;
    let folder = Folder::make().map_err(|source| prepare("a folder for sockets", source))?;
    let listener =
        UnixListener::bind(folder.api()).map_err(|source| prepare("the control socket", source))?;
    let api = place(&folder.api()).map_err(|source| prepare("the control socket", source))?;
    let (console, their_console) = console()?;
    let (events, their_events) = pair()?;
    let (messages, stderr) = pair()?;
    let fds = Fds {
        payload,
        memory,
        root: theirs.hand(root),
        console: theirs.hand(their_console),
        api: theirs.hand(listener.into()),
        events: theirs.hand(their_events),
    };
    let config = config(spec, fds, &folder.vsock());
    if let Warmth::Woken { state, .. } = &warmth {
        let put = serde_json::to_vec(&config)
            .map_err(std::io::Error::other)
            .and_then(|config| folder.put(CONFIG, &config))
            .and_then(|()| folder.put(STATE, state));
        put.map_err(|source| prepare("the saved state", source))?;
    }
    let process = Process::spawn(Program {
        path: program,
        argv: argv(fds),
        inherit: theirs.0,
        stderr,
        group: boot::kvm_group(),
        // Where its folders are: another one is made when it is to be saved.
        folder: Some(std::env::temp_dir()),
    })?;
    Ok(Started {
        process,
        config,
        folder,
        api,
        console,
        events,
        messages,
        warmth,
    })
}

/// What the machine is made of: kernel and initramfs, or the memory of one that has
/// booted from them; by the numbers of their descriptors.
struct Parts {
    payload: Option<[RawFd; 2]>,
    memory: Option<RawFd>,
    warmth: Warmth,
}

fn machine(spec: &Spec, program: &Path, theirs: &mut Handed) -> Result<Parts, BootError> {
    let [kernel, initramfs, _] = spec.files();
    let (kernel, initramfs) = (bytes_of(kernel)?, bytes_of(initramfs)?);
    let runner = Runner {
        hypervisor: super::PROGRAM,
        program,
        kvm: true,
    };
    let (memory, warmth) = match Source::of(spec, runner, [&kernel, &initramfs]) {
        Source::GoOn {
            memory,
            state,
            base,
        } => {
            return Ok(Parts {
                payload: None,
                memory: Some(theirs.hand(memory)),
                warmth: Warmth::Woken { state, base },
            });
        }
        Source::Boot => (None, Warmth::Cold),
        Source::BootAndSave(saver) => {
            let memory = saver.memory();
            let memory = memory.map_err(|source| prepare("the guest's memory", source))?;
            (Some(theirs.hand(memory)), Warmth::Saved(saver))
        }
    };
    let mut in_memory = |what: &str, bytes: &[u8]| {
        let copy = copy_to_memory(bytes).map_err(|source| prepare(what, source))?;
        Ok::<_, BootError>(theirs.hand(copy))
    };
    let payload = [
        in_memory("the kernel", &kernel)?,
        in_memory("the initramfs", &initramfs)?,
    ];
    Ok(Parts {
        payload: Some(payload),
        memory,
        warmth,
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
