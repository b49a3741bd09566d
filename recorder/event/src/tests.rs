use proptest::prelude::*;

use super::*;

mod any;
mod every_kind;

/// What the generators call the crate whose events they make.
mod event {
    pub(super) use crate::*;
}

#[test]
fn calls_are_sorted_by_number_without_repeats() {
    assert!(CALLS.is_sorted_by(|a, b| a.number < b.number));
    assert_eq!(Call(257).name(), "openat");
    assert_eq!(Call(9999).name(), "syscall");
}

#[test]
fn kinds_are_unique() {
    let mut numbers: Vec<_> = KINDS.iter().map(|(number, _)| number).collect();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), KINDS.len());
}

#[test]
fn unknown_kind_is_skipped_not_an_error() {
    let event = Event::host(
        1,
        Lost {
            count: 3,
            place: "ring buffer".into(),
        }
        .into(),
    );
    let bytes = encode_fact(&event).unwrap();
    assert_eq!(decode_fact(60_000, &bytes), Ok(None));
    assert_eq!(decode_fact(event.fact.kind(), &bytes), Ok(Some(event)));
}

#[test]
fn fields_added_behind_are_ignored() {
    let event = Event::host(1, Listen { fd: 3 }.into());
    let mut bytes = encode_fact(&event).unwrap();
    bytes.extend([1, 2, 3]);
    assert_eq!(decode_fact(event.fact.kind(), &bytes), Ok(Some(event)));
}

#[test]
fn hello_is_found_behind_stale_bytes() {
    let mut bytes = b"stale BELLJ".to_vec();
    bytes.extend(wire::hello(wire::HOST_MAGIC, [7; 16]));
    bytes.extend(b"rest");
    let (version, session, end) = wire::find_hello(wire::HOST_MAGIC, &bytes).unwrap();
    assert_eq!(
        (version, session, &bytes[end..]),
        (wire::VERSION, [7; 16], &b"rest"[..])
    );
    assert_eq!(wire::find_hello(wire::HOST_MAGIC, &bytes[..20]), None);
}

#[test]
fn absurd_length_is_refused_before_allocation() {
    // A byte vector that claims 2^60 bytes.
    let bytes = [253, 0, 0, 0, 0, 0, 0, 0, 16];
    assert!(matches!(
        decode::<Vec<u8>>(&bytes),
        Err(CodecError::Decode(_))
    ));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(kind in 0u16..100, bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode_fact(kind, &bytes);
        let _ = decode::<wire::FromAgent>(&bytes);
        let _ = decode::<wire::ToAgent>(&bytes);
        let _ = decode::<wire::StreamKind>(&bytes);
    }

    #[test]
    fn opens_round_trip(at: u64, pid: u32, ret: i64, flags: u32, path in proptest::collection::vec(any::<u8>(), 0..300), cut: bool) {
        let path = if cut { Text::capped(&path, 20) } else { Text::Whole(path.into()) };
        let event = Event {
            at, pid, tid: pid, outcome: Outcome::Returned(ret),
            fact: Open { call: Call(257), path, base: None, file: Some(Text::Unreadable), flags, mode: 0o644 }.into(),
        };
        let bytes = encode(&event).unwrap();
        prop_assert_eq!(decode::<Event>(&bytes).unwrap(), event);
    }
}
