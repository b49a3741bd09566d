//! `belljar diff --screen`: reads both traces behind the screen, and once more for
//! the events behind a row.
//!
//! Owns: the files and the thread that reads them. Must not: compare or draw.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use belljar_replay::compare::{Alike, Behind, Did, Difference, Evident};
use belljar_replay::rules::RuleSet;

use super::{did, exit};
use crate::commands::{batch_error, open};
use crate::error::AppError;
use crate::exit::Exit;
use crate::print;
use crate::screen::{self, Diff, Failure, Found, Msg, Side, Theme, Wanted};

/// Messages that wait for the screen.
const WAITING: usize = 16;
/// Entries between two looks at whether somebody still waits.
const LOOK: u64 = 4096;

/// What the reading thread works with.
struct Traces {
    paths: [PathBuf; 2],
    rules: Arc<RuleSet>,
    alike: Alike,
    /// The newest question; an older one is not answered to its end.
    newest: Arc<AtomicU64>,
    /// How the command ends, once both are read, or one cannot be.
    exit: Arc<OnceLock<Exit>>,
}

pub(super) fn show(
    paths: [PathBuf; 2],
    rules: Arc<RuleSet>,
    alike: Alike,
    theme: Theme,
) -> Result<Exit, AppError> {
    let names = paths
        .each_ref()
        .map(|path| path.to_string_lossy().into_owned());
    if !print::interactive() {
        return Err(AppError::usage(
            "--screen needs a terminal",
            format!("as a table: belljar diff {}", names.join(" ")),
        ));
    }
    // What cannot be opened at all is said where a person still reads it.
    for path in &paths {
        drop(open(path)?);
    }
    let (messages, source) = sync_channel(WAITING);
    let (wanted, questions) = sync_channel::<Wanted>(WAITING);
    let newest = Arc::new(AtomicU64::new(0));
    let ended = Arc::new(OnceLock::new());
    let traces = Traces {
        paths,
        rules,
        alike,
        newest: Arc::clone(&newest),
        exit: Arc::clone(&ended),
    };
    // It is not waited for: it only reads, and ends with the process.
    std::thread::spawn(move || traces.read(&messages, &questions));
    screen::run(
        Diff::new(theme, names),
        &source,
        |effect| {
            if let screen::Effect::Evidence(row) = effect {
                newest.store(row.number, Ordering::Relaxed);
                // It is full only of very many that were asked at once: Enter asks again.
                drop(wanted.try_send(row.clone()));
            }
        },
        screen::Options::default(),
    )
    .map_err(|source| AppError::io("draw on the terminal", source))?;
    // Who left before both were read knows of no difference, and of no sameness.
    Ok(ended.get().copied().unwrap_or(Exit::Interrupted))
}

impl Traces {
    /// Both traces, and then whatever is asked about them, until nobody listens.
    fn read(&self, messages: &SyncSender<Msg>, questions: &Receiver<Wanted>) {
        let sides = match self.both() {
            Ok(sides) => sides,
            Err(error) => {
                let _ = self.exit.set(error.exit());
                let failure = Failure {
                    what: error.to_string(),
                    hints: vec!["belljar verify says what is wrong with a trace".to_owned()],
                };
                drop(messages.send(Msg::Failed(failure)));
                return;
            }
        };
        let difference = Difference::of(&sides.0, &sides.1);
        let _ = self.exit.set(exit(&sides.0, &sides.1, &difference));
        if messages.send(Msg::Sides(Box::new(sides))).is_err() {
            return;
        }
        while let Ok(first) = questions.recv() {
            let row = questions.try_iter().last().unwrap_or(first);
            for (side, path) in [Side::A, Side::B].into_iter().zip(&self.paths) {
                let events = self.behind(path, &row).map_err(|error| error.to_string());
                let number = row.number;
                let found = Found {
                    number,
                    side,
                    events,
                };
                if messages.send(Msg::Found(found)).is_err() {
                    return;
                }
            }
        }
    }

    fn both(&self) -> Result<(Did, Did), AppError> {
        let [a, b] = &self.paths;
        Ok((
            did(a, &self.rules, &self.alike)?,
            did(b, &self.rules, &self.alike)?,
        ))
    }

    /// The events behind a row in one of the traces.
    fn behind(&self, path: &Path, row: &Wanted) -> Result<Evident, AppError> {
        let mut reader = open(path)?;
        let start = reader.start().clone();
        let alike = self.alike.clone();
        let mut behind = Behind::new(&start, &self.rules, alike, row.kind, &row.what);
        let mut read = 0u64;
        for entry in &mut reader {
            behind.push(&entry.map_err(|error| batch_error(path, error.into()))?);
            read += 1;
            if read.is_multiple_of(LOOK) && self.newest.load(Ordering::Relaxed) != row.number {
                break;
            }
        }
        Ok(behind.finish())
    }
}
