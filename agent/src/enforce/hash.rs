//! The hash by which kernel and agent name the same path.
//!
//! Owns: the twin of `mix`, `hash_name` and `find_lines` in `bpf/enforce.bpf.h`.
//! Change both together. Must not: be guessable; the seed is drawn for each run.

/// Makes hashes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hasher {
    seed: u64,
}

impl Hasher {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed }
    }

    pub(super) fn seed(self) -> u64 {
        self.seed
    }

    /// Of one component.
    pub(super) fn name(self, name: &[u8]) -> u64 {
        let start = self.seed ^ name.len() as u64;
        name.chunks(8).fold(start, |hash, chunk| {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            mix(hash, u64::from_ne_bytes(word))
        })
    }

    /// Of a path inside a file system, `/`-separated; empty for its root.
    pub(super) fn path(self, device: u32, path: &[u8]) -> u64 {
        path.split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
            .fold(mix(self.seed, u64::from(device)), |hash, name| {
                mix(hash, self.name(name))
            })
    }
}

fn mix(hash: u64, word: u64) -> u64 {
    let hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 29)
}
