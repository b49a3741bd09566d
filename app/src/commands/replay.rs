//! `belljar replay`: the screen, fed from a trace; or what another policy would
//! have decided about it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use belljar_recorder::Reader;
use belljar_replay::policy::Policy;
use belljar_replay::rules::RuleSet;
use belljar_replay::what_if::{WhatIfError, what_if};

use super::kept::Kept;
use super::tail::{Pump, Tail};
use super::watch::{Look, watch};
use super::{open, opened};
use crate::cli::{self, Format};
use crate::error::AppError;
use crate::exit::Exit;
use crate::policies::Chosen;
use crate::print;
use crate::screen::{self, Msg, Theme};

/// Messages that wait for the screen: what waits is not packed.
pub(crate) const WAITING: usize = 8;

pub(crate) fn replay(args: &cli::Replay, theme: Theme) -> Result<Exit, AppError> {
    let other = match &args.policy {
        Some(policy) if !args.screen => return under(args, policy),
        Some(policy) => Some(loaded(policy)?),
        None => None,
    };
    if !print::interactive() {
        return Err(AppError::usage(
            "replay needs a terminal",
            format!("for a summary: belljar report {}", args.trace.display()),
        ));
    }
    let seen = Look::at(&args.rules);
    let rules = super::rules::loaded(&args.rules)?;
    let (messages, source) = sync_channel(WAITING);
    let watched = !args.rules.files.is_empty() || args.rules.suppress.is_some();
    if watched {
        watch(args.rules.clone(), seen, messages.clone());
    }
    let how = How {
        at: args.at.map(nanos).transpose()?,
        idle: Some(pause(args.idle)?),
        follow: args.follow,
        watched,
        trace: Some(&args.trace),
    };
    if let Some(policy) = other {
        ask(
            args.trace.clone(),
            Arc::clone(&rules),
            policy,
            messages.clone(),
        );
    }
    let pump = Arc::new(Pump::new(messages.clone()));
    if args.follow {
        let tail = Tail::open(&args.trace, Arc::clone(&pump))
            .map_err(|source| AppError::file("open trace", &args.trace, source))?;
        let reader = opened(&args.trace, tail)?;
        return on_screen(reader, how, theme, rules, (pump, messages, source));
    }
    let reader = open(&args.trace)?;
    on_screen(reader, how, theme, rules, (pump, messages, source))
}

/// A policy by its name or its file.
fn loaded(policy: &str) -> Result<Policy, AppError> {
    // Who enforces its lines makes no difference here.
    let policy = Chosen::read(policy)?.load();
    policy.map_err(|error| AppError::Rules(error.to_string()))
}

/// Asks another policy behind the screen, which is told when it is done.
fn ask(trace: PathBuf, rules: Arc<RuleSet>, policy: Policy, messages: SyncSender<Msg>) {
    std::thread::spawn(move || {
        let told = open(&trace)
            .map_err(|error| error.to_string())
            .and_then(|mut reader| {
                what_if(&mut reader, &rules, &policy, false).map_err(|error| error.to_string())
            });
        drop(messages.send(match told {
            Ok(told) => Msg::Other(Box::new(told)),
            Err(why) => Msg::Notice(format!("the other policy was not asked: {why}")),
        }));
    });
}

/// What another policy would have decided.
fn under(args: &cli::Replay, policy: &str) -> Result<Exit, AppError> {
    let policy = loaded(policy)?;
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

/// How a trace is shown.
#[derive(Clone, Copy, Debug, Default)]
struct How<'a> {
    /// What is kept of it stands beside it.
    trace: Option<&'a Path>,
    /// Start there: nanoseconds from its beginning.
    at: Option<u64>,
    /// Longest pause while it plays.
    idle: Option<u64>,
    /// More is written to it.
    follow: bool,
    /// The files of its rules are watched.
    watched: bool,
}

/// Shows a trace on the terminal until someone leaves.
pub(super) fn show<R: Read + Send + 'static>(
    reader: Reader<R>,
    at: Option<f64>,
    theme: Theme,
    rules: Arc<RuleSet>,
) -> Result<Exit, AppError> {
    let (messages, source) = sync_channel(WAITING);
    let how = How {
        at: at.map(nanos).transpose()?,
        ..How::default()
    };
    let pump = Arc::new(Pump::new(messages.clone()));
    on_screen(reader, how, theme, rules, (pump, messages, source))
}

/// What was read on its way to the screen, and both ends of that way.
type Way = (Arc<Pump>, SyncSender<Msg>, Receiver<Msg>);

fn on_screen<R: Read + Send + 'static>(
    reader: Reader<R>,
    how: How<'_>,
    theme: Theme,
    rules: Arc<RuleSet>,
    (pump, messages, source): Way,
) -> Result<Exit, AppError> {
    let start = reader.start().clone();
    let mut setup = screen::Setup {
        at: how.at,
        idle: how.idle,
        follow: how.follow,
        watched: how.watched,
        ..screen::Setup::new(screen::Mode::Replay, start, rules, theme)
    };
    let kept = how.trace.map(|trace| Kept::load(trace, &mut setup));
    let (kept, complaints) = kept.unwrap_or_default();
    for complaint in complaints {
        drop(messages.try_send(Msg::Notice(complaint)));
    }
    let notices = messages.clone();
    let filling = Arc::clone(&pump);
    let reading = std::thread::spawn(move || pumped(reader, &filling, &messages));
    screen::run(
        screen::Model::new(setup),
        &source,
        |effect| {
            if let Some(wrong) = kept.obey(effect) {
                drop(notices.try_send(Msg::Notice(wrong)));
            }
        },
        screen::Options::default(),
    )
    .map_err(|source| AppError::io("draw on the terminal", source))?;
    pump.leave();
    // A reader that still waits for room must not be waited for.
    drop(source);
    let whole = reading.join().unwrap_or(false);
    Ok(if whole { Exit::Fine } else { Exit::Damaged })
}

/// Reads all of a trace to the screen; false if it is not whole, and nobody left before.
pub(crate) fn pumped<R: Read>(
    mut reader: Reader<R>,
    pump: &Pump,
    messages: &SyncSender<Msg>,
) -> bool {
    while let Some(Ok(entry)) = reader.next() {
        if !pump.push(entry) {
            return true; // the screen was left
        }
    }
    let left = !pump.flush();
    let integrity = reader.integrity();
    let whole = integrity.is_complete();
    let _ = messages.send(Msg::SourceEnded(integrity));
    whole || left
}

/// The longest pause while a recording plays. Without any everything would be played
/// at once.
pub(super) fn pause(seconds: f64) -> Result<u64, AppError> {
    /// A twentieth of a second.
    const LEAST: u64 = 50_000_000;
    match nanos(seconds) {
        Ok(pause @ LEAST..) => Ok(pause),
        _ => Err(AppError::usage(
            format!("{seconds} s is no pause"),
            "write --idle with 0.05 or more",
        )),
    }
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
