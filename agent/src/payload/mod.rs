//! The code that is not trusted: from a launch to its last process's end.
//!
//! Owns: the payload's cgroup, terminal, environment and filter; reaping.
//! Must not: watch what it does (the observer does) or decide about it.

mod cgroup;
mod environment;
pub(crate) mod filter;
mod reap;
mod terminal;

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;

use belljar_event::wire::Launch;
use belljar_event::{Output, Phase, Status, Step, Text};

pub(crate) use cgroup::{Cgroup, Freezer, Frozen};

use crate::boot::spawn::{Plan, SpawnError, spawn};
use crate::boot::{console, probe};
use crate::hold::Holds;
use crate::seam::EventSink;
use crate::setup::{Place, USER_ID};
use terminal::Terminal;

/// What a shell says for "found, but cannot be executed" and "not found".
const CANNOT_EXECUTE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Why no payload ran.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PayloadError {
    /// Nothing to run.
    #[error("the command is empty or contains a NUL byte")]
    Command,
    /// Its cgroup.
    #[error("cannot {step} the payload's cgroup: {source}")]
    Cgroup {
        /// What was tried.
        step: &'static str,
        /// Cause.
        source: std::io::Error,
    },
    /// Its terminal.
    #[error("cannot make the payload's terminal: {0}")]
    Terminal(std::io::Error),
    /// What the self-test's probes try.
    #[error("cannot lay out the self-test's file: {0}")]
    Bait(std::io::Error),
    /// Its held calls.
    #[error("cannot listen to held calls: {0}")]
    Listener(std::io::Error),
    /// Between fork and exec.
    #[error("payload {0}")]
    Spawn(#[from] SpawnError),
    /// Its end could not be awaited.
    #[error("cannot wait for the payload: {0}")]
    Wait(rustix::io::Errno),
}

/// Runs one phase to its end, on a thread of its own. On return no process of
/// the payload is left, and everything about it is queued: its output, and
/// what `drain` waits for.
pub(crate) fn run(
    launch: &Launch,
    place: &Place,
    cgroup: &Cgroup,
    holds: &Holds,
    drain: impl FnOnce(),
    sink: &EventSink,
) -> Result<Status, PayloadError> {
    let environment = environment::of(place, &launch.env);
    let program = launch.argv.first().ok_or(PayloadError::Command)?;
    let terminal = Terminal::open(launch.rows, launch.columns).map_err(PayloadError::Terminal)?;
    let plan = Plan {
        programs: strings(environment::candidates(program, &environment))?,
        argv: strings(launch.argv.iter().cloned())?,
        envp: strings(environment::lines(&environment))?,
        filter: filter::program(holds.ops()),
        held: holds.ops() != 0,
        ..without_program(place, cgroup, &terminal)?
    };
    let mut child = spawn(&plan)?;
    let pid = child.pid;
    let words = launch
        .argv
        .iter()
        .map(|word| Text::capped(word, 4096))
        .collect();
    phase(
        sink,
        launch,
        Step::Begin {
            argv: words,
            pid: pid.cast_unsigned(),
        },
    );
    let output = terminal
        .carry(sink.clone())
        .map_err(PayloadError::Terminal)?;
    let holding = match plan.held.then(|| child.listen()) {
        None => None,
        Some(Ok(listener)) => Some(holds.serve(listener).map_err(PayloadError::Listener)?),
        Some(Err(error)) => {
            // Nobody listens, so nothing may run.
            cgroup.kill()?;
            reap::until_gone(pid, cgroup)?;
            return Err(error.into());
        }
    };
    drop(plan);
    let released = child.release();
    let status = reap::until_gone(pid, cgroup)?;
    drop(holding);
    output.finish();
    drain();
    let status = match released {
        Ok(()) => status,
        Err(e) if e.is_exec() => no_program(sink, program, &e),
        Err(e) => return Err(e.into()),
    };
    phase(sink, launch, Step::End(status));
    Ok(status)
}

/// Runs the self-test's probes in the payload's place.
pub(crate) fn probe(
    place: &Place,
    cgroup: &Cgroup,
) -> Result<(u32, [probe::Answer; probe::COUNT]), PayloadError> {
    let terminal = Terminal::open(24, 80).map_err(PayloadError::Terminal)?;
    let plan = without_program(place, cgroup, &terminal)?;
    let child = spawn(&plan)?;
    let pid = child.pid;
    let answers = child.probe();
    reap::until_gone(pid, cgroup)?;
    Ok((pid.cast_unsigned(), answers?))
}

fn without_program(
    place: &Place,
    cgroup: &Cgroup,
    terminal: &Terminal,
) -> Result<Plan, PayloadError> {
    let cwd = CString::new(place.project.as_os_str().as_bytes());
    Ok(Plan {
        programs: Vec::new(),
        argv: Vec::new(),
        envp: Vec::new(),
        cwd: cwd.map_err(|_| PayloadError::Command)?,
        tty: terminal.far().map_err(PayloadError::Terminal)?,
        cgroup: cgroup.entrance()?,
        id: USER_ID,
        filter: filter::program(0),
        held: false,
        listener: std::cell::Cell::new(-1),
    })
}

fn phase(sink: &EventSink, launch: &Launch, step: Step) {
    // A closed queue means a closed channel, and that ends the machine.
    let _ = sink.state(Phase {
        name: launch.phase.clone(),
        step,
    });
}

/// Says what a shell would say.
fn no_program(sink: &EventSink, program: &[u8], error: &SpawnError) -> Status {
    let missing = error.source.raw_os_error() == Some(libc::ENOENT);
    let why = if missing {
        "command not found".into()
    } else {
        error.source.to_string()
    };
    let mut bytes = program
        .get(..program.len().min(256))
        .unwrap_or_default()
        .to_vec();
    bytes.extend(format!(": {why}\r\n").into_bytes());
    let _ = sink.state(Output {
        bytes: bytes.into(),
    });
    console::say("the payload's program could not be executed");
    Status::Code(if missing { NOT_FOUND } else { CANNOT_EXECUTE })
}

fn strings(words: impl Iterator<Item = Vec<u8>>) -> Result<Vec<CString>, PayloadError> {
    words
        .map(|word| CString::new(word).map_err(|_| PayloadError::Command))
        .collect()
}
