//! Numbers of any width, one after the other without gaps.
//!
//! Owns: the order of the bits. Must not: know how wide a number is.

use crate::varint::Bytes;

/// Bits in a row, the lowest first, in bytes.
#[derive(Default)]
pub(super) struct Bits {
    open: u128,
    count: u32,
    bytes: Vec<u8>,
}

impl Bits {
    pub(super) fn push(&mut self, value: u64, bits: u32) {
        let low = u128::from(value) & ((1u128 << bits) - 1);
        self.open |= low << self.count;
        self.count += bits;
        while self.count >= 8 {
            self.close_byte();
        }
    }

    fn close_byte(&mut self) {
        self.bytes.push(self.open as u8);
        self.open >>= 8;
        self.count = self.count.saturating_sub(8);
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.close_byte();
        }
        self.bytes
    }

    /// At most 64 bits.
    pub(super) fn take(&mut self, from: &mut Bytes<'_>, bits: u32) -> Option<u64> {
        while self.count < bits {
            let byte = *from.take(1)?.first()?;
            self.open |= u128::from(byte) << self.count;
            self.count += 8;
        }
        let value = self.open & ((1u128 << bits) - 1);
        self.open >>= bits;
        self.count -= bits;
        u64::try_from(value).ok()
    }
}
