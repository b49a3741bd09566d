//! The host at the door: it comes, goes, and comes again.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::thread::JoinHandle;

use belljar_event::wire::{AGENT_MAGIC, HOST_MAGIC, VERSION, find_hello, hello};

use super::door::Listener;
use super::*;
use crate::boot::raw;

/// As the socket device's listener, in another family.
fn from(listener: &OwnedFd, whose: u32) -> std::io::Result<(OwnedFd, u32)> {
    let flags = rustix::net::SocketFlags::NONBLOCK;
    Ok((rustix::net::accept_with(listener, flags)?, whose))
}

fn the_host(listener: &OwnedFd) -> std::io::Result<(OwnedFd, u32)> {
    from(listener, raw::HOST)
}

fn the_guest(listener: &OwnedFd) -> std::io::Result<(OwnedFd, u32)> {
    from(listener, 3)
}

type Accept = fn(&OwnedFd) -> std::io::Result<(OwnedFd, u32)>;

/// An agent that waits at a door, and where the door is. The thread ends with the
/// greeting.
fn agent(name: &str, accept: Accept) -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let name = format!("belljar-door-{name}-{}", std::process::id());
    let at = SocketAddr::from_abstract_name(name).unwrap();
    let socket = UnixListener::bind_addr(&at).unwrap();
    socket.set_nonblocking(true).unwrap();
    let door = Door::Listener(Listener {
        socket: socket.into(),
        accept,
    });
    let waiting = std::thread::spawn(move || greet_at(&door).unwrap().rest);
    (at, waiting)
}

fn come(at: &SocketAddr) -> UnixStream {
    let host = UnixStream::connect_addr(at).unwrap();
    let limit = std::time::Duration::from_secs(20);
    host.set_read_timeout(Some(limit)).unwrap();
    host
}

fn answered(host: &mut UnixStream, session: [u8; 16]) {
    let mut answer = vec![0; hello(AGENT_MAGIC, session).len()];
    host.read_exact(&mut answer).unwrap();
    let found = find_hello(AGENT_MAGIC, &answer).unwrap();
    assert_eq!((found.0, found.1), (VERSION, session));
}

#[test]
fn who_goes_before_the_hello_leaves_the_door_open() {
    let (at, agent) = agent("goes", the_host);
    for words in [&b""[..], b"BELLJARh", &[b'x'; 10_000]] {
        let mut host = come(&at);
        // One that came before may have given way already.
        let _ = host.write_all(words);
    }
    let mut host = come(&at);
    host.write_all(&hello(HOST_MAGIC, [9; 16])).unwrap();
    host.write_all(b"more").unwrap();
    answered(&mut host, [9; 16]);
    // What came behind it may have come with it, or later.
    assert!(b"more".starts_with(&agent.join().unwrap()));
}

#[test]
fn a_connection_without_another_end_gives_way() {
    let (at, agent) = agent("dead", the_host);
    let mut dead = come(&at);
    // Half a hello; the rest never comes, and nor does its end.
    let half = hello(HOST_MAGIC, [7; 16]);
    dead.write_all(half.get(..12).unwrap()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    let mut host = come(&at);
    host.write_all(&hello(HOST_MAGIC, [9; 16])).unwrap();
    answered(&mut host, [9; 16]);
    agent.join().unwrap();
    assert_eq!(dead.read(&mut [0]).unwrap(), 0, "it was let go");
}

#[test]
fn nobody_else_is_let_in() {
    let (at, _agent) = agent("other", the_guest);
    let mut other = come(&at);
    // It may be let go before or after it has spoken.
    let _ = other.write_all(&hello(HOST_MAGIC, [9; 16]));
    match other.read(&mut [0; 64]) {
        Ok(count) => assert_eq!(count, 0, "it was answered"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}
