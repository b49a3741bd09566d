//! Reading a trace from beginning to end.
//!
//! Owns: the order of the checks (version, cap, hash, decompress, decode), the
//! recovery of the good prefix, and the verdict on the trace's integrity.
//! Must not: deliver anything from a section whose hash was not checked, or
//! anything behind the first fault.

use std::io::Read;
use std::iter::FusedIterator;

use belljar_event::{End, Ended, Fact};
use zstd::bulk::Decompressor;

use crate::block::Block;
use crate::format::{self, Footer, HEADER_LEN, Head, MAGIC, Place};
use crate::source::{Source, Stop};
use crate::{
    Compatibility, Entry, Fault, Glance, Integrity, Kinds, OpenError, ReadError, Section, Start,
    TraceReceipt, VERSION, Version,
};

/// Reads a trace: an iterator of its entries, oldest first.
///
/// Damage is no error: the entries before it come out, the iterator ends, and
/// [`Self::integrity`] says what is wrong. Only a failing source is an error.
pub struct Reader<R> {
    source: Source<R>,
    version: Version,
    start: Start,
    zstd: Decompressor<'static>,
    chain: [u8; 32],
    digest: blake3::Hasher,
    /// blake3 over the rows that the index must have.
    places: blake3::Hasher,
    blocks: u64,
    block: Block,
    body: Vec<u8>,
    /// Where the good prefix ends: the start of the section being read.
    good: u64,
    /// Number of the next event.
    seq: u64,
    delivered: u64,
    unknown: u64,
    /// How the run ended, if the last event says so.
    ended: Option<End>,
    state: State,
}

enum State {
    Reading,
    Cut(Fault),
    Complete(TraceReceipt),
}

impl<R: Read> Reader<R> {
    /// Reads header and start record.
    ///
    /// # Errors
    /// If it is no trace, one of another major version, or damaged before the
    /// first event.
    pub fn open(source: R) -> Result<Self, OpenError> {
        let mut source = Source::new(source);
        let (version, mut chain) = read_header(&mut source)?;
        let (start, head) = read_start(&mut source, &chain).map_err(|stop| match stop {
            Stop::Io(e) => OpenError::Io(e),
            Stop::Fault(Fault::NoFooter) => OpenError::Damaged(Fault::EndsInside(Section::Start)),
            Stop::Fault(fault) => OpenError::Damaged(fault),
        })?;
        chain = head.chain;
        Ok(Self {
            good: source.position(),
            source,
            version,
            start,
            zstd: Decompressor::new().map_err(OpenError::Io)?,
            chain,
            digest: blake3::Hasher::new(),
            places: blake3::Hasher::new(),
            blocks: 0,
            block: Block::empty(VERSION.reads(version)),
            body: Vec::new(),
            seq: 0,
            delivered: 0,
            unknown: 0,
            ended: None,
            state: State::Reading,
        })
    }

    /// What was run.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// The file's version of the format.
    pub fn version(&self) -> Version {
        self.version
    }

    /// What this belljar can do with it: [`Compatibility::NewerMinor`] is worth a word.
    pub fn compatibility(&self) -> Compatibility {
        VERSION.reads(self.version)
    }

    /// Events of unknown kinds skipped so far.
    pub fn unknown(&self) -> u64 {
        self.unknown
    }

    /// Whether the trace is whole. Ask after the iterator has ended: before, no
    /// trace counts as whole.
    pub fn integrity(&self) -> Integrity {
        match &self.state {
            State::Reading => Integrity::cut(self.delivered, self.good, &Fault::Unread),
            State::Cut(fault) => Integrity::cut(self.delivered, self.good, fault),
            State::Complete(receipt) => Integrity::Complete {
                receipt: receipt.clone(),
            },
        }
    }

    /// What is wrong, if anything was found so far.
    pub fn fault(&self) -> Option<&Fault> {
        match &self.state {
            State::Cut(fault) => Some(fault),
            State::Reading | State::Complete(_) => None,
        }
    }

    /// The next event, decoded only if it is of a wanted kind. Otherwise as
    /// [`Iterator::next`]; what is passed over counts as delivered.
    pub fn glance(&mut self, wanted: Kinds) -> Option<Result<Glance, ReadError>> {
        if !matches!(self.state, State::Reading) {
            return None;
        }
        if let Some((at, pid, tid)) = self.block.pass(wanted) {
            let seq = self.seq;
            self.seq = self.seq.saturating_add(1);
            self.delivered = self.delivered.saturating_add(1);
            self.ended = None;
            return Some(Ok(Glance::Passed { seq, at, pid, tid }));
        }
        self.next().map(|entry| entry.map(Glance::Entry))
    }

    /// The next entry; `None` after the last section.
    fn advance(&mut self) -> Result<Option<Entry>, Stop> {
        loop {
            while let Some(event) = self.block.next() {
                let event = event?;
                let seq = self.seq;
                self.seq = self.seq.saturating_add(1);
                let Some(event) = event else {
                    self.unknown = self.unknown.saturating_add(1);
                    self.ended = None;
                    continue;
                };
                self.ended = match &event.fact {
                    Fact::Ended(Ended { how }) => Some(how.clone()),
                    _ => None,
                };
                self.delivered = self.delivered.saturating_add(1);
                return Ok(Some(Entry::new(seq, event)));
            }
            self.good = self.source.position();
            let head = self.source.head()?;
            match head.section {
                Section::Block => self.read_block(&head)?,
                Section::Index => {
                    self.read_end(&head)?;
                    return Ok(None);
                }
                Section::Header | Section::Start | Section::Footer => {
                    return Err(misplaced(head.section).into());
                }
            }
        }
    }

    fn read_block(&mut self, head: &Head) -> Result<(), Stop> {
        self.source.body(head, &self.chain, &mut self.body)?;
        self.block.unpack(&mut self.zstd, &self.body, self.seq)?;
        self.chain = head.chain;
        self.digest.update(self.block.frames());
        let (first_seq, first_at) = (self.block.head.first_seq, self.block.head.first_at);
        self.places.update(
            &Place {
                offset: self.good,
                first_seq,
                first_at,
            }
            .to_bytes(),
        );
        self.blocks = self.blocks.saturating_add(1);
        Ok(())
    }

    /// Index, footer, end of file; all of it must agree with what was read.
    fn read_end(&mut self, head: &Head) -> Result<(), Stop> {
        let index = self.good;
        let limit = self.blocks.saturating_mul(format::ROW_LEN as u64);
        if u64::from(head.length) > limit {
            let claimed = u64::from(head.length);
            return Err(Fault::Size {
                section: Section::Index,
                claimed,
                limit,
            }
            .into());
        }
        if self.source.digest_body(head, &self.chain)? != self.places.finalize() {
            return Err(
                Fault::malformed(Section::Index, "names other blocks than there are").into(),
            );
        }
        self.chain = head.chain;

        self.good = self.source.position();
        let head = self.source.head()?;
        if head.section != Section::Footer {
            return Err(misplaced(head.section).into());
        }
        self.source.body(&head, &self.chain, &mut self.body)?;
        self.chain = head.chain;
        let receipt = self.check_footer(index)?;

        self.good = self.source.position();
        if !self.source.is_at_end()? {
            return Err(Fault::Trailing.into());
        }
        self.state = State::Complete(receipt);
        Ok(())
    }

    fn check_footer(&self, index: u64) -> Result<TraceReceipt, Fault> {
        let bad = |what: &str| Fault::malformed(Section::Footer, what);
        let footer = Footer::parse(&self.body).ok_or_else(|| bad("fields do not fit"))?;
        let end: End = belljar_event::decode(&footer.end)
            .map_err(|e| bad(&format!("how the run ended: {e}")))?;
        let digest = self.digest.finalize();
        let claims = [
            (footer.index == index, "the index is elsewhere"),
            (footer.events == self.seq, "the number of events is another"),
            (
                footer.unknown <= footer.events,
                "more unknown events than events",
            ),
            (
                digest == footer.digest,
                "the digest of the events is another",
            ),
            (
                self.ended.as_ref() == Some(&end),
                "the last event ends the run otherwise",
            ),
        ];
        match claims.iter().find(|(holds, _)| !holds) {
            Some((_, what)) => Err(bad(what)),
            None => Ok(TraceReceipt {
                events: self.seq,
                unknown: self.unknown,
                chain: self.chain,
                digest: digest.into(),
                end,
            }),
        }
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if !matches!(self.state, State::Reading) {
            return None;
        }
        match self.advance() {
            Ok(entry) => entry.map(Ok),
            Err(Stop::Fault(fault)) => {
                self.state = State::Cut(fault);
                None
            }
            Err(Stop::Io(source)) => {
                self.state = State::Cut(Fault::Source(source.to_string()));
                Some(Err(ReadError::Io {
                    byte: self.good,
                    source,
                }))
            }
        }
    }
}

impl<R: Read> FusedIterator for Reader<R> {}

fn misplaced(section: Section) -> Fault {
    Fault::malformed(section, "does not belong here")
}

/// The version and the chain value to start from.
fn read_header<R: Read>(source: &mut Source<R>) -> Result<(Version, [u8; 32]), OpenError> {
    let header = match source.array::<HEADER_LEN>().map_err(OpenError::Io)? {
        Ok(header) => header,
        Err(short) if MAGIC.starts_with(&short) || short.starts_with(&MAGIC) => {
            return Err(OpenError::Damaged(Fault::EndsInside(Section::Header)));
        }
        Err(_) => return Err(OpenError::Foreign),
    };
    let version = format::parse_header(&header).ok_or(OpenError::Foreign)?;
    match VERSION.reads(version) {
        Compatibility::Same | Compatibility::NewerMinor => {}
        Compatibility::NewerMajor => return Err(OpenError::Newer(version)),
        Compatibility::OlderMajor => return Err(OpenError::Older(version)),
    }
    Ok((version, format::chain_start(&header)))
}

fn read_start<R: Read>(source: &mut Source<R>, chain: &[u8; 32]) -> Result<(Start, Head), Stop> {
    let head = source.head()?;
    if head.section != Section::Start {
        return Err(misplaced(head.section).into());
    }
    let mut body = Vec::new();
    source.body(&head, chain, &mut body)?;
    let start =
        Start::from_bytes(&body).map_err(|e| Fault::malformed(Section::Start, e.to_string()))?;
    Ok((start, head))
}
