//! The events behind one row of a comparison.
//!
//! Owns: finding in one run's entries those that a row stands for, folded as the
//! row is. Must not: compare, or keep more than a bounded number of events.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use belljar_event::{Addr, Connect, Fact, Target};
use belljar_recorder::{Entry, Start};

use super::alike::{Alike, roomy};
use super::gather::{Kind, finding_key, short};
use super::programs;
use crate::escape;
use crate::moment::Moment;
use crate::rules::RuleSet;
use crate::session::{Evidence, Paths, Session};

/// Events kept.
const MOST: usize = 200;
/// Texts of which it is remembered whether they are the row's.
const MAX_KNOWN: usize = 200_000;
/// Flows that are followed.
const MAX_FLOWS: usize = 10_000;

/// Finds the events behind a row; gets every entry of that run, in order.
pub struct Behind {
    session: Session,
    alike: Alike,
    kind: Kind,
    key: String,
    /// By text as it was recorded: is it the row's?
    known: HashMap<Vec<u8>, bool>,
    flows: HashSet<u64>,
    found: Vec<Evidence>,
    /// How many there are in all.
    count: u64,
    began: Option<u64>,
}

/// What stands behind a row in one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evident {
    /// The first events, oldest first.
    pub events: Vec<Evidence>,
    /// How many there are in all.
    pub count: u64,
    /// The run's first moment, which the events' times are counted from.
    pub began: u64,
}

impl Behind {
    /// Before the first entry. `rules` are those that the rows were made with.
    #[must_use]
    pub fn new(start: &Start, rules: &Arc<RuleSet>, alike: Alike, kind: Kind, key: &str) -> Self {
        Self {
            session: Session::new(Arc::clone(rules)).with_start(start),
            alike,
            kind,
            key: key.to_owned(),
            known: HashMap::new(),
            flows: HashSet::new(),
            found: Vec::new(),
            count: 0,
            began: None,
        }
    }

    /// The next entry.
    pub fn push(&mut self, entry: &Entry) {
        self.began.get_or_insert(entry.at());
        if let Fact::Decoys(decoys) = &entry.event().fact {
            self.alike.decoys(decoys);
        }
        // Only findings need the rules, which cost the most.
        match self.kind {
            Kind::Findings => self.session.push(entry),
            _ => self.session.follow(entry),
        }
        if self.is_about(entry) {
            self.count = self.count.saturating_add(1);
            if self.found.len() < MOST {
                self.found.push(Evidence {
                    seq: entry.seq(),
                    at: entry.at(),
                    summary: Moment::new(&self.session, entry).summary(),
                });
            }
        }
    }

    /// Behind the last one.
    #[must_use]
    pub fn finish(mut self) -> Evident {
        if self.kind == Kind::Findings {
            for finding in self.session.findings() {
                if short(finding_key(&self.alike, finding)) == self.key {
                    let room = MOST.saturating_sub(self.found.len());
                    self.found
                        .extend(finding.evidence.iter().take(room).cloned());
                    self.count = self.count.saturating_add(finding.count);
                }
            }
            self.found.sort_by_key(|evidence| evidence.seq);
        }
        Evident {
            events: self.found,
            count: self.count,
            began: self.began.unwrap_or(0),
        }
    }

    fn is_about(&mut self, entry: &Entry) -> bool {
        let event = entry.event();
        match (self.kind, &event.fact) {
            (Kind::Verdict | Kind::Incomplete, Fact::Lost(_) | Fact::Ended(_)) => true,
            (Kind::Phases, Fact::Phase(phase)) => short(phase.name.clone()) == self.key,
            (Kind::Scripts, Fact::Installed(_)) => true,
            (Kind::Processes, Fact::Exec(exec)) => {
                programs::keys(&self.alike, exec).contains(&self.key)
            }
            (Kind::Names, Fact::Name(name)) => self.is_text(&escape::text(&name.name)),
            (Kind::Destinations, fact) => self.is_destination(fact),
            (Kind::Files, _) => {
                let paths = Paths::of(event);
                let places = [paths.first, paths.second];
                let mut places = places.into_iter().flatten();
                places.any(|place| self.is_path(&place.bytes))
            }
            _ => false,
        }
    }

    fn is_path(&mut self, path: &[u8]) -> bool {
        if let Some(known) = self.known.get(path) {
            return *known;
        }
        let text = self.alike.text(&escape::bytes(path));
        let folded = roomy(&text, &["made", "removed"]) && self.key == "/tmp/#";
        let is = folded || short(text) == self.key;
        if self.known.len() < MAX_KNOWN {
            self.known.insert(path.to_vec(), is);
        }
        is
    }

    fn is_text(&self, text: &str) -> bool {
        short(self.alike.text(text)) == self.key
    }

    fn is_destination(&mut self, fact: &Fact) -> bool {
        match fact {
            Fact::FlowAsked(asked) => {
                let is = match &asked.target {
                    Target::Name { name, port } => self.is_text(&host(name, *port)),
                    Target::Direct(to) => self.is_address(to),
                };
                if is && self.flows.len() < MAX_FLOWS {
                    self.flows.insert(asked.flow);
                }
                is
            }
            Fact::Decision(of) => self.flows.contains(&of.flow),
            Fact::FlowOpened(of) => self.flows.contains(&of.flow),
            Fact::FlowClosed(of) => self.flows.contains(&of.flow),
            Fact::TlsHello(of) => self.flows.contains(&of.flow),
            Fact::HttpRequest(of) => self.flows.contains(&of.flow),
            Fact::CanarySeen(of) => self.flows.contains(&of.flow),
            Fact::Connect(connect) => self.is_connect(connect),
            _ => false,
        }
    }

    fn is_connect(&self, connect: &Connect) -> bool {
        match (&connect.name, &connect.addr) {
            (Some(name), Addr::Inet(to)) => self.is_text(&host(name, to.port())),
            (None, Addr::Inet(to)) => self.is_address(to),
            _ => false,
        }
    }

    fn is_address(&self, to: &SocketAddr) -> bool {
        self.is_text(&host(&to.ip().to_string(), to.port()))
    }
}

/// As a row of destinations is called.
pub(super) fn host(name: &str, port: u16) -> String {
    let name = escape::string(name);
    match name.contains(':') {
        true => format!("[{name}]:{port}"),
        false => format!("{name}:{port}"),
    }
}
