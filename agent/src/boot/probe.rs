//! What a payload must not manage, tried by a child that is one in all but its
//! program: same user, cgroup, filter. The kernel's answers are the proof.
//!
//! Owns: the attempts. As in `spawn`, nothing here allocates or locks.
//! Must not: judge the answers (see `selftest`).
#![expect(unsafe_code, reason = "raw calls of a child between fork and exit")]

use std::mem::size_of;

/// A probe's result: a value, or a negative errno.
pub(crate) type Answer = i32;

/// How many there are.
pub(crate) const COUNT: usize = 14;

/// Each attempt, in order.
pub(crate) const PROBES: [fn() -> Answer; COUNT] = [
    read_file,
    connect_out,
    send_out,
    ask_name,
    ring,
    namespace,
    trace,
    raw_socket,
    agent,
    cgroups,
    open_denied,
    make_denied,
    rename_denied,
    link_denied,
];

/// A file that is there, which a line of the self-test's denies.
pub(crate) const DENIED_FILE: &str = "/dev/shm/.belljar-denied";
/// One that is not.
pub(crate) const DENIED_NEW: &str = "/dev/shm/.belljar-denied-new";

/// A file that every root has; the observer must see it opened.
pub(crate) const SEEN_FILE: &str = "/etc/hostname";
/// Nobody's address (RFC 5737), where no policy leads to.
pub(crate) const NOWHERE: ([u8; 4], u16) = ([198, 51, 100, 1], 443);
/// A resolver that does not exist; the stub answers in its place.
const RESOLVER: ([u8; 4], u16) = ([198, 51, 100, 53], 53);

/// Ends the child if a probe hangs.
const PATIENCE_SECONDS: libc::c_uint = 10;

/// Runs them all.
pub(super) fn run(answers: &mut [Answer; COUNT]) {
    // SAFETY: a plain number; the default action of the signal ends the child.
    unsafe { libc::alarm(PATIENCE_SECONDS) };
    for (answer, probe) in answers.iter_mut().zip(PROBES) {
        *answer = probe();
    }
}

fn answer(result: libc::c_long) -> Answer {
    if result >= 0 {
        return Answer::try_from(result).unwrap_or(Answer::MAX);
    }
    // SAFETY: glibc's errno location is valid for the thread's life.
    -unsafe { *libc::__errno_location() }
}

fn read_file() -> Answer {
    // SAFETY: a terminated string.
    answer(unsafe {
        libc::open(c"/etc/hostname".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC).into()
    })
}

fn address((ip, port): ([u8; 4], u16)) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes(ip),
        },
        sin_zero: [0; 8],
    }
}

const ADDRESS_LEN: libc::socklen_t = size_of::<libc::sockaddr_in>() as libc::socklen_t;

fn socket(kind: libc::c_int) -> libc::c_int {
    // SAFETY: plain numbers.
    unsafe { libc::socket(libc::AF_INET, kind | libc::SOCK_CLOEXEC, 0) }
}

fn connect_out() -> Answer {
    let to = address(NOWHERE);
    let fd = socket(libc::SOCK_STREAM);
    // SAFETY: a live address of the stated length.
    answer(unsafe { libc::connect(fd, (&raw const to).cast(), ADDRESS_LEN).into() })
}

fn send_out() -> Answer {
    let to = address(NOWHERE);
    let fd = socket(libc::SOCK_DGRAM);
    // SAFETY: a live byte, and a live address of the stated length.
    answer(unsafe {
        libc::sendto(
            fd,
            c"x".as_ptr().cast(),
            1,
            0,
            (&raw const to).cast(),
            ADDRESS_LEN,
        ) as libc::c_long
    })
}

/// Asks for what no resolver knows: the stub answers by itself "not
/// implemented". 0 if it did, and the answer seems to come from the resolver.
fn ask_name() -> Answer {
    let to = address(RESOLVER);
    let fd = socket(libc::SOCK_DGRAM);
    // An opcode that is no query.
    let asked: [u8; 12] = [7, 9, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut got = [0_u8; 64];
    let mut from = address(([0; 4], 0));
    let mut from_len = ADDRESS_LEN;
    let patience = libc::timeval {
        tv_sec: 5,
        tv_usec: 0,
    };
    // SAFETY: every pointer is to a live variable of the stated length.
    let count = unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_RCVTIMEO,
            (&raw const patience).cast(),
            size_of::<libc::timeval>() as libc::socklen_t,
        );
        let sent = libc::sendto(
            fd,
            asked.as_ptr().cast(),
            asked.len(),
            0,
            (&raw const to).cast(),
            ADDRESS_LEN,
        );
        if sent < 0 {
            return answer(sent as libc::c_long);
        }
        libc::recvfrom(
            fd,
            got.as_mut_ptr().cast(),
            got.len(),
            0,
            (&raw mut from).cast(),
            &raw mut from_len,
        )
    };
    if count < 0 {
        return answer(count as libc::c_long);
    }
    let [id_high, id_low, _, code, ..] = got;
    let same = from.sin_addr.s_addr == to.sin_addr.s_addr && from.sin_port == to.sin_port;
    Answer::from(!(same && count == 12 && [id_high, id_low, code & 15] == [7, 9, 4]))
}

fn ring() -> Answer {
    let mut parameters = [0_u8; 256];
    // SAFETY: a live buffer, larger than the kernel's structure.
    answer(unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, parameters.as_mut_ptr()) })
}

fn namespace() -> Answer {
    // SAFETY: plain numbers.
    answer(unsafe { libc::unshare(libc::CLONE_NEWUSER).into() })
}

fn trace() -> Answer {
    // SAFETY: attaching reads and writes no memory of ours.
    answer(unsafe { libc::syscall(libc::SYS_ptrace, libc::PTRACE_ATTACH, 1, 0, 0) })
}

fn raw_socket() -> Answer {
    // SAFETY: plain numbers.
    answer(unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0).into() })
}

/// The agent's root would be a way around everything.
fn agent() -> Answer {
    // SAFETY: a terminated string.
    answer(unsafe { libc::open(c"/proc/1/root".as_ptr(), libc::O_PATH).into() })
}

fn cgroups() -> Answer {
    // SAFETY: a terminated string.
    answer(unsafe { libc::open(c"/sys/fs/cgroup/cgroup.procs".as_ptr(), libc::O_WRONLY).into() })
}

fn open_denied() -> Answer {
    // SAFETY: a terminated string.
    answer(unsafe { libc::open(c"/dev/shm/.belljar-denied".as_ptr(), libc::O_RDONLY).into() })
}

fn make_denied() -> Answer {
    // SAFETY: a terminated string.
    answer(unsafe {
        libc::open(
            c"/dev/shm/.belljar-denied-new".as_ptr(),
            libc::O_CREAT | libc::O_WRONLY,
            0o600,
        )
        .into()
    })
}

fn rename_denied() -> Answer {
    // SAFETY: terminated strings.
    answer(unsafe {
        libc::rename(
            c"/dev/shm/.belljar-denied".as_ptr(),
            c"/dev/shm/.belljar-moved".as_ptr(),
        )
        .into()
    })
}

fn link_denied() -> Answer {
    // SAFETY: terminated strings.
    answer(unsafe {
        libc::link(
            c"/dev/shm/.belljar-denied".as_ptr(),
            c"/dev/shm/.belljar-linked".as_ptr(),
        )
        .into()
    })
}
