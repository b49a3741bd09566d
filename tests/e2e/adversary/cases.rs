//! What each trick is answered, and what the trace says of it: the table that
//! SECURITY.md tells of in words.

/// Tricks with the same answer.
pub struct Case {
    /// Parts of the payload, each of which has all the names.
    parts: &'static [&'static str],
    names: &'static [&'static str],
    /// Any of these is right.
    pub answers: &'static [&'static str],
    pub told: Told,
}

/// How the trace tells of it.
#[derive(Clone, Copy, Debug)]
pub enum Told {
    /// An event failed with that errno.
    Errno,
    /// A line refused it, and the event says which.
    Line(&'static str),
    /// An event of this type.
    Event(&'static str),
    /// Nothing, for this reason.
    Nothing(&'static str),
}

impl Case {
    pub fn names(&self) -> impl Iterator<Item = String> {
        let part = |part: &&'static str| {
            let part = *part;
            self.names.iter().map(move |name| format!("{part}:{name}"))
        };
        let names: Vec<_> = self.parts.iter().flat_map(part).collect();
        names.into_iter()
    }
}

const BOTH: &[&str] = &["root", "tmp"];
const ROOT: &[&str] = &["root"];
const TMP: &[&str] = &["tmp"];
const CALL: &[&str] = &["call"];
const AGENT: &[&str] = &["agent"];
const NET: &[&str] = &["net"];
const SIGNAL: &[&str] = &["signal"];

const fn case(
    parts: &'static [&'static str],
    answers: &'static [&'static str],
    told: Told,
    names: &'static [&'static str],
) -> Case {
    Case {
        parts,
        names,
        answers,
        told,
    }
}

const NOT_SEEN: Told = Told::Nothing("an ordinary call that is not observed");
const ORDINARY: Told = Told::Nothing("it is allowed, and leads nowhere");
use Told::{Errno, Event, Line, Nothing};

#[rustfmt::skip]
pub const CASES: &[Case] = &[
    // Around the filter.
    case(CALL, &["ENOSYS"], Errno, &["io_uring_setup", "io_uring_setup-polled", "io_uring_enter", "io_uring_register"]),
    case(CALL, &["ENOSYS"], Event("x32_syscall"), &["x32-open", "x32-execve", "x32-ioctl"]),
    case(CALL, &["ENOSYS"], Nothing("there is no such call"), &["number-out-of-range"]),
    case(CALL, &["SIGSYS"], Event("exit"), &["int80", "int80-open"]),
    case(CALL, &["EPERM"], Errno, &[
        "clone-user", "clone-mount", "clone-net", "clone-pid", "clone-cgroup",
        "unshare-user", "unshare-all", "unshare-files", "setns",
        "mount", "mount-over-proc", "umount", "pivot_root", "chroot",
        "fsopen", "fsmount", "open_tree", "move_mount", "mount_setattr",
        "ptrace-attach", "ptrace-seize", "ptrace-traceme", "vm-read", "vm-write",
        "pidfd_getfd", "kcmp", "process_madvise",
        "bpf-load", "bpf-map", "perf_event_open", "userfaultfd", "fanotify",
        "keyctl", "add_key", "request_key", "init_module", "finit_module", "delete_module",
        "kexec_load", "kexec_file_load", "reboot", "swapon", "acct",
        "iopl", "ioperm", "vhangup", "open_by_handle_at", "setuid", "setgroups",
    ]),
    case(CALL, &["OK"], Event("fork"), &["clone-plain"]),
    // A filter of its own only narrows; there is one listener, which is the agent's.
    case(CALL, &["OK"], NOT_SEEN, &["own-filter"]),
    case(CALL, &["EBUSY"], NOT_SEEN, &["own-listener"]),
    case(CALL, &["EINVAL"], NOT_SEEN, &["privileges-back"]),

    // Against the agent.
    case(AGENT, &["EPERM"], Errno, &["stop", "kill", "term", "tgkill", "queue", "pidfd", "make-disk", "make-channel"]),
    case(AGENT, &["OK"], Event("kill"), &["continue-all"]),
    case(AGENT, &["EPERM"], NOT_SEEN, &["priority", "realtime", "affinity", "limits", "ioprio"]),
    case(AGENT, &["EACCES"], NOT_SEEN, &["own-priority"]),
    case(AGENT, &["EACCES"], Errno, &[
        "mem", "environ", "maps", "root", "cwd", "exe", "fd", "oom", "sysrq", "sysctl", "core-pattern", "kcore",
        "bpf-folder", "cgroups", "security", "sysfs", "preload", "init", "dns-port",
    ]),
    // Lowering its own score fails at the write.
    case(AGENT, &["EACCES"], Event("openat"), &["own-oom"]),
    case(AGENT, &["ENOENT"], Errno, &["dev-mem", "disk", "channel", "channel-2", "serial", "tracing"]),
    case(AGENT, &["EADDRINUSE"], Errno, &[
        "relay-port", "relay-port-any", "relay-port-6", "stub-port", "stub-port-any", "stub-port-6", "stub-port-stream",
    ]),

    // Out of the machine.
    case(NET, &["ECONNREFUSED"], Errno, &[
        "tcp", "tcp-53-other-port", "tcp6", "tcp6-mapped", "tcp-metadata", "tcp-private", "tcp-broadcast",
        "tcp-fast", "tcp-fast-message", "tcp6-fast", "tcp-fast-connect",
        "udp", "udp-sendmsg", "udp-sendmmsg", "udp6", "udp6-v4-address", "udp6-mapped", "udp-broadcast",
        "udp-multicast", "udp-connected", "udp-sent-elsewhere", "udp-dissolved", "unix-abstract-nobody",
    ]),
    case(NET, &["EPIPE"], Event("connect"), &["tcp-after-refusal"]),
    // The relay takes it, and the host refuses what no lookup led to.
    case(NET, &["OK"], Event("connect"), &["tcp-stand-in"]),
    case(NET, &["ECONNRESET"], Event("connect"), &["relay"]),
    // The stub answers in the place of every server.
    case(NET, &["OK"], Event("sendto"), &["dns-smuggled"]),
    case(NET, &["OK"], Event("connect"), &["dns-by-stream"]),
    case(NET, &["EACCES"], Errno, &["raw-udp"]),
    case(NET, &["EACCES"], NOT_SEEN, &["tipc-pair"]),
    case(NET, &["EPROTONOSUPPORT"], Errno, &[
        "raw", "ping", "mptcp", "sctp", "udplite", "dccp",
        "netlink-audit", "netlink-uevent", "netlink-generic", "netlink-diag",
    ]),
    case(NET, &["EAFNOSUPPORT"], Errno, &["packet", "packet-datagram", "vsock", "alg", "xdp", "tipc", "bluetooth", "can"]),
    case(NET, &["OK"], ORDINARY, &["netlink-route", "unix"]),
    case(NET, &["OK"], Event("connect"), &["unix-abstract"]),

    // A file that may not be read.
    case(BOTH, &["EACCES"], Line("no-read"), &[
        "read", "read-dots", "read-slashes", "read-relative", "read-both-ways", "read-emptying", "read-creating",
        "read-by-folder", "read-by-openat2", "read-by-link", "read-by-folder-link", "read-by-descriptor",
        "read-by-root", "read-by-other-root", "read-by-other-cwd", "read-passed",
        "read-hard-link", "read-hard-link-by-fd", "read-moved", "read-folder-moved",
        "read-exchanged", "read-exchanged-back", "read-replaced", "read-executed",
    ]),
    case(BOTH, &["OK"], Event("openat"), &["read-name-only"]),
    // A descriptor for the name alone gives no bytes.
    case(BOTH, &["EBADF"], Event("openat"), &["read-sendfile", "read-copy-range", "read-splice"]),
    case(BOTH, &["EPERM"], Errno, &["read-handle", "read-bound"]),
    case(BOTH, &["OK"], NOT_SEEN, &["read-stat"]),

    // A file that may not be written.
    case(BOTH, &["EACCES"], Line("no-write"), &[
        "write-new", "write-folder", "write-pipe", "write-link", "write-socket", "write-hard-link", "write-moved-in",
    ]),
    case(BOTH, &["ENOENT"], NOT_SEEN, &["write-left-nothing"]),
    case(TMP, &["EACCES"], Line("no-write"), &["write-tmpfile"]),
    case(ROOT, &["EOPNOTSUPP"], Event("openat"), &["write-tmpfile"]),
    case(ROOT, &["EACCES"], Line("no-write"), &[
        "write", "write-append", "write-both-ways", "write-truncate", "write-emptying", "write-unlink", "write-moved",
        "write-replaced", "write-linked", "write-chmod", "write-fchmod", "write-chown", "write-fchown",
        "write-attribute", "write-access-list",
    ]),
    case(ROOT, &["EACCES"], Event("openat"), &["write-mapped"]),
    case(ROOT, &["OK"], NOT_SEEN, &["write-kept", "ask-kept"]),
    case(BOTH, &["EACCES"], Line("no-chmod"), &[
        "chmod", "chmod-setuid", "chmod-by-fd", "chmod-at", "chmod-access-list", "chmod-access-list-gone",
    ]),

    // What is asked about, where nobody answers.
    case(ROOT, &["EACCES"], Line("ask-write"), &[
        "ask-write", "ask-emptying", "ask-truncate", "ask-replaced", "ask-exchanged", "ask-linked-out",
    ]),
    case(BOTH, &["EACCES"], Line("ask-write"), &["ask-new", "ask-moved-in", "ask-linked-in", "ask-link-in", "ask-socket"]),
    case(BOTH, &["EACCES"], Line("ask-read"), &["ask-read", "ask-read-both-ways", "ask-read-emptying"]),

    // A link where a folder above a line would be.
    case(BOTH, &["EACCES"], Line("built-in:folder-above-a-line"), &[
        "roof-link", "roof-link-moved", "roof-link-linked", "roof-inner-link", "roof-moved", "roof-inner-moved",
    ]),
    case(BOTH, &["OK"], Event("mkdir"), &["roof-made", "roof-inner-made"]),
    case(BOTH, &["EACCES"], Line("below-nothing"), &["roof-file"]),

    // A program that may not run.
    case(BOTH, &["EACCES"], Line("no-exec"), &[
        "exec", "exec-by-folder", "exec-by-name-only", "exec-by-open-file", "exec-by-link", "exec-by-magic",
        "exec-by-link-to-magic", "exec-memory-script", "exec-script", "exec-script-of-script",
        "exec-vfork", "exec-spawn", "exec-thread", "exec-leased", "exec-linked-out", "exec-moved-out",
    ]),
    case(BOTH, &["ENOSYS"], Nothing("every thread of an ordinary program tries it first"), &["exec-clone3"]),
    case(BOTH, &["OK"], Event("execveat"), &["exec-memory"]),
    // Reading a program is no execution of it: SECURITY.md says so.
    case(BOTH, &["OK"], Event("execve"), &["exec-by-loader", "exec-free"]),
    case(BOTH, &["ENOENT"], Errno, &["exec-missing"]),
    case(BOTH, &["EACCES"], Line("asked"), &[
        "exec-asked", "exec-asked-vfork", "exec-asked-spawn", "exec-asked-thread",
        "exec-asked-link-to-magic", "exec-asked-name-only",
    ]),

    // Held calls among signals.
    case(SIGNAL, &["EACCES", "EACCES+EINTR"], Line("asked"), &["handler"]),
    case(SIGNAL, &["EACCES"], Line("asked"), &[
        "restarting-handler", "continue-spam", "stop-and-continue", "afterwards",
    ]),
    case(SIGNAL, &["OK"], Event("hold"), &["killed-while-held", "bomb"]),
];
