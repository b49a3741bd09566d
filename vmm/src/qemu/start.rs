//! From a [`Spec`] to a machine that runs under QEMU: booted, or gone on with.
//!
//! Owns: handing over the files, the control socket, waking a machine from its
//! base, and the errors of the way up. Must not: wait for the agent.

use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use belljar_event::Machine;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use super::{Accelerator, Fds, Qmp, argv};
use crate::Spec;
use crate::boot::{self, BootError, bytes_of, copy_to_memory, pair, prepare, stream};
use crate::control::{Control, ControlError, Shutdown, cut_off};
use crate::process::{Process, Program};
use crate::vm::{MachineExit, Vm, Way, collect};
use crate::warm::{Base, Failed, MOST_STATE, Runner, Saver, Source};

/// How long the hypervisor may take to start before its end explains a failure.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long saving or taking over a machine's state may take.
const MOVING: Duration = Duration::from_secs(120);

/// A running hypervisor and our ends of its sockets, before a runtime knows them.
struct Started {
    process: Process,
    channel: OwnedFd,
    console: OwnedFd,
    qmp: OwnedFd,
    messages: OwnedFd,
    warmth: Warmth,
}

/// Where the machine comes from, and what may become of it.
enum Warmth {
    /// Booted, and nothing is kept of it.
    Cold,
    /// Booted, to be put down once it waits for the host.
    Saved(Saver),
    /// Goes on from a base, whose state comes through this descriptor of theirs.
    Woken { state: RawFd, base: Base },
}

/// Starts the hypervisor, which boots the machine, or goes on with one that has
/// booted already.
pub(crate) async fn start(
    spec: &Spec,
    accelerator: Accelerator,
    program: PathBuf,
) -> Result<Vm, Failed> {
    let owned = spec.clone();
    let started = tokio::task::spawn_blocking(move || launch(&owned, accelerator, &program)).await;
    let started =
        started.map_err(|error| prepare("the hypervisor", std::io::Error::other(error)))??;

    let channel = Way::Stream(stream(started.channel)?);
    let console = collect(stream(started.console)?);
    let messages = collect(stream(started.messages)?);
    let socket = stream(started.qmp)?;
    let process = started.process;
    let shutdown = Shutdown::default();
    let closed = cut_off(process.killer(), shutdown.clone());
    let qmp = tokio::select! {
        qmp = Qmp::connect(socket, shutdown.clone(), closed) => qmp,
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
            return Err(Failed::Boot(BootError::Ended {
                stage: "its control socket was set up",
                exit: Box::new(exit),
            }));
        }
        Err(source) => {
            return Err(Failed::Boot(BootError::Control {
                stage: "setting up control",
                source,
            }));
        }
    };
    let (saver, woken) = match started.warmth {
        Warmth::Cold => (None, None),
        Warmth::Saved(saver) => (Some(saver), None),
        Warmth::Woken { state, base } => match wake(&qmp, state).await {
            Ok(()) => (None, Some(base)),
            Err(_) => return Err(Failed::Base(base)),
        },
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
        saver,
        woken,
    })
}

/// Memory that both sides have is not sent along.
async fn share(qmp: &Qmp) -> Result<(), ControlError> {
    let shared = json!({ "capabilities": [{ "capability": "x-ignore-shared", "state": true }] });
    let told = qmp.tell("migrate-set-capabilities", Some(shared), None);
    told.await.map(drop)
}

/// Lets the machine go on from the state that comes through `fd`.
async fn wake(qmp: &Qmp, fd: RawFd) -> Result<(), ControlError> {
    share(qmp).await?;
    let uri = json!({ "uri": format!("fd:{fd}") });
    qmp.tell("migrate-incoming", Some(uri), None).await?;
    moved(qmp, "migrate-incoming").await?;
    qmp.command("cont").await.map(drop)
}

/// Waits until a machine's state has gone or come.
async fn moved(qmp: &Qmp, command: &'static str) -> Result<(), ControlError> {
    let since = Instant::now();
    while since.elapsed() < MOVING {
        let answer = qmp.command("query-migrate").await?;
        match answer.get("status").and_then(Value::as_str) {
            Some("completed") => return Ok(()),
            Some("failed" | "cancelled") => {
                let why = answer.get("error-desc").and_then(Value::as_str);
                return Err(ControlError::Refused {
                    command,
                    why: crate::control::short(why.unwrap_or("no reason given")),
                });
            }
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    Err(ControlError::Silent { command })
}

/// Waits until the guest waits, then saves it while it stands still. A base that
/// cannot be made is no reason to end: the machine goes on, and the next one boots.
pub(crate) async fn save(saver: Saver, qmp: &Qmp) -> Result<(), ControlError> {
    if !qmp.channel_open().await {
        return Ok(());
    }
    qmp.command("stop").await?;
    if let Ok(state) = state_of(qmp).await {
        saver.keep(state).await;
    }
    qmp.command("cont").await.map(drop)
}

/// All of a stopped machine but its memory.
async fn state_of(qmp: &Qmp) -> Result<Vec<u8>, ControlError> {
    const COMMAND: &str = "migrate";
    let failed = |error: &dyn std::fmt::Display| ControlError::Refused {
        command: COMMAND,
        why: crate::control::short(&error.to_string()),
    };
    share(qmp).await?;
    let (ours, theirs) = pair().map_err(|error| failed(&error))?;
    let ours = stream(ours).map_err(|error| failed(&error))?;
    let name = json!({ "fdname": "state" });
    qmp.tell("getfd", Some(name), Some(theirs)).await?;
    let mut state = Vec::new();
    let mut ours = ours.take(MOST_STATE);
    let saved = async {
        let uri = json!({ "uri": "fd:state" });
        qmp.tell(COMMAND, Some(uri), None).await?;
        moved(qmp, COMMAND).await
    };
    let (saved, read) = tokio::join!(saved, ours.read_to_end(&mut state));
    saved?;
    read.map_err(|error| failed(&error))?;
    Ok(state)
}

/// Opens everything, starts the hypervisor, and keeps only our ends.
fn launch(spec: &Spec, accelerator: Accelerator, program: &Path) -> Result<Started, BootError> {
    let [kernel, initramfs, root] = spec.files();
    let (kernel, initramfs) = (bytes_of(kernel)?, bytes_of(initramfs)?);
    let runner = Runner {
        hypervisor: "qemu",
        program,
        kvm: accelerator == Accelerator::Kvm,
    };
    let source = Source::of(spec, runner, [&kernel, &initramfs]);
    let in_memory = |what: &str, bytes: &[u8]| {
        copy_to_memory(bytes).map_err(|source| prepare(what.to_owned(), source))
    };
    let kernel = in_memory("the kernel", &kernel)?;
    let initramfs = in_memory("the initramfs", &initramfs)?;
    let root = boot::open(root)?;
    let (channel, their_channel) = pair()?;
    let (console, their_console) = pair()?;
    let (qmp, their_qmp) = pair()?;
    let (messages, stderr) = pair()?;
    let mut inherit = Vec::new();
    let mut hand = |fd: OwnedFd| {
        let number = fd.as_raw_fd();
        inherit.push(fd);
        number
    };
    let mut fds = Fds {
        kernel: hand(kernel),
        initramfs: hand(initramfs),
        root: hand(root),
        channel: hand(their_channel),
        console: hand(their_console),
        qmp: hand(their_qmp),
        memory: None,
    };
    let warmth = match source {
        Source::Boot => Warmth::Cold,
        Source::BootAndSave(saver) => {
            let theirs = saver.memory();
            fds.memory = Some(hand(theirs.map_err(|e| prepare("the guest's memory", e))?));
            Warmth::Saved(saver)
        }
        Source::GoOn {
            memory,
            state,
            base,
        } => {
            fds.memory = Some(hand(memory));
            let state = hand(fed(state)?);
            Warmth::Woken { state, base }
        }
    };
    let incoming = matches!(warmth, Warmth::Woken { .. });
    let process = Process::spawn(Program {
        path: program.into(),
        argv: argv(spec, accelerator, fds, incoming),
        inherit,
        stderr,
        group: accelerator.group(),
        folder: None,
    })?;
    Ok(Started {
        process,
        channel,
        console,
        qmp,
        messages,
        warmth,
    })
}

/// A socket from which these bytes can be read.
fn fed(bytes: Vec<u8>) -> Result<OwnedFd, BootError> {
    let (ours, theirs) = pair()?;
    let mut ours = StdStream::from(ours);
    std::thread::Builder::new()
        .name("vm-state".into())
        // Ends with the bytes, or with the hypervisor.
        .spawn(move || drop(ours.write_all(&bytes)))
        .map_err(|source| prepare("the saved state", source))?;
    Ok(theirs)
}
