//! What each destination did over time, and what TLS clients called it.
//!
//! Owns: a small histogram for each destination, and names said in TLS, gathered
//! as entries come. Must not: judge; and what it tells is bounded by the playhead
//! of whoever asks.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use belljar_event::{Addr, Fact, Target};
use belljar_recorder::Entry;

use super::density::Density;
use super::text::safe_text;

/// Destinations that are followed.
const MAX_DESTINATIONS: usize = 4096;
/// Flows whose destination is remembered.
const MAX_FLOWS: usize = 65_536;
/// Parts that the time is told apart in.
const PARTS: usize = 128;
/// Names kept of one destination.
const MAX_NAMES: usize = 8;
/// So many bytes weigh as much as an attempt.
const BYTES: u64 = 1024;

/// A name and a port, as a row of the network pane has them.
type Where = (String, u16);

/// A name that was said in TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    /// The event that said it first.
    seq: u64,
    /// Escaped; `(none)` where the client named nobody.
    name: String,
}

#[derive(Clone, Debug)]
struct One {
    over_time: Density,
    said: Vec<Said>,
}

/// All destinations.
#[derive(Clone, Debug, Default)]
pub(super) struct Pulse {
    first: Option<u64>,
    all: BTreeMap<Where, One>,
    flows: BTreeMap<u64, Where>,
}

impl Pulse {
    /// The next entry.
    pub(super) fn add(&mut self, entry: &Entry) {
        let at = entry.at();
        self.first.get_or_insert(at);
        match &entry.event().fact {
            Fact::FlowAsked(asked) => {
                let to = match &asked.target {
                    Target::Name { name, port } => (name.clone(), *port),
                    Target::Direct(to) => address(to),
                };
                self.count(to.clone(), at, 1);
                if self.flows.len() < MAX_FLOWS {
                    self.flows.insert(asked.flow, to);
                }
            }
            Fact::Connect(connect) => {
                let Addr::Inet(to) = &connect.addr else {
                    return;
                };
                let to = match &connect.name {
                    Some(name) => (name.clone(), to.port()),
                    None => address(to),
                };
                self.count(to, at, 1);
            }
            Fact::FlowClosed(closed) => {
                // Nothing is said of a flow that is over.
                if let Some(to) = self.flows.remove(&closed.flow) {
                    let bytes = closed.sent.saturating_add(closed.received);
                    self.count(to, at, (bytes / BYTES).max(1));
                }
            }
            Fact::TlsHello(hello) => {
                let name = hello.name.as_ref().map_or("(none)".to_owned(), safe_text);
                self.say(hello.flow, entry.seq(), name);
            }
            _ => {}
        }
    }

    fn count(&mut self, to: Where, at: u64, weight: u64) {
        if self.all.len() >= MAX_DESTINATIONS && !self.all.contains_key(&to) {
            return;
        }
        let first = self.first.unwrap_or(at);
        let one = self.all.entry(to).or_insert_with(|| One {
            over_time: Density::with(first, PARTS),
            said: Vec::new(),
        });
        one.over_time.weigh(at, weight);
    }

    fn say(&mut self, flow: u64, seq: u64, name: String) {
        let one = self.flows.get(&flow).and_then(|to| self.all.get_mut(to));
        let Some(one) = one else { return };
        let known = one.said.iter().any(|said| said.name == name);
        if !known && one.said.len() < MAX_NAMES {
            one.said.push(Said { seq, name });
        }
    }

    /// Heights from 0 to 8 of a destination from the first event to `end`, and
    /// nothing of what comes behind it.
    pub(super) fn bars(&self, name: &str, port: u16, end: u64, cells: usize) -> Vec<u8> {
        match self.all.get(&(name.to_owned(), port)) {
            Some(one) => one.over_time.bars(end, cells),
            None => vec![0; cells],
        }
    }

    /// The names that were said in TLS up to an event, escaped.
    pub(super) fn said(&self, name: &str, port: u16, until: u64) -> Vec<&str> {
        let one = self.all.get(&(name.to_owned(), port));
        let said = one.map(|one| one.said.as_slice()).unwrap_or_default();
        let so_far = said.iter().filter(|said| said.seq <= until);
        so_far.map(|said| said.name.as_str()).collect()
    }
}

fn address(to: &SocketAddr) -> Where {
    (to.ip().to_string(), to.port())
}
