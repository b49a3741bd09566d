//! Judging traces that are on disk, and proving that the judgement holds.
//!
//! Owns: [`judge`] and [`verify`]. Must not: open files; whoever calls hands in
//! readers.

use std::io::{self, Read};
use std::sync::Arc;

use belljar_event::{Ended, Event, Fact};
use belljar_recorder::{
    Compatibility, Entry, Integrity, OpenError, ReadError, Reader, WriteError, Writer,
};

use crate::escape;
use crate::report::Report;
use crate::rules::RuleSet;
use crate::session::Session;

/// A trace that could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// There is no good prefix.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The source failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The events could not be recorded again.
    #[error("recording the trace again failed")]
    Write(#[from] WriteError),
    /// A thread died.
    #[error("judging on another thread failed")]
    Thread,
    /// The source could not be had again.
    #[error("opening the trace again failed")]
    Source(#[source] io::Error),
}

/// A judged trace.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The report.
    pub report: Report,
    /// Whether the trace is whole.
    pub integrity: Integrity,
    /// Whether every recorded policy has the digest that it was recorded with.
    pub policies_agree: bool,
}

impl Judged {
    fn of(session: &Session, integrity: Integrity) -> Self {
        let report = Report::new(session, &integrity);
        Self {
            report,
            integrity,
            policies_agree: session.policies_agree(),
        }
    }
}

/// What [`verify`] found.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The judgement of the first pass.
    pub judged: Judged,
    /// Whether everything agreed.
    pub outcome: Sameness,
    /// What was done, one line each.
    pub checks: Vec<Check>,
}

/// One thing that was recomputed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What, as a phrase.
    pub name: &'static str,
    /// How it went.
    pub result: CheckResult,
}

/// How a check went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// It agreed.
    Same,
    /// It did not.
    Differs {
        /// What differs, with both sides.
        how: String,
    },
    /// It could not be made.
    Skipped {
        /// Why.
        why: &'static str,
    },
}

/// Whether a judgement is the same wherever it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sameness {
    /// Every digest was found again.
    Same,
    /// Something was not.
    Mismatch {
        /// What.
        what: String,
    },
}

/// Most threads that [`verify`] starts.
const MAX_THREADS: usize = 64;
/// Events per block of the second recording: a number that fits no other block.
const OTHER_BLOCK: u64 = 97;

/// Folds and judges a whole trace.
///
/// # Errors
/// If it cannot be opened, or its source fails. A cut or damaged trace is no
/// error: the report says so.
pub fn judge<R: Read>(source: R, rules: &Arc<RuleSet>) -> Result<Judged, BatchError> {
    judge_reader(Reader::open(source)?, rules)
}

/// As [`judge`], with a reader that is open already and has delivered nothing yet.
///
/// # Errors
/// If the source fails.
pub fn judge_reader<R: Read>(
    mut reader: Reader<R>,
    rules: &Arc<RuleSet>,
) -> Result<Judged, BatchError> {
    let mut session = Session::new(Arc::clone(rules)).with_start(reader.start());
    for entry in &mut reader {
        session.push(&entry?);
    }
    Ok(Judged::of(&session, reader.integrity()))
}

/// Folds with a checkpoint every so often, and goes on from the copy: what seeking does.
fn judge_by_checkpoints<R: Read>(
    source: R,
    rules: &Arc<RuleSet>,
    every: u64,
) -> Result<Judged, BatchError> {
    let mut reader = Reader::open(source)?;
    let mut session = Session::new(Arc::clone(rules)).with_start(reader.start());
    let mut old = None;
    for (number, entry) in (0u64..).zip(&mut reader) {
        if number.checked_rem(every) == Some(0) {
            old = Some(session.clone());
        }
        session.push(&entry?);
    }
    let judged = Judged::of(&session, reader.integrity());
    // Kept until here, so that the fold really went on beside a shared copy.
    drop(old);
    Ok(judged)
}

/// Records the entries once more, with other blocks, and folds them as they come
/// out of the writer: what a live run does.
fn judge_recorded_again<R: Read>(
    source: R,
    rules: &Arc<RuleSet>,
) -> Result<Option<Judged>, BatchError> {
    let mut reader = Reader::open(source)?;
    let start = reader.start().clone();
    let mut session = Session::new(Arc::clone(rules)).with_start(&start);
    let mut writer = Writer::create(io::sink(), start)?;
    let mut last: Option<Entry> = None;
    for entry in &mut reader {
        if let Some(before) = last.replace(entry?) {
            writer.append(before.into_event())?;
            if writer.events().checked_rem(OTHER_BLOCK) == Some(0) {
                writer.flush()?.iter().for_each(|entry| session.push(entry));
            }
        }
    }
    let newer = reader.compatibility() != Compatibility::Same;
    if newer || reader.unknown() > 0 {
        return Ok(None);
    }
    let integrity = reader.integrity();
    let (entries, integrity) = match (last.map(Entry::into_event), integrity) {
        (
            Some(Event {
                at,
                fact: Fact::Ended(Ended { how }),
                ..
            }),
            Integrity::Complete { .. },
        ) => {
            let finished = writer.finish_at(at, how)?;
            (
                finished.entries,
                Integrity::Complete {
                    receipt: finished.receipt,
                },
            )
        }
        (last, integrity) => {
            last.map_or(Ok(()), |event| writer.append(event))?;
            (writer.flush()?, integrity)
        }
    };
    entries.iter().for_each(|entry| session.push(entry));
    Ok(Some(Judged::of(&session, integrity)))
}

/// Judges a trace again and again, in other ways and on `threads` threads at
/// once, and recomputes every digest. `open` gives the trace from its beginning
/// each time.
///
/// # Errors
/// If the trace cannot be opened or read. A mismatch is no error but the outcome.
pub fn verify<R, F>(open: F, rules: &Arc<RuleSet>, threads: usize) -> Result<Verified, BatchError>
where
    R: Read,
    F: Fn() -> io::Result<R> + Sync,
{
    let source = || open().map_err(BatchError::Source);
    let judged = judge(source()?, rules)?;
    let expected = judged.report.to_json();
    let mut checks = vec![sealed(&judged), regular(&judged), policies(&judged)];
    let check = |name, other: &Judged| Check {
        name,
        result: compare(&expected, &judged, other),
    };

    let again = on_threads(&source, rules, threads.clamp(1, MAX_THREADS));
    for (number, result) in again.into_iter().enumerate() {
        let name = if number.is_multiple_of(2) {
            "judged on several threads"
        } else {
            "judged from checkpoints on several threads"
        };
        checks.push(check(name, &result?));
    }
    let name = "recorded again in other blocks, judged live";
    checks.push(match judge_recorded_again(source()?, rules)? {
        Some(other) => check(name, &other),
        None => Check {
            name,
            result: CheckResult::Skipped {
                why: "the trace is of a newer version",
            },
        },
    });
    let differs = checks.iter().find_map(|check| match &check.result {
        CheckResult::Differs { how } => Some(format!("{}: {how}", check.name)),
        CheckResult::Same | CheckResult::Skipped { .. } => None,
    });
    let outcome = differs.map_or(Sameness::Same, |what| Sameness::Mismatch { what });
    Ok(Verified {
        judged,
        outcome,
        checks,
    })
}

fn on_threads<R, S>(
    source: &S,
    rules: &Arc<RuleSet>,
    threads: usize,
) -> Vec<Result<Judged, BatchError>>
where
    R: Read,
    S: Fn() -> Result<R, BatchError> + Sync,
{
    let work = |number: usize| {
        if number.is_multiple_of(2) {
            judge(source()?, rules)
        } else {
            judge_by_checkpoints(source()?, rules, 1009)
        }
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|number| scope.spawn(move || work(number)))
            .collect();
        let joined = running
            .into_iter()
            .map(|thread| thread.join().unwrap_or(Err(BatchError::Thread)));
        joined.collect()
    })
}

/// The digests that the judgement carries are its own.
fn sealed(judged: &Judged) -> Check {
    let result = if judged.report.is_sealed() {
        CheckResult::Same
    } else {
        CheckResult::Differs {
            how: "the report's digest is not that of its bytes".to_owned(),
        }
    };
    Check {
        name: "the report's own digest",
        result,
    }
}

/// The report contradicts itself nowhere.
fn regular(judged: &Judged) -> Check {
    let broken = judged.report.contradictions();
    let result = if broken.is_empty() {
        CheckResult::Same
    } else {
        CheckResult::Differs {
            how: format!(
                "the report contradicts itself: not so: {}",
                broken.join("; ")
            ),
        }
    };
    Check {
        name: "the report by itself",
        result,
    }
}

/// The recorded policies have the digests that they were recorded with.
fn policies(judged: &Judged) -> Check {
    let result = if judged.policies_agree {
        CheckResult::Same
    } else {
        CheckResult::Differs {
            how: "a recorded digest is not that of the policy's text".to_owned(),
        }
    };
    Check {
        name: "the policy's digest",
        result,
    }
}

fn compare(expected: &[u8], judged: &Judged, other: &Judged) -> CheckResult {
    let digest = |judged: &Judged| judged.integrity.receipt().map(|receipt| receipt.digest);
    if digest(judged) != digest(other) {
        return CheckResult::Differs {
            how: "the digest of the events".to_owned(),
        };
    }
    let got = other.report.to_json();
    if expected == got {
        return CheckResult::Same;
    }
    CheckResult::Differs {
        how: first_difference(expected, &got),
    }
}

/// The first line that differs, from both sides.
fn first_difference(expected: &[u8], got: &[u8]) -> String {
    let (expected, got) = (
        String::from_utf8_lossy(expected),
        String::from_utf8_lossy(got),
    );
    let clean = |line: Option<&str>| {
        line.map_or_else(
            || "nothing".to_owned(),
            |line| escape::clip(line.trim(), 120),
        )
    };
    let (mut left, mut right) = (expected.lines(), got.lines());
    for number in 1usize.. {
        let (a, b) = (left.next(), right.next());
        if a != b || a.is_none() {
            return format!(
                "line {number} of the report is {} and was {}",
                clean(b),
                clean(a)
            );
        }
    }
    String::new()
}
