//! Comparisons that several conditions make, asked once an event.
//!
//! Owns: finding equal comparisons among conditions, and the memo that keeps
//! their answers while one event is judged.
//! Must not: change what a condition says.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::Special;
use super::compile::Node;

/// Most shared comparisons among the conditions for one event type.
const MAX_KEPT: usize = 768;

/// The answers given for one event.
#[derive(Debug)]
pub(crate) struct Memo {
    slots: [u8; MAX_KEPT],
    used: usize,
}

impl Memo {
    /// For conditions that share so many comparisons.
    pub(crate) fn new(used: usize) -> Self {
        Self {
            slots: [0; MAX_KEPT],
            used: used.min(MAX_KEPT),
        }
    }

    pub(super) fn slots(&mut self) -> &mut [u8] {
        self.slots.get_mut(..self.used).unwrap_or_default()
    }
}

/// Equal comparisons by what they say.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Number of uses, and the slot once there are two.
    known: BTreeMap<String, (u32, Option<u32>, Arc<Node>)>,
    slots: u32,
}

impl Kept {
    /// How many answers are kept.
    pub(crate) fn slots(&self) -> usize {
        self.slots as usize
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
                let fresh = || (0, None, Arc::new(node.clone()));
                self.known.entry(key(node)).or_insert_with(fresh).0 += 1;
            }
            Node::Missing(_) | Node::Kept { .. } => {}
        }
    }

    /// The same condition, with each comparison that others make too in its slot.
    pub(crate) fn share(&mut self, special: &Special) -> Special {
        Special(self.rebuilt(&special.0))
    }

    fn rebuilt(&mut self, node: &Node) -> Node {
        match node {
            Node::All(nodes) => Node::All(nodes.iter().map(|node| self.rebuilt(node)).collect()),
            Node::Any(nodes) => Node::Any(nodes.iter().map(|node| self.rebuilt(node)).collect()),
            Node::Not(node) => Node::Not(Box::new(self.rebuilt(node))),
            Node::Shared(shared) => self.rebuilt(&shared.node),
            Node::Test { .. } | Node::Changed(_) | Node::Fields(_) => self.slot(node),
            Node::Missing(_) | Node::Kept { .. } => node.clone(),
        }
    }

    fn slot(&mut self, node: &Node) -> Node {
        let Some((uses, slot, test)) = self.known.get_mut(&key(node)) else {
            return node.clone();
        };
        if *uses < 2 || (slot.is_none() && self.slots as usize >= MAX_KEPT) {
            return node.clone();
        }
        let slot = *slot.get_or_insert_with(|| {
            self.slots += 1;
            self.slots - 1
        });
        Node::Kept {
            slot,
            test: Arc::clone(test),
        }
    }
}

/// What a comparison says, in full: two with the same words are the same.
fn key(node: &Node) -> String {
    let mut words = String::new();
    // Writing into a string cannot fail.
    let _ = write!(words, "{node:?}");
    words
}
