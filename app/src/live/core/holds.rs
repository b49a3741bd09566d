//! Calls that the guest holds, and what the person at the terminal says.
//!
//! Owns: from a held call to its answer, the time that stands still meanwhile,
//! and the order in which all of it is recorded.
//! Must not: remember answers (the desk does) or judge conditions (the policy does).

use std::io::Write;
use std::time::{Duration, Instant};

use belljar_event::wire::{Hold, ToAgent, Verdict};
use belljar_event::{Action, Answer, Freeze, Held, Question, Scope, Who};
use belljar_replay::moment::Moment;
use belljar_replay::policy::{Decided, Object};
use tokio::sync::mpsc;

use super::{Core, CoreError};
use crate::live::desk::{Asked, Open, Reply};
use crate::live::saved::Saver;
use crate::live::{clock, prepare};

/// What the person says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// An answer.
    Answer(Reply),
    /// Somebody is there: a key was pressed.
    Here,
    /// The guest stands still, or goes on.
    Freeze(bool),
    /// A process and all below it must end.
    Kill(u32),
}

/// How questions are asked.
#[derive(Debug)]
pub(crate) struct Asking {
    /// Somebody is there.
    pub(crate) person: bool,
    /// Time stops in the guest meanwhile.
    pub(crate) pause: bool,
    /// Without a key for so long what is asked is denied.
    pub(crate) patience: Option<Duration>,
    /// Stops (true) and starts the machine.
    pub(crate) machine: mpsc::UnboundedSender<bool>,
    /// Where lines go that are saved.
    pub(crate) saver: Saver,
}

/// Why the machine stands still, if it does.
#[derive(Debug)]
pub(super) struct Stillness {
    /// The person wants it.
    frozen: bool,
    /// What the machine was last told.
    still: bool,
    /// The last sign of the person.
    here: Instant,
}

impl Default for Stillness {
    fn default() -> Self {
        Self {
            frozen: false,
            still: false,
            here: Instant::now(),
        }
    }
}

/// An answer, without whom it is for.
struct Given<'a> {
    action: Action,
    who: Who,
    by: &'a str,
    scope: Scope,
    waited: u64,
}

impl<'a> Given<'a> {
    /// For this call alone, and at once.
    fn now(action: Action, who: Who, by: &'a str) -> Self {
        Self {
            action,
            who,
            by,
            scope: Scope::Once,
            waited: 0,
        }
    }

    /// For this call alone, which has waited.
    fn waited(action: Action, who: Who, by: &'a str, open: &Open) -> Self {
        Self {
            waited: open.waited(),
            ..Self::now(action, who, by)
        }
    }
}

impl<W: Write> Core<W> {
    /// True while the machine stands still.
    pub(super) fn is_stopped(&self) -> bool {
        self.stillness.still
    }

    /// A call waits: the policy decides, an earlier answer, or somebody is asked.
    pub(super) fn held(&mut self, hold: Hold) -> Result<(), CoreError> {
        let fact = Held {
            hold: hold.id,
            op: hold.op,
            call: hold.call,
            path: hold.path.clone(),
            other: hold.other.clone(),
            target: hold.target.clone(),
            argv: hold.argv.clone(),
        };
        self.append(hold.at, (hold.pid, hold.tid), fact)?;
        let Some(entry) = self.publish()? else {
            let unrecorded = Given::now(Action::Deny, Who::Policy, "not recorded");
            return self.answer(&hold, unrecorded);
        };
        let moment = Moment::new(&self.session, &entry);
        let decided = self.decide(&hold, &moment);
        let wanted = Asked::of(&hold, &moment);
        let earlier = self.desk.earlier(&wanted, &moment);
        match (decided.action, earlier) {
            (Action::Ask, Some((action, first))) => {
                let by = format!("answer:{first}");
                self.answer(&hold, Given::now(action, Who::Earlier, &by))
            }
            (Action::Ask, None) if self.asking.person => self.ask(hold, decided.by, wanted),
            (Action::Ask, None) => {
                self.answer(&hold, Given::now(Action::Deny, Who::Nobody, &decided.by))
            }
            (action, _) => self.answer(&hold, Given::now(action, Who::Policy, &decided.by)),
        }
    }

    /// What the policy says: of two objects the stricter answer.
    fn decide(&self, hold: &Hold, moment: &Moment<'_>) -> Decided {
        let first = self.policy.decide(moment);
        match &hold.other {
            Some(other) => {
                let other = Object::new(moment, other.bytes());
                first.stricter(self.policy.decide(&other))
            }
            None => first,
        }
    }

    fn ask(&mut self, hold: Hold, by: String, wanted: Asked) -> Result<(), CoreError> {
        let (id, thread) = (hold.id, (hold.pid, hold.tid));
        if !self.desk.wait(hold.clone(), by.clone(), wanted) {
            return self.answer(&hold, Given::now(Action::Deny, Who::Nobody, &by));
        }
        // Nothing happens behind the question's back, and nothing times out.
        self.settle();
        self.append(self.clock.now(), thread, Question { hold: id, by })?;
        self.publish().map(drop)
    }

    /// The person has said something.
    pub(super) fn said(&mut self, word: Word) -> Result<(), CoreError> {
        self.stillness.here = Instant::now();
        match word {
            Word::Answer(reply) => self.replied(reply)?,
            Word::Here => {}
            Word::Freeze(frozen) if frozen != self.stillness.frozen => {
                self.stillness.frozen = frozen;
                self.state(Freeze { frozen })?;
                self.publish()?;
                self.settle();
            }
            Word::Freeze(_) => {}
            Word::Kill(pid) => {
                let by = "person".to_owned();
                // A full queue means an agent that does not read: the end of the run is near.
                let _ = self.agent.try_send(ToAgent::Kill { pid, by });
                self.doom(pid);
            }
        }
        Ok(())
    }

    fn replied(&mut self, reply: Reply) -> Result<(), CoreError> {
        // It may have been answered already, by a key pressed twice.
        let Some(open) = self.desk.take(reply.hold) else {
            return Ok(());
        };
        if let Scope::Saved(line) = &reply.scope {
            self.adopt(line, &open.by)?;
        }
        let session = &self.session;
        let below = |hold: &Hold, root: u32| session.is_from(hold.pid, root);
        let same = self.desk.remember(&open, &reply, &below);
        let given = Given {
            scope: reply.scope,
            ..Given::waited(reply.action, Who::Person, &open.by, &open)
        };
        self.answer(&open.hold, given)?;
        let by = format!("answer:{}", reply.hold);
        for other in same {
            let given = Given::waited(reply.action, Who::Earlier, &by, &other);
            self.answer(&other.hold, given)?;
        }
        self.settle();
        Ok(())
    }

    /// A held thread is gone.
    pub(super) fn gone(&mut self, id: u64) -> Result<(), CoreError> {
        if let Some(open) = self.desk.take(id) {
            let given = Given::waited(Action::Deny, Who::Gone, &open.by, &open);
            self.answer(&open.hold, given)?;
            self.settle();
        }
        Ok(())
    }

    /// Denies what waits for somebody who gives no sign any more, if that was asked for.
    pub(super) fn lose_patience(&mut self) -> Result<(), CoreError> {
        let Some(patience) = self.asking.patience else {
            return Ok(());
        };
        if self.stillness.here.elapsed() < patience {
            return Ok(());
        }
        for open in self.desk.older(patience) {
            let given = Given::waited(Action::Deny, Who::Timer, &open.by, &open);
            self.answer(&open.hold, given)?;
        }
        self.settle();
        Ok(())
    }

    /// Records the answer, and only then tells the agent.
    fn answer(&mut self, hold: &Hold, given: Given<'_>) -> Result<(), CoreError> {
        let fact = Answer {
            hold: hold.id,
            action: given.action,
            who: given.who,
            by: given.by.to_owned(),
            scope: given.scope,
            waited: given.waited,
        };
        self.append(self.clock.now(), (hold.pid, hold.tid), fact)?;
        if given.who != Who::Policy {
            // What the policy decides by itself is covered by the policy's record.
            self.publish()?;
        }
        let verdict = match given.action {
            Action::Allow => Verdict::Allow,
            Action::Kill => Verdict::Kill,
            Action::Deny | Action::Ask => Verdict::Deny,
        };
        if verdict == Verdict::Allow {
            self.desk.pass(hold);
        }
        // A full queue means an agent that does not read: the call stays held.
        let _ = self.agent.try_send(ToAgent::Decided {
            id: hold.id,
            verdict,
        });
        if verdict == Verdict::Kill {
            self.doom(hold.pid);
        }
        Ok(())
    }

    /// Stops or starts the machine, as it must be now.
    fn settle(&mut self) {
        let asked = self.asking.pause && !self.desk.is_empty();
        let still = asked || self.stillness.frozen;
        if still == self.stillness.still {
            return;
        }
        self.stillness.still = still;
        if still {
            self.clock.stop();
        }
        // Nobody listens only when the run is over.
        let _ = self.asking.machine.send(still);
        if !still {
            self.clock.go_on();
            let unix_nanos = clock::unix_nanos();
            let _ = self.agent.try_send(ToAgent::Clock { unix_nanos });
        }
    }

    /// A saved line is in force from here on, and written down.
    fn adopt(&mut self, line: &str, asked_by: &str) -> Result<(), CoreError> {
        // The screen has checked it; one that is none changes nothing.
        if let Some(policy) = self.asking.saver.save(&self.policy, line, asked_by) {
            self.policy = policy;
            let fact = prepare::policy_fact(&self.policy);
            self.state(fact)?;
        }
        Ok(())
    }
}
