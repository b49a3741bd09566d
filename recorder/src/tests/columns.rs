//! Frames to columns and back, for good frames, odd ones and hostile columns.

use belljar_event::{Event, Open, Outcome, Text};
use proptest::prelude::*;

use super::samples::samples;
use crate::columns::{fold, unfold};
use crate::format::{self, MAX_BLOCK_EVENTS};
use crate::varint::{Bytes, push_long, push_short, unzigzag, zigzag};

/// Columns in their container.
pub(super) fn join(columns: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    push_short(&mut out, columns.len() as u64);
    for column in columns {
        push_short(&mut out, column.len() as u64);
    }
    out.extend(columns.concat());
    out
}

fn framed(frames: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut raw = Vec::new();
    for (kind, bytes) in frames {
        format::push_frame(&mut raw, *kind, bytes.len() as u32, bytes);
    }
    raw
}

fn comes_back(frames: &[(u16, Vec<u8>)]) {
    let raw = framed(frames);
    let columns = fold(&raw).unwrap().bytes;
    let mut back = Vec::new();
    assert!(unfold(&columns, frames.len() as u32, raw.len(), &mut back).is_some());
    assert_eq!(back, raw);
}

fn opened(at: u64, path: &str) -> Event {
    Event {
        at,
        pid: 4,
        tid: 5,
        outcome: Outcome::Returned(3),
        fact: Open {
            call: belljar_event::Call(257),
            path: Text::from(path),
            base: None,
            file: Some(Text::from(path)),
            flags: 0,
            mode: 0,
        }
        .into(),
    }
}

#[test]
fn every_sample_comes_back() {
    comes_back(&samples().iter().map(super::frame).collect::<Vec<_>>());
}

#[test]
fn what_was_told_once_is_not_told_again() {
    let path = "/srv/".to_owned() + &"long/".repeat(100);
    let frames = |count: u64| {
        let events = (0..count).map(|at| super::frame(&opened(at, &path)));
        fold(&framed(&events.collect::<Vec<_>>()))
            .unwrap()
            .bytes
            .len()
    };
    // One more event is a few bytes more, not two paths of 505.
    assert!(frames(1) > 505);
    assert!(frames(101) - frames(1) < 100 * 20);
}

/// Bytes that decode like the codec's and are not what it writes must stay as they are.
#[test]
fn numbers_in_a_longer_form_stay_so() {
    let (kind, good) = super::frame(&opened(7, "/x"));
    let mut long = vec![251, 7, 0];
    long.extend(&good[1..]);
    comes_back(&[(kind, good), (kind, long)]);
}

#[test]
fn kinds_beyond_count_are_told_whole() {
    let one = super::frame(&opened(7, "/x")).1;
    comes_back(&(0..400).map(|kind| (kind, one.clone())).collect::<Vec<_>>());
}

#[test]
fn hostile_columns_are_refused() {
    let open = shape_of_an_open(&[3]);
    let refused: [(&str, Vec<u8>); 6] = [
        ("text before the first", shape_of_an_open(&[2])),
        ("number of no text", shape_of_an_open(&[3 + 2])),
        ("none where there must be one", shape_of_an_open(&[0])),
        ("more than is used", shape_of_an_open(&[3, 3])),
        ("less than is needed", shape_of_an_open(&[])),
        ("columns without end", vec![0xff; 10]),
    ];
    let mut frames = Vec::new();
    assert!(
        unfold(&open, 1, 6 + 14, &mut frames).is_some(),
        "{frames:?}"
    );
    for (what, columns) in refused {
        assert!(unfold(&columns, 1, 6 + 14, &mut frames).is_none(), "{what}");
    }
}

/// One open with the text `ab` in the table, and this column of paths.
fn shape_of_an_open(path: &[u8]) -> Vec<u8> {
    join(&[
        &[],
        b"ab",
        &[0],
        &[32],
        &[0],
        &[0],
        &[],
        &[0],
        &[4], // fixed
        &[1],
        &[6],
        &[2],
        path,
        &[0],
        &[0],
        &[0],
        &[0],
        &[0],
        &[],
    ])
}

/// A few bytes that stand for a path of a MiB in every event.
#[test]
fn repeated_texts_stop_at_the_length_that_the_block_claims() {
    let events = MAX_BLOCK_EVENTS as usize;
    let zeros = vec![0; events];
    let text = vec![b'a'; 1 << 20];
    let mut suffix = Vec::new();
    push_short(&mut suffix, (text.len() as u64) << 1);
    let ones = vec![1; events];
    let (kinds, codes) = (vec![32; events], vec![3; events]);
    let bomb = join(&[
        &[],
        &text,
        &zeros,
        &kinds,
        &zeros,
        &zeros,
        &[],
        &[0],
        &suffix, // fixed
        &ones,
        &ones,
        &ones,
        &codes,
        &zeros,
        &zeros,
        &zeros,
        &zeros,
        &zeros,
        &[],
    ]);
    let mut frames = Vec::new();
    assert!(unfold(&bomb, MAX_BLOCK_EVENTS, format::MAX_RAW, &mut frames).is_none());
    assert!(frames.len() <= format::MAX_RAW);
    // The same in the table: each text is the one before and a byte.
    let many = 1 << 14;
    let prefixes: Vec<u8> = (0..many)
        .flat_map(|n| {
            let mut bytes = Vec::new();
            push_short(&mut bytes, n);
            bytes
        })
        .collect();
    let suffixes = vec![2; many as usize];
    let bomb = join(&[
        &[],
        &vec![b'a'; many as usize],
        &[],
        &[],
        &[],
        &[],
        &[],
        &prefixes,
        &suffixes,
    ]);
    assert!(unfold(&bomb, 0, 1 << 20, &mut frames).is_none());
}

proptest! {
    #[test]
    fn any_frames_come_back(frames in proptest::collection::vec(
        (prop_oneof![0u16..100, any::<u16>()], proptest::collection::vec(any::<u8>(), 0..40)), 0..40,
    )) {
        comes_back(&frames);
    }

    #[test]
    fn events_with_something_changed_come_back(
        which in proptest::collection::vec((0..samples().len(), any::<u16>(), any::<u8>()), 1..30),
    ) {
        let frames = which.iter().map(|(number, at, byte)| {
            let (kind, mut bytes) = super::frame(&samples()[*number]);
            let at = usize::from(*at) % bytes.len();
            bytes[at] = *byte;
            (kind, bytes)
        });
        comes_back(&frames.collect::<Vec<_>>());
    }

    #[test]
    fn any_columns_are_survived(
        which in proptest::collection::vec(0..samples().len(), 1..20),
        changes in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..4),
    ) {
        let frames: Vec<_> = which.iter().map(|number| super::frame(&samples()[*number])).collect();
        let raw = framed(&frames);
        let mut columns = fold(&raw).unwrap().bytes;
        for (at, byte) in changes {
            let at = usize::from(at) % columns.len();
            columns[at] = byte;
        }
        let mut back = Vec::new();
        if unfold(&columns, frames.len() as u32, raw.len(), &mut back).is_some() {
            prop_assert_eq!(back.len(), raw.len());
        }
        prop_assert!(back.capacity() <= 4 * format::MAX_RAW);
    }

    #[test]
    fn numbers_come_back(value: u64, from: u64) {
        let (mut short, mut long) = (Vec::new(), Vec::new());
        push_short(&mut short, value);
        push_long(&mut long, value);
        prop_assert_eq!(Bytes(&short).short(), Some(value));
        prop_assert_eq!(Bytes(&long).long(), Some(value));
        prop_assert_eq!(unzigzag(from, zigzag(from, value)), value);
    }
}
