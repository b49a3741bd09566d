//! From a path as a thread names it to the object that the kernel will find.
//!
//! Owns: resolving in the payload's root, with the thread's own view of `/proc/self`.
//! Must not: be the last word. A payload can change the way meanwhile; the yes
//! then names another object, and the kernel refuses.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, open, openat, readlinkat};

use crate::enforce::Lines;

/// Links followed by hand, at the end of a path that does not exist yet.
const LINKS: usize = 16;
/// What a script's first line may hold.
const SHEBANG: usize = 256;

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its path; of what lies in no file system `<anonymous>/NAME`.
    pub(super) path: Vec<u8>,
    /// The kernel's hash of it.
    pub(super) hash: u64,
}

/// Resolves for one thread.
pub(super) struct Resolver<'a> {
    tid: u32,
    lines: &'a Lines,
}

const AT_FDCWD: i32 = libc::AT_FDCWD;

impl<'a> Resolver<'a> {
    pub(super) fn new(tid: u32, lines: &'a Lines) -> Self {
        Self { tid, lines }
    }

    /// The object at `path`, from the folder `dir`. `follow`: a link at the end
    /// is followed. What does not exist is found if its folder does.
    pub(super) fn find(&self, dir: i32, path: &[u8], follow: bool) -> Option<Found> {
        let mut named = self.named(dir, path)?;
        for _ in 0..LINKS {
            let last = if follow {
                OFlags::empty()
            } else {
                OFlags::NOFOLLOW
            };
            if let Ok(fd) = open(&named, OFlags::PATH | OFlags::CLOEXEC | last, Mode::empty()) {
                return self.of(&fd);
            }
            let folder = named.parent()?.to_owned();
            let name = named.file_name()?.to_owned();
            let fd = open(
                &folder,
                OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )
            .ok()?;
            match readlinkat(&fd, &name, Vec::new()) {
                // A link to nothing: what would be made is at its target.
                Ok(target) if follow => {
                    let target = PathBuf::from(OsStr::from_bytes(target.as_bytes()));
                    named = if target.is_absolute() {
                        self.own(target)
                    } else {
                        link(&fd)?.join(target)
                    };
                }
                _ => {
                    let mut path = link(&fd)?.into_os_string().into_vec();
                    if path != b"/" {
                        path.push(b'/');
                    }
                    path.extend(name.as_bytes());
                    let hash = self.lines.hash(&path);
                    return Some(Found { path, hash });
                }
            }
        }
        None
    }

    /// The object behind a descriptor of the thread's.
    pub(super) fn descriptor(&self, fd: i32) -> Option<(OwnedFd, Found)> {
        let named = format!("/proc/{}/fd/{fd}", self.tid);
        let fd = open(named, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let found = self.of(&fd)?;
        Some((fd, found))
    }

    /// A program with the interpreters that the kernel will ask for.
    pub(super) fn program(&self, dir: i32, path: &[u8], follow: bool) -> Vec<Found> {
        let mut chain = Vec::new();
        let (mut dir, mut path, mut follow) = (dir, path.to_vec(), follow);
        // The kernel gives up after five.
        while chain.len() < 4 {
            let opened = if path.is_empty() {
                self.descriptor(dir)
            } else {
                self.named(dir, &path).and_then(|named| {
                    let last = if follow {
                        OFlags::empty()
                    } else {
                        OFlags::NOFOLLOW
                    };
                    let fd =
                        open(&named, OFlags::PATH | OFlags::CLOEXEC | last, Mode::empty()).ok()?;
                    let found = self.of(&fd)?;
                    Some((fd, found))
                })
            };
            let Some((fd, found)) = opened else {
                return chain;
            };
            chain.push(found);
            match interpreter(&fd) {
                Some(next) => (dir, path, follow) = (AT_FDCWD, next, true),
                None => return chain,
            }
        }
        chain
    }

    fn of(&self, fd: &OwnedFd) -> Option<Found> {
        let path = link(fd)?.into_os_string().into_vec();
        let stat = fstat(fd).ok()?;
        let path = match path.strip_suffix(b" (deleted)") {
            Some(before) if stat.st_nlink == 0 => before.to_vec(),
            _ => path,
        };
        if let Some(name) = path.strip_prefix(b"/memfd:") {
            let mut own = b"memfd:".to_vec();
            own.extend(name);
            let hash = self.lines.hash_at(kernel_device(stat.st_dev), &own);
            let mut path = b"<anonymous>/".to_vec();
            path.extend(own);
            return Some(Found { path, hash });
        }
        path.starts_with(b"/").then(|| Found {
            hash: self.lines.hash(&path),
            path,
        })
    }

    /// The path from the root, with the thread's own `/proc/self`.
    fn named(&self, dir: i32, path: &[u8]) -> Option<PathBuf> {
        if path.is_empty() {
            return None;
        }
        let path = Path::new(OsStr::from_bytes(path));
        if path.is_absolute() {
            return Some(self.own(path.to_owned()));
        }
        let base = match dir {
            AT_FDCWD => format!("/proc/{}/cwd", self.tid),
            fd => format!("/proc/{}/fd/{fd}", self.tid),
        };
        let fd = open(
            base,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .ok()?;
        // Through the descriptor: the folder may have lost its name.
        let at = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let fixed = fs::read_link(&at).ok()?;
        let exists = openat(CWD, &fixed, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).is_ok();
        exists.then(|| self.own(fixed.join(path)))
    }

    /// `/proc/self` is the agent's where the agent resolves.
    fn own(&self, path: PathBuf) -> PathBuf {
        const SELF: [(&str, &str); 6] = [
            ("/proc/self", ""),
            ("/proc/thread-self", ""),
            ("/dev/fd", "/fd"),
            ("/dev/stdin", "/fd/0"),
            ("/dev/stdout", "/fd/1"),
            ("/dev/stderr", "/fd/2"),
        ];
        let own = format!("/proc/{}", self.tid);
        SELF.iter()
            .find_map(|(from, to)| {
                let rest = path.strip_prefix(from).ok()?;
                let start = PathBuf::from(format!("{own}{to}"));
                Some(if rest.as_os_str().is_empty() {
                    start
                } else {
                    start.join(rest)
                })
            })
            .unwrap_or(path)
    }
}

fn link(fd: &OwnedFd) -> Option<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()
}

/// `s_dev` as the kernel stores it.
fn kernel_device(dev: u64) -> u32 {
    rustix::fs::major(dev) << 20 | rustix::fs::minor(dev)
}

/// What a script names in its first line.
fn interpreter(fd: &OwnedFd) -> Option<Vec<u8>> {
    let stat = fstat(fd).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    // Never waits: who owns a file can hold up an open of it by a lease.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let named = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let file = fs::File::from(open(named, flags, Mode::empty()).ok()?);
    let mut head = [0; SHEBANG];
    let count = std::os::unix::fs::FileExt::read_at(&file, &mut head, 0).ok()?;
    let rest = head.get(..count)?.strip_prefix(b"#!")?;
    let line = rest.split(|byte| *byte == b'\n').next()?;
    let word = line
        .split(|byte| matches!(byte, b' ' | b'\t' | 0))
        .find(|word| !word.is_empty())?;
    Some(word.to_vec())
}
