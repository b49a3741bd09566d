//! Baselines learned from traces.
//!
//! Owns: what is kept of each phase, and how it becomes text. Must not: keep
//! names that differ from run to run: folders stand for files, beginnings for
//! temporary names, policy lines for the registries' hosts.

use std::collections::{BTreeMap, BTreeSet};

use belljar_event::{Decision, Event, Fact, Name, Phase, Step, Target, Text};
use belljar_recorder::Entry;

use super::place::in_home;
use super::{OWN_PHASES, ran};
use crate::session::Wants;
use crate::session::path::{Paths, base_name};

const NANOS: u64 = 1_000_000_000;
/// Most things kept of one sort and phase; the rest is not learned.
const MAX_KEPT: usize = 512;
/// Most phases of different kinds.
const MAX_KINDS: usize = 64;
/// Flows followed at once.
const MAX_FLOWS: usize = 4096;
/// Folders whose packages come and go: one form stands for each.
const FLOATING: &[&str] = &[
    "/node_modules/",
    "/site-packages/",
    "/dist-packages/",
    "/__pycache__/",
    "/_cacache/",
];
/// Lines of the policy that stand for many hosts.
const LINES: &[&str] = &["registry:"];

/// Program, verb, phase.
type Kind = (String, String, String);

#[derive(Clone, Debug, Default)]
struct Learned {
    flows: u64,
    names: u64,
    files: u64,
    processes: u64,
    shortest: u64,
    longest: u64,
    lines: BTreeSet<String>,
    hosts: BTreeSet<String>,
    places: BTreeSet<String>,
    runs: BTreeSet<String>,
}

/// Counts of the phase under way.
#[derive(Clone, Debug)]
struct Now {
    kind: Kind,
    began: u64,
    flows: u64,
    names: u64,
    files: u64,
    processes: u64,
}

/// Learns from one trace after the other.
#[derive(Debug, Default)]
pub struct Learner {
    kinds: BTreeMap<Kind, Learned>,
    now: Option<Now>,
    flows: BTreeMap<u64, Target>,
}

impl Learner {
    /// One that knows nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another trace begins.
    pub fn next_trace(&mut self) {
        self.now = None;
        self.flows.clear();
    }

    /// How many kinds of phases it has seen.
    #[must_use]
    pub fn kinds(&self) -> usize {
        self.kinds.len()
    }

    /// Takes an entry in.
    pub fn push(&mut self, entry: &Entry) {
        let event = entry.event();
        match &event.fact {
            Fact::Phase(phase) => self.phase(event.at, phase),
            Fact::FlowAsked(asked) if self.flows.len() < MAX_FLOWS => {
                self.flows.insert(asked.flow, asked.target.clone());
            }
            _ => self.happened(event),
        }
    }

    fn phase(&mut self, at: u64, phase: &Phase) {
        match &phase.step {
            Step::Begin { argv, .. } if !OWN_PHASES.contains(&phase.name.as_str()) => {
                let (program, verb) = ran(argv);
                let verb = if verb.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') {
                    verb
                } else {
                    String::new()
                };
                self.now = Some(Now {
                    kind: (program, verb, phase.name.clone()),
                    began: at,
                    flows: 0,
                    names: 0,
                    files: 0,
                    processes: 0,
                });
            }
            Step::Begin { .. } => self.now = None,
            Step::End(_) => {
                let Some(now) = self.now.take() else { return };
                let seconds = at.saturating_sub(now.began) / NANOS;
                if !self.kinds.contains_key(&now.kind) && self.kinds.len() >= MAX_KINDS {
                    return;
                }
                let row = self.kinds.entry(now.kind).or_default();
                row.flows = row.flows.max(now.flows);
                row.names = row.names.max(now.names);
                row.files = row.files.max(now.files);
                row.processes = row.processes.max(now.processes);
                row.shortest = if row.longest == 0 {
                    seconds
                } else {
                    row.shortest.min(seconds)
                };
                row.longest = row.longest.max(seconds).max(1);
            }
        }
    }

    fn happened(&mut self, event: &Event) {
        let Some(now) = &mut self.now else { return };
        if !self.kinds.contains_key(&now.kind) && self.kinds.len() >= MAX_KINDS {
            return;
        }
        let row = self.kinds.entry(now.kind.clone()).or_default();
        match &event.fact {
            Fact::Name(Name { name, by, .. }) => {
                now.names = now.names.saturating_add(1);
                row.host(&name.lossy(), by);
            }
            Fact::Decision(Decision { flow, by, .. }) => {
                now.flows = now.flows.saturating_add(1);
                let target = self.flows.get(flow);
                row.host(target.and_then(Target::name).unwrap_or_default(), by);
            }
            Fact::Exec(exec) if event.outcome.succeeded() => {
                now.processes = now.processes.saturating_add(1);
                let runs = exec.interpreter.as_ref().or(exec.file.as_ref());
                let path = runs.map_or(exec.path.bytes(), Text::bytes);
                keep(
                    &mut row.runs,
                    String::from_utf8_lossy(base_name(path)).into_owned(),
                );
            }
            Fact::Open(open) if event.outcome.succeeded() => {
                let wants = Wants::of(open);
                if wants.write || wants.create {
                    now.files = now.files.saturating_add(1);
                    row.wrote(Paths::of(event).first.map(|place| place.bytes.into_owned()));
                }
            }
            Fact::Change(change) if event.outcome.succeeded() && change.other.is_some() => {
                now.files = now.files.saturating_add(1);
                row.wrote(
                    Paths::of(event)
                        .second
                        .map(|place| place.bytes.into_owned()),
                );
            }
            _ => {}
        }
    }

    /// The baselines as a file.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut out = "# Learned by `belljar baseline learn`. Numbers have room for half as much again.\nbaselines:\n".to_owned();
        for ((program, verb, phase), row) in &self.kinds {
            let more = |seen: u64| seen.saturating_add(seen / 2).saturating_add(2);
            let name = [program, verb, phase]
                .map(String::as_str)
                .join("-")
                .replace("--", "-");
            let verbs: Vec<&str> = Some(verb.as_str())
                .filter(|verb| !verb.is_empty())
                .into_iter()
                .collect();
            out.push_str(&format!(
                "  - name: {}\n    programs: {}\n    verbs: {}\n    phase: {}\n    expects: {{flows: {}, names: {}, files: {}, processes: {}, seconds: [0, {}]}}\n",
                quoted(&name),
                list([program.as_str()]),
                list(verbs),
                quoted(phase),
                more(row.flows),
                more(row.names),
                more(row.files),
                more(row.processes),
                row.longest.saturating_mul(4).saturating_add(60),
            ));
            for (key, items) in [
                ("lines", &row.lines),
                ("names", &row.hosts),
                ("files", &row.places),
                ("runs", &row.runs),
            ] {
                out.push_str(&format!(
                    "    {key}: {}\n",
                    list(items.iter().map(String::as_str))
                ));
            }
        }
        out
    }
}

impl Learned {
    fn host(&mut self, name: &str, by: &str) {
        match LINES.iter().find(|line| by.starts_with(**line)) {
            Some(line) => keep(&mut self.lines, format!("{line}*")),
            None if name.is_empty() => {}
            None => keep(&mut self.hosts, name.to_ascii_lowercase()),
        }
    }

    fn wrote(&mut self, path: Option<Vec<u8>>) {
        if let Some(path) = path {
            keep(&mut self.places, place(&String::from_utf8_lossy(&path)));
        }
    }
}

fn keep(set: &mut BTreeSet<String>, item: String) {
    if set.len() < MAX_KEPT {
        set.insert(item);
    }
}

/// The form that stands for this path.
fn place(path: &str) -> String {
    if let Some(part) = FLOATING.iter().find(|part| path.contains(**part)) {
        return format!("**{part}**");
    }
    if let Some(rest) = path.strip_prefix("/tmp/") {
        // What stands before a dash is chosen, what stands behind it made up.
        let word: String = rest
            .chars()
            .take_while(char::is_ascii_lowercase)
            .take(24)
            .collect();
        let dashed = rest
            .get(word.len()..)
            .is_some_and(|more| more.starts_with('-'));
        return match (dashed, rest.starts_with("tmp")) {
            (true, _) => format!("/tmp/{word}-**"),
            (false, true) => "/tmp/tmp**".to_owned(),
            (false, false) => "/tmp/**".to_owned(),
        };
    }
    let home = in_home(path.as_bytes()).and_then(|rest| std::str::from_utf8(rest).ok());
    let (root, rest) = match home {
        Some(rest) => ("~/", rest),
        None => ("/", path.trim_start_matches('/')),
    };
    let parts: Vec<&str> = rest.split('/').collect();
    match parts.split_last() {
        Some((file, [])) => format!("{root}{file}"),
        Some((_, folders)) => {
            let kept: Vec<&str> = folders.iter().take(2).copied().collect();
            format!("{root}{}/**", kept.join("/"))
        }
        None => root.to_owned(),
    }
    .replace("***", "**")
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

fn list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    // A `*` of a guest's file name would be a form of its own.
    let plain = |item: &&str| !item.replace("**", "").contains('*') || item.ends_with('*');
    let quoted: Vec<String> = items.into_iter().filter(plain).map(quoted).collect();
    format!("[{}]", quoted.join(", "))
}
