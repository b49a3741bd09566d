//! Watching rule files while a trace is on the screen.
//!
//! Owns: noticing that they changed, and loading them again.
//! Must not: judge, or write to the terminal, which is the screen's.
//!
//! They are looked at a few times a second instead of being subscribed to: that
//! is alike for a file that is written in place, one that an editor renames over
//! it, one that comes into a folder, and one on a network's file system; and a
//! few hundred `stat`s cost nothing.

use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, SystemTime};

use super::rules;
use crate::cli::RuleArgs;
use crate::screen::{Msg, Reload};

/// Time between two looks. What changed counts once two looks agree, so that a
/// file that is being written is left alone until it is whole.
const LOOK: Duration = Duration::from_millis(300);

/// A file as it was seen: nothing, if it could not be looked at.
type Seen = (PathBuf, Option<(u64, Option<SystemTime>, u64)>);

/// The files that some rules come from, as they were seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look(Vec<Seen>);

impl Look {
    /// Looks at the files that these arguments name.
    pub(super) fn at(args: &RuleArgs) -> Self {
        let mut files = Vec::new();
        for named in &args.files {
            let before = files.len();
            if rules::walk(named, 0, &mut files).is_err() {
                files.truncate(before);
                files.push(named.clone());
            }
        }
        files.extend(args.suppress.clone());
        // A built-in one is no file, and stays so.
        files.extend(args.baseline.as_ref().map(PathBuf::from));
        Self(files.into_iter().map(seen).collect())
    }
}

fn seen(path: PathBuf) -> Seen {
    let known = std::fs::metadata(&path).ok();
    let known = known.map(|known| (known.len(), known.modified().ok(), number(&known)));
    (path, known)
}

#[cfg(unix)]
fn number(known: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(known)
}

#[cfg(not(unix))]
fn number(_: &std::fs::Metadata) -> u64 {
    0
}

/// Tells the screen of every change, until nobody listens. `loaded`: the files as
/// they were before the rules in force were read.
pub(super) fn watch(args: RuleArgs, loaded: Look, messages: SyncSender<Msg>) {
    // Nobody waits for this thread: it ends with the program at the latest.
    std::thread::spawn(move || {
        let (mut loaded, mut last) = (loaded.clone(), loaded);
        loop {
            std::thread::sleep(LOOK);
            let now = Look::at(&args);
            let settled = now == last;
            last = now;
            if !settled || last == loaded {
                continue;
            }
            loaded = last.clone();
            let reload = match rules::read_quietly(&args) {
                Ok((rules, _)) => Reload::Good(rules),
                Err(error) => Reload::Bad(first_line(&error.to_string())),
            };
            if messages.send(Msg::Rules(reload)).is_err() {
                return;
            }
        }
    });
}

/// The first of many errors, and how many more there are.
fn first_line(text: &str) -> String {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    match lines.count() {
        0 => first.to_owned(),
        more => format!("{first} (and {more} more)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_changing_a_file_is_seen() {
        let kept = tempfile::tempdir().unwrap();
        let (folder, file) = (kept.path().join("rules"), kept.path().join("one.yaml"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&file, "a").unwrap();
        let args = RuleArgs {
            files: vec![folder.clone(), file.clone()],
            ..RuleArgs::default()
        };
        let mut last = Look::at(&args);
        assert_eq!(last, Look::at(&args));
        let beside = kept.path().join("beside");
        let changes: [&dyn Fn(); 5] = [
            &|| std::fs::write(&file, "bb").unwrap(),
            &|| {
                std::fs::write(&beside, "cc").unwrap();
                std::fs::rename(&beside, &file).unwrap();
            },
            &|| std::fs::write(folder.join("two.yml"), "d").unwrap(),
            &|| std::fs::remove_file(&file).unwrap(),
            &|| std::fs::remove_dir_all(&folder).unwrap(),
        ];
        for (number, change) in changes.iter().enumerate() {
            change();
            let now = Look::at(&args);
            assert_ne!(now, last, "change {number}");
            last = now;
        }
    }

    #[test]
    fn of_many_errors_the_first_is_told() {
        assert_eq!(first_line("a.yaml:1:2: x"), "a.yaml:1:2: x");
        assert_eq!(first_line("a\nb\nc"), "a (and 2 more)");
    }
}
