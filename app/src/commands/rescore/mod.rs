//! `belljar rescore`: recorded traces under other rules, and what that changes.
//!
//! Owns: which rules or saved scores are the old ones, judging a trace by both in
//! one pass, the exit code. Must not: lay out what is printed; `told` does.

mod saved;
mod told;

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use belljar_recorder::{Integrity, Reader};
use belljar_replay::compare::{Rescored, Score};
use belljar_replay::report::Report;
use belljar_replay::rules::RuleSet;
use belljar_replay::session::Session;

use super::{many, open};
use crate::cli::{self, Format, RuleArgs};
use crate::error::AppError;
use crate::exit::Exit;
use saved::Saved;
use told::{Side, Told};

/// Entries between two looks at whether belljar is told to end.
const LOOK: u64 = 4096;

/// What the new rules are held against.
enum Old {
    Rules(Arc<RuleSet>),
    Scores(Saved),
}

/// A trace under both sets of rules.
struct Judged {
    score: Score,
    /// `None` where there is no old score of it.
    change: Option<Rescored>,
    events: u64,
    /// blake3 of its events, if it is whole.
    digest: Option<String>,
    /// Digest of the rules that judged it live.
    recorded_under: String,
    /// Why it is not whole.
    damaged: Option<String>,
}

/// What came of a trace.
enum Outcome {
    Judged(Box<Judged>),
    Unreadable(String),
}

pub(crate) fn rescore(args: &cli::Rescore) -> Result<Exit, AppError> {
    let old = match saved::among(&args.against)? {
        Some(saved) => Old::Scores(saved),
        None => Old::Rules(old_rules(args)?),
    };
    let rules = &args.rules;
    let named = !rules.files.is_empty() || rules.suppress.is_some() || rules.baseline.is_some();
    // By the built-in rules alone: against saved scores, or to have such.
    let alone = matches!(old, Old::Scores(_)) || args.format != Format::Table;
    if !named && !alone {
        return Err(AppError::usage(
            "there are no new rules to judge by",
            "name some: --rules FILE|DIR, --suppress FILE or --baseline NAME|FILE; \
             to put down the scores under the built-in rules: --format json",
        ));
    }
    let stop = many::Stop::listen()?;
    let new = super::rules::loaded(&args.rules)?;
    let asked = match args.traces.is_empty() {
        true => vec![super::traces::folder()?],
        false => args.traces.clone(),
    };
    // A store that no run has made yet is empty.
    let paths = match args.traces.is_empty() && asked.iter().all(|path| !path.exists()) {
        true => Vec::new(),
        false => many::traces(&asked)?,
    };
    if paths.is_empty() {
        let names: Vec<_> = asked
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        return Err(AppError::usage(
            format!("there are no traces in {}", names.join(", ")),
            "traces end in .bjt; `belljar run` leaves them in the store",
        ));
    }
    let mut told = Told::new(args, paths.len(), &old, Side::of(&new));
    told.begin();
    let done = many::each(
        &paths,
        many::jobs(args.jobs),
        &stop,
        |path| outcome(path, &old, &new, &stop),
        |path, outcome| told.row(path, &outcome),
    );
    let interrupted = done < paths.len();
    told.end(interrupted);
    Ok(match (interrupted, told.damaged(), told.changed()) {
        (true, ..) => Exit::Interrupted,
        (_, true, _) => Exit::Damaged,
        (.., true) => Exit::Verdict,
        _ => Exit::Fine,
    })
}

/// The built-in rules, or those of `--against` beside or instead of them.
fn old_rules(args: &cli::Rescore) -> Result<Arc<RuleSet>, AppError> {
    super::rules::loaded(&RuleArgs {
        files: args.against.clone(),
        no_builtin_rules: args.rules.no_builtin_rules && !args.against.is_empty(),
        suppress: None,
        baseline: None,
    })
}

/// Nothing, if belljar is told to end meanwhile.
fn outcome(path: &Path, old: &Old, new: &Arc<RuleSet>, stop: &many::Stop) -> Option<Outcome> {
    match open(path) {
        Ok(reader) => judged(reader, old, new, stop),
        Err(AppError::Trace { source, .. }) => Some(Outcome::Unreadable(source.to_string())),
        Err(error) => Some(Outcome::Unreadable(error.to_string())),
    }
}

fn judged<R: Read>(
    mut reader: Reader<R>,
    old: &Old,
    new: &Arc<RuleSet>,
    stop: &many::Stop,
) -> Option<Outcome> {
    let start = reader.start().clone();
    let session = |rules: &Arc<RuleSet>| Session::new(Arc::clone(rules)).with_start(&start);
    let mut before = match old {
        Old::Rules(rules) => Some(session(rules)),
        Old::Scores(_) => None,
    };
    let mut now = session(new);
    let mut events = 0u64;
    for entry in &mut reader {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return Some(Outcome::Unreadable(error.to_string())),
        };
        before.iter_mut().for_each(|session| session.push(&entry));
        now.push(&entry);
        events = events.saturating_add(1);
        if events.is_multiple_of(LOOK) && stop.is_told() {
            return None;
        }
    }
    let integrity = reader.integrity();
    let report = |session: &Session| Report::new(session, &integrity);
    let new = report(&now);
    let score = Score::of(&new);
    let digest = new.receipt.trace;
    let change = match (old, &before) {
        (Old::Rules(_), Some(before)) => Some(Rescored::of(&Score::of(&report(before)), &score)),
        (Old::Scores(saved), _) => digest
            .as_ref()
            .and_then(|digest| Some(Rescored::of(saved.of(digest)?, &score))),
        _ => None,
    };
    Some(Outcome::Judged(Box::new(Judged {
        score,
        change,
        events,
        digest,
        recorded_under: start.rules,
        damaged: match integrity {
            Integrity::Complete { .. } => None,
            Integrity::Cut { why, .. } => Some(why),
        },
    })))
}
