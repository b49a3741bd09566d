//! `belljar cut`: the part of a trace around a finding, as a trace of its own.
//!
//! Owns: which events stay. Must not: make a trace that could be SAFE: what was
//! left out is a loss in it.

use std::collections::BTreeSet;
use std::io;
use std::ops::RangeInclusive;
use std::path::Path;

use belljar_event::{Event, Fact};
use belljar_recorder::rewrite;
use belljar_replay::batch;
use belljar_replay::rules::RuleSet;
use belljar_replay::session::Session;

use super::{batch_error, open, written};
use crate::cli;
use crate::error::AppError;
use crate::exit::Exit;
use crate::print;

/// What is kept.
struct Part {
    window: RangeInclusive<u64>,
    /// The finding's own events.
    seqs: BTreeSet<u64>,
    /// Flows with an event in the window: their beginnings say what they are.
    flows: BTreeSet<u64>,
    rule: String,
}

pub(crate) fn cut(args: &cli::Cut) -> Result<Exit, AppError> {
    let part = part(args)?;
    let place = format!(
        "belljar cut: outside the window around finding {}",
        args.around
    );
    let made = written(&args.output, |file| {
        let reader = open(&args.trace)?;
        let mut start = reader.start().clone();
        start.redacted.push(format!(
            "cut around finding {} ({}): {} s before, {} s after",
            args.around,
            part.rule,
            args.before.as_secs(),
            args.after.as_secs()
        ));
        let sink = io::BufWriter::new(file);
        let mut keep = |seq: u64, event: &mut Event| part.keeps(seq, event);
        rewrite(reader, sink, start, &place, &mut keep).map_err(|source| AppError::Rewrite {
            path: args.trace.clone(),
            source,
        })
    })?;
    let again = judge(&args.output)?;
    print::out(&format!(
        "trace: {}, {} events, {} left out: {}\n",
        args.output.display(),
        made.events,
        made.left_out,
        again.verdict.word()
    ));
    if !again
        .findings
        .iter()
        .any(|finding| finding.rule == part.rule)
    {
        print::error(&format!(
            "belljar: {} does not hold in the part alone: it needs events from before; try a larger --before",
            part.rule
        ));
    }
    Ok(Exit::Fine)
}

fn judge(path: &Path) -> Result<belljar_replay::report::Report, AppError> {
    let judged = batch::judge_reader(open(path)?, &RuleSet::builtin());
    Ok(judged.map_err(|error| batch_error(path, error))?.report)
}

fn part(args: &cli::Cut) -> Result<Part, AppError> {
    let reader = open(&args.trace)?;
    let mut session = Session::new(RuleSet::builtin()).with_start(reader.start());
    for entry in reader.map_while(Result::ok) {
        session.push(&entry);
    }
    let findings = session.findings();
    let finding = findings
        .iter()
        .find(|finding| finding.number == args.around);
    let Some(finding) = finding else {
        return Err(AppError::usage(
            format!(
                "there is no finding {} among {}",
                args.around,
                findings.len()
            ),
            format!("`belljar report {}` lists them", args.trace.display()),
        ));
    };
    let nanos = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let first = finding.at.saturating_sub(nanos(args.before));
    let last = finding.at.saturating_add(nanos(args.after));
    let mut part = Part {
        window: first..=last,
        seqs: finding.seqs.iter().copied().collect(),
        flows: BTreeSet::new(),
        rule: finding.rule.id.clone(),
    };
    for entry in open(&args.trace)?.map_while(Result::ok) {
        if part.is_inside(entry.seq(), entry.at()) {
            part.flows.extend(flow(&entry.event().fact));
        }
    }
    Ok(part)
}

impl Part {
    fn is_inside(&self, seq: u64, at: u64) -> bool {
        self.window.contains(&at) || self.seqs.contains(&seq)
    }

    fn keeps(&self, seq: u64, event: &Event) -> bool {
        match &event.fact {
            // What the run was, and what is known to be missing.
            Fact::Policy(_)
            | Fact::Decoys(_)
            | Fact::Machine(_)
            | Fact::Armed(_)
            | Fact::Copied(_)
            | Fact::Phase(_)
            | Fact::Lost(_)
            | Fact::LimitReached(_)
            | Fact::Ended(_) => true,
            // Who came from whom, and on whose sockets.
            Fact::Exec(_) | Fact::Fork(_) | Fact::Exit(_) | Fact::Dup(_) => true,
            fact => {
                self.is_inside(seq, event.at)
                    || flow(fact).is_some_and(|flow| self.flows.contains(&flow))
            }
        }
    }
}

/// The flow that a fact is about.
fn flow(fact: &Fact) -> Option<u64> {
    match fact {
        Fact::FlowAsked(asked) => Some(asked.flow),
        Fact::Decision(decision) => Some(decision.flow),
        Fact::FlowOpened(opened) => Some(opened.flow),
        Fact::FlowClosed(closed) => Some(closed.flow),
        Fact::TlsHello(hello) => Some(hello.flow),
        Fact::HttpRequest(request) => Some(request.flow),
        Fact::CanarySeen(seen) => Some(seen.flow),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use belljar_replay::verdict::Verdict;

    use super::*;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../fixtures/traces")
            .join(name)
    }

    #[test]
    fn a_part_keeps_its_finding_and_is_never_safe() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("part.bjt");
        let args = cli::Cut {
            trace: fixture("npm-credential-thief.bjt"),
            around: 1,
            before: Duration::from_secs(1),
            after: Duration::from_secs(1),
            output: output.clone(),
        };
        assert_eq!(cut(&args).unwrap(), Exit::Fine);
        let (whole, part) = (judge(&args.trace).unwrap(), judge(&output).unwrap());
        let rule = |report: &belljar_replay::report::Report| report.findings[0].rule.clone();
        assert_eq!(rule(&whole), rule(&part));
        assert_ne!(part.verdict, Verdict::Safe);
        assert!(part.ran.redacted[0].starts_with("cut around finding 1"));
        assert!(open(&output).unwrap().count() < open(&args.trace).unwrap().count());
        assert!(part.lost.events > 0);
        // A second time the file is there.
        assert!(cut(&args).is_err());
        let args = cli::Cut {
            around: 999,
            output: folder.path().join("x"),
            ..args
        };
        assert!(cut(&args).is_err());
    }
}
