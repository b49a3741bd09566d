//! Frames to columns.
//!
//! Owns: taking frames apart as far as their kind's shape goes.
//! Must not: lose a byte: what does not fit is told whole.

use std::collections::HashMap;

use super::bits::Bits;
use super::{
    AS_BEFORE, BITS, CHARACTERS, FIXED, KINDS, Kinds, NONE, NUMBERED, PIDS, PREFIXES, SUFFIXES,
    TAG_CUT, TAG_UNREADABLE, TAG_WHOLE, TIDS, TIMES, UNREADABLE, WHOLE, Who, has_value,
};
use crate::format;
use crate::shape::{self, Piece};
use crate::varint::{Bytes, push_short, zigzag};

/// Columns, and where it is worth while to compress anew, because what follows
/// is of another sort.
pub(crate) struct Folded {
    pub(crate) bytes: Vec<u8>,
    pub(crate) seams: [usize; 2],
}

/// The columns of these frames; `None` if they are no frames.
pub(crate) fn fold(frames: &[u8]) -> Option<Folded> {
    let mut folder = Folder {
        columns: vec![Vec::new(); FIXED],
        bits: Bits::default(),
        kinds: Kinds::new(),
        who: Who::default(),
        texts: HashMap::new(),
        before: &[],
    };
    let mut rest = frames;
    while !rest.is_empty() {
        let (kind, bytes, next) = format::split_frame(rest)?;
        match Parsed::of(kind, bytes) {
            Some(parsed) if kind != 0 && folder.kinds.of(kind).is_some() => {
                folder.event(kind, &parsed)?;
            }
            _ => folder.whole(kind, bytes)?,
        }
        rest = next;
    }
    *folder.columns.get_mut(BITS)? = std::mem::take(&mut folder.bits).finish();
    Some(folder.finish())
}

/// A text in a frame.
enum Seen<'a> {
    None,
    Unreadable,
    /// Its encoding, its bytes, and its true length if it was cut.
    Known(&'a [u8], &'a [u8], Option<u64>),
}

/// A frame taken apart.
struct Parsed<'a> {
    at: u64,
    pid: u64,
    tid: u64,
    outcome: u64,
    value: Option<u64>,
    pieces: Vec<Part<'a>>,
    rest: &'a [u8],
}

enum Part<'a> {
    Num(u64),
    Text(Seen<'a>),
    Texts(Vec<Seen<'a>>),
}

impl<'a> Parsed<'a> {
    fn of(kind: u16, bytes: &'a [u8]) -> Option<Self> {
        let mut bytes = Bytes(bytes);
        let (at, pid, tid) = (bytes.long()?, bytes.long()?, bytes.long()?);
        let outcome = bytes.long()?;
        let value = match has_value(outcome)? {
            true => Some(bytes.long()?),
            false => None,
        };
        let mut pieces = Vec::with_capacity(8);
        for piece in shape::pieces(kind) {
            pieces.push(match piece {
                Piece::Num => Part::Num(bytes.long()?),
                Piece::Text => Part::Text(text(&mut bytes)?),
                Piece::Maybe => Part::Text(match bytes.take(1)? {
                    [0] => Seen::None,
                    [1] => text(&mut bytes)?,
                    _ => return None,
                }),
                Piece::Texts => {
                    let count = bytes.long()?;
                    let mut texts = Vec::new();
                    for _ in 0..count {
                        texts.push(text(&mut bytes)?);
                    }
                    Part::Texts(texts)
                }
            });
        }
        Some(Self {
            at,
            pid,
            tid,
            outcome,
            value,
            pieces,
            rest: bytes.0,
        })
    }
}

fn text<'a>(bytes: &mut Bytes<'a>) -> Option<Seen<'a>> {
    let from = bytes.0;
    let tag = bytes.long()?;
    if tag == TAG_UNREADABLE {
        return Some(Seen::Unreadable);
    }
    let length = usize::try_from(bytes.long()?).ok()?;
    let own = bytes.take(length)?;
    let cut = match tag {
        TAG_WHOLE => None,
        TAG_CUT => Some(bytes.long()?),
        _ => return None,
    };
    let all = from.get(..from.len() - bytes.0.len())?;
    Some(Seen::Known(all, own, cut))
}

struct Folder<'a> {
    columns: Vec<Vec<u8>>,
    bits: Bits,
    kinds: Kinds,
    who: Who,
    texts: HashMap<&'a [u8], u64>,
    /// The last text of the table.
    before: &'a [u8],
}

impl<'a> Folder<'a> {
    fn finish(self) -> Folded {
        let size: usize = self.columns.iter().map(Vec::len).sum();
        let mut bytes = Vec::with_capacity(size + 5 * self.columns.len());
        push_short(&mut bytes, self.columns.len() as u64);
        for column in &self.columns {
            push_short(&mut bytes, column.len() as u64);
        }
        let mut seams = [0; 2];
        for (number, column) in self.columns.iter().enumerate() {
            bytes.extend(column);
            if let Some(seam) = seams.get_mut(number) {
                *seam = bytes.len();
            }
        }
        Folded { bytes, seams }
    }

    fn put(&mut self, column: usize, value: u64) -> Option<()> {
        push_short(self.columns.get_mut(column)?, value);
        Some(())
    }

    fn extend(&mut self, column: usize, bytes: &[u8]) -> Option<()> {
        self.columns.get_mut(column)?.extend_from_slice(bytes);
        Some(())
    }

    fn whole(&mut self, kind: u16, bytes: &[u8]) -> Option<()> {
        self.put(KINDS, 0)?;
        self.put(WHOLE, kind.into())?;
        self.put(WHOLE, bytes.len() as u64)?;
        self.extend(WHOLE, bytes)
    }

    fn event(&mut self, kind: u16, parsed: &Parsed<'a>) -> Option<()> {
        self.put(KINDS, kind.into())?;
        let step = zigzag(self.who.at, parsed.at);
        let bits = u64::BITS - step.leading_zeros();
        self.put(TIMES, bits.into())?;
        self.bits.push(step, bits.saturating_sub(1));
        self.put(PIDS, zigzag(self.who.pid, parsed.pid))?;
        self.put(TIDS, zigzag(parsed.pid, parsed.tid))?;
        self.who = Who {
            at: parsed.at,
            pid: parsed.pid,
        };
        let first = self.kinds.of(kind)?.first;
        self.columns.resize(self.kinds.columns, Vec::new());
        self.put(first, parsed.outcome)?;
        if let Some(value) = parsed.value {
            self.put(first + 1, value)?;
        }
        let mut column = first + 2;
        let mut before = None;
        for part in &parsed.pieces {
            match part {
                Part::Num(value) => self.put(column, *value)?,
                Part::Text(seen) => self.text(kind, column, seen, &mut before)?,
                Part::Texts(texts) => {
                    self.put(column, texts.len() as u64)?;
                    column += 1;
                    for seen in texts {
                        self.text(kind, column, seen, &mut before)?;
                    }
                }
            }
            column += 1;
        }
        self.put(column, parsed.rest.len() as u64)?;
        self.extend(column + 1, parsed.rest)
    }

    fn text(
        &mut self,
        kind: u16,
        column: usize,
        seen: &Seen<'a>,
        before: &mut Option<u64>,
    ) -> Option<()> {
        let (all, own, cut) = match seen {
            Seen::None => return self.put(column, NONE),
            Seen::Unreadable => return self.put(column, UNREADABLE),
            Seen::Known(all, own, cut) => (*all, *own, *cut),
        };
        let number = match self.texts.get(all) {
            Some(number) => *number,
            None => self.enter(all, own, cut)?,
        };
        let kind = self.kinds.of(kind)?;
        let last = kind.last.get_mut(column.checked_sub(kind.first)?)?;
        let code = if *before == Some(number) {
            AS_BEFORE
        } else {
            zigzag(*last, number).checked_add(NUMBERED)?
        };
        *last = number;
        *before = Some(number);
        self.put(column, code)
    }

    /// A text that was not there before.
    fn enter(&mut self, all: &'a [u8], own: &'a [u8], cut: Option<u64>) -> Option<u64> {
        let number = self.texts.len() as u64;
        let pairs = self.before.iter().zip(own);
        let shared = pairs.take_while(|(a, b)| a == b).count();
        let suffix = own.get(shared..)?;
        self.put(PREFIXES, shared as u64)?;
        self.put(
            SUFFIXES,
            (suffix.len() as u64) << 1 | u64::from(cut.is_some()),
        )?;
        if let Some(length) = cut {
            self.put(SUFFIXES, length)?;
        }
        self.extend(CHARACTERS, suffix)?;
        self.texts.insert(all, number);
        self.before = own;
        Some(number)
    }
}
