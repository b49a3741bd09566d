//! What a run did, in rows that another run of the same thing has too.
//!
//! Owns: choosing what is compared, folding it, bounding it. Must not: compare.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use belljar_event::Fact;
use belljar_recorder::{Entry, Integrity, Start};
use serde::Serialize;

use super::alike::{Alike, roomy};
use super::differ::About;
use super::programs::Programs;
use crate::escape;
use crate::report::Report;
use crate::rules::RuleSet;
use crate::session::{DestinationRow, DestinationState, FileRow, Finding, NameRow, Session};

/// Most rows of a section.
pub(super) const MAX_ROWS: usize = 100_000;
/// Longest key in characters; what is longer ends with its digest.
const MAX_KEY: usize = 400;

/// What a section is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// SAFE, WARNING, MALICIOUS.
    Verdict,
    /// What keeps a run from being whole.
    Incomplete,
    /// Phases and how they ended.
    Phases,
    /// Scripts that came with packages.
    Scripts,
    /// What the rules found.
    Findings,
    /// Programs with their arguments.
    Processes,
    /// Destinations: name or address, and port.
    Destinations,
    /// Names that were looked up.
    Names,
    /// Paths.
    Files,
}

impl Kind {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 9] = [
        Self::Verdict,
        Self::Incomplete,
        Self::Phases,
        Self::Scripts,
        Self::Findings,
        Self::Processes,
        Self::Destinations,
        Self::Names,
        Self::Files,
    ];

    /// As a title.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Verdict => "Verdict",
            Self::Incomplete => "Incomplete",
            Self::Phases => "Phases",
            Self::Scripts => "Lifecycle scripts",
            Self::Findings => "Findings",
            Self::Processes => "Programs",
            Self::Destinations => "Destinations",
            Self::Names => "Names",
            Self::Files => "Files",
        }
    }
}

/// One thing that a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// How it stands: what kinds of access, allowed or refused …
    states: BTreeSet<String>,
    /// The first event about it that is known.
    pub first: Option<u64>,
    /// How often, as far as it is counted. It is not compared.
    pub count: u64,
}

impl Row {
    /// Its states, sorted.
    #[must_use]
    pub fn state(&self) -> String {
        let all: Vec<&str> = self.states.iter().map(String::as_str).collect();
        all.join(", ")
    }

    /// True if the other stands the same way.
    #[must_use]
    pub fn stands_like(&self, other: &Self) -> bool {
        self.states == other.states
    }
}

/// Rows by what they are about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// Sorted.
    pub rows: BTreeMap<String, Row>,
    /// What had no room, here or in the session's own table.
    pub beyond: u64,
}

impl Section {
    /// Adds to a row.
    pub fn add(&mut self, key: String, states: &[&str], first: Option<u64>, count: u64) {
        let key = short(key);
        if !self.rows.contains_key(&key) && self.rows.len() >= MAX_ROWS {
            self.beyond = self.beyond.saturating_add(1);
            return;
        }
        let row = self.rows.entry(key).or_default();
        let states = states.iter().map(|state| (*state).to_owned());
        row.states.extend(states);
        row.first = match (row.first, first) {
            (Some(old), Some(new)) => Some(old.min(new)),
            (old, new) => old.or(new),
        };
        row.count = row.count.saturating_add(count);
    }
}

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Did {
    /// Which run.
    pub about: About,
    /// By kind.
    pub sections: BTreeMap<Kind, Section>,
}

/// Folds a trace's entries into what the run did.
pub struct Gather {
    session: Session,
    alike: Alike,
    programs: Programs,
}

impl Gather {
    /// Before the first entry.
    #[must_use]
    pub fn new(start: &Start, rules: &Arc<RuleSet>, alike: Alike) -> Self {
        Self {
            session: Session::new(Arc::clone(rules)).with_start(start),
            alike,
            programs: Programs::default(),
        }
    }

    /// The next entry.
    pub fn push(&mut self, entry: &Entry) {
        let event = entry.event();
        match &event.fact {
            Fact::Decoys(decoys) => self.alike.decoys(decoys),
            Fact::Exec(exec) => {
                self.programs
                    .executed(&self.alike, exec, event.outcome, entry.seq())
            }
            _ => {}
        }
        self.session.push(entry);
    }

    /// Behind the last one.
    #[must_use]
    pub fn finish(self, name: &str, integrity: &Integrity) -> Did {
        let report = Report::new(&self.session, integrity);
        let mut sections = BTreeMap::from([
            (Kind::Verdict, verdict(&report)),
            (Kind::Incomplete, incomplete(&self.alike, &report)),
            (Kind::Phases, phases(&report)),
            (Kind::Scripts, scripts(&self.alike, &report)),
            (Kind::Findings, findings(&self.alike, &self.session)),
            (
                Kind::Destinations,
                destinations(&self.alike, &self.session, &report),
            ),
            (Kind::Names, names(&self.alike, &self.session)),
            (Kind::Files, files(&self.alike, &self.session, &report)),
        ]);
        sections.insert(Kind::Processes, self.programs.section());
        Did {
            about: About::of(name, &report),
            sections,
        }
    }
}

/// Two long keys that differ at their ends stay two.
pub(super) fn short(key: String) -> String {
    if key.chars().count() <= MAX_KEY {
        return key;
    }
    let digest = blake3::hash(key.as_bytes()).to_hex();
    let head: String = key.chars().take(MAX_KEY).collect();
    format!("{head}… ({})", digest.get(..8).unwrap_or_default())
}

fn verdict(report: &Report) -> Section {
    let mut section = Section::default();
    section.add("verdict".to_owned(), &[report.verdict.word()], None, 1);
    section
}

/// Numbers in them differ from run to run: how many were lost is no other reason.
fn incomplete(alike: &Alike, report: &Report) -> Section {
    let mut section = Section::default();
    for reason in report.reasons.iter().filter(|one| one.findings.is_empty()) {
        let mut text = String::new();
        for c in alike.text(&reason.text).chars() {
            match c {
                '0'..='9' if text.ends_with('#') => {}
                '0'..='9' => text.push('#'),
                c => text.push(c),
            }
        }
        section.add(text, &["incomplete"], None, 1);
    }
    section
}

fn phases(report: &Report) -> Section {
    let mut section = Section::default();
    for phase in &report.phases {
        let status = phase.status.as_deref().unwrap_or("never ended");
        section.add(phase.name.clone(), &[status], None, 1);
    }
    section
}

fn scripts(alike: &Alike, report: &Report) -> Section {
    let mut section = Section::default();
    let Some(installed) = &report.installed else {
        return section;
    };
    section.beyond = installed.more;
    for script in &installed.scripts {
        let ran = if script.ran { "ran" } else { "did not run" };
        let state = format!("{} ({ran})", alike.text(&script.command));
        let key = format!("{}  {}", script.package, script.script);
        section.add(key, &[state.as_str()], None, 1);
    }
    section
}

/// What a finding's row is called, before it is shortened.
pub(super) fn finding_key(alike: &Alike, finding: &Finding) -> String {
    let subject = alike.text(&finding.subject);
    format!("{}  {subject}", escape::string(&finding.rule.id))
}

fn findings(alike: &Alike, session: &Session) -> Section {
    let mut section = Section::default();
    let mut add = |finding: &Finding| {
        let key = finding_key(alike, finding);
        let mut state = finding.rule.severity.name().to_owned();
        if finding.suppressed.is_some() {
            state.push_str(", suppressed");
        }
        let first = finding.seqs.first().copied();
        section.add(key, &[state.as_str()], first, finding.count);
    };
    session.findings().iter().for_each(&mut add);
    section.beyond = session.findings.overflow;
    section
}

fn destinations(alike: &Alike, session: &Session, report: &Report) -> Section {
    let mut section = Section::default();
    let mut add = |to: &DestinationRow| {
        let name = super::behind::host(&to.name, to.port);
        let state = match to.state {
            DestinationState::Open => "allowed",
            other => other.word(),
        };
        let mut states: Vec<String> = vec![state.to_owned()];
        states.extend(
            to.programs
                .iter()
                .map(|one| format!("by {}", escape::text(one))),
        );
        let states: Vec<&str> = states.iter().map(String::as_str).collect();
        let count = to.flows.saturating_add(to.refused);
        section.add(alike.text(&name), &states, Some(to.first_seq), count);
    };
    session.destinations().iter().for_each(&mut add);
    section.beyond = report.network.beyond;
    section
}

fn names(alike: &Alike, session: &Session) -> Section {
    let mut section = Section::default();
    let mut add = |row: &NameRow| {
        let state = if row.refused > 0 {
            "refused"
        } else {
            "allowed"
        };
        let name = alike.text(&escape::text(&row.name));
        section.add(name, &[state], Some(row.first_seq), row.asked);
    };
    session.names().iter().for_each(&mut add);
    section
}

fn files(alike: &Alike, session: &Session, report: &Report) -> Section {
    let mut section = Section::default();
    let mut add = |row: &FileRow| {
        let kinds = [
            ("read", row.reads),
            ("written", row.writes),
            ("made", row.creates),
            ("removed", row.deletes),
            ("refused", row.denied),
            ("not there", row.failed),
        ];
        let states: Vec<&str> = kinds
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(name, _)| *name)
            .collect();
        // Rows that only stand for a decoy which nobody touched.
        if states.is_empty() {
            return;
        }
        let count = kinds
            .iter()
            .fold(0u64, |sum, (_, n)| sum.saturating_add(*n));
        let mut path = alike.text(&escape::bytes(&row.path));
        if roomy(&path, &states) {
            path = "/tmp/#".to_owned();
        }
        section.add(path, &states, Some(row.last_seq), count);
    };
    session.files().iter().for_each(&mut add);
    section.beyond = report.files.beyond;
    section
}
