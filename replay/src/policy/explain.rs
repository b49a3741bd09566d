//! Which line decides about a case, why, and who enforces it.
//!
//! Owns: the way of a question through the running system, told for one case:
//! lookup, hold, the guest's kernel. Must not: decide otherwise than they do.

use belljar_event::{Action, Op};

use super::kernel::Enforced;
use super::{BUILT_IN, Case, Decided, Line, Policy, PolicyError, Question, strictness};
use crate::cond::{Field, Subject, Truth, Value};

/// Who has the last word in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The guest's kernel, by itself.
    Kernel,
    /// The host, while the call waits.
    Hold,
    /// The host, when the flow reaches it.
    Host,
}

impl Settled {
    /// Its word in listings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Hold => "hold",
            Self::Host => "host",
        }
    }
}

/// A line and what its condition came to.
#[derive(Clone, Debug)]
pub struct Weighed<'p> {
    /// The line.
    pub line: &'p Line,
    /// What it came to.
    pub truth: Truth,
    /// It only restricts.
    pub restricts: bool,
    /// What is not known of the case and would have settled it.
    pub unknown: Vec<Field>,
}

/// What happens in a case.
#[derive(Clone, Debug)]
pub struct Explained<'p> {
    /// What is decided, and by which line.
    pub decided: Decided,
    /// By whom.
    pub settled: Settled,
    /// The operation that the deciding line is about, if it is another: what a line
    /// names must not be moved away under it.
    pub implied: Option<Op>,
    /// The decision is about the second object.
    pub of_other: bool,
    /// The lines that were asked, in order: those that restrict, then the others up to
    /// the one that decides.
    pub weighed: Vec<Weighed<'p>>,
    /// What the lookup of the name comes to, before there is a connect.
    pub lookup: Option<Decided>,
}

/// What the kernel looks at besides when something is done with an object: lines
/// about `hard` operations that deny, and about `leak` ones that deny or ask.
struct Looks {
    hard: u16,
    leak: u16,
}

const READ: u16 = 1 << Op::Read as u16;
const WRITE: u16 = 1 << Op::Write as u16;
const EXEC: u16 = 1 << Op::Exec as u16;

/// As the kernel's program has it: what is ruled cannot be renamed, linked or
/// removed out of its line.
fn looks(op: Op, second: bool) -> Looks {
    let (hard, leak) = match (op, second) {
        (Op::Unlink | Op::Chmod, _) => (WRITE, 0),
        (Op::Rename, false) => (WRITE | EXEC, READ),
        // What takes the place of a file has written it.
        (Op::Rename, true) => (READ | EXEC, WRITE),
        (Op::Link, false) => (EXEC, READ | WRITE),
        (Op::Link, true) => (0, WRITE),
        _ => (0, 0),
    };
    Looks { hard, leak }
}

impl Policy {
    /// What happens in this case. `decoys` are the paths that `path.decoy` stands for.
    ///
    /// # Errors
    /// If the policy cannot be enforced.
    pub fn explain(&self, case: &Case, decoys: &[Vec<u8>]) -> Result<Explained<'_>, PolicyError> {
        let enforced = self.enforced(decoys)?;
        Ok(match case.op {
            Op::Connect => self.connects(case, &enforced),
            _ => self.touches(case, &enforced),
        })
    }

    fn connects(&self, case: &Case, enforced: &Enforced) -> Explained<'_> {
        let decided = self.decide(case);
        let name = case.target.as_ref().and_then(|target| target.name());
        let lookup = |name| {
            let question = Question::lookup(name).during(case.phase.as_deref());
            self.lookup(&question)
        };
        Explained {
            settled: if enforced.held & Op::Connect.bit() == 0 {
                Settled::Host
            } else {
                Settled::Hold
            },
            implied: None,
            of_other: false,
            weighed: self.weighed(case, &decided.by),
            lookup: name.map(lookup),
            decided,
        }
    }

    fn touches(&self, case: &Case, enforced: &Enforced) -> Explained<'_> {
        let mut objects = vec![case.clone()];
        objects.extend(case.of_other());
        let path = |object: &Case| object.path.clone().unwrap_or_default().into_bytes();
        let asks = |object: &Case| {
            let line = enforced.about(case.op, &path(object));
            line.is_some_and(|line| line.action == Action::Ask)
        };
        let held = objects.iter().any(asks);
        let strictest = objects
            .iter()
            .enumerate()
            .map(|(at, object)| (at, self.decide(object)))
            .reduce(|one, other| {
                let stricter = strictness(other.1.action) > strictness(one.1.action);
                if stricter { other } else { one }
            });
        let (at, said) = strictest.unwrap_or_else(|| (0, Decided::built_in(case)));
        let told = |at: usize, decided: Decided, settled, implied: Option<Op>| {
            let object = objects.get(at).unwrap_or(case);
            let asked = Case {
                op: implied.unwrap_or(case.op),
                ..object.clone()
            };
            Explained {
                weighed: self.weighed(&asked, &decided.by),
                decided,
                settled,
                implied,
                of_other: at > 0,
                lookup: None,
            }
        };
        if held && said.action != Action::Allow {
            return told(at, said, Settled::Hold, None);
        }
        for (at, object) in objects.iter().enumerate() {
            let Some((by, op)) = refused(enforced, case.op, at > 0, &path(object)) else {
                continue;
            };
            let line = self.line(&by);
            let decided = Decided {
                action: Action::Deny,
                reason: line.and_then(|line| line.reason.clone()),
                by,
                literal: false,
            };
            return told(at, decided, Settled::Kernel, (op != case.op).then_some(op));
        }
        if held || said.action == Action::Allow {
            let settled = if held { Settled::Hold } else { Settled::Kernel };
            return told(at, said, settled, None);
        }
        // A folder's line includes the folder itself, which its condition does not.
        let line = enforced.about(case.op, &path(case));
        let decided = match line.and_then(|line| self.line(&line.by)) {
            Some(line) => Decided::by(line),
            None => Decided::built_in(case),
        };
        told(0, decided, Settled::Kernel, None)
    }

    fn weighed(&self, case: &Case, by: &str) -> Vec<Weighed<'_>> {
        let mut all = Vec::new();
        for (restricts, line) in self.in_order() {
            let truth = line.condition.matches(case);
            let mut unknown = Vec::new();
            if truth == Truth::Maybe {
                line.condition.fields(&mut |field| {
                    if case.value(field) == Value::Unknown && !unknown.contains(&field) {
                        unknown.push(field);
                    }
                });
            }
            all.push(Weighed {
                line,
                truth,
                restricts,
                unknown,
            });
            if line.id == by && !restricts {
                break;
            }
        }
        all
    }
}

/// The line by which the kernel refuses, and the operation that it is about.
fn refused(enforced: &Enforced, op: Op, second: bool, path: &[u8]) -> Option<(String, Op)> {
    let looks = looks(op, second);
    let own = enforced.about(op, path);
    if let Some(line) = own.filter(|line| line.action == Action::Deny) {
        return Some((line.by.clone(), op));
    }
    // Who was told yes for the thing itself may do all of it.
    let approved = own.is_some_and(|line| line.action == Action::Ask);
    let more = looks.hard | looks.leak;
    for other in Op::ALL.into_iter().filter(|other| more & other.bit() != 0) {
        let Some(line) = enforced.about(other, path) else {
            continue;
        };
        let leaks = line.action == Action::Ask && looks.leak & other.bit() != 0 && !approved;
        if line.action == Action::Deny || leaks {
            return Some((line.by.clone(), other));
        }
    }
    let moves = matches!(op, Op::Unlink | Op::Rename) || (op == Op::Link && second);
    (moves && enforced.is_roof(path)).then(|| (format!("{BUILT_IN}:folder-above-a-line"), op))
}
