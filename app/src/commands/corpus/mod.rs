//! `belljar test`: whole recorded runs, and what the rules are to find in each.
//!
//! Owns: judging the corpus, holding it against the expectations, the exit code.
//! Must not: know the file of expectations or its language; `replay::expect` does.

mod junit;
mod told;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use belljar_recorder::Integrity;
use belljar_replay::batch;
use belljar_replay::expect::{Expectations, Held};
use belljar_replay::report::Report;
use belljar_replay::rules::RuleSet;
use serde::Serialize;

use super::{many, open};
use crate::cli;
use crate::error::AppError;
use crate::exit::Exit;

/// Longest file of expectations.
const MAX_FILE: u64 = 4 << 20;

/// One thing that was expected of a trace.
#[derive(Debug, Serialize)]
struct Point {
    expected: String,
    found: String,
    held: bool,
    /// File, line and column of the expectation.
    at: String,
}

/// A trace of the corpus.
#[derive(Debug, Serialize)]
struct Traced {
    /// Seen from the corpus, with `/`.
    trace: String,
    verdict: Option<&'static str>,
    points: Vec<Point>,
    /// No expectation fits it.
    unexpected: bool,
    damaged: Option<String>,
    unreadable: Option<String>,
}

/// An expectation that fits no trace.
#[derive(Debug, Serialize)]
struct Unmatched {
    trace: String,
    at: String,
    near: Option<String>,
}

/// What came of all of it.
#[derive(Debug, Serialize)]
struct Tested {
    format: u32,
    traces: Vec<Traced>,
    unmatched: Vec<Unmatched>,
    strict: bool,
    interrupted: bool,
    rules: String,
}

impl Tested {
    fn points(&self) -> impl Iterator<Item = &Point> {
        self.traces.iter().flat_map(|one| &one.points)
    }

    fn misses(&self) -> usize {
        let strict = self.strict;
        let missed = self.points().filter(|point| !point.held).count();
        let unexpected = self.traces.iter().filter(|one| strict && one.unexpected);
        missed
            .saturating_add(self.unmatched.len())
            .saturating_add(unexpected.count())
    }

    fn broken(&self) -> usize {
        let broken = |one: &&Traced| one.damaged.is_some() || one.unreadable.is_some();
        self.traces.iter().filter(broken).count()
    }

    fn exit(&self) -> Exit {
        match (self.interrupted, self.broken(), self.misses()) {
            (true, ..) => Exit::Interrupted,
            (_, 1.., _) => Exit::Damaged,
            (.., 1..) => Exit::Verdict,
            _ => Exit::Fine,
        }
    }
}

pub(crate) fn corpus_test(args: &cli::CorpusTest) -> Result<Exit, AppError> {
    let rules = super::rules::loaded(&args.rules)?;
    let file = args.expect.display().to_string();
    let expectations = Expectations::load(&file, &text(&args.expect)?, &rules)
        .map_err(|errors| AppError::Rules(errors.to_string()))?;
    if !args.corpus.is_dir() {
        return Err(AppError::usage(
            format!("{} is no folder", args.corpus.display()),
            "--corpus names the folder in which the traces are",
        ));
    }
    let stop = many::Stop::listen()?;
    let paths = many::traces(std::slice::from_ref(&args.corpus))?;
    let mut traces = Vec::new();
    let done = many::each(
        &paths,
        many::jobs(args.jobs),
        &stop,
        |path| Some(judged(path, &rules)),
        |path, judged| traces.push(traced(args, path, judged, &expectations, &file)),
    );
    let names: Vec<String> = paths.iter().map(|path| within(args, path)).collect();
    let unmatched = expectations.unmatched(&names).into_iter();
    let tested = Tested {
        format: 0,
        traces,
        unmatched: unmatched
            .map(|(one, near)| Unmatched {
                trace: one.trace.clone(),
                at: format!("{file}:{}:{}", one.at.line, one.at.column),
                near: near.map(str::to_owned),
            })
            .collect(),
        strict: args.strict,
        interrupted: done < paths.len(),
        rules: belljar_replay::hex(&rules.digest()),
    };
    told::tell(&tested, args.format);
    if let Some(path) = &args.junit {
        junit::write(&tested, path)?;
    }
    Ok(tested.exit())
}

fn text(path: &Path) -> Result<String, AppError> {
    let fail = |source| AppError::file("read expectations from", path, source);
    if std::fs::metadata(path).map_err(fail)?.len() > MAX_FILE {
        return Err(AppError::usage(
            format!("{} is longer than {MAX_FILE} bytes", path.display()),
            "several files of expectations can share a corpus",
        ));
    }
    std::fs::read_to_string(path).map_err(fail)
}

/// The path as expectations name it.
fn within(args: &cli::CorpusTest, path: &Path) -> String {
    let inner: PathBuf = path.strip_prefix(&args.corpus).unwrap_or(path).into();
    let parts = inner
        .components()
        .map(|part| part.as_os_str().to_string_lossy());
    parts.collect::<Vec<_>>().join("/")
}

/// The report and what is wrong with the trace, or why there is none.
type Judged = Result<(Box<Report>, Option<String>), String>;

fn judged(path: &Path, rules: &Arc<RuleSet>) -> Judged {
    let reader = open(path).map_err(|error| match error {
        AppError::Trace { source, .. } => source.to_string(),
        other => other.to_string(),
    })?;
    let judged = batch::judge_reader(reader, rules).map_err(|error| error.to_string())?;
    let damaged = match judged.integrity {
        Integrity::Complete { .. } => None,
        Integrity::Cut { why, .. } => Some(why),
    };
    Ok((Box::new(judged.report), damaged))
}

fn traced(
    args: &cli::CorpusTest,
    path: &Path,
    judged: Judged,
    expectations: &Expectations,
    file: &str,
) -> Traced {
    let trace = within(args, path);
    let unexpected = expectations.of(&trace).next().is_none();
    let mut traced = Traced {
        unexpected,
        trace,
        verdict: None,
        points: Vec::new(),
        damaged: None,
        unreadable: None,
    };
    match judged {
        Err(why) => traced.unreadable = Some(why),
        Ok((report, damaged)) => {
            traced.verdict = Some(report.verdict.word());
            traced.damaged = damaged;
            let held = expectations.of(&traced.trace);
            let held = held.flat_map(|one| one.check(&report));
            traced.points = held.map(|held| point(held, file)).collect();
        }
    }
    traced
}

fn point(held: Held, file: &str) -> Point {
    Point {
        expected: held.expected,
        found: held.found,
        held: held.held,
        at: format!("{file}:{}:{}", held.at.line, held.at.column),
    }
}

#[cfg(test)]
mod tests;
