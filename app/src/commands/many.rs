//! Many traces at once: finding them, judging them on several threads, in order.
//!
//! Owns: the walk over folders, the threads, the progress bar, and being told to
//! stop. Must not: judge, or hold more of the results than what waits for its turn.

use std::collections::BTreeMap;
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::AppError;

/// Traces at most.
const MAX_TRACES: usize = 200_000;
/// Deepest folder that is looked into.
const MAX_DEPTH: usize = 16;
/// Results that may wait for the one before them, for each thread.
const AHEAD: usize = 16;

/// The traces that these paths lead to, sorted, each once. A path that cannot be
/// looked at stays in the list: reading it will say why.
pub(super) fn traces(paths: &[PathBuf]) -> Result<Vec<PathBuf>, AppError> {
    let mut found = Vec::new();
    for path in paths {
        walk(path, 0, &mut found)?;
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn walk(path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), AppError> {
    if found.len() >= MAX_TRACES {
        return Err(AppError::usage(
            format!("more than {MAX_TRACES} traces"),
            "name a smaller folder",
        ));
    }
    let entries = match fs::metadata(path) {
        Ok(about) if about.is_dir() => fs::read_dir(path),
        _ => {
            found.push(path.to_owned());
            return Ok(());
        }
    };
    let Ok(entries) = entries else {
        found.push(path.to_owned());
        return Ok(());
    };
    let mut inside = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let ends = path.extension().is_some_and(|ending| ending == "bjt");
        // Links are not followed: no folder leads back into itself.
        let chosen = match entry.file_type() {
            Ok(kind) => kind.is_dir() && depth < MAX_DEPTH || kind.is_file() && ends,
            Err(_) => ends,
        };
        if chosen {
            inside.push(path);
        }
    }
    inside.sort();
    for path in inside {
        walk(&path, depth + 1, found)?;
    }
    Ok(())
}

/// True once belljar is told to end.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens from now on. The first signal asks for an end, a second one is one.
    pub(super) fn listen() -> Result<Self, AppError> {
        let stop = Self::default();
        #[cfg(unix)]
        for signal in [
            signal_hook::consts::SIGINT,
            signal_hook::consts::SIGTERM,
            signal_hook::consts::SIGHUP,
        ] {
            let code = crate::exit::Exit::Interrupted as i32;
            signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&stop.0))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop.0)))
                .map_err(|source| AppError::io("listen to signals", source))?;
        }
        Ok(stop)
    }

    pub(super) fn is_told(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// As many threads as were asked for, or as there are processors.
pub(super) fn jobs(asked: Option<u16>) -> usize {
    asked.map_or_else(
        || std::thread::available_parallelism().map_or(1, usize::from),
        usize::from,
    )
}

/// Works on each of `paths`, on `jobs` threads, and hands the results over in the
/// order of the paths. Told to stop, it hands over what is done up to the first
/// that is not. Returns how many that were.
pub(super) fn each<T: Send>(
    paths: &[PathBuf],
    jobs: usize,
    stop: &Stop,
    work: impl Fn(&Path) -> Option<T> + Sync,
    mut take: impl FnMut(&Path, T),
) -> usize {
    let threads = jobs.min(paths.len()).max(1);
    let (next, handed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let ahead = threads.saturating_mul(AHEAD);
    let bar = bar(paths.len());
    std::thread::scope(|scope| {
        let (send, results) = sync_channel::<(usize, Option<T>)>(ahead);
        for _ in 0..threads {
            let send = send.clone();
            let (next, handed, work) = (&next, &handed, &work);
            scope.spawn(move || {
                while let Some((at, path)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    paths.get(at).map(|path| (at, path))
                } {
                    // Nobody runs so far ahead that the results fill the memory.
                    while at > handed.load(Ordering::Relaxed).saturating_add(ahead)
                        && !stop.is_told()
                    {
                        std::thread::sleep(std::time::Duration::from_millis(2));
                    }
                    let made = if stop.is_told() { None } else { work(path) };
                    if send.send((at, made)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let mut waiting: BTreeMap<usize, Option<T>> = BTreeMap::new();
        let (mut done, mut taken) = (0usize, 0usize);
        let mut whole = true;
        for (at, made) in results {
            bar.inc(1);
            waiting.insert(at, made);
            while let Some(made) = waiting.remove(&done) {
                whole &= made.is_some();
                if let (true, Some(made), Some(path)) = (whole, made, paths.get(done)) {
                    bar.suspend(|| take(path, made));
                    taken = taken.saturating_add(1);
                }
                done = done.saturating_add(1);
                handed.store(done, Ordering::Relaxed);
            }
        }
        bar.finish_and_clear();
        taken
    })
}

fn bar(length: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length as u64);
    let style = "{bar:30} {pos}/{len} traces  {elapsed} (about {eta} more)";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}
