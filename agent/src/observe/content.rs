//! The digest of what was executed.
//!
//! Owns: reading the executed file again and knowing that it is that file.
//! Must not: hold up the ring buffer's reader (it runs behind it, on a thread
//! of its own), follow links, or read for long: a payload can execute anything.
//! Where any of this fails there is no digest, which is honest.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use belljar_event::{Event, Exec, Fact, Text};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

/// Larger files have no digest.
const MOST: u64 = 64 << 20;
/// How long one file may take: under emulation reading is slow.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Files remembered.
const KNOWN: usize = 4096;
const CHUNK: usize = 256 * 1024;

/// An executed file's state; any change of it changes one of these.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Digests by file.
#[derive(Default)]
pub(super) struct Contents {
    known: HashMap<State, Option<[u8; 32]>>,
}

impl Contents {
    /// Fills in the digest of an exec that succeeded. `inode` is what the
    /// kernel executed: a file of that name may be another one by now.
    pub(super) fn fill(&mut self, event: &mut Event, inode: u64) {
        let pid = event.pid;
        if let Fact::Exec(exec) = &mut event.fact {
            exec.content = self.digest(exec, pid, inode);
        }
    }

    fn digest(&mut self, exec: &Exec, pid: u32, inode: u64) -> Option<[u8; 32]> {
        let named = exec.file.as_ref().filter(|_| !exec.unlinked).and_then(path);
        // What has no name any more still stands behind the process, unless it is a script.
        let running = exec
            .interpreter
            .is_none()
            .then(|| PathBuf::from(format!("/proc/{pid}/exe")));
        let found = named
            .and_then(|path| open(&path, inode, ResolveFlags::NO_SYMLINKS))
            .or_else(|| open(&running?, inode, ResolveFlags::empty()));
        let (file, state) = found?;
        if let Some(known) = self.known.get(&state) {
            return *known;
        }
        let digest = read(file, state);
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        self.known.insert(state, digest);
        digest
    }
}

fn path(text: &Text) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;
    let Text::Whole(bytes) = text else {
        return None;
    };
    bytes
        .starts_with(b"/")
        .then(|| PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
}

fn open(path: &Path, inode: u64, resolve: ResolveFlags) -> Option<(File, State)> {
    // Never waits: the name may be a pipe's by now.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(openat2(CWD, path, flags, Mode::empty(), resolve).ok()?);
    let state = state(&file)?;
    (state.inode == inode && state.size <= MOST).then_some((file, state))
}

fn state(file: &File) -> Option<State> {
    let meta = file.metadata().ok()?;
    meta.is_file().then(|| State {
        device: meta.dev(),
        inode: meta.ino(),
        size: meta.size(),
        modified: (meta.mtime(), meta.mtime_nsec()),
        changed: (meta.ctime(), meta.ctime_nsec()),
    })
}

/// `None` where it takes too long, or the file changed meanwhile.
fn read(mut file: File, before: State) -> Option<[u8; 32]> {
    let since = Instant::now();
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK];
    let mut total = 0u64;
    loop {
        let count = file.read(&mut chunk).ok()?;
        if count == 0 {
            break;
        }
        total += count as u64;
        if total > MOST || since.elapsed() > PATIENCE {
            return None;
        }
        hasher.update(chunk.get(..count)?);
    }
    (state(&file)? == before).then(|| *hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_executed_file_is_read() {
        let folder = tempfile_folder();
        let (name, link) = (folder.join("a"), folder.join("link"));
        std::fs::write(&name, b"echo").unwrap();
        std::os::unix::fs::symlink(&name, &link).unwrap();
        let inode = std::fs::metadata(&name).unwrap().ino();
        let (file, state) = open(&name, inode, ResolveFlags::NO_SYMLINKS).unwrap();
        assert_eq!(read(file, state), Some(*blake3::hash(b"echo").as_bytes()));
        assert!(open(&name, inode + 1, ResolveFlags::NO_SYMLINKS).is_none());
        assert!(open(&link, inode, ResolveFlags::NO_SYMLINKS).is_none());
        assert!(open(&folder, inode, ResolveFlags::empty()).is_none());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_that_changes_has_no_digest() {
        let folder = tempfile_folder();
        let name = folder.join("a");
        std::fs::write(&name, b"one").unwrap();
        let inode = std::fs::metadata(&name).unwrap().ino();
        let (file, state) = open(&name, inode, ResolveFlags::empty()).unwrap();
        std::fs::write(&name, b"other").unwrap();
        assert_eq!(read(file, state), None);
        std::fs::remove_dir_all(folder).unwrap();
    }

    fn tempfile_folder() -> PathBuf {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("belljar-content-{}-{number}", std::process::id()));
        // NO_SYMLINKS covers the whole path.
        std::fs::create_dir_all(&folder).unwrap();
        folder.canonicalize().unwrap()
    }
}
