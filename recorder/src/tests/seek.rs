use std::io::Cursor;

use super::samples::samples;
use super::*;
use crate::{SeekError, Seeker};

#[test]
fn every_block_is_found_by_number() {
    let (bytes, entries, receipt) = write(&samples(), 7);
    let mut seeker = Seeker::open(Cursor::new(&bytes)).unwrap();
    assert_eq!(
        (seeker.start(), seeker.events()),
        (&start(), receipt.events)
    );
    // Backwards, so that nothing depends on what was read before.
    for entry in entries.iter().rev() {
        let block = seeker.block_of(entry.seq()).unwrap();
        let place = seeker.blocks()[block];
        let got = seeker.read_block(block).unwrap();
        assert_eq!(
            (got[0].seq(), got[0].at()),
            (place.first_seq, place.first_at)
        );
        assert!(got.contains(entry));
    }
    assert_eq!(seeker.block_of(receipt.events), None);
    assert!(matches!(
        seeker.read_block(999),
        Err(SeekError::NoBlock(999))
    ));
}

#[test]
fn cut_and_damaged_traces_are_refused_without_a_panic() {
    let (bytes, entries, _) = write(&samples()[6..14], 3);
    for cut in 0..bytes.len() {
        assert!(
            Seeker::open(Cursor::new(&bytes[..cut])).is_err(),
            "cut at {cut}"
        );
    }
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 0x10;
        let Ok(mut seeker) = Seeker::open(Cursor::new(&bad)) else {
            continue;
        };
        let mut failed = false;
        for block in 0..seeker.blocks().len() {
            match seeker.read_block(block) {
                Ok(got) => assert!(got.iter().all(|entry| entries.contains(entry)), "byte {at}"),
                Err(_) => failed = true,
            }
        }
        assert!(failed, "byte {at} flipped and every block reads");
    }
}
