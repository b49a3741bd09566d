//! `belljar baseline`: what runs ordinarily do, listed, printed and learned; and
//! what `--baseline` and `--suppress` make of the rules.
//!
//! Owns: reading and writing these files, and what day it is. Must not: judge.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use belljar_recorder::Integrity;
use belljar_replay::baseline::{Baselines, Learner};
use belljar_replay::rules::RuleSet;
use belljar_replay::suppress::Suppressions;

use super::open;
use crate::cli::{self, BaselineAction, RuleArgs};
use crate::error::AppError;
use crate::exit::Exit;
use crate::print;

/// Longest file of baselines or suppressions.
const MAX_FILE: u64 = 1 << 20;

pub(crate) fn baseline(args: &cli::Baseline) -> Result<Exit, AppError> {
    match &args.action {
        BaselineAction::List => {
            print::out(&(Baselines::names().join("\n") + "\n"));
            Ok(Exit::Fine)
        }
        BaselineAction::Show { name } => {
            let text = Baselines::source(name).ok_or_else(|| unknown(name))?;
            print::out(text);
            Ok(Exit::Fine)
        }
        BaselineAction::Learn { traces, output } => learn(traces, output),
    }
}

fn unknown(name: &str) -> AppError {
    AppError::usage(
        format!("there is no baseline {name}"),
        format!(
            "write a file, none, or one of {}",
            Baselines::names().join(", ")
        ),
    )
}

fn learn(traces: &[PathBuf], output: &Path) -> Result<Exit, AppError> {
    let mut learner = Learner::new();
    for path in traces {
        learner.next_trace();
        let mut reader = open(path)?;
        for entry in &mut reader {
            let entry = entry.map_err(|error| super::batch_error(path, error.into()))?;
            learner.push(&entry);
        }
        if let Integrity::Cut { why, .. } = reader.integrity() {
            return Err(AppError::usage(
                format!("{} is damaged: {why}", path.display()),
                "a baseline is learned from whole runs only",
            ));
        }
    }
    if learner.kinds() == 0 {
        return Err(AppError::usage(
            "no phase of these traces came to its end".to_owned(),
            "a baseline is learned from whole runs only",
        ));
    }
    let fail = |source| AppError::file("write the baseline to", output, source);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(output)
        .map_err(fail)?;
    file.write_all(learner.to_yaml().as_bytes()).map_err(fail)?;
    print::error(&format!(
        "belljar: {} kinds of phases learned; judge with --baseline {}",
        learner.kinds(),
        output.display()
    ));
    Ok(Exit::Fine)
}

/// The rules, with the baselines and decisions that these arguments name.
pub(super) fn settled(rules: Arc<RuleSet>, args: &RuleArgs) -> Result<Arc<RuleSet>, AppError> {
    if args.baseline.is_none() && args.suppress.is_none() {
        return Ok(rules);
    }
    let mut rules = RuleSet::clone(&rules);
    if let Some(name) = &args.baseline {
        rules = rules.with_baselines(baselines(name)?);
    }
    if let Some(path) = &args.suppress {
        let today = crate::date::day(SystemTime::now());
        let loaded = Suppressions::load(&path.display().to_string(), &text(path)?, &today, &rules);
        let loaded = loaded.map_err(|error| AppError::Rules(error.to_string()))?;
        rules = rules.with_suppressions(loaded);
    }
    Ok(Arc::new(rules))
}

fn baselines(name: &str) -> Result<Baselines, AppError> {
    if name == "none" {
        return Ok(Baselines::none());
    }
    if let Some(named) = Baselines::named(name) {
        return Ok(named);
    }
    let path = Path::new(name);
    if !path.exists() {
        return Err(unknown(name));
    }
    let loaded = Baselines::load(name, &text(path)?);
    loaded.map_err(|error| AppError::Rules(error.to_string()))
}

fn text(path: &Path) -> Result<String, AppError> {
    let fail = |source| AppError::file("read", path, source);
    if std::fs::metadata(path).map_err(fail)?.len() > MAX_FILE {
        let most = format!("such files have at most {MAX_FILE} bytes");
        return Err(AppError::usage(
            format!("{} is too long", path.display()),
            most,
        ));
    }
    std::fs::read_to_string(path).map_err(fail)
}
