//! Process trees that must end: what came of them before, and got away.
//!
//! Owns: who is doomed, by the lineage that was recorded. The agent ends what it
//! finds below a process in `/proc`, where a child that has given up its parent
//! stands below nobody; the record still knows whose child it is.
//! Must not: end anything itself.

use std::collections::{BTreeSet, HashMap};
use std::io::Write;

use belljar_event::wire::ToAgent;

use super::Core;

/// Who says so of a process that the agent did not find.
const BY: &str = "lineage";
/// How often the same process is named: one in a system call that cannot be
/// interrupted ends later, and by the first signal.
const TRIES: u8 = 3;
/// Most that are named at a time; the queue to the agent is bounded, too.
const AT_ONCE: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Doomed {
    keys: BTreeSet<u64>,
    told: HashMap<u64, u8>,
}

impl<W: Write> Core<W> {
    /// The process and all that came or comes of it must end. The agent has been told of
    /// itself alone.
    pub(super) fn doom(&mut self, pid: u32) {
        self.doomed.keys.extend(self.session.key_of(pid));
        self.end_doomed(true);
    }

    /// Tells the agent of doomed processes that live; `adrift`: only of those whose parent
    /// has ended, since the agent finds the others by itself.
    pub(super) fn end_doomed(&mut self, adrift: bool) {
        if self.doomed.keys.is_empty() {
            return;
        }
        let mut living = self.session.living_below(&mut self.doomed.keys);
        let told = &mut self.doomed.told;
        living.retain(|one| {
            let often = told.get(&one.key).is_some_and(|times| *times >= TRIES);
            (one.adrift || !adrift) && !often
        });
        for one in living.into_iter().take(AT_ONCE) {
            *told.entry(one.key).or_default() += 1;
            let (pid, by) = (one.pid, BY.to_owned());
            // A full queue means an agent that does not read: the run ends soon.
            let _ = self.agent.try_send(ToAgent::Kill { pid, by });
        }
    }
}
