//! Comparisons that several conditions make, asked once an event.
//!
//! Owns: finding equal comparisons among conditions, the memo that keeps their
//! answers while one event is judged, and the search that settles most
//! comparisons of a text field at once.
//! Must not: change what a condition says.
//!
//! Most comparisons with literals fail because the literal is not there at all.
//! So the literals of all conditions are searched for in a field's value in one
//! go, and only comparisons one of whose literals was found are made.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::Special;
use super::compile::Node;
use super::fields::Field;
use super::search::{Group, Opened, rank, searched_with};
use super::trail::Past;
use super::value::{Subject, Truth};

/// Most kept comparisons among the conditions for one event type.
pub(crate) const MAX_KEPT: usize = 2048;
/// What is known of a comparison, for the event that is judged.
pub(super) const OPEN: u8 = 0;
pub(super) const NO: u8 = 1;
const MAYBE: u8 = 2;
const YES: u8 = 3;
/// Its field was not searched yet.
const UNSEARCHED: u8 = 4;

/// The answers given for one event.
pub(crate) struct Memo<'a> {
    slots: &'a mut [u8],
    kept: Option<&'a Kept>,
    /// How the last searches went; without, each begins at the beginning.
    trails: &'a mut [Past],
}

impl<'a> Memo<'a> {
    /// Keeps nothing.
    pub(super) fn none() -> Self {
        Self {
            slots: &mut [],
            kept: None,
            trails: &mut [],
        }
    }

    /// For conditions that share these comparisons; there is room for them.
    /// `trails` are those of their searches.
    pub(crate) fn new(kept: &'a Kept, room: &'a mut [u8], trails: &'a mut [Past]) -> Self {
        let slots = room.get_mut(..kept.template.len()).unwrap_or_default();
        if slots.len() == kept.template.len() {
            slots.copy_from_slice(&kept.template);
        }
        Self {
            slots,
            kept: Some(kept),
            trails,
        }
    }

    /// The answer, if it was given already.
    pub(super) fn answer(&mut self, slot: u32, subject: &dyn Subject) -> Option<Truth> {
        let at = slot as usize;
        let mut state = self.slots.get(at).copied().unwrap_or(OPEN);
        if state == UNSEARCHED {
            let group = self.kept.and_then(|kept| kept.place_of(slot));
            group
                .into_iter()
                .for_each(|(group, _)| self.search(group, subject, &mut |_| {}));
            state = self.slots.get(at).copied().unwrap_or(OPEN);
        }
        match state {
            NO => Some(Truth::No),
            MAYBE => Some(Truth::Maybe),
            YES => Some(Truth::Yes),
            _ => None,
        }
    }

    pub(super) fn keep(&mut self, slot: u32, truth: Truth) {
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = match truth {
                Truth::No => NO,
                Truth::Maybe => MAYBE,
                Truth::Yes => YES,
            };
        }
    }

    /// Searches a field: what has none of its literals there is settled. Calls
    /// `open` with every other comparison.
    pub(super) fn search(
        &mut self,
        number: usize,
        subject: &dyn Subject,
        open: &mut dyn FnMut(Opened<'_>),
    ) {
        let Some(group) = self.kept.and_then(|kept| kept.groups.get(number)) else {
            return;
        };
        let Some(slots) = self.slots.get_mut(group.slots.clone()) else {
            return;
        };
        group.search(slots, subject, self.trails.get_mut(number), open);
    }
}

/// Equal comparisons by what they say.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    known: BTreeMap<String, Known>,
    groups: Vec<Group>,
    /// The answers as they are before anything is asked.
    template: Vec<u8>,
}

#[derive(Debug)]
struct Known {
    uses: u32,
    slot: Option<u32>,
    test: Arc<Node>,
}

impl Kept {
    /// How many answers are kept.
    pub(crate) fn slots(&self) -> usize {
        self.template.len()
    }

    /// How many searches there are.
    pub(crate) fn searches(&self) -> usize {
        self.groups.len()
    }

    /// The searches: the field of each, and how many comparisons hang on it.
    pub(super) fn groups(&self) -> impl Iterator<Item = (Field, usize)> {
        let groups = self.groups.iter();
        groups.map(|group| (group.field(), group.slots.len()))
    }

    /// Which search an answer hangs on, and where it stands there.
    pub(super) fn place_of(&self, slot: u32) -> Option<(usize, usize)> {
        let slot = slot as usize;
        let group = self.groups.partition_point(|group| group.slots.end <= slot);
        let begins = self.groups.get(group)?.slots.start;
        Some((group, slot.checked_sub(begins)?))
    }

    /// Takes note of a condition's comparisons.
    pub(crate) fn count(&mut self, special: &Special) {
        self.walk(&special.0);
    }

    fn walk(&mut self, node: &Node) {
        match node {
            Node::All(nodes) | Node::Any(nodes) => nodes.iter().for_each(|node| self.walk(node)),
            Node::Not(node) => self.walk(node),
            Node::Shared(shared) => self.walk(&shared.node),
            Node::Test { .. } | Node::Changed(_) | Node::Fields(_) => {
                let known = self.known.entry(key(node)).or_insert_with(|| Known {
                    uses: 0,
                    slot: None,
                    test: Arc::new(node.clone()),
                });
                known.uses = known.uses.saturating_add(1);
            }
            Node::Missing(_) | Node::Kept { .. } => {}
        }
    }

    /// Gives out the slots: first those of searched fields, side by side.
    pub(crate) fn settle(&mut self) {
        let mut fields: BTreeMap<Field, Vec<(Field, &mut Known)>> = BTreeMap::new();
        let mut others = Vec::new();
        for known in self.known.values_mut() {
            match literals(&known.test) {
                Some((field, _)) => {
                    let tests = fields.entry(searched_with(field)).or_default();
                    tests.push((field, known));
                }
                None => others.push(known),
            }
        }
        let mut used = 0usize;
        for mut tests in fields.into_values() {
            tests.sort_by_key(|(field, _)| rank(*field));
            let fits = used + tests.len() <= MAX_KEPT;
            let nodes = tests.iter().map(|(field, known)| (*field, &*known.test));
            match fits.then(|| Group::of(nodes, used)).flatten() {
                Some(group) => {
                    for ((_, known), slot) in tests.into_iter().zip(group.slots.clone()) {
                        known.slot = u32::try_from(slot).ok();
                    }
                    used = group.slots.end;
                    self.groups.push(group);
                }
                None => others.extend(tests.into_iter().map(|(_, known)| known)),
            }
        }
        self.template = vec![UNSEARCHED; used];
        for known in others {
            if known.uses > 1 && self.template.len() < MAX_KEPT {
                known.slot = u32::try_from(self.template.len()).ok();
                self.template.push(OPEN);
            }
        }
    }

    /// The same condition, with each kept comparison in its slot.
    pub(crate) fn share(&self, special: &Special) -> Special {
        Special(self.rebuilt(&special.0))
    }

    fn rebuilt(&self, node: &Node) -> Node {
        match node {
            Node::All(nodes) => Node::All(nodes.iter().map(|node| self.rebuilt(node)).collect()),
            Node::Any(nodes) => Node::Any(nodes.iter().map(|node| self.rebuilt(node)).collect()),
            Node::Not(node) => Node::Not(Box::new(self.rebuilt(node))),
            Node::Shared(shared) => self.rebuilt(&shared.node),
            Node::Test { .. } | Node::Changed(_) | Node::Fields(_) => {
                match self.known.get(&key(node)) {
                    Some(Known {
                        slot: Some(slot),
                        test,
                        ..
                    }) => Node::Kept {
                        slot: *slot,
                        test: Arc::clone(test),
                    },
                    _ => node.clone(),
                }
            }
            Node::Missing(_) | Node::Kept { .. } => node.clone(),
        }
    }

    /// Forgets what was only needed to find equal comparisons.
    pub(crate) fn done(mut self) -> Self {
        self.known = BTreeMap::new();
        self
    }
}

/// The literals of a comparison that cannot hold where none of them is.
pub(super) fn literals(node: &Node) -> Option<(Field, Vec<Box<[u8]>>)> {
    let Node::Test {
        field,
        negated: false,
        check,
    } = node
    else {
        return None;
    };
    let literals = check.needles().filter(|_| !field.is_many())?;
    let whole = literals.iter().all(|literal| !literal.is_empty());
    (whole && !literals.is_empty()).then_some((*field, literals))
}

/// What a comparison says, in full: two with the same words are the same.
pub(super) fn key(node: &Node) -> String {
    let mut words = String::new();
    // Writing into a string cannot fail.
    let _ = write!(words, "{node:?}");
    words
}
