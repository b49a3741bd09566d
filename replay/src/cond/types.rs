//! Event types as a set: which ones a condition can hold for.
//!
//! Owns: the universe of `evt.type`, the derivation of a rule's candidates, and
//! what is left of a condition for events of one type.
//! Must not: be wrong on the narrow side; a set may be too large, never too small.

use belljar_event::{CALLS, Call, KINDS};

use super::check::Check;
use super::compile::Node;
use super::fields::Field;
use super::value::{Truth, Value};

/// What `evt.type` says of a call that is in no table.
const UNKNOWN_CALL: &str = "syscall";
const WORDS: usize = 4;
const _: () = assert!(CALLS.len() + KINDS.len() < WORDS * 64);

/// Where each kind stands in `KINDS`.
static KIND_PLACES: [u8; 128] = kind_places();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn kind_places() -> [u8; 128] {
    let mut places = [0; 128];
    let mut at = 0;
    while at < KINDS.len() {
        places[KINDS[at].0 as usize] = at as u8;
        at += 1;
    }
    places
}

/// A set of event types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Types([u64; WORDS]);

impl Types {
    pub(crate) const ALL: Self = Self([u64::MAX; WORDS]);

    /// Every event type, in the order of the set's bits (names of both tables appear twice).
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        let calls = CALLS.iter().map(|row| row.name);
        calls
            .chain(KINDS.iter().map(|(_, name)| *name))
            .chain([UNKNOWN_CALL])
    }

    pub(crate) fn known(name: &str) -> bool {
        Self::names().any(|known| known == name)
    }

    /// Where the type of a call stands in [`Self::names`].
    pub(crate) fn of_call(call: Call) -> usize {
        call.place().unwrap_or(CALLS.len() + KINDS.len())
    }

    /// Where a kind's type stands in [`Self::names`].
    pub(crate) fn of_kind(kind: u16) -> usize {
        let at = KIND_PLACES.get(usize::from(kind)).copied().unwrap_or(0);
        CALLS.len() + usize::from(at)
    }

    /// Fields that events of the type at this place never have. A call's events
    /// may be of any kind, in a forged trace: only kinds are sure.
    pub(crate) fn lacks(at: usize, field: Field) -> bool {
        let kind = at.checked_sub(CALLS.len()).and_then(|at| KINDS.get(at));
        let pathless = kind.is_some_and(|(_, name)| !matches!(*name, "hold" | "denied"));
        pathless
            && matches!(
                field,
                Field::FsPathName
                    | Field::FsPathSource
                    | Field::FsPathTarget
                    | Field::FsPathWritten
                    | Field::PathDecoy
                    | Field::PathDecoyKind
                    | Field::PathDropped
                    | Field::PathHidden
                    | Field::PathCredential
                    | Field::EvtIsOpenRead
                    | Field::EvtIsOpenWrite
                    | Field::EvtIsOpenCreate
            )
    }

    /// The types that `wanted` accepts.
    fn select(mut wanted: impl FnMut(&'static str) -> bool) -> Self {
        let mut set = [0; WORDS];
        for (at, name) in Self::names().enumerate() {
            if let Some(word) = set.get_mut(at / 64).filter(|_| wanted(name)) {
                *word |= 1 << (at % 64);
            }
        }
        Self(set)
    }

    fn zip(self, other: Self, join: fn(u64, u64) -> u64) -> Self {
        let mut joined = self.0;
        for (word, other) in joined.iter_mut().zip(other.0) {
            *word = join(*word, other);
        }
        Self(joined)
    }

    fn both(self, other: Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    fn either(self, other: Self) -> Self {
        self.zip(other, |a, b| a | b)
    }

    /// Is the type at this place of [`Self::names`] in the set?
    pub(crate) fn has(&self, at: usize) -> bool {
        self.0
            .get(at / 64)
            .is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// The types for which the condition may be anything but a certain no.
    pub(super) fn possible(node: &Node) -> Self {
        Span::of(node).may
    }
}

/// A tree for events of one type.
pub(super) enum Special {
    /// The type alone decides.
    Always(bool),
    /// This is left to ask.
    Is(Node),
}

impl Special {
    /// The same condition without tests of the type, which is this one. That
    /// type is always known, so each such test is a plain yes or no. A comparison
    /// of a field that such events lack is a no.
    pub(super) fn of(node: &Node, name: &'static str, lacks: &dyn Fn(Field) -> bool) -> Self {
        match node {
            Node::All(nodes) => Self::group(nodes, name, lacks, false, Node::All),
            Node::Any(nodes) => Self::group(nodes, name, lacks, true, Node::Any),
            Node::Not(inner) => match Self::of(inner, name, lacks) {
                Self::Always(is) => Self::Always(!is),
                Self::Is(node) => Self::Is(Node::Not(Box::new(node))),
            },
            Node::Shared(shared) => Self::of(&shared.node, name, lacks),
            Node::Test {
                field: Field::EvtType,
                negated,
                check,
            } => Self::Always((check.holds(&Value::str(name)) == Truth::Yes) != *negated),
            Node::Test { field, .. } if lacks(*field) => Self::Always(false),
            Node::Changed(changed) if lacks(changed.field) => Self::Always(false),
            Node::Test { .. }
            | Node::Changed(_)
            | Node::Fields(_)
            | Node::Missing(_)
            | Node::Kept { .. } => Self::Is(node.clone()),
        }
    }

    /// `decides` is what one member settles the group with.
    fn group(
        nodes: &[Node],
        name: &'static str,
        lacks: &dyn Fn(Field) -> bool,
        decides: bool,
        wrap: fn(Box<[Node]>) -> Node,
    ) -> Self {
        let mut left = Vec::with_capacity(nodes.len());
        for node in nodes {
            match Self::of(node, name, lacks) {
                Self::Always(is) if is == decides => return Self::Always(decides),
                Self::Always(_) => {}
                Self::Is(node) => left.push(node),
            }
        }
        left.sort_by_cached_key(|node| node.cost(0));
        match left.pop() {
            None => Self::Always(!decides),
            Some(only) if left.is_empty() => Self::Is(only),
            Some(last) => {
                left.push(last);
                Self::Is(wrap(left.into()))
            }
        }
    }
}

/// For which types a node may hold, and for which it may not.
struct Span {
    may: Types,
    may_not: Types,
}

impl Span {
    fn of(node: &Node) -> Self {
        match node {
            Node::All(nodes) => nodes.iter().map(Self::of).fold(
                Self {
                    may: Types::ALL,
                    may_not: Types([0; WORDS]),
                },
                |all, one| Self {
                    may: all.may.both(one.may),
                    may_not: all.may_not.either(one.may_not),
                },
            ),
            Node::Any(nodes) => nodes.iter().map(Self::of).fold(
                Self {
                    may: Types([0; WORDS]),
                    may_not: Types::ALL,
                },
                |all, one| Self {
                    may: all.may.either(one.may),
                    may_not: all.may_not.both(one.may_not),
                },
            ),
            Node::Not(inner) => {
                let inner = Self::of(inner);
                Self {
                    may: inner.may_not,
                    may_not: inner.may,
                }
            }
            Node::Shared(shared) => Self::of(&shared.node),
            Node::Test {
                field: Field::EvtType,
                negated,
                check,
            } => Self::of_types(check, *negated),
            Node::Test { .. }
            | Node::Changed(_)
            | Node::Fields(_)
            | Node::Missing(_)
            | Node::Kept { .. } => Self {
                may: Types::ALL,
                may_not: Types::ALL,
            },
        }
    }

    /// A test of the type itself is tried on every type there is.
    fn of_types(check: &Check, negated: bool) -> Self {
        let holds = |name: &'static str| (check.holds(&Value::str(name)) == Truth::Yes) != negated;
        Self {
            may: Types::select(holds),
            may_not: Types::select(|name| !holds(name)),
        }
    }
}
