//! Columns to frames.
//!
//! Owns: the table of texts, and the bounds: nothing that comes out is longer
//! than the block says, and nothing may be left over.
//! Must not: trust a number of the columns.

use super::bits::Bits;
use super::{
    AS_BEFORE, BITS, CHARACTERS, KINDS, Kinds, NONE, NUMBERED, PIDS, PREFIXES, SUFFIXES, TAG_CUT,
    TAG_UNREADABLE, TAG_WHOLE, TIDS, TIMES, UNREADABLE, WHOLE, Who, has_value,
};
use crate::format;
use crate::shape::{self, Piece};
use crate::varint::{Bytes, push_long, unzigzag};

/// No block has more: see `MAX_KINDS`.
const MAX_COLUMNS: usize = 1 << 13;

/// The texts of a block, each as the event codec writes it.
#[derive(Default)]
struct Table {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Table {
    /// `None` if it is malformed or would be longer than `limit`: each text
    /// stands in a frame at least once.
    fn build(
        mut prefixes: Bytes<'_>,
        mut suffixes: Bytes<'_>,
        mut own: Bytes<'_>,
        limit: usize,
    ) -> Option<Self> {
        let mut table = Self::default();
        // Where the bytes of the text before stand.
        let mut before: std::ops::Range<usize> = 0..0;
        while !prefixes.0.is_empty() {
            let shared = prefixes.short_usize()?;
            let code = suffixes.short()?;
            let length = usize::try_from(code >> 1).ok()?;
            let cut = match code & 1 {
                1 => Some(suffixes.short()?),
                _ => None,
            };
            let suffix = own.take(length)?;
            let whole = shared.checked_add(length)?;
            if shared > before.len() || table.bytes.len().checked_add(whole)? > limit {
                return None;
            }
            let tag = if cut.is_some() { TAG_CUT } else { TAG_WHOLE };
            push_long(&mut table.bytes, tag);
            push_long(&mut table.bytes, whole as u64);
            let begin = table.bytes.len();
            table
                .bytes
                .extend_from_within(before.start..before.start.checked_add(shared)?);
            table.bytes.extend_from_slice(suffix);
            before = begin..table.bytes.len();
            if let Some(length) = cut {
                push_long(&mut table.bytes, length);
            }
            table.ends.push(table.bytes.len());
        }
        (suffixes.0.is_empty() && own.0.is_empty()).then_some(table)
    }

    fn get(&self, number: u64) -> Option<&[u8]> {
        let number = usize::try_from(number).ok()?;
        let end = *self.ends.get(number)?;
        let begin = match number.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.bytes.get(begin..end)
    }
}

/// Replaces what is in `frames` by the `events` frames of these columns. `None`
/// if they are malformed, or are not frames of exactly `length` bytes.
pub(crate) fn unfold(
    columns: &[u8],
    events: u32,
    length: usize,
    frames: &mut Vec<u8>,
) -> Option<()> {
    frames.clear();
    let mut bytes = Bytes(columns);
    let count = bytes.short_usize().filter(|count| *count <= MAX_COLUMNS)?;
    let mut lengths = Vec::with_capacity(count);
    for _ in 0..count {
        lengths.push(bytes.short_usize()?);
    }
    let mut streams = Vec::with_capacity(count);
    for length in lengths {
        streams.push(bytes.take(length)?);
    }
    if !bytes.0.is_empty() {
        return None;
    }
    let fixed = |at: usize| streams.get(at).copied().map(Bytes);
    let table = Table::build(
        fixed(PREFIXES)?,
        fixed(SUFFIXES)?,
        fixed(CHARACTERS)?,
        length,
    )?;
    let mut unfolder = Unfolder {
        columns: streams.into_iter().map(Bytes).collect(),
        bits: Bits::default(),
        kinds: Kinds::new(),
        who: Who::default(),
        table,
        frames,
        length,
    };
    for number in [PREFIXES, SUFFIXES, CHARACTERS] {
        *unfolder.columns.get_mut(number)? = Bytes(&[]);
    }
    for _ in 0..events {
        unfolder.frame()?;
    }
    let used = unfolder.columns.iter().all(|column| column.0.is_empty());
    let exact = unfolder.kinds.columns == unfolder.columns.len();
    (used && exact && frames.len() == length).then_some(())
}

struct Unfolder<'a, 'f> {
    columns: Vec<Bytes<'a>>,
    bits: Bits,
    kinds: Kinds,
    who: Who,
    table: Table,
    frames: &'f mut Vec<u8>,
    /// No more bytes than this may come out.
    length: usize,
}

impl<'a> Unfolder<'a, '_> {
    #[inline]
    fn short(&mut self, column: usize) -> Option<u64> {
        self.columns.get_mut(column)?.short()
    }

    /// How far a time is from the one before.
    fn step(&mut self) -> Option<u64> {
        let bits = self.short(TIMES)?;
        let below = match bits {
            0 => return Some(0),
            1..=64 => (bits - 1) as u32,
            _ => return None,
        };
        let low = self.bits.take(self.columns.get_mut(BITS)?, below)?;
        Some(low | 1 << below)
    }

    fn append(&mut self, bytes: &[u8]) -> Option<()> {
        if bytes.len() > self.length.checked_sub(self.frames.len())? {
            return None;
        }
        self.frames.extend_from_slice(bytes);
        Some(())
    }

    fn frame(&mut self) -> Option<()> {
        let kind = u16::try_from(self.short(KINDS)?).ok()?;
        if kind == 0 {
            let kind = u16::try_from(self.short(WHOLE)?).ok()?;
            let length = self.columns.get_mut(WHOLE)?.short_usize()?;
            let bytes = self.columns.get_mut(WHOLE)?.take(length)?;
            format::push_frame(self.frames, kind, u32::try_from(length).ok()?, &[]);
            return self.append(bytes);
        }
        let begin = self.frames.len();
        format::push_frame(self.frames, kind, 0, &[]);
        let body = self.frames.len();
        self.event(kind)?;
        let length = u32::try_from(self.frames.len() - body).ok()?;
        let place = self.frames.get_mut(begin + 2..body)?;
        place.copy_from_slice(&length.to_le_bytes());
        Some(())
    }

    fn event(&mut self, kind: u16) -> Option<()> {
        let step = self.step()?;
        let at = unzigzag(self.who.at, step);
        let pid = unzigzag(self.who.pid, self.short(PIDS)?);
        let tid = unzigzag(pid, self.short(TIDS)?);
        self.who = Who { at, pid };
        for value in [at, pid, tid] {
            push_long(self.frames, value);
        }
        let known = self.kinds.of(kind)?;
        let first = known.first;
        let mut last = std::mem::take(&mut known.last);
        let done = self.body(kind, first, &mut last);
        self.kinds.of(kind)?.last = last;
        done
    }

    fn body(&mut self, kind: u16, first: usize, last: &mut [u64]) -> Option<()> {
        let outcome = self.short(first)?;
        push_long(self.frames, outcome);
        if has_value(outcome)? {
            let value = self.short(first + 1)?;
            push_long(self.frames, value);
        }
        let mut column = first + 2;
        let mut before = None;
        for piece in shape::pieces(kind) {
            match piece {
                Piece::Num => {
                    let value = self.short(column)?;
                    push_long(self.frames, value);
                }
                Piece::Text | Piece::Maybe => {
                    let last = last.get_mut(column - first)?;
                    self.text(column, *piece == Piece::Maybe, last, &mut before)?;
                }
                Piece::Texts => {
                    let count = self.short(column)?;
                    push_long(self.frames, count);
                    column += 1;
                    let last = last.get_mut(column - first)?;
                    for _ in 0..count {
                        self.text(column, false, last, &mut before)?;
                    }
                }
            }
            column += 1;
        }
        let length = self.columns.get_mut(column)?.short_usize()?;
        let rest = self.columns.get_mut(column + 1)?.take(length)?;
        self.append(rest)
    }

    fn text(
        &mut self,
        column: usize,
        maybe: bool,
        last: &mut u64,
        before: &mut Option<u64>,
    ) -> Option<()> {
        let code = self.short(column)?;
        let tag: &[u8] = match (maybe, code) {
            (true, NONE) => return self.append(&[0]),
            (false, NONE) => return None,
            (true, _) => &[1],
            (false, _) => &[],
        };
        self.append(tag)?;
        let number = match code {
            UNREADABLE => return self.append(&[TAG_UNREADABLE as u8]),
            AS_BEFORE => (*before)?,
            code => unzigzag(*last, code.checked_sub(NUMBERED)?),
        };
        *last = number;
        *before = Some(number);
        let text = self.table.get(number)?;
        if text.len() > self.length.checked_sub(self.frames.len())? {
            return None;
        }
        self.frames.extend_from_slice(text);
        Some(())
    }
}
