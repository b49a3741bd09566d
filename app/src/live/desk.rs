//! Where held calls wait for an answer.
//!
//! Owns: the open questions, the answers given so far and what else they hold for.
//! Must not: record, send, or ask; the core does, with what is said here.
//!
//! Nothing asks twice: an answer for a process tree or for the run is looked up
//! before anybody is asked, and after each answer those that wait are looked at again.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use belljar_event::wire::Hold;
use belljar_event::{Action, Op, Scope, Target};
use belljar_replay::cond::{Field, Subject, Value};

/// Most questions that wait at a time; a further one is refused.
const MOST: usize = 1024;
/// Most answers that are remembered, and most single connects let through.
const REMEMBERED: usize = 4096;

/// What a person says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// To which question.
    pub(crate) hold: u64,
    /// Allow, deny or kill.
    pub(crate) action: Action,
    /// What else it holds for. `Saved` carries the policy line.
    pub(crate) scope: Scope,
}

/// A question that waits.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) hold: Hold,
    pub(crate) by: String,
    since: Instant,
    asked: Asked,
}

impl Open {
    /// For how long it has waited, in nanoseconds.
    pub(crate) fn waited(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Who wants what: what an answer is remembered for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    op: Op,
    program: Option<Vec<u8>>,
    object: Object,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Object {
    Target(Target),
    Paths(Option<Vec<u8>>, Option<Vec<u8>>),
}

#[derive(Debug)]
struct Given {
    asked: Asked,
    action: Action,
    tree: Option<u32>,
    hold: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    open: VecDeque<Open>,
    given: Vec<Given>,
    /// Connects that were let through once; their flows are still to come.
    passes: VecDeque<(u32, Target, u64)>,
}

impl Asked {
    /// What `hold` is about, as the session sees its thread.
    pub(crate) fn of(hold: &Hold, subject: &dyn Subject) -> Self {
        let program = match subject.value(Field::ProcExePath) {
            Value::Bytes(bytes) => Some(bytes.into_owned()),
            _ => None,
        };
        let bytes =
            |text: &Option<belljar_event::Text>| text.as_ref().map(|text| text.bytes().to_vec());
        let object = match &hold.target {
            Some(target) => Object::Target(target.clone()),
            None => Object::Paths(bytes(&hold.path), bytes(&hold.other)),
        };
        Self {
            op: hold.op,
            program,
            object,
        }
    }
}

impl Desk {
    /// An earlier answer that holds for this too: what it said, and to which hold it was given.
    pub(crate) fn earlier(&self, asked: &Asked, subject: &dyn Subject) -> Option<(Action, u64)> {
        self.given
            .iter()
            .rev()
            .find(|given| {
                given.asked == *asked && given.tree.is_none_or(|root| is_below(subject, root))
            })
            .map(|given| (given.action, given.hold))
    }

    /// A further question; false if too many wait already.
    pub(crate) fn wait(&mut self, hold: Hold, by: String, asked: Asked) -> bool {
        if self.open.len() >= MOST {
            return false;
        }
        self.open.push_back(Open {
            hold,
            by,
            since: Instant::now(),
            asked,
        });
        true
    }

    /// Whether anybody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Takes a question.
    pub(crate) fn take(&mut self, hold: u64) -> Option<Open> {
        let at = self.open.iter().position(|open| open.hold.id == hold)?;
        self.open.remove(at)
    }

    /// Takes the questions that have waited for so long.
    pub(crate) fn older(&mut self, than: Duration) -> Vec<Open> {
        let (old, others) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|open: &Open| open.since.elapsed() >= than);
        self.open = others;
        Vec::from(old)
    }

    /// Remembers an answer, and takes those that wait for the same, with it.
    pub(crate) fn remember(
        &mut self,
        open: &Open,
        reply: &Reply,
        subject_of: &dyn Fn(&Hold, u32) -> bool,
    ) -> Vec<Open> {
        let tree = match reply.scope {
            Scope::Once => return Vec::new(),
            Scope::Tree(root) => Some(root),
            Scope::Run | Scope::Saved(_) => None,
        };
        if self.given.len() < REMEMBERED {
            self.given.push(Given {
                asked: open.asked.clone(),
                action: reply.action,
                tree,
                hold: open.hold.id,
            });
        }
        let (same, others) =
            std::mem::take(&mut self.open)
                .into_iter()
                .partition(|waiting: &Open| {
                    waiting.asked == open.asked
                        && tree.is_none_or(|root| subject_of(&waiting.hold, root))
                });
        self.open = others;
        Vec::from(same)
    }

    /// A connect was let through: its flow is let through too, once.
    pub(crate) fn pass(&mut self, hold: &Hold) {
        if let Some(target) = &hold.target {
            if self.passes.len() >= REMEMBERED {
                self.passes.pop_front();
            }
            self.passes.push_back((hold.pid, target.clone(), hold.id));
        }
    }

    /// The connect that this flow comes from, if it was let through.
    pub(crate) fn passed(&mut self, pid: u32, target: &Target) -> Option<u64> {
        let at = self
            .passes
            .iter()
            .position(|(who, to, _)| *who == pid && to == target)?;
        self.passes.remove(at).map(|(_, _, hold)| hold)
    }
}

/// Whether the process is `root` or comes from it.
fn is_below(subject: &dyn Subject, root: u32) -> bool {
    let root = i64::from(root);
    let mut found = matches!(subject.value(Field::ProcPid), Value::Int(pid) if pid == root);
    subject.each(Field::ProcApid, &mut |value| {
        if matches!(value, Value::Int(pid) if *pid == root) {
            found = true;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    found
}
