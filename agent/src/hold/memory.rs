//! What a held thread's arguments point to.
//!
//! Owns: bounded reads of another process's memory.
//! Must not: believe it; the process may change it at any moment.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// Longest path that the kernel takes, with its NUL.
const PATH: usize = 4096;
const PAGE: u64 = 4096;

/// A thread's memory.
pub(super) struct Memory(File);

impl Memory {
    pub(super) fn of(tid: u32) -> Option<Self> {
        File::open(format!("/proc/{tid}/mem")).ok().map(Self)
    }

    /// Up to `most` bytes, page by page, until `end` says that it is enough.
    fn read(&self, at: u64, most: usize, end: impl Fn(&[u8]) -> Option<usize>) -> Option<Vec<u8>> {
        let mut got = Vec::new();
        let mut from = at;
        while got.len() < most {
            let left = usize::try_from(PAGE - from % PAGE).ok()?;
            let mut piece = vec![0; left.min(most - got.len())];
            self.0.read_exact_at(&mut piece, from).ok()?;
            from = from.checked_add(piece.len() as u64)?;
            if let Some(length) = end(&piece) {
                got.extend(piece.get(..length)?);
                return Some(got);
            }
            got.extend(piece);
        }
        (got.len() == most).then_some(got)
    }

    /// A path.
    pub(super) fn path(&self, at: u64) -> Option<Vec<u8>> {
        let path = self.string(at, PATH)?;
        (path.len() < PATH).then_some(path)
    }

    /// A string, cut at `most` bytes.
    pub(super) fn string(&self, at: u64, most: usize) -> Option<Vec<u8>> {
        if at == 0 {
            return None;
        }
        self.read(at, most, |piece| piece.iter().position(|byte| *byte == 0))
    }

    /// Exactly so many bytes.
    pub(super) fn bytes(&self, at: u64, count: usize) -> Option<Vec<u8>> {
        self.read(at, count, |_| None)
    }

    /// A number of the machine's word size.
    pub(super) fn word(&self, at: u64) -> Option<u64> {
        let bytes = self.bytes(at, 8)?;
        Some(u64::from_ne_bytes(*bytes.first_chunk()?))
    }

    /// The words of a NULL-terminated table of strings: so many, each so long at most.
    pub(super) fn words(&self, table: u64, count: u64, longest: usize) -> Vec<Vec<u8>> {
        let word = |index: u64| {
            let at = self.word(table.checked_add(index * 8)?)?;
            self.string(at, longest)
        };
        (0..count).map_while(word).collect()
    }
}
