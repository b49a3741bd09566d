//! The guest kernel's command line, the same whatever runs it.
//!
//! Owns: the words and why each is there. Must not: know a hypervisor.

use crate::Spec;

/// The command line of a guest; `emulated` if its processor is software.
pub(crate) fn cmdline(spec: &Spec, emulated: bool) -> String {
    // The BIOS has no disk to ask, and nobody needs the kernel's ciphers tested at each
    // boot: an eighth of the processor time until the agent runs.
    let mut line =
        String::from("console=ttyS0 quiet panic=-1 lsm=landlock,bpf edd=off cryptomgr.notests");
    if emulated {
        // Calibration hangs under load, and mitigations against the host's
        // processor only cost time where the processor is emulated. The test of
        // the timer counts ticks against emulated time: on a busy host it misses
        // some now and then, and the kernel panics before it says a word.
        line.push_str(" tsc=unstable no_timer_check mitigations=off");
    }
    let extra = spec.cmdline_extra.trim();
    if !extra.is_empty() {
        line.push(' ');
        line.push_str(extra);
    }
    line
}
