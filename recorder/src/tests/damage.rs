use super::samples::samples;
use super::*;
use crate::{Compatibility, Fault, OpenError};

/// A small trace of several blocks, with where each of its sections begins.
fn victim() -> (Vec<u8>, Vec<Entry>, Vec<usize>) {
    let (bytes, entries, _) = write(&samples()[6..14], 3);
    let mut at = format::HEADER_LEN;
    let mut sections = vec![at];
    while at < bytes.len() {
        let length = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap());
        at += format::HEAD_LEN + length as usize;
        sections.push(at);
    }
    assert_eq!(at, bytes.len());
    // Start, blocks of 3, 3, 2 and the end, index, footer.
    assert_eq!(sections.len() - 1, 1 + 4 + 2);
    (bytes, entries, sections)
}

/// How many entries stand in whole blocks before this byte.
fn whole_before(sections: &[usize], byte: usize) -> usize {
    let ends = [(2, 3), (3, 6), (4, 8), (5, 9)];
    ends.iter()
        .rev()
        .find(|(section, _)| sections[*section] <= byte)
        .map_or(0, |(_, n)| *n)
}

#[test]
fn cut_anywhere_gives_the_good_prefix() {
    let (bytes, entries, sections) = victim();
    for cut in 0..bytes.len() {
        let Some((got, integrity)) = read(&bytes[..cut]) else {
            assert!(cut < sections[1], "must open with {cut} bytes");
            continue;
        };
        assert!(cut >= sections[1]);
        assert_eq!(got, entries[..whole_before(&sections, cut)], "cut at {cut}");
        let good = sections.iter().rev().find(|at| **at <= cut).unwrap();
        let Integrity::Cut { entries, byte, why } = integrity else {
            panic!("cut at {cut} counts as whole");
        };
        assert_eq!(
            (entries, byte),
            (got.len() as u64, *good as u64),
            "cut at {cut}"
        );
        assert!(why.starts_with("ends early: "), "cut at {cut}: {why}");
    }
    assert_eq!(read(&bytes).unwrap().0, entries);
    assert!(read(&bytes).unwrap().1.is_complete());
}

#[test]
fn every_flipped_bit_is_found_before_anything_behind_it_comes_out() {
    let (bytes, entries, sections) = victim();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << bit;
            let Some((got, integrity)) = read(&bad) else {
                assert!(at < sections[1], "must open with byte {at} flipped");
                continue;
            };
            assert!(at >= sections[1], "byte {at} of the start is not covered");
            assert_eq!(got, entries[..whole_before(&sections, at)], "byte {at}");
            let Integrity::Cut { byte, .. } = integrity else {
                panic!("byte {at} flipped and the trace counts as whole");
            };
            assert!(byte <= at as u64, "byte {at}");
        }
    }
}

#[test]
fn a_flip_is_named_as_damage_and_a_cut_is_not() {
    let (mut bytes, _, sections) = victim();
    let body = sections[2] + format::HEAD_LEN + 30;
    let mut reader = Reader::open(&bytes[..body]).unwrap();
    assert_eq!(reader.by_ref().count(), 3);
    assert_eq!(reader.fault(), Some(&Fault::EndsInside(Section::Block)));
    assert!(reader.fault().unwrap().ends_early());

    bytes[body] ^= 1;
    let mut reader = Reader::open(bytes.as_slice()).unwrap();
    assert_eq!(reader.by_ref().count(), 3);
    assert_eq!(reader.fault(), Some(&Fault::Hash(Section::Block)));
    assert!(!reader.fault().unwrap().ends_early());
    let why = "damaged: hash mismatch in a block of events".to_owned();
    let expected = Integrity::Cut {
        entries: 3,
        byte: sections[2] as u64,
        why,
    };
    assert_eq!(reader.integrity(), expected);
}

#[test]
fn blocks_cannot_change_places_or_go_missing() {
    let (bytes, entries, s) = victim();
    let swapped = [
        &bytes[..s[1]],
        &bytes[s[2]..s[3]],
        &bytes[s[1]..s[2]],
        &bytes[s[3]..],
    ]
    .concat();
    let (got, integrity) = read(&swapped).unwrap();
    assert!(got.is_empty() && !integrity.is_complete());
    let missing = [&bytes[..s[2]], &bytes[s[3]..]].concat();
    let (got, integrity) = read(&missing).unwrap();
    assert!(got == entries[..3] && !integrity.is_complete());
    // The end of another trace behind this one's blocks.
    let (other, ..) = write(&samples()[6..13], 3);
    let tail = other.len() - (bytes.len() - s[5]);
    let grafted = [&bytes[..s[5]], &other[tail..]].concat();
    assert!(!read(&grafted).unwrap().1.is_complete());
}

#[test]
fn nothing_may_follow_the_footer() {
    let (mut bytes, entries, _) = victim();
    let whole = bytes.len() as u64;
    bytes.push(0);
    let mut reader = Reader::open(bytes.as_slice()).unwrap();
    assert_eq!(reader.by_ref().count(), entries.len());
    assert_eq!(reader.fault(), Some(&Fault::Trailing));
    let Integrity::Cut { byte, .. } = reader.integrity() else {
        panic!("whole")
    };
    assert_eq!(byte, whole);
}

#[test]
fn foreign_files_are_named_so() {
    for file in [
        &b"PK\x03\x04 something else entirely"[..],
        b"x",
        b"\x89PNG\r\n\x1a\n........",
    ] {
        let error = Reader::open(file).err().unwrap();
        assert!(matches!(error, OpenError::Foreign), "{error}");
    }
    // What a text-mode copy makes of it.
    let mangled = write(&[], 1)
        .0
        .into_iter()
        .filter(|byte| *byte != b'\r')
        .collect::<Vec<_>>();
    assert!(matches!(
        Reader::open(mangled.as_slice()),
        Err(OpenError::Foreign)
    ));
    let empty = Reader::open(&b""[..]).err().unwrap();
    assert!(
        matches!(
            empty,
            OpenError::Damaged(Fault::EndsInside(Section::Header))
        ),
        "{empty}"
    );
}

#[test]
fn versions_are_told_apart() {
    let ours = Version { major: 3, minor: 2 };
    let cases = [
        ((3, 2), Compatibility::Same),
        ((3, 0), Compatibility::Same),
        ((3, 3), Compatibility::NewerMinor),
        ((4, 0), Compatibility::NewerMajor),
        ((2, 9), Compatibility::OlderMajor),
    ];
    for ((major, minor), expected) in cases {
        assert_eq!(
            ours.reads(Version { major, minor }),
            expected,
            "{major}.{minor}"
        );
    }
}

#[test]
fn a_newer_major_is_refused_by_name_whatever_follows_the_header() {
    let mut bytes = format::header(Version { major: 7, minor: 4 }).to_vec();
    bytes.extend(b"in a layout that nobody has thought of yet");
    let text = Reader::open(bytes.as_slice()).err().unwrap().to_string();
    assert!(text.contains("format 7.4 is newer"), "{text}");
    assert!(text.contains("reads format 7"), "{text}");
}

#[test]
fn a_newer_minor_is_read() {
    let mut forge = Forge::new(Version { major: 1, minor: 9 });
    forge.events(&[ended(3, END)]);
    let bytes = forge.close(END, |_| {});
    let mut reader = Reader::open(bytes.as_slice()).unwrap();
    assert_eq!(reader.compatibility(), Compatibility::NewerMinor);
    assert_eq!(reader.by_ref().count(), 1);
    assert!(reader.integrity().is_complete());
}
