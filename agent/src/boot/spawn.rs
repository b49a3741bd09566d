//! From the agent to the payload's first program: fork, drop everything, exec.
//!
//! Owns: the steps between fork and exec, all of which must be safe in the
//! child of a process with threads: system calls on data prepared before, no
//! allocation, no locks, nothing of std that might do either.
//! Must not: choose any of the values (see `payload`).
//!
//! The self-test's child goes through the same steps and then, instead of a
//! program, through the probes.
#![expect(unsafe_code, reason = "fork, exec and the calls between them")]

use std::cell::Cell;
use std::ffi::{CString, c_char};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;

use super::notify::Listener;
use super::probe;

/// Everything that the child needs.
pub(crate) struct Plan {
    /// Paths to try, in this order (`PATH` is already applied). None: probe.
    pub(crate) programs: Vec<CString>,
    /// Arguments.
    pub(crate) argv: Vec<CString>,
    /// Environment.
    pub(crate) envp: Vec<CString>,
    /// Working directory.
    pub(crate) cwd: CString,
    /// Its terminal.
    pub(crate) tty: OwnedFd,
    /// `cgroup.procs` of its cgroup, open for writing.
    pub(crate) cgroup: OwnedFd,
    /// User and group.
    pub(crate) id: u32,
    /// System call filter.
    pub(crate) filter: Vec<libc::sock_filter>,
    /// The filter holds calls, so somebody must listen before the first.
    pub(crate) held: bool,
    /// The child's own listener, in the child.
    pub(crate) listener: Cell<RawFd>,
}

/// A child that waits before its first step.
pub(crate) struct Child {
    /// Its pid.
    pub(crate) pid: i32,
    gate: File,
    errors: File,
}

/// Steps that can fail, as the child reports them.
const STEPS: &[&str] = &[
    "start",
    "become a session",
    "take the terminal",
    "join the cgroup",
    "set limits",
    "drop capabilities",
    "become the user",
    "give up privileges",
    "close descriptors",
    "enter the folder",
    "filter system calls",
    "execute the program",
];

/// The child could not become the payload.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step}: {source}")]
pub(crate) struct SpawnError {
    /// Which step.
    pub(crate) step: &'static str,
    /// Why.
    pub(crate) source: io::Error,
}

impl SpawnError {
    /// True if everything worked but there is no such program: the payload's mistake, not ours.
    pub(crate) fn is_exec(&self) -> bool {
        STEPS.last() == Some(&self.step)
    }
}

/// What a child reports that is no failed step.
const PROBED: u8 = 255;
/// Its filter stands; the number of its listener follows.
const LISTENING: u8 = 254;
const ANSWERS: usize = probe::COUNT * size_of::<probe::Answer>();

impl Child {
    /// Lets a child without a program run its probes; returns their answers.
    pub(crate) fn probe(mut self) -> Result<[probe::Answer; probe::COUNT], SpawnError> {
        let failed = |source| SpawnError {
            step: "probe the payload's place",
            source,
        };
        self.gate.write_all(&[1]).map_err(failed)?;
        let mut kind = [0];
        self.errors.read_exact(&mut kind).map_err(failed)?;
        if kind != [PROBED] {
            return Err(step_failed(kind[0], &mut self.errors));
        }
        let mut bytes = [0; ANSWERS];
        self.errors.read_exact(&mut bytes).map_err(failed)?;
        let mut answers = [0; probe::COUNT];
        for (answer, bytes) in answers.iter_mut().zip(bytes.chunks_exact(4)) {
            *answer = bytes.try_into().map_or(0, probe::Answer::from_le_bytes);
        }
        Ok(answers)
    }

    /// Lets a child whose calls are held come as far as its filter; returns what
    /// must be listened to before it is released.
    pub(crate) fn listen(&mut self) -> Result<Listener, SpawnError> {
        let failed = |source| SpawnError {
            step: "listen to held calls",
            source,
        };
        self.gate.write_all(&[1]).map_err(failed)?;
        let mut kind = [0];
        self.errors.read_exact(&mut kind).map_err(failed)?;
        if kind != [LISTENING] {
            return Err(step_failed(kind[0], &mut self.errors));
        }
        let mut number = [0; 4];
        self.errors.read_exact(&mut number).map_err(failed)?;
        Listener::of_child(self.pid, RawFd::from_le_bytes(number)).map_err(failed)
    }

    /// Lets the child run; returns when it executes its program, or failed to.
    pub(crate) fn release(mut self) -> Result<(), SpawnError> {
        let started = self.gate.write_all(&[1]);
        drop(self.gate);
        started.map_err(|source| SpawnError {
            step: "start",
            source,
        })?;
        let mut step = [0];
        match self.errors.read_exact(&mut step) {
            // The descriptor was closed by exec.
            Err(_) => Ok(()),
            Ok(()) => Err(step_failed(step[0], &mut self.errors)),
        }
    }
}

fn step_failed(step: u8, errors: &mut File) -> SpawnError {
    let mut errno = [0; 4];
    let step = STEPS.get(usize::from(step)).copied().unwrap_or("start");
    match errors.read_exact(&mut errno) {
        Ok(()) => {
            let source = io::Error::from_raw_os_error(i32::from_le_bytes(errno));
            SpawnError { step, source }
        }
        Err(source) => SpawnError { step, source },
    }
}

/// Pointers to the plan's strings, made before the fork.
struct Table(Vec<*const c_char>);

impl Table {
    fn new(strings: &[CString]) -> Self {
        let pointers = strings.iter().map(|s| s.as_ptr());
        Self(pointers.chain(std::iter::once(ptr::null())).collect())
    }
}

/// Forks a child that waits to be released.
pub(crate) fn spawn(plan: &Plan) -> Result<Child, SpawnError> {
    let failed = |source: io::Error| SpawnError {
        step: "start",
        source,
    };
    let (gate_read, gate) = io::pipe().map_err(failed)?;
    let (errors, errors_write) = io::pipe().map_err(failed)?;
    let argv = Table::new(&plan.argv);
    let envp = Table::new(&plan.envp);
    let wires = Wires {
        gate: gate_read.as_raw_fd(),
        gate_far: gate.as_raw_fd(),
        errors: errors_write.as_raw_fd(),
    };
    // SAFETY: the child calls only `become_payload`, which neither allocates
    // nor takes locks nor returns; the parent goes on as before.
    let pid = unsafe { libc::fork() };
    match pid {
        0 => become_payload(plan, &argv, &envp, &wires),
        pid if pid > 0 => Ok(Child {
            pid,
            gate: File::from(OwnedFd::from(gate)),
            errors: File::from(OwnedFd::from(errors)),
        }),
        _ => Err(failed(io::Error::last_os_error())),
    }
}

struct Wires {
    gate: RawFd,
    gate_far: RawFd,
    errors: RawFd,
}

fn errno() -> i32 {
    // SAFETY: glibc's errno location is valid for the thread's life.
    unsafe { *libc::__errno_location() }
}

fn become_payload(plan: &Plan, argv: &Table, envp: &Table, wires: &Wires) -> ! {
    let mut byte = 0_u8;
    // SAFETY: closes our copy of a descriptor we own; reads one byte into a live variable.
    let got = unsafe {
        libc::close(wires.gate_far);
        libc::read(wires.gate, (&raw mut byte).cast(), 1)
    };
    if got != 1 {
        // The agent gave up.
        // SAFETY: ends the child without running anything of the parent's.
        unsafe { libc::_exit(127) }
    }
    let steps: [fn(&Plan) -> bool; 10] = [
        session,
        terminal,
        cgroup,
        limits,
        capabilities,
        user,
        privileges,
        descriptors,
        folder,
        filter,
    ];
    for (at, step) in (1_u8..).zip(steps) {
        if !step(plan) {
            report(wires, at);
        }
    }
    if plan.held {
        wait_for_listener(plan, wires);
    }
    if plan.programs.is_empty() {
        report_probes(wires);
    }
    execute(plan, argv, envp);
    report(wires, 11);
}

/// Tells the parent where held calls can be heard, and waits until it listens.
fn wait_for_listener(plan: &Plan, wires: &Wires) {
    let [a, b, c, d] = plan.listener.get().to_le_bytes();
    let bytes = [LISTENING, a, b, c, d];
    let mut byte = 0_u8;
    // SAFETY: writes a live array of the stated length; reads one byte into a
    // live variable; ends the child if the agent gave up.
    unsafe {
        libc::write(wires.errors, bytes.as_ptr().cast(), bytes.len());
        if libc::read(wires.gate, (&raw mut byte).cast(), 1) != 1 {
            libc::_exit(127)
        }
        libc::close(plan.listener.get());
    }
}

/// Runs the probes, tells the parent, and ends.
fn report_probes(wires: &Wires) -> ! {
    let kind = [PROBED];
    let mut answers = [0; probe::COUNT];
    probe::run(&mut answers);
    // SAFETY: writes live data of the stated lengths; then ends the child. The
    // parent reads on the same machine's byte order.
    unsafe {
        libc::write(wires.errors, kind.as_ptr().cast(), kind.len());
        libc::write(wires.errors, answers.as_ptr().cast(), ANSWERS);
        libc::_exit(0)
    }
}

/// Tells the parent which step failed and why, and ends.
fn report(wires: &Wires, step: u8) -> ! {
    let [a, b, c, d] = errno().to_le_bytes();
    let bytes = [step, a, b, c, d];
    // SAFETY: writes a live array of the stated length; then ends the child.
    unsafe {
        libc::write(wires.errors, bytes.as_ptr().cast(), bytes.len());
        libc::_exit(127)
    }
}

fn session(_: &Plan) -> bool {
    // SAFETY: signal dispositions and mask are plain values; an empty set is
    // initialised by sigemptyset before its use.
    unsafe {
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
        libc::umask(0o022);
        libc::setsid() >= 0
    }
}

fn terminal(plan: &Plan) -> bool {
    let tty = plan.tty.as_raw_fd();
    // SAFETY: descriptors are open; TIOCSCTTY takes a plain number.
    unsafe { (0..3).all(|fd| libc::dup2(tty, fd) == fd) && libc::ioctl(0, libc::TIOCSCTTY, 0) == 0 }
}

fn cgroup(plan: &Plan) -> bool {
    // SAFETY: writes one byte of a static string ("0": the writer itself).
    unsafe { libc::write(plan.cgroup.as_raw_fd(), c"0".as_ptr().cast(), 1) == 1 }
}

fn limits(_: &Plan) -> bool {
    let limits = [
        (libc::RLIMIT_CORE, 0, libc::RLIM_INFINITY),
        (libc::RLIMIT_NOFILE, 1_024, 1_048_576),
    ];
    // SAFETY: each call reads one live `rlimit`.
    limits.iter().all(|&(what, rlim_cur, rlim_max)| unsafe {
        libc::setrlimit(what, &libc::rlimit { rlim_cur, rlim_max }) == 0
    })
}

fn capabilities(_: &Plan) -> bool {
    // SAFETY: prctl with plain numbers. Numbers beyond the kernel's last
    // capability answer EINVAL, which is the end of the list.
    unsafe {
        for capability in 0..64 {
            if libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 {
                return capability > 0 && errno() == libc::EINVAL;
            }
        }
    }
    true
}

fn user(plan: &Plan) -> bool {
    let id = plan.id;
    // The raw calls: glibc's wrappers signal the threads of the parent's that
    // this process does not have.
    // SAFETY: plain numbers; an empty group list is never read.
    unsafe {
        libc::syscall(libc::SYS_setgroups, 0_usize, ptr::null::<libc::gid_t>()) == 0
            && libc::syscall(libc::SYS_setresgid, id, id, id) == 0
            && libc::syscall(libc::SYS_setresuid, id, id, id) == 0
    }
}

fn privileges(_: &Plan) -> bool {
    // SAFETY: plain numbers.
    unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 }
}

fn descriptors(_: &Plan) -> bool {
    // At exec, not now: the report of a failed exec still needs its pipe.
    // SAFETY: plain numbers.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3_u32,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        ) == 0
    }
}

fn folder(plan: &Plan) -> bool {
    // SAFETY: a live, terminated string.
    unsafe { libc::chdir(plan.cwd.as_ptr()) == 0 }
}

fn filter(plan: &Plan) -> bool {
    let Ok(len) = libc::c_ushort::try_from(plan.filter.len()) else {
        return false;
    };
    let program = libc::sock_fprog {
        len,
        filter: plan.filter.as_ptr().cast_mut(),
    };
    let flags = if plan.held {
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
    } else {
        0
    };
    // SAFETY: the kernel reads `len` instructions behind the pointer, which the
    // plan keeps alive, and writes nothing.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const program,
        )
    };
    plan.listener.set(RawFd::try_from(result).unwrap_or(-1));
    result >= 0
}

/// Tries each path, as `execvp` does; comes back with errno set.
fn execute(plan: &Plan, argv: &Table, envp: &Table) {
    let mut best = libc::ENOENT;
    for program in &plan.programs {
        // SAFETY: live, terminated strings and null-terminated tables of them.
        unsafe { libc::execve(program.as_ptr(), argv.0.as_ptr(), envp.0.as_ptr()) };
        match errno() {
            libc::ENOENT | libc::ENOTDIR => {}
            libc::EACCES => best = libc::EACCES,
            other => {
                best = other;
                break;
            }
        }
    }
    // SAFETY: as in `errno`.
    unsafe { *libc::__errno_location() = best };
}
