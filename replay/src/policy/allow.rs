//! What a user writes behind `--allow`.
//!
//! Owns: [`Allow`]: parsing and the policy line that it stands for.
//! Must not: resolve names.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use belljar_event::Action;

use super::{Line, PolicyError, text};

/// A destination that the user allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allow {
    /// This name, at any port or one.
    Host(String, Option<u16>),
    /// Every name below this one, but not itself: `*.example`.
    Below(String, Option<u16>),
    /// This very address, without a name, refused ranges included.
    Address(SocketAddr),
}

/// A value of `--allow` that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllowError {
    /// Nothing there.
    #[error("allow: nothing is named; write HOST, HOST:PORT, *.SUFFIX, IP:PORT or [IPv6]:PORT")]
    Empty,
    /// An address without a port.
    #[error("allow `{0}`: an address needs its port, as in {1}")]
    NoPort(String, String),
    /// Not a port.
    #[error("allow `{0}`: `{1}` is no port (1 to 65535)")]
    Port(String, String),
    /// More than a host.
    #[error("allow `{0}`: write only the host, without scheme and path")]
    Url(String),
    /// Not a host name.
    #[error("allow `{0}`: {1}")]
    Host(String, &'static str),
}

impl Allow {
    /// Parses `HOST`, `HOST:PORT`, `*.SUFFIX`, `*.SUFFIX:PORT`, `IP:PORT` or `[IPv6]:PORT`.
    ///
    /// # Errors
    /// With what is wrong and how to write it.
    pub fn parse(text: &str) -> Result<Self, AllowError> {
        let text = text.trim();
        let shown = || text.escape_debug().take(80).collect::<String>();
        if text.is_empty() {
            return Err(AllowError::Empty);
        }
        if text.contains('/') {
            return Err(AllowError::Url(shown()));
        }
        if let Ok(ip) = text
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
        {
            let example = SocketAddr::new(ip, 443).to_string();
            return Err(AllowError::NoPort(shown(), example));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (
                host,
                Some(parse_port(port).ok_or_else(|| {
                    AllowError::Port(shown(), port.escape_debug().take(80).collect())
                })?),
            ),
            None => (text, None),
        };
        let literal = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        if let Ok(ip) = literal.unwrap_or(host).parse::<IpAddr>()
            && let Some(port) = port
        {
            if ip.is_ipv6() && literal.is_none() {
                let example = SocketAddr::new(ip, port).to_string();
                return Err(AllowError::NoPort(shown(), example));
            }
            return Ok(Self::Address(SocketAddr::new(ip.to_canonical(), port)));
        }
        let below = host.strip_prefix("*.");
        let name =
            host_name(below.unwrap_or(host)).map_err(|why| AllowError::Host(shown(), why))?;
        Ok(if below.is_some() {
            Self::Below(name, port)
        } else {
            Self::Host(name, port)
        })
    }

    /// A registry from a client's configuration: a name, or a literal address.
    pub(super) fn registry(host: &str, port: u16) -> Result<Self, AllowError> {
        if let Ok(ip) = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
        {
            return Ok(Self::Address(SocketAddr::new(ip.to_canonical(), port)));
        }
        match host_name(host) {
            Ok(name) => Ok(Self::Host(name, Some(port))),
            Err(why) => Err(AllowError::Host(
                host.escape_debug().take(80).collect(),
                why,
            )),
        }
    }

    /// The line that stands for it. Names are checked, so they need no quotes.
    pub(super) fn line(&self, id: String, reason: String) -> Result<Line, PolicyError> {
        self.line_with(id, reason, "")
    }

    /// The line, bound to a phase.
    pub(super) fn line_in_phase(
        &self,
        id: String,
        reason: String,
        phase: &str,
    ) -> Result<Line, PolicyError> {
        if text::id_part(phase) != phase || phase.is_empty() {
            let message = "a phase's name has small letters, digits, `-` and `_`".into();
            return Err(PolicyError::Line { id, message });
        }
        self.line_with(id, reason, &format!(" and phase.name = {phase}"))
    }

    fn line_with(&self, id: String, reason: String, also: &str) -> Result<Line, PolicyError> {
        let (mut condition, port) = match self {
            Self::Host(name, port) => (format!("net.name = {name}"), *port),
            Self::Below(name, port) => (format!("net.name endswith .{name}"), *port),
            Self::Address(to) => (
                format!("net.direct and fd.rip = {}", to.ip()),
                Some(to.port()),
            ),
        };
        if let Some(port) = port {
            condition.push_str(&format!(" and fd.sport = {port}"));
        }
        condition.push_str(also);
        let literal = match self {
            Self::Address(address) => Some(*address),
            Self::Host(..) | Self::Below(..) => None,
        };
        text::line(id, Action::Allow, &condition, Some(reason), literal)
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name, None) => write!(f, "{name}"),
            Self::Host(name, Some(port)) => write!(f, "{name}:{port}"),
            Self::Below(name, None) => write!(f, "*.{name}"),
            Self::Below(name, Some(port)) => write!(f, "*.{name}:{port}"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

impl std::str::FromStr for Allow {
    type Err = AllowError;

    fn from_str(text: &str) -> Result<Self, AllowError> {
        Self::parse(text)
    }
}

fn parse_port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

/// The name in lower case without a final dot, if it is one.
fn host_name(text: &str) -> Result<String, &'static str> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if !name.is_ascii() {
        return Err("write international names in their xn-- form");
    }
    if name.contains('*') {
        return Err("a star can only stand for the whole beginning: *.example");
    }
    if name.is_empty() || name.len() > 253 {
        return Err("a host name has 1 to 253 characters");
    }
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(letter);
    if !name.split('.').all(label) {
        return Err("a host name has labels of letters, digits, `-` and `_`, with dots between");
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    let hex = last
        .strip_prefix("0x")
        .or_else(|| last.strip_prefix("0X"))
        .unwrap_or(last);
    let hexadecimal = hex.len() < last.len() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("it looks like a number: write an address in full, with its port");
    }
    Ok(name.to_ascii_lowercase())
}
