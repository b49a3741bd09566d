//! Files as a tree of folders with counts; what is unusual stands above it.

use std::collections::BTreeMap;

use belljar_replay::session::FileRow;

use super::{Fold, Folds, MAX_LINES, RowKey};
use crate::screen::text::safe;

/// Deeper than this a folder's content is not unfolded any more.
const MAX_DEPTH: usize = 48;

/// One line: a folder, a file, or an unusual file by its whole path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::screen) struct FileLine {
    pub(in crate::screen) key: RowKey,
    pub(in crate::screen) depth: usize,
    pub(in crate::screen) fold: Fold,
    /// Escaped.
    pub(in crate::screen) label: String,
    pub(in crate::screen) reads: u64,
    /// Writes, creations and removals.
    pub(in crate::screen) writes: u64,
    /// Of these, creations.
    pub(in crate::screen) creates: u64,
    /// Of these, removals.
    pub(in crate::screen) deletes: u64,
    pub(in crate::screen) mark: FileMark,
}

/// Why a file is unusual, worst last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::screen) enum FileMark {
    /// It is not.
    None,
    /// Only attempts that failed.
    Missing,
    /// Refused for want of permission.
    Denied,
    /// A place where credentials live.
    Credential(&'static str),
    /// A decoy: what it pretends to be.
    Decoy(String),
}

impl FileMark {
    /// What stands above the tree.
    fn floats(&self) -> bool {
        *self >= Self::Denied
    }
}

/// Lines for the files pane.
pub(super) fn lines(rows: &[FileRow], home: Option<&[u8]>, folds: &Folds) -> Vec<FileLine> {
    let mut out: Vec<FileLine> = rows
        .iter()
        .filter(|row| mark(row).floats() && !is_machinery(row))
        .take(MAX_LINES / 4)
        .map(|row| FileLine {
            key: RowKey::Float(row.path.to_vec()),
            depth: 0,
            fold: Fold::Leaf,
            label: short_path(&row.path, home),
            reads: row.reads,
            writes: writes(row),
            creates: row.creates,
            deletes: row.deletes,
            mark: mark(row),
        })
        .collect();
    // Decoys first, then the rest; within that by path, so that nothing moves.
    out.sort_by_key(|line| std::cmp::Reverse(matches!(line.mark, FileMark::Decoy(_))));
    let mut tree = Tree { folds, home, out };
    let inside = |row: &&FileRow| home.is_some_and(|home| below(&row.path, home));
    let at_home: Vec<&FileRow> = rows.iter().filter(inside).collect();
    let elsewhere: Vec<&FileRow> = rows.iter().filter(|row| !inside(row)).collect();
    if let Some(home) = home
        && !at_home.is_empty()
    {
        tree.folder(&at_home, home.to_vec(), "~".to_owned(), 0);
    }
    tree.children(&elsewhere, b"", 0);
    tree.out
}

/// `~/.ssh/id_ed25519`, escaped.
pub(in crate::screen) fn short_path(path: &[u8], home: Option<&[u8]>) -> String {
    match home.and_then(|home| path.strip_prefix(home)) {
        Some(rest) if rest.is_empty() || rest.starts_with(b"/") => format!("~{}", safe(rest)),
        _ => safe(path),
    }
}

/// What every runtime asks the kernel for in vain says nothing; it stays in the tree.
fn is_machinery(row: &FileRow) -> bool {
    let places: [&[u8]; 3] = [b"/proc/", b"/sys/", b"/dev/"];
    row.decoy.is_none() && places.iter().any(|place| row.path.starts_with(place))
}

fn below(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.starts_with(b"/"))
}

fn writes(row: &FileRow) -> u64 {
    row.writes
        .saturating_add(row.creates)
        .saturating_add(row.deletes)
}

fn mark(row: &FileRow) -> FileMark {
    let touched = row.reads + row.writes + row.creates + row.deletes > 0;
    match (&row.decoy, row.credential) {
        (Some(kind), _) if touched || row.denied > 0 => FileMark::Decoy(kind.to_string()),
        _ if row.denied > 0 => FileMark::Denied,
        (_, Some(kind)) if touched => FileMark::Credential(kind),
        _ if !touched && row.failed > 0 => FileMark::Missing,
        _ => FileMark::None,
    }
}

struct Tree<'a> {
    folds: &'a Folds,
    home: Option<&'a [u8]>,
    out: Vec<FileLine>,
}

/// What stands directly in a folder under one name.
#[derive(Default)]
struct Group<'a> {
    itself: Option<&'a FileRow>,
    inside: Vec<&'a FileRow>,
}

impl Tree<'_> {
    /// The rows below `prefix` (which has no slash at its end), one level of them.
    fn children(&mut self, rows: &[&FileRow], prefix: &[u8], depth: usize) {
        let mut groups: BTreeMap<&[u8], Group<'_>> = BTreeMap::new();
        for row in rows {
            let rest = row.path.get(prefix.len()..).unwrap_or_default();
            let (start, rest) = match rest.strip_prefix(b"/") {
                Some(rest) => (1, rest),
                None => (0, rest),
            };
            let length = rest
                .iter()
                .position(|byte| *byte == b'/')
                .unwrap_or(rest.len());
            let name = row
                .path
                .get(..prefix.len() + start + length)
                .unwrap_or(&row.path);
            let group = groups.entry(name).or_default();
            match rest.len() == length {
                true => group.itself = Some(row),
                false => group.inside.push(row),
            }
        }
        for (path, group) in groups {
            if self.out.len() >= MAX_LINES {
                return;
            }
            let name = path.get(prefix.len()..).unwrap_or_default();
            // At the root the slash is part of the name; below it the tree shows it.
            let name = if depth == 0 {
                name
            } else {
                name.strip_prefix(b"/").unwrap_or(name)
            };
            if group.inside.is_empty() {
                if let Some(row) = group.itself {
                    self.file(row, safe(name), depth);
                }
            } else {
                self.folder(&group.inside, path.to_vec(), safe(name), depth);
            }
        }
    }

    fn file(&mut self, row: &FileRow, label: String, depth: usize) {
        let mark = mark(row);
        self.out.push(FileLine {
            key: RowKey::Path(row.path.to_vec()),
            depth,
            fold: Fold::Leaf,
            label,
            reads: row.reads,
            writes: writes(row),
            creates: row.creates,
            deletes: row.deletes,
            mark,
        });
    }

    fn folder(&mut self, inside: &[&FileRow], path: Vec<u8>, label: String, depth: usize) {
        let (path, label) = self.chain(inside, path, label);
        let key = RowKey::Path(path.clone());
        let usual = self.open_by_default(&path);
        let open = self.folds.get(&key).copied().unwrap_or(usual) && depth < MAX_DEPTH;
        let count = |of: fn(&FileRow) -> u64| {
            inside
                .iter()
                .fold(0, |sum: u64, row| sum.saturating_add(of(row)))
        };
        // A folder says itself what is unusual in it only while it is folded.
        let worst = inside
            .iter()
            .map(|row| mark(row))
            .max()
            .filter(|mark| !open && mark.floats());
        self.out.push(FileLine {
            key,
            depth,
            fold: if open { Fold::Open } else { Fold::Closed },
            label,
            reads: count(|row| row.reads),
            writes: count(writes),
            creates: count(|row| row.creates),
            deletes: count(|row| row.deletes),
            mark: worst.unwrap_or(FileMark::None),
        });
        if open {
            self.children(inside, &path, depth + 1);
        }
    }

    /// Joins folders that hold nothing but one folder: `usr/lib/node_modules`.
    fn chain(
        &self,
        inside: &[&FileRow],
        mut path: Vec<u8>,
        mut label: String,
    ) -> (Vec<u8>, String) {
        if self.home == Some(path.as_slice()) {
            return (path, label);
        }
        while let Some(next) = inside.first().and_then(|row| next_folder(&row.path, &path)) {
            if !inside.iter().all(|row| below(&row.path, next)) {
                break;
            }
            label.push_str(&safe(next.get(path.len()..).unwrap_or_default()));
            path = next.to_vec();
        }
        (path, label)
    }

    /// The home and what a person would look at in it; everything else starts folded.
    fn open_by_default(&self, path: &[u8]) -> bool {
        let Some(rest) = self.home.and_then(|home| path.strip_prefix(home)) else {
            return false;
        };
        match rest.strip_prefix(b"/") {
            None => rest.is_empty(),
            Some(name) => !name.contains(&b'/') && !name.starts_with(b"."),
        }
    }
}

/// The folder below `folder` that `path` lies in, if there is one.
fn next_folder<'a>(path: &'a [u8], folder: &[u8]) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(folder)?.strip_prefix(b"/")?;
    let length = rest.iter().position(|byte| *byte == b'/')?;
    path.get(..folder.len() + 1 + length)
}
