//! A folder for the sockets that have a name, while they have one.
//!
//! Owns: making it so that only the hypervisor's user may enter, and removing
//! it: with the handle, or, where this process was killed, when the next machine
//! is started. Must not: remove anything that it did not make.
//!
//! A socket can be connected to by a descriptor of its place when its name is
//! gone. So the folder is needed for the moment only in which the hypervisor
//! makes its socket, and nothing is left on disk while a machine runs.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, open, openat, unlinkat};

use crate::process::NOBODY;

const PREFIX: &str = "belljar-vm-";
const LOCK: &str = "lock";
const API: &str = "api.sock";
const VSOCK: &str = "vsock.sock";
/// Most folders of others that are looked at.
const MOST: usize = 64;

/// The folder. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Held for as long as the folder is wanted.
    _lock: File,
}

impl Folder {
    /// A new one. Removes what killed processes have left.
    pub(super) fn make() -> io::Result<Self> {
        let base = std::env::temp_dir();
        sweep(&base);
        let path = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(base)?
            .keep();
        let made = File::create(path.join(LOCK)).and_then(|lock| {
            flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
            if rustix::process::geteuid().is_root() {
                chown(&path, Some(NOBODY), Some(NOBODY))?;
            }
            Ok(lock)
        });
        match made {
            Ok(lock) => Ok(Self { path, _lock: lock }),
            Err(error) => {
                clear(&path);
                Err(error)
            }
        }
    }

    pub(super) fn api(&self) -> PathBuf {
        self.path.join(API)
    }

    pub(super) fn vsock(&self) -> PathBuf {
        self.path.join(VSOCK)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        clear(&self.path);
    }
}

/// The place of a socket, which outlives its name.
pub(super) fn place(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?)
}

/// Removes our three names and the folder, if that is all it holds.
fn clear(path: &Path) {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    // Not by path: whoever owns the place must not lead us elsewhere.
    if let Ok(folder) = openat(CWD, path, flags, Mode::empty()) {
        for name in [API, VSOCK, LOCK] {
            // What is not there need not be removed.
            let _ = unlinkat(&folder, name, rustix::fs::AtFlags::empty());
        }
        let _ = fs::remove_dir(path);
    }
}

/// Removes the folders whose maker is gone.
fn sweep(base: &Path) {
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| {
        entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes())
    });
    for entry in ours.take(MOST) {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let lock = open(entry.path().join(LOCK), flags, Mode::empty());
        // Without its lock it is being made or removed right now, or nobody's.
        let Ok(lock) = lock else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            clear(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dead_left_is_removed_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let at = |name: &str| base.path().join(name);
        for name in [
            "belljar-vm-dead",
            "belljar-vm-alive",
            "belljar-vm-strange",
            "other",
        ] {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join(LOCK), "").unwrap();
            fs::write(at(name).join(VSOCK), "").unwrap();
        }
        fs::write(at("belljar-vm-strange").join("somebody's"), "").unwrap();
        std::os::unix::fs::symlink(at("other"), at("belljar-vm-link")).unwrap();
        let alive = File::open(at("belljar-vm-alive").join(LOCK)).unwrap();
        flock(&alive, FlockOperation::NonBlockingLockExclusive).unwrap();

        sweep(base.path());
        assert!(!at("belljar-vm-dead").exists());
        assert!(at("belljar-vm-alive").join(VSOCK).exists());
        assert!(at("belljar-vm-strange").join("somebody's").exists());
        assert!(at("other").join(VSOCK).exists());
    }

    #[test]
    fn a_folder_goes_with_its_handle() {
        let folder = Folder::make().unwrap();
        let listener = std::os::unix::net::UnixListener::bind(folder.api()).unwrap();
        let place = place(&folder.api()).unwrap();
        let path = folder.path.clone();
        drop(folder);
        assert!(!path.exists());
        // And its sockets can still be reached.
        let by = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&place));
        std::os::unix::net::UnixStream::connect(by).unwrap();
        drop(listener);
    }
}
