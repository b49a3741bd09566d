//! Questions and answers of the resolver stub, as bytes.
//!
//! Owns: reading one hostile question, writing one answer.
//! Must not: know where they come from or what is allowed.

use std::net::Ipv4Addr;

use belljar_event::{Text, refused_by};

/// Record type A.
pub(super) const A: u16 = 1;
/// Record type PTR.
pub(super) const PTR: u16 = 12;
/// Record type OPT: extensions.
const OPT: u16 = 41;
const CLASS_IN: u16 = 1;

const HEADER: usize = 12;
const MAX_NAME: usize = 255;
const MAX_LABEL: u8 = 63;

/// Seconds for which an answer holds. Stand-in addresses never change, but
/// asking again is cheap and each question is worth seeing.
const TTL: u32 = 30;

/// Largest answer that is offered over datagrams.
const UDP_SIZE: u16 = 1232;
/// Option: an extended error, and the one for what an operator blocks (RFC 8914).
const EXTENDED_ERROR: u16 = 15;
const BLOCKED: u16 = 15;
/// Longest text of an extended error.
const MAX_EXTRA: usize = 200;

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    id: u16,
    wants_recursion: bool,
    /// Name, type and class as they came: the answer repeats them, case and all.
    raw: Vec<u8>,
    /// The name, lower case, no trailing dot; dots and backslashes inside a
    /// label are escaped with a backslash.
    pub(super) name: Text,
    /// The name, if it is one that a connection can be made to.
    pub(super) host: Option<String>,
    /// Record type.
    pub(super) kind: u16,
    /// The asker understands extensions.
    extended: bool,
}

/// What cannot be answered as a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// Not even an id, or an answer: silence.
    Ignore,
    /// Broken; answered with this.
    Format {
        /// The question's id.
        id: u16,
    },
    /// Not a plain query of one name; answered with this.
    Kind {
        /// The question's id.
        id: u16,
    },
}

/// What to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// This address.
    Address(Ipv4Addr),
    /// The name is there, but not with this type.
    NoData,
    /// No such name, because of this policy line.
    NoName {
        /// The line.
        by: String,
    },
    /// Try again later.
    Failure,
}

/// Takes bytes from the front.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn word(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }
}

/// Reads a question.
pub(super) fn parse(bytes: &[u8]) -> Result<Question, Bad> {
    let mut header = Cursor(bytes.get(..HEADER).ok_or(Bad::Ignore)?);
    let (Some(id), Some(flags), Some(questions)) = (header.word(), header.word(), header.word())
    else {
        return Err(Bad::Ignore);
    };
    if flags & 0x8000 != 0 {
        return Err(Bad::Ignore);
    }
    if flags & 0x7800 != 0 || questions != 1 {
        return Err(Bad::Kind { id });
    }
    let body = bytes.get(HEADER..).unwrap_or_default();
    let (name, length) = name(body).ok_or(Bad::Format { id })?;
    let mut rest = Cursor(body.get(length..).unwrap_or_default());
    let (Some(kind), Some(class)) = (rest.word(), rest.word()) else {
        return Err(Bad::Format { id });
    };
    if class != CLASS_IN {
        return Err(Bad::Kind { id });
    }
    // A root name, and the type: extensions come first or not at all.
    let extended = rest.byte() == Some(0) && rest.word() == Some(OPT);
    Ok(Question {
        id,
        wants_recursion: flags & 0x0100 != 0,
        raw: body.get(..length + 4).unwrap_or_default().to_vec(),
        host: host(&name),
        name: Text::new(&name),
        kind,
        extended,
    })
}

/// The name in printable order and its length on the wire. Compression makes no
/// sense in a first name: refused.
fn name(body: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut cursor = Cursor(body);
    let mut text = Vec::new();
    loop {
        let length = cursor.byte()?;
        if length == 0 {
            break;
        }
        if length > MAX_LABEL || body.len() - cursor.0.len() + usize::from(length) > MAX_NAME {
            return None;
        }
        if !text.is_empty() {
            text.push(b'.');
        }
        for byte in cursor.take(usize::from(length))? {
            if matches!(byte, b'.' | b'\\') {
                text.push(b'\\');
            }
            text.push(byte.to_ascii_lowercase());
        }
    }
    Some((text, body.len() - cursor.0.len()))
}

/// The name as a host name, if it is one: letters, digits, hyphens, underscores.
fn host(name: &[u8]) -> Option<String> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (!name.is_empty() && name.iter().all(plain)).then(|| String::from_utf8_lossy(name).into_owned())
}

/// The bytes of an answer.
pub(super) fn answer(question: &Question, reply: &Reply) -> Vec<u8> {
    let (code, records) = match reply {
        Reply::Address(_) => (0, 1),
        Reply::NoData => (0, 0),
        Reply::NoName { .. } => (3, 0),
        Reply::Failure => (2, 0),
    };
    let recursion = if question.wants_recursion { 0x0100 } else { 0 };
    let extra = match reply {
        // Whoever asks why is told: the line that every report names.
        Reply::NoName { by } if question.extended => Some(extended_error(by)),
        _ => None,
    };
    let additional = u16::from(extra.is_some());
    let mut bytes = header(question.id, recursion | code, 1, records, additional);
    bytes.extend(&question.raw);
    if let Reply::Address(addr) = reply {
        // The name: a pointer to the question's.
        bytes.extend([0xc0, 12]);
        bytes.extend(A.to_be_bytes());
        bytes.extend(CLASS_IN.to_be_bytes());
        bytes.extend(TTL.to_be_bytes());
        bytes.extend(4_u16.to_be_bytes());
        bytes.extend(addr.octets());
    }
    bytes.extend(extra.unwrap_or_default());
    bytes
}

/// A record of extensions with one in it: blocked, and by what.
fn extended_error(by: &str) -> Vec<u8> {
    let text: String = refused_by(by).chars().take(MAX_EXTRA).collect();
    let option = u16::try_from(text.len().saturating_add(2)).unwrap_or(2);
    let mut bytes = vec![0];
    for word in [
        OPT,
        UDP_SIZE,
        0,
        0,
        option.saturating_add(4),
        EXTENDED_ERROR,
        option,
        BLOCKED,
    ] {
        bytes.extend(word.to_be_bytes());
    }
    bytes.extend(text.as_bytes());
    bytes
}

/// The answer to what is no question, if it deserves one.
pub(super) fn refuse(bad: Bad) -> Option<Vec<u8>> {
    match bad {
        Bad::Ignore => None,
        Bad::Format { id } => Some(header(id, 1, 0, 0, 0)),
        Bad::Kind { id } => Some(header(id, 4, 0, 0, 0)),
    }
}

fn header(id: u16, bits: u16, questions: u16, records: u16, additional: u16) -> Vec<u8> {
    // An answer, and recursion is available.
    let flags = 0x8080 | bits;
    [id, flags, questions, records, 0, additional]
        .iter()
        .flat_map(|word| word.to_be_bytes())
        .collect()
}

#[cfg(test)]
mod tests;
