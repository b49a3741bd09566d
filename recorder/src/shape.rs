//! What the bytes of each kind of event are made of, as far as columns care.
//!
//! Owns: one row a kind. A kind without a row is stored as it is.
//! Must not: be needed to understand an event. It only says which bytes are
//! numbers and texts; whatever does not fit is stored whole, so a wrong row
//! costs space and nothing else. A change of a row is a new major version.

/// One field, as the event codec writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A number, a flag, or the tag of something that has nothing else to it.
    Num,
    /// A [`belljar_event::Text`].
    Text,
    /// One that may be missing.
    Maybe,
    /// Any number of them.
    Texts,
}

use Piece::{Maybe, Num, Text, Texts};

/// Kind, and its first fields. What follows them is the rest.
const SHAPES: &[(u16, &[Piece])] = &[
    // call, parent, path, file, interpreter, argv, length, cwd, uid, stdio, unlinked
    (
        16,
        &[
            Num, Num, Text, Maybe, Maybe, Texts, Num, Maybe, Num, Num, Num, Num, Num,
        ],
    ),
    // child
    (17, &[Num]),
    // how, code
    (18, &[Num, Num]),
    // call, path, base, file, flags, mode
    (32, &[Num, Text, Maybe, Maybe, Num, Num]),
    // call, path, base, other, its base, value, file, other file
    (33, &[Num, Text, Maybe, Maybe, Maybe, Num, Maybe, Maybe]),
    // call, path, base
    (34, &[Num, Text, Maybe]),
    // file, read, written
    (35, &[Text, Num, Num]),
    // family, kind, protocol
    (48, &[Num, Num, Num]),
    // fd
    (51, &[Num]),
    (52, &[Num]),
    // call, from, to, what
    (54, &[Num, Num, Num, Num]),
    // call, path, arguments
    (64, &[Num, Maybe, Num, Num, Num, Num]),
    // call, target, signal
    (65, &[Num, Num, Num]),
    // call, ids
    (66, &[Num, Num, Num, Num]),
    // name, record type
    (80, &[Text, Num]),
    // flow, sent, received
    (84, &[Num, Num, Num]),
    // processor time, memory, tasks, disk
    (97, &[Num, Num, Num, Num]),
];

/// The first fields of this kind.
pub(crate) fn pieces(kind: u16) -> &'static [Piece] {
    SHAPES
        .binary_search_by_key(&kind, |row| row.0)
        .ok()
        .and_then(|at| SHAPES.get(at))
        .map_or(&[], |row| row.1)
}

/// How many columns a kind has: how the call ended and its value, the pieces,
/// the rest's length and bytes.
pub(crate) fn columns(kind: u16) -> usize {
    let own = pieces(kind)
        .iter()
        .map(|piece| if *piece == Texts { 2 } else { 1 });
    own.sum::<usize>() + 4
}
