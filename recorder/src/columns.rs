//! A block's events, told apart into columns before they are compressed.
//!
//! Owns: frames to columns, byte for byte reversible for any frames at all.
//! Must not: decode events, or compress. [`unfold`] meets hostile bytes whose
//! hash was checked: what it builds is bounded by the length the block claims.
//!
//! Beside one another, like things compress well: times differ from their
//! predecessors by little, a path is told once and then named by its number, and
//! the fields of one kind repeat themselves.
//!
//! ```text
//! columns  number of columns | length of each | their bytes; all numbers short (7 bits a byte)
//! first    bits, characters, times, kinds, pids, tids, frames told whole, prefixes, suffixes
//! then     for each kind, in the order in which they appear:
//!          how the call ended | its value | one a piece | the rest's lengths | the rest
//! kind     the frame's kind; 0: its kind, length and bytes stand among the frames told whole
//! time     difference from the event before (zigzag): how many bits it has; all but the highest
//!          stand among the bits, the lowest first. Pids differ likewise, a tid from its pid,
//!          but are numbers like all others
//! piece    a number as it is; a text's code; of several texts, how many, and in the next
//!          column their codes
//! code     0 none | 1 unreadable | 2 as the text before it in this event
//!          | 3 + difference of its number from that of the last one in this column (zigzag)
//! table    texts, numbered as they appear: bytes shared with the text before
//!          | own bytes << 1 | cut (then its true length) | these bytes
//! ```

mod bits;
mod fold;
mod unfold;

pub(crate) use fold::fold;
pub(crate) use unfold::unfold;

use crate::shape;

const BITS: usize = 0;
const CHARACTERS: usize = 1;
const TIMES: usize = 2;
const KINDS: usize = 3;
const PIDS: usize = 4;
const TIDS: usize = 5;
const WHOLE: usize = 6;
const PREFIXES: usize = 7;
const SUFFIXES: usize = 8;
/// Columns of every block.
const FIXED: usize = 9;
/// Columns for no more kinds; events of further ones are told whole.
const MAX_KINDS: usize = 256;

const NONE: u64 = 0;
const UNREADABLE: u64 = 1;
const AS_BEFORE: u64 = 2;
const NUMBERED: u64 = 3;

/// A text's tags in the event codec.
const TAG_WHOLE: u64 = 0;
const TAG_CUT: u64 = 1;
const TAG_UNREADABLE: u64 = 2;

/// How a call ended: tags without and with a value.
const OUTCOMES: [(u64, bool); 4] = [(0, false), (1, true), (2, true), (3, false)];

fn has_value(tag: u64) -> Option<bool> {
    OUTCOMES.iter().find(|row| row.0 == tag).map(|row| row.1)
}

/// A kind's columns: where they begin, and the last text number in each.
struct Kind {
    kind: u16,
    first: usize,
    last: Vec<u64>,
}

/// The kinds of a block, in the order in which they appear.
#[derive(Default)]
struct Kinds {
    kinds: Vec<Kind>,
    columns: usize,
}

impl Kinds {
    fn new() -> Self {
        Self {
            kinds: Vec::new(),
            columns: FIXED,
        }
    }

    /// `None` if there are too many.
    fn of(&mut self, kind: u16) -> Option<&mut Kind> {
        let at = match self.kinds.iter().position(|known| known.kind == kind) {
            Some(at) => at,
            None if self.kinds.len() >= MAX_KINDS => return None,
            None => {
                let columns = shape::columns(kind);
                self.kinds.push(Kind {
                    kind,
                    first: self.columns,
                    last: vec![0; columns],
                });
                self.columns += columns;
                self.kinds.len() - 1
            }
        };
        self.kinds.get_mut(at)
    }
}

/// What stands before every fact.
#[derive(Clone, Copy, Default)]
struct Who {
    at: u64,
    pid: u64,
}
