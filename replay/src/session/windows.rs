//! Patterns of several events, as far as they have come.
//!
//! Owns: partial matches of rules that look beyond one event, in guest time.
//! Must not: grow with the events. What is kept is bounded for each rule and
//! in all; what did not fit is counted, and the verdict says so. Cloning
//! shares everything.

use std::collections::VecDeque;
use std::sync::Arc;

use super::findings::Story;
use super::rows::Evidence;
use crate::rules::{Beyond, Form, Rule};

/// Most partial matches of one rule.
const MAX_OF_RULE: u32 = 4096;
/// Most partial matches in all.
const MAX_ALL: usize = 1 << 16;
/// Most windows that are closed when one event comes; the rest waits for the next.
const MAX_CLOSED: usize = 64;
/// Longest key in bytes; a longer one is hashed.
const MAX_KEY: usize = 64;

/// A rule by its number, and what its events have in common.
type Key = (u32, Arc<[u8]>);

/// The patterns under way.
#[derive(Clone, Default)]
pub(crate) struct Windows {
    open: imbl::OrdMap<Key, Partial>,
    /// When each of them is over.
    due: imbl::OrdSet<(u64, Key)>,
    /// How many each rule has.
    counts: imbl::OrdMap<u32, u32>,
    /// What did not fit, by rule.
    full: imbl::OrdMap<Arc<str>, u64>,
    /// The first of `due`, or the end of time.
    next: Option<u64>,
}

#[derive(Clone)]
struct Partial {
    over: u64,
    state: State,
}

#[derive(Clone)]
enum State {
    /// For each step, the latest beginning of a sequence that has come so far.
    Steps(Vec<Option<Prefix>>),
    /// Time, number and value of the newest events.
    Recent(VecDeque<(u64, u64, u64)>),
    /// Something that should be followed by something else.
    Waiting(Box<Waiting>),
}

#[derive(Clone)]
struct Prefix {
    begun: u64,
    seqs: Vec<u64>,
}

/// What a finding needs that is made after its event.
#[derive(Clone)]
pub(crate) struct Waiting {
    pub(crate) rule: Arc<Rule>,
    pub(crate) process: Option<u64>,
    pub(crate) subject: Arc<str>,
    pub(crate) evidence: Evidence,
    pub(crate) story: Arc<Story>,
}

/// An event that satisfies a step.
#[derive(Clone, Copy)]
pub(crate) struct Hit {
    pub(crate) rule: u32,
    pub(crate) step: usize,
    pub(crate) at: u64,
    pub(crate) seq: u64,
    /// A digest of the values that are counted.
    pub(crate) value: u64,
}

/// What a hit led to.
pub(crate) enum Led {
    /// Nothing yet.
    Nowhere,
    /// The pattern is complete; these events came before this one.
    Complete(Vec<u64>),
    /// An absence begins: what to wait with is wanted.
    Begins,
    /// Something was waited for in vain.
    Late(Box<Waiting>),
}

/// A key that fits.
pub(crate) fn key(bytes: &[u8]) -> Arc<[u8]> {
    if bytes.len() <= MAX_KEY {
        bytes.into()
    } else {
        blake3::hash(bytes).as_bytes()[..].into()
    }
}

impl Windows {
    /// Rules that had more partial matches than are kept, and how many were left out.
    pub(crate) fn full(&self) -> impl Iterator<Item = (&str, u64)> {
        self.full.iter().map(|(id, count)| (&**id, *count))
    }

    /// Closes what is over at this time. What waited in vain is handed to `found`.
    pub(crate) fn close(&mut self, now: u64, found: &mut dyn FnMut(Waiting)) {
        if self.next.is_none_or(|next| next >= now) {
            return;
        }
        for _ in 0..MAX_CLOSED {
            let Some((over, key)) = self.due.get_min().cloned() else {
                break;
            };
            if over >= now {
                break;
            }
            if let Some(Partial {
                state: State::Waiting(waiting),
                ..
            }) = self.removed(&key)
            {
                found(*waiting);
            }
        }
        self.next = self.due.get_min().map(|(over, _)| *over);
    }

    /// How many patterns are under way.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    fn removed(&mut self, key: &Key) -> Option<Partial> {
        let partial = self.open.remove(key)?;
        self.due.remove(&(partial.over, key.clone()));
        if let Some(count) = self.counts.get_mut(&key.0) {
            *count = count.saturating_sub(1);
        }
        Some(partial)
    }

    fn put(&mut self, key: Key, partial: Partial) {
        self.due.insert((partial.over, key.clone()));
        let next = self
            .next
            .map_or(partial.over, |next| next.min(partial.over));
        self.next = Some(next);
        *self.counts.entry(key.0).or_insert(0) += 1;
        self.open.insert(key, partial);
    }

    /// True if one more may be kept; else it is counted.
    fn room(&mut self, rule: u32, id: &str) -> bool {
        let of_rule = self.counts.get(&rule).copied().unwrap_or(0);
        if of_rule < MAX_OF_RULE && self.open.len() < MAX_ALL {
            return true;
        }
        let count = self.full.entry(id.into()).or_insert(0);
        *count = count.saturating_add(1);
        false
    }

    /// An event satisfies a step of this pattern.
    pub(crate) fn hit(&mut self, id: &str, beyond: &Beyond, key: Arc<[u8]>, hit: Hit) -> Led {
        let key = (hit.rule, key);
        let over = hit.at.saturating_add(beyond.within);
        let before = match self.removed(&key) {
            Some(Partial {
                over,
                state: State::Waiting(waiting),
            }) if over < hit.at => return Led::Late(waiting),
            before => before.filter(|partial| partial.over >= hit.at),
        };
        let (state, led) = match (&beyond.form, before.map(|partial| partial.state)) {
            (Form::Absence, before) => return self.absence(id, key, hit, before, over),
            (Form::Sequence { ordered }, before) => {
                let steps = match before {
                    Some(State::Steps(steps)) => steps,
                    _ => vec![None; beyond.steps.len()],
                };
                let (steps, led) = if *ordered {
                    in_order(steps, beyond, hit)
                } else {
                    in_any_order(steps, beyond, hit)
                };
                (steps.map(State::Steps), led)
            }
            (Form::Count { at_least, distinct }, before) => {
                let recent = match before {
                    Some(State::Recent(recent)) => recent,
                    _ => VecDeque::new(),
                };
                let (recent, led) = counted(recent, beyond, hit, *at_least, distinct.is_empty());
                (recent.map(State::Recent), led)
            }
        };
        if let Some(state) = state
            && self.room(hit.rule, id)
        {
            self.put(key, Partial { over, state });
        }
        led
    }

    fn absence(&mut self, id: &str, key: Key, hit: Hit, before: Option<State>, over: u64) -> Led {
        match (hit.step, before) {
            // What should follow has followed, or nobody waits for it.
            (1.., _) => Led::Nowhere,
            (0, Some(state)) => {
                // Who waits already goes on waiting for its own.
                let over = match &state {
                    State::Waiting(waiting) => {
                        over.saturating_sub(hit.at.saturating_sub(waiting.evidence.at))
                    }
                    _ => over,
                };
                self.put(key, Partial { over, state });
                Led::Nowhere
            }
            (0, None) if self.room(hit.rule, id) => Led::Begins,
            (0, None) => Led::Nowhere,
        }
    }

    /// Waits for what should follow.
    pub(crate) fn wait(&mut self, rule: u32, key: Arc<[u8]>, over: u64, waiting: Waiting) {
        let state = State::Waiting(Box::new(waiting));
        self.put((rule, key), Partial { over, state });
    }
}

/// The latest beginning of each prefix is enough: if any sequence fits into the
/// window, the one that began last does.
fn in_order(
    mut steps: Vec<Option<Prefix>>,
    beyond: &Beyond,
    hit: Hit,
) -> (Option<Vec<Option<Prefix>>>, Led) {
    let last = beyond.steps.len().saturating_sub(1);
    let prefix = if hit.step == 0 {
        Some(Prefix {
            begun: hit.at,
            seqs: Vec::new(),
        })
    } else {
        let before = steps.get(hit.step - 1).cloned().flatten();
        // One event is one step.
        before.filter(|before| {
            hit.at.saturating_sub(before.begun) <= beyond.within
                && before.seqs.last() != Some(&hit.seq)
        })
    };
    let Some(mut prefix) = prefix else {
        let empty = steps.iter().all(Option::is_none);
        return ((!empty).then_some(steps), Led::Nowhere);
    };
    if hit.step == last {
        return (None, Led::Complete(prefix.seqs));
    }
    prefix.seqs.push(hit.seq);
    if let Some(place) = steps.get_mut(hit.step) {
        *place = Some(prefix);
    }
    (Some(steps), Led::Nowhere)
}

fn in_any_order(
    mut steps: Vec<Option<Prefix>>,
    beyond: &Beyond,
    hit: Hit,
) -> (Option<Vec<Option<Prefix>>>, Led) {
    if let Some(place) = steps.get_mut(hit.step) {
        *place = Some(Prefix {
            begun: hit.at,
            seqs: vec![hit.seq],
        });
    }
    let in_time = |step: &Option<Prefix>| {
        step.as_ref()
            .is_some_and(|step| hit.at.saturating_sub(step.begun) <= beyond.within)
    };
    if !steps.iter().all(in_time) {
        return (Some(steps), Led::Nowhere);
    }
    let all = steps.iter().flatten().flat_map(|step| step.seqs.clone());
    let mut before: Vec<u64> = all.filter(|seq| *seq != hit.seq).collect();
    before.sort_unstable();
    before.dedup();
    (None, Led::Complete(before))
}

type Recent = VecDeque<(u64, u64, u64)>;

fn counted(
    mut recent: Recent,
    beyond: &Beyond,
    hit: Hit,
    at_least: u32,
    every: bool,
) -> (Option<Recent>, Led) {
    // One event counts once, whatever it satisfies.
    recent.retain(|(at, seq, value)| {
        *seq != hit.seq
            && hit.at.saturating_sub(*at) <= beyond.within
            && (every || *value != hit.value)
    });
    recent.push_back((hit.at, hit.seq, hit.value));
    if recent.len() < at_least as usize {
        return (Some(recent), Led::Nowhere);
    }
    let before = recent.iter().map(|(_, seq, _)| *seq);
    (
        None,
        Led::Complete(before.filter(|seq| *seq != hit.seq).collect()),
    )
}
