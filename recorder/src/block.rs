//! A block's body: frames to compressed columns and back.
//!
//! Owns: compression, and the checks on what a block claims about itself.
//! Must not: hash, read or write; the bytes it unpacks were verified before.

use std::io;

use belljar_event::{Event, KINDS};
use zstd::bulk::{Compressor, Decompressor};

use crate::format::{self, BlockHead, FRAME_LEN, MAX_BLOCK_EVENTS, MAX_COLUMNS, MAX_RAW};
use crate::{Compatibility, Fault, Kinds, Section, columns};

/// While a run goes on.
pub(crate) const QUICK: i32 = 3;
/// Where there is time.
pub(crate) const DENSE: i32 = 15;
/// Smaller blocks are not worth several zstd frames.
const SPLIT_FROM: usize = 4 << 10;

/// Packs blocks.
pub(crate) struct Packer(Compressor<'static>);

impl Packer {
    pub(crate) fn new(level: i32) -> io::Result<Self> {
        Compressor::new(level).map(Self)
    }

    /// A block's body.
    pub(crate) fn pack(&mut self, head: BlockHead, frames: &[u8]) -> io::Result<Vec<u8>> {
        let columns = columns::fold(frames)
            .ok_or_else(|| io::Error::other("what is to be packed is no frames"))?;
        let head = BlockHead {
            columns: u32::try_from(columns.bytes.len()).unwrap_or(u32::MAX),
            ..head
        };
        let mut body = head.to_bytes();
        // Bits, characters and numbers have little in common. The three zstd
        // frames in a row decompress like one.
        let mut rest = columns.bytes.as_slice();
        if rest.len() >= SPLIT_FROM {
            let [bits, characters] = columns.seams;
            for seam in [bits, characters.saturating_sub(bits)] {
                let Some((part, after)) = rest.split_at_checked(seam) else {
                    break;
                };
                body.extend(self.0.compress(part)?);
                rest = after;
            }
        }
        body.extend(self.0.compress(rest)?);
        Ok(body)
    }
}

/// An unpacked block, given out frame by frame.
pub(crate) struct Block {
    pub(crate) head: BlockHead,
    columns: Vec<u8>,
    frames: Vec<u8>,
    /// Where the next frame begins.
    next: usize,
    /// How many were given out.
    given: u32,
    /// Written by a newer minor version: what a known kind holds may be unknown, too.
    newer: bool,
}

impl Block {
    /// A block that holds nothing, of a file that this belljar can read so far.
    pub(crate) fn empty(reads: Compatibility) -> Self {
        let head = BlockHead {
            raw: 0,
            columns: 0,
            events: 0,
            first_seq: 0,
            first_at: 0,
        };
        Self {
            head,
            columns: Vec::new(),
            frames: Vec::new(),
            next: 0,
            given: 0,
            newer: reads == Compatibility::NewerMinor,
        }
    }

    /// All frames, as they stood before compression.
    pub(crate) fn frames(&self) -> &[u8] {
        &self.frames
    }

    /// Replaces the contents by those of `body`, whose hash was checked.
    /// Memory is bounded by [`MAX_RAW`] whatever the compressed bytes would give.
    pub(crate) fn unpack(
        &mut self,
        zstd: &mut Decompressor<'_>,
        body: &[u8],
        first_seq: u64,
    ) -> Result<(), Fault> {
        self.frames.clear();
        (self.next, self.given) = (0, 0);
        let bad = |what: &str| Fault::malformed(Section::Block, what);
        let (head, packed) = BlockHead::parse(body).ok_or_else(|| bad("too short"))?;
        let raw = usize::try_from(head.raw).unwrap_or(usize::MAX);
        let length = usize::try_from(head.columns).unwrap_or(usize::MAX);
        for (claimed, limit) in [(raw, MAX_RAW), (length, MAX_COLUMNS)] {
            if claimed > limit {
                return Err(Fault::Size {
                    section: Section::Block,
                    claimed: claimed as u64,
                    limit: limit as u64,
                });
            }
        }
        if head.events == 0 || head.events > MAX_BLOCK_EVENTS {
            return Err(bad("impossible number of events"));
        }
        if head.first_seq != first_seq {
            return Err(bad("its first event has the wrong number"));
        }
        self.columns.clear();
        self.columns.resize(length, 0);
        // The destination is a slice: zstd cannot write behind it, and stops
        // with an error when the bytes would give more.
        let given = zstd
            .decompress_to_buffer(packed, self.columns.as_mut_slice())
            .map_err(|e| bad(&format!("does not decompress: {e}")))?;
        if given != length {
            return Err(bad("decompresses to fewer bytes than it says"));
        }
        columns::unfold(&self.columns, head.events, raw, &mut self.frames)
            .and_then(|()| check_frames(&self.frames, head.events))
            .ok_or_else(|| bad("frames do not fit"))?;
        self.head = head;
        Ok(())
    }

    /// Passes over the next event if nobody wants its kind, and gives its head.
    /// The first of a block is always decoded: its time is checked.
    pub(crate) fn pass(&mut self, wanted: Kinds) -> Option<(u64, u32, u32)> {
        let (kind, bytes, _) = format::split_frame(self.frames.get(self.next..)?)?;
        if self.given == 0 || wanted.has(kind) {
            return None;
        }
        let head = belljar_event::decode_head(bytes).ok()?;
        self.next = self
            .next
            .saturating_add(FRAME_LEN)
            .saturating_add(bytes.len());
        self.given = self.given.saturating_add(1);
        Some(head)
    }

    /// Takes the next event off; `None` at the end of the block, `Some(Ok(None))`
    /// for a kind that this version does not know.
    pub(crate) fn next(&mut self) -> Option<Result<Option<Event>, Fault>> {
        let rest = self.frames.get(self.next..)?;
        let (kind, bytes, _) = format::split_frame(rest)?;
        let (next, first) = (self.next, self.given == 0);
        self.next = next.saturating_add(FRAME_LEN).saturating_add(bytes.len());
        self.given = self.given.saturating_add(1);
        let event = match belljar_event::decode_fact(kind, bytes) {
            Ok(event) => event,
            // What a kind of a newer version is made of is its own business, and a newer
            // version may know more operations, actions or states than this one.
            Err(_) if self.newer || !KINDS.iter().any(|row| row.0 == kind) => None,
            Err(e) => {
                let what = format!("event of kind {kind}: {e}");
                return Some(Err(Fault::malformed(Section::Block, what)));
            }
        };
        match &event {
            Some(event) if first && event.at != self.head.first_at => Some(Err(Fault::malformed(
                Section::Block,
                "its first event has another time",
            ))),
            _ => Some(Ok(event)),
        }
    }
}

/// `Some` if `frames` are exactly `events` frames.
fn check_frames(frames: &[u8], events: u32) -> Option<()> {
    let mut rest = frames;
    for _ in 0..events {
        (_, _, rest) = format::split_frame(rest)?;
    }
    rest.is_empty().then_some(())
}
