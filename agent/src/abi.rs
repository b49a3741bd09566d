//! Kernel records: the bytes that `bpf/observe.bpf.c` puts into the ring buffer.
//!
//! Owns: the layout of `struct record`, `struct endpoint` and `struct origin`
//! (see `bpf/observe.h`; the sizes are asserted against the generated skeleton).
//! Must not: interpret what a record means (`observe::decode` does). The bytes
//! are read field by field with bounds checks, so a short or absurd record is an
//! error, never a panic, and no unsafe code is needed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A record that is not what it claims to be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("kernel record is malformed: {0}")]
pub(crate) struct Malformed(&'static str);

/// Most segments in a record (`SEGMENTS`).
const SEGMENTS: usize = 12;
/// Bytes of one segment header.
const SEGMENT_LEN: usize = 16;
/// Where segment headers start.
const SEGMENTS_AT: usize = 8 + 8 + 16 + 8 + 48 + 12 + 4 + 4;
/// Where strings start (`offsetof(struct record, data)`).
pub(crate) const DATA_AT: usize = SEGMENTS_AT + SEGMENTS * SEGMENT_LEN;
/// `sizeof(struct endpoint)`.
pub(crate) const ENDPOINT_LEN: usize = 20;
/// `sizeof(struct origin)`.
pub(crate) const ORIGIN_LEN: usize = 28;

/// `GRANTED`: objects of one call.
const GRANTED: usize = 4;
/// `sizeof(struct grant)`.
pub(crate) const GRANT_LEN: usize = 8 * GRANTED + 8;

/// What a record is about (`enum kind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Call,
    Fork,
    Exit,
    Transfer,
    /// A line refused a call that is not observed.
    Denial,
}

/// What a segment holds (`enum role`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Path,
    Other,
    Addr,
    Base,
    OtherBase,
    File,
    Interpreter,
    Argv,
    Cwd,
    OtherFile,
    Descriptors,
}

impl Role {
    fn from(number: u16) -> Option<Self> {
        const ROLES: [Role; 11] = [
            Role::Path,
            Role::Other,
            Role::Addr,
            Role::Base,
            Role::OtherBase,
            Role::File,
            Role::Interpreter,
            Role::Argv,
            Role::Cwd,
            Role::OtherFile,
            Role::Descriptors,
        ];
        ROLES.get(usize::from(number).checked_sub(1)?).copied()
    }
}

/// Seccomp answered; the kernel never saw the call.
pub(crate) const REFUSED: u32 = 1;
/// The thread died inside the call.
pub(crate) const DIED: u32 = 2;
/// The executed file has no name any more.
pub(crate) const UNLINKED: u32 = 4;
/// The caller is not told how this part of the call ended.
pub(crate) const UNTOLD: u32 = 16;

/// One string or address of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment<'a> {
    pub(crate) role: Role,
    pub(crate) cut: bool,
    pub(crate) unreadable: bool,
    /// Bytes that it really had, as far as known.
    pub(crate) full: u32,
    /// Superblock that components belong to.
    pub(crate) device: u32,
    pub(crate) bytes: &'a [u8],
}

/// What the kernel left of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The line's number.
    pub(crate) line: u16,
    /// Index of the op.
    pub(crate) op: u8,
    /// It is about the call's second object.
    pub(crate) other: bool,
}

impl Refusal {
    fn of(word: u32) -> Option<Self> {
        let [low, high, op, marks] = word.to_le_bytes();
        let line = u16::from_le_bytes([low, high]);
        let other = marks & 0x80 != 0;
        (line != 0).then_some(Self { line, op, other })
    }
}

/// `struct grant`: hashes of paths, and the op.
pub(crate) fn grant(paths: &[u64], op: u32) -> Option<[u8; GRANT_LEN]> {
    let mut bytes = [0; GRANT_LEN];
    let (hashes, rest) = bytes.split_at_mut(8 * GRANTED);
    if paths.len() > GRANTED {
        return None;
    }
    for (to, from) in hashes.chunks_exact_mut(8).zip(paths) {
        to.copy_from_slice(&from.to_ne_bytes());
    }
    rest.first_chunk_mut::<4>()?
        .copy_from_slice(&op.to_ne_bytes());
    Some(bytes)
}

/// A record, borrowed from the ring buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) at: u64,
    pub(crate) kind: Kind,
    pub(crate) call: u16,
    pub(crate) pid: u32,
    pub(crate) tid: u32,
    pub(crate) parent: u32,
    pub(crate) uid: u32,
    pub(crate) result: i64,
    pub(crate) args: [u64; 6],
    pub(crate) flags: u32,
    pub(crate) stdio: [u8; 4],
    /// The policy line that refused the call.
    pub(crate) denied: Option<Refusal>,
    pub(crate) segments: Vec<Segment<'a>>,
}

/// Reads numbers off the front of a byte slice.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(Malformed("too short"))?;
        self.0 = rest;
        Ok(*head)
    }
    fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_ne_bytes(self.take()?))
    }
    fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_ne_bytes(self.take()?))
    }
    fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_ne_bytes(self.take()?))
    }
}

impl<'a> Record<'a> {
    /// Reads a record.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let data = bytes.get(DATA_AT..).ok_or(Malformed("too short"))?;
        let mut c = Cursor(bytes);
        let at = c.u64()?;
        let kind = match c.u32()? {
            1 => Kind::Call,
            2 => Kind::Fork,
            3 => Kind::Exit,
            4 => Kind::Transfer,
            5 => Kind::Denial,
            _ => return Err(Malformed("unknown kind")),
        };
        let call = u16::try_from(c.u32()?).map_err(|_| Malformed("unknown call"))?;
        let (pid, tid, parent, uid) = (c.u32()?, c.u32()?, c.u32()?, c.u32()?);
        let result = i64::from_ne_bytes(c.take()?);
        let mut args = [0; 6];
        for slot in &mut args {
            *slot = c.u64()?;
        }
        let (flags, _used, count) = (c.u32()?, c.u32()?, c.u32()?);
        let stdio = c.take()?;
        let denied = Refusal::of(c.u32()?);
        let mut segments = Vec::new();
        let mut start = 0usize;
        for _ in 0..(count as usize).min(SEGMENTS) {
            let (role, marks) = (c.u16()?, c.u16()?);
            let (len, full, device) = (c.u32()? as usize, c.u32()?, c.u32()?);
            let role = Role::from(role).ok_or(Malformed("unknown segment"))?;
            let end = start
                .checked_add(len)
                .ok_or(Malformed("segment too long"))?;
            let part = data.get(start..end).ok_or(Malformed("segment too long"))?;
            // Strings are followed by the NUL that the kernel wrote.
            start = match role {
                Role::Path | Role::Other if marks & 2 == 0 => end + 1,
                _ => end,
            };
            segments.push(Segment {
                role,
                cut: marks & 1 != 0,
                unreadable: marks & 2 != 0,
                full,
                device,
                bytes: part,
            });
        }
        Ok(Self {
            at,
            kind,
            call,
            pid,
            tid,
            parent,
            uid,
            result,
            args,
            flags,
            stdio,
            denied,
            segments,
        })
    }

    /// The last readable segment with this role: what faulted at entry was read again at exit.
    pub(crate) fn segment(&self, role: Role) -> Option<Segment<'a>> {
        let with = || self.segments.iter().rev().filter(|s| s.role == role);
        with()
            .find(|s| !s.unreadable)
            .or_else(|| with().next())
            .copied()
    }
}

/// `struct endpoint` of an address.
pub(crate) fn endpoint(addr: SocketAddr) -> [u8; ENDPOINT_LEN] {
    let (ip, family): ([u8; 16], u16) = match addr.ip() {
        IpAddr::V4(v4) => {
            let mut ip = [0; 16];
            if let Some(head) = ip.first_chunk_mut::<4>() {
                *head = v4.octets();
            }
            (ip, 2)
        }
        IpAddr::V6(v6) => (v6.octets(), 10),
    };
    let mut bytes = [0; ENDPOINT_LEN];
    let (head, tail) = bytes.split_at_mut(16);
    head.copy_from_slice(&ip);
    let (port, fam) = tail.split_at_mut(2);
    port.copy_from_slice(&addr.port().to_ne_bytes());
    fam.copy_from_slice(&family.to_ne_bytes());
    bytes
}

/// Destination, process and thread of `struct origin`.
pub(crate) fn origin(bytes: &[u8]) -> Option<(SocketAddr, u32, u32)> {
    let mut c = Cursor(bytes);
    let ip: [u8; 16] = c.take().ok()?;
    let (port, family) = (c.u16().ok()?, c.u16().ok()?);
    let (pid, tid) = (c.u32().ok()?, c.u32().ok()?);
    let ip: IpAddr = match family {
        2 => Ipv4Addr::from(*ip.first_chunk::<4>()?).into(),
        10 => Ipv6Addr::from(ip).into(),
        _ => return None,
    };
    Some((SocketAddr::new(ip, port), pid, tid))
}
