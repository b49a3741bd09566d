//! The cache's folders: who may build, and what is whole.
//!
//! Owns: the lock, unfinished builds and their removal, publishing a finished
//! one, keeping the number of images bounded. Must not: know how an image is made.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};

use super::ImageError;

const LOCK: &str = "lock";
const PARTIAL: &str = ".partial-";
/// Images kept: the newest ones, so that going back to the last setting is free.
const KEPT_IMAGES: usize = 5;

/// The right to build, until dropped (or until this process dies, however it does).
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the right to build in `images`. `waiting` hears once who has it.
    pub(super) fn take(images: &Path, waiting: &mut dyn FnMut(String)) -> Result<Self, ImageError> {
        let path = images.join(LOCK);
        let fault = |source: io::Error| ImageError::cache("lock", &path, source);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(fault)?;
        if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(fault(error.into()));
            }
            waiting(format!(
                "another belljar ({}) is building an image",
                holder(&mut file)
            ));
            while let Err(error) = flock(&file, FlockOperation::LockExclusive) {
                if error != rustix::io::Errno::INTR {
                    return Err(fault(error.into()));
                }
            }
        }
        // Only for the message above; the lock is what counts.
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(fault)?;
        Ok(Self { _file: file })
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let pid = file
        .take(32)
        .read_to_string(&mut text)
        .ok()
        .and_then(|_| text.trim().parse().ok());
    pid.map_or_else(
        || "process unknown".to_owned(),
        |pid: u32| format!("process {pid}"),
    )
}

/// A folder in the making; removed when dropped unfinished.
pub(super) struct Partial {
    path: PathBuf,
    finished: bool,
}

impl Partial {
    /// A fresh folder for `digest`. The caller holds the lock, so whatever
    /// unfinished folder is found belongs to a dead build and is removed first.
    pub(super) fn create(images: &Path, digest: &str, _lock: &Lock) -> Result<Self, ImageError> {
        remove_partials(images)?;
        let path = images.join(format!("{digest}{PARTIAL}{}", std::process::id()));
        fs::create_dir(&path).map_err(|source| ImageError::cache("create", &path, source))?;
        Ok(Self {
            path,
            finished: false,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the folder to its final name in one step.
    pub(super) fn publish(mut self, target: &Path) -> Result<(), ImageError> {
        if target.exists() {
            // What stands there was found damaged. A partial name makes sure
            // that it goes even if its removal is cut short.
            let aside = self.path.with_extension("partial-damaged");
            fs::rename(target, &aside)
                .map_err(|source| ImageError::cache("move", target, source))?;
            fs::remove_dir_all(&aside)
                .map_err(|source| ImageError::cache("remove", &aside, source))?;
        }
        fs::rename(&self.path, target)
            .map_err(|source| ImageError::cache("move into place", target, source))?;
        self.finished = true;
        if let Some(parent) = target.parent() {
            File::open(parent)
                .and_then(|folder| folder.sync_all())
                .map_err(|source| ImageError::cache("sync", parent, source))?;
        }
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.finished {
            // The next build tries again; an error here has nobody to go to.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

pub(super) fn remove_partials(images: &Path) -> Result<(), ImageError> {
    for (name, path) in entries(images)? {
        if name.contains(PARTIAL) {
            fs::remove_dir_all(&path)
                .map_err(|source| ImageError::cache("remove", &path, source))?;
        }
    }
    Ok(())
}

/// Removes all but the newest images. Machines that run keep their open files.
/// One that the user named stays.
pub(super) fn prune_images(
    images: &Path,
    current: &str,
    named: &dyn Fn(&str) -> bool,
) -> Result<(), ImageError> {
    prune(images, KEPT_IMAGES, current, &|name| {
        is_digest(name) && !named(name)
    })
}

/// Whether a folder is called as an image is.
pub(super) fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|c| c.is_ascii_hexdigit())
}

/// Removes an image in two steps, so that half of one is never found whole.
pub(super) fn remove_image(images: &Path, digest: &str) -> Result<(), ImageError> {
    let from = images.join(digest);
    let aside = images.join(format!("{digest}{PARTIAL}removed"));
    fs::rename(&from, &aside).map_err(|source| ImageError::cache("remove", &from, source))?;
    fs::remove_dir_all(&aside).map_err(|source| ImageError::cache("remove", &aside, source))
}

/// Removes all but the `keep` newest entries of `folder` that are `ours`.
pub(super) fn prune(
    folder: &Path,
    keep: usize,
    current: &str,
    ours: &dyn Fn(&str) -> bool,
) -> Result<(), ImageError> {
    let mut old: Vec<(SystemTime, PathBuf)> = entries(folder)?
        .into_iter()
        .filter(|(name, _)| name != current && ours(name))
        .filter_map(|(_, path)| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
        .collect();
    old.sort();
    let surplus = old.len().saturating_sub(keep.saturating_sub(1));
    for (_, path) in old.into_iter().take(surplus) {
        let gone = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        match gone {
            // Somebody else tidied up first.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other.map_err(|source| ImageError::cache("remove", &path, source))?,
        }
    }
    Ok(())
}

pub(super) fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, ImageError> {
    let fault = |source| ImageError::cache("list", folder, source);
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        if let Ok(name) = entry.file_name().into_string() {
            out.push((name, entry.path()));
        }
    }
    Ok(out)
}
