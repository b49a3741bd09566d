//! From a kernel record to an event.
//!
//! Owns: what each class of call becomes, how components become a path, how
//! socket addresses are read.
//! Must not: touch the kernel, or judge anything. Pure; hostile bytes are the
//! ordinary case here.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;

use belljar_event::{
    Accept, Addr, Bind, Call, Change, Class, Connect, Denied, Descriptor, Dup, Event, Exec, Exit,
    Fact, Fork, Guard, Identity, Listen, Look, Op, Open, Outcome, Send, Signal, Socket, Status,
    Text, Transfer,
};

use crate::abi::{DIED, Kind, REFUSED, Record, Role, Segment, UNLINKED, UNTOLD};
use crate::enforce::Lines;
use crate::seam::MountTable;

/// Most words of a command line that are kept.
const MAX_WORDS: usize = 1024;

/// What decoding needs beside the record.
pub(crate) trait Names {
    /// The name that a stand-in address stands for.
    fn name(&self, addr: SocketAddr) -> Option<String>;
}

/// The event that a record tells of; `None` for a call that this version does not know.
pub(crate) fn event(record: &Record<'_>, mounts: &MountTable, names: &dyn Names) -> Option<Event> {
    let reader = Reader { record, mounts };
    let fact = match record.kind {
        Kind::Fork => Fork {
            child: u32::try_from(record.result).ok()?,
        }
        .into(),
        Kind::Exit => Exit {
            status: status(record.result),
        }
        .into(),
        Kind::Transfer => Transfer {
            file: reader.path(Role::File).unwrap_or(Text::Unreadable),
            read: reader.arg(0),
            written: reader.arg(1),
        }
        .into(),
        Kind::Call => reader.call(names)?,
        Kind::Denial => return None,
    };
    let result = told(record.result);
    let outcome = match record.kind {
        Kind::Fork | Kind::Exit | Kind::Transfer | Kind::Denial => Outcome::None,
        Kind::Call if record.flags & UNTOLD != 0 => Outcome::None,
        Kind::Call if record.flags & DIED != 0 => Outcome::Died,
        Kind::Call if result != record.result => Outcome::Returned(result),
        Kind::Call if record.flags & REFUSED != 0 => Outcome::Refused(result),
        Kind::Call => Outcome::Returned(result),
    };
    Some(Event {
        at: record.at,
        pid: record.pid,
        tid: record.tid,
        outcome,
        fact,
    })
}

/// A call that a signal broke off is begun anew or answers `EINTR`: which of
/// them is decided when the signal is delivered, behind what is observed.
fn told(result: i64) -> i64 {
    const BROKEN_OFF: std::ops::RangeInclusive<i64> = -516..=-512;
    if BROKEN_OFF.contains(&result) {
        -i64::from(libc::EINTR)
    } else {
        result
    }
}

/// What is told of a call that a policy line refused.
pub(crate) fn denied(record: &Record<'_>, mounts: &MountTable, lines: &Lines) -> Option<Event> {
    let refusal = record.denied?;
    let reader = Reader { record, mounts };
    let said = lines.by(refusal.line);
    let op = Op::ALL.get(usize::from(refusal.op)).copied()?;
    let (first, second) = (Role::File, Role::OtherFile);
    let (first, second) = if refusal.other {
        (second, first)
    } else {
        (first, second)
    };
    let object = reader.path(first).or_else(|| reader.path(second));
    let denied = Denied {
        op,
        path: object,
        action: said.action,
        by: said.by.to_owned(),
    };
    Some(Event {
        at: record.at,
        pid: record.pid,
        tid: record.tid,
        outcome: Outcome::None,
        fact: denied.into(),
    })
}

/// A wait status as the kernel keeps it: low seven bits are the signal.
fn status(code: i64) -> Status {
    match code & 0x7f {
        0 => Status::Code((code >> 8) as u8),
        signal => Status::Signal(signal as u8),
    }
}

fn descriptor(kind: u8) -> Descriptor {
    const KINDS: [Descriptor; 6] = [
        Descriptor::Closed,
        Descriptor::File,
        Descriptor::Device,
        Descriptor::Pipe,
        Descriptor::UnixSocket,
        Descriptor::NetSocket,
    ];
    KINDS
        .get(usize::from(kind))
        .copied()
        .unwrap_or(Descriptor::Other)
}

/// A path from its components, leaf first, and the place of its file system.
fn path(segment: Segment<'_>, mounts: &MountTable) -> Text {
    if segment.unreadable {
        return Text::Unreadable;
    }
    let mut bytes = match mounts.mounts.iter().find(|m| m.device == segment.device) {
        Some(mounted) if mounted.at.as_os_str() == "/" => Vec::new(),
        Some(mounted) => mounted.at.as_os_str().as_bytes().to_vec(),
        // A pseudo file system: memfd, pipe, socket. No path leads there.
        None => b"<anonymous>".to_vec(),
    };
    let trimmed = segment.bytes.strip_suffix(&[0]).unwrap_or(segment.bytes);
    if !trimmed.is_empty() {
        for component in trimmed.rsplit(|byte| *byte == 0) {
            bytes.push(b'/');
            bytes.extend_from_slice(component);
        }
    }
    if bytes.is_empty() {
        bytes.push(b'/');
    }
    if segment.cut {
        let length = u64::from(segment.full).max(bytes.len() as u64);
        return Text::Cut {
            bytes: bytes.into(),
            length,
        };
    }
    Text::Whole(bytes.into())
}

struct Reader<'a> {
    record: &'a Record<'a>,
    mounts: &'a MountTable,
}

impl Reader<'_> {
    /// A string argument as the caller gave it.
    fn text(&self, role: Role) -> Option<Text> {
        let segment = self.record.segment(role)?;
        Some(if segment.unreadable {
            Text::Unreadable
        } else if segment.cut {
            Text::Cut {
                bytes: segment.bytes.into(),
                length: u64::from(segment.full),
            }
        } else {
            Text::new(segment.bytes)
        })
    }

    fn path(&self, role: Role) -> Option<Text> {
        self.record
            .segment(role)
            .map(|segment| path(segment, self.mounts))
    }

    fn arg(&self, index: usize) -> u64 {
        self.record.args.get(index).copied().unwrap_or(0)
    }

    fn fd(&self) -> i32 {
        self.arg(0) as i32
    }

    fn call(&self, names: &dyn Names) -> Option<Fact> {
        let call = Call(self.record.call);
        let given = || self.text(Role::Path).unwrap_or(Text::Unreadable);
        Some(match call.info()?.class {
            Class::Exec => self.exec(call).into(),
            Class::Open => {
                let (flags, mode) = self.open_flags(call);
                let (path, base, file) = (given(), self.path(Role::Base), self.path(Role::File));
                Open {
                    call,
                    path,
                    base,
                    file,
                    flags,
                    mode,
                }
                .into()
            }
            Class::Change => Change {
                call,
                path: given(),
                base: self.path(Role::Base),
                other: self.text(Role::Other),
                other_base: self.other_base(),
                value: self.change_value(call),
                file: self.path(Role::File),
                other_file: self.path(Role::OtherFile),
            }
            .into(),
            Class::Look => Look {
                call,
                path: given(),
                base: self.path(Role::Base),
            }
            .into(),
            Class::Socket => Socket {
                family: self.arg(0) as u16,
                kind: (self.arg(1) & 0xf) as u16,
                protocol: self.arg(2) as u16,
            }
            .into(),
            Class::Connect => {
                let addr = self.addr();
                let name = match &addr {
                    Addr::Inet(inet) => names.name(*inet),
                    _ => None,
                };
                Connect {
                    fd: self.fd(),
                    addr,
                    name,
                }
                .into()
            }
            Class::Bind => Bind {
                fd: self.fd(),
                addr: self.addr(),
            }
            .into(),
            Class::Listen => Listen { fd: self.fd() }.into(),
            Class::Accept => Accept { fd: self.fd() }.into(),
            // Without an address it is an ordinary write to a connection.
            Class::Send if self.record.segment(Role::Addr).is_none() => return None,
            Class::Send => Send {
                call,
                fd: self.fd(),
                addr: self.addr(),
                bytes: self.arg(2),
            }
            .into(),
            Class::Message => Send {
                call,
                fd: self.fd(),
                addr: self.addr(),
                bytes: self.arg(5),
            }
            .into(),
            Class::Signal => Signal {
                call,
                target: self.arg(0) as i32,
                signal: self.arg(1) as i32,
            }
            .into(),
            Class::Identity => Identity {
                call,
                ids: self.ids(call),
            }
            .into(),
            Class::Dup => Dup {
                call,
                from: self.fd(),
                to: self.arg(1) as i32,
                what: descriptor(self.record.stdio[0]),
            }
            .into(),
            Class::Guard | Class::GuardRefused => Guard {
                call,
                path: self.text(Role::Path),
                args: [self.arg(0), self.arg(1), self.arg(2), self.arg(3)],
            }
            .into(),
        })
    }

    /// Relative only to an own folder if the second path is relative.
    fn other_base(&self) -> Option<Text> {
        let relative = self.record.segment(Role::Other)?.bytes.first() != Some(&b'/');
        relative.then(|| self.path(Role::OtherBase))?
    }

    fn open_flags(&self, call: Call) -> (u32, u32) {
        const CREAT: u32 = (libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as u32;
        match call.name() {
            "creat" => (CREAT, self.arg(1) as u32),
            "open" => (self.arg(1) as u32, self.arg(2) as u32),
            // openat2's flags lie behind a pointer: the resolved file tells the rest.
            "openat2" => (0, 0),
            _ => (self.arg(2) as u32, self.arg(3) as u32),
        }
    }

    /// The first plain argument after the paths.
    fn change_value(&self, call: Call) -> u64 {
        let index = match call.name() {
            "mkdirat" | "mknodat" | "fchmodat" | "fchownat" | "unlinkat" => 2,
            "renameat" | "renameat2" | "linkat" => 4,
            "rename" | "link" | "symlink" | "symlinkat" | "unlink" | "rmdir" => return 0,
            _ => 1,
        };
        self.arg(index)
    }

    fn exec(&self, call: Call) -> Exec {
        let argv = self.record.segment(Role::Argv);
        let [stdin, stdout, stderr, _] = self.record.stdio;
        Exec {
            call,
            parent: self.record.parent,
            path: self.text(Role::Path).unwrap_or(Text::Unreadable),
            file: self.path(Role::File),
            interpreter: self.path(Role::Interpreter),
            argv: argv.map(words).unwrap_or_default(),
            argv_bytes: argv.map_or(0, |segment| u64::from(segment.full)),
            cwd: self.path(Role::Cwd),
            uid: self.record.uid,
            stdio: [descriptor(stdin), descriptor(stdout), descriptor(stderr)],
            unlinked: self.record.flags & UNLINKED != 0,
            content: None,
            inherited: self.inherited(),
        }
    }

    /// The arguments that mean something; the rest of the registers holds anything.
    fn ids(&self, call: Call) -> [u64; 3] {
        let count = match call.name() {
            "setuid" | "setgid" | "setfsuid" | "setfsgid" => 1,
            "setreuid" | "setregid" => 2,
            _ => 3,
        };
        let wide = call.name() == "capset";
        std::array::from_fn(|index| match self.arg(index) {
            _ if index >= count => 0,
            set if wide => set,
            // An id has 32 bits, whatever the register's upper half holds.
            id => u64::from(id as u32),
        })
    }

    fn inherited(&self) -> Vec<(i32, Descriptor)> {
        let pairs = self
            .record
            .segment(Role::Descriptors)
            .map_or(&[][..], |segment| segment.bytes);
        let (pairs, _) = pairs.as_chunks::<2>();
        pairs
            .iter()
            .map(|[fd, kind]| (i32::from(*fd), descriptor(*kind)))
            .collect()
    }

    fn addr(&self) -> Addr {
        match self.record.segment(Role::Addr) {
            Some(segment) if !segment.unreadable => socket_addr(segment.bytes),
            _ => Addr::Unreadable,
        }
    }
}

/// Words of a command line; the last one may be cut.
fn words(segment: Segment<'_>) -> Vec<Text> {
    if segment.unreadable {
        return vec![Text::Unreadable];
    }
    let whole = segment.bytes.strip_suffix(&[0]).unwrap_or(segment.bytes);
    if whole.is_empty() {
        return Vec::new();
    }
    let mut words: Vec<_> = whole
        .split(|byte| *byte == 0)
        .take(MAX_WORDS)
        .map(Text::new)
        .collect();
    if segment.cut
        && let Some(last) = words.last_mut()
    {
        let missing = u64::from(segment.full).saturating_sub(segment.bytes.len() as u64);
        let bytes: Box<[u8]> = last.bytes().into();
        let length = bytes.len() as u64 + missing;
        *last = Text::Cut { bytes, length };
    }
    words
}

/// A `struct sockaddr` as the process handed it in.
fn socket_addr(bytes: &[u8]) -> Addr {
    let Some((family, rest)) = bytes.split_first_chunk::<2>() else {
        return Addr::Unreadable;
    };
    let family = u16::from_ne_bytes(*family);
    let port = rest
        .first_chunk::<2>()
        .map(|port| u16::from_be_bytes(*port));
    match (i32::from(family), port) {
        (libc::AF_INET, Some(port)) => match rest.get(2..6).and_then(|ip| ip.first_chunk::<4>()) {
            Some(ip) => Addr::Inet(SocketAddr::new(Ipv4Addr::from(*ip).into(), port)),
            None => Addr::Unreadable,
        },
        (libc::AF_INET6, Some(port)) => {
            let Some(ip) = rest.get(6..22).and_then(|ip| ip.first_chunk::<16>()) else {
                return Addr::Unreadable;
            };
            let ip = Ipv6Addr::from(*ip);
            match ip.to_ipv4_mapped() {
                Some(v4) => Addr::Inet(SocketAddr::new(v4.into(), port)),
                None => Addr::Inet(SocketAddrV6::new(ip, port, 0, 0).into()),
            }
        }
        (libc::AF_UNIX, _) => {
            // An abstract name starts with NUL and may hold more; a path ends at the first.
            let name = match rest.first() {
                Some(0) | None => rest,
                Some(_) => rest.split(|byte| *byte == 0).next().unwrap_or(rest),
            };
            Addr::Unix(Text::new(name))
        }
        _ => Addr::Other(family),
    }
}
