//! Files of every version of the format, kept for ever.

use std::path::PathBuf;

use belljar_event::KINDS;

use super::samples::samples;
use super::*;
use crate::VERSION;

/// Minor version, how many kinds of events it knows, and the digest of its file.
const GOLDEN: [(u16, usize, &str); 1] = [(
    0,
    43,
    "e746767d50b193d72b53b7052e0ae6ab2ad216783159e901f8d0dcb99352cb1a",
)];

fn file(minor: u16) -> PathBuf {
    let name = format!("../fixtures/golden/{}.{minor}.bjt", VERSION.major);
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn every_version_is_read() {
    for (minor, kinds, digest) in GOLDEN {
        let path = file(minor);
        if minor == VERSION.minor && !path.exists() {
            let (bytes, ..) = write(&samples(), 40);
            std::fs::write(&path, bytes).unwrap();
            panic!(
                "{} was not there and has been made: commit it",
                path.display()
            );
        }
        let (entries, integrity) = read(&std::fs::read(&path).unwrap()).unwrap();
        let receipt = integrity.receipt().unwrap();
        assert_eq!(blake3::Hash::from(receipt.digest).to_string(), digest);
        assert_eq!(receipt.unknown, 0);
        let there = KINDS.iter().filter(|(kind, _)| {
            entries
                .iter()
                .any(|entry| entry.event().fact.kind() == *kind)
        });
        assert_eq!(
            there.count(),
            kinds,
            "each kind is in it, and is still known"
        );
    }
}

/// A kind that is added without a new minor version would be damage to older readers of
/// its columns, or at best a riddle.
#[test]
fn a_new_kind_needs_a_new_version() {
    let (minor, kinds, _) = GOLDEN[GOLDEN.len() - 1];
    assert_eq!((VERSION.minor, KINDS.len()), (minor, kinds));
}
