//! Addresses as the guest named them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bincode::{Decode, Encode};

use crate::Text;

/// A socket address that a process handed to the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Addr {
    /// IPv4 or IPv6 with port.
    Inet(SocketAddr),
    /// A unix socket: path, or abstract name with its leading NUL.
    Unix(Text),
    /// Another address family (AF_* number), undecoded.
    Other(u16),
    /// The address could not be read, or none was given.
    Unreadable,
}

/// Where a flow wants to go.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Target {
    /// A name that the payload looked up, with the port of the connect.
    Name {
        /// The name as asked, lower case, no trailing dot.
        name: String,
        /// TCP port.
        port: u16,
    },
    /// An address that no lookup led to.
    Direct(SocketAddr),
}

impl Target {
    /// TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        match self {
            Self::Name { port, .. } => *port,
            Self::Direct(addr) => addr.port(),
        }
    }

    /// The name, if the target was looked up.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name { name, .. } => Some(name),
            Self::Direct(_) => None,
        }
    }

    /// The address, if the payload went there directly.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Name { .. } => None,
            Self::Direct(addr) => Some(addr.ip()),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name { name, port } => write!(f, "{name}:{port}"),
            Self::Direct(addr) => write!(f, "{addr}"),
        }
    }
}

/// How a refusal is called: in listings, reports and on the screen, and in what
/// the payload is told. `line` is the policy line, with the check that outranks it.
#[must_use]
pub fn refused_by(line: &str) -> String {
    format!("refused by {line}")
}

/// What the guest's resolver stub said to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum NameAnswer {
    /// A stand-in address: nothing was asked upstream, a connect to it carries
    /// the name to the host.
    Synthetic(Ipv4Addr),
    /// The name does not exist as far as the payload is told: policy denies it.
    Refused,
    /// The name may be connected to, but there is no record of this type (AAAA, MX …).
    NoData,
}
