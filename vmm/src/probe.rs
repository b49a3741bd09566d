//! Does KVM work here? Answered by a guest, not by a device file.
//!
//! Owns: a guest of 254 bytes, in a form for each hypervisor, and the judgement of
//! its answer. Must not: boot a real machine.
//!
//! A `/dev/kvm` that opens and makes machines may still emulate every
//! instruction of a stock kernel. So the guest counts to twenty million in
//! protected mode (milliseconds on a processor, minutes under such an
//! emulator), enters long mode with paging, drops to ring 3, comes back by
//! `syscall`, and only then answers.

mod guest;

use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::sync::OnceCell;

use crate::boot::{self, QEMU, copy_to_memory, kvm_group, pair, stream};
use crate::cloud_hypervisor;
use crate::process::{ExitHow, Process, Program};
use crate::qemu::{Accelerator, probe_argv};
use crate::vm::{Tail, collect};

/// KVM answers within some 200 ms.
const DEADLINE: Duration = Duration::from_secs(2);
/// cloud-hypervisor makes a whole machine for it, where KVM is itself in a machine
/// within some seconds. An emulator of single instructions takes minutes.
const DEADLINE_OTHER: Duration = Duration::from_secs(15);
/// Emulation answers within a second, on a busy machine within some.
const DEADLINE_EMULATED: Duration = Duration::from_secs(30);

/// How long last words may take after the hypervisor has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What came of probing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A guest ran and answered.
    Usable,
    /// It did not; why, as a phrase.
    Unusable(String),
}

/// Probes KVM, once a process, with the QEMU in `PATH`, else with this
/// cloud-hypervisor or the one in `PATH`.
pub async fn kvm(cloud_hypervisor: Option<&Path>) -> Probe {
    let qemu = boot::find(Path::new(QEMU));
    let other = boot::find(cloud_hypervisor.unwrap_or(Path::new(cloud_hypervisor::PROGRAM)));
    kvm_with(qemu.as_deref().ok(), other.as_deref().ok()).await
}

/// Runs the same guest under software emulation: does this QEMU run at all?
pub async fn emulation(hypervisor: Option<&Path>) -> Probe {
    match boot::find(hypervisor.unwrap_or(Path::new(QEMU))) {
        Ok(program) => run(&program, Accelerator::Tcg, DEADLINE_EMULATED).await,
        Err(error) => Probe::Unusable(error.to_string()),
    }
}

/// Probes KVM, once a process, with QEMU where it is there, else with
/// cloud-hypervisor. Without either there is nothing that could run a guest, and
/// the device alone says nothing of what a machine would miss.
pub(crate) async fn kvm_with(qemu: Option<&Path>, cloud_hypervisor: Option<&Path>) -> Probe {
    static KVM: OnceCell<Probe> = OnceCell::const_new();
    let probe = || async {
        match (accessible(), qemu, cloud_hypervisor) {
            (Err(why), ..) => Probe::Unusable(why),
            (Ok(()), Some(program), _) => run(program, Accelerator::Kvm, DEADLINE).await,
            (Ok(()), None, Some(program)) => run_other(program, DEADLINE_OTHER).await,
            (Ok(()), None, None) => {
                Probe::Unusable("there is no hypervisor to run a probe guest with".into())
            }
        }
    };
    KVM.get_or_init(probe).await.clone()
}

/// The cheap part: is there a device that the hypervisor's user may open?
fn accessible() -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;
    let device = "/dev/kvm";
    let meta = std::fs::metadata(device).map_err(|error| format!("{device}: {error}"))?;
    if rustix::process::geteuid().is_root() {
        // The hypervisor will not be root.
        let by_group = meta.gid() != 0 && meta.mode() & 0o060 == 0o060;
        if by_group || meta.mode() & 0o006 == 0o006 {
            return Ok(());
        }
        return Err(format!(
            "{device} is open to root only, and the hypervisor does not run as root"
        ));
    }
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(device)
        .map(drop)
        .map_err(|error| format!("{device}: {error}"))
}

/// Runs the guest under QEMU and judges its answer.
async fn run(program: &Path, accelerator: Accelerator, deadline: Duration) -> Probe {
    judged(answer(program, accelerator, deadline).await)
}

/// Runs the guest under cloud-hypervisor and judges its answer.
async fn run_other(program: &Path, deadline: Duration) -> Probe {
    judged(answer_of_other(program, deadline).await)
}

fn judged(answer: Result<(), String>) -> Probe {
    match answer {
        Ok(()) => Probe::Usable,
        Err(why) => Probe::Unusable(why),
    }
}

async fn answer(path: &Path, accelerator: Accelerator, deadline: Duration) -> Result<(), String> {
    let image = copy_to_memory(guest::image().as_slice()).map_err(|e| e.to_string())?;
    let (messages, stderr) = pair().map_err(|e| e.to_string())?;
    let messages = collect(stream(messages).map_err(|e| e.to_string())?);
    let program = Program {
        path: path.into(),
        argv: probe_argv(accelerator, image.as_raw_fd()),
        inherit: vec![image],
        stderr,
        group: accelerator.group(),
        folder: None,
    };
    let how = ended(program, deadline).await?;
    if how == ExitHow::Code(guest::ANSWER) {
        return Ok(());
    }
    Err(nothing(path, how, &messages).await)
}

/// Its answer is a byte on the serial port; then it powers the machine off. Either
/// alone is none: a hypervisor may end without having run anything.
async fn answer_of_other(path: &Path, deadline: Duration) -> Result<(), String> {
    let kernel = copy_to_memory(guest::kernel().as_slice()).map_err(|e| e.to_string())?;
    let (messages, stderr) = pair().map_err(|e| e.to_string())?;
    let messages = collect(stream(messages).map_err(|e| e.to_string())?);
    let (serial, theirs) = cloud_hypervisor::console().map_err(|e| e.to_string())?;
    let serial = collect(pipe::Receiver::from_owned_fd(serial).map_err(|e| e.to_string())?);
    let program = Program {
        path: path.into(),
        argv: cloud_hypervisor::probe_argv(kernel.as_raw_fd(), theirs.as_raw_fd()),
        inherit: vec![kernel, theirs],
        stderr,
        group: kvm_group(),
        folder: None,
    };
    let how = ended(program, deadline).await?;
    serial.drained(LAST_WORDS).await;
    let answered = serial.text() == char::from(guest::SERIAL_ANSWER).to_string();
    if answered && how == ExitHow::Code(0) {
        return Ok(());
    }
    Err(nothing(path, how, &messages).await)
}

/// How the hypervisor ended within its time.
async fn ended(program: Program, deadline: Duration) -> Result<ExitHow, String> {
    let name = name_of(&program.path);
    let spawned = tokio::task::spawn_blocking(|| Process::spawn(program)).await;
    let process = spawned
        .map_err(|e| e.to_string())?
        .map_err(|e| e.to_string())?;
    tokio::time::timeout(deadline, process.wait())
        .await
        .map_err(|_| {
            format!(
                "a probe guest under {name} did not answer within {} s",
                deadline.as_secs()
            )
        })
}

/// Why there was no answer, with the hypervisor's last words.
async fn nothing(path: &Path, how: ExitHow, messages: &Tail) -> String {
    messages.drained(LAST_WORDS).await;
    let name = name_of(path);
    let said = messages.text();
    let last = said.lines().last().unwrap_or("nothing");
    format!("a probe guest under {name} gave no answer ({how}; it said: {last})")
}

fn name_of(program: &Path) -> String {
    let name = program.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
