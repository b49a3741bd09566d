//! Two ways to write a number.
//!
//! Owns: the short form of the columns (seven bits a byte), and the form that
//! events are encoded in, which must come back byte for byte.
//! Must not: know what the numbers mean.

/// Appends a number, seven bits a byte, the lowest first.
pub(crate) fn push_short(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a number as the event codec does, in the fewest bytes.
pub(crate) fn push_long(out: &mut Vec<u8>, value: u64) {
    if value < 251 {
        out.push(value as u8);
    } else if let Ok(value) = u16::try_from(value) {
        out.push(251);
        out.extend(value.to_le_bytes());
    } else if let Ok(value) = u32::try_from(value) {
        out.push(252);
        out.extend(value.to_le_bytes());
    } else {
        out.push(253);
        out.extend(value.to_le_bytes());
    }
}

/// Small for numbers near zero, below it too.
pub(crate) fn zigzag(from: u64, to: u64) -> u64 {
    let step = to.wrapping_sub(from) as i64;
    ((step << 1) ^ (step >> 63)) as u64
}

/// What [`zigzag`] led to.
pub(crate) fn unzigzag(from: u64, step: u64) -> u64 {
    let step = ((step >> 1) as i64) ^ -((step & 1) as i64);
    from.wrapping_add(step as u64)
}

/// Takes numbers and bytes off the front; `None` where they end or are not as they must be.
#[derive(Clone, Copy, Default)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    #[inline]
    pub(crate) fn short(&mut self) -> Option<u64> {
        let (first, rest) = self.0.split_first()?;
        if *first < 0x80 {
            self.0 = rest;
            return Some(u64::from(*first));
        }
        self.short_slow()
    }

    fn short_slow(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn short_usize(&mut self) -> Option<usize> {
        usize::try_from(self.short()?).ok()
    }

    /// Only the form that [`push_long`] writes.
    #[inline]
    pub(crate) fn long(&mut self) -> Option<u64> {
        let [first] = self.array()?;
        let (value, least) = match first {
            0..=250 => return Some(u64::from(first)),
            251 => (u64::from(u16::from_le_bytes(self.array()?)), 251),
            252 => (u64::from(u32::from_le_bytes(self.array()?)), 1 << 16),
            253 => (u64::from_le_bytes(self.array()?), 1 << 32),
            _ => return None,
        };
        (value >= least).then_some(value)
    }
}
