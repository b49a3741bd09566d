//! A block's body: frames to compressed bytes and back.
//!
//! Owns: compression, and the checks on what a block claims about itself.
//! Must not: hash, read or write; the bytes it unpacks were verified before.

use std::io;

use belljar_event::{Event, KINDS};
use zstd::bulk::{Compressor, Decompressor};

use crate::format::{self, BlockHead, FRAME_LEN, MAX_BLOCK_EVENTS, MAX_RAW};
use crate::{Fault, Section};

const LEVEL: i32 = 3;

/// Packs blocks.
pub(crate) struct Packer(Compressor<'static>);

impl Packer {
    pub(crate) fn new() -> io::Result<Self> {
        Compressor::new(LEVEL).map(Self)
    }

    /// A block's body.
    pub(crate) fn pack(&mut self, head: BlockHead, frames: &[u8]) -> io::Result<Vec<u8>> {
        let mut body = head.to_bytes();
        body.extend(self.0.compress(frames)?);
        Ok(body)
    }
}

/// An unpacked block, given out frame by frame.
pub(crate) struct Block {
    pub(crate) head: BlockHead,
    frames: Vec<u8>,
    /// Where the next frame begins.
    next: usize,
    /// How many were given out.
    given: u32,
}

impl Block {
    /// A block that holds nothing.
    pub(crate) fn empty() -> Self {
        let head = BlockHead {
            raw: 0,
            events: 0,
            first_seq: 0,
            first_at: 0,
        };
        Self {
            head,
            frames: Vec::new(),
            next: 0,
            given: 0,
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
        *self = Self {
            frames: std::mem::take(&mut self.frames),
            ..Self::empty()
        };
        let bad = |what: &str| Fault::malformed(Section::Block, what);
        let (head, packed) = BlockHead::parse(body).ok_or_else(|| bad("too short"))?;
        let raw = usize::try_from(head.raw).unwrap_or(usize::MAX);
        if raw > MAX_RAW {
            let (claimed, limit) = (u64::from(head.raw), MAX_RAW as u64);
            return Err(Fault::Size {
                section: Section::Block,
                claimed,
                limit,
            });
        }
        if head.events == 0 || head.events > MAX_BLOCK_EVENTS {
            return Err(bad("impossible number of events"));
        }
        if head.first_seq != first_seq {
            return Err(bad("its first event has the wrong number"));
        }
        self.frames.clear();
        self.frames.resize(raw, 0);
        // The destination is a slice: zstd cannot write behind it, and stops
        // with an error when the bytes would give more.
        let given = zstd
            .decompress_to_buffer(packed, self.frames.as_mut_slice())
            .map_err(|e| bad(&format!("does not decompress: {e}")))?;
        if given != raw {
            return Err(bad("decompresses to fewer bytes than it says"));
        }
        check_frames(&self.frames, head.events).ok_or_else(|| bad("frames do not fit"))?;
        self.head = head;
        Ok(())
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
            // What a kind of a newer version is made of is its own business.
            Err(_) if !KINDS.iter().any(|row| row.0 == kind) => None,
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
