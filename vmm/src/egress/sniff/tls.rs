//! The first message of a TLS client.
//!
//! Owns: reading a ClientHello out of its records. Must not: trust a length,
//! read more than it is given, or know what the name should be.
//!
//! A hello may be spread over several records, as tools that hide names do it.

/// First byte of a record that carries handshake messages.
pub(super) const HANDSHAKE: u8 = 22;
const MAJOR: u8 = 3;
const RECORD_HEAD: usize = 5;
/// Most bytes in a record.
const MAX_RECORD: usize = 1 << 14;
/// Most records that one hello may be spread over.
const MAX_RECORDS: usize = 64;
const CLIENT_HELLO: u8 = 1;
const MESSAGE_HEAD: usize = 4;

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
const HOST_NAME: u8 = 0;
/// Protocols kept.
const MAX_PROTOCOLS: usize = 16;

/// What a client said before anything was encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hello {
    /// The server's name, if it is told.
    pub(super) name: Option<Vec<u8>>,
    /// Protocols offered.
    pub(super) alpn: Vec<Vec<u8>>,
    /// An encrypted hello is inside: the name outside need not be the one that counts.
    pub(super) encrypted: bool,
}

/// What the bytes so far are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// The beginning of a hello.
    Partial,
    /// A hello, and how many bytes it takes.
    Hello(Hello, usize),
    /// Not TLS.
    Other,
    /// TLS, but no hello that could be read.
    Malformed,
}

/// Reads a hello from the beginning of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Read {
    let mut message = Vec::new();
    let mut rest = Bytes(bytes);
    for _ in 0..MAX_RECORDS {
        let fragment = match record(&mut rest, message.is_empty()) {
            Ok(fragment) => fragment,
            Err(read) => return read,
        };
        message.extend_from_slice(fragment);
        if message.first() != Some(&CLIENT_HELLO) {
            return Read::Malformed;
        }
        let mut body = Bytes(&message);
        let length = body.take(1).and_then(|_| body.number(3));
        let Some(length) = length else { continue };
        match message.len().cmp(&length.saturating_add(MESSAGE_HEAD)) {
            std::cmp::Ordering::Less => {}
            // Nothing may follow a hello within its record.
            std::cmp::Ordering::Greater => return Read::Malformed,
            std::cmp::Ordering::Equal => {
                let used = bytes.len().saturating_sub(rest.0.len());
                return hello(body).map_or(Read::Malformed, |hello| Read::Hello(hello, used));
            }
        }
    }
    Read::Malformed
}

/// The next record's content.
fn record<'a>(rest: &mut Bytes<'a>, first: bool) -> Result<&'a [u8], Read> {
    // What is not TLS is told as early as possible, since its bytes wait.
    let no = || if first { Read::Other } else { Read::Malformed };
    let expect = [Some(HANDSHAKE), Some(MAJOR), None];
    for (byte, expected) in rest.0.iter().zip(expect) {
        if expected.is_some_and(|expected| *byte != expected) {
            return Err(no());
        }
    }
    let head = rest.take(RECORD_HEAD).ok_or(Read::Partial)?;
    let length = Bytes(head.get(3..).unwrap_or_default())
        .number(2)
        .unwrap_or(0);
    if length == 0 || length > MAX_RECORD {
        return Err(no());
    }
    rest.take(length).ok_or(Read::Partial)
}

/// `None`: a length in it is wrong.
fn hello(mut body: Bytes<'_>) -> Option<Hello> {
    body.take(2 + 32)?; // version, random
    body.vector(1)?; // session
    body.vector(2)?; // cipher suites
    body.vector(1)?; // compression
    let mut hello = Hello::default();
    if body.0.is_empty() {
        return Some(hello);
    }
    let mut extensions = Bytes(body.vector(2)?);
    if !body.0.is_empty() {
        return None;
    }
    let mut named = false;
    while !extensions.0.is_empty() {
        let kind = u16::try_from(extensions.number(2)?).ok()?;
        let content = Bytes(extensions.vector(2)?);
        match kind {
            // Twice is forbidden, and which one counts would be a guess.
            SERVER_NAME if std::mem::replace(&mut named, true) => return None,
            SERVER_NAME => hello.name = Some(server_name(content)?),
            ALPN => hello.alpn = protocols(content)?,
            ENCRYPTED_CLIENT_HELLO => hello.encrypted = true,
            _ => {}
        }
    }
    Some(hello)
}

/// The one name: several are forbidden, and which one counts would be a guess.
fn server_name(mut content: Bytes<'_>) -> Option<Vec<u8>> {
    let mut list = Bytes(content.vector(2)?);
    let kind = list.number(1)?;
    let name = list.vector(2)?;
    let whole = content.0.is_empty() && list.0.is_empty();
    (whole && kind == usize::from(HOST_NAME) && !name.is_empty()).then(|| name.to_vec())
}

fn protocols(mut content: Bytes<'_>) -> Option<Vec<Vec<u8>>> {
    let mut list = Bytes(content.vector(2)?);
    let mut all = Vec::new();
    while !list.0.is_empty() {
        let protocol = list.vector(1)?;
        if all.len() < MAX_PROTOCOLS {
            all.push(protocol.to_vec());
        }
    }
    content.0.is_empty().then_some(all)
}

/// True if a record that begins so holds exactly one hello: the second one,
/// after a server asked for other keys. `None`: too short to tell.
pub(super) fn is_another(bytes: &[u8]) -> Option<bool> {
    let mut rest = Bytes(bytes);
    let record = rest.take(RECORD_HEAD)?;
    let length = Bytes(record.get(3..)?).number(2)?;
    if record.first() != Some(&HANDSHAKE) {
        return Some(false);
    }
    let kind = rest.number(1)?;
    let message = rest.number(3)?;
    Some(kind == usize::from(CLIENT_HELLO) && message.saturating_add(MESSAGE_HEAD) == length)
}

/// Type and whole length of the record that begins so; `None`: too short to tell.
pub(super) fn record_head(bytes: &[u8]) -> Option<(u8, usize)> {
    let mut rest = Bytes(bytes);
    let head = rest.take(RECORD_HEAD)?;
    let length = Bytes(head.get(3..)?).number(2)?;
    Some((*head.first()?, length.saturating_add(RECORD_HEAD)))
}

/// What is left to read.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of so many bytes.
    fn number(&mut self, length: usize) -> Option<usize> {
        let bytes = self.take(length)?;
        Some(
            bytes
                .iter()
                .fold(0, |number, byte| (number << 8) | usize::from(*byte)),
        )
    }

    /// Bytes behind a length of so many bytes.
    fn vector(&mut self, length: usize) -> Option<&'a [u8]> {
        let length = self.number(length)?;
        self.take(length)
    }
}
