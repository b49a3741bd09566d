//! The end of what the payload wrote to its terminal.
//!
//! Owns: the bounded tail. Must not: interpret the bytes; they are hostile.

use std::sync::Arc;

/// So many bytes are kept.
const MAX_BYTES: usize = 256 << 10;

/// The tail. Cloning shares the pieces.
#[derive(Clone, Default)]
pub(crate) struct Output {
    pieces: imbl::Vector<Arc<[u8]>>,
    kept: usize,
    pub(crate) total: u64,
}

impl Output {
    pub(crate) fn wrote(&mut self, bytes: &[u8]) {
        self.total = self.total.saturating_add(bytes.len() as u64);
        if bytes.is_empty() {
            return;
        }
        let tail = bytes
            .get(bytes.len().saturating_sub(MAX_BYTES)..)
            .unwrap_or(bytes);
        self.kept = self.kept.saturating_add(tail.len());
        match self.pieces.back_mut() {
            // Programs that write a byte at a time must not cost a piece each.
            Some(last) if last.len().saturating_add(tail.len()) <= 512 => {
                let mut joined = last.to_vec();
                joined.extend_from_slice(tail);
                *last = joined.into();
            }
            _ => self.pieces.push_back(tail.into()),
        }
        while self.kept > MAX_BYTES {
            let Some(first) = self.pieces.pop_front() else {
                break;
            };
            self.kept = self.kept.saturating_sub(first.len());
        }
    }

    pub(crate) fn tail(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.kept);
        for piece in &self.pieces {
            out.extend_from_slice(piece);
        }
        out
    }
}
