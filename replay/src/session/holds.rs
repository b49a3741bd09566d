//! Held calls: what was asked, and what was answered.
//!
//! Owns: [`Holds`]: the questions in their order, with their answers, and counts.
//! Must not: decide. Forged or repeated numbers change nothing.

use std::sync::Arc;

use belljar_event::{Action, Answer, Denied, Fact, Held, Op, Question, Scope, Text, Who};

use crate::escape;
use crate::moment::{command, object};

/// Most holds that are known at a time without a question, and most questions kept.
const MAX_OPEN: usize = 4096;
const MAX_QUESTIONS: usize = 4096;

/// A question, for people: every text is escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuestionRow {
    /// The hold's number.
    pub hold: u64,
    /// The entry that asked.
    pub seq: u64,
    /// Guest time.
    pub at: u64,
    /// Process.
    pub pid: u32,
    /// Its key in the process table.
    pub process: Option<u64>,
    /// What it wants to do.
    pub op: Op,
    /// With what: a path, or a destination.
    pub object: String,
    /// The command line, of execs.
    pub command: String,
    /// The policy line that asks.
    pub by: String,
    /// The policy line that would be saved, without its action.
    pub condition: String,
    /// What was answered.
    pub answer: Option<AnswerRow>,
}

/// An answer, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerRow {
    /// What was decided.
    pub action: Action,
    /// Who decided.
    pub who: Who,
    /// What it holds for.
    pub scope: Scope,
    /// Nanoseconds waited.
    pub waited: u64,
}

/// The table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holds {
    open: imbl::OrdMap<u64, Arc<Held>>,
    questions: imbl::Vector<Arc<QuestionRow>>,
    /// Holds, whatever came of them.
    pub(crate) held: u64,
    /// Questions to a person.
    pub(crate) asked: u64,
    /// Answers, by who gave them.
    answered: [u64; 6],
    /// Kept questions that were answered with yes, and with anything else.
    pub(crate) allowed: u64,
    pub(crate) refused: u64,
    /// Calls that the guest's kernel refused because of a line.
    pub(crate) denied: u64,
    /// Process trees that were ended.
    pub(crate) killed: u64,
    /// The person has stopped the machine.
    pub(crate) frozen: bool,
}

impl Holds {
    pub(crate) fn told(&mut self, fact: &Fact, seq: u64, at: u64, who: (u32, Option<u64>)) {
        match fact {
            Fact::Held(held) => self.held(held),
            Fact::Question(question) => self.asked(question, seq, at, who),
            Fact::Answer(answer) => self.answered(answer),
            Fact::Denied(Denied { .. }) => self.denied += 1,
            Fact::Killed(_) => self.killed += 1,
            Fact::Freeze(freeze) => self.frozen = freeze.frozen,
            _ => {}
        }
    }

    fn held(&mut self, held: &Held) {
        self.held += 1;
        if self.open.len() < MAX_OPEN {
            self.open.insert(held.hold, Arc::new(held.clone()));
        }
    }

    fn asked(
        &mut self,
        question: &Question,
        seq: u64,
        at: u64,
        (pid, process): (u32, Option<u64>),
    ) {
        self.asked += 1;
        let Some(held) = self.open.get(&question.hold) else {
            return;
        };
        if self.questions.len() >= MAX_QUESTIONS {
            return;
        }
        self.questions.push_back(Arc::new(QuestionRow {
            hold: held.hold,
            seq,
            at,
            pid,
            process,
            op: held.op,
            object: object(held),
            command: command(&held.argv),
            by: escape::string(&question.by),
            condition: condition(held),
            answer: None,
        }));
    }

    fn answered(&mut self, answer: &Answer) {
        self.open.remove(&answer.hold);
        if let Some(count) = self.answered.get_mut(slot(answer.who)) {
            *count = count.saturating_add(1);
        }
        let at = self
            .questions
            .iter()
            .rposition(|row| row.hold == answer.hold && row.answer.is_none());
        if let Some(row) = at.and_then(|at| self.questions.get_mut(at)) {
            let count = match answer.action {
                Action::Allow => &mut self.allowed,
                Action::Deny | Action::Ask | Action::Kill => &mut self.refused,
            };
            *count = count.saturating_add(1);
            Arc::make_mut(row).answer = Some(AnswerRow {
                action: answer.action,
                who: answer.who,
                scope: answer.scope.clone(),
                waited: answer.waited,
            });
        }
    }

    /// How many holds were answered so.
    pub(crate) fn answered_by(&self, who: Who) -> u64 {
        self.answered.get(slot(who)).copied().unwrap_or(0)
    }

    pub(crate) fn questions(&self) -> impl DoubleEndedIterator<Item = &Arc<QuestionRow>> {
        self.questions.iter()
    }
}

/// Where an answer is counted.
fn slot(who: Who) -> usize {
    match who {
        Who::Policy => 0,
        Who::Person => 1,
        Who::Earlier => 2,
        Who::Nobody => 3,
        Who::Timer => 4,
        Who::Gone => 5,
    }
}

/// The condition that holds for this and for nothing wider.
fn condition(held: &Held) -> String {
    let op = held.op.name();
    match (&held.target, &held.path) {
        (Some(target), _) => match target.name() {
            Some(name) => format!(
                "evt.op = {op} and net.name = {} and fd.sport = {}",
                escape::quoted(name.as_bytes()),
                target.port()
            ),
            None => {
                let ip = target.ip().map_or_else(String::new, |ip| ip.to_string());
                format!(
                    "evt.op = {op} and net.direct and fd.rip = {ip} and fd.sport = {}",
                    target.port()
                )
            }
        },
        // What is no text cannot be named either.
        (None, Some(Text::Whole(path))) if std::str::from_utf8(path).is_ok() => {
            format!("evt.op = {op} and fd.name = {}", escape::quoted(path))
        }
        // What is not known whole cannot be named: nothing is offered to be saved.
        (None, _) => String::new(),
    }
}
