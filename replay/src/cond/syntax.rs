//! What the parser makes of a condition: operators and the syntax tree.
//!
//! Owns: the table of operators. Must not: parse or check.

use std::borrow::Cow;

use super::change::Change;
use super::fields::Field;

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    Differs,
    Less,
    AtMost,
    Greater,
    AtLeast,
    In,
    Intersects,
    Contains,
    ContainsFold,
    ContainsBytes,
    StartsWithBytes,
    StartsWith,
    EndsWith,
    Glob,
    GlobFold,
    Regex,
    PathMatch,
    Exists,
}

/// Every operator as written; a longer sign stands before its own beginning.
pub(super) const OPS: &[(&str, Op)] = &[
    ("==", Op::Equal),
    ("!=", Op::Differs),
    ("<=", Op::AtMost),
    (">=", Op::AtLeast),
    ("=", Op::Equal),
    ("<", Op::Less),
    (">", Op::Greater),
    ("in", Op::In),
    ("intersects", Op::Intersects),
    ("contains", Op::Contains),
    ("icontains", Op::ContainsFold),
    ("bcontains", Op::ContainsBytes),
    ("bstartswith", Op::StartsWithBytes),
    ("startswith", Op::StartsWith),
    ("endswith", Op::EndsWith),
    ("glob", Op::Glob),
    ("iglob", Op::GlobFold),
    ("regex", Op::Regex),
    ("pmatch", Op::PathMatch),
    ("exists", Op::Exists),
];

impl Op {
    pub(super) fn name(self) -> &'static str {
        OPS.iter()
            .rev()
            .find(|(_, op)| *op == self)
            .map_or("?", |(name, _)| name)
    }

    pub(super) fn takes_list(self) -> bool {
        matches!(self, Self::In | Self::Intersects | Self::PathMatch)
    }
}

/// A literal or a name, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Word<'s> {
    pub(super) text: Cow<'s, str>,
    pub(super) at: usize,
    pub(super) quoted: bool,
}

/// What a field is compared with.
#[derive(Clone, Debug)]
pub(super) enum Operand<'s> {
    None,
    One(Word<'s>),
    Many(Vec<Word<'s>>),
    /// Another field of the same event: `val(proc.exepath)`.
    Other(Left),
}

/// A field with the transformers around it, the innermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) field: Field,
    pub(super) at: usize,
    pub(super) changes: Vec<Change>,
}

/// The syntax tree.
#[derive(Clone, Debug)]
pub(super) enum Expr<'s> {
    Or(Vec<Expr<'s>>),
    And(Vec<Expr<'s>>),
    Not(Box<Expr<'s>>),
    /// A macro's name.
    Name(Word<'s>),
    /// A boolean field by itself.
    Flag {
        field: Field,
        at: usize,
    },
    Test {
        left: Left,
        op: Op,
        operand: Operand<'s>,
    },
    /// A comparison of something that belljar does not have, in a foreign rule.
    Missing {
        what: Cow<'s, str>,
        at: usize,
    },
}
