//! Writing a trace.
//!
//! Owns: blocks in the making, the running hashes, and the promise that an
//! entry comes out only after its bytes went into the sink.
//! Must not: go on after a failed write; know a clock.

use std::io::{self, Write};
use std::mem;

use belljar_event::{End, Ended, Event, Fact};

use crate::block::{self, Packer};
use crate::format::{self, BlockHead, Footer, Place, Section};
use crate::{Entry, Finished, Start, TraceReceipt, WriteError};

/// Encoded events above this are decoded again before they are accepted: the
/// reader bounds memory, not bytes, and the two are less than 64 times apart.
const PROVE_ABOVE: usize = belljar_event::MAX_EVENT / 64;

/// Writes a trace into a sink. Hand in one that can be synced: the writer
/// flushes it, but only its owner can make it durable.
pub struct Writer<W> {
    sink: W,
    state: State,
    packer: Packer,
    chain: [u8; 32],
    digest: blake3::Hasher,
    /// Bytes in the sink.
    written: u64,
    places: Vec<Place>,
    /// Frames of the open block.
    frames: Vec<u8>,
    /// Number of the open block's first event.
    first_seq: u64,
    /// Events that were accepted.
    events: u64,
    /// Largest time seen.
    latest: u64,
    /// Accepted and not yet given out, oldest first; those of the open block are
    /// not written yet.
    pending: Vec<Entry>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Poisoned,
    Closed,
}

impl<W: Write> Writer<W> {
    /// Begins a trace: header and start record are written at once.
    ///
    /// # Errors
    /// If the start record is too large or the sink fails.
    pub fn create(sink: W, start: Start) -> Result<Self, WriteError> {
        Self::at_level(sink, start, block::QUICK)
    }

    /// As [`Self::create`], for traces made from others: slower, and smaller.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_dense(sink: W, start: Start) -> Result<Self, WriteError> {
        Self::at_level(sink, start, block::DENSE)
    }

    fn at_level(sink: W, start: Start, level: i32) -> Result<Self, WriteError> {
        let header = format::header(crate::VERSION);
        let body = start.to_bytes().map_err(WriteError::Start)?;
        let packer = Packer::new(level).map_err(|source| WriteError::Sink {
            section: Section::Block,
            source,
        })?;
        let mut writer = Self {
            sink,
            state: State::Open,
            packer,
            chain: format::chain_start(&header),
            digest: blake3::Hasher::new(),
            written: 0,
            places: Vec::new(),
            frames: Vec::new(),
            first_seq: 0,
            events: 0,
            latest: 0,
            pending: Vec::new(),
        };
        writer.put(Section::Header, &header)?;
        writer.put_section(Section::Start, &body)?;
        writer.sync_sink(Section::Start)?;
        Ok(writer)
    }

    /// Takes an event. It is not recorded yet: [`Self::flush`] gives its entry.
    ///
    /// # Errors
    /// If the event is too large (the writer stays usable), if the sink fails,
    /// or if the writer failed or finished before.
    pub fn append(&mut self, event: Event) -> Result<(), WriteError> {
        self.ready()?;
        let seq = self.events;
        let kind = event.fact.kind();
        let refused = |event: &Event, source| {
            let kind = event.fact.kind_name();
            WriteError::Event { seq, kind, source }
        };
        let bytes = belljar_event::encode_fact(&event).map_err(|e| refused(&event, e))?;
        if bytes.len() > PROVE_ABOVE {
            belljar_event::decode_fact(kind, &bytes).map_err(|e| refused(&event, e))?;
        }
        // MAX_EVENT is far below u32::MAX.
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        format::push_frame(&mut self.frames, kind, length, &bytes);
        self.events = self.events.saturating_add(1);
        self.latest = self.latest.max(event.at);
        self.pending.push(Entry::new(seq, event));
        if self.frames.len() >= format::BLOCK_TARGET || self.open_events() >= MAX_OPEN {
            self.close_block()?;
        }
        Ok(())
    }

    /// Writes what is buffered and gives out every entry recorded since the last flush.
    ///
    /// # Errors
    /// If the sink fails, or if the writer failed or finished before. The
    /// entries are lost then: they must not be judged or shown.
    pub fn flush(&mut self) -> Result<Vec<Entry>, WriteError> {
        self.ready()?;
        self.close_block()?;
        if !self.pending.is_empty() {
            self.sync_sink(Section::Block)?;
        }
        Ok(mem::take(&mut self.pending))
    }

    /// Ends the trace at the largest time that an event had. See [`Self::finish_at`].
    ///
    /// # Errors
    /// As [`Self::finish_at`].
    pub fn finish(&mut self, end: End) -> Result<Finished, WriteError> {
        self.finish_at(self.latest, end)
    }

    /// Ends the trace: appends the last event, writes index and footer. Without
    /// it a trace counts as cut.
    ///
    /// # Errors
    /// If the sink fails, or if the writer failed or finished before.
    pub fn finish_at(&mut self, at: u64, end: End) -> Result<Finished, WriteError> {
        self.append(Event::host(at, Fact::from(Ended { how: end.clone() })))?;
        let entries = self.flush()?;
        let index = self.written;
        let rows: Vec<u8> = self
            .places
            .iter()
            .flat_map(|place| place.to_bytes())
            .collect();
        self.put_section(Section::Index, &rows)?;
        let digest = self.digest.finalize().into();
        let encoded = belljar_event::encode(&end).map_err(|source| WriteError::Event {
            seq: self.events,
            kind: "ended",
            source,
        })?;
        let footer = Footer {
            index,
            events: self.events,
            unknown: 0,
            digest,
            end: encoded,
        };
        let body = footer
            .to_bytes()
            .ok_or_else(|| self.too_large(Section::Footer))?;
        self.put_section(Section::Footer, &body)?;
        self.sync_sink(Section::Footer)?;
        self.state = State::Closed;
        let receipt = TraceReceipt {
            events: self.events,
            unknown: 0,
            chain: self.chain,
            digest,
            end,
        };
        Ok(Finished { entries, receipt })
    }

    /// The sink, to sync it.
    pub fn sink(&self) -> &W {
        &self.sink
    }

    /// Gives the sink back. What is buffered and not flushed is dropped.
    pub fn into_sink(self) -> W {
        self.sink
    }

    /// Events accepted so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// True if accepted events wait for a flush.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// True if an event waits for its block to be written.
    pub(crate) fn is_block_open(&self) -> bool {
        self.open_events() > 0
    }

    fn ready(&self) -> Result<(), WriteError> {
        match self.state {
            State::Open => Ok(()),
            State::Poisoned => Err(WriteError::Poisoned),
            State::Closed => Err(WriteError::Closed),
        }
    }

    fn open_events(&self) -> u64 {
        self.events.saturating_sub(self.first_seq)
    }

    fn close_block(&mut self) -> Result<(), WriteError> {
        let count = self.open_events();
        if count == 0 {
            return Ok(());
        }
        if self.places.len() >= format::MAX_BLOCKS {
            self.state = State::Poisoned;
            return Err(WriteError::Full(format::MAX_BLOCKS));
        }
        let open = usize::try_from(count).unwrap_or(usize::MAX);
        let first = self
            .pending
            .len()
            .checked_sub(open)
            .and_then(|i| self.pending.get(i));
        let head = BlockHead {
            raw: u32::try_from(self.frames.len()).unwrap_or(u32::MAX),
            columns: 0,
            events: u32::try_from(count).unwrap_or(u32::MAX),
            first_seq: self.first_seq,
            first_at: first.map_or(0, Entry::at),
        };
        let place = Place {
            offset: self.written,
            first_seq: head.first_seq,
            first_at: head.first_at,
        };
        let body = match self.packer.pack(head, &self.frames) {
            Ok(body) => body,
            Err(source) => return Err(self.failed(Section::Block, source)),
        };
        self.put_section(Section::Block, &body)?;
        self.digest.update(&self.frames);
        self.frames.clear();
        self.places.push(place);
        self.first_seq = self.events;
        Ok(())
    }

    fn put_section(&mut self, section: Section, body: &[u8]) -> Result<(), WriteError> {
        let Some((bytes, chain)) = format::section(&self.chain, section, body) else {
            return Err(self.too_large(section));
        };
        self.put(section, &bytes)?;
        self.chain = chain;
        Ok(())
    }

    fn put(&mut self, section: Section, bytes: &[u8]) -> Result<(), WriteError> {
        match self.sink.write_all(bytes) {
            Ok(()) => {
                self.written = self.written.saturating_add(bytes.len() as u64);
                Ok(())
            }
            Err(source) => Err(self.failed(section, source)),
        }
    }

    fn sync_sink(&mut self, section: Section) -> Result<(), WriteError> {
        self.sink
            .flush()
            .map_err(|source| self.failed(section, source))
    }

    fn failed(&mut self, section: Section, source: io::Error) -> WriteError {
        self.state = State::Poisoned;
        WriteError::Sink { section, source }
    }

    fn too_large(&mut self, section: Section) -> WriteError {
        self.failed(
            section,
            io::Error::other("more bytes than the format allows"),
        )
    }
}

/// Most events of an open block.
const MAX_OPEN: u64 = format::MAX_BLOCK_EVENTS as u64;
