//! The end of the machine. There is no way back from here and nothing to save:
//! every file system is read-only or memory.

use rustix::system::{RebootCommand, reboot};

/// Powers the machine off, whatever else is going on.
pub(crate) fn off(why: impl std::fmt::Display) -> ! {
    super::console::say(format_args!("power off: {why}"));
    loop {
        if rustix::process::getpid().as_raw_nonzero().get() != 1 {
            // Not in a guest (a mistaken start on a host): only this process ends.
            std::process::exit(1);
        }
        let _ = reboot(RebootCommand::PowerOff);
        // No ACPI, or it is slow: a restart ends a machine that was started without reboots.
        std::thread::sleep(std::time::Duration::from_secs(2));
        let _ = reboot(RebootCommand::Restart);
    }
}

/// Makes a panic in any thread a power-off: with half an agent nothing is enforced.
pub(crate) fn off_on_panic() {
    std::panic::set_hook(Box::new(|info| off(format_args!("agent panic: {info}"))));
}
