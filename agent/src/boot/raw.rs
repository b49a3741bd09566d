//! System calls without a safe wrapper.
//!
//! Owns: the ioctls for the random pool and the network interfaces, sockets of
//! the vsock family, and handing a descriptor to the runtime.
//! Must not: be called from between fork and exec (that is `spawn`).
#![expect(unsafe_code, reason = "calls that have no safe wrapper")]

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use tokio::io::unix::AsyncFd;

use super::BootError;

/// As the kernel's `struct rand_pool_info` with its buffer.
#[repr(C)]
struct Pool {
    bits: libc::c_int,
    bytes: libc::c_int,
    seed: [u8; 32],
}

/// `_IOW('R', 3, int[2])`
const RNDADDENTROPY: libc::c_ulong = 0x4008_5203;
/// `_IO('R', 7)`
const RNDRESEEDCRNG: libc::c_ulong = 0x5207;

/// Adds a seed to the kernel's random pool, and counts it as random.
pub(crate) fn add_entropy(seed: [u8; 32]) -> Result<(), BootError> {
    let file = File::options()
        .write(true)
        .open("/dev/urandom")
        .map_err(BootError::file("open", "/dev/urandom"))?;
    let pool = Pool {
        bits: 256,
        bytes: 32,
        seed,
    };
    // SAFETY: the request reads a `rand_pool_info` whose buffer has `bytes`
    // bytes, which is what `pool` is; it outlives the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), RNDADDENTROPY, &raw const pool) };
    check(result).map_err(BootError::step("seed the random pool"))?;
    // The generator draws from the pool once a minute only; a machine that was woken
    // from a base would give the same numbers as every other until then.
    // SAFETY: the request takes no argument.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), RNDRESEEDCRNG) };
    check(result).map_err(BootError::step("reseed the random generator"))
}

/// Brings the loopback interface up, and gives it a second address: without one
/// that is not loopback, resolvers believe that there is no IPv4 at all
/// (getaddrinfo's AI_ADDRCONFIG) and do not ask for names.
pub(crate) fn loopback_up(address: Ipv4Addr) -> Result<(), BootError> {
    let socket = control_socket().map_err(BootError::step("open a control socket"))?;
    let mut up = request(b"lo");
    up.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    interface(&socket, libc::SIOCSIFFLAGS, &mut up)
        .map_err(BootError::step("bring up the loopback interface"))?;

    for (call, value) in [
        (libc::SIOCSIFADDR, address),
        (libc::SIOCSIFNETMASK, Ipv4Addr::BROADCAST),
    ] {
        let mut alias = request(b"lo:0");
        alias.ifr_ifru.ifru_addr = inet(value);
        interface(&socket, call, &mut alias)
            .map_err(BootError::step("give the loopback interface an address"))?;
    }
    Ok(())
}

/// A descriptor that somebody else keeps open: libbpf's own.
pub(crate) fn borrowed(fd: RawFd) -> Option<BorrowedFd<'static>> {
    // SAFETY: not -1, and its owner, the ring buffer, lives as long as the thread that asks.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Lets the runtime watch a descriptor.
pub(crate) fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is an open descriptor; the `AsyncFd` owns it, and
    // nothing replaces or closes it before that is dropped.
    Ok(unsafe { AsyncFd::register(fd)? })
}

/// The host's address in the vsock family.
pub(crate) const HOST: u32 = libc::VMADDR_CID_HOST;

/// A socket that listens on a vsock port, non-blocking.
pub(crate) fn listen_vsock(port: u32) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: plain numbers; the result is checked before it is owned.
    let fd = unsafe { libc::socket(libc::AF_VSOCK, kind, 0) };
    check(fd)?;
    // SAFETY: `fd` was just returned by the kernel and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let address = libc::sockaddr_vm {
        svm_cid: libc::VMADDR_CID_ANY,
        svm_port: port,
        ..no_vsock()
    };
    // SAFETY: `address` outlives the call and has the stated length.
    check(unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            VSOCK_ADDRESS,
        )
    })?;
    // SAFETY: plain numbers.
    check(unsafe { libc::listen(socket.as_raw_fd(), 1) })?;
    Ok(socket)
}

/// Takes a connection: its socket, non-blocking, and whose it is.
pub(crate) fn accept_vsock(listener: &OwnedFd) -> io::Result<(OwnedFd, u32)> {
    let mut from = no_vsock();
    let mut length = VSOCK_ADDRESS;
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: `from` has room for `length` bytes, and both outlive the call.
    let fd = unsafe {
        libc::accept4(
            listener.as_raw_fd(),
            (&raw mut from).cast(),
            &raw mut length,
            flags,
        )
    };
    check(fd)?;
    // SAFETY: `fd` was just returned by the kernel and nobody else has it.
    Ok((unsafe { OwnedFd::from_raw_fd(fd) }, from.svm_cid))
}

const VSOCK_ADDRESS: libc::socklen_t = size_of::<libc::sockaddr_vm>() as libc::socklen_t;

fn no_vsock() -> libc::sockaddr_vm {
    // SAFETY: `sockaddr_vm` is plain data for which zeroes are valid.
    let mut address: libc::sockaddr_vm = unsafe { std::mem::zeroed() };
    address.svm_family = libc::AF_VSOCK as libc::sa_family_t;
    address
}

fn control_socket() -> io::Result<OwnedFd> {
    // SAFETY: plain numbers; the result is checked before it is owned.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    check(fd)?;
    // SAFETY: `fd` was just returned by the kernel and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn request(name: &[u8]) -> libc::ifreq {
    // SAFETY: `ifreq` is plain data for which zeroes are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let room = request.ifr_name.len().saturating_sub(1);
    for (to, from) in request.ifr_name.iter_mut().take(room).zip(name) {
        *to = from.cast_signed();
    }
    request
}

fn inet(address: Ipv4Addr) -> libc::sockaddr {
    let mut plain = libc::sockaddr {
        sa_family: libc::AF_INET as libc::sa_family_t,
        sa_data: [0; 14],
    };
    // As `sockaddr_in`: two bytes of port, then the address.
    for (to, from) in plain.sa_data.iter_mut().skip(2).zip(address.octets()) {
        *to = from.cast_signed();
    }
    plain
}

fn interface(socket: &OwnedFd, call: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: every caller's `call` takes an `ifreq`, which outlives it.
    check(unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), call, &raw mut *request) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
