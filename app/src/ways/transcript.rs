//! What the phases that ask wrote to their terminal, and what the others were
//! seen to run, out of recorded entries.
//!
//! Owns: the bounded collection. Live and replayed entries give the same.

use std::collections::BTreeMap;

use belljar_event::{Fact, Step};
use belljar_recorder::Entry;

use super::phase::{MARKS, MODULES, SCRIPTS};
use super::seen::Seen;

/// More of an answer is not kept, and then it is no answer.
const MAX_ANSWER: usize = 256 << 10;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transcript {
    /// The phase that runs, if it is one that asks.
    open: Option<&'static str>,
    answers: BTreeMap<&'static str, Vec<u8>>,
    seen: Seen,
}

impl Transcript {
    /// Takes the next entry.
    pub(crate) fn push(&mut self, entry: &Entry) {
        match &entry.event().fact {
            Fact::Phase(phase) => {
                let known = [MARKS, MODULES, SCRIPTS];
                self.open = known
                    .into_iter()
                    .find(|name| *name == phase.name && matches!(phase.step, Step::Begin { .. }));
            }
            Fact::Output(output) => {
                if let Some(open) = self.open {
                    let answer = self.answers.entry(open).or_default();
                    let room = MAX_ANSWER.saturating_sub(answer.len());
                    answer.extend(output.bytes.iter().take(room));
                }
            }
            _ if self.open.is_none() => self.seen.push(entry.event()),
            _ => {}
        }
    }

    /// What the phases that do not ask were seen to run.
    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// What a phase wrote, if it ran.
    pub(crate) fn of(&self, phase: &str) -> Option<&[u8]> {
        self.answers.get(phase).map(Vec::as_slice)
    }
}
