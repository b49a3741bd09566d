//! Which part of a policy the guest's kernel enforces by itself, and what is held.
//!
//! Owns: [`Enforced`]: each line as the kernel takes it, or who decides it
//! otherwise. Must not: decide anything about an event.
//!
//! The kernel can tell the operation and the object: a path, everything below a
//! folder (`startswith /folder/`, the folder included), a file name, a decoy.
//! A line that says more is decided by holding the call and asking the host;
//! about reading, that would hold every open, so such a line is refused. So is
//! one that asks for what is not known before a call is made.

mod clause;
mod place;
#[cfg(test)]
mod tests;

use belljar_event::wire::KernelLine;
use belljar_event::{Action, Op};

use super::{Line, Policy, PolicyError};
use clause::Clause;

/// Most lines and most paths that the guest's agent takes.
const MAX_LINES: usize = 1000;
const MAX_PLACES: usize = 1024;

/// Who enforces a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Enforcer {
    /// The guest's kernel, by itself.
    Kernel,
    /// The host, while the call is held.
    Hold,
    /// The host, when the flow or lookup reaches it.
    Host,
}

impl Enforcer {
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

/// A policy, divided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enforced {
    /// What the kernel gets.
    pub lines: Vec<KernelLine>,
    /// Bits of the ops that are held.
    pub held: u16,
    /// Bits of the ops that some line kills for.
    pub kills: u16,
    /// Who enforces each of the policy's lines.
    pub by: Vec<(String, Vec<Enforcer>)>,
}

/// A line, taken apart.
struct Part<'p> {
    line: &'p Line,
    clauses: Vec<Clause>,
    /// It only restricts.
    guard: bool,
}

impl Policy {
    /// Divides the policy. `decoys` are the paths that `path.decoy` stands for.
    ///
    /// # Errors
    /// If a line cannot be enforced, with its place where that is known.
    pub fn enforced(&self, decoys: &[Vec<u8>]) -> Result<Enforced, PolicyError> {
        let mut parts = Vec::new();
        for (guard, line) in self.in_order() {
            parts.push(Part {
                clauses: taken_apart(line, decoys)?,
                line,
                guard,
            });
        }
        let mut enforced = Enforced::default();
        for part in &parts {
            enforced.hold(part);
        }
        let mut asking = Vec::new();
        for part in &parts {
            let by = enforced.take(part, &mut asking);
            enforced.by.push((part.line.id.clone(), by));
        }
        enforced.ask_besides(asking);
        enforced.drop_needless();
        enforced.limited(self)
    }

    /// Whether this line could be enforced, whatever the others say.
    pub(super) fn enforceable(line: &Line, decoys: &[Vec<u8>]) -> Result<(), PolicyError> {
        taken_apart(line, decoys).map(drop)
    }

    /// Every line; first those that restrict, which nothing can hide.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (bool, &Line)> {
        let guards = self.guards.iter().map(|line| (true, line));
        guards.chain(self.lines.iter().map(|line| (false, line)))
    }
}

impl Line {
    /// An error about this line, at its place if that is known.
    pub(super) fn error(&self, message: String) -> PolicyError {
        match &self.origin {
            Some(origin) => PolicyError::Text {
                name: origin.file.to_string(),
                line: origin.line,
                column: origin.column,
                message: format!("line `{}`: {message}", self.id),
            },
            None => PolicyError::Line {
                id: self.id.clone(),
                message,
            },
        }
    }
}

fn taken_apart(line: &Line, decoys: &[Vec<u8>]) -> Result<Vec<Clause>, PolicyError> {
    let clauses = clause::of(&line.condition, decoys).map_err(|why| line.error(why))?;
    for clause in &clauses {
        let reads = clause.files() & Op::Read.bit() != 0;
        if !clause.exact && !clause.net && reads {
            let what = if clause.files() == Op::Read.bit() {
                "reading"
            } else {
                "reading among others"
            };
            return Err(line.error(format!(
                "about {what}, only paths, names and decoys can be enforced in the guest's \
                 kernel; say which operation is meant (evt.op = exec) or compare only fd.name, \
                 fd.filename and path.decoy"
            )));
        }
    }
    Ok(clauses)
}

impl Enforced {
    /// What of it must be held.
    fn hold(&mut self, part: &Part<'_>) {
        let asks = matches!(part.line.action, Action::Ask | Action::Kill);
        for clause in &part.clauses {
            if part.line.action == Action::Kill {
                self.kills |= clause.ops;
            }
            if asks {
                self.held |= clause.ops & Op::Connect.bit();
            }
            if asks || !clause.exact {
                self.held |= clause.files();
            }
        }
    }

    /// `asking`: restrictions about which the host has to be asked.
    fn take(&mut self, part: &Part<'_>, asking: &mut Vec<KernelLine>) -> Vec<Enforcer> {
        let mut by = Vec::new();
        for clause in &part.clauses {
            let connect = Op::Connect.bit();
            if clause.ops & connect != 0 {
                by.push(if self.held & connect == 0 {
                    Enforcer::Host
                } else {
                    Enforcer::Hold
                });
            }
            let ops = clause.files();
            let settles = clause.exact && matches!(part.line.action, Action::Allow | Action::Deny);
            // A restriction that denies must not hide a line that kills: where one
            // may, the host says which is stricter.
            let unsure = if part.guard { ops & self.kills } else { 0 };
            let (sure, unsure) = if settles {
                (ops & !unsure, unsure)
            } else {
                (0, ops)
            };
            for (ops, action, who) in [
                (sure, part.line.action, Enforcer::Kernel),
                (unsure, Action::Ask, Enforcer::Hold),
            ] {
                // Decoys of which there are none concern nothing.
                let none = clause.places.as_ref().is_some_and(Vec::is_empty);
                if ops == 0 {
                    continue;
                }
                by.push(who);
                let line = KernelLine {
                    by: part.line.id.clone(),
                    action,
                    ops,
                    places: clause.places.clone().unwrap_or_default(),
                };
                match (none, part.guard && action == Action::Ask) {
                    (true, _) => {}
                    (false, true) => asking.push(line),
                    (false, false) => self.lines.push(line),
                }
            }
        }
        by.sort_unstable();
        by.dedup();
        by
    }

    /// Restrictions that ask stand behind everything, so that no denial is hidden: what
    /// allows the same asks instead, and the host finds the strictest answer. What the
    /// kernel denies by itself stays denied: no restriction kills for it.
    fn ask_besides(&mut self, mut asking: Vec<KernelLine>) {
        self.deny_what_leaks(&mut asking);
        let mut lines = Vec::with_capacity(self.lines.len() + asking.len());
        for mut line in std::mem::take(&mut self.lines) {
            if line.action == Action::Allow {
                let meeting = asking
                    .iter()
                    .filter(|ask| place::may_meet(&line.places, &ask.places));
                let asked = meeting.fold(0, |ops, ask| ops | ask.ops) & line.ops;
                if asked != 0 {
                    lines.push(KernelLine {
                        action: Action::Ask,
                        ops: asked,
                        ..line.clone()
                    });
                    line.ops &= !asked;
                }
            }
            if line.ops != 0 {
                lines.push(line);
            }
        }
        lines.extend(asking.into_iter().filter(|line| line.ops != 0));
        self.lines = lines;
    }

    /// A yes for renaming or linking something lifts questions about what else is done
    /// with it. Without the restriction they would have refused: so it denies there.
    fn deny_what_leaks(&mut self, asking: &mut [KernelLine]) {
        /// Reading and writing.
        const LEAKS: u16 = 0b011;
        let questions: Vec<_> = self
            .lines
            .iter()
            .chain(asking.iter())
            .filter(|line| line.action == Action::Ask)
            .cloned()
            .collect();
        let mut denials = Vec::new();
        for ask in asking {
            for op in [Op::Rename, Op::Link] {
                let leak = |line: &KernelLine| {
                    line.ops & LEAKS != 0 && place::may_meet(&line.places, &ask.places)
                };
                if ask.ops & op.bit() != 0 && questions.iter().any(leak) {
                    ask.ops &= !op.bit();
                    denials.push(KernelLine {
                        action: Action::Deny,
                        ops: op.bit(),
                        ..ask.clone()
                    });
                }
            }
        }
        denials.append(&mut self.lines);
        self.lines = denials;
    }

    /// What no line allows or denies goes on anyway: a line that allows is needed
    /// only in front of one that says something else about the same.
    fn drop_needless(&mut self) {
        let mut kept: Vec<KernelLine> = Vec::with_capacity(self.lines.len());
        for mut line in std::mem::take(&mut self.lines).into_iter().rev() {
            if line.action == Action::Allow {
                let others = kept.iter().filter(|other| {
                    other.action != Action::Allow && place::may_meet(&line.places, &other.places)
                });
                line.ops &= others.fold(0, |ops, other| ops | other.ops);
            }
            if line.ops != 0 {
                kept.push(line);
            }
        }
        kept.reverse();
        self.lines = kept;
    }

    fn limited(self, policy: &Policy) -> Result<Self, PolicyError> {
        let mut places = 0;
        for (number, line) in self.lines.iter().enumerate() {
            places += line.places.len();
            let what = match (number >= MAX_LINES, places > MAX_PLACES) {
                (true, _) => format!("more than {MAX_LINES} lines about files"),
                (_, true) => format!("more than {MAX_PLACES} paths and names in all lines"),
                _ => continue,
            };
            let message = format!("{what}, which the guest's kernel cannot hold");
            return Err(match policy.line(&line.by) {
                Some(line) => line.error(message),
                None => PolicyError::Line {
                    id: line.by.clone(),
                    message,
                },
            });
        }
        Ok(self)
    }

    /// The kernel's line about doing `op` with the object at this path: the first
    /// that concerns it.
    #[must_use]
    pub fn about(&self, op: Op, path: &[u8]) -> Option<&KernelLine> {
        self.lines.iter().find(|line| {
            line.ops & op.bit() != 0
                && (line.places.is_empty()
                    || line.places.iter().any(|place| place::concerns(place, path)))
        })
    }

    /// True if a folder above something that a line names stands at this path: the
    /// kernel does not let it be moved away.
    #[must_use]
    pub fn is_roof(&self, path: &[u8]) -> bool {
        let mut places = self.lines.iter().flat_map(|line| &line.places);
        places.any(|place| place::is_above(path, place))
    }
}
