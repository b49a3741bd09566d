//! Rules: what counts as suspicious, one YAML file each, and asking them.
//!
//! Owns: [`Rule`], [`RuleSet`], their texts, and which rules an event type can concern.
//! Must not: read files (sources are handed in), hold state, or know events.

mod asked;
mod beyond;
mod builtin;
mod foreign;
mod load;
mod pattern;
mod place;
mod standing;
mod template;

#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};

use belljar_event as event;
use serde::{Deserialize, Serialize};

use crate::baseline::Baselines;
use crate::cond::{Condition, MAX_KEPT, Names, Subject, Truth, Types};

use crate::suppress::Suppressions;

use asked::Asked;
pub(crate) use asked::type_of;
pub use beyond::{Beyond, By, Form};
pub(crate) use beyond::{MAX_COUNT, MAX_FIELDS, MAX_STEPS, window};
use builtin::BUILTIN;
pub use foreign::{Checked, LoadedRules, Origin, Status, nearest_id};
pub(crate) use foreign::{foreign_options, foreign_yaml, listed_once, slug};
pub(crate) use load::{is_technique, offset_of, own_options, yaml_error};
pub(crate) use place::Place;
use standing::Weighing;
pub(crate) use standing::{Remembered, Standing};
pub use template::Template;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Unusual.
    Low,
    /// Suspicious.
    Medium,
    /// Hostile unless explained.
    High,
    /// Hostile.
    Critical,
}

impl Severity {
    /// As written in rules and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// `L4-HONEY-001`: see the families in the documentation.
    pub id: String,
    /// A short name.
    pub title: String,
    /// What it catches, what it leaves alone, and why.
    pub why: String,
    /// How bad it is.
    pub severity: Severity,
    /// ATT&CK techniques.
    pub attack: Vec<String>,
    /// The version that brought it.
    pub since: String,
    /// When it fires; of a pattern, its last event.
    pub condition: Condition,
    /// The pattern, where it looks beyond one event.
    pub beyond: Option<Beyond>,
    /// What is said of a finding.
    pub message: Template,
    /// What a person should do.
    pub advice: String,
    /// What findings are folded by; the message, if there is none.
    pub subject: Option<Template>,
}

impl Rule {
    /// The conditions of its events: one, unless it looks beyond one event.
    pub(crate) fn steps(&self) -> &[Condition] {
        match &self.beyond {
            Some(beyond) => &beyond.steps,
            None => std::slice::from_ref(&self.condition),
        }
    }

    /// The message for this event. Bytes of the guest stand in it: escape it before it is shown.
    #[must_use]
    pub fn message_for(&self, subject: &dyn Subject) -> String {
        self.message.render(subject)
    }

    /// What findings of this rule are folded by.
    #[must_use]
    pub fn subject_for(&self, subject: &dyn Subject) -> String {
        self.subject
            .as_ref()
            .unwrap_or(&self.message)
            .render(subject)
    }
}

/// Something wrong in a rule file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct RuleError {
    /// As the source was named.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// Everything that is wrong in a set of rule files, in order of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleErrors(pub Vec<RuleError>);

impl std::fmt::Display for RuleErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for RuleErrors {}

/// The rules in force, sorted by id.
#[derive(Clone, Debug)]
pub struct RuleSet {
    rules: Vec<Arc<Rule>>,
    names: Names,
    digest: [u8; 32],
    /// For each event type, in the order of `Types::names`: rules that may hold for it.
    candidates: Vec<(&'static str, Box<[u32]>)>,
    asked: Asked,
    baselines: Arc<Baselines>,
    suppressions: Arc<Suppressions>,
}

/// What a rule says of an event.
pub(crate) struct Said<'a> {
    pub(crate) rule: &'a Arc<Rule>,
    pub(crate) number: u32,
    /// Which of its events this is.
    pub(crate) step: usize,
    pub(crate) truth: Truth,
}

/// Room for the answers that a few rules share, and that a good many do.
const FEW_KEPT: usize = 128;
const MANY_KEPT: usize = 512;

impl RuleSet {
    /// Loads rule files: name and text of each. A file called `names.yaml`
    /// holds lists and macros for the others. The order of the files does not matter.
    ///
    /// # Errors
    /// Everything that is wrong in any of them.
    pub fn load(sources: &[(String, String)]) -> Result<Self, RuleErrors> {
        let borrowed: Vec<_> = sources
            .iter()
            .map(|(file, text)| (file.as_str(), text.as_str()))
            .collect();
        Self::from_sources(&borrowed)
    }

    /// The rules that come with belljar.
    #[must_use]
    pub fn builtin() -> Arc<Self> {
        static BUILT: LazyLock<Arc<RuleSet>> = LazyLock::new(|| {
            Arc::new(RuleSet::from_sources(BUILTIN).unwrap_or_else(|errors| {
                #[expect(clippy::panic, reason = "compiled-in text, loaded by a test")]
                {
                    panic!("built-in rules: {errors}")
                }
            }))
        });
        Arc::clone(&BUILT)
    }

    /// The texts of [`Self::builtin`]: file name and YAML.
    #[must_use]
    pub fn builtin_sources() -> &'static [(&'static str, &'static str)] {
        BUILTIN
    }

    fn from_sources(sources: &[(&str, &str)]) -> Result<Self, RuleErrors> {
        let load::Loaded {
            rules,
            names,
            digest,
        } = load::load(sources)?;
        Ok(Self::of(rules, names, digest))
    }

    /// Of rules sorted by id.
    pub(crate) fn of(rules: Vec<Arc<Rule>>, names: Names, digest: [u8; 32]) -> Self {
        let types = Types::names().enumerate();
        let candidates = types.map(|(at, name)| {
            let may = rules
                .iter()
                .zip(0u32..)
                .filter(|(rule, _)| rule.beyond.is_none() && rule.condition.types().has(at));
            (name, may.map(|(_, number)| number).collect())
        });
        let mut candidates: Vec<_> = candidates.collect();
        // A name that is a call and a kind appears twice, with equal sets.
        candidates.sort();
        candidates.dedup();
        Self {
            rules,
            names,
            digest,
            candidates,
            asked: Asked::new(),
            baselines: Arc::default(),
            suppressions: Arc::default(),
        }
    }

    /// The same rules held against these baselines instead of the built-in ones.
    #[must_use]
    pub fn with_baselines(mut self, baselines: Baselines) -> Self {
        self.baselines = baselines.into();
        self
    }

    /// The same rules with what a person has decided about them.
    #[must_use]
    pub fn with_suppressions(mut self, suppressions: Suppressions) -> Self {
        for rule in &mut self.rules {
            if let Some(severity) = suppressions.severity(&rule.id) {
                Arc::make_mut(rule).severity = severity;
            }
        }
        // What was made of the rules that they were.
        self.asked = Asked::new();
        self.suppressions = suppressions.into();
        self
    }

    /// What runs are held against.
    #[must_use]
    pub fn baselines(&self) -> &Arc<Baselines> {
        &self.baselines
    }

    /// What a person has decided about rules and findings.
    #[must_use]
    pub fn suppressions(&self) -> &Arc<Suppressions> {
        &self.suppressions
    }

    /// blake3 of every file's text, independent of file names and their order.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The rules, sorted by id.
    #[must_use]
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// The lists and macros that came with the rules, for filters and searches.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The rule with this id.
    #[must_use]
    pub fn rule(&self, id: &str) -> Option<&Arc<Rule>> {
        let at = self
            .rules
            .binary_search_by(|rule| rule.id.as_str().cmp(id))
            .ok()?;
        self.rules.get(at)
    }

    /// Calls `found` for every rule that certainly holds, in order of ids.
    /// `evt_type` is the event's `evt.type`; only rules that can concern it are asked.
    pub fn judge(&self, subject: &dyn Subject, evt_type: &str, found: &mut dyn FnMut(&Arc<Rule>)) {
        self.weigh(subject, evt_type, &mut |rule, truth| {
            if truth.is_yes() {
                found(rule);
            }
        });
    }

    /// As [`Self::judge`], and also calls `found` for every rule that may hold,
    /// because something that it asks for is not known.
    pub fn weigh(
        &self,
        subject: &dyn Subject,
        evt_type: &str,
        found: &mut dyn FnMut(&Arc<Rule>, Truth),
    ) {
        let ask = |rule: &Arc<Rule>, found: &mut dyn FnMut(&Arc<Rule>, Truth)| {
            let truth = rule.condition.matches(subject);
            if truth != Truth::No {
                found(rule, truth);
            }
        };
        match self
            .candidates
            .binary_search_by(|(name, _)| (*name).cmp(evt_type))
        {
            Ok(at) => {
                let numbers = self
                    .candidates
                    .get(at)
                    .map_or(&[][..], |(_, numbers)| numbers);
                for rule in numbers
                    .iter()
                    .filter_map(|number| self.rules.get(*number as usize))
                {
                    ask(rule, found);
                }
            }
            Err(_) => {
                let single = self.rules.iter().filter(|rule| rule.beyond.is_none());
                single.for_each(|rule| ask(rule, found));
            }
        }
    }
}

impl RuleSet {
    /// True if some rule may hold for events of the type at this place of `Types::names`.
    pub(crate) fn concerns(&self, at: usize) -> bool {
        let asked = self.asked.of(at, &self.rules);
        asked.is_some_and(|asked| !asked.rows.is_empty())
    }

    /// As [`Self::weigh`], for an event whose type [`type_of`] gave, and for each
    /// event of a pattern. `remembered` is of earlier events.
    pub(crate) fn weigh_type(
        &self,
        subject: &dyn Subject,
        at: usize,
        remembered: Option<Remembered<'_>>,
        found: &mut dyn FnMut(Said<'_>),
    ) {
        let Some(asked) = self.asked.of(at, &self.rules) else {
            return;
        };
        // Most sets of rules need little room, and making it takes time.
        let weighing = Weighing {
            rules: &self.rules,
            asked,
            subject,
            at,
        };
        let slots = asked.kept.slots();
        if slots <= FEW_KEPT {
            weighing.rows(&mut [0; FEW_KEPT], remembered, found);
        } else if slots <= MANY_KEPT {
            weighing.rows(&mut [0; MANY_KEPT], remembered, found);
        } else {
            weighing.rows(&mut [0; MAX_KEPT], remembered, found);
        }
    }
}

/// The value of `evt.type` for an event: its call's name, else its kind's.
#[must_use]
pub fn event_type(event: &event::Event) -> &'static str {
    use event::Fact;
    match &event.fact {
        Fact::Exec(fact) => fact.call.name(),
        Fact::Open(fact) => fact.call.name(),
        Fact::Change(fact) => fact.call.name(),
        Fact::Look(fact) => fact.call.name(),
        Fact::Send(fact) => fact.call.name(),
        Fact::Dup(fact) => fact.call.name(),
        Fact::Guard(fact) => fact.call.name(),
        Fact::Signal(fact) => fact.call.name(),
        Fact::Identity(fact) => fact.call.name(),
        fact => fact.kind_name(),
    }
}
