//! `belljar traces`: what runs without `-o` have left in the data folder.
//!
//! Owns: listing, removing, tidying up. Must not: touch a file that is no
//! trace, or one outside the folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use belljar_recorder::Integrity;
use belljar_replay::batch;
use belljar_replay::escape;
use belljar_replay::report::jsonl;
use belljar_replay::rules::RuleSet;
use serde_json::{Value, json};

use super::open;
use crate::cli::{self, Format, TracesCommand};
use crate::error::AppError;
use crate::exit::Exit;
use crate::print;

/// What was written to so lately may be a run that goes on.
const FRESH: Duration = Duration::from_secs(60);
/// Traces listed at most.
const MAX_TRACES: usize = 100_000;

/// A file in the folder.
struct Found {
    name: String,
    path: PathBuf,
    bytes: u64,
    /// When it was last written to.
    written: SystemTime,
}

/// What is known of a trace.
enum State {
    /// Read to its end.
    Judged {
        label: String,
        verdict: &'static str,
        events: u64,
        /// Why it is not whole.
        cut: Option<String>,
    },
    /// Only its start was read.
    Opened { label: String },
    /// There is no good prefix.
    Unreadable { why: String },
}

pub(crate) fn traces(args: &cli::Traces) -> Result<Exit, AppError> {
    let folder = folder()?;
    let found = found(&folder)?;
    match &args.command {
        TracesCommand::List { quick, format } => list(&folder, &found, *quick, *format),
        TracesCommand::Rm { names } => remove_named(&folder, &found, names),
        TracesCommand::Gc {
            keep,
            older,
            dry_run,
        } => tidy(&found, *keep, *older, *dry_run),
    }
}

/// Where runs leave their traces.
pub(super) fn folder() -> Result<PathBuf, AppError> {
    use etcetera::BaseStrategy;
    let base = etcetera::choose_base_strategy().map_err(|_| {
        AppError::usage(
            "there is no home folder to keep traces in",
            "set HOME; or name the trace: `-o` of a run, the path to `belljar report` and `belljar replay`",
        )
    })?;
    Ok(base.data_dir().join("belljar").join("traces"))
}

/// The traces in the folder, the newest first. No folder: no traces.
fn found(folder: &Path) -> Result<Vec<Found>, AppError> {
    let unreadable = |source| AppError::file("list", folder, source);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut found = Vec::new();
    for entry in entries.take(MAX_TRACES) {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        let name = path.file_stem().and_then(|name| name.to_str());
        let (Some(name), Some("bjt")) = (name, path.extension().and_then(|e| e.to_str())) else {
            continue;
        };
        // Not followed: a link is no trace of ours. One that just went away is none any more.
        let Ok(about) = entry.metadata() else {
            continue;
        };
        if about.is_file() {
            found.push(Found {
                name: name.to_owned(),
                bytes: about.len(),
                written: about.modified().unwrap_or(UNIX_EPOCH),
                path,
            });
        }
    }
    found.sort_by(|a, b| (b.written, &b.name).cmp(&(a.written, &a.name)));
    Ok(found)
}

fn examine(one: &Found, quick: bool) -> State {
    let reader = match open(&one.path) {
        Ok(reader) => reader,
        Err(AppError::Trace { source, .. }) => {
            return State::Unreadable {
                why: source.to_string(),
            };
        }
        Err(error) => {
            return State::Unreadable {
                why: error.to_string(),
            };
        }
    };
    let label = reader.start().label.clone();
    if quick {
        return State::Opened { label };
    }
    match batch::judge_reader(reader, &RuleSet::builtin()) {
        Err(error) => State::Unreadable {
            why: error.to_string(),
        },
        Ok(judged) => {
            let (events, cut) = match judged.integrity {
                Integrity::Complete { receipt } => (receipt.events, None),
                Integrity::Cut { entries, why, .. } => (entries, Some(why)),
            };
            State::Judged {
                label,
                verdict: judged.report.verdict.word(),
                events,
                cut,
            }
        }
    }
}

/// Judges all of them, as many at once as there are processors.
fn examine_all(found: &[Found], quick: bool) -> Vec<(&Found, State)> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, State)>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(found.len()) {
            scope.spawn(|| {
                while let Some((at, one)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    found.get(at).map(|one| (at, one))
                } {
                    let state = examine(one, quick);
                    done.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((at, state));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter()
        .filter_map(|(at, state)| Some((found.get(at)?, state)))
        .collect()
}

fn list(folder: &Path, found: &[Found], quick: bool, format: Format) -> Result<Exit, AppError> {
    let rows = examine_all(found, quick);
    if format != Format::Table {
        let rows: Vec<Value> = rows.iter().map(|(one, state)| object(one, state)).collect();
        if format == Format::Jsonl {
            for row in &rows {
                print::out(&format!("{}\n", jsonl::guarded(&row.to_string())));
            }
        } else {
            let all = json!({ "folder": folder.to_string_lossy(), "traces": rows });
            print::out(&format!("{}\n", jsonl::guarded(&format!("{all:#}"))));
        }
        return Ok(Exit::Fine);
    }
    if rows.is_empty() {
        print::out(&format!(
            "no traces in {}; `belljar run` leaves one there\n",
            escape::string(&folder.to_string_lossy())
        ));
        return Ok(Exit::Fine);
    }
    print::out(&table(&rows));
    let total = found
        .iter()
        .fold(0_u64, |sum, one| sum.saturating_add(one.bytes));
    print::out(&format!(
        "{}, {} in {}\n",
        counted(rows.len()),
        size(total),
        escape::string(&folder.to_string_lossy())
    ));
    Ok(Exit::Fine)
}

fn table(rows: &[(&Found, State)]) -> String {
    let widest = rows
        .iter()
        .map(|(one, _)| escape::string(&one.name).chars().count());
    let names = widest.max().unwrap_or(4).max(4);
    let mut out = format!(
        "{:<names$}  {:<16}  {:<9}  {:>9}  {:>9}  {}\n",
        "NAME", "WRITTEN (UTC)", "VERDICT", "EVENTS", "SIZE", "LABEL"
    );
    for (one, state) in rows {
        let (verdict, events, label) = match state {
            State::Judged {
                label,
                verdict,
                events,
                cut,
            } => {
                let note = cut
                    .as_ref()
                    .map(|why| format!("  ✗ CUT: {}", escape::string(why)));
                let label = format!("{}{}", escape::string(label), note.unwrap_or_default());
                (*verdict, events.to_string(), label)
            }
            State::Opened { label } => ("-", "-".to_owned(), escape::string(label)),
            State::Unreadable { why } => {
                let why = format!("✗ UNREADABLE: {}", escape::string(why));
                ("-", "-".to_owned(), why)
            }
        };
        out.push_str(&format!(
            "{:<names$}  {:<16}  {verdict:<9}  {events:>9}  {:>9}  {label}\n",
            escape::string(&one.name),
            crate::date::minute(one.written),
            size(one.bytes),
        ));
    }
    out
}

fn object(one: &Found, state: &State) -> Value {
    let mut row = json!({
        "name": one.name,
        "path": one.path.to_string_lossy(),
        "written": seconds(one.written),
        "bytes": one.bytes,
    });
    let more = match state {
        State::Judged {
            label,
            verdict,
            events,
            cut,
        } => json!({
            "label": label, "verdict": verdict, "events": events,
            "state": if cut.is_some() { "cut" } else { "whole" }, "why": cut,
        }),
        State::Opened { label } => json!({ "label": label, "state": "not judged" }),
        State::Unreadable { why } => json!({ "state": "unreadable", "why": why }),
    };
    if let (Value::Object(row), Value::Object(more)) = (&mut row, more) {
        row.extend(more);
    }
    row
}

/// All of them or, if one name is wrong, none.
fn remove_named(folder: &Path, found: &[Found], names: &[String]) -> Result<Exit, AppError> {
    let mut chosen: Vec<&Found> = Vec::new();
    for name in names {
        let bare = name.strip_suffix(".bjt").unwrap_or(name);
        let Some(one) = found.iter().find(|one| one.name == bare) else {
            return Err(AppError::usage(
                format!(
                    "there is no trace {name:?} in {}; nothing was removed",
                    folder.display()
                ),
                "`belljar traces list` shows the names",
            ));
        };
        if !chosen.iter().any(|known| known.name == one.name) {
            chosen.push(one);
        }
    }
    remove(&chosen)
}

fn remove(chosen: &[&Found]) -> Result<Exit, AppError> {
    let mut freed = 0_u64;
    for one in chosen {
        fs::remove_file(&one.path)
            .map_err(|source| AppError::file("remove trace", &one.path, source))?;
        // Its bookmarks are of no use without it; mostly there are none.
        let _ = fs::remove_file(super::kept::beside(&one.path));
        freed = freed.saturating_add(one.bytes);
        print::out(&format!("removed {}\n", escape::string(&one.name)));
    }
    print::out(&format!(
        "{}, {} freed\n",
        counted(chosen.len()),
        size(freed)
    ));
    Ok(Exit::Fine)
}

fn tidy(
    found: &[Found],
    keep: Option<usize>,
    older: Option<Duration>,
    dry_run: bool,
) -> Result<Exit, AppError> {
    let now = SystemTime::now();
    let age = |one: &Found| now.duration_since(one.written).unwrap_or_default();
    let (fresh, chosen): (Vec<_>, Vec<_>) = surplus(found, keep, older, age)
        .into_iter()
        .partition(|one| age(one) < FRESH);
    for one in &fresh {
        print::error(&format!(
            "belljar: {} stays: it was written to within the last minute, a run may go on",
            escape::string(&one.name)
        ));
    }
    if !dry_run {
        return remove(&chosen);
    }
    for one in &chosen {
        print::out(&format!("would remove {}\n", escape::string(&one.name)));
    }
    let freed = chosen
        .iter()
        .fold(0_u64, |sum, one| sum.saturating_add(one.bytes));
    print::out(&format!(
        "{}, {} would be freed\n",
        counted(chosen.len()),
        size(freed)
    ));
    Ok(Exit::Fine)
}

/// What is too much, of traces that come the newest first.
fn surplus(
    found: &[Found],
    keep: Option<usize>,
    older: Option<Duration>,
    age: impl Fn(&Found) -> Duration,
) -> Vec<&Found> {
    found
        .iter()
        .skip(keep.unwrap_or(0))
        .filter(|one| older.is_none_or(|older| age(one) > older))
        .collect()
}

fn counted(traces: usize) -> String {
    match traces {
        1 => "1 trace".to_owned(),
        _ => format!("{traces} traces"),
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// `912 B`, `1.2 MB`.
fn size(bytes: u64) -> String {
    let (mut whole, mut tenth, mut unit) = (bytes, 0, "B");
    for next in ["kB", "MB", "GB", "TB"] {
        if whole < 1000 {
            break;
        }
        (tenth, whole, unit) = (whole % 1000 / 100, whole / 1000, next);
    }
    match unit {
        "B" => format!("{whole} B"),
        _ => format!("{whole}.{tenth} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(
            [size(999), size(1_250), size(34_000_000)],
            ["999 B", "1.2 kB", "34.0 MB"]
        );
    }

    #[test]
    fn only_traces_are_found_and_the_oldest_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let trace = include_bytes!("../../../fixtures/traces/npm-benign.bjt");
        for (name, age, bytes) in [
            ("1-a.bjt", 300, &trace[..]),
            ("2-b.bjt", 200, &trace[..trace.len() / 2]),
            ("3-c.bjt", 100, &b"no trace at all"[..]),
            ("notes.txt", 50, &b"mine"[..]),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(at(1_000_000 - age)).unwrap();
        }
        fs::create_dir(folder.path().join("4-d.bjt")).unwrap();
        let all = found(folder.path()).unwrap();
        let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["3-c", "2-b", "1-a"]);

        let rows = examine_all(&all, false);
        let table = table(&rows);
        let line = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(
            line("1-a").contains("SAFE") && !line("1-a").contains("CUT"),
            "{table}"
        );
        assert!(
            line("2-b").contains("WARNING") && line("2-b").contains("CUT"),
            "{table}"
        );
        assert!(line("3-c").contains("UNREADABLE"), "{table}");

        let age = |one: &Found| at(1_000_000).duration_since(one.written).unwrap();
        let gone = |keep, older: Option<u64>| -> Vec<String> {
            let older = older.map(Duration::from_secs);
            let gone = surplus(&all, keep, older, age);
            gone.iter().map(|one| one.name.clone()).collect()
        };
        assert_eq!(gone(Some(1), None), ["2-b", "1-a"]);
        assert_eq!(gone(None, Some(150)), ["2-b", "1-a"]);
        assert!(gone(Some(9), None).is_empty());

        // One wrong name, and nothing is removed.
        let names = ["1-a".to_owned(), "nothing".to_owned()];
        assert!(remove_named(folder.path(), &all, &names).is_err());
        assert!(folder.path().join("1-a.bjt").exists());
        remove_named(folder.path(), &all, &["1-a.bjt".to_owned()]).unwrap();
        assert!(!folder.path().join("1-a.bjt").exists());
        // A name leads to nothing outside the folder.
        assert!(remove_named(folder.path(), &all, &["../x".to_owned()]).is_err());
    }
}
