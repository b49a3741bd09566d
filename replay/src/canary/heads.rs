//! How what is sought begins: a quick look that spares most runs the automaton.
//!
//! Owns: [`Heads`]. Must not: miss a form that the automaton would find.

use std::sync::Arc;

use belljar_event::Decoy;

use super::{Undo, needles, understand};

/// How the forms that are sought begin. Making it takes a small part of the time
/// that the automaton takes, and most runs never need more.
pub(super) struct Heads {
    /// Which of them there may be.
    bits: Box<[u64]>,
    /// Which there are, sorted.
    all: Vec<u64>,
}

/// Letters of a beginning: as many as a number holds. No form is shorter.
const HEAD: usize = 8;
/// Beginnings are told apart so far.
const HEAD_BITS: u32 = 16;

impl Heads {
    pub(super) fn of(decoys: &[Arc<Decoy>]) -> Self {
        let head = |form: &[u8]| {
            form.iter()
                .take(HEAD)
                .fold(0, |head, byte| next(head, *byte))
        };
        let mut all: Vec<u64> = needles(decoys).iter().map(|(form, _)| head(form)).collect();
        all.sort_unstable();
        all.dedup();
        let mut bits = vec![0; 1 << (HEAD_BITS - 6)].into_boxed_slice();
        for (word, bit) in all.iter().map(|head| place(*head)) {
            bits.get_mut(word).into_iter().for_each(|word| *word |= bit);
        }
        Self { bits, all }
    }

    /// False only if no form is in these bytes, once they are understood.
    pub(super) fn may_be_in(&self, bytes: &[u8]) -> bool {
        let (mut undo, mut head, mut found) = (Undo::Nothing, 0, false);
        for byte in bytes {
            understand(&mut undo, *byte, &mut |byte, _| {
                head = next(head, byte);
                let (word, bit) = place(head);
                let may = self.bits.get(word).is_some_and(|word| word & bit != 0);
                found |= may && self.all.binary_search(&head).is_ok();
            });
        }
        found
    }
}

/// The last letters, in lower case, with one more.
fn next(head: u64, byte: u8) -> u64 {
    head << 8 | u64::from(byte.to_ascii_lowercase())
}

/// Where letters stand among [`Heads`].
fn place(head: u64) -> (usize, u64) {
    let at = head.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - HEAD_BITS);
    ((at >> 6) as usize, 1 << (at & 63))
}
