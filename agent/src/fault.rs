//! Faults on request: how a test sees what belljar does when its guest breaks.
//!
//! Owns: the word `belljar.fault=…` of the kernel's command line, which the host
//! alone writes, and what each of its values does.
//! Must not: be reachable from a payload.

use std::time::Duration;

/// The word, up to its value.
const WORD: &str = "belljar.fault=";
/// What [`before_exited`] looks for.
const HOLD_EXIT: &str = "belljar.fault=hold-exit";
/// Makes whoever watches the channel look all the time.
const RESTLESS: &str = "belljar.fault=restless";
/// How long after the payload's start a fault of [`Moment::Started`] strikes.
const DELAY: Duration = Duration::from_secs(8);

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before the handshake.
    Boot,
    /// When the host's set-up has come, and nothing of it is done.
    Setup,
    /// A while after the payload's start, on a thread of its own.
    Started,
    /// The same, on the thread that carries the channel.
    Carrying,
}

/// What can be asked for. None of them comes back.
const FAULTS: &[(&str, Moment, fn())] = &[
    ("hold-boot", Moment::Boot, hold),
    ("hold-setup", Moment::Setup, hold),
    ("agent-exit", Moment::Started, exit),
    ("panic", Moment::Started, panic),
    ("reboot", Moment::Started, reboot),
    ("power-off", Moment::Started, power_off),
    ("memory", Moment::Started, eat),
    ("stall", Moment::Carrying, hold),
];

/// Strikes, if the command line asks for a fault here. Does not return then.
pub(crate) fn at(moment: Moment) {
    if let Some(fault) = asked(moment, &line()) {
        fault();
    }
}

/// Arms what strikes after the payload's start. Within the runtime.
pub(crate) fn after_start() {
    let line = line();
    if let Some(fault) = asked(Moment::Started, &line) {
        std::thread::spawn(move || {
            std::thread::sleep(DELAY);
            fault();
        });
    }
    if let Some(fault) = asked(Moment::Carrying, &line) {
        tokio::spawn(async move {
            tokio::time::sleep(DELAY).await;
            fault();
        });
    }
}

/// When the payload has ended and the host has heard all but that: does not
/// come back if asked to hold it back. The channel goes on meanwhile.
pub(crate) async fn before_exited() {
    if says(HOLD_EXIT) {
        std::future::pending().await
    }
}

/// How often the channel is watched: `usually`, or nearly all the time.
pub(crate) fn watched_every(usually: Duration) -> Duration {
    if says(RESTLESS) {
        // Not so often that an emulated timer does nothing else.
        Duration::from_micros(200)
    } else {
        usually
    }
}

fn says(fault: &str) -> bool {
    line().split_ascii_whitespace().any(|word| word == fault)
}

fn line() -> String {
    std::fs::read_to_string("/proc/cmdline").unwrap_or_default()
}

fn asked(moment: Moment, line: &str) -> Option<fn()> {
    let value = line
        .split_ascii_whitespace()
        .find_map(|word| word.strip_prefix(WORD))?;
    let row = FAULTS
        .iter()
        .find(|(name, at, _)| *name == value && *at == moment)?;
    Some(row.2)
}

/// This thread does nothing any more.
fn hold() {
    loop {
        std::thread::park();
    }
}

/// The end of PID 1 is the end of the machine.
fn exit() {
    std::process::exit(70)
}

/// The machine begins anew.
fn reboot() {
    loop {
        let _ = rustix::system::reboot(rustix::system::RebootCommand::Restart);
    }
}

/// The machine goes off in the middle, in good order for the hypervisor.
fn power_off() {
    crate::boot::power::off("asked for by a test")
}

/// The kernel breaks.
fn panic() {
    loop {
        // Which keys do it is configured; this file does it always.
        let _ = std::fs::write("/proc/sysrq-trigger", "c");
    }
}

/// Takes all memory that there is, outside of the payload's limit.
fn eat() {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        all.push(vec![1; 16 << 20]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_where_it_belongs_and_only_if_asked_for() {
        let moments = [
            Moment::Boot,
            Moment::Setup,
            Moment::Started,
            Moment::Carrying,
        ];
        for (name, at, _) in FAULTS {
            let line = format!("console=ttyS0 {WORD}{name} quiet");
            for moment in moments {
                assert_eq!(asked(moment, &line).is_some(), moment == *at, "{name}");
            }
        }
        for line in ["", "belljar.fault=", "belljar.fault=other", "fault=panic"] {
            for moment in moments {
                assert!(asked(moment, line).is_none(), "{line}");
            }
        }
    }
}
