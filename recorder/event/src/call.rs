//! The system calls that are observed, in one table.
//!
//! Owns: number, name, argument roles and class of each call. The agent fills
//! its kernel table from it, the rules take `evt.type` from it.
//! Source of the numbers: Linux `arch/x86/entry/syscalls/syscall_64.tbl`; 511
//! is no call there and stands for all of the x32 table, which the filter refuses.

use bincode::{Decode, Encode};

/// A system call by its x86-64 number, which is what the trace stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct Call(pub u16);

impl Call {
    /// The call's row, if it is one that we observe.
    #[must_use]
    pub fn info(self) -> Option<&'static CallInfo> {
        CALLS.get(self.place()?)
    }

    /// Where the call stands in [`CALLS`].
    #[must_use]
    pub fn place(self) -> Option<usize> {
        let at = *PLACES.get(usize::from(self.0))?;
        at.checked_sub(1).map(usize::from)
    }

    /// The call's name as strace and Falco write it; `syscall` if unknown.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.info().map_or("syscall", |row| row.name)
    }
}

/// What kind of event a call becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `execve` and its kin.
    Exec,
    /// Opens a file by path.
    Open,
    /// Changes a name or its attributes.
    Change,
    /// Looks at a path without opening it.
    Look,
    /// Makes a socket.
    Socket,
    /// Connects one.
    Connect,
    /// Binds one.
    Bind,
    /// Listens on one.
    Listen,
    /// Takes a connection.
    Accept,
    /// Sends to an address.
    Send,
    /// Copies a descriptor (kept only where a socket becomes a standard stream).
    Dup,
    /// A call that installs have no business making, recorded with raw arguments.
    Guard,
    /// An ordinary call that is recorded only where the payload's filter refused
    /// it: clone, when it asks for a namespace.
    GuardRefused,
    /// Sends to an address that a message header points to.
    Message,
    /// Sends a signal to another process.
    Signal,
    /// Changes user, group or capabilities.
    Identity,
}

/// The role of an argument that needs more than its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    /// No such argument.
    None,
    /// The argument with this index (0-based) points to a path.
    At(u8),
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct CallInfo {
    /// x86-64 number.
    pub number: u16,
    /// Name.
    pub name: &'static str,
    /// What it becomes.
    pub class: Class,
    /// First path.
    pub path: Arg,
    /// Directory descriptor that the first path is relative to.
    pub dir: Arg,
    /// Second path (rename's target, symlink's new name).
    pub other: Arg,
    /// Directory descriptor of the second path.
    pub other_dir: Arg,
    /// Socket address.
    pub addr: Arg,
}

const fn row(number: u16, name: &'static str, class: Class, roles: [i8; 5]) -> CallInfo {
    const fn arg(role: i8) -> Arg {
        if role < 0 {
            Arg::None
        } else {
            Arg::At(role as u8)
        }
    }
    let [path, dir, other, other_dir, addr] = roles;
    CallInfo {
        number,
        name,
        class,
        path: arg(path),
        dir: arg(dir),
        other: arg(other),
        other_dir: arg(other_dir),
        addr: arg(addr),
    }
}

const NO: [i8; 5] = [-1; 5];
const P0: [i8; 5] = [0, -1, -1, -1, -1];
const P1AT: [i8; 5] = [1, 0, -1, -1, -1];
const P01: [i8; 5] = [0, -1, 1, -1, -1];
const P13AT: [i8; 5] = [1, 0, 3, 2, -1];
const A1: [i8; 5] = [-1, -1, -1, -1, 1];

/// Every observed call, by number.
pub const CALLS: &[CallInfo] = &[
    row(2, "open", Class::Open, P0),
    row(33, "dup2", Class::Dup, NO),
    row(41, "socket", Class::Socket, NO),
    row(42, "connect", Class::Connect, A1),
    row(43, "accept", Class::Accept, NO),
    row(44, "sendto", Class::Send, [-1, -1, -1, -1, 4]),
    row(46, "sendmsg", Class::Message, NO),
    row(49, "bind", Class::Bind, A1),
    row(50, "listen", Class::Listen, NO),
    row(56, "clone", Class::GuardRefused, NO),
    row(59, "execve", Class::Exec, P0),
    row(62, "kill", Class::Signal, NO),
    row(76, "truncate", Class::Change, P0),
    row(82, "rename", Class::Change, P01),
    row(83, "mkdir", Class::Change, P0),
    row(84, "rmdir", Class::Change, P0),
    row(85, "creat", Class::Open, P0),
    row(86, "link", Class::Change, P01),
    row(87, "unlink", Class::Change, P0),
    row(88, "symlink", Class::Change, P01),
    row(89, "readlink", Class::Look, P0),
    row(90, "chmod", Class::Change, P0),
    row(92, "chown", Class::Change, P0),
    row(94, "lchown", Class::Change, P0),
    row(101, "ptrace", Class::Guard, NO),
    row(105, "setuid", Class::Identity, NO),
    row(106, "setgid", Class::Identity, NO),
    row(113, "setreuid", Class::Identity, NO),
    row(114, "setregid", Class::Identity, NO),
    row(116, "setgroups", Class::Identity, NO),
    row(117, "setresuid", Class::Identity, NO),
    row(119, "setresgid", Class::Identity, NO),
    row(122, "setfsuid", Class::Identity, NO),
    row(123, "setfsgid", Class::Identity, NO),
    row(126, "capset", Class::Identity, NO),
    row(129, "rt_sigqueueinfo", Class::Signal, NO),
    row(133, "mknod", Class::Change, P0),
    row(153, "vhangup", Class::Guard, NO),
    row(155, "pivot_root", Class::Guard, P01),
    row(161, "chroot", Class::Guard, P0),
    row(163, "acct", Class::Guard, P0),
    row(165, "mount", Class::Guard, P01),
    row(166, "umount2", Class::Guard, P0),
    row(167, "swapon", Class::Guard, P0),
    row(168, "swapoff", Class::Guard, P0),
    row(169, "reboot", Class::Guard, NO),
    row(172, "iopl", Class::Guard, NO),
    row(173, "ioperm", Class::Guard, NO),
    row(175, "init_module", Class::Guard, NO),
    row(176, "delete_module", Class::Guard, P0),
    row(179, "quotactl", Class::Guard, NO),
    row(200, "tkill", Class::Signal, NO),
    row(212, "lookup_dcookie", Class::Guard, NO),
    row(234, "tgkill", Class::Signal, NO),
    row(246, "kexec_load", Class::Guard, NO),
    row(248, "add_key", Class::Guard, NO),
    row(249, "request_key", Class::Guard, NO),
    row(250, "keyctl", Class::Guard, NO),
    row(257, "openat", Class::Open, P1AT),
    row(258, "mkdirat", Class::Change, P1AT),
    row(259, "mknodat", Class::Change, P1AT),
    row(260, "fchownat", Class::Change, P1AT),
    row(263, "unlinkat", Class::Change, P1AT),
    row(264, "renameat", Class::Change, P13AT),
    row(265, "linkat", Class::Change, P13AT),
    row(266, "symlinkat", Class::Change, [0, -1, 2, 1, -1]),
    row(267, "readlinkat", Class::Look, P1AT),
    row(268, "fchmodat", Class::Change, P1AT),
    row(272, "unshare", Class::Guard, NO),
    row(288, "accept4", Class::Accept, NO),
    row(292, "dup3", Class::Dup, NO),
    row(297, "rt_tgsigqueueinfo", Class::Signal, NO),
    row(298, "perf_event_open", Class::Guard, NO),
    row(300, "fanotify_init", Class::Guard, NO),
    row(304, "open_by_handle_at", Class::Guard, NO),
    row(307, "sendmmsg", Class::Message, NO),
    row(308, "setns", Class::Guard, NO),
    row(310, "process_vm_readv", Class::Guard, NO),
    row(311, "process_vm_writev", Class::Guard, NO),
    row(312, "kcmp", Class::Guard, NO),
    row(313, "finit_module", Class::Guard, NO),
    row(316, "renameat2", Class::Change, P13AT),
    row(319, "memfd_create", Class::Guard, P0),
    row(320, "kexec_file_load", Class::Guard, NO),
    row(321, "bpf", Class::Guard, NO),
    row(322, "execveat", Class::Exec, P1AT),
    row(323, "userfaultfd", Class::Guard, NO),
    row(424, "pidfd_send_signal", Class::Signal, NO),
    row(425, "io_uring_setup", Class::Guard, NO),
    row(426, "io_uring_enter", Class::Guard, NO),
    row(427, "io_uring_register", Class::Guard, NO),
    row(428, "open_tree", Class::Guard, NO),
    row(429, "move_mount", Class::Guard, NO),
    row(430, "fsopen", Class::Guard, NO),
    row(431, "fsconfig", Class::Guard, NO),
    row(432, "fsmount", Class::Guard, NO),
    row(433, "fspick", Class::Guard, NO),
    row(437, "openat2", Class::Open, P1AT),
    row(438, "pidfd_getfd", Class::Guard, NO),
    row(440, "process_madvise", Class::Guard, NO),
    row(442, "mount_setattr", Class::Guard, NO),
    row(511, "x32_syscall", Class::Guard, NO),
];

/// One more than where each number stands in [`CALLS`], 0 for those that do not:
/// every event asks.
static PLACES: [u8; 512] = places();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn places() -> [u8; 512] {
    let mut places = [0; 512];
    let mut at = 0;
    while at < CALLS.len() {
        places[CALLS[at].number as usize] = at as u8 + 1;
        at += 1;
    }
    places
}

/// A call that moves bytes between files. It is no event of its own: what it
/// moved is summed up for each open file and told when that is closed.
#[derive(Clone, Copy, Debug)]
pub struct Mover {
    /// x86-64 number.
    pub number: u16,
    /// Argument (0-based) with the descriptor that is read.
    pub read: Option<u8>,
    /// Argument with the descriptor that is written.
    pub written: Option<u8>,
}

const fn mover(number: u16, read: Option<u8>, written: Option<u8>) -> Mover {
    Mover {
        number,
        read,
        written,
    }
}

/// Every call that moves bytes, by number.
pub const MOVERS: &[Mover] = &[
    mover(0, Some(0), None),      // read
    mover(1, None, Some(0)),      // write
    mover(17, Some(0), None),     // pread64
    mover(18, None, Some(0)),     // pwrite64
    mover(19, Some(0), None),     // readv
    mover(20, None, Some(0)),     // writev
    mover(40, Some(1), Some(0)),  // sendfile
    mover(275, Some(0), Some(2)), // splice
    mover(295, Some(0), None),    // preadv
    mover(296, None, Some(0)),    // pwritev
    mover(326, Some(0), Some(2)), // copy_file_range
    mover(327, Some(0), None),    // preadv2
    mover(328, None, Some(0)),    // pwritev2
];
