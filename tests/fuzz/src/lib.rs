//! What fuzz targets share: a fixed subject for conditions, traces made of
//! hostile events, traces whose hashes are put right again.
//!
//! Owns: turning the fuzzer's bytes into something that gets past the first
//! check. Must not: forgive anything that the code under test does.

use belljar_event::{Addr, Connect, End, Event, Fact, KINDS, Outcome, Status};
use belljar_recorder::{Reader, Start, Writer};
use belljar_replay::cond::{Field, Subject, Value};

/// Most events that one input becomes.
const MAX_EVENTS: usize = 512;
const HEADER: usize = 12;
const HEAD: usize = 40;

/// A subject with a value of every shape.
pub struct Everything;

impl Subject for Everything {
    fn value(&self, field: Field) -> Value<'_> {
        let name = field.name();
        match name.len() % 7 {
            0 => Value::Absent,
            1 => Value::Unknown,
            2 => Value::Bool(true),
            3 => Value::Int(-1),
            4 => Value::bytes(b"/etc/passwd\xff\0\n"),
            5 => Value::Ip([198, 51, 100, 7].into()),
            _ => Value::List(vec![
                Value::Cut(b"beginning of".as_slice().into()),
                Value::str(name),
                Value::Int(i64::MIN),
            ]),
        }
    }
}

/// The events that the bytes hold: kind (an index), length (u16), body; and again.
pub fn events(mut bytes: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some((&[kind, low, high], rest)) = bytes.split_first_chunk::<3>() {
        let length = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
        let (body, rest) = rest.split_at(length);
        bytes = rest;
        let kind = KINDS[usize::from(kind) % KINDS.len()].0;
        if let Ok(Some(event)) = belljar_event::decode_fact(kind, body) {
            events.push(event);
        }
        if events.len() == MAX_EVENTS {
            break;
        }
    }
    events
}

/// The opposite of [`events`]: what a corpus begins with.
pub fn script(events: &[Event]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for event in events {
        let at = KINDS.iter().position(|row| row.0 == event.fact.kind());
        let body = belljar_event::encode_fact(event).unwrap_or_default();
        if let (Some(at), Ok(length)) = (at, u16::try_from(body.len())) {
            bytes.push(at as u8);
            bytes.extend(length.to_le_bytes());
            bytes.extend(body);
        }
    }
    bytes
}

/// A whole trace of these events.
pub fn trace(events: Vec<Event>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::create(&mut bytes, Start::default()).expect("memory takes all");
    for event in events {
        // What is too large is refused by itself.
        let _ = writer.append(event);
    }
    let end = End::Finished(Status::Code(0));
    writer.finish(end).expect("memory takes all");
    drop(writer);
    bytes
}

/// The same file, with each section's chain value as it should be: what an
/// attacker who knows the format would hand in.
pub fn rechained(file: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    let Some(header) = file.get(..HEADER) else {
        return file;
    };
    let mut chain: [u8; 32] = blake3::hash(header).into();
    let mut at = HEADER;
    while let Some(head) = file.get(at..at + HEAD) {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let Some(body) = file.get(at + HEAD..at + HEAD + length) else {
            break;
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(&chain).update(&head[..8]).update(body);
        chain = hasher.finalize().into();
        file[at + 8..at + HEAD].copy_from_slice(&chain);
        at += HEAD + length;
    }
    file
}

/// Reads a trace to its end and asks everything of the reader.
pub fn read(bytes: &[u8]) -> usize {
    let Ok(mut reader) = Reader::open(bytes) else {
        return 0;
    };
    let mut entries = 0;
    for entry in reader.by_ref() {
        let entry = entry.expect("memory does not fail");
        assert_eq!(
            belljar_event::decode_fact(
                entry.event().fact.kind(),
                &belljar_event::encode_fact(entry.event()).expect("it was encoded before"),
            ),
            Ok(Some(entry.event().clone()))
        );
        entries += 1;
    }
    let _ = (reader.integrity(), reader.fault(), reader.unknown());
    entries
}

/// An event that conditions can be asked about.
pub fn connect(addr: std::net::SocketAddr) -> Event {
    let fact = Connect {
        fd: 3,
        addr: Addr::Inet(addr),
        name: None,
    };
    Event {
        at: 1,
        pid: 2,
        tid: 2,
        outcome: Outcome::Returned(0),
        fact: Fact::from(fact),
    }
}
