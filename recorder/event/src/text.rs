//! Strings from the guest: bytes, never trusted to be UTF-8, never silently cut.

use bincode::Encode;
use bincode::de::read::Reader;
use bincode::de::{Decode, Decoder};
use bincode::error::{AllowedEnumVariants, DecodeError};

/// A string read from a hostile process. Partial is shown as partial: a path
/// that could not be read is not the empty path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode)]
pub enum Text {
    /// All of it.
    Whole(Box<[u8]>),
    /// The first bytes of it, and the length it really had.
    Cut {
        /// What was kept.
        bytes: Box<[u8]>,
        /// True length in bytes; at least `bytes.len()`.
        length: u64,
    },
    /// It was there and could not be read.
    Unreadable,
}

impl Text {
    /// A whole text.
    #[must_use]
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self::Whole(bytes.as_ref().into())
    }

    /// The first `max` bytes of `bytes`; says so if that is not all.
    #[must_use]
    pub fn capped(bytes: &[u8], max: usize) -> Self {
        match bytes.get(..max) {
            Some(head) if bytes.len() > max => Self::Cut {
                bytes: head.into(),
                length: bytes.len() as u64,
            },
            _ => Self::Whole(bytes.into()),
        }
    }

    /// The bytes there are; empty where nothing could be read.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) | Self::Cut { bytes, .. } => bytes,
            Self::Unreadable => &[],
        }
    }

    /// True if nothing is missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Whole(_))
    }

    /// UTF-8 with replacement characters. Still hostile: escape it before a
    /// person or a terminal reads it.
    #[must_use]
    pub fn lossy(&self) -> std::borrow::Cow<'_, str> {
        match self {
            Self::Unreadable => "<unreadable>".into(),
            _ => String::from_utf8_lossy(self.bytes()),
        }
    }
}

/// As derived, but copied once: traces consist of texts.
impl<C> Decode<C> for Text {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        match u32::decode(decoder)? {
            0 => Ok(Self::Whole(own(decoder)?)),
            1 => Ok(Self::Cut {
                bytes: own(decoder)?,
                length: u64::decode(decoder)?,
            }),
            2 => Ok(Self::Unreadable),
            found => Err(DecodeError::UnexpectedVariant {
                type_name: "Text",
                allowed: &AllowedEnumVariants::Range { min: 0, max: 2 },
                found,
            }),
        }
    }
}

bincode::impl_borrow_decode!(Text);

fn own<D: Decoder>(decoder: &mut D) -> Result<Box<[u8]>, DecodeError> {
    let length = u64::decode(decoder)?;
    let length = usize::try_from(length).map_err(|_| DecodeError::OutsideUsizeRange(length))?;
    decoder.claim_bytes_read(length)?;
    let reader = decoder.reader();
    if let Some(bytes) = reader.peek_read(length) {
        let own = bytes.into();
        reader.consume(length);
        return Ok(own);
    }
    // No more is asked for than the limit that was just claimed from.
    let mut own = vec![0; length];
    reader.read(&mut own)?;
    Ok(own.into())
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text.as_bytes())
    }
}
