//! Bytes to values and back. The only module that knows bincode.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{Decode, Encode};

use crate::{Event, Fact, Outcome};

/// No encoded value may be larger: a reader refuses it before it allocates.
pub const MAX_EVENT: usize = 1 << 20;

const CONFIG: Configuration<LittleEndian, Varint, Limit<MAX_EVENT>> =
    bincode::config::standard().with_limit::<MAX_EVENT>();

/// A value that could not be put into bytes, or bytes that are not a value.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CodecError {
    /// Too large, or not representable.
    #[error("value cannot be encoded: {0}")]
    Encode(String),
    /// Cut, too large, or not what it claims to be.
    #[error("bytes are not a valid value: {0}")]
    Decode(String),
    /// Something follows the value where nothing may.
    #[error("{0} bytes follow the value")]
    Trailing(usize),
}

/// Encodes a value.
///
/// # Errors
/// If it is larger than [`MAX_EVENT`].
pub fn encode<T: Encode>(value: &T) -> Result<Vec<u8>, CodecError> {
    bincode::encode_to_vec(value, CONFIG).map_err(|e| CodecError::Encode(e.to_string()))
}

/// Decodes a value that fills `bytes` exactly.
///
/// # Errors
/// If the bytes are no such value, claim more than [`MAX_EVENT`], or go on after it.
pub fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, used) =
        bincode::decode_from_slice(bytes, CONFIG).map_err(|e| CodecError::Decode(e.to_string()))?;
    match bytes.len() - used {
        0 => Ok(value),
        rest => Err(CodecError::Trailing(rest)),
    }
}

/// Decodes a value from the start of `bytes`: a newer writer may have added fields behind it.
pub(crate) fn decode_prefix<T: Decode<()>>(bytes: &[u8]) -> Result<T, CodecError> {
    bincode::decode_from_slice(bytes, CONFIG)
        .map(|(value, _)| value)
        .map_err(|e| CodecError::Decode(e.to_string()))
}

/// What stands before the fact in an event's bytes.
#[derive(Encode, Decode)]
struct Head {
    at: u64,
    pid: u32,
    tid: u32,
    outcome: Outcome,
}

/// An event's bytes without its kind: the frame around it carries that (see [`Fact::kind`]).
///
/// # Errors
/// If it is larger than [`MAX_EVENT`].
pub fn encode_fact(event: &Event) -> Result<Vec<u8>, CodecError> {
    let mut bytes = encode(&Head {
        at: event.at,
        pid: event.pid,
        tid: event.tid,
        outcome: event.outcome,
    })?;
    bytes.extend(event.fact.encode_body()?);
    if bytes.len() > MAX_EVENT {
        return Err(CodecError::Encode(format!("{} bytes", bytes.len())));
    }
    Ok(bytes)
}

/// An event from its kind and bytes; `None` for a kind that this version does not know.
///
/// # Errors
/// If the bytes are not an event of that kind.
pub fn decode_fact(kind: u16, bytes: &[u8]) -> Result<Option<Event>, CodecError> {
    let (head, used): (Head, usize) =
        bincode::decode_from_slice(bytes, CONFIG).map_err(|e| CodecError::Decode(e.to_string()))?;
    let body = bytes.get(used..).unwrap_or_default();
    Ok(Fact::decode_body(kind, body)?.map(|fact| Event {
        at: head.at,
        pid: head.pid,
        tid: head.tid,
        outcome: head.outcome,
        fact,
    }))
}

/// Time, process and thread of an event, without what happened.
///
/// # Errors
/// If the bytes do not begin like an event.
pub fn decode_head(bytes: &[u8]) -> Result<(u64, u32, u32), CodecError> {
    let head: Head = decode_prefix(bytes)?;
    Ok((head.at, head.pid, head.tid))
}

impl Encode for Event {
    fn encode<E: bincode::enc::Encoder>(
        &self,
        encoder: &mut E,
    ) -> Result<(), bincode::error::EncodeError> {
        let body = encode_fact(self)
            .map_err(|e| bincode::error::EncodeError::OtherString(e.to_string()))?;
        self.fact.kind().encode(encoder)?;
        body.encode(encoder)
    }
}

impl<C> Decode<C> for Event {
    fn decode<D: bincode::de::Decoder<Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        let kind = u16::decode(decoder)?;
        let body = Vec::<u8>::decode(decoder)?;
        decode_fact(kind, &body)
            .map_err(|e| bincode::error::DecodeError::OtherString(e.to_string()))?
            .ok_or_else(|| {
                bincode::error::DecodeError::OtherString(format!("unknown event kind {kind}"))
            })
    }
}

bincode::impl_borrow_decode!(Event);
