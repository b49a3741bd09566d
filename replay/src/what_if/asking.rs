//! Going through a run and asking both policies about each thing that they decide.
//!
//! Owns: which events are questions, which of them are one, what came of each.
//! Must not: say what it amounts to (`told` does).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use belljar_event::{Action, Fact, NameAnswer, Op};
use belljar_recorder::{Entry, Start};

use super::object::{decide, objects};
use super::told::Sums;
use super::{Ended, Said};
use crate::cond::{Field, Subject, Value};
use crate::escape;
use crate::moment::{Moment, object};
use crate::policy::{Decided, PRESETS, PROFILES, Policy, PolicyError, Question};
use crate::rules::RuleSet;
use crate::session::Session;

/// Where lines come from that a run puts in front of whatever policy.
const KEPT: &[&str] = &["allow", "registry", "clone", "user"];
/// Flows and holds that may wait for their decision.
const MAX_OPEN: usize = 1 << 16;
/// Longest object in a row, in characters.
const MAX_OBJECT: usize = 200;
/// O_PATH: the file is only named.
const O_PATH: u32 = 0o10_000_000;

/// One thing that both were asked about, until it is known what came of it.
pub(super) struct Asked {
    pub(super) seq: u64,
    pub(super) op: &'static str,
    pub(super) object: String,
    pub(super) program: String,
    pub(super) recorded: Said,
    pub(super) now: Said,
}

/// What is the same is told once.
pub(super) type Key = (&'static str, String, String, Said, Ended, Said);

/// Whose decision is awaited.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum Waits {
    Flow(u64),
    Hold(u64),
}

/// What a hold has settled: its call, or its flow, is not asked about again.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum Settled {
    Call(u32, Op),
    Flow(u32, String),
}

pub(super) struct Asking {
    pub(super) session: Session,
    pub(super) given: Policy,
    /// `given`, as it would have stood in this run.
    pub(super) other: Policy,
    pub(super) recorded: Option<Policy>,
    pub(super) home: Option<String>,
    pub(super) open: HashMap<Waits, (Asked, Option<Settled>)>,
    pub(super) passed: HashMap<Settled, u64>,
    pub(super) folded: BTreeMap<Key, (u64, u64)>,
    pub(super) sums: Sums,
    pub(super) all: bool,
}

impl Asking {
    pub(super) fn new(rules: &Arc<RuleSet>, start: &Start, policy: &Policy, all: bool) -> Self {
        Self {
            session: Session::new(Arc::clone(rules)).with_start(start),
            given: policy.clone(),
            other: policy.clone(),
            recorded: None,
            home: None,
            open: HashMap::new(),
            passed: HashMap::new(),
            folded: BTreeMap::new(),
            sums: Sums::default(),
            all,
        }
    }

    /// Folds an entry, and asks both policies if it is a question to them.
    pub(super) fn entry(&mut self, entry: &Entry) -> Result<(), PolicyError> {
        self.session.follow(entry);
        let event = entry.event();
        match &event.fact {
            Fact::Policy(policy) => {
                // What does not load decided nothing that could be asked again.
                self.recorded = Policy::parse("recorded", &policy.source).ok();
                self.fit()?;
            }
            Fact::Decoys(decoys) => {
                let paths = decoys.decoys.iter().map(|decoy| decoy.path.lossy());
                self.home = paths.filter_map(|path| home_of(&path)).next();
                self.fit()?;
            }
            Fact::Lost(lost) => self.sums.lost = self.sums.lost.saturating_add(lost.count),
            Fact::Name(name) => {
                let refused = name.answer == NameAnswer::Refused;
                let host = name.name.lossy();
                let phase = self.session.phase();
                let question = Question::lookup(&host).during(phase);
                let recorded = match &self.recorded {
                    Some(policy) => policy.lookup(&question),
                    None => return Ok(()),
                };
                let now = self.other.lookup(&question);
                let asked = self.asked(entry, "lookup", escape::string(&host), recorded, now);
                self.ended(asked, of(!refused));
            }
            Fact::FlowAsked(asked) => {
                let settled = Settled::Flow(event.pid, asked.target.to_string());
                if !self.settled(&settled) {
                    let object = escape::string(&asked.target.to_string());
                    self.wait(entry, Waits::Flow(asked.flow), object, None);
                }
            }
            Fact::Decision(decision) => {
                self.decided(
                    &Waits::Flow(decision.flow),
                    decision.action == Action::Allow,
                );
            }
            Fact::Held(held) => {
                let settled = match &held.target {
                    Some(target) => Settled::Flow(event.pid, target.to_string()),
                    None => Settled::Call(event.tid, held.op),
                };
                self.wait(entry, Waits::Hold(held.hold), object(held), Some(settled));
            }
            Fact::Answer(answer) => {
                self.decided(&Waits::Hold(answer.hold), answer.action == Action::Allow);
            }
            Fact::Denied(_) => self.both(entry, Ended::Refused),
            _ => self.call(entry),
        }
        Ok(())
    }

    /// A call that was made: what it was allowed to do.
    fn call(&mut self, entry: &Entry) {
        let event = entry.event();
        let moment = Moment::new(&self.session, entry);
        let Some(op) = moment.op() else { return };
        match &event.fact {
            Fact::Open(open) if open.flags & O_PATH != 0 => return,
            Fact::Connect(_) => {
                // What was let through is a flow.
                let is = |field| matches!(moment.value(field), Value::Bool(true));
                if is(Field::NetDirect) && is(Field::NetRefused) {
                    self.both(entry, Ended::Refused);
                }
                return;
            }
            Fact::Open(_) | Fact::Exec(_) | Fact::Change(_) => {}
            _ => return,
        }
        if !event.outcome.succeeded() {
            // What a line refused is told by an event of its own.
            self.sums.failed = self.sums.failed.saturating_add(1);
            return;
        }
        if self.settled(&Settled::Call(event.tid, op)) {
            return;
        }
        self.both(entry, Ended::Allowed);
    }

    /// Asks both and files what they say.
    fn both(&mut self, entry: &Entry, ended: Ended) {
        if let Some(asked) = self.ask(entry, None) {
            self.ended(asked, ended);
        }
    }

    fn wait(&mut self, entry: &Entry, who: Waits, object: String, settles: Option<Settled>) {
        let Some(asked) = self.ask(entry, Some(object)) else {
            return;
        };
        if self.open.len() >= MAX_OPEN {
            self.ended(asked, Ended::Open);
            return;
        }
        // A number that is used twice: nobody answered the first one.
        if let Some((before, _)) = self.open.insert(who, (asked, settles)) {
            self.ended(before, Ended::Open);
        }
    }

    fn ask(&self, entry: &Entry, object: Option<String>) -> Option<Asked> {
        let moment = Moment::new(&self.session, entry);
        let paths = objects(entry.event());
        let recorded = decide(self.recorded.as_ref()?, &moment, &paths);
        let mut now = decide(&self.other, &moment, &paths);
        // The guest's kernel lets through literal addresses and what was looked up.
        let direct = matches!(entry.event().fact, Fact::Connect(_));
        if direct && now.action == Action::Allow && !now.literal {
            now.action = Action::Deny;
        }
        let op = moment.op().map_or("flow", Op::name);
        let object = object.unwrap_or_else(|| moment.shown(Field::FsPathName));
        let object = match direct {
            true => moment.shown(Field::FdName),
            false => object,
        };
        Some(self.asked(entry, op, object, recorded, now))
    }

    fn asked(
        &self,
        entry: &Entry,
        op: &'static str,
        object: String,
        recorded: Decided,
        now: Decided,
    ) -> Asked {
        let moment = Moment::new(&self.session, entry);
        Asked {
            seq: entry.seq(),
            op,
            object: escape::clip(&object, MAX_OBJECT),
            program: moment.shown(Field::ProcName),
            recorded: said(recorded),
            now: said(now),
        }
    }

    fn decided(&mut self, who: &Waits, allowed: bool) {
        let Some((asked, settles)) = self.open.remove(who) else {
            return;
        };
        if let Some(settled) = settles.filter(|_| allowed && self.passed.len() < MAX_OPEN) {
            let count = self.passed.entry(settled).or_default();
            *count = count.saturating_add(1);
        }
        self.ended(asked, of(allowed));
    }

    /// True, once, for what a hold has let through.
    fn settled(&mut self, what: &Settled) -> bool {
        let Some(count) = self.passed.get_mut(what) else {
            return false;
        };
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.passed.remove(what);
        }
        true
    }

    /// Lays the other policy out for this run.
    fn fit(&mut self) -> Result<(), PolicyError> {
        let home = self.home.as_deref().unwrap_or("/home/user");
        let kept = |origin: &str| {
            let profile = PROFILES.contains(&origin) && PRESETS.contains(&self.given.name());
            KEPT.contains(&origin) || profile
        };
        let own = self.recorded.iter().flat_map(|policy| policy.lines());
        let own = own.filter(|line| line.id.split(':').next().is_some_and(kept));
        let mut other = self.given.at_home(home)?.behind(own)?;
        if let Some(recorded) = &self.recorded {
            other = other.restricted_as(recorded)?;
        }
        self.other = other;
        Ok(())
    }
}

fn of(allowed: bool) -> Ended {
    if allowed {
        Ended::Allowed
    } else {
        Ended::Refused
    }
}

fn said(decided: Decided) -> Said {
    Said {
        action: crate::moment::action(decided.action),
        by: escape::string(&decided.by),
        reason: decided.reason.map(|reason| escape::string(&reason)),
    }
}

/// The home that this path lies in.
fn home_of(path: &str) -> Option<String> {
    let user = path.strip_prefix("/home/")?.split('/').next()?;
    (!user.is_empty()).then(|| format!("/home/{user}"))
}
