//! `belljar verify`: recomputes every digest and judges again, several times over.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use belljar_recorder::Integrity;
use belljar_replay::batch::{self, CheckResult, Sameness};
use belljar_replay::rules::RuleSet;

use super::batch_error;
use crate::cli;
use crate::error::AppError;
use crate::exit::Exit;
use crate::print;

pub(crate) fn verify(args: &cli::Verify) -> Result<Exit, AppError> {
    let rules = super::rules::loaded(&args.rules)?;
    let mut worst = Exit::Fine;
    for trace in &args.traces {
        let exit = verify_one(trace, &rules, usize::from(args.threads))?;
        if exit as u8 > worst as u8 {
            worst = exit;
        }
    }
    Ok(worst)
}

fn verify_one(trace: &Path, rules: &Arc<RuleSet>, threads: usize) -> Result<Exit, AppError> {
    let open = || File::open(trace).map(BufReader::new);
    let verified =
        batch::verify(open, rules, threads).map_err(|error| batch_error(trace, error))?;
    let report = &verified.judged.report;
    let name = trace.display();
    print::out(&format!(
        "{name}: {}, report {}\n",
        report.verdict.word(),
        report.receipt.report.as_deref().unwrap_or("unsealed")
    ));
    for check in &verified.checks {
        let result = match &check.result {
            CheckResult::Same => "same".to_owned(),
            CheckResult::Differs { how } => format!("DIFFERS: {how}"),
            CheckResult::Skipped { why } => format!("skipped: {why}"),
        };
        print::out(&format!("  {}: {result}\n", check.name));
    }
    if let Sameness::Mismatch { what } = &verified.outcome {
        print::error(&format!("belljar: {name}: not the same: {what}"));
        return Ok(Exit::Mismatch);
    }
    if let Integrity::Cut { entries, byte, why } = &verified.judged.integrity {
        print::error(&format!(
            "belljar: {name}: damaged at byte {byte}: {why}; its first {entries} events are good"
        ));
        return Ok(Exit::Damaged);
    }
    Ok(Exit::Fine)
}
