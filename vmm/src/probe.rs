//! Does KVM work here? Answered by a guest, not by a device file.
//!
//! Owns: a guest of 254 bytes and the judgement of its answer. Must not: boot
//! a real machine.
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

use tokio::sync::OnceCell;

use crate::boot::{self, QEMU, copy_to_memory, pair, stream};
use crate::process::{ExitHow, Process, Program};
use crate::qemu::{Accelerator, probe_argv};
use crate::vm::collect;

/// KVM answers within some 200 ms.
const DEADLINE: Duration = Duration::from_secs(2);
/// Emulation answers within a second, on a busy machine within some.
const DEADLINE_EMULATED: Duration = Duration::from_secs(30);

/// What came of probing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A guest ran and answered.
    Usable,
    /// It did not; why, as a phrase.
    Unusable(String),
}

/// Probes KVM, once a process, with this QEMU or the one in `PATH`.
pub async fn kvm(hypervisor: Option<&Path>) -> Probe {
    let program = boot::find(hypervisor.unwrap_or(Path::new(QEMU)));
    kvm_with(program.as_deref().ok()).await
}

/// Runs the same guest under software emulation: does this QEMU run at all?
pub async fn emulation(hypervisor: Option<&Path>) -> Probe {
    match boot::find(hypervisor.unwrap_or(Path::new(QEMU))) {
        Ok(program) => run(&program, Accelerator::Tcg, DEADLINE_EMULATED).await,
        Err(error) => Probe::Unusable(error.to_string()),
    }
}

/// Probes KVM with this QEMU, once a process. Without one there is nothing to
/// run the probe's guest with: then the device must do, and a machine that does
/// not come up says so itself.
pub(crate) async fn kvm_with(program: Option<&Path>) -> Probe {
    static KVM: OnceCell<Probe> = OnceCell::const_new();
    let probe = || async {
        match (accessible(), program) {
            (Ok(()), Some(program)) => run(program, Accelerator::Kvm, DEADLINE).await,
            (Ok(()), None) => Probe::Usable,
            (Err(why), _) => Probe::Unusable(why),
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

/// Runs the guest and judges its answer.
async fn run(program: &Path, accelerator: Accelerator, deadline: Duration) -> Probe {
    match answer(program, accelerator, deadline).await {
        Ok(()) => Probe::Usable,
        Err(why) => Probe::Unusable(why),
    }
}

async fn answer(
    program: &Path,
    accelerator: Accelerator,
    deadline: Duration,
) -> Result<(), String> {
    let image = copy_to_memory(guest::image().as_slice()).map_err(|e| e.to_string())?;
    let (messages, stderr) = pair().map_err(|e| e.to_string())?;
    let messages = collect(stream(messages).map_err(|e| e.to_string())?);
    let program = Program {
        path: program.into(),
        argv: probe_argv(accelerator, image.as_raw_fd()),
        inherit: vec![image],
        stderr,
        group: accelerator.group(),
    };
    let spawned = tokio::task::spawn_blocking(|| Process::spawn(program)).await;
    let process = spawned
        .map_err(|e| e.to_string())?
        .map_err(|e| e.to_string())?;
    let Ok(how) = tokio::time::timeout(deadline, process.wait()).await else {
        return Err(format!(
            "a probe guest did not answer within {} s",
            deadline.as_secs()
        ));
    };
    if how == ExitHow::Code(guest::ANSWER) {
        return Ok(());
    }
    messages.drained(Duration::from_secs(1)).await;
    let said = messages.text();
    let last = said.lines().last().unwrap_or("nothing");
    Err(format!(
        "a probe guest gave no answer ({how}; the hypervisor said: {last})"
    ))
}

#[cfg(test)]
mod tests;
