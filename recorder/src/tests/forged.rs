//! Traces whose hashes are right and whose contents are not: what a hostile
//! sender would make.

use belljar_event::{Event, Fork, Freeze, MAX_EVENT};

use super::*;
use crate::Fault;

fn fork(at: u64) -> Event {
    Event::host(at, Fork { child: 1 }.into())
}

/// Reads what was forged so far: how many entries come out and what is found.
fn fault(bytes: &[u8]) -> (usize, Fault) {
    let mut reader = Reader::open(bytes).unwrap();
    let count = reader.by_ref().count();
    assert!(!reader.integrity().is_complete());
    (count, reader.fault().unwrap().clone())
}

fn text(bytes: &[u8]) -> String {
    fault(bytes).1.to_string()
}

#[test]
fn the_forge_can_make_a_trace_that_is_whole() {
    let mut forge = Forge::new(crate::VERSION);
    forge.events(&[fork(1), ended(2, END)]);
    assert!(read(&forge.close(END, |_| {})).unwrap().1.is_complete());
}

#[test]
fn unknown_kinds_are_counted_keep_their_numbers_and_count_in_the_digest() {
    let make = |bytes: &[u8]| {
        let mut forge = Forge::new(Version { major: 1, minor: 1 });
        // One in the middle of a block, one at its beginning; one that starts like
        // every event of today, one that does not.
        forge.block(
            &[frame(&fork(1)), (60_000, bytes.to_vec()), frame(&fork(2))],
            1,
        );
        forge.block(&[(60_001, frame(&fork(3)).1), frame(&ended(9, END))], 77);
        forge.close(END, |_| {})
    };
    let (got, integrity) = read(&make(b"\xff\xff")).unwrap();
    assert_eq!(got.iter().map(Entry::seq).collect::<Vec<_>>(), [0, 2, 4]);
    let receipt = integrity.receipt().unwrap().clone();
    assert_eq!((receipt.events, receipt.unknown), (5, 2));
    let other = read(&make(b"\xff\xfe")).unwrap().1;
    assert_ne!(other.receipt().unwrap().digest, receipt.digest);
}

/// An enumeration of a newer minor version has more values; one of ours has not.
#[test]
fn values_that_only_a_newer_version_knows_are_counted() {
    let make = |version| {
        let mut forge = Forge::new(version);
        let (kind, mut bytes) = frame(&Event::host(1, Freeze { frozen: true }.into()));
        *bytes.last_mut().unwrap() = 7;
        forge.block(&[frame(&fork(1)), (kind, bytes), frame(&ended(2, END))], 1);
        forge.close(END, |_| {})
    };
    let (got, integrity) = read(&make(Version { major: 1, minor: 9 })).unwrap();
    assert_eq!((got.len(), integrity.receipt().unwrap().unknown), (2, 1));
    let (count, fault) = fault(&make(crate::VERSION));
    assert_eq!(count, 1);
    assert!(fault.to_string().contains("event of kind"), "{fault}");
}

#[test]
fn fields_behind_known_ones_count_in_the_digest() {
    let make = |more: &[u8]| {
        let mut forge = Forge::new(Version { major: 1, minor: 1 });
        let (kind, bytes) = frame(&fork(1));
        forge.block(&[(kind, [&bytes, more].concat()), frame(&ended(2, END))], 1);
        read(&forge.close(END, |_| {})).unwrap()
    };
    let (old, new) = (make(&[]), make(&[5]));
    assert_eq!(old.0, new.0);
    assert_ne!(
        old.1.receipt().unwrap().digest,
        new.1.receipt().unwrap().digest
    );
}

#[test]
fn a_start_record_may_have_grown() {
    let header = format::header(crate::VERSION);
    let mut forge = Forge::new(crate::VERSION);
    forge.bytes.truncate(format::HEADER_LEN);
    forge.chain = format::chain_start(&header);
    forge.section(
        Section::Start,
        &[start().to_bytes().unwrap(), vec![1, 2, 3]].concat(),
    );
    assert_eq!(
        Reader::open(forge.bytes.as_slice()).unwrap().start(),
        &start()
    );
}

#[test]
fn absurd_lengths_are_refused_before_memory_is_asked_for() {
    for section in [Section::Block, Section::Index, Section::Footer] {
        let mut forge = Forge::new(crate::VERSION);
        let at = forge.bytes.len();
        forge.section(section, b"");
        forge.bytes[at + 4..at + 8].copy_from_slice(&u32::MAX.to_le_bytes());
        let (_, fault) = fault(&forge.bytes);
        assert!(
            matches!(
                fault,
                Fault::Size {
                    claimed: 0xffff_ffff,
                    ..
                }
            ),
            "{fault}"
        );
    }
}

#[test]
fn an_index_longer_than_its_blocks_is_not_even_read() {
    let mut forge = Forge::new(crate::VERSION);
    forge.events(&[ended(1, END)]);
    forge.section(Section::Index, &[0; 2 * format::ROW_LEN]);
    assert!(matches!(
        fault(&forge.bytes),
        (
            1,
            Fault::Size {
                claimed: 48,
                limit: 24,
                ..
            }
        )
    ));
}

#[test]
fn a_block_that_claims_too_much_is_not_decompressed() {
    for (raw, columns) in [(u32::MAX, 9), (9, u32::MAX)] {
        let head = BlockHead {
            raw,
            columns,
            events: 1,
            first_seq: 0,
            first_at: 0,
        };
        let mut forge = Forge::new(crate::VERSION);
        forge.raw_block(head, &[], b"not even zstd");
        assert!(matches!(
            fault(&forge.bytes),
            (
                0,
                Fault::Size {
                    claimed: 0xffff_ffff,
                    ..
                }
            )
        ));
    }
}

/// 128 MiB of zeros in a few KB, whatever the block says about it.
#[test]
fn a_bomb_stops_at_the_size_that_the_block_claims() {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    std::io::copy(
        &mut std::io::Read::take(std::io::repeat(0), 1 << 30),
        &mut encoder,
    )
    .unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 1 << 20);
    for columns in [6, 1 << 20, format::MAX_COLUMNS as u32] {
        let head = BlockHead {
            raw: 6,
            columns,
            events: 1,
            first_seq: 0,
            first_at: 0,
        };
        let mut forge = Forge::new(crate::VERSION);
        forge.raw_block(head, &[], &bomb);
        let (count, fault) = fault(&forge.bytes);
        assert_eq!(count, 0);
        assert!(fault.to_string().contains("does not decompress"), "{fault}");
    }
}

#[test]
fn blocks_that_contradict_themselves_are_damage() {
    let mut raw = Vec::new();
    let (kind, bytes) = frame(&fork(1));
    format::push_frame(&mut raw, kind, bytes.len() as u32, &bytes);
    let columns = columns_of(&raw);
    let packed = zstd::bulk::compress(&columns, 3).unwrap();
    let good = BlockHead {
        raw: raw.len() as u32,
        columns: columns.len() as u32,
        events: 1,
        first_seq: 0,
        first_at: 1,
    };
    let cases = [
        (BlockHead { events: 0, ..good }, "number of events"),
        (
            BlockHead {
                events: format::MAX_BLOCK_EVENTS + 1,
                ..good
            },
            "number of events",
        ),
        (BlockHead { events: 2, ..good }, "frames do not fit"),
        (
            BlockHead {
                first_seq: 1,
                ..good
            },
            "wrong number",
        ),
        (
            BlockHead {
                first_at: 2,
                ..good
            },
            "another time",
        ),
        (
            BlockHead {
                raw: good.raw + 1,
                ..good
            },
            "frames do not fit",
        ),
        (
            BlockHead {
                raw: good.raw - 1,
                ..good
            },
            "frames do not fit",
        ),
        (
            BlockHead {
                columns: good.columns + 1,
                ..good
            },
            "fewer bytes",
        ),
        (
            BlockHead {
                columns: good.columns - 1,
                ..good
            },
            "does not decompress",
        ),
    ];
    for (head, expected) in cases {
        let mut forge = Forge::new(crate::VERSION);
        forge.raw_block(head, &raw, &packed);
        assert!(
            text(&forge.bytes).contains(expected),
            "{} is not {expected}",
            text(&forge.bytes)
        );
    }
}

#[test]
fn a_block_with_more_events_than_it_says_is_damage() {
    let mut raw = Vec::new();
    for event in [fork(1), ended(2, END)] {
        let (kind, bytes) = frame(&event);
        format::push_frame(&mut raw, kind, bytes.len() as u32, &bytes);
    }
    let columns = columns_of(&raw);
    let head = BlockHead {
        raw: raw.len() as u32,
        columns: columns.len() as u32,
        events: 1,
        first_seq: 0,
        first_at: 1,
    };
    let mut forge = Forge::new(crate::VERSION);
    forge.raw_block(head, &raw, &zstd::bulk::compress(&columns, 3).unwrap());
    assert_eq!(fault(&forge.bytes).0, 0);
    assert!(text(&forge.bytes).contains("frames do not fit"));
}

#[test]
fn frames_that_run_over_their_block_are_damage() {
    for length in [u32::MAX, MAX_EVENT as u32 + 1, 100] {
        let mut raw = Vec::new();
        format::push_frame(&mut raw, 17, length, &[0; 9]);
        let mut whole = vec![17];
        crate::varint::push_short(&mut whole, length.into());
        whole.extend([0; 9]);
        let columns = super::columns::join(&[&[], &[], &[], &[0], &[], &[], &whole, &[], &[]]);
        let head = BlockHead {
            raw: raw.len() as u32,
            columns: columns.len() as u32,
            events: 1,
            first_seq: 0,
            first_at: 0,
        };
        let mut forge = Forge::new(crate::VERSION);
        forge.raw_block(head, &raw, &zstd::bulk::compress(&columns, 3).unwrap());
        assert!(text(&forge.bytes).contains("frames do not fit"));
    }
}

#[test]
fn an_undecodable_event_ends_the_prefix_before_it() {
    let mut forge = Forge::new(crate::VERSION);
    forge.block(&[frame(&fork(1)), (17, vec![0xff; 3]), frame(&fork(2))], 1);
    forge.events(&[ended(3, END)]);
    let bytes = forge.close(END, |_| {});
    let (count, fault) = fault(&bytes);
    assert_eq!(count, 1);
    assert!(fault.to_string().contains("event of kind 17"), "{fault}");
}

#[test]
fn footers_that_contradict_the_events_are_damage() {
    type Lie = fn(&mut Footer);
    let lies: [(Lie, &str); 6] = [
        (|footer| footer.index += 1, "index is elsewhere"),
        (|footer| footer.events += 1, "number of events"),
        (|footer| footer.unknown = 99, "unknown events"),
        (|footer| footer.digest[0] ^= 1, "digest"),
        (|footer| footer.end = vec![1], "ends the run otherwise"),
        (|footer| footer.end = vec![99], "how the run ended"),
    ];
    for (lie, expected) in lies {
        let mut forge = Forge::new(crate::VERSION);
        forge.events(&[fork(1), ended(2, END)]);
        let bytes = forge.close(END, lie);
        assert!(
            text(&bytes).contains(expected),
            "{} is not {expected}",
            text(&bytes)
        );
    }
    // An end that is not the last event is none.
    let mut forge = Forge::new(crate::VERSION);
    forge.events(&[ended(1, END), fork(2)]);
    assert!(text(&forge.close(END, |_| {})).contains("ends the run otherwise"));
}

#[test]
fn an_index_that_names_other_blocks_is_damage() {
    let mut forge = Forge::new(crate::VERSION);
    forge.events(&[ended(1, END)]);
    forge.places[0].offset += 1;
    assert!(text(&forge.close(END, |_| {})).contains("names other blocks"));
}

#[test]
fn sections_out_of_order_are_damage() {
    for section in [Section::Start, Section::Footer] {
        let mut forge = Forge::new(crate::VERSION);
        forge.events(&[fork(1)]);
        forge.section(section, &[]);
        assert!(text(&forge.bytes).contains("does not belong here"));
    }
    let mut forge = Forge::new(crate::VERSION);
    forge.events(&[ended(1, END)]);
    let rows: Vec<u8> = forge
        .places
        .iter()
        .flat_map(|place| place.to_bytes())
        .collect();
    forge.section(Section::Index, &rows);
    forge.events(&[fork(2)]);
    assert_eq!(fault(&forge.bytes).0, 1);
}
