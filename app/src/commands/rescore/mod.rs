//! `belljar rescore`: recorded traces under other rules, and what that changes.
//!
//! Owns: which rules are the old ones, judging a trace by both in one pass, the
//! exit code. Must not: lay out what is printed; `told` does.

mod told;

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use belljar_recorder::{Integrity, Reader};
use belljar_replay::compare::Rescored;
use belljar_replay::report::Report;
use belljar_replay::rules::RuleSet;
use belljar_replay::session::Session;

use super::{many, open};
use crate::cli::{self, RuleArgs};
use crate::error::AppError;
use crate::exit::Exit;
use told::{Side, Told};

/// Entries between two looks at whether belljar is told to end.
const LOOK: u64 = 4096;

/// A trace under both sets of rules.
struct Judged {
    change: Rescored,
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
    if args.rules.files.is_empty() && args.rules.suppress.is_none() && args.rules.baseline.is_none()
    {
        return Err(AppError::usage(
            "there are no new rules to judge by",
            "name some: --rules FILE|DIR, --suppress FILE or --baseline NAME|FILE",
        ));
    }
    let stop = many::Stop::listen()?;
    let (old, new) = (old_rules(args)?, super::rules::loaded(&args.rules)?);
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
    let mut told = Told::new(args, paths.len(), Side::of(&old), Side::of(&new));
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
fn outcome(
    path: &Path,
    old: &Arc<RuleSet>,
    new: &Arc<RuleSet>,
    stop: &many::Stop,
) -> Option<Outcome> {
    match open(path) {
        Ok(reader) => judged(reader, old, new, stop),
        Err(AppError::Trace { source, .. }) => Some(Outcome::Unreadable(source.to_string())),
        Err(error) => Some(Outcome::Unreadable(error.to_string())),
    }
}

fn judged<R: Read>(
    mut reader: Reader<R>,
    old: &Arc<RuleSet>,
    new: &Arc<RuleSet>,
    stop: &many::Stop,
) -> Option<Outcome> {
    let start = reader.start().clone();
    let session = |rules: &Arc<RuleSet>| Session::new(Arc::clone(rules)).with_start(&start);
    let (mut before, mut now) = (session(old), session(new));
    let mut events = 0u64;
    for entry in &mut reader {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return Some(Outcome::Unreadable(error.to_string())),
        };
        before.push(&entry);
        now.push(&entry);
        events = events.saturating_add(1);
        if events.is_multiple_of(LOOK) && stop.is_told() {
            return None;
        }
    }
    let integrity = reader.integrity();
    let report = |session: &Session| Report::new(session, &integrity);
    let (old, new) = (report(&before), report(&now));
    Some(Outcome::Judged(Box::new(Judged {
        change: Rescored::of(&old, &new),
        events,
        digest: new.receipt.trace,
        recorded_under: start.rules,
        damaged: match integrity {
            Integrity::Complete { .. } => None,
            Integrity::Cut { why, .. } => Some(why),
        },
    })))
}
