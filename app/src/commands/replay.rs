//! `belljar replay`: the screen, fed from a trace.

use std::sync::mpsc::sync_channel;

use belljar_replay::rules::RuleSet;

use super::open;
use crate::cli;
use crate::error::AppError;
use crate::exit::Exit;
use crate::print;
use crate::screen::{self, Msg};

/// Entries a message.
const BATCH: usize = 4096;

pub(crate) fn replay(args: &cli::Replay, plain: bool) -> Result<Exit, AppError> {
    if !print::interactive() {
        return Err(AppError::usage(
            "replay needs a terminal",
            format!("for a summary: belljar report {}", args.trace.display()),
        ));
    }
    let mut reader = open(&args.trace)?;
    let setup = screen::Setup {
        mode: screen::Mode::Replay,
        start: reader.start().clone(),
        rules: RuleSet::builtin(),
        theme: super::theme(plain),
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
    let whole = reading.join().unwrap_or(false);
    Ok(if whole { Exit::Fine } else { Exit::Damaged })
}
