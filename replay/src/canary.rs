//! Canaries: recognising what stands in a decoy and nowhere else.
//!
//! Owns: in which forms a canary is recognised, in bytes that come in pieces of
//! any size ([`Watch`]), in names and in arguments. Must not: decide what
//! follows, or keep any of the bytes.
//!
//! A canary is cut into pieces of ten letters, and any one of them is enough:
//! whoever sends a canary in two halves gives himself away, and of one that is
//! stopped at its first piece three quarters never leave. Each piece is sought
//! as it is and backwards, as hex, in base64 and in base32, in every position
//! that it can have among its neighbours there, without regard to the case of
//! letters. Before that, percent-encoding is undone and what breaks lines is
//! left out. Compression, encryption and pieces shorter than ten letters are
//! not seen through.
//!
//! One step of an automaton a byte, whatever the bytes are, and no buffer.

mod heads;

use std::sync::{Arc, OnceLock};

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};
use belljar_event::{Decoy, Decoys};

use heads::Heads;

/// Letters of a piece. Ten letters and digits do not meet by chance: seen once
/// in 2^51 places, case aside.
const PIECE: usize = 10;
/// Shorter canaries have nothing unique to them; longer ones are looked at so far.
const SHORTEST: usize = 2 * PIECE;
const LONGEST: usize = 128;
/// More decoys have no canary that is sought.
const MOST: usize = 64;
/// Most kinds of sighting that one watch tells of.
const MOST_SEEN: usize = MOST * 8;

const HEX: &[u8] = b"0123456789abcdef";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_URL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const BASE32: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
const BASE32_HEX: &[u8] = b"0123456789abcdefghijklmnopqrstuv";

/// Alphabets, bits a character, and after how many bytes positions repeat.
const ALPHABETS: &[(&[u8], usize, usize, Encoding)] = &[
    (HEX, 4, 1, Encoding::Hex),
    (BASE64, 6, 3, Encoding::Base64),
    (BASE64_URL, 6, 3, Encoding::Base64),
    (BASE32, 5, 5, Encoding::Base32),
    (BASE32_HEX, 5, 5, Encoding::Base32),
];

/// How a canary was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Plain,
    /// Backwards.
    Reversed,
    /// With percent signs.
    Percent,
    /// Hexadecimal.
    Hex,
    /// Base64, of either alphabet.
    Base64,
    /// Base32, of either alphabet.
    Base32,
}

impl Encoding {
    /// As `canary.encoding` and events say it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Reversed => "reversed",
            Self::Percent => "percent",
            Self::Hex => "hex",
            Self::Base64 => "base64",
            Self::Base32 => "base32",
        }
    }
}

/// A canary that was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which decoy: its place among those laid out.
    pub decoy: u32,
    /// In which form.
    pub encoding: Encoding,
    /// Bytes from the beginning to the end of the recognised piece.
    pub at: u64,
}

/// The canaries of a run. A clone shares everything.
#[derive(Clone, Default)]
pub struct Canaries(Arc<Known>);

#[derive(Default)]
struct Known {
    decoys: Vec<Arc<Decoy>>,
    /// Made when somebody looks for the first time; `None` if nothing can be sought.
    sought: OnceLock<Option<Arc<Sought>>>,
    heads: OnceLock<Heads>,
}

struct Sought {
    automaton: NFA,
    /// For each pattern, whose it is and in which form.
    patterns: Vec<(u32, Encoding)>,
}

impl Canaries {
    /// The canaries of these decoys.
    #[must_use]
    pub fn of(decoys: &Decoys) -> Self {
        Self::default().with(decoys)
    }

    /// With those of more decoys. What is beyond the limit is not sought.
    #[must_use]
    pub fn with(&self, decoys: &Decoys) -> Self {
        let room = MOST.saturating_sub(self.0.decoys.len());
        let more = decoys.decoys.iter().take(room).cloned().map(Arc::new);
        let known = Known {
            decoys: self.0.decoys.iter().cloned().chain(more).collect(),
            sought: OnceLock::new(),
            heads: OnceLock::new(),
        };
        Self(Arc::new(known))
    }

    /// True if there is room for more decoys.
    pub(crate) fn has_room(&self) -> bool {
        self.0.decoys.len() < MOST
    }

    /// The decoy at this place.
    #[must_use]
    pub fn decoy(&self, at: u32) -> Option<&Decoy> {
        let at = usize::try_from(at).ok()?;
        self.0.decoys.get(at).map(AsRef::as_ref)
    }

    /// Looks at bytes that come one piece after the other.
    #[must_use]
    pub fn watch(&self) -> Watch {
        let sought = self.0.sought.get_or_init(|| Sought::of(&self.0.decoys));
        Watch::new(sought.clone())
    }

    /// The first canary in these bytes.
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> Option<Seen> {
        if self.0.decoys.is_empty() || bytes.len() < PIECE {
            return None;
        }
        let heads = self.0.heads.get_or_init(|| Heads::of(&self.0.decoys));
        if !heads.may_be_in(bytes) {
            return None;
        }
        let mut first = None;
        self.watch().look(bytes, &mut |seen| {
            first.get_or_insert(seen);
        });
        first
    }

    /// The first canary in a host name, over its labels.
    #[must_use]
    pub fn find_in_name(&self, name: &[u8]) -> Option<Seen> {
        let joined: Vec<u8> = name.iter().copied().filter(|byte| *byte != b'.').collect();
        self.find(&joined)
    }
}

impl std::fmt::Debug for Canaries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Canaries({})", self.0.decoys.len())
    }
}

/// Every form of every piece, whose it is and how it is written.
fn needles(decoys: &[Arc<Decoy>]) -> Vec<(Vec<u8>, (u32, Encoding))> {
    let mut needles = Vec::new();
    for (decoy, number) in decoys.iter().zip(0..) {
        let canary = decoy.canary.as_bytes();
        let fit = canary.len() >= SHORTEST && canary.iter().all(u8::is_ascii_alphanumeric);
        for piece in canary
            .get(..canary.len().min(LONGEST))
            .into_iter()
            .flat_map(|c| c.chunks_exact(PIECE))
        {
            if fit {
                needles.extend(forms(piece).map(|(form, how)| (form, (number, how))));
            }
        }
    }
    needles
}

impl Sought {
    fn of(decoys: &[Arc<Decoy>]) -> Option<Arc<Self>> {
        let needles = needles(decoys);
        let (texts, patterns): (Vec<_>, Vec<_>) = needles.into_iter().unzip();
        let automaton = NFA::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(&texts)
            .ok()
            .filter(|_| !texts.is_empty())?;
        Some(Arc::new(Self {
            automaton,
            patterns,
        }))
    }

    fn start(&self) -> Option<StateID> {
        self.automaton.start_state(Anchored::No).ok()
    }
}

/// A piece in every form that is sought.
fn forms(piece: &[u8]) -> impl Iterator<Item = (Vec<u8>, Encoding)> + use<> {
    let mut all = vec![
        (piece.to_vec(), Encoding::Plain),
        (piece.iter().rev().copied().collect(), Encoding::Reversed),
    ];
    for (alphabet, bits, period, encoding) in ALPHABETS {
        all.extend((0..*period).map(|before| (inner(piece, before, alphabet, *bits), *encoding)));
    }
    all.into_iter()
}

/// The characters that depend on the piece alone when so many bytes stand before it.
fn inner(piece: &[u8], before: usize, alphabet: &[u8], bits: usize) -> Vec<u8> {
    let filled: Vec<u8> = std::iter::repeat_n(0, before)
        .chain(piece.iter().copied())
        .collect();
    let (mut held, mut width, mut out) = (0usize, 0usize, Vec::new());
    for byte in &filled {
        held = held << 8 | usize::from(*byte);
        width += 8;
        while width >= bits {
            width -= bits;
            out.extend(alphabet.get(held >> width));
            held &= (1 << width) - 1;
        }
    }
    out.drain(..(before * 8).div_ceil(bits).min(out.len()));
    out
}

/// One stream of bytes.
pub struct Watch {
    sought: Option<Arc<Sought>>,
    state: Option<StateID>,
    undo: Undo,
    /// Bytes that came in, and that the automaton was fed.
    raw: u64,
    fed: u64,
    /// The last fed byte that a percent sign stood for, counted from 1.
    decoded: u64,
    told: Vec<(u32, Encoding)>,
}

/// What waits to be understood.
#[derive(Clone, Copy)]
enum Undo {
    Nothing,
    /// A percent sign.
    Percent,
    /// And a digit.
    Digit(u8),
    /// A backslash, as before the n of a line's end in a string.
    Backslash,
}

impl Watch {
    fn new(sought: Option<Arc<Sought>>) -> Self {
        let state = sought.as_ref().and_then(|sought| sought.start());
        Self {
            sought,
            state,
            undo: Undo::Nothing,
            raw: 0,
            fed: 0,
            decoded: 0,
            told: Vec::new(),
        }
    }

    /// The next bytes. `found` is called once for each decoy and form.
    pub fn look(&mut self, bytes: &[u8], found: &mut dyn FnMut(Seen)) {
        let (Some(sought), Some(state)) = (self.sought.clone(), self.state) else {
            return;
        };
        let (mut state, mut undo) = (state, self.undo);
        for byte in bytes {
            self.raw = self.raw.saturating_add(1);
            understand(&mut undo, *byte, &mut |byte, decoded| {
                if decoded {
                    self.decoded = self.fed.saturating_add(1);
                }
                state = self.feed(&sought, state, byte, found);
            });
        }
        (self.state, self.undo) = (Some(state), undo);
    }

    fn feed(
        &mut self,
        sought: &Sought,
        state: StateID,
        byte: u8,
        found: &mut dyn FnMut(Seen),
    ) -> StateID {
        self.fed = self.fed.saturating_add(1);
        let automaton = &sought.automaton;
        let state = automaton.next_state(Anchored::No, state, byte);
        if automaton.is_match(state) {
            for index in 0..automaton.match_len(state) {
                let pattern = automaton.match_pattern(state, index);
                let Some((decoy, encoding)) = sought.patterns.get(pattern.as_usize()) else {
                    continue;
                };
                let length = automaton.pattern_len(pattern) as u64;
                let plain = *encoding == Encoding::Plain;
                let encoding = match plain && self.decoded > self.fed.saturating_sub(length) {
                    true => Encoding::Percent,
                    false => *encoding,
                };
                let sighting = (*decoy, encoding);
                if !self.told.contains(&sighting) && self.told.len() < MOST_SEEN {
                    self.told.push(sighting);
                    found(Seen {
                        decoy: *decoy,
                        encoding,
                        at: self.raw,
                    });
                }
            }
        }
        state
    }
}

/// Undoes percent-encoding and leaves out what breaks lines. `feed` gets what is
/// left, and whether it was encoded.
fn understand(undo: &mut Undo, byte: u8, feed: &mut impl FnMut(u8, bool)) {
    match (std::mem::replace(undo, Undo::Nothing), byte) {
        (Undo::Nothing, b'%') => *undo = Undo::Percent,
        (Undo::Nothing, b'\\') => *undo = Undo::Backslash,
        // Whatever its lines are broken with, a canary stays one.
        (Undo::Nothing, b' ' | b'\t' | b'\r' | b'\n') => {}
        (Undo::Nothing, byte) => feed(byte, false),
        (Undo::Percent, digit) if digit.is_ascii_hexdigit() => *undo = Undo::Digit(digit),
        (Undo::Digit(high), low) if low.is_ascii_hexdigit() => {
            feed(nibble(high) << 4 | nibble(low), true);
        }
        (Undo::Backslash, b'n' | b'r') => {}
        (before, byte) => {
            // No form has such a character, so whatever was under way ends here.
            feed(b'%', false);
            if let Undo::Digit(digit) = before {
                feed(digit, false);
            }
            understand(undo, byte, feed);
        }
    }
}

fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        digit => (digit | 0x20).saturating_sub(b'a').saturating_add(10),
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("raw", &self.raw)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
