//! What a held call wants to do, read from its arguments.
//!
//! Owns: which arguments of which call name objects.
//! Must not: decide more than the lines say by themselves.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use belljar_event::{Arg, Call, Class, Op, Target, Text};
use rustix::net::SocketType;
use rustix::net::sockopt::socket_type;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::asks;
use super::memory::Memory;
use super::resolve::{Found, Resolver};
use crate::boot::notify::Notice;
use crate::enforce::Lines;
use crate::net::Names;

/// Words of a command line that are told, and the longest of them.
const WORDS: u64 = 64;
const WORD: usize = 1024;
const ADDRESS: usize = 28;
const ACCESS: u32 = libc::O_ACCMODE as u32;
const BOTH_WAYS: u32 = libc::O_RDWR as u32;
const OPENAT2: u16 = 437;
const EXECVEAT: u16 = 322;
const EMPTY_PATH: u64 = libc::AT_EMPTY_PATH as u64;
const NO_FOLLOW: u64 = libc::AT_SYMLINK_NOFOLLOW as u64;

/// What the kernel is to let through, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Objects, by the kernel's hash of their paths.
    Paths(Vec<u64>),
    /// An address.
    Address(SocketAddr),
}

/// A held call, understood.
pub(super) struct Deed {
    pub(super) pid: u32,
    pub(super) op: Op,
    pub(super) call: Call,
    pub(super) path: Option<Text>,
    pub(super) other: Option<Text>,
    pub(super) target: Option<Target>,
    pub(super) argv: Vec<Text>,
    pub(super) wanted: Wanted,
    /// The line that asks, if one does.
    pub(super) asked: Option<String>,
}

/// What it wants; `None` if it cannot be read, or is nothing to be held.
pub(super) fn deed(notice: Notice, lines: &Lines, names: &Names) -> Option<Deed> {
    let call = Call(notice.call);
    let info = call.info()?;
    let memory = Memory::of(notice.tid)?;
    let pid = process_of(notice.tid)?;
    let reading = Reading {
        notice,
        memory,
        lines,
        pid,
        call,
    };
    match info.class {
        Class::Exec => reading.exec(),
        Class::Connect => reading.connect(names),
        Class::Open => reading.open(),
        Class::Change => reading.change(),
        _ => None,
    }
}

struct Reading<'a> {
    notice: Notice,
    memory: Memory,
    lines: &'a Lines,
    pid: u32,
    call: Call,
}

impl Reading<'_> {
    fn arg(&self, at: u8) -> u64 {
        self.notice.args.get(usize::from(at)).copied().unwrap_or(0)
    }

    fn dir(&self, arg: Arg) -> i32 {
        match arg {
            Arg::None => libc::AT_FDCWD,
            Arg::At(at) => self.arg(at) as i32,
        }
    }

    fn resolver(&self) -> Resolver<'_> {
        Resolver::new(self.notice.tid, self.lines)
    }

    fn of_paths(&self, op: Op, found: Vec<Found>, argv: Vec<Text>) -> Option<Deed> {
        let said = |found: &Found| asks(self.lines.first(op, &found.path));
        let asked = found.iter().find_map(said);
        let asking = found.iter().filter(|found| said(found).is_some());
        let wanted = Wanted::Paths(asking.map(|found| found.hash).collect());
        let mut paths = found.into_iter().map(|found| Text::new(found.path));
        Some(Deed {
            pid: self.pid,
            op,
            call: self.call,
            path: paths.next(),
            other: paths.next(),
            target: None,
            argv,
            wanted,
            asked,
        })
    }

    fn exec(&self) -> Option<Deed> {
        let at = self.call.0 == EXECVEAT;
        let (dir, path, argv, flags) = if at {
            (self.arg(0) as i32, self.arg(1), self.arg(2), self.arg(4))
        } else {
            (libc::AT_FDCWD, self.arg(0), self.arg(1), 0)
        };
        let path = self.memory.path(path)?;
        if path.is_empty() && flags & EMPTY_PATH == 0 {
            return None;
        }
        let found = self.resolver().program(dir, &path, flags & NO_FOLLOW == 0);
        if found.is_empty() {
            return None; // there is no such file
        }
        let words = self.memory.words(argv, WORDS, WORD);
        let argv = words.into_iter().map(Text::new).collect();
        self.of_paths(Op::Exec, found, argv)
    }

    fn open(&self) -> Option<Deed> {
        let info = self.call.info()?;
        let Arg::At(path) = info.path else {
            return None;
        };
        let path = self.memory.path(self.arg(path))?;
        let flags = match (self.call.0, info.name) {
            (OPENAT2, _) => self.memory.word(self.arg(2))?,
            (_, "creat") => (libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as u64,
            (_, "open") => self.arg(1),
            _ => self.arg(2),
        };
        let flags = flags as u32;
        let exclusive = (libc::O_CREAT | libc::O_EXCL) as u32;
        let no_follow = flags & libc::O_NOFOLLOW as u32 != 0 || flags & exclusive == exclusive;
        let found = self
            .resolver()
            .find(self.dir(info.dir), &path, !no_follow)?;
        let asked = |op: &Op| asks(self.lines.first(*op, &found.path)).is_some();
        // One that goes both ways is asked about as writing if a line asks about
        // that, and as reading if only that is asked about.
        let op = Op::of_open(flags);
        let op = match flags & ACCESS {
            BOTH_WAYS if !asked(&op) && asked(&Op::Read) => Op::Read,
            _ => op,
        };
        self.of_paths(op, vec![found], Vec::new())
    }

    fn change(&self) -> Option<Deed> {
        let info = self.call.info()?;
        let op = Op::of_call(self.call)?;
        // Of a symbolic link its own name matters, not what is written into it.
        let symlink = info.name.starts_with("symlink");
        let follow = match info.name {
            "chmod" | "chown" | "truncate" | "fchmodat" => true,
            "fchownat" => self.arg(4) & NO_FOLLOW == 0,
            _ => false,
        };
        let mut found = Vec::new();
        for (path, dir, skip) in [
            (info.path, info.dir, symlink),
            (info.other, info.other_dir, false),
        ] {
            let Arg::At(at) = path else { continue };
            if !skip {
                let path = self.memory.path(self.arg(at))?;
                found.push(self.resolver().find(self.dir(dir), &path, follow)?);
            }
        }
        self.of_paths(op, found, Vec::new())
    }

    fn connect(&self, names: &Names) -> Option<Deed> {
        let length = usize::try_from(self.arg(2)).ok()?.min(ADDRESS);
        let addr = inet(&self.memory.bytes(self.arg(1), length)?)?;
        let inside = addr.ip().to_canonical();
        if inside.is_loopback() || inside.is_unspecified() || addr.port() == 53 {
            return None;
        }
        if self.socket_type()? != SocketType::STREAM {
            return None; // never leaves the guest
        }
        let seen = SocketAddr::new(inside, addr.port());
        let target = match names.name(seen) {
            Some(name) => Target::Name {
                name,
                port: addr.port(),
            },
            None => Target::Direct(seen),
        };
        let everything = self.lines.first(Op::Connect, b"/");
        Some(Deed {
            pid: self.pid,
            op: Op::Connect,
            call: self.call,
            path: None,
            other: None,
            target: Some(target),
            argv: Vec::new(),
            wanted: Wanted::Address(addr),
            asked: Some(
                everything.map_or_else(|| "built-in".to_owned(), |said| said.by.to_owned()),
            ),
        })
    }

    fn socket_type(&self) -> Option<SocketType> {
        let pid = Pid::from_raw(i32::try_from(self.pid).ok()?)?;
        let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let fd = pidfd_getfd(process, self.arg(0) as i32, PidfdGetfdFlags::empty()).ok()?;
        socket_type(&fd).ok()
    }
}

/// The process of a thread.
fn process_of(tid: u32) -> Option<u32> {
    let status = fs::read(format!("/proc/{tid}/status")).ok()?;
    let line = status
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"Tgid:"))?;
    std::str::from_utf8(line).ok()?.trim().parse().ok()
}

/// A socket address of the internet's families.
fn inet(bytes: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(*bytes.first_chunk()?);
    let port = u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
    let ip: IpAddr = match i32::from(family) {
        libc::AF_INET => Ipv4Addr::from(*bytes.get(4..)?.first_chunk::<4>()?).into(),
        libc::AF_INET6 => Ipv6Addr::from(*bytes.get(8..)?.first_chunk::<16>()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}
