//! The payload's static system call filter.
//!
//! Owns: which calls are answered before the kernel looks at them, and which are
//! held, as tables, and their assembly into the kernel's filter program.
//! Must not: judge anything by what a pointer points to (it could change).

use belljar_event::Op;
use libc::sock_filter;

/// What the payload is told instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// "Not in this kernel": programs fall back to older calls.
    NoSuchCall,
    /// "You may not", as for any ordinary user.
    NotPermitted,
}

use Answer::{NoSuchCall, NotPermitted};

/// Calls that are answered whatever their arguments.
pub(crate) const REFUSED: &[(libc::c_long, Answer)] = &[
    // A ring runs file and network calls that neither tracer nor filter sees.
    (libc::SYS_io_uring_setup, NoSuchCall),
    (libc::SYS_io_uring_enter, NoSuchCall),
    (libc::SYS_io_uring_register, NoSuchCall),
    // Its flags lie in memory, so namespaces could not be told from threads;
    // libc falls back to clone.
    (libc::SYS_clone3, NoSuchCall),
    // Namespaces and mounts: another view of the file system than the rules'.
    (libc::SYS_unshare, NotPermitted),
    (libc::SYS_setns, NotPermitted),
    (libc::SYS_mount, NotPermitted),
    (libc::SYS_umount2, NotPermitted),
    (libc::SYS_pivot_root, NotPermitted),
    (libc::SYS_chroot, NotPermitted),
    (libc::SYS_open_tree, NotPermitted),
    (libc::SYS_move_mount, NotPermitted),
    (libc::SYS_fsopen, NotPermitted),
    (libc::SYS_fsconfig, NotPermitted),
    (libc::SYS_fsmount, NotPermitted),
    (libc::SYS_fspick, NotPermitted),
    (libc::SYS_mount_setattr, NotPermitted),
    (libc::SYS_open_by_handle_at, NotPermitted),
    // Reaching into other processes.
    (libc::SYS_ptrace, NotPermitted),
    (libc::SYS_process_vm_readv, NotPermitted),
    (libc::SYS_process_vm_writev, NotPermitted),
    (libc::SYS_process_madvise, NotPermitted),
    (libc::SYS_pidfd_getfd, NotPermitted),
    (libc::SYS_kcmp, NotPermitted),
    // Kernel surface that installs have no business with.
    (libc::SYS_bpf, NotPermitted),
    (libc::SYS_userfaultfd, NotPermitted),
    (libc::SYS_perf_event_open, NotPermitted),
    (libc::SYS_fanotify_init, NotPermitted),
    (libc::SYS_keyctl, NotPermitted),
    (libc::SYS_add_key, NotPermitted),
    (libc::SYS_request_key, NotPermitted),
    (libc::SYS_init_module, NotPermitted),
    (libc::SYS_finit_module, NotPermitted),
    (libc::SYS_delete_module, NotPermitted),
    (libc::SYS_kexec_load, NotPermitted),
    (libc::SYS_kexec_file_load, NotPermitted),
    (libc::SYS_swapon, NotPermitted),
    (libc::SYS_swapoff, NotPermitted),
    (libc::SYS_reboot, NotPermitted),
    (libc::SYS_acct, NotPermitted),
    (libc::SYS_quotactl, NotPermitted),
    (libc::SYS_lookup_dcookie, NotPermitted),
    (libc::SYS_iopl, NotPermitted),
    (libc::SYS_ioperm, NotPermitted),
    (libc::SYS_vhangup, NotPermitted),
];

/// Flags of clone that make a namespace (CLONE_NEWTIME is no flag of clone).
const NAMESPACES: u32 = 0x7e02_0000;

/// Socket families that may be made, each with the protocols allowed in it;
/// an empty list allows all. Raw, packet, vsock, alg, xdp, mptcp, sctp … are
/// ways around the connect hooks.
const SOCKETS: &[(u32, &[u32])] = &[
    (libc::AF_UNIX as u32, &[]),
    (
        libc::AF_INET as u32,
        &[0, libc::IPPROTO_TCP as u32, libc::IPPROTO_UDP as u32],
    ),
    (
        libc::AF_INET6 as u32,
        &[0, libc::IPPROTO_TCP as u32, libc::IPPROTO_UDP as u32],
    ),
    (libc::AF_NETLINK as u32, &[libc::NETLINK_ROUTE as u32]),
];

/// Calls that do something which can be held: always, or if one of these bits
/// is set in this argument.
const HELD: &[(libc::c_long, Op, Bits)] = &[
    (libc::SYS_execve, Op::Exec, None),
    (libc::SYS_execveat, Op::Exec, None),
    (libc::SYS_connect, Op::Connect, None),
    (libc::SYS_open, Op::Write, Some((1, WRITING))),
    (libc::SYS_openat, Op::Write, Some((2, WRITING))),
    // Its flags lie in memory.
    (libc::SYS_openat2, Op::Write, None),
    (libc::SYS_creat, Op::Write, None),
    (libc::SYS_truncate, Op::Write, None),
    (libc::SYS_mkdir, Op::Write, None),
    (libc::SYS_mkdirat, Op::Write, None),
    (libc::SYS_mknod, Op::Write, None),
    (libc::SYS_mknodat, Op::Write, None),
    (libc::SYS_symlink, Op::Write, None),
    (libc::SYS_symlinkat, Op::Write, None),
    (libc::SYS_open, Op::Read, None),
    (libc::SYS_openat, Op::Read, None),
    (libc::SYS_openat2, Op::Read, None),
    (libc::SYS_unlink, Op::Unlink, None),
    (libc::SYS_unlinkat, Op::Unlink, None),
    (libc::SYS_rmdir, Op::Unlink, None),
    (libc::SYS_rename, Op::Rename, None),
    (libc::SYS_renameat, Op::Rename, None),
    (libc::SYS_renameat2, Op::Rename, None),
    (libc::SYS_link, Op::Link, None),
    (libc::SYS_linkat, Op::Link, None),
    (libc::SYS_chmod, Op::Chmod, None),
    (libc::SYS_fchmodat, Op::Chmod, None),
    (libc::SYS_chown, Op::Chmod, None),
    (libc::SYS_lchown, Op::Chmod, None),
    (libc::SYS_fchownat, Op::Chmod, None),
];

/// An argument's index, and the bits in it.
type Bits = Option<(u32, u32)>;

/// Flags of an open that changes something.
const WRITING: u32 = (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC) as u32;

const ARCH_X86_64: u32 = 0xc000_003e;
/// Bit that marks the x32 calls, which share the architecture.
const X32: u32 = 0x4000_0000;

const NR: u32 = 0;
const ARCH: u32 = 4;
/// Low half of an argument; the kernel looks at no more of these arguments.
const fn arg(index: u32) -> u32 {
    16 + 8 * index
}

const KILL_PROCESS: u32 = 0x8000_0000;
const ERRNO: u32 = 0x0005_0000;
const ALLOW: u32 = 0x7fff_0000;
const USER_NOTIF: u32 = 0x7fc0_0000;

const fn refuse(errno: i32) -> sock_filter {
    give(ERRNO | errno.cast_unsigned())
}

const fn give(value: u32) -> sock_filter {
    sock_filter {
        code: 0x06,
        jt: 0,
        jf: 0,
        k: value,
    }
}

const fn load(offset: u32) -> sock_filter {
    sock_filter {
        code: 0x20,
        jt: 0,
        jf: 0,
        k: offset,
    }
}

/// Skips `other` instructions unless the value equals `k`.
const fn unless_equal(k: u32, other: u8) -> sock_filter {
    sock_filter {
        code: 0x15,
        jt: 0,
        jf: other,
        k,
    }
}

const fn unless_at_least(k: u32, other: u8) -> sock_filter {
    sock_filter {
        code: 0x35,
        jt: 0,
        jf: other,
        k,
    }
}

const fn unless_any_bit(k: u32, other: u8) -> sock_filter {
    sock_filter {
        code: 0x45,
        jt: 0,
        jf: other,
        k,
    }
}

/// A short forward distance, which a filter's jumps are limited to.
fn over(instructions: &[sock_filter]) -> u8 {
    u8::try_from(instructions.len()).unwrap_or(u8::MAX)
}

/// The filter program; `held` has the bits of the ops that are held.
pub(crate) fn program(held: u16) -> Vec<sock_filter> {
    let mut code = vec![
        load(ARCH),
        sock_filter {
            code: 0x15,
            jt: 1,
            jf: 0,
            k: ARCH_X86_64,
        },
        give(KILL_PROCESS),
        load(NR),
        unless_at_least(X32, 1),
        refuse(libc::ENOSYS),
    ];
    for (call, answer) in REFUSED {
        let errno = match answer {
            NoSuchCall => libc::ENOSYS,
            NotPermitted => libc::EPERM,
        };
        code.push(unless_equal(number(*call), 1));
        code.push(refuse(errno));
    }
    let clone = [
        load(arg(0)),
        unless_any_bit(NAMESPACES, 1),
        refuse(libc::EPERM),
        give(ALLOW),
    ];
    code.push(unless_equal(number(libc::SYS_clone), over(&clone)));
    code.extend(clone);
    let sockets = sockets();
    code.push(unless_equal(number(libc::SYS_socket), over(&sockets)));
    code.extend(sockets);
    for (call, _, bits) in HELD.iter().filter(|(_, op, _)| held & op.bit() != 0) {
        let tell = match bits {
            None => vec![give(USER_NOTIF)],
            Some((index, bits)) => vec![
                load(arg(*index)),
                unless_any_bit(*bits, 1),
                give(USER_NOTIF),
                load(NR),
            ],
        };
        code.push(unless_equal(number(*call), over(&tell)));
        code.extend(tell);
    }
    code.push(give(ALLOW));
    code
}

fn sockets() -> Vec<sock_filter> {
    let mut code = vec![load(arg(0))];
    for (family, protocols) in SOCKETS {
        let mut inner = Vec::new();
        if protocols.is_empty() {
            inner.push(give(ALLOW));
        } else {
            inner.push(load(arg(2)));
            for protocol in *protocols {
                inner.push(unless_equal(*protocol, 1));
                inner.push(give(ALLOW));
            }
            inner.push(refuse(libc::EPROTONOSUPPORT));
        }
        code.push(unless_equal(*family, over(&inner)));
        code.extend(inner);
    }
    code.push(refuse(libc::EAFNOSUPPORT));
    code
}

fn number(call: libc::c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
