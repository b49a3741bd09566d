//! The layout of a `.bjt` file, used by writer and reader alike.
//!
//! Owns: every length, tag, limit and hash of the format.
//! Must not: read or write; hold state.
//!
//! All numbers are little-endian. The header stands outside the codec, so that
//! any version can be recognised by any other.
//!
//! ```text
//! file     header, START, BLOCK…, INDEX, FOOTER, end of file
//! header   magic [8] | major u16 | minor u16
//! section  tag [4] | length u32 | chain [32] | body [length]
//! chain    blake3(previous chain | tag | length | body);
//!          before START the previous chain is blake3(header)
//! START    the start record, encoded
//! BLOCK    frames' length u32 | columns' length u32 | events u32 | first seq u64
//!          | first time u64 | zstd(columns); columns stand for frames: see `columns`
//! frame    kind u16 | length u32 | bytes [length]
//! INDEX    (offset u64 | first seq u64 | first time u64)…   one a block
//! FOOTER   index offset u64 | events u64 | unknown u64 | digest [32]
//!          | length u32 | how the run ended [length]
//!          | (fields of newer minor versions) | footer length u32 | end magic [4]
//! ```
//!
//! A minor version adds event kinds, fields behind known fields, values of an
//! enumeration inside events, or footer fields: older readers skip fields, and
//! count events that they cannot know. Anything else is a new major version.
//! A file of each version stands in `fixtures/golden` and is read for ever.
//!
//! | version | change |
//! | --- | --- |
//! | 0.0 | before the first release |
//! | 1.0 | none but the number: from here on it means something |

use std::fmt;

use belljar_event::MAX_EVENT;

use crate::Version;

/// Begins every trace. The high byte and the line ends give away a copy that
/// was mangled as text.
pub(crate) const MAGIC: [u8; 8] = *b"\x89BJT\r\n\x1a\n";
/// Ends every whole trace.
pub(crate) const END_MAGIC: [u8; 4] = *b"TJB\n";
/// Length of the header.
pub(crate) const HEADER_LEN: usize = 12;
/// Length of a section without its body.
pub(crate) const HEAD_LEN: usize = 40;
/// Length of a block's fields before the compressed columns.
pub(crate) const BLOCK_LEN: usize = 28;
/// Length of a frame without its bytes.
pub(crate) const FRAME_LEN: usize = 6;
/// Length of one row of the index.
pub(crate) const ROW_LEN: usize = 24;
/// Length of what stands at the very end: footer length and end magic.
pub(crate) const TAIL_LEN: usize = 8;

/// A block holds no more events.
pub const MAX_BLOCK_EVENTS: u32 = 16_384;
/// The writer closes a block that has reached this many raw bytes.
pub(crate) const BLOCK_TARGET: usize = 3 << 20;
/// No block is larger before compression; the writer stays far below.
pub(crate) const MAX_RAW: usize = 8 << 20;
/// Columns of frames are hardly ever longer than these; a number may be by a byte.
pub(crate) const MAX_COLUMNS: usize = MAX_RAW + (1 << 20);
/// No block is stored larger: [`MAX_COLUMNS`] and what incompressible bytes cost on top.
const MAX_STORED: usize = MAX_COLUMNS + (1 << 16) + BLOCK_LEN;
/// The end state is encoded like an event; the rest of the footer is small.
const MAX_FOOTER: usize = MAX_EVENT + (1 << 16);
/// Keeps the index within its u32 length.
pub(crate) const MAX_BLOCKS: usize = 1 << 26;

/// A part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Magic and version.
    Header,
    /// What was run.
    Start,
    /// Events.
    Block,
    /// Where the blocks are.
    Index,
    /// Totals and end state.
    Footer,
}

/// Tag, section, largest body.
const SECTIONS: [([u8; 4], Section, usize); 4] = [
    (*b"STRT", Section::Start, MAX_EVENT),
    (*b"BLCK", Section::Block, MAX_STORED),
    (*b"INDX", Section::Index, MAX_BLOCKS * ROW_LEN),
    (*b"FOOT", Section::Footer, MAX_FOOTER),
];

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "the header",
            Self::Start => "the start record",
            Self::Block => "a block of events",
            Self::Index => "the index",
            Self::Footer => "the footer",
        })
    }
}

impl Section {
    fn tag(self) -> [u8; 4] {
        SECTIONS
            .iter()
            .find(|row| row.1 == self)
            .map_or(*b"????", |row| row.0)
    }

    /// The largest body that a reader asks memory for.
    pub(crate) fn limit(self) -> usize {
        SECTIONS
            .iter()
            .find(|row| row.1 == self)
            .map_or(0, |row| row.2)
    }
}

/// The header's bytes.
pub(crate) fn header(version: Version) -> [u8; HEADER_LEN] {
    let mut bytes = [0; HEADER_LEN];
    let (magic, rest) = bytes.split_at_mut(MAGIC.len());
    let (major, minor) = rest.split_at_mut(2);
    magic.copy_from_slice(&MAGIC);
    major.copy_from_slice(&version.major.to_le_bytes());
    minor.copy_from_slice(&version.minor.to_le_bytes());
    bytes
}

/// The version in a header; `None` if it is not one of ours.
pub(crate) fn parse_header(bytes: &[u8; HEADER_LEN]) -> Option<Version> {
    let mut fields = Fields(bytes);
    let magic: [u8; 8] = fields.take()?;
    let version = Version {
        major: fields.u16()?,
        minor: fields.u16()?,
    };
    (magic == MAGIC).then_some(version)
}

/// The chain value that the start record continues.
pub(crate) fn chain_start(header: &[u8; HEADER_LEN]) -> [u8; 32] {
    blake3::hash(header).into()
}

/// A section's chain value in the making: the body may come in pieces.
pub(crate) fn chain(previous: &[u8; 32], section: Section, length: u32) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(previous)
        .update(&section.tag())
        .update(&length.to_le_bytes());
    hasher
}

/// What stands before a section's body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) section: Section,
    pub(crate) length: u32,
    pub(crate) chain: [u8; 32],
}

impl Head {
    /// `None` for an unknown tag. Does not check the length.
    pub(crate) fn parse(bytes: &[u8; HEAD_LEN]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let tag: [u8; 4] = fields.take()?;
        let section = SECTIONS.iter().find(|row| row.0 == tag)?.1;
        Some(Self {
            section,
            length: fields.u32()?,
            chain: fields.take()?,
        })
    }
}

/// A whole section with its chain value; `None` if the body is too large.
pub(crate) fn section(
    previous: &[u8; 32],
    section: Section,
    body: &[u8],
) -> Option<(Vec<u8>, [u8; 32])> {
    let length = u32::try_from(body.len())
        .ok()
        .filter(|_| body.len() <= section.limit())?;
    let chain = chain(previous, section, length)
        .update(body)
        .finalize()
        .into();
    let mut bytes = Vec::with_capacity(HEAD_LEN + body.len());
    bytes.extend(section.tag());
    bytes.extend(length.to_le_bytes());
    bytes.extend(chain);
    bytes.extend(body);
    Some((bytes, chain))
}

/// A block's fields before the compressed columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockHead {
    /// Bytes of the frames.
    pub(crate) raw: u32,
    /// Bytes of the columns that stand for them.
    pub(crate) columns: u32,
    pub(crate) events: u32,
    pub(crate) first_seq: u64,
    pub(crate) first_at: u64,
}

impl BlockHead {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BLOCK_LEN);
        bytes.extend(self.raw.to_le_bytes());
        bytes.extend(self.columns.to_le_bytes());
        bytes.extend(self.events.to_le_bytes());
        bytes.extend(self.first_seq.to_le_bytes());
        bytes.extend(self.first_at.to_le_bytes());
        bytes
    }

    /// The fields and the compressed columns behind them.
    pub(crate) fn parse(body: &[u8]) -> Option<(Self, &[u8])> {
        let mut fields = Fields(body);
        let head = Self {
            raw: fields.u32()?,
            columns: fields.u32()?,
            events: fields.u32()?,
            first_seq: fields.u64()?,
            first_at: fields.u64()?,
        };
        Some((head, fields.0))
    }
}

/// Where a block is: one row of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Byte in the file where the block begins.
    pub offset: u64,
    /// Number of its first event.
    pub first_seq: u64,
    /// Time of its first event.
    pub first_at: u64,
}

impl Place {
    pub(crate) fn to_bytes(self) -> [u8; ROW_LEN] {
        let mut bytes = [0; ROW_LEN];
        let values = [self.offset, self.first_seq, self.first_at];
        for (field, value) in bytes.chunks_exact_mut(8).zip(values) {
            field.copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    pub(crate) fn parse(row: &[u8]) -> Option<Self> {
        let mut fields = Fields(row);
        Some(Self {
            offset: fields.u64()?,
            first_seq: fields.u64()?,
            first_at: fields.u64()?,
        })
    }
}

/// The footer's fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) index: u64,
    pub(crate) events: u64,
    /// Frames that the writer itself did not know: 0, unless a tool carried
    /// over those of a newer trace.
    pub(crate) unknown: u64,
    pub(crate) digest: [u8; 32],
    /// [`belljar_event::End`], encoded.
    pub(crate) end: Vec<u8>,
}

impl Footer {
    /// `None` if the end state is too large.
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.end.len() + 128);
        bytes.extend(self.index.to_le_bytes());
        bytes.extend(self.events.to_le_bytes());
        bytes.extend(self.unknown.to_le_bytes());
        bytes.extend(self.digest);
        bytes.extend(u32::try_from(self.end.len()).ok()?.to_le_bytes());
        bytes.extend(&self.end);
        let length = u32::try_from(bytes.len().checked_add(TAIL_LEN)?).ok()?;
        bytes.extend(length.to_le_bytes());
        bytes.extend(END_MAGIC);
        Some(bytes)
    }

    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let (fields, tail) = body.split_last_chunk::<TAIL_LEN>()?;
        if parse_tail(tail)? as usize != body.len() {
            return None;
        }
        let mut fields = Fields(fields);
        let (index, events, unknown) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let digest = fields.take()?;
        let length = fields.u32()?;
        Some(Self {
            index,
            events,
            unknown,
            digest,
            end: fields.bytes(length)?.to_vec(),
        })
    }
}

/// The length of the footer's body, from the last bytes of a file.
pub(crate) fn parse_tail(tail: &[u8; TAIL_LEN]) -> Option<u32> {
    let mut fields = Fields(tail);
    let length = fields.u32()?;
    (fields.0 == END_MAGIC).then_some(length)
}

/// Appends a frame.
pub(crate) fn push_frame(raw: &mut Vec<u8>, kind: u16, length: u32, bytes: &[u8]) {
    raw.extend(kind.to_le_bytes());
    raw.extend(length.to_le_bytes());
    raw.extend(bytes);
}

/// Takes a frame off the front: its kind, its bytes, and what follows.
pub(crate) fn split_frame(raw: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let mut fields = Fields(raw);
    let kind = fields.u16()?;
    let length = fields
        .u32()
        .filter(|length| *length as usize <= MAX_EVENT)?;
    Some((kind, fields.bytes(length)?, fields.0))
}

/// Takes fixed fields off the front of bytes; `None` where they end.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn bytes(&mut self, length: u32) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}
