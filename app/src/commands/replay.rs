//! `belljar replay`: the screen, fed from a trace; or what another policy would
//! have decided about it.

use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use belljar_recorder::Reader;
use belljar_replay::rules::RuleSet;
use belljar_replay::what_if::{WhatIfError, what_if};

use super::open;
use crate::cli::{self, Format};
use crate::error::AppError;
use crate::exit::Exit;
use crate::policies::Chosen;
use crate::print;
use crate::screen::{self, Msg, Theme};

/// Entries a message: small enough that keys are answered between two of them.
const BATCH: usize = 2048;

pub(crate) fn replay(args: &cli::Replay, theme: Theme) -> Result<Exit, AppError> {
    if let Some(policy) = &args.policy {
        return under(args, policy);
    }
    if !print::interactive() {
        return Err(AppError::usage(
            "replay needs a terminal",
            format!("for a summary: belljar report {}", args.trace.display()),
        ));
    }
    let rules = super::rules::loaded(&args.rules)?;
    show(open(&args.trace)?, args.at, theme, rules)
}

/// What another policy would have decided.
fn under(args: &cli::Replay, policy: &str) -> Result<Exit, AppError> {
    // Who enforces its lines makes no difference here.
    let policy = Chosen::read(policy)?.load();
    let policy = policy.map_err(|error| AppError::Rules(error.to_string()))?;
    let rules = super::rules::loaded(&args.rules)?;
    let mut reader = open(&args.trace)?;
    let told = what_if(&mut reader, &rules, &policy, args.all);
    let told = told.map_err(|error| match error {
        WhatIfError::Policy(error) => AppError::Rules(error.to_string()),
        WhatIfError::Read(error) => super::batch_error(&args.trace, error.into()),
    })?;
    print::out(&match args.format {
        Format::Table => told.to_table(print::width()),
        Format::Json | Format::Jsonl => told.to_json(),
    });
    Ok(match (reader.integrity().is_complete(), told.denies()) {
        (false, _) => Exit::Damaged,
        (true, true) => Exit::Verdict,
        (true, false) => Exit::Fine,
    })
}

/// Shows a trace on the terminal until someone leaves.
pub(super) fn show<R: Read + Send + 'static>(
    mut reader: Reader<R>,
    at: Option<f64>,
    theme: Theme,
    rules: Arc<RuleSet>,
) -> Result<Exit, AppError> {
    let setup = screen::Setup {
        mode: screen::Mode::Replay,
        start: reader.start().clone(),
        rules,
        theme,
        patience: None,
        at: at.map(nanos).transpose()?,
    };
    let (messages, source) = sync_channel(64);
    let reading = std::thread::spawn(move || {
        let mut batch = Vec::with_capacity(BATCH);
        while let Some(Ok(entry)) = reader.next() {
            batch.push(entry);
            if batch.len() == BATCH
                && messages
                    .send(Msg::Entries(std::mem::take(&mut batch)))
                    .is_err()
            {
                return true; // the screen was left
            }
        }
        let _ = messages.send(Msg::Entries(batch));
        let integrity = reader.integrity();
        let whole = integrity.is_complete();
        let _ = messages.send(Msg::SourceEnded(integrity));
        whole
    });
    screen::run(
        screen::Model::new(setup),
        &source,
        |_| {},
        screen::Options::default(),
    )
    .map_err(|source| AppError::io("draw on the terminal", source))?;
    // A reader that still waits for room must not be waited for.
    drop(source);
    let whole = reading.join().unwrap_or(false);
    Ok(if whole { Exit::Fine } else { Exit::Damaged })
}

pub(super) fn nanos(seconds: f64) -> Result<u64, AppError> {
    std::time::Duration::try_from_secs_f64(seconds)
        .ok()
        .and_then(|time| u64::try_from(time.as_nanos()).ok())
        .ok_or_else(|| {
            AppError::usage(
                format!("{seconds} is no time in a recording"),
                "write seconds from its start, like --at 12.5",
            )
        })
}
