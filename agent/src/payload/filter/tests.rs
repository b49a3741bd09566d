use super::*;

/// Runs the program as the kernel would, on one call.
fn run(arch: u32, nr: u32, args: [u64; 6]) -> u32 {
    run_held(0, arch, nr, args)
}

fn run_held(held: u16, arch: u32, nr: u32, args: [u64; 6]) -> u32 {
    let code = program(held);
    let mut data = Vec::new();
    data.extend(nr.to_le_bytes());
    data.extend(arch.to_le_bytes());
    data.extend([0; 8]);
    for arg in args {
        data.extend(arg.to_le_bytes());
    }
    let (mut at, mut acc) = (0, 0_u32);
    loop {
        let op = code[at];
        at += 1;
        let taken = match op.code {
            0x20 => {
                let k = op.k as usize;
                acc = u32::from_le_bytes(data[k..k + 4].try_into().unwrap());
                continue;
            }
            0x06 => return op.k,
            0x15 => acc == op.k,
            0x35 => acc >= op.k,
            0x45 => acc & op.k != 0,
            other => panic!("instruction {other:#x}"),
        };
        at += usize::from(if taken { op.jt } else { op.jf });
    }
}

fn call(nr: libc::c_long, args: [u64; 6]) -> u32 {
    run(ARCH_X86_64, number(nr), args)
}

fn error(errno: i32) -> u32 {
    ERRNO | errno.cast_unsigned()
}

#[test]
fn foreign_architectures_die() {
    const I386: u32 = 0x4000_0003;
    assert_eq!(run(I386, 11, [0; 6]), KILL_PROCESS);
    assert_eq!(run(0, 59, [0; 6]), KILL_PROCESS);
}

#[test]
fn x32_calls_do_not_exist() {
    assert_eq!(run(ARCH_X86_64, X32 + 2, [0; 6]), error(libc::ENOSYS));
    assert_eq!(run(ARCH_X86_64, u32::MAX, [0; 6]), error(libc::ENOSYS));
}

#[test]
fn every_refused_call_is_refused() {
    for (nr, answer) in REFUSED {
        let errno = if *answer == NoSuchCall {
            libc::ENOSYS
        } else {
            libc::EPERM
        };
        assert_eq!(call(*nr, [0; 6]), error(errno), "call {nr}");
    }
}

#[test]
fn ordinary_calls_pass() {
    for nr in [
        libc::SYS_read,
        libc::SYS_execve,
        libc::SYS_openat,
        libc::SYS_connect,
        libc::SYS_fork,
    ] {
        assert_eq!(call(nr, [0; 6]), ALLOW, "call {nr}");
    }
}

#[test]
fn clone_makes_threads_but_no_namespaces() {
    let thread = 0x3d_0f00;
    assert_eq!(call(libc::SYS_clone, [thread, 0, 0, 0, 0, 0]), ALLOW);
    for flag in [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
    ] {
        let flags = u64::from(flag.cast_unsigned()) | 17;
        assert_eq!(
            call(libc::SYS_clone, [flags, 0, 0, 0, 0, 0]),
            error(libc::EPERM),
            "{flag:#x}"
        );
    }
}

#[test]
fn only_sockets_that_the_hooks_cover() {
    let socket = |family: i32, protocol: i32| {
        let (family, protocol) = (family.cast_unsigned(), protocol.cast_unsigned());
        // Bits above the kernel's int must not matter.
        call(
            libc::SYS_socket,
            [
                u64::from(family) | 1 << 40,
                1,
                u64::from(protocol) | 1 << 33,
                0,
                0,
                0,
            ],
        )
    };
    for (family, protocol) in [
        (libc::AF_UNIX, 0),
        (libc::AF_INET, 0),
        (libc::AF_INET, 6),
        (libc::AF_INET6, 17),
        (libc::AF_NETLINK, libc::NETLINK_ROUTE),
    ] {
        assert_eq!(socket(family, protocol), ALLOW, "{family} {protocol}");
    }
    for (family, protocol) in [
        (libc::AF_INET, libc::IPPROTO_MPTCP),
        (libc::AF_INET, libc::IPPROTO_ICMP),
        (libc::AF_INET6, libc::IPPROTO_SCTP),
        (libc::AF_NETLINK, libc::NETLINK_AUDIT),
    ] {
        assert_eq!(
            socket(family, protocol),
            error(libc::EPROTONOSUPPORT),
            "{family} {protocol}"
        );
    }
    for family in [libc::AF_PACKET, libc::AF_VSOCK, libc::AF_ALG, libc::AF_XDP] {
        assert_eq!(socket(family, 0), error(libc::EAFNOSUPPORT), "{family}");
    }
}

#[test]
fn held_calls_are_told_and_others_are_not() {
    let held = Op::Exec.bit() | Op::Write.bit();
    let told = |nr, args| run_held(held, ARCH_X86_64, number(nr), args) == USER_NOTIF;
    assert!(told(libc::SYS_execve, [0; 6]));
    assert!(told(libc::SYS_execveat, [0; 6]));
    assert!(!told(libc::SYS_connect, [0; 6]));
    assert!(told(libc::SYS_openat2, [0; 6]));
    for (flags, expected) in [
        (libc::O_RDONLY, false),
        (libc::O_RDONLY | libc::O_CLOEXEC, false),
        (libc::O_RDONLY | libc::O_CREAT, true),
        (libc::O_RDWR, true),
        (libc::O_WRONLY | libc::O_APPEND, true),
    ] {
        let flags = u64::from(flags.cast_unsigned());
        assert_eq!(told(libc::SYS_openat, [0, 0, flags, 0, 0, 0]), expected);
        assert_eq!(told(libc::SYS_open, [0, flags, 0, 0, 0, 0]), expected);
    }
    // What is refused stays refused, held or not.
    let all = u16::MAX;
    assert_eq!(
        run_held(all, ARCH_X86_64, number(libc::SYS_io_uring_setup), [0; 6]),
        error(libc::ENOSYS)
    );
    let every = |op: Op| HELD.iter().any(|(_, held, _)| *held == op);
    assert!(Op::ALL.into_iter().all(every), "an op that no call does");
}
