mod columns;
mod damage;
mod every_kind;
mod forged;
mod golden;
mod layout;
mod round_trip;
mod samples;
mod seek;
mod shelf;
mod sink;

use belljar_event::{End, Event, Status, Text};

use crate::format::{self, BlockHead, Footer, Place, Section};
use crate::{Entry, Integrity, Reader, Start, TraceReceipt, Version, Writer};

fn start() -> Start {
    Start {
        engine: "0.1.0".into(),
        label: "left-pad".into(),
        command: vec![Text::from("npm"), Text::Unreadable],
        image: "image".into(),
        kernel: "6.1".into(),
        rules: "00".into(),
        redacted: vec![],
    }
}

const END: End = End::Finished(Status::Code(0));

/// A whole trace, flushed after every `per_block` events.
fn write(events: &[Event], per_block: usize) -> (Vec<u8>, Vec<Entry>, TraceReceipt) {
    let mut writer = Writer::create(Vec::new(), start()).unwrap();
    let mut entries = Vec::new();
    for chunk in events.chunks(per_block) {
        for event in chunk {
            writer.append(event.clone()).unwrap();
        }
        entries.extend(writer.flush().unwrap());
    }
    let finished = writer.finish(END).unwrap();
    entries.extend(finished.entries);
    (writer.into_sink(), entries, finished.receipt)
}

/// Everything that a reader gives; `None` if it does not open.
fn read(bytes: &[u8]) -> Option<(Vec<Entry>, Integrity)> {
    let mut reader = Reader::open(bytes).ok()?;
    let entries = reader.by_ref().map(Result::unwrap).collect();
    assert!(reader.next().is_none());
    Some((entries, reader.integrity()))
}

/// A trace with right hashes and whatever contents a hostile writer likes.
struct Forge {
    bytes: Vec<u8>,
    chain: [u8; 32],
    frames: Vec<u8>,
    places: Vec<Place>,
    seq: u64,
}

impl Forge {
    fn new(version: Version) -> Self {
        let header = format::header(version);
        let mut forge = Self {
            bytes: header.to_vec(),
            chain: format::chain_start(&header),
            frames: Vec::new(),
            places: Vec::new(),
            seq: 0,
        };
        forge.section(Section::Start, &start().to_bytes().unwrap());
        forge
    }

    fn section(&mut self, section: Section, body: &[u8]) {
        let (bytes, chain) = format::section(&self.chain, section, body).unwrap();
        self.bytes.extend(bytes);
        self.chain = chain;
    }

    /// A block that is what it says, of frames given as kind and bytes.
    fn block(&mut self, frames: &[(u16, Vec<u8>)], first_at: u64) {
        let mut raw = Vec::new();
        for (kind, bytes) in frames {
            format::push_frame(&mut raw, *kind, bytes.len() as u32, bytes);
        }
        let columns = columns_of(&raw);
        let head = BlockHead {
            raw: raw.len() as u32,
            columns: columns.len() as u32,
            events: frames.len() as u32,
            first_seq: self.seq,
            first_at,
        };
        self.raw_block(head, &raw, &zstd::bulk::compress(&columns, 3).unwrap());
    }

    /// A block that says anything.
    fn raw_block(&mut self, head: BlockHead, raw: &[u8], packed: &[u8]) {
        let offset = self.bytes.len() as u64;
        self.places.push(Place {
            offset,
            first_seq: head.first_seq,
            first_at: head.first_at,
        });
        self.section(Section::Block, &[&head.to_bytes(), packed].concat());
        self.frames.extend(raw);
        self.seq += u64::from(head.events);
    }

    fn events(&mut self, events: &[Event]) {
        let frames: Vec<_> = events.iter().map(frame).collect();
        self.block(&frames, events[0].at);
    }

    /// Index and footer, the latter changed by `lie`.
    fn close(mut self, end: End, lie: impl FnOnce(&mut Footer)) -> Vec<u8> {
        let index = self.bytes.len() as u64;
        let rows: Vec<u8> = self
            .places
            .iter()
            .flat_map(|place| place.to_bytes())
            .collect();
        self.section(Section::Index, &rows);
        let mut footer = Footer {
            index,
            events: self.seq,
            unknown: 0,
            digest: blake3::hash(&self.frames).into(),
            end: belljar_event::encode(&end).unwrap(),
        };
        lie(&mut footer);
        self.section(Section::Footer, &footer.to_bytes().unwrap());
        self.bytes
    }
}

fn columns_of(frames: &[u8]) -> Vec<u8> {
    crate::columns::fold(frames).unwrap().bytes
}

fn frame(event: &Event) -> (u16, Vec<u8>) {
    (
        event.fact.kind(),
        belljar_event::encode_fact(event).unwrap(),
    )
}

fn ended(at: u64, end: End) -> Event {
    Event::host(at, belljar_event::Ended { how: end }.into())
}
