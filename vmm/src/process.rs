//! The hypervisor as a child process that cannot outlive us.
//!
//! Owns: fork and exec with exactly the descriptors it needs, dropped
//! privileges, the parent-death signal, reaping. The only unsafe code of this
//! crate is here: what happens between fork and exec.
//! Must not: know what the program is for.
//!
//! The parent-death signal fires when the *thread* that forked ends, not the
//! process. So each child has a keeper thread, which forks it, waits for it
//! and therefore lives exactly as long as it. The signal is also cleared by a
//! change of user, so it is set last.
#![expect(unsafe_code, reason = "fork and exec: see the safety notes")]

pub(crate) mod walls;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::sync::watch;

/// `nobody` and `nogroup`, by number: the hypervisor has no business owning anything.
pub(crate) const NOBODY: u32 = 65_534;

/// A program to start.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) argv: Vec<String>,
    /// The only descriptors above 2 that it gets, under their own numbers.
    pub(crate) inherit: Vec<OwnedFd>,
    /// Its standard error; it gets no other standard stream.
    pub(crate) stderr: OwnedFd,
    /// The only group it keeps when privileges are dropped.
    pub(crate) group: Option<u32>,
    /// Below it, it may make and use files.
    pub(crate) folder: Option<PathBuf>,
}

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The keeper thread could not be made.
    #[error("cannot make a thread to keep the hypervisor: {0}")]
    Thread(std::io::Error),
    /// Fork, a step before exec, or exec failed.
    #[error("cannot start {}: {source}", path.display())]
    Exec {
        /// The program.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It was started and then lost at once.
    #[error("cannot watch {}: {source}", path.display())]
    Watch {
        /// The program.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitHow {
    /// By itself, with this code.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// Its end was not seen.
    Unknown,
}

impl std::fmt::Display for ExitHow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Unknown => f.write_str("unknown end"),
        }
    }
}

impl From<ExitStatus> for ExitHow {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Unknown,
        }
    }
}

/// A running child. Dropping it kills and reaps it.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    pidfd: Arc<OwnedFd>,
    exit: watch::Receiver<Option<ExitHow>>,
    keeper: Option<JoinHandle<()>>,
}

/// Can end a process and nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Killer(Arc<OwnedFd>);

impl Killer {
    /// Asks the kernel to end it now. No effect if it has ended.
    pub(crate) fn kill(&self) {
        // The only failure is that it has already been reaped.
        let _ = pidfd_send_signal(&*self.0, Signal::KILL);
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&self) -> bool {
        let mut fds = [PollFd::new(&*self.0, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}

impl Process {
    /// Starts a program. Blocks for as long as fork and exec take.
    pub(crate) fn spawn(program: Program) -> Result<Self, SpawnError> {
        let (report, started) = std::sync::mpsc::sync_channel(1);
        let (ended, exit) = watch::channel(None);
        let keeper = std::thread::Builder::new()
            .name("vm-keeper".into())
            .spawn(move || keep(program, &report, &ended))
            .map_err(SpawnError::Thread)?;
        match started.recv() {
            Ok(Ok((pid, pidfd))) => Ok(Self {
                pid,
                pidfd: Arc::new(pidfd),
                exit,
                keeper: Some(keeper),
            }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(SpawnError::Thread(std::io::Error::other(
                "it ended at once",
            ))),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Asks the kernel to end it now. No effect if it has ended.
    pub(crate) fn kill(&self) {
        self.killer().kill();
    }

    /// For who must be able to end it without owning it.
    pub(crate) fn killer(&self) -> Killer {
        Killer(Arc::clone(&self.pidfd))
    }

    /// Waits for its end, however often and by however many.
    pub(crate) async fn wait(&self) -> ExitHow {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await {
            Ok(how) => how.unwrap_or(ExitHow::Unknown),
            Err(_) => ExitHow::Unknown,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if let Some(keeper) = self.keeper.take() {
            // Ends when the child is reaped: nothing is left behind.
            let _ = keeper.join();
        }
    }
}

type Started = Result<(u32, OwnedFd), SpawnError>;

/// The keeper thread: forks the child and stays until it is reaped.
fn keep(
    program: Program,
    report: &std::sync::mpsc::SyncSender<Started>,
    ended: &watch::Sender<Option<ExitHow>>,
) {
    let path = program.path.clone();
    // Where there are none, the other walls must do.
    let _ = walls::around(&program);
    let mut child = match command(program).and_then(|mut command| command.spawn()) {
        Ok(child) => child,
        Err(source) => {
            let _ = report.send(Err(SpawnError::Exec { path, source }));
            return;
        }
    };
    // Not reaped yet, so the number cannot be another process's.
    let pidfd = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or(rustix::io::Errno::SRCH)
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
    match pidfd {
        Ok(pidfd) => {
            let _ = report.send(Ok((child.id(), pidfd)));
        }
        Err(errno) => {
            let _ = child.kill();
            let _ = report.send(Err(SpawnError::Watch {
                path,
                source: errno.into(),
            }));
        }
    }
    let how = child.wait().map_or(ExitHow::Unknown, ExitHow::from);
    ended.send_replace(Some(how));
}

/// Everything that is prepared before the fork.
fn command(program: Program) -> std::io::Result<Command> {
    let mut command = Command::new(&program.path);
    command
        .args(&program.argv)
        .env_clear()
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::from(program.stderr));
    let drop_to = rustix::process::geteuid()
        .is_root()
        .then_some(program.group);
    let parent = libc::pid_t::try_from(std::process::id()).map_err(std::io::Error::other)?;
    let inherit = program.inherit;
    let prepare = move || {
        confine_descriptors(&inherit)?;
        limit_core()?;
        if let Some(group) = drop_to {
            drop_privileges(group)?;
        }
        tie_to_parent(parent)
    };
    // SAFETY: runs in the forked child before exec, where only
    // async-signal-safe calls are allowed. `prepare` and what it calls make
    // system calls, allocate nothing, take no lock, and touch only what was
    // moved in. `io::Error::last_os_error` does not allocate.
    unsafe { command.pre_exec(prepare) };
    Ok(command)
}

/// Closes everything on exec except standard streams and `inherit`.
fn confine_descriptors(inherit: &[OwnedFd]) -> std::io::Result<()> {
    // SAFETY: plain system call without pointers. CLOEXEC instead of closing,
    // since the standard library's own pipe for reporting a failed exec must
    // live until then.
    check(unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, CLOSE_ON_EXEC) })?;
    for fd in inherit {
        let fd: BorrowedFd<'_> = fd.as_fd();
        // SAFETY: plain system call on an open descriptor.
        check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0) }.into())?;
    }
    Ok(())
}

const CLOSE_ON_EXEC: libc::c_uint = libc::CLOSE_RANGE_CLOEXEC;

/// A core file would hold the guest's memory.
fn limit_core() -> std::io::Result<()> {
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `none` outlives the call.
    check(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) }.into())
}

/// Groups, then group, then user: in any other order there is nothing left to do it with.
fn drop_privileges(group: Option<u32>) -> std::io::Result<()> {
    let groups = group.unwrap_or(NOBODY);
    // SAFETY: one element, which outlives the call. Raw system calls, since
    // the C library's would signal threads that the child does not have.
    unsafe {
        check(libc::syscall(libc::SYS_setgroups, 1, &raw const groups))?;
        check(libc::syscall(libc::SYS_setresgid, NOBODY, NOBODY, NOBODY))?;
        check(libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY))
    }
}

/// Die with the parent; and if it has died already, right now.
fn tie_to_parent(parent: libc::pid_t) -> std::io::Result<()> {
    // SAFETY: plain system calls without pointers.
    unsafe {
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).into())?;
        check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL).into())?;
        if libc::getppid() != parent {
            return Err(std::io::Error::from_raw_os_error(libc::ESRCH));
        }
    }
    Ok(())
}

fn check(result: libc::c_long) -> std::io::Result<()> {
    if result < 0 {
        Err(std::io::Error::last_os_error())
    } else {
        Ok(())
    }
}
