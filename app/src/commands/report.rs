//! `belljar report`: judges a trace and prints what a live run would have printed.

use std::io::Write;

use belljar_replay::batch;

use super::{batch_error, open};
use crate::cli::{self, Format};
use crate::error::AppError;
use crate::exit::Exit;
use crate::print;
use crate::ways::notes;
use crate::ways::transcript::Transcript;

pub(crate) fn report(args: &cli::Report) -> Result<Exit, AppError> {
    let rules = super::rules::loaded(&args.rules)?;
    if args.format == Format::Jsonl {
        let mut out = std::io::stdout().lock();
        for entry in open(&args.trace)?.map_while(Result::ok) {
            if writeln!(out, "{}", belljar_replay::report::jsonl::line(&entry)).is_err() {
                return Ok(Exit::Fine); // nobody reads any more
            }
        }
    }
    let judged = batch::judge_reader(open(&args.trace)?, &rules)
        .map_err(|error| batch_error(&args.trace, error))?;
    print::out(&match args.format {
        Format::Table => table(args, &judged.report)?,
        Format::Json | Format::Jsonl => super::json(&judged.report),
    });
    if let belljar_recorder::Integrity::Cut { entries, byte, why } = &judged.integrity {
        print::error(&format!(
            "belljar: trace {} is damaged: {why}; its first {entries} events (up to byte {byte}) are good and were judged",
            args.trace.display()
        ));
        return Ok(Exit::Damaged);
    }
    let start = open(&args.trace)?.start().clone();
    super::concluded(&judged.report, &start, args.fail_on)
}

/// The report, and what the run's own questions were answered below it.
fn table(args: &cli::Report, report: &belljar_replay::report::Report) -> Result<String, AppError> {
    let mut said = Transcript::default();
    for entry in open(&args.trace)?.map_while(Result::ok) {
        said.push(&entry);
    }
    let notes = notes::text(&said, report);
    Ok(report.to_table(print::width()) + &notes)
}
