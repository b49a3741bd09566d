//! What a policy can decide about, each with the calls that do it.
//!
//! Owns: [`Op`], its name and its bit.
//! Must not: know policies.

use bincode::{Decode, Encode};

use crate::{Call, Class};

/// One kind of deed. The number is part of the wire and of the kernel's maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub enum Op {
    /// Open a file without writing to it.
    Read,
    /// Open a file to write, create or truncate it; make a folder, a node or a symbolic link.
    Write,
    /// Execute a file.
    Exec,
    /// Connect to, or send to, an address outside.
    Connect,
    /// Remove a name.
    Unlink,
    /// Rename; both names count.
    Rename,
    /// Give a file a second name.
    Link,
    /// Change mode or owner.
    Chmod,
}

impl Op {
    /// Each, by number.
    pub const ALL: [Self; 8] = [
        Self::Read,
        Self::Write,
        Self::Exec,
        Self::Connect,
        Self::Unlink,
        Self::Rename,
        Self::Link,
        Self::Chmod,
    ];

    /// Its word in policies and listings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Exec => "exec",
            Self::Connect => "connect",
            Self::Unlink => "unlink",
            Self::Rename => "rename",
            Self::Link => "link",
            Self::Chmod => "chmod",
        }
    }

    /// The deed with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.name() == name)
    }

    /// Its place in tables.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// Its bit in masks.
    #[must_use]
    pub fn bit(self) -> u16 {
        1 << (self as u16)
    }

    /// What a call does; of an open, as long as it writes nothing (see [`Op::of_open`]).
    #[must_use]
    pub fn of_call(call: Call) -> Option<Self> {
        let info = call.info()?;
        Some(match info.class {
            Class::Exec => Self::Exec,
            Class::Open => Self::Read,
            Class::Connect | Class::Send | Class::Message => Self::Connect,
            Class::Change => Self::of_change(info.name),
            _ => return None,
        })
    }

    fn of_change(name: &str) -> Self {
        match name {
            "unlink" | "unlinkat" | "rmdir" => Self::Unlink,
            "rename" | "renameat" | "renameat2" => Self::Rename,
            "link" | "linkat" => Self::Link,
            "chmod" | "fchmodat" | "chown" | "lchown" | "fchownat" => Self::Chmod,
            _ => Self::Write,
        }
    }

    /// What an open with these `O_*` flags does.
    #[must_use]
    pub fn of_open(flags: u32) -> Self {
        const ACCESS: u32 = 0o3;
        const CREATE: u32 = 0o100;
        const TRUNCATE: u32 = 0o1000;
        if flags & ACCESS != 0 || flags & (CREATE | TRUNCATE) != 0 {
            Self::Write
        } else {
            Self::Read
        }
    }
}
