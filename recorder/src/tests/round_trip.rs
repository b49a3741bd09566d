use belljar_event::{CALLS, Call, End, Event, Fact, Open, Outcome, Output, Text};
use proptest::prelude::*;

use super::samples::samples;
use super::*;

#[test]
fn every_kind_comes_back_as_it_was() {
    let events = samples();
    let (bytes, written, receipt) = write(&events, 7);
    let (got, integrity) = read(&bytes).unwrap();
    assert_eq!(got, written);
    assert_eq!(
        integrity,
        Integrity::Complete {
            receipt: receipt.clone()
        }
    );
    let (last, rest) = got.split_last().unwrap();
    assert_eq!(
        rest.iter()
            .map(|entry| entry.event().clone())
            .collect::<Vec<_>>(),
        events
    );
    assert_eq!(
        last.event().fact,
        Fact::from(belljar_event::Ended { how: END })
    );
    assert!(got.iter().map(Entry::seq).eq(0..receipt.events));
    assert_eq!(
        (receipt.events, receipt.unknown),
        (events.len() as u64 + 1, 0)
    );
}

#[test]
fn the_start_record_comes_back() {
    let (bytes, ..) = write(&[], 1);
    assert_eq!(Reader::open(bytes.as_slice()).unwrap().start(), &start());
}

#[test]
fn nothing_but_an_end_is_a_whole_trace() {
    let (bytes, written, receipt) = write(&[], 1);
    assert_eq!(
        read(&bytes).unwrap(),
        (written, Integrity::Complete { receipt })
    );
}

#[test]
fn reader_and_writer_may_change_threads() {
    fn check<T: Send>() {}
    check::<Writer<std::fs::File>>();
    check::<Reader<std::fs::File>>();
    check::<crate::Seeker<std::fs::File>>();
}

#[test]
fn a_trace_half_read_is_not_whole() {
    let (bytes, ..) = write(&samples(), 7);
    let mut reader = Reader::open(bytes.as_slice()).unwrap();
    reader.next().unwrap().unwrap();
    assert!(!reader.integrity().is_complete());
    assert_eq!(reader.by_ref().count(), samples().len());
    assert!(reader.integrity().is_complete());
}

#[test]
fn the_digest_depends_on_the_events_alone() {
    let events = samples();
    let (one, _, receipt) = write(&events, 1);
    let (all, _, other) = write(&events, 1000);
    assert_ne!(one, all);
    assert_ne!(receipt.chain, other.chain);
    assert_eq!(receipt.digest, other.digest);
    let mut swapped = events.clone();
    swapped.swap(3, 4);
    assert_ne!(write(&swapped, 1000).2.digest, other.digest);
    assert_ne!(write(&events[1..], 1000).2.digest, other.digest);
}

#[test]
fn the_digest_is_what_its_doc_says() {
    let events = samples();
    let mut frames = Vec::new();
    for event in events
        .iter()
        .chain([&ended(events.iter().map(|e| e.at).max().unwrap(), END)])
    {
        let (kind, bytes) = frame(event);
        frames.extend(kind.to_le_bytes());
        frames.extend((bytes.len() as u32).to_le_bytes());
        frames.extend(bytes);
    }
    assert_eq!(
        write(&events, 5).2.digest,
        *blake3::hash(&frames).as_bytes()
    );
}

#[test]
fn same_events_give_the_same_bytes() {
    assert_eq!(write(&samples(), 3).0, write(&samples(), 3).0);
}

#[test]
fn blocks_close_by_themselves() {
    let event = Event::host(5, belljar_event::Fork { child: 1 }.into());
    let many = vec![event; 40_000];
    let (bytes, written, _) = write(&many, usize::MAX);
    assert_eq!(first_seqs(&bytes), [0, 16_384, 32_768, 40_000]);
    assert_eq!(read(&bytes).unwrap().0, written);

    // Large events close blocks by size. Incompressible, so that storing costs
    // more than the raw bytes.
    let noise: Vec<u8> = blake3_stream(1_000_000);
    let large = vec![
        Event::host(
            5,
            Output {
                bytes: noise.into()
            }
            .into()
        );
        9
    ];
    let (bytes, written, _) = write(&large, usize::MAX);
    assert_eq!(first_seqs(&bytes), [0, 4, 8, 9]);
    assert_eq!(read(&bytes).unwrap().0, written);
}

fn first_seqs(bytes: &[u8]) -> Vec<u64> {
    let seeker = crate::Seeker::open(std::io::Cursor::new(bytes)).unwrap();
    seeker
        .blocks()
        .iter()
        .map(|place| place.first_seq)
        .collect()
}

fn blake3_stream(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

#[test]
fn the_last_event_has_the_largest_time_or_the_given_one() {
    let events = [9, 4].map(|at| Event::host(at, belljar_event::Fork { child: 1 }.into()));
    assert_eq!(write(&events, 1).1.last().unwrap().at(), 9);
    let mut writer = Writer::create(Vec::new(), start()).unwrap();
    let finished = writer.finish_at(44, End::TimedOut).unwrap();
    assert_eq!(finished.entries.last().unwrap().at(), 44);
    assert_eq!(
        read(writer.sink()).unwrap().1.receipt().unwrap().end,
        End::TimedOut
    );
}

fn any_text() -> impl Strategy<Value = Text> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| Text::Whole(bytes.into())),
        (proptest::collection::vec(any::<u8>(), 0..99), any::<u64>()).prop_map(
            |(bytes, length)| Text::Cut {
                bytes: bytes.into(),
                length
            }
        ),
        Just(Text::Unreadable),
    ]
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::None),
        any::<i64>().prop_map(Outcome::Returned),
        any::<i64>().prop_map(Outcome::Refused),
        Just(Outcome::Died),
    ]
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let open = (
        0..CALLS.len(),
        any_text(),
        proptest::option::of(any_text()),
        any::<u32>(),
    );
    prop_oneof![
        proptest::sample::select(samples()).prop_map(|event| event.fact),
        open.prop_map(|(call, path, file, flags)| {
            let call = Call(CALLS[call].number);
            Open {
                call,
                path,
                base: None,
                file,
                flags,
                mode: 0,
            }
            .into()
        }),
        proptest::collection::vec(any::<u8>(), 0..3000).prop_map(|bytes| Output {
            bytes: bytes.into()
        }
        .into()),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    (
        any::<u64>(),
        any::<u32>(),
        any::<u32>(),
        any_outcome(),
        any_fact(),
    )
        .prop_map(|(at, pid, tid, outcome, fact)| Event {
            at,
            pid,
            tid,
            outcome,
            fact,
        })
}

proptest! {
    #[test]
    fn any_events_in_any_blocks_come_back(
        events in proptest::collection::vec(any_event(), 0..60),
        per_block in 1usize..20,
    ) {
        let (bytes, written, receipt) = write(&events, per_block);
        prop_assert_eq!(written.len(), events.len() + 1);
        for (entry, event) in written.iter().zip(&events) {
            prop_assert_eq!(entry.event(), event);
        }
        prop_assert_eq!(read(&bytes).unwrap(), (written, Integrity::Complete { receipt }));
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..2000), behind: bool) {
        let mut file = if behind { write(&samples(), 50).0 } else { format::header(crate::VERSION).to_vec() };
        let good = if behind { file.len() } else { 0 };
        file.extend(&bytes);
        if let Some((_, integrity)) = read(&file) {
            prop_assert_eq!(integrity.is_complete(), behind && file.len() == good);
        }
    }
}
