//! Asking the rules about an event that was folded, and keeping what they say.
//!
//! Owns: from an event to findings, of one event and of several.
//! Must not: fold events; the session did.

use std::sync::Arc;

use belljar_event::Event;

use super::findings::Story;
use super::path::Paths;
use super::process::Lineage;
use super::rows::Evidence;
use super::windows::{Hit, Led, Waiting, key};
use super::{Session, lineage};
use crate::cond::{Field, Subject, Truth, Value};
use crate::escape;
use crate::moment::Moment;
use crate::rules::{Beyond, By, Form, Rule, Said, type_of};

/// Longest subject of a finding, in characters.
const MAX_SUBJECT: usize = 300;
/// Longest message of a finding, in characters.
const MAX_MESSAGE: usize = 600;

/// Events that a complete pattern had before its last one.
struct Fired {
    rule: Arc<Rule>,
    before: Vec<u64>,
}

impl Session {
    pub(super) fn judge(
        &mut self,
        seq: u64,
        event: &Event,
        process: Option<u64>,
        paths: Paths<'_>,
        rows: Option<[Option<u32>; 2]>,
    ) {
        self.close_windows(event.at);
        let kind = type_of(event);
        if !self.rules.concerns(kind) {
            return;
        }
        let (mut fired, mut steps, mut open) = (Vec::new(), Vec::new(), Vec::new());
        // Taken out for a moment, because the session answers meanwhile.
        let mut known = std::mem::take(&mut self.known);
        let remembered = known.of(process, &self.processes);
        let moment = Moment::with_paths(self, seq, event, process, paths, rows);
        self.rules
            .weigh_type(&moment, kind, Some(remembered), &mut |said: Said<'_>| {
                let Said {
                    rule,
                    number,
                    step,
                    truth,
                } = said;
                match truth {
                    Truth::Yes if rule.beyond.is_some() => {
                        steps.push((Arc::clone(rule), number, step))
                    }
                    Truth::Yes => fired.push(Fired {
                        rule: Arc::clone(rule),
                        before: Vec::new(),
                    }),
                    Truth::Maybe => open.push(Arc::clone(rule)),
                    Truth::No => {}
                }
            });
        self.known = known;
        for rule in &open {
            self.findings.left_open(rule, seq);
        }
        // The last steps first: one event is not two steps of a sequence.
        for (rule, number, step) in steps.into_iter().rev() {
            if let Some(before) = self.stepped(&rule, (number, step), seq, event, process) {
                fired.push(Fired { rule, before });
            }
        }
        if !fired.is_empty() {
            self.found(&fired, seq, event, process);
        }
    }

    /// Findings of what should have happened in the meantime and did not.
    fn close_windows(&mut self, now: u64) {
        let mut late = Vec::new();
        self.windows.close(now, &mut |waiting| late.push(waiting));
        late.into_iter().for_each(|waiting| self.in_vain(waiting));
    }

    fn in_vain(&mut self, waiting: Waiting) {
        let Waiting {
            rule,
            process,
            subject,
            evidence,
            story,
        } = waiting;
        self.findings.found(
            (&rule, process, &subject),
            evidence.seq,
            &[],
            &|| evidence.clone(),
            &mut || Story::clone(&story),
        );
        if let Some(process) = process.and_then(|key| self.processes.get_mut(key)) {
            process.worst = process.worst.max(Some(rule.severity));
        }
    }

    /// An event satisfies a step of a pattern: the events before it, if that completes it.
    fn stepped(
        &mut self,
        rule: &Arc<Rule>,
        (number, step): (u32, usize),
        seq: u64,
        event: &Event,
        process: Option<u64>,
    ) -> Option<Vec<u64>> {
        let beyond = rule.beyond.as_ref()?;
        let moment = Moment::of(self, seq, event, process);
        let tied = match tie(self, &moment, beyond) {
            Tie::Key(bytes) => key(&bytes),
            Tie::Unknown => {
                self.findings.left_open(rule, seq);
                return None;
            }
            Tie::Nothing => return None,
        };
        let value = counted(&moment, beyond)?;
        let hit = Hit {
            rule: number,
            step,
            at: event.at,
            seq,
            value,
        };
        match self.windows.hit(&rule.id, beyond, Arc::clone(&tied), hit) {
            Led::Nowhere => None,
            Led::Complete(before) => Some(before),
            Led::Late(waiting) => {
                self.in_vain(*waiting);
                None
            }
            Led::Begins => {
                let waiting = self.begun(rule, seq, event, process);
                let over = event.at.saturating_add(beyond.within);
                self.windows.wait(number, tied, over, waiting);
                None
            }
        }
    }

    /// What a finding will need, should nothing follow.
    fn begun(&self, rule: &Arc<Rule>, seq: u64, event: &Event, process: Option<u64>) -> Waiting {
        let moment = Moment::of(self, seq, event, process);
        let who = moment.process_key();
        Waiting {
            rule: Arc::clone(rule),
            process: who,
            subject: subject(rule, &moment).into(),
            evidence: Evidence {
                seq,
                at: event.at,
                summary: moment.summary(),
            },
            story: Arc::new(story(rule, &moment, lineage(&self.processes, who))),
        }
    }

    fn found(&mut self, fired: &[Fired], seq: u64, event: &Event, process: Option<u64>) {
        // Taken out for a moment, because the story is told by the rest of the session.
        let mut findings = std::mem::take(&mut self.findings);
        let mut known = std::mem::take(&mut self.known);
        let moment = Moment::of(self, seq, event, process);
        let who = moment.process_key();
        for Fired { rule, before } in fired {
            let words = escape::string(&rule.subject_for(&moment));
            let evidence = || Evidence {
                seq,
                at: event.at,
                summary: moment.summary(),
            };
            // Without a subject of its own a finding is folded by its message.
            let message = || match &rule.subject {
                Some(_) => escape::string(&rule.message_for(&moment)),
                None => words.clone(),
            };
            let mut story = || Story {
                message: escape::clip(&message(), MAX_MESSAGE),
                lineage: known.lineage(who, &self.processes),
            };
            let subject = escape::clip(&words, MAX_SUBJECT);
            let which = (rule, who, &*subject);
            findings.found(which, seq, before, &evidence, &mut story);
        }
        (self.findings, self.known) = (findings, known);
        let worst = fired.iter().map(|fired| fired.rule.severity).max();
        if let Some(process) = who.and_then(|key| self.processes.get_mut(key)) {
            process.worst = process.worst.max(worst);
        }
    }
}

fn subject(rule: &Rule, moment: &Moment<'_>) -> String {
    escape::clip(&escape::string(&rule.subject_for(moment)), MAX_SUBJECT)
}

fn story(rule: &Rule, moment: &Moment<'_>, lineage: Lineage) -> Story {
    Story {
        message: escape::clip(&escape::string(&rule.message_for(moment)), MAX_MESSAGE),
        lineage,
    }
}

/// What ties an event to others.
enum Tie {
    Key(Vec<u8>),
    /// It is there, but not known.
    Unknown,
    Nothing,
}

fn tie(session: &Session, moment: &Moment<'_>, beyond: &Beyond) -> Tie {
    let process = |of: &dyn Fn(u64) -> u64| {
        let key = moment.process_key();
        key.map_or(Tie::Nothing, |key| Tie::Key(of(key).to_be_bytes().into()))
    };
    match &beyond.by {
        By::Run => Tie::Key(Vec::new()),
        By::Process => process(&|key| key),
        By::Tree => process(&|key| session.processes.branch(key)),
        By::Path => values(moment, &[Field::FsPathName]),
        By::Destination => match values(moment, &[Field::NetName]) {
            Tie::Nothing => values(moment, &[Field::FdRip]),
            named => named,
        },
        By::Fields(fields) => values(moment, fields),
    }
}

/// The values of these fields, each with its length before it.
fn values(moment: &Moment<'_>, fields: &[Field]) -> Tie {
    let mut bytes = Vec::new();
    for field in fields {
        let value: Vec<u8> = match moment.value(*field) {
            Value::Absent => return Tie::Nothing,
            Value::Unknown | Value::Cut(_) => return Tie::Unknown,
            Value::Bytes(text) => text.to_ascii_lowercase(),
            Value::Bool(is) => vec![u8::from(is)],
            Value::Int(number) => number.to_be_bytes().into(),
            Value::Ip(ip) => ip.to_string().into_bytes(),
            Value::List(_) => return Tie::Nothing,
        };
        bytes.extend_from_slice(&(value.len() as u64).to_be_bytes());
        bytes.extend_from_slice(&value);
    }
    Tie::Key(bytes)
}

/// A digest of what is counted; `None` if the event has nothing of that sort.
fn counted(moment: &Moment<'_>, beyond: &Beyond) -> Option<u64> {
    let Form::Count { distinct, .. } = &beyond.form else {
        return Some(0);
    };
    if distinct.is_empty() {
        return Some(0);
    }
    match values(moment, distinct) {
        Tie::Key(bytes) => {
            let digest = blake3::hash(&bytes);
            let head = digest.as_bytes().first_chunk::<8>()?;
            Some(u64::from_be_bytes(*head))
        }
        Tie::Unknown | Tie::Nothing => None,
    }
}
