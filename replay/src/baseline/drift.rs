//! A phase held against its baseline, as a fold.
//!
//! Owns: how far each of five dimensions has left the baseline, and the events
//! that did it. Must not: judge; every list is bounded.

use std::sync::Arc;

use belljar_event::{Action, Decision, Event, Fact, Phase, Status, Step, Target, Text};

use super::{Baseline, Baselines};
use crate::escape;
use crate::session::path::base_name;

/// Phases kept.
const MAX_PHASES: usize = 64;
/// Event numbers kept for a dimension.
const MAX_SEQS: usize = 32;
/// Things kept in words for a dimension.
const MAX_EXAMPLES: usize = 8;
/// Longest of them, in characters.
const MAX_EXAMPLE: usize = 200;
const NANOS: u64 = 1_000_000_000;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Connections and where they go.
    Network,
    /// Lookups and what for.
    Names,
    /// Files written and where.
    Files,
    /// Programs started and which.
    Processes,
    /// How long it took.
    Time,
}

impl Dimension {
    /// All, in the order of reports.
    pub const ALL: [Self; 5] = [
        Self::Network,
        Self::Names,
        Self::Files,
        Self::Processes,
        Self::Time,
    ];

    /// As reports and conditions say it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Names => "names",
            Self::Files => "files",
            Self::Processes => "processes",
            Self::Time => "time",
        }
    }
}

/// How a dimension stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// How much there was; of time, seconds.
    pub seen: u64,
    /// How much of it the baseline does not expect, by kind or by number.
    pub unexpected: u64,
    /// The first events that left it.
    pub seqs: Vec<u64>,
    /// The first different things that are not expected, escaped.
    pub examples: Vec<String>,
}

/// A phase and its baseline.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) baseline: Arc<Baseline>,
    pub(crate) phase: String,
    began: u64,
    started: bool,
    dimensions: [Left; 5],
}

impl Held {
    pub(crate) fn dimension(&self, of: Dimension) -> &Left {
        let [network, names, files, processes, time] = &self.dimensions;
        match of {
            Dimension::Network => network,
            Dimension::Names => names,
            Dimension::Files => files,
            Dimension::Processes => processes,
            Dimension::Time => time,
        }
    }

    fn dimension_mut(&mut self, of: Dimension) -> &mut Left {
        let [network, names, files, processes, time] = &mut self.dimensions;
        match of {
            Dimension::Network => network,
            Dimension::Names => names,
            Dimension::Files => files,
            Dimension::Processes => processes,
            Dimension::Time => time,
        }
    }

    fn most(&self, of: Dimension) -> u64 {
        let expects = &self.baseline.expects;
        match of {
            Dimension::Network => expects.flows,
            Dimension::Names => expects.names,
            Dimension::Files => expects.files,
            Dimension::Processes => expects.processes,
            Dimension::Time => expects.seconds.1,
        }
    }

    /// What the baseline expects of it at most.
    pub(crate) fn expected(&self, of: Dimension) -> u64 {
        self.most(of)
    }

    /// 200 for each dimension that was left.
    pub(crate) fn drift(&self) -> u64 {
        let left = self.dimensions.iter().filter(|one| one.unexpected > 0);
        left.count() as u64 * 200
    }

    /// Counts one more. True if it is not expected, or one too many.
    fn count(&mut self, of: Dimension, seq: u64, strange: Option<String>) -> bool {
        let most = self.most(of);
        let row = self.dimension_mut(of);
        row.seen = row.seen.saturating_add(1);
        let leaves = strange.is_some() || row.seen > most;
        if leaves {
            row.unexpected = row.unexpected.saturating_add(1);
            if row.seqs.len() < MAX_SEQS {
                row.seqs.push(seq);
            }
        }
        if let Some(what) = strange
            && row.examples.len() < MAX_EXAMPLES
            && !row.examples.contains(&what)
        {
            row.examples.push(what);
        }
        leaves
    }
}

/// What the rest of the session knows about an event.
pub(crate) struct Seen<'a> {
    /// The path that it fills or makes, if it does.
    pub(crate) written: Option<&'a [u8]>,
    /// Where the flow goes that it decides about.
    pub(crate) target: Option<&'a Target>,
    /// A connection out of the guest that its kernel refused: to what name, if one led there.
    pub(crate) refused: Option<Option<&'a str>>,
}

/// The phases so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drift {
    current: Option<Arc<Held>>,
    done: Vec<Arc<Held>>,
    /// The dimension that the last event left.
    pub(crate) left: Option<Dimension>,
}

impl Drift {
    /// The phase under way, or the one that ended last.
    pub(crate) fn now(&self) -> Option<&Held> {
        self.current.as_deref()
    }

    /// Every phase that had a baseline.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Held> {
        let current = self.current.as_deref();
        self.done.iter().map(AsRef::as_ref).chain(current)
    }

    /// True if nothing of this event matters to it.
    pub(crate) fn ignores(&self, event: &Event) -> bool {
        let begins = matches!(&event.fact, Fact::Phase(_));
        self.current.is_none() && !begins
    }

    pub(crate) fn fold(&mut self, seq: u64, event: &Event, seen: &Seen<'_>, all: &Baselines) {
        self.left = None;
        if let Fact::Phase(phase) = &event.fact {
            self.phase(seq, event.at, phase, all);
            return;
        }
        let Some(held) = &mut self.current else {
            return;
        };
        let Some((of, strange)) = compare(held, event, seen) else {
            return;
        };
        let held = Arc::make_mut(held);
        if of == Dimension::Processes {
            held.started = true;
        }
        if held.count(of, seq, strange) {
            self.left = Some(of);
        }
    }

    fn phase(&mut self, seq: u64, at: u64, phase: &Phase, all: &Baselines) {
        match &phase.step {
            Step::Begin { argv, .. } => {
                if let Some(before) = self.current.take()
                    && self.done.len() < MAX_PHASES
                {
                    self.done.push(before);
                }
                self.current = all.choose(&phase.name, argv).map(|baseline| {
                    Arc::new(Held {
                        baseline: Arc::clone(baseline),
                        phase: escape::string(&phase.name),
                        began: at,
                        started: false,
                        dimensions: Default::default(),
                    })
                });
            }
            Step::End(status) => {
                if let Some(held) = &mut self.current {
                    self.left = ended(Arc::make_mut(held), seq, at, *status);
                }
            }
        }
    }
}

fn ended(held: &mut Held, seq: u64, at: u64, _status: Status) -> Option<Dimension> {
    let seconds = at.saturating_sub(held.began) / NANOS;
    let (from, to) = held.baseline.expects.seconds;
    let row = held.dimension_mut(Dimension::Time);
    row.seen = seconds;
    if (from..=to).contains(&seconds) {
        return None;
    }
    row.unexpected = 1;
    row.seqs.push(seq);
    Some(Dimension::Time)
}

/// The dimension that an event counts in, and what of it is not expected.
fn compare(held: &Held, event: &Event, seen: &Seen<'_>) -> Option<(Dimension, Option<String>)> {
    let baseline = &held.baseline;
    let said = |bytes: &[u8]| escape::clip(&escape::bytes(bytes), MAX_EXAMPLE);
    match &event.fact {
        Fact::Name(name) => {
            let text = name.name.lossy();
            let fine = baseline.expects_line(&name.by) || baseline.expects_name(&text);
            Some((Dimension::Names, (!fine).then(|| said(name.name.bytes()))))
        }
        Fact::Decision(Decision { by, action, .. }) => {
            let name = seen.target.and_then(Target::name);
            let fine = *action == Action::Allow && baseline.expects_line(by)
                || name.is_some_and(|name| baseline.expects_name(name));
            let strange = || {
                seen.target
                    .map_or_else(String::new, |to| said(to.to_string().as_bytes()))
            };
            Some((Dimension::Network, (!fine).then(strange)))
        }
        Fact::Connect(_) | Fact::Send(_) => {
            let name = seen.refused?;
            let fine = name.is_some_and(|name| baseline.expects_name(name));
            let strange =
                || name.map_or_else(|| "an address".to_owned(), |name| said(name.as_bytes()));
            Some((Dimension::Network, (!fine).then(strange)))
        }
        Fact::Exec(exec) if event.outcome.succeeded() => {
            let runs = exec.interpreter.as_ref().or(exec.file.as_ref());
            let path = runs.map_or(exec.path.bytes(), Text::bytes);
            let name = String::from_utf8_lossy(base_name(path));
            // The command itself, and what packages bring with them.
            let fine = !held.started
                || baseline.expects_program(&name)
                || (!is_passing(path) && baseline.expects_file(path));
            Some((Dimension::Processes, (!fine).then(|| said(base_name(path)))))
        }
        _ => {
            let path = seen.written?;
            let fine = baseline.expects_file(path);
            Some((Dimension::Files, (!fine).then(|| said(path))))
        }
    }
}

/// A folder for what is passing: a program there came with no package.
fn is_passing(path: &[u8]) -> bool {
    [&b"/tmp/"[..], b"/var/tmp/", b"/dev/", b"/proc/"]
        .iter()
        .any(|folder| path.starts_with(folder))
}
