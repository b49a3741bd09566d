//! Faults on request: how a test sees what belljar does when its agent dies.
//!
//! Owns: the word `belljar.fault=agent-exit` of the kernel's command line, which
//! the host alone writes. Must not: be reachable from a payload.

use std::time::Duration;

/// The word that asks for the agent's death.
const AGENT_EXIT: &str = "belljar.fault=agent-exit";
/// How long after the payload's start.
const DELAY: Duration = Duration::from_secs(2);

/// Carries out what the command line asks for, some time after the payload's start.
pub(crate) fn after_start() {
    let line = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    if line.split_ascii_whitespace().any(|word| word == AGENT_EXIT) {
        std::thread::spawn(|| {
            std::thread::sleep(DELAY);
            // The end of PID 1 is the end of the machine.
            std::process::exit(70);
        });
    }
}
