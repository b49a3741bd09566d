//! Entries kept in memory in few bytes, in the order in which they were recorded.
//!
//! Owns: packing entries a piece at a time and giving any of them back, and the
//! time of each on a timeline that never goes back.
//! Must not: take anything but entries: what comes out was recorded, as it went in.
//!
//! A trace of ten million events is a few gigabytes as entries and a hundred
//! megabytes as blocks. Whoever looks at one looks at a few pieces at a time.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use zstd::bulk::Decompressor;

use crate::block::{Block, Packer};
use crate::format::{self, BlockHead};
use crate::{Compatibility, Entry};

/// Entries of a piece.
const PIECE: usize = 4096;
/// A piece with longer events is closed before it is full.
const PIECE_BYTES: usize = 1 << 20;
/// Unpacked pieces kept: the window that is shown, what is looked through for it,
/// and a search or two.
const UNPACKED: usize = 10;
/// Times kept that were asked for.
const TIMES: usize = 4096;
/// Memory counts, and so does the time that it takes while a run goes on.
const LEVEL: i32 = 1;

/// Entries, each with the largest time up to it.
type Timed = Vec<(u64, Entry)>;

/// Entries in the order in which they were recorded.
#[derive(Default)]
pub struct Shelf {
    pieces: Vec<Arc<Piece>>,
    /// The newest entries, not packed yet.
    open: Timed,
    /// The same, as they will be packed; `None`: one of them would not be.
    frames: Option<Vec<u8>>,
    packer: Option<Packer>,
    cache: RefCell<Cache>,
}

/// Closed: nothing of it changes any more.
struct Piece {
    /// How many entries stand before it.
    first: usize,
    /// Largest time before it, and up to its end.
    times: (u64, u64),
    last_seq: u64,
    body: Body,
}

enum Body {
    Packed {
        bytes: Box<[u8]>,
        first_seq: u64,
        /// All numbers, if they do not follow each other without a gap.
        seqs: Box<[u64]>,
    },
    /// It would not be packed.
    Whole(Arc<Timed>),
}

/// Pieces that were asked for, the latest first.
#[derive(Default)]
struct Cache {
    tools: Option<(Decompressor<'static>, Block)>,
    unpacked: Vec<(usize, Arc<Timed>)>,
    times: HashMap<u64, u64>,
}

/// One entry off the shelf.
pub struct Taken<'a>(From<'a>);

enum From<'a> {
    Open(&'a (u64, Entry)),
    Piece(Arc<Timed>, usize),
}

impl Deref for Taken<'_> {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.timed().1
    }
}

impl Taken<'_> {
    /// The largest time up to it.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.timed().0
    }

    #[expect(clippy::indexing_slicing, reason = "made for places that are there")]
    fn timed(&self) -> &(u64, Entry) {
        match &self.0 {
            From::Open(entry) => entry,
            From::Piece(piece, at) => &piece[*at],
        }
    }
}

impl Clone for Shelf {
    fn clone(&self) -> Self {
        Self {
            pieces: self.pieces.clone(),
            open: self.open.clone(),
            frames: self.frames.clone(),
            packer: None,
            cache: RefCell::default(),
        }
    }
}

impl Shelf {
    /// Takes the next entry.
    pub fn push(&mut self, entry: Entry) {
        let time = self
            .last_time()
            .map_or(entry.at(), |last| last.max(entry.at()));
        if self.open.is_empty() {
            self.frames.get_or_insert_default().clear();
        }
        let kind = entry.event().fact.kind();
        match (belljar_event::encode_fact(entry.event()), &mut self.frames) {
            (Ok(bytes), Some(frames)) => {
                let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                format::push_frame(frames, kind, length, &bytes);
            }
            (_, frames) => *frames = None,
        }
        self.open.push((time, entry));
        let bytes = self.frames.as_ref().map_or(0, Vec::len);
        if self.open.len() >= PIECE || bytes >= PIECE_BYTES {
            self.close();
        }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open_from().saturating_add(self.open.len())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry at this place.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Taken<'_>> {
        if let Some(at) = index.checked_sub(self.open_from()) {
            return self.open.get(at).map(|entry| Taken(From::Open(entry)));
        }
        let number = self.pieces.partition_point(|piece| piece.first <= index);
        let number = number.checked_sub(1)?;
        let at = index.checked_sub(self.pieces.get(number)?.first)?;
        let piece = self.unpacked(number)?;
        (at < piece.len()).then_some(Taken(From::Piece(piece, at)))
    }

    /// The largest time up to this place.
    #[must_use]
    pub fn time(&self, index: usize) -> Option<u64> {
        self.get(index).map(|entry| entry.time())
    }

    /// The time of the first.
    #[must_use]
    pub fn first_time(&self) -> Option<u64> {
        match self.pieces.first() {
            Some(piece) => Some(piece.times.0),
            None => self.open.first().map(|(time, _)| *time),
        }
    }

    /// When the entry with this number was recorded. Asked again, it costs nothing.
    #[must_use]
    pub fn time_of(&self, seq: u64) -> Option<u64> {
        if let Some(time) = self.cache.borrow().times.get(&seq) {
            return Some(*time);
        }
        let time = self.get(self.index_of(seq)?)?.at();
        let times = &mut self.cache.borrow_mut().times;
        if times.len() >= TIMES {
            times.clear();
        }
        times.insert(seq, time);
        Some(time)
    }

    /// The largest time of all.
    #[must_use]
    pub fn last_time(&self) -> Option<u64> {
        match self.open.last() {
            Some((time, _)) => Some(*time),
            None => self.pieces.last().map(|piece| piece.times.1),
        }
    }

    /// How many entries are not later than `time`.
    #[must_use]
    pub fn until(&self, time: u64) -> usize {
        self.partition(
            |piece| piece.times.1 <= time,
            |(largest, _)| *largest <= time,
        )
    }

    /// Where the entry with this number stands.
    #[must_use]
    pub fn index_of(&self, seq: u64) -> Option<usize> {
        let index = self.partition(|piece| piece.last_seq < seq, |(_, entry)| entry.seq() < seq);
        (self.get(index)?.seq() == seq).then_some(index)
    }

    /// Bytes of what is packed.
    #[must_use]
    pub fn packed(&self) -> usize {
        let sizes = self.pieces.iter().map(|piece| match &piece.body {
            Body::Packed { bytes, seqs, .. } => bytes.len() + size_of_val(&**seqs),
            Body::Whole(_) => 0,
        });
        sizes.sum()
    }

    /// How many entries from the start fulfil what is true up to a point only.
    fn partition(
        &self,
        whole: impl Fn(&Piece) -> bool,
        holds: impl Fn(&(u64, Entry)) -> bool,
    ) -> usize {
        let number = self.pieces.partition_point(|piece| whole(piece));
        match self.pieces.get(number) {
            Some(piece) => {
                let within = self.unpacked(number);
                piece.first + within.map_or(0, |within| within.partition_point(holds))
            }
            None => self.open_from() + self.open.partition_point(holds),
        }
    }

    /// How many entries are packed.
    fn open_from(&self) -> usize {
        self.pieces.last().map_or(0, |piece| piece.end())
    }

    fn close(&mut self) {
        let timed = Arc::new(std::mem::take(&mut self.open));
        self.open.reserve_exact(timed.len().min(PIECE));
        let (Some((_, first)), Some((time, last))) = (timed.first(), timed.last()) else {
            return;
        };
        let piece = Piece {
            first: self.open_from(),
            times: (self.last_time().unwrap_or(first.at()), *time),
            last_seq: last.seq(),
            body: self
                .packed_body(&timed)
                .unwrap_or_else(|| Body::Whole(Arc::clone(&timed))),
        };
        // What came last is looked at next.
        self.cache
            .get_mut()
            .keep(self.pieces.len(), Arc::clone(&timed));
        self.pieces.push(Arc::new(piece));
    }

    fn packed_body(&mut self, timed: &Timed) -> Option<Body> {
        let frames = self.frames.as_ref()?;
        if frames.len() > format::MAX_RAW {
            return None;
        }
        let first = &timed.first()?.1;
        let head = BlockHead {
            raw: u32::try_from(frames.len()).ok()?,
            columns: 0,
            events: u32::try_from(timed.len()).ok()?,
            first_seq: first.seq(),
            first_at: first.at(),
        };
        if self.packer.is_none() {
            self.packer = Packer::new(LEVEL).ok();
        }
        let bytes = self.packer.as_mut()?.pack(head, frames).ok()?;
        let numbers = || timed.iter().map(|(_, entry)| entry.seq());
        let gapless = numbers().zip(first.seq()..).all(|(seq, next)| seq == next);
        Some(Body::Packed {
            bytes: bytes.into(),
            first_seq: first.seq(),
            seqs: if gapless {
                Box::default()
            } else {
                numbers().collect()
            },
        })
    }

    fn unpacked(&self, number: usize) -> Option<Arc<Timed>> {
        let mut cache = self.cache.borrow_mut();
        if let Some(at) = cache.unpacked.iter().position(|(has, _)| *has == number) {
            if let Some(front) = cache.unpacked.get_mut(..=at).filter(|_| at > 0) {
                front.rotate_right(1);
            }
            return cache.unpacked.first().map(|(_, piece)| Arc::clone(piece));
        }
        let piece = self.pieces.get(number)?;
        let timed = match &piece.body {
            Body::Whole(timed) => return Some(Arc::clone(timed)),
            Body::Packed {
                bytes,
                first_seq,
                seqs,
            } => cache.unpack(bytes, *first_seq, seqs, piece)?,
        };
        let timed = Arc::new(timed);
        cache.keep(number, Arc::clone(&timed));
        Some(timed)
    }
}

impl Piece {
    /// How many entries stand up to its end.
    fn end(&self) -> usize {
        let own = match &self.body {
            Body::Packed { bytes, .. } => {
                BlockHead::parse(bytes).map_or(0, |(head, _)| head.events as usize)
            }
            Body::Whole(timed) => timed.len(),
        };
        self.first.saturating_add(own)
    }
}

impl Cache {
    fn keep(&mut self, number: usize, piece: Arc<Timed>) {
        self.unpacked.truncate(UNPACKED - 1);
        self.unpacked.insert(0, (number, piece));
    }

    fn unpack(
        &mut self,
        bytes: &[u8],
        first_seq: u64,
        seqs: &[u64],
        piece: &Piece,
    ) -> Option<Timed> {
        if self.tools.is_none() {
            let block = Block::empty(Compatibility::Same);
            self.tools = Some((Decompressor::new().ok()?, block));
        }
        let (zstd, block) = self.tools.as_mut()?;
        block.unpack(zstd, bytes, first_seq).ok()?;
        let mut timed = Vec::with_capacity(piece.end().saturating_sub(piece.first));
        let mut time = piece.times.0;
        while let Some(event) = block.next() {
            let event = event.ok()??;
            let at = timed.len();
            let seq = seqs.get(at).copied();
            time = time.max(event.at);
            let seq = seq.unwrap_or(first_seq.saturating_add(at as u64));
            timed.push((time, Entry::new(seq, event)));
        }
        Some(timed)
    }
}
