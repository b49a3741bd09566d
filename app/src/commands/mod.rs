//! One file a command: arguments in, exit code out.

mod baseline;
mod corpus;
mod cut;
mod demo;
mod diff;
mod doctor;
mod events;
mod export;
#[cfg(target_os = "linux")]
mod image;
mod kept;
mod many;
#[cfg(target_os = "linux")]
mod pack;
mod policy;
mod redact;
mod replay;
mod report;
mod rescore;
mod rules;
#[cfg(target_os = "linux")]
mod run;
mod tail;
mod traces;
mod verify;
mod watch;

pub(crate) use baseline::baseline;
pub(crate) use corpus::corpus_test;
pub(crate) use cut::cut;
pub(crate) use demo::demo;
pub(crate) use diff::diff;
pub(crate) use doctor::doctor;
pub(crate) use events::events;
pub(crate) use export::export;
#[cfg(test)]
pub(crate) use export::shown;
#[cfg(target_os = "linux")]
pub(crate) use image::image;
pub(crate) use policy::policy;
pub(crate) use redact::redact;
pub(crate) use replay::replay;
#[cfg(test)]
pub(crate) use replay::{WAITING, pumped};
pub(crate) use report::report;
pub(crate) use rescore::rescore;
pub(crate) use rules::rules;
#[cfg(target_os = "linux")]
pub(crate) use run::{npm, pip, run};
#[cfg(test)]
pub(crate) use tail::Pump;
pub(crate) use traces::traces;
pub(crate) use verify::verify;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use belljar_recorder::{Reader, Start};
use belljar_replay::report::Report;
use belljar_replay::verdict::Verdict;

use crate::cli::FailOn;
use crate::error::AppError;
use crate::exit::Exit;
use crate::screen::{THEMES, Theme};
use crate::ways::notes;

/// Elsewhere there is nothing to boot.
#[cfg(not(target_os = "linux"))]
pub(crate) fn run(_: &crate::cli::Run, _: Theme) -> Result<Exit, AppError> {
    Err(AppError::NoGuests)
}

/// See `run`.
#[cfg(not(target_os = "linux"))]
pub(crate) fn npm(_: &crate::cli::Npm, _: Theme) -> Result<Exit, AppError> {
    Err(AppError::NoGuests)
}

/// See `run`.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pip(_: &crate::cli::Pip, _: Theme) -> Result<Exit, AppError> {
    Err(AppError::NoGuests)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn image(_: &crate::cli::Image) -> Result<Exit, AppError> {
    Err(AppError::NoGuests)
}

fn open(path: &Path) -> Result<Reader<BufReader<File>>, AppError> {
    let file = File::open(path).map_err(|source| AppError::file("open trace", path, source))?;
    opened(path, BufReader::new(file))
}

/// A trace's reader over what was opened at `path`.
fn opened<R: std::io::Read>(path: &Path, source: R) -> Result<Reader<R>, AppError> {
    Reader::open(source).map_err(|source| AppError::Trace {
        path: path.to_owned(),
        source,
    })
}

/// A new trace beside an old one. An existing file stays: it may be the old one.
fn create(path: &Path) -> Result<File, AppError> {
    match File::create_new(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(AppError::usage(
            format!("{} exists already", path.display()),
            "name another file, or remove it first",
        )),
        other => other.map_err(|source| AppError::file("create", path, source)),
    }
}

/// Runs `write` on a new file, which goes again if that fails.
fn written<T>(
    path: &Path,
    write: impl FnOnce(&File) -> Result<T, AppError>,
) -> Result<T, AppError> {
    let file = create(path)?;
    let result = write(&file).and_then(|done| match file.sync_all() {
        Ok(()) => Ok(done),
        Err(source) => Err(AppError::file("sync", path, source)),
    });
    if result.is_err() {
        // Half a trace of this sort is worth nothing, and may hold what was to go.
        let _ = std::fs::remove_file(path);
    }
    result
}

fn verdict_exit(verdict: Verdict, fail_on: FailOn) -> Exit {
    let fails = match fail_on {
        FailOn::Warning => verdict >= Verdict::Warning,
        FailOn::Malicious => verdict >= Verdict::Malicious,
        FailOn::Never => false,
    };
    if fails { Exit::Verdict } else { Exit::Fine }
}

/// How a run that ended, or its trace, ends the command. A repository that was
/// not cloned is no success, whatever the verdict on trying to.
fn concluded(report: &Report, start: &Start, fail_on: FailOn) -> Result<Exit, AppError> {
    match (
        verdict_exit(report.verdict, fail_on),
        notes::not_cloned(report, &start.command),
    ) {
        (Exit::Fine, Some(error)) => Err(error),
        (exit, _) => Ok(exit),
    }
}

/// The report as scripts read it.
fn json(report: &Report) -> String {
    String::from_utf8_lossy(&report.to_json()).into_owned()
}

fn batch_error(path: &Path, error: belljar_replay::batch::BatchError) -> AppError {
    AppError::Judge {
        path: path.to_owned(),
        source: error,
    }
}

/// How long a terminal may take to say what its background is.
const ANSWER: std::time::Duration = std::time::Duration::from_millis(150);

/// Light where the terminal says that its background is.
fn fitting() -> &'static str {
    use terminal_colorsaurus::{QueryOptions, ThemeMode, theme_mode};
    let mut options = QueryOptions::default();
    options.timeout = ANSWER;
    match crate::print::interactive().then(|| theme_mode(options)) {
        Some(Ok(ThemeMode::Light)) => "light",
        _ => "dark",
    }
}

/// The theme that was asked for: by name, or a file. Whoever wants no colour gets none.
pub(crate) fn theme(named: Option<&str>, plain: bool) -> Result<Theme, AppError> {
    let Some(named) = named.filter(|_| !plain) else {
        return Ok(match plain {
            true => Theme::mono(),
            false => Theme::named(fitting()).unwrap_or_else(Theme::mono),
        });
    };
    if let Some(theme) = Theme::named(named) {
        return Ok(theme);
    }
    let names: Vec<_> = THEMES.iter().map(|(name, _)| *name).collect();
    let hint = format!("there are: {}; or name a file", names.join(", "));
    // `palette.json#mocha`: one of several in a file.
    let (path, part) = match named.rsplit_once('#') {
        Some((path, part)) => (path, Some(part)),
        None => (named, None),
    };
    let text = std::fs::read_to_string(path).map_err(|error| {
        AppError::usage(
            format!("there is no theme {named:?}: {error}"),
            hint.clone(),
        )
    })?;
    Theme::parse_any(named, &text, part).map_err(|error| AppError::usage(error.to_string(), hint))
}
