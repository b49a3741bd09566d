//! Reading single blocks of a whole trace, found by its index.
//!
//! Owns: the way from a file's end to its index, and from there to any block.
//! Must not: judge a trace: it looks at a few sections, so only a
//! [`Reader`](crate::Reader) that reads all of them can call a trace whole.

use std::io::{self, Read, Seek, SeekFrom};

use zstd::bulk::Decompressor;

use crate::block::Block;
use crate::format::{self, Footer, HEAD_LEN, HEADER_LEN, Head, Place, ROW_LEN, TAIL_LEN};
use crate::source::{Source, Stop};
use crate::{Compatibility, Entry, Fault, Reader, Section, SeekError, Start};

/// Looks up entries by number or time without reading what lies before them.
pub struct Seeker<R> {
    source: R,
    start: Start,
    reads: Compatibility,
    places: Vec<Place>,
    events: u64,
    zstd: Decompressor<'static>,
}

impl From<Stop> for SeekError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Fault(fault) => Self::Damaged(fault),
            Stop::Io(error) => Self::Io(error),
        }
    }
}

impl<R: Read + Seek> Seeker<R> {
    /// Reads start record, index and footer.
    ///
    /// # Errors
    /// If one of them is missing or damaged: a cut trace can only be read from
    /// its beginning.
    pub fn open(mut source: R) -> Result<Self, SeekError> {
        source.rewind()?;
        let (start, reads) = {
            let reader = Reader::open(&mut source)?;
            (reader.start().clone(), reader.compatibility())
        };
        let size = source.seek(SeekFrom::End(0))?;
        let footer_at = find_footer(&mut source, size)?;
        let footer = {
            let (head, mut rest) = head_at(&mut source, footer_at, Section::Footer)?;
            // The footer's hash continues the index's, which is read only now.
            let mut body = Vec::new();
            rest.read(head.length as usize, &mut body)?;
            let footer = Footer::parse(&body)
                .ok_or_else(|| Fault::malformed(Section::Footer, "fields do not fit"))?;
            let (index, _) = head_at(&mut source, footer.index, Section::Index)?;
            let hash = format::chain(&index.chain, Section::Footer, head.length)
                .update(&body)
                .finalize();
            if hash != head.chain {
                return Err(Fault::Hash(Section::Footer).into());
            }
            footer
        };
        let places = read_index(&mut source, &footer)?;
        Ok(Self {
            source,
            start,
            reads,
            places,
            events: footer.events,
            zstd: Decompressor::new()?,
        })
    }

    /// What was run.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// Where each block is.
    pub fn blocks(&self) -> &[Place] {
        &self.places
    }

    /// Events in the trace.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The block that holds the event with this number.
    pub fn block_of(&self, seq: u64) -> Option<usize> {
        if seq >= self.events {
            return None;
        }
        self.places
            .partition_point(|place| place.first_seq <= seq)
            .checked_sub(1)
    }

    /// The entries of one block.
    ///
    /// # Errors
    /// If there is no such block or it is damaged.
    pub fn read_block(&mut self, number: usize) -> Result<Vec<Entry>, SeekError> {
        let place = *self.places.get(number).ok_or(SeekError::NoBlock(number))?;
        let before = match number.checked_sub(1).and_then(|i| self.places.get(i)) {
            Some(before) => head_at(&mut self.source, before.offset, Section::Block)?.0,
            None => head_at(&mut self.source, HEADER_LEN as u64, Section::Start)?.0,
        };
        let (head, mut rest) = head_at(&mut self.source, place.offset, Section::Block)?;
        let mut body = Vec::new();
        rest.body(&head, &before.chain, &mut body)?;
        let mut block = Block::empty(self.reads);
        block.unpack(&mut self.zstd, &body, place.first_seq)?;
        let mut entries = Vec::new();
        let mut seq = place.first_seq;
        while let Some(event) = block.next() {
            entries.extend(event?.map(|event| Entry::new(seq, event)));
            seq = seq.saturating_add(1);
        }
        Ok(entries)
    }
}

/// Where the footer begins, from the last bytes of the file.
fn find_footer<R: Read + Seek>(source: &mut R, size: u64) -> Result<u64, SeekError> {
    let tail_at = size.checked_sub(TAIL_LEN as u64).ok_or(Fault::NoFooter)?;
    source.seek(SeekFrom::Start(tail_at))?;
    let mut tail = [0; TAIL_LEN];
    source.read_exact(&mut tail)?;
    let length = format::parse_tail(&tail).ok_or(Fault::NoFooter)?;
    let at = size
        .checked_sub(u64::from(length))
        .and_then(|at| at.checked_sub(HEAD_LEN as u64));
    Ok(at.ok_or(Fault::NoFooter)?)
}

/// The head of the section at `offset`, which must be of this kind, and what follows it.
fn head_at<R: Read + Seek>(
    source: &mut R,
    offset: u64,
    section: Section,
) -> Result<(Head, Source<&mut R>), SeekError> {
    source.seek(SeekFrom::Start(offset))?;
    let mut rest = Source::new(source);
    let head = rest.head()?;
    if head.section != section {
        return Err(Fault::malformed(head.section, "is not what the index says").into());
    }
    Ok((head, rest))
}

fn read_index<R: Read + Seek>(source: &mut R, footer: &Footer) -> Result<Vec<Place>, SeekError> {
    let (head, mut rest) = head_at(source, footer.index, Section::Index)?;
    let mut body = Vec::new();
    let read: io::Result<usize> = rest.read(head.length as usize, &mut body);
    if read? < head.length as usize {
        return Err(Fault::EndsInside(Section::Index).into());
    }
    let places: Vec<Place> = body
        .chunks_exact(ROW_LEN)
        .filter_map(Place::parse)
        .collect();
    let last = places
        .last()
        .map_or(HEADER_LEN as u64, |place| place.offset);
    let section = if places.is_empty() {
        Section::Start
    } else {
        Section::Block
    };
    let (before, _) = head_at(source, last, section)?;
    let hash = format::chain(&before.chain, Section::Index, head.length)
        .update(&body)
        .finalize();
    if hash != head.chain {
        return Err(Fault::Hash(Section::Index).into());
    }
    if !places.is_sorted_by(|a, b| a.first_seq < b.first_seq && a.offset < b.offset) {
        return Err(Fault::malformed(Section::Index, "blocks are out of order").into());
    }
    Ok(places)
}
