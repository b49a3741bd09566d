//! `belljar events`: a trace's events, a line each.

use std::io::{BufWriter, Write};

use belljar_recorder::Integrity;
use belljar_replay::cond::{Condition, Truth};
use belljar_replay::escape;
use belljar_replay::moment::Moment;
use belljar_replay::report::jsonl;
use belljar_replay::search::search;

use super::open;
use crate::cli::{self, Format};
use crate::error::AppError;
use crate::exit::Exit;
use crate::print;

/// Widest summary, in characters.
const MAX_SUMMARY: usize = 400;

pub(crate) fn events(args: &cli::Events) -> Result<Exit, AppError> {
    if args.format == Format::Json {
        return Err(AppError::usage(
            "events are a table or lines of JSON",
            "write --format jsonl",
        ));
    }
    let rules = super::rules::loaded(&args.rules)?;
    let condition = args
        .filter
        .as_deref()
        .map(|source| Condition::parse(source, rules.names()))
        .transpose()
        .map_err(|error| {
            AppError::usage(
                format!("the filter does not hold together: {error}"),
                "conditions look like: evt.type = connect and proc.name = node",
            )
        })?;
    let mut reader = open(&args.trace)?;
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let (mut count, mut failed) = (0u64, None);
    let told = args.format == Format::Table && !args.count;
    let searched = search(
        &mut reader,
        &rules,
        condition.as_ref(),
        told,
        &mut |moment, truth| {
            count += 1;
            if args.count {
                return true;
            }
            let line = match args.format {
                Format::Jsonl => jsonl::line_of(moment.seq(), moment.event()),
                Format::Table | Format::Json => row(moment, truth),
            };
            failed = writeln!(out, "{line}").err();
            failed.is_none()
        },
    );
    searched.map_err(|error| AppError::Judge {
        path: args.trace.clone(),
        source: error.into(),
    })?;
    let written = match failed {
        Some(error) => Err(error),
        None if args.count => writeln!(out, "{count}").and_then(|()| out.flush()),
        None => out.flush(),
    };
    match written {
        // Nobody reads any more.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(Exit::Fine),
        Err(error) => return Err(AppError::io("write to standard output", error)),
        Ok(()) => {}
    }
    if let Integrity::Cut { entries, byte, why } = reader.integrity() {
        print::error(&format!(
            "belljar: trace {} is damaged: {}; its first {entries} events (up to byte {byte}) are good and were searched",
            args.trace.display(),
            escape::string(&why)
        ));
        return Ok(Exit::Damaged);
    }
    Ok(Exit::Fine)
}

/// `#12  1.234567  node: opened /etc/passwd`.
fn row(moment: &Moment<'_>, truth: Truth) -> String {
    let at = moment.event().at / 1000;
    format!(
        "{}#{:<7} {:>6}.{:06}  {:<12} {}",
        if truth.is_yes() { ' ' } else { '?' },
        moment.seq(),
        at / 1_000_000,
        at % 1_000_000,
        moment.event_type(),
        escape::clip(&moment.summary(), MAX_SUMMARY)
    )
}
