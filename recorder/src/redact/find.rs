//! The first pass: what the patterns match, anywhere in the trace.
//!
//! Owns: the list of secrets, the addresses, and the payload's output in one
//! piece. Must not: change the trace.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use belljar_event::{Event, Text};

use super::pattern::Found;
use super::{Kind, Patterns, RedactError, Redactor};
use crate::Start;
use crate::visit::{self, Role, Visit};

/// Most secrets that are told apart.
const MAX_SECRETS: usize = 50_000;
/// Most bytes of output that are held in memory.
const MAX_OUTPUT: usize = 64 << 20;

/// A literal to be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Secret {
    pub(super) bytes: Box<[u8]>,
    pub(super) kind: Kind,
}

/// Learns what is to be hidden. Show it the start record and every event.
#[derive(Debug)]
pub struct Finder {
    pub(super) patterns: Patterns,
    pub(super) secrets: Vec<Secret>,
    known: HashMap<Box<[u8]>, ()>,
    pub(super) addresses: BTreeSet<IpAddr>,
    pub(super) chunks: Vec<Vec<u8>>,
    output: usize,
    error: Option<RedactError>,
}

impl Finder {
    /// A finder that has seen nothing.
    #[must_use]
    pub fn new(patterns: Patterns) -> Self {
        let mut finder = Self {
            patterns,
            secrets: Vec::new(),
            known: HashMap::new(),
            addresses: BTreeSet::new(),
            chunks: Vec::new(),
            output: 0,
            error: None,
        };
        // Known beforehand: they are hidden even inside other words.
        for name in finder.patterns.exact().to_vec() {
            finder.learn(name.as_bytes(), Kind::Name);
        }
        finder
    }

    /// Looks at the start record.
    pub fn see_start(&mut self, start: &Start) {
        visit::visit_start(&mut start.clone(), self);
    }

    /// Looks at an event.
    pub fn see(&mut self, event: &Event) {
        visit::visit_fact(&mut event.fact.clone(), self);
    }

    /// What is to be replaced, ready to do it.
    ///
    /// # Errors
    /// If there is too much of it, or something cannot be hidden.
    pub fn finish(mut self) -> Result<Redactor, RedactError> {
        let output = self.chunks.concat();
        self.scan(Role::Words, &output);
        match self.error.take() {
            Some(error) => Err(error),
            None => Redactor::new(self),
        }
    }

    fn learn(&mut self, bytes: &[u8], kind: Kind) {
        if bytes.len() < 2 {
            if kind == Kind::Text {
                let shown = String::from_utf8_lossy(bytes).into_owned();
                self.error.get_or_insert(RedactError::TooCommon(shown));
            }
            return;
        }
        if self.known.contains_key(bytes) {
            return;
        }
        if self.secrets.len() >= MAX_SECRETS {
            self.error.get_or_insert(RedactError::TooMany(MAX_SECRETS));
            return;
        }
        self.known.insert(bytes.into(), ());
        let bytes = bytes.into();
        self.secrets.push(Secret { bytes, kind });
    }

    fn scan(&mut self, role: Role, text: &[u8]) {
        let mut all: Vec<Found> = Vec::new();
        self.patterns.find(role, text, &mut |found| all.push(found));
        for Found { at, kind } in all {
            let bytes = text.get(at).unwrap_or_default();
            if kind == Kind::Address {
                let ip = std::str::from_utf8(bytes).ok();
                self.addresses
                    .extend(ip.and_then(|ip| ip.parse::<IpAddr>().ok()));
            }
            self.learn(bytes, kind);
        }
    }
}

impl Visit for Finder {
    fn text(&mut self, role: Role, text: &mut Text) {
        self.scan(role, text.bytes());
    }

    fn string(&mut self, role: Role, text: &mut String) {
        self.scan(role, text.as_bytes());
    }

    fn placed(&mut self, path: &mut Text, base: Option<&mut Text>) {
        if let Some(base) = &base {
            self.scan(Role::Path, base.bytes());
            if let Some((secret, _, kind)) = below(&self.patterns, path, base) {
                self.learn(&secret, kind);
            }
        }
        self.scan(Role::Path, path.bytes());
    }

    fn output(&mut self, bytes: &mut Box<[u8]>) {
        self.output = self.output.saturating_add(bytes.len());
        if self.output > MAX_OUTPUT {
            self.error
                .get_or_insert(RedactError::TooMuchOutput(MAX_OUTPUT));
            return;
        }
        self.chunks.push(bytes.to_vec());
    }

    fn address(&mut self, ip: &mut IpAddr) {
        if self.patterns.holds(*ip) {
            self.addresses.insert(*ip);
            self.learn(ip.to_string().as_bytes(), Kind::Address);
        }
    }
}

/// A relative path that only together with its folder is a secret: that secret,
/// and what of the joined path comes after it.
pub(super) fn below(
    patterns: &Patterns,
    path: &Text,
    base: &Text,
) -> Option<(Vec<u8>, Vec<u8>, Kind)> {
    let raw = path.bytes();
    if raw.is_empty() || raw.first() == Some(&b'/') || base.bytes().is_empty() {
        return None;
    }
    let mut joined: Vec<&[u8]> = Vec::new();
    let parts = base.bytes().split(|byte| *byte == b'/');
    for part in parts.chain(raw.split(|byte| *byte == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => {
                joined.pop();
            }
            part => joined.push(part),
        }
    }
    let joined = [b"/", joined.join(&b'/').as_slice()].concat();
    let (length, kind) = patterns.longest(&joined)?;
    // What the folder's own text holds is hidden there already.
    let in_base = patterns
        .longest(base.bytes())
        .map_or(0, |(length, _)| length);
    if length <= in_base {
        return None;
    }
    let (secret, rest) = joined.split_at_checked(length)?;
    Some((secret.to_vec(), rest.to_vec(), kind))
}
