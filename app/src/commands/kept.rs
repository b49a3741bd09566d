//! What the screen is asked to keep: bookmarks beside the trace, filters with the
//! user's settings.
//!
//! Owns: where these files are and what they look like. Must not: touch the trace,
//! or write over a file that it could not read.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::screen::{Effect, MAX_MARKS, MAX_NOTE, Mark, Setup};

/// Longest file that is read.
const MAX_FILE: u64 = 2 << 20;
/// Most filters that are read, and the longest.
const MAX_FILTERS: (usize, usize) = (200, 4096);

/// The file beside a trace.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Beside {
    marks: Vec<Written>,
}

/// A bookmark as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    event: u64,
    #[serde(default)]
    note: String,
}

/// Where things are kept; `None`: they are not.
#[derive(Debug, Default)]
pub(super) struct Kept {
    marks: Option<PathBuf>,
    filters: Option<PathBuf>,
}

/// The file that the bookmarks of a trace stand in.
pub(super) fn beside(trace: &Path) -> PathBuf {
    let mut name = trace.as_os_str().to_owned();
    name.push(".marks.json");
    PathBuf::from(name)
}

impl Kept {
    /// For a trace and this user: puts what is there into `setup`; also returns what
    /// is wrong with it.
    pub(super) fn load(trace: &Path, setup: &mut Setup) -> (Self, Vec<String>) {
        let filters = crate::policies::user_file().map(|file| file.with_file_name("filters"));
        Self::at(Some(beside(trace)), filters, setup)
    }

    fn at(
        marks: Option<PathBuf>,
        filters: Option<PathBuf>,
        setup: &mut Setup,
    ) -> (Self, Vec<String>) {
        let mut complaints = Vec::new();
        let mut read = |path: Option<PathBuf>,
                        use_it: &mut dyn FnMut(&str) -> Result<(), String>| {
            let path = path?;
            let used = match text(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error.to_string()),
                Ok(text) => use_it(&text),
            };
            match used {
                Ok(()) => Some(path),
                Err(why) => {
                    let path = path.display();
                    complaints.push(format!("{path}: {why}; it is left as it is"));
                    None
                }
            }
        };
        let kept = Self {
            marks: read(marks, &mut |text| {
                setup.marks = parse(text)?;
                Ok(())
            }),
            filters: read(filters, &mut |text| {
                let lines = text.lines().map(str::trim);
                let good = |line: &&str| !line.is_empty() && line.len() <= MAX_FILTERS.1;
                let lines = lines.filter(good).take(MAX_FILTERS.0);
                setup.filters = lines.map(str::to_owned).collect();
                Ok(())
            }),
        };
        (kept, complaints)
    }

    /// Keeps what it is asked to; `Some` is what went wrong.
    pub(super) fn obey(&self, effect: &Effect) -> Option<String> {
        let (path, text) = match effect {
            Effect::Marks(marks) => (self.marks.as_ref(), written(marks)),
            Effect::Filters(filters) => (self.filters.as_ref(), filters.join("\n") + "\n"),
            _ => return None,
        };
        let Some(path) = path else {
            return Some("not kept: there is no place for it".to_owned());
        };
        let error = replace(path, &text).err()?;
        Some(format!("not kept: {}: {error}", path.display()))
    }
}

fn parse(text: &str) -> Result<Vec<Mark>, String> {
    let all: Beside = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if all.marks.len() > MAX_MARKS || all.marks.iter().any(|mark| mark.note.len() > MAX_NOTE) {
        return Err("more or longer bookmarks than belljar writes".to_owned());
    }
    let marks = all.marks.into_iter().map(|mark| Mark {
        seq: mark.event,
        note: mark.note,
    });
    let mut marks: Vec<_> = marks.collect();
    marks.sort_unstable();
    marks.dedup_by_key(|mark| mark.seq);
    Ok(marks)
}

fn written(marks: &[Mark]) -> String {
    let marks = marks.iter().map(|mark| Written {
        event: mark.seq,
        note: mark.note.clone(),
    });
    let all = Beside {
        marks: marks.collect(),
    };
    // Numbers and texts always become JSON.
    serde_json::to_string_pretty(&all).unwrap_or_default() + "\n"
}

fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = fs::File::open(path)?;
    file.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other("it is too long"));
    }
    Ok(text)
}

/// Writes beside, and renames over: whoever reads meanwhile sees one or the other.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        fs::create_dir_all(folder)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(name);
    let new = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&beside);
    let written = new
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use belljar_replay::rules::RuleSet;

    use super::*;
    use crate::screen::{Mode, Theme};

    fn setup() -> Setup {
        let start = crate::screen::tests::story::start();
        Setup::new(Mode::Replay, start, RuleSet::builtin(), Theme::mono())
    }

    #[test]
    fn what_is_kept_is_there_the_next_time() {
        let dir = tempfile::tempdir().unwrap();
        let places = || {
            let marks = Some(beside(&dir.path().join("t.bjt")));
            (marks, Some(dir.path().join("new/filters")))
        };
        let mut first = setup();
        let (kept, complaints) = Kept::at(places().0, places().1, &mut first);
        assert!(complaints.is_empty() && first.marks.is_empty());
        let mark = |seq: u64, note: &str| Mark {
            seq,
            note: note.to_owned(),
        };
        let marks = vec![mark(3, ""), mark(70, "here it \u{1b}[31m sends \"it\"")];
        assert_eq!(kept.obey(&Effect::Marks(marks.clone())), None);
        let filters = vec![
            "evt.type = open".to_owned(),
            "proc.name = \"a b\"".to_owned(),
        ];
        assert_eq!(kept.obey(&Effect::Filters(filters.clone())), None);
        let mut second = setup();
        let (_, complaints) = Kept::at(places().0, places().1, &mut second);
        assert!(complaints.is_empty(), "{complaints:?}");
        assert_eq!((second.marks, second.filters), (marks, filters));
    }

    #[test]
    fn what_cannot_be_read_is_not_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.json");
        let long = format!(
            r#"{{"marks":[{{"event":1,"note":"{}"}}]}}"#,
            "x".repeat(1001)
        );
        for wrong in [
            "",
            "[]",
            r#"{"marks":[{"event":-1}]}"#,
            r#"{"marks":[],"x":1}"#,
            &long,
        ] {
            fs::write(&path, wrong).unwrap();
            let mut setup = setup();
            let (kept, complaints) = Kept::at(Some(path.clone()), None, &mut setup);
            assert_eq!(complaints.len(), 1, "{wrong}");
            assert!(kept.obey(&Effect::Marks(Vec::new())).is_some());
            assert_eq!(fs::read_to_string(&path).unwrap(), wrong);
        }
    }
}
