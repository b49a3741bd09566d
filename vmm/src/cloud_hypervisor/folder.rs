//! A folder for the sockets and files that have a name, while they have one.
//!
//! Owns: making it so that only the hypervisor's user may enter, and removing
//! it: with the handle, or, where this process was killed, when the next machine
//! is started. Must not: remove anything that it did not make.
//!
//! A socket can be connected to by a descriptor of its place when its name is
//! gone. So the folder is needed for the moments only in which the hypervisor
//! makes its socket, or a state goes from one hand to the other, and nothing is
//! left on disk while a machine runs.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, open, openat, unlinkat};

use crate::process::NOBODY;

const PREFIX: &str = "belljar-vm-";
const LOCK: &str = "lock";
const API: &str = "api.sock";
const VSOCK: &str = "vsock.sock";
/// Three names that the hypervisor gives, of a machine that it saves or takes over.
pub(super) const CONFIG: &str = "config.json";
pub(super) const STATE: &str = "state.json";
const MEMORY: &str = "memory-ranges";
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

    /// What the hypervisor calls it.
    pub(super) fn url(&self) -> String {
        format!("file://{}", self.path.display())
    }

    /// Puts a file down for the hypervisor to read.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        // Its user is not ours; nobody else may enter the folder.
        File::options()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(self.path.join(name))?
            .write_all(bytes)
    }

    /// Reads a file that the hypervisor has made, and made as a file.
    pub(super) fn take(&self, name: &str, most: u64) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = File::from(openat(enter(&self.path)?, name, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other(format!("{name} is no file")));
        }
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
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

/// The folder itself. Not by path: whoever owns the place must not lead us elsewhere.
fn enter(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    Ok(openat(CWD, path, flags, Mode::empty())?)
}

/// Removes our names and the folder, if that is all it holds.
fn clear(path: &Path) {
    if let Ok(folder) = enter(path) {
        for name in [API, VSOCK, CONFIG, STATE, MEMORY, LOCK] {
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
    fn files_go_from_hand_to_hand() {
        let folder = Folder::make().unwrap();
        folder.put(STATE, b"state").unwrap();
        assert!(folder.put(STATE, b"other").is_err(), "nothing is replaced");
        assert_eq!(folder.take(STATE, 100).unwrap(), b"state");
        assert_eq!(folder.take(STATE, 3).unwrap(), b"sta");
        let at = |name: &str| folder.path.join(name);
        std::os::unix::fs::symlink("/etc/passwd", at(CONFIG)).unwrap();
        assert!(folder.take(CONFIG, 100).is_err(), "a link was followed");
        fs::create_dir(at("folder")).unwrap();
        assert!(folder.take("folder", 100).is_err());
        fs::remove_dir(at("folder")).unwrap();
        fs::write(at(MEMORY), "pages").unwrap();
        assert_eq!(folder.url(), format!("file://{}", folder.path.display()));
        let path = folder.path.clone();
        drop(folder);
        assert!(!path.exists());
        assert!(Path::new("/etc/passwd").exists());
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
