//! Proof, before any payload, that what must be observed is observed and what
//! must be refused is refused: kernel programs can load, attach and never fire.
//!
//! Owns: what each probe must have been answered, and which events must tell of it.
//! Must not: repair anything; one check that does not hold ends the run.

use belljar_event::{Action, Addr, Check, Event, Fact, Op, Text};

use belljar_event::wire::{KernelLine, Place};

use crate::boot::probe::{Answer, COUNT, DENIED_FILE, DENIED_NEW, NOWHERE, SEEN_FILE};
use crate::observe::Observer;
use crate::payload::{self, Cgroup, PayloadError};
use crate::setup::{Place as Home, USER_ID};

/// What proves a check from the outside: the kernel's answer.
type Answered = fn(Answer) -> bool;

/// One row a probe, in the probes' order.
const ANSWERS: [(&str, Answered); COUNT] = [
    ("an ordinary file can be opened", |a| a >= 0),
    ("a refused connect is refused", |a| a == -libc::ECONNREFUSED),
    ("a refused datagram is refused", |a| a < 0),
    ("a question to any resolver reaches the stub", |a| a == 0),
    ("io_uring does not exist", |a| a == -libc::ENOSYS),
    ("a namespace cannot be made", |a| a == -libc::EPERM),
    ("the agent cannot be traced", |a| a == -libc::EPERM),
    ("a packet socket cannot be made", |a| a < 0),
    ("the agent's root cannot be entered", |a| a < 0),
    ("the cgroup cannot be left", |a| a < 0),
    ("a denied file cannot be opened", |a| a == -libc::EACCES),
    ("a denied file cannot be made", |a| a == -libc::EACCES),
    ("a denied file cannot be renamed", |a| a == -libc::EACCES),
    ("a denied file cannot be linked", |a| a == -libc::EACCES),
];

/// The line that proves that lines are enforced; nobody else has such a file.
pub(crate) fn line() -> KernelLine {
    let path = |path: &str| Place::Path(path.as_bytes().to_vec());
    KernelLine {
        by: "built-in:self-test".into(),
        action: Action::Deny,
        ops: Op::Read.bit() | Op::Write.bit(),
        places: vec![path(DENIED_FILE), path(DENIED_NEW)],
    }
}

/// Where the denied file lies while the probes run.
struct Bait;

impl Bait {
    fn lay() -> std::io::Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(DENIED_FILE, b"")?;
        // Only the line keeps the payload from it.
        std::fs::set_permissions(DENIED_FILE, std::fs::Permissions::from_mode(0o666))?;
        std::os::unix::fs::chown(DENIED_FILE, Some(USER_ID), Some(USER_ID))?;
        Ok(Self)
    }
}

impl Drop for Bait {
    fn drop(&mut self) {
        for path in [DENIED_FILE, DENIED_NEW] {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// What proves a check from the inside: an event that tells of the attempt.
type Told = fn(&Event) -> bool;

const EVENTS: [(&str, Told); 5] = [
    (
        "an open is observed with its resolved path",
        |event| matches!(&event.fact, Fact::Open(open) if open.file == Some(Text::from(SEEN_FILE))),
    ),
    ("a refused connect is observed", |event| {
        matches!(&event.fact, Fact::Connect(connect)
            if connect.addr == Addr::Inet(NOWHERE.into())
                && event.outcome.errno() == Some(ECONNREFUSED))
    }),
    ("a filtered call is observed", |event| {
        matches!(&event.fact, Fact::Guard(guard)
            if guard.call.name() == "io_uring_setup" && !event.outcome.succeeded())
    }),
    ("a denial names its line", |event| {
        matches!(&event.fact, Fact::Denied(denied)
            if denied.by == "built-in:self-test" && denied.path == Some(Text::from(DENIED_FILE)))
    }),
    ("an exit is observed", |event| {
        matches!(event.fact, Fact::Exit(_))
    }),
];

const ECONNREFUSED: u16 = 111;

/// Runs every check; those on events only if calls are traced at all.
pub(crate) fn run(
    place: &Home,
    cgroup: &Cgroup,
    observer: &Observer,
    traced: bool,
) -> Result<Vec<Check>, PayloadError> {
    let _bait = Bait::lay().map_err(PayloadError::Bait)?;
    let tap = observer.tap();
    let probed = payload::probe(place, cgroup);
    // Everything that the probes caused has passed the tap then.
    observer.untap();
    let (pid, answers) = probed?;
    let mut checks: Vec<_> = ANSWERS
        .iter()
        .zip(answers)
        .map(|((name, held), answer)| Check {
            name: (*name).into(),
            held: held(answer),
        })
        .collect();
    if traced {
        let events: Vec<_> = tap.try_iter().filter(|event| event.pid == pid).collect();
        checks.extend(EVENTS.iter().map(|(name, told)| Check {
            name: (*name).into(),
            held: events.iter().any(told),
        }));
    }
    Ok(checks)
}
