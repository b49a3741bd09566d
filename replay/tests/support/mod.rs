//! Rule cases: events written by hand, as YAML, and the session that they make.
//!
//! Owns: the form of `fixtures/rules/*/{hit,miss}.yaml` and its translation to events.
//! Must not: judge anything itself; what fires is what the real session finds.

mod event;
mod more;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use belljar_event::End;
use belljar_recorder::{Start, Writer};
use belljar_replay::baseline::Baselines;
use belljar_replay::cond::Truth;
use belljar_replay::moment::Moment;
use belljar_replay::rules::RuleSet;
use belljar_replay::session::Session;
use serde::Deserialize;

pub(crate) use event::Step;

/// One case of a fixture file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What it shows.
    pub(crate) name: String,
    /// Every rule that fires, and no other: ids, in the order of the findings.
    #[serde(default)]
    pub(crate) fires: Vec<String>,
    /// Messages that must be among the findings.
    #[serde(default)]
    pub(crate) messages: Vec<String>,
    /// Milliseconds from event to event.
    #[serde(default = "one")]
    pub(crate) every_ms: u64,
    /// The text of a file of baselines, instead of the built-in ones.
    #[serde(default)]
    pub(crate) baseline: Option<String>,
    /// How the run ends, if not by itself.
    #[serde(default)]
    pub(crate) ends: Option<Ends>,
    /// What happens.
    pub(crate) events: Vec<Step>,
}

/// How a run can end that does not end by itself.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ends {
    TimedOut,
    Failed,
}

fn one() -> u64 {
    1
}

/// What a case came to.
pub(crate) struct Outcome {
    /// Ids, in the order of the findings.
    pub(crate) fired: Vec<String>,
    /// Messages, in the same order.
    pub(crate) messages: Vec<String>,
    /// Rules that could not be decided for some event, with its number.
    pub(crate) open: Vec<(String, u64)>,
}

/// The folder of the rule cases.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/rules")
}

/// The cases of a file.
pub(crate) fn cases(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Writes the case's events as a trace and folds the entries that come out.
pub(crate) fn run(case: &Case, rules: &Arc<RuleSet>) -> Outcome {
    let own = case.baseline.as_ref().map(|text| {
        let baselines = Baselines::load("case", text).unwrap();
        Arc::new(RuleSet::clone(rules).with_baselines(baselines))
    });
    let rules = own.as_ref().unwrap_or(rules);
    let mut writer = Writer::create(Vec::new(), Start::default()).unwrap();
    for (number, step) in case.events.iter().enumerate() {
        let at = (number as u64 + 1) * 1_000_000 * case.every_ms;
        writer.append(step.event(at)).unwrap();
    }
    let end = match case.ends {
        None => End::Finished(belljar_event::Status::Code(0)),
        Some(Ends::TimedOut) => End::TimedOut,
        Some(Ends::Failed) => End::Failed("broken".into()),
    };
    let finished = writer.finish(end).unwrap();
    let mut session = Session::new(Arc::clone(rules));
    let mut open = Vec::new();
    for entry in &finished.entries {
        session.push(entry);
        let moment = Moment::new(&session, entry);
        rules.weigh(&moment, moment.event_type(), &mut |rule, truth| {
            if truth == Truth::Maybe {
                open.push((rule.id.clone(), entry.seq()));
            }
        });
    }
    let findings = session.findings();
    Outcome {
        fired: findings
            .iter()
            .map(|finding| finding.rule.id.clone())
            .collect(),
        messages: findings
            .iter()
            .map(|finding| finding.message.to_string())
            .collect(),
        open,
    }
}
