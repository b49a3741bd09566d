//! A recorded run under another policy: what it would have decided, and where
//! that differs from what was in force.
//!
//! Owns: which events are questions to a policy, asking both policies about
//! each, folding what differs. Must not: judge the run, or pretend to know what
//! the payload would have done next.
//!
//! Both policies are asked about the same moment: the recorded one is the
//! policy in force then, saved lines included. What is compared is what a line
//! says (allow, deny, ask, kill), so that the run's own policy never differs
//! from itself; what came of it in the run stands beside. An answer by a person
//! is an answer to `ask`.
//!
//! The given policy stands where the run's own one stood: behind the lines that
//! a run puts in front of any policy ([`KEPT`]), a preset behind the run's
//! profiles too, and under the restrictions of the project's folder. `--lure`
//! and what was saved during the run are not kept.
//!
//! Not asked about: calls that failed by themselves; sockets inside the guest;
//! datagrams, which no policy allows.

mod page;

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;

use belljar_event::{Action, Event, Fact, NameAnswer, Op};
use belljar_recorder::{Entry, Integrity, ReadError, Reader};
use serde::Serialize;

use crate::cond::{Field, Subject, Value};
use crate::escape;
use crate::moment::{Moment, object};
use crate::policy::{Decided, PRESETS, PROFILES, Policy, PolicyError, Question, strictness};
use crate::rules::RuleSet;
use crate::session::path::{base_name, folder};
use crate::session::{Paths, Session};

/// Where lines come from that a run puts in front of whatever policy.
const KEPT: &[&str] = &["allow", "registry", "clone", "user"];
/// Rows kept; what is beyond is counted.
const MAX_ROWS: usize = 1000;
/// Flows and holds that may wait for their decision.
const MAX_OPEN: usize = 1 << 16;
/// Longest object in a row, in characters.
const MAX_OBJECT: usize = 200;
/// O_PATH: the file is only named.
const O_PATH: u32 = 0o10_000_000;

/// What came of asking another policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WhatIf {
    /// The other policy's name.
    pub policy: String,
    /// blake3 of it as it was asked.
    pub digest: String,
    /// blake3 of the policy in force at the end of the run.
    pub recorded: Option<String>,
    /// What both were asked about.
    pub asked: u64,
    /// The same answer from both.
    pub same: u64,
    /// The run allowed it, the other policy would not have.
    pub would_deny: u64,
    /// The run allowed it without asking, the other policy asks.
    pub would_ask: u64,
    /// The run did not allow it, the other policy would have.
    pub would_allow: u64,
    /// Other differences: asked by one and refused by the other, denied and killed.
    pub otherwise: u64,
    /// Calls that failed by themselves: no policy was asked.
    pub failed: u64,
    /// Each difference, folded by what was wanted and who decides, in order of the first event.
    pub rows: Vec<Row>,
    /// Rows beyond those listed.
    pub beyond: u64,
    /// What the trace cannot tell.
    pub limits: Vec<String>,
}

/// A difference (or, if all are asked for, an agreement).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The first event.
    pub seq: u64,
    /// How many like it.
    pub count: u64,
    /// `read`, `exec`, `connect`, `lookup` …
    pub op: &'static str,
    /// With what.
    pub object: String,
    /// The program.
    pub program: String,
    /// What the recorded policy said.
    pub recorded: Said,
    /// What came of it.
    pub ended: Ended,
    /// What the other one says.
    pub now: Said,
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Said {
    /// `allow`, `deny`, `ask`, `kill`.
    pub action: &'static str,
    /// By which line.
    pub by: String,
    /// The line's reason.
    pub reason: Option<String>,
}

/// What came of it in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ended {
    /// It was let through.
    Allowed,
    /// It was refused.
    Refused,
    /// Nobody decided before the end.
    Open,
}

impl WhatIf {
    /// The same for programs: indented, one newline at the end.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Structs of strings and numbers cannot fail to serialise.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// True if something that the run allowed would have been refused.
    #[must_use]
    pub fn denies(&self) -> bool {
        self.would_deny > 0
    }
}

/// Why a policy cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum WhatIfError {
    /// The source failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The policy cannot stand behind the run's own lines, or in its home.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// Asks `policy` about everything that the trace's own policy was asked.
/// `all`: rows for agreements too.
///
/// # Errors
/// If the source fails, or the policy does not fit the run. Damage is no error:
/// see the reader's integrity.
pub fn what_if<R: Read>(
    reader: &mut Reader<R>,
    rules: &Arc<RuleSet>,
    policy: &Policy,
    all: bool,
) -> Result<WhatIf, WhatIfError> {
    let mut asking = Asking {
        session: Session::new(Arc::clone(rules)).with_start(reader.start()),
        given: policy.clone(),
        other: policy.clone(),
        recorded: None,
        home: None,
        open: HashMap::new(),
        passed: HashMap::new(),
        folded: BTreeMap::new(),
        sums: Sums::default(),
        all,
    };
    for entry in reader.by_ref() {
        let entry = entry?;
        asking.session.follow(&entry);
        asking.entry(&entry)?;
    }
    Ok(asking.finish(&reader.integrity()))
}

/// Counted on the way.
#[derive(Default)]
struct Sums {
    asked: u64,
    same: u64,
    would_deny: u64,
    would_ask: u64,
    would_allow: u64,
    otherwise: u64,
    failed: u64,
    beyond: u64,
    lost: u64,
    undecided: u64,
}

/// One thing that both were asked about, until it is known what came of it.
struct Asked {
    seq: u64,
    op: &'static str,
    object: String,
    program: String,
    recorded: Said,
    now: Said,
}

/// What is the same is told once.
type Key = (&'static str, String, String, Said, Ended, Said);

/// Whose decision is awaited.
#[derive(PartialEq, Eq, Hash)]
enum Waits {
    Flow(u64),
    Hold(u64),
}

/// What a hold has settled: its call, or its flow, is not asked about again.
#[derive(PartialEq, Eq, Hash)]
enum Settled {
    Call(u32, Op),
    Flow(u32, String),
}

struct Asking {
    session: Session,
    given: Policy,
    /// `given`, as it would have stood in this run.
    other: Policy,
    recorded: Option<Policy>,
    home: Option<String>,
    open: HashMap<Waits, (Asked, Option<Settled>)>,
    passed: HashMap<Settled, u64>,
    folded: BTreeMap<Key, (u64, u64)>,
    sums: Sums,
    all: bool,
}

impl Asking {
    fn entry(&mut self, entry: &Entry) -> Result<(), PolicyError> {
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

    fn ended(&mut self, asked: Asked, ended: Ended) {
        let sums = &mut self.sums;
        let one = |count: &mut u64| *count = count.saturating_add(1);
        one(&mut sums.asked);
        if ended == Ended::Open {
            one(&mut sums.undecided);
        }
        let same = asked.recorded.action == asked.now.action;
        match (asked.now.action, ended) {
            _ if same => one(&mut sums.same),
            ("deny" | "kill", Ended::Allowed) => one(&mut sums.would_deny),
            ("ask", Ended::Allowed) => one(&mut sums.would_ask),
            ("allow", Ended::Refused) => one(&mut sums.would_allow),
            _ => one(&mut sums.otherwise),
        }
        if same && !self.all {
            return;
        }
        let key = (
            asked.op,
            asked.object,
            asked.program,
            asked.recorded,
            ended,
            asked.now,
        );
        if let Some((_, count)) = self.folded.get_mut(&key) {
            one(count);
        } else if self.folded.len() < MAX_ROWS {
            self.folded.insert(key, (asked.seq, 1));
        } else {
            one(&mut sums.beyond);
        }
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

    fn finish(mut self, integrity: &Integrity) -> WhatIf {
        let mut open: Vec<_> = std::mem::take(&mut self.open).into_values().collect();
        open.sort_by_key(|(asked, _)| asked.seq);
        for (asked, _) in open {
            self.ended(asked, Ended::Open);
        }
        let limits = self.limits(integrity);
        let row = |((op, object, program, recorded, ended, now), (seq, count))| Row {
            seq,
            count,
            op,
            object,
            program,
            recorded,
            ended,
            now,
        };
        let mut rows: Vec<Row> = std::mem::take(&mut self.folded)
            .into_iter()
            .map(row)
            .collect();
        rows.sort_by_key(|row| row.seq);
        let sums = self.sums;
        WhatIf {
            policy: self.other.name().to_owned(),
            digest: crate::hex(&self.other.digest()),
            recorded: self.recorded.map(|policy| crate::hex(&policy.digest())),
            asked: sums.asked,
            same: sums.same,
            would_deny: sums.would_deny,
            would_ask: sums.would_ask,
            would_allow: sums.would_allow,
            otherwise: sums.otherwise,
            failed: sums.failed,
            rows,
            beyond: sums.beyond,
            limits,
        }
    }

    fn limits(&self, integrity: &Integrity) -> Vec<String> {
        let sums = &self.sums;
        let told = [
            (
                self.recorded.is_none(),
                "the trace has no policy that can be loaded: nothing was compared".to_owned(),
            ),
            (
                sums.would_allow > 0,
                "what would have followed had refused calls been allowed is not in the trace"
                    .to_owned(),
            ),
            (
                sums.would_deny > 0,
                "what came after a call that would have been denied might not have happened"
                    .to_owned(),
            ),
            (
                sums.undecided > 0,
                format!(
                    "{} were asked about and never decided before the end",
                    sums.undecided
                ),
            ),
            (sums.lost > 0, format!("{} events were lost", sums.lost)),
            (
                !integrity.is_complete(),
                "the trace is cut: only its beginning was asked about".to_owned(),
            ),
        ];
        let told = told.into_iter().filter(|(is, _)| *is);
        told.map(|(_, text)| text).collect()
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

/// The files that a policy decides about: of a script its interpreter too, of
/// calls with two names both. Empty where what is known is not whole.
fn objects(event: &Event) -> Vec<Vec<u8>> {
    let paths = Paths::of(event);
    let interpreter = match &event.fact {
        Fact::Exec(exec) => exec.interpreter.as_ref().map(|path| path.bytes().to_vec()),
        _ => None,
    };
    let places = [paths.first, paths.second].into_iter().flatten();
    let known = places
        .filter(|place| place.whole)
        .map(|place| place.bytes.into_owned());
    known.chain(interpreter).collect()
}

/// Of two objects the stricter answer, as in a live run.
fn decide(policy: &Policy, moment: &Moment<'_>, paths: &[Vec<u8>]) -> Decided {
    let each = paths
        .iter()
        .map(|path| policy.decide(&Object { moment, path }));
    each.reduce(|first, second| {
        if strictness(second.action) > strictness(first.action) {
            second
        } else {
            first
        }
    })
    .unwrap_or_else(|| policy.decide(moment))
}

/// An event as a policy is asked about it: with one of its files as the object.
struct Object<'a> {
    moment: &'a dyn Subject,
    path: &'a [u8],
}

impl Subject for Object<'_> {
    fn value(&self, field: Field) -> Value<'_> {
        match field {
            Field::FdName | Field::FsPathName => Value::bytes(self.path),
            Field::FdFilename => Value::bytes(base_name(self.path)),
            Field::FdDirectory => Value::bytes(folder(self.path)),
            field => self.moment.value(field),
        }
    }

    fn each(&self, field: Field, visit: &mut dyn FnMut(&Value<'_>) -> ControlFlow<()>) {
        self.moment.each(field, visit);
    }
}

#[cfg(test)]
mod tests;
