//! Traces to the least policy that would have allowed what they did.
//!
//! Owns: [`Learner`]: what was done, by which events, and what of it is never
//! learned. Must not: open files, or depend on the order of the traces.
//!
//! Never learned, and denied in front of everything where it is a file: decoys,
//! what a line or a person denied, what led to a refused range, and whatever a
//! finding of severity high or critical is about.

mod tree;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;

use belljar_event::{Action, Dial, Fact, NameAnswer, Op, Target, Who};
use belljar_recorder::{ReadError, Reader};

use super::{BUILT_IN, Deed, Policy, PolicyError};
use crate::cond::{Field, Subject, Value};
use crate::moment::Moment;
use crate::rules::{RuleSet, Severity};
use crate::session::{Session, is_local};

/// More objects are not kept: the answer would be no policy.
const MAX_OBJECTS: usize = 20_000;
/// Events that are kept of each.
const MAX_EVENTS: usize = 64;

/// What something was done with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Object {
    Name(String, u16),
    Direct(SocketAddr),
    /// A name that was asked for.
    Lookup(String),
    Exec(String),
    Read(String),
    Write(String),
    /// A path that is no text, which no line can name.
    Unnamed(String),
}

/// Events: the trace's name and the number in it, a few of them, and how many there are.
#[derive(Clone, Debug, Default)]
struct Events {
    few: BTreeSet<(String, u64)>,
    count: u64,
}

impl Events {
    fn add(&mut self, trace: &str, seq: u64) {
        self.count += 1;
        self.few.insert((trace.to_owned(), seq));
        if self.few.len() > MAX_EVENTS {
            // The first ones stay, whatever came first.
            self.few.pop_last();
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Done {
    ops: u16,
    events: Events,
}

#[derive(Clone, Debug, Default)]
struct Refused {
    why: BTreeSet<String>,
    events: Events,
}

/// Something that is not learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotLearned {
    /// What was done with what. Not escaped.
    pub what: String,
    /// Why not.
    pub why: String,
    /// By which events: `run.bjt #12, #40`.
    pub events: String,
    object: Object,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Learned {
    /// The policy's text, with comments.
    pub text: String,
    /// The same, loaded.
    pub policy: Policy,
    /// What is not learned.
    pub not: Vec<NotLearned>,
    /// Objects beyond the limit, of which nothing is known.
    pub left_out: u64,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Learner {
    done: BTreeMap<Object, Done>,
    refused: BTreeMap<Object, Refused>,
    traces: BTreeSet<String>,
    left_out: u64,
}

/// What is known of one trace on the way.
#[derive(Default)]
struct Trace {
    policy: Option<Policy>,
    home: Option<String>,
    /// How often each finding of weight has been counted.
    counted: Vec<(u64, u64)>,
    flows: BTreeMap<u64, Object>,
    holds: BTreeMap<u64, Object>,
}

impl Learner {
    /// Takes in a trace, called `label` in the reasons.
    ///
    /// # Errors
    /// If its source fails. Of a damaged trace the good part is taken.
    pub fn trace<R: Read>(
        &mut self,
        label: &str,
        reader: &mut Reader<R>,
        rules: &Arc<RuleSet>,
    ) -> Result<(), ReadError> {
        self.traces.insert(label.to_owned());
        let mut session = Session::new(Arc::clone(rules)).with_start(reader.start());
        let mut trace = Trace::default();
        for entry in reader {
            let entry = entry?;
            session.push(&entry);
            let found = trace.found(&session);
            let moment = Moment::new(&session, &entry);
            self.told(&mut trace, label, &moment, found);
        }
        Ok(())
    }

    fn told(&mut self, trace: &mut Trace, label: &str, moment: &Moment<'_>, found: Vec<String>) {
        let seq = moment.seq();
        match &moment.event().fact {
            Fact::Policy(policy) => trace.policy = Policy::parse("recorded", &policy.source).ok(),
            Fact::Decoys(decoys) => {
                let paths = decoys.decoys.iter().map(|decoy| decoy.path.lossy());
                trace.home = paths.filter_map(|path| home_of(&path)).min();
            }
            Fact::Name(name) => {
                let object = Object::Lookup(name.name.lossy().trim_end_matches('.').to_lowercase());
                let mut why: BTreeSet<String> = found.into_iter().collect();
                if name.answer == NameAnswer::Refused {
                    why.insert(format!(
                        "refused at the lookup by {}, so no port is known",
                        name.by
                    ));
                }
                self.add(object, Op::Connect, why, label, seq);
                return;
            }
            Fact::FlowOpened(opened) => {
                if let (Dial::Refused { range, .. }, Some(object)) =
                    (&opened.how, trace.flows.get(&opened.flow))
                {
                    let why = format!("its address is refused whatever a policy says: {range}");
                    self.refuse(object.clone(), [why].into(), label, seq);
                }
                return;
            }
            Fact::Answer(answer) => {
                let said_no = answer.who == Who::Person && answer.action != Action::Allow;
                if let Some(object) = trace.holds.get(&answer.hold).filter(|_| said_no) {
                    let why = "denied by a person".to_owned();
                    self.refuse(object.clone(), [why].into(), label, seq);
                }
                return;
            }
            _ => {}
        }
        let Some(deed) = Deed::of(moment) else {
            return;
        };
        for (object, decoy) in trace.objects(&deed) {
            let mut why: BTreeSet<String> = found.iter().cloned().collect();
            if decoy {
                why.insert("a decoy".to_owned());
            }
            if let Some(line) = trace.denied_by(&deed) {
                why.insert(format!("denied by {line}"));
            }
            if let Object::Direct(to) = &object
                && let Some(range) = refused_range(*to)
            {
                why.insert(range);
            }
            match &moment.event().fact {
                Fact::FlowAsked(asked) => drop(trace.flows.insert(asked.flow, object.clone())),
                Fact::Held(held) => drop(trace.holds.insert(held.hold, object.clone())),
                _ => {}
            }
            // What runs or is read anyway needs no line.
            let free = match deed.op() {
                Op::Read => true,
                Op::Exec => deed.value(Field::PathDropped) == Value::Bool(false),
                _ => false,
            };
            if !free || !why.is_empty() {
                self.add(object, deed.op(), why, label, seq);
            }
        }
    }

    fn add(&mut self, object: Object, op: Op, why: BTreeSet<String>, label: &str, seq: u64) {
        let known = self.done.contains_key(&object);
        if !known && self.done.len() >= MAX_OBJECTS {
            self.left_out += 1;
            return;
        }
        if !why.is_empty() {
            self.refuse(object.clone(), why, label, seq);
        }
        let done = self.done.entry(object).or_default();
        done.ops |= op.bit();
        done.events.add(label, seq);
    }

    fn refuse(&mut self, object: Object, why: BTreeSet<String>, label: &str, seq: u64) {
        let refused = self.refused.entry(object).or_default();
        refused.why.extend(why);
        refused.events.add(label, seq);
    }

    /// The policy.
    ///
    /// # Errors
    /// If it would be larger than a policy may be.
    pub fn finish(self) -> Result<Learned, PolicyError> {
        write::policy(self)
    }
}

impl Trace {
    /// The findings of weight that the last entry was counted for.
    fn found(&mut self, session: &Session) -> Vec<String> {
        let mut new = Vec::new();
        let heavy = |severity: Severity| severity >= Severity::High;
        if session.findings().is_empty() {
            return new;
        }
        let counts = session.findings().iter();
        let counts: Vec<_> = counts
            .filter(|finding| heavy(finding.rule.severity))
            .map(|finding| {
                let known = self.counted.iter().find(|row| row.0 == finding.number);
                if known.is_none_or(|row| row.1 < finding.count) {
                    let what = format!("{} ({})", finding.rule.id, finding.rule.title);
                    new.push(format!("finding {what}"));
                }
                (finding.number, finding.count)
            })
            .collect();
        self.counted = counts;
        new
    }

    /// The line of the trace's own policy that denies it.
    fn denied_by(&self, deed: &Deed<'_, '_>) -> Option<String> {
        let decided = self.policy.as_ref()?.decide(deed);
        let denied = matches!(decided.action, Action::Deny | Action::Kill);
        (denied && decided.by != BUILT_IN).then_some(decided.by)
    }

    /// What it is done with, as far as a policy could be about it; and whether a decoy
    /// is among it.
    fn objects(&self, deed: &Deed<'_, '_>) -> Vec<(Object, bool)> {
        let decoy = deed.value(Field::PathDecoy) == Value::Bool(true);
        if deed.op() == Op::Connect {
            return destination(deed)
                .map(|to| (to, false))
                .into_iter()
                .collect();
        }
        let make = match deed.op() {
            Op::Read => Object::Read,
            Op::Exec => Object::Exec,
            _ => Object::Write,
        };
        let mut all = Vec::new();
        // Of a script the interpreter is executed by itself.
        let fields: &[Field] = match deed.op() {
            Op::Rename | Op::Link => &[Field::FdName, Field::FsPathTarget],
            _ => &[Field::FdName],
        };
        for field in fields {
            match deed.value(*field) {
                Value::Bytes(path) => match std::str::from_utf8(&path) {
                    Ok(path) => all.push((make(self.at_home(path)), decoy)),
                    Err(_) => {
                        all.push((Object::Unnamed(crate::escape::bytes(&path)), decoy));
                    }
                },
                Value::Cut(path) => {
                    all.push((Object::Unnamed(crate::escape::bytes(&path)), decoy));
                }
                _ => {}
            }
        }
        all
    }

    /// The payload's home has another name in each run.
    fn at_home(&self, path: &str) -> String {
        let rest = self.home.as_ref().and_then(|home| path.strip_prefix(home));
        match rest {
            Some(rest) if rest.starts_with('/') => format!("~{rest}"),
            _ => path.to_owned(),
        }
    }
}

fn destination(deed: &Deed<'_, '_>) -> Option<Object> {
    let port = match deed.value(Field::FdSport) {
        Value::Int(port) => u16::try_from(port).ok().filter(|port| *port != 0)?,
        _ => return None,
    };
    if let Value::Bytes(name) = deed.value(Field::NetName) {
        let name = String::from_utf8_lossy(&name)
            .trim_end_matches('.')
            .to_lowercase();
        return Some(Object::Name(name, port));
    }
    match deed.value(Field::FdRip) {
        // Lookups are answered inside, whatever address they are sent to.
        Value::Ip(ip) if !is_local(ip) && port != 53 => {
            Some(Object::Direct(SocketAddr::new(ip.to_canonical(), port)))
        }
        _ => None,
    }
}

/// `/home/NAME` of a path below it.
fn home_of(path: &str) -> Option<String> {
    let name = path.strip_prefix("/home/")?.split('/').next()?;
    Some(format!("/home/{name}"))
}

/// Why a literal address is none to learn.
fn refused_range(to: SocketAddr) -> Option<String> {
    let target = Target::Direct(to);
    let ranges = Policy::preset("observe").ok()?;
    let by = ranges.decide(&super::Question::flow(&target)).by;
    let refused = ["observe:private", "observe:metadata"].contains(&by.as_str());
    refused.then(|| format!("a refused range ({})", by.trim_start_matches("observe:")))
}

#[cfg(test)]
mod tests;
