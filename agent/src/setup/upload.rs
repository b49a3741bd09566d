//! Unpacking an upload into the project folder.
//!
//! The archive is made by the host from files that are not its own, so it is
//! as hostile as they are: paths, links and sizes are all checked here again.

use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use tar::{Archive, Entry, EntryType};

use super::Folder;
use super::folder::split;

/// Most entries of one archive.
const MAX_ENTRIES: u64 = 1_000_000;
/// Most folders whose time is set again after their contents are there.
const MAX_DATED: usize = 100_000;

/// What became of an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unpacked {
    /// Files, folders and links made.
    pub(crate) made: u64,
    /// Entries left out: devices, hard links, links that lead out.
    pub(crate) skipped: u64,
}

/// Unpacks a tar archive, at most `budget` bytes of contents.
pub(crate) fn unpack(into: &Folder, from: impl Read, budget: u64) -> io::Result<Unpacked> {
    let mut archive = Archive::new(from);
    let mut done = Unpacked::default();
    let mut left = budget;
    let mut folders: Vec<(PathBuf, Duration)> = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        if done.made + done.skipped >= MAX_ENTRIES {
            return Err(io::Error::other(format!("more than {MAX_ENTRIES} entries")));
        }
        let path = entry.path()?.into_owned();
        if one(into, &mut entry, &path, &mut left)? {
            done.made += 1;
        } else {
            done.skipped += 1;
        }
        if entry.header().entry_type() == EntryType::Directory && folders.len() < MAX_DATED {
            folders.push((path, time(&entry)));
        }
    }
    for (path, time) in folders {
        into.make(&path, 0o755)?.date_self(time)?;
    }
    Ok(done)
}

/// Makes one entry; false if it is of a kind that stays out.
fn one<R: Read>(
    into: &Folder,
    entry: &mut Entry<'_, R>,
    path: &Path,
    left: &mut u64,
) -> io::Result<bool> {
    let kind = entry.header().entry_type();
    let mode = entry.header().mode().unwrap_or(0o644);
    if kind == EntryType::Directory {
        return into.make(path, mode | 0o700).map(|_| true);
    }
    let (parent, name) = split(path)?;
    match kind {
        EntryType::Regular | EntryType::Continuous => {
            *left = left
                .checked_sub(entry.size())
                .ok_or_else(|| io::Error::other("the upload is larger than the guest's disk"))?;
            let folder = into.make(parent, 0o755)?;
            io::copy(entry, &mut folder.file(name, mode)?)?;
            folder.date(name, time(entry))?;
            Ok(true)
        }
        EntryType::Symlink => {
            let target = entry.link_name()?.unwrap_or_default().into_owned();
            if !stays_inside(parent, &target) {
                return Ok(false);
            }
            into.make(parent, 0o755)?.link(name, &target)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn time<R: Read>(entry: &Entry<'_, R>) -> Duration {
    Duration::from_secs(entry.header().mtime().unwrap_or(0))
}

/// True if a link in `folder` with this target leads to a place below the
/// project, as far as its text says.
fn stays_inside(folder: &Path, target: &Path) -> bool {
    let mut depth = folder
        .components()
        .filter(|c| matches!(c, Component::Normal(_)))
        .count();
    for component in target.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => return false,
        }
    }
    !target.as_os_str().is_empty()
}

#[cfg(test)]
mod tests;
