//! Writing below one folder and nowhere else, step by step: no component is
//! ever a link, and none is `..`.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};
use std::time::Duration;

use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, Timespec, Timestamps, Uid, chownat, fchmod, fchown, futimens,
    mkdirat, openat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

const OPEN_DIR: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::RDONLY);

/// Most components of a path.
const MAX_DEPTH: usize = 256;

/// A folder in which everything belongs to one user.
pub(crate) struct Folder {
    fd: OwnedFd,
    owner: (Uid, Gid),
}

impl Folder {
    /// Opens one that is there.
    pub(crate) fn open(path: &Path, id: u32) -> io::Result<Self> {
        let fd = openat(CWD, path, OPEN_DIR, Mode::empty())?;
        Ok(Self {
            fd,
            owner: (Uid::from_raw(id), Gid::from_raw(id)),
        })
    }

    /// The folder's own owner and mode.
    pub(crate) fn claim(&self, mode: u32) -> io::Result<()> {
        fchown(&self.fd, Some(self.owner.0), Some(self.owner.1))?;
        Ok(fchmod(&self.fd, Mode::from_raw_mode(mode))?)
    }

    /// Makes a folder below, with those above it; one that is there stays as it is.
    pub(crate) fn make(&self, path: &Path, mode: u32) -> io::Result<Self> {
        let mut at = self.fd.try_clone()?;
        for name in names(path)? {
            match mkdirat(&at, name, Mode::from_raw_mode(mode & 0o777)) {
                Ok(()) => chownat(
                    &at,
                    name,
                    Some(self.owner.0),
                    Some(self.owner.1),
                    AtFlags::SYMLINK_NOFOLLOW,
                )?,
                Err(Errno::EXIST) => {}
                Err(e) => return Err(e.into()),
            }
            at = openat(&at, name, OPEN_DIR, Mode::empty())?;
        }
        Ok(Self {
            fd: at,
            owner: self.owner,
        })
    }

    /// Makes a file in this very folder, in the place of one that is there.
    pub(crate) fn file(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        self.clear(name)?;
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&self.fd, name, flags, Mode::from_raw_mode(0o600))?;
        fchown(&fd, Some(self.owner.0), Some(self.owner.1))?;
        fchmod(&fd, Mode::from_raw_mode(mode & 0o777))?;
        Ok(fd.into())
    }

    /// Makes a link in this very folder. Where it points to is the caller's business.
    pub(crate) fn link(&self, name: &OsStr, target: &Path) -> io::Result<()> {
        self.clear(name)?;
        symlinkat(target, &self.fd, name)?;
        let (user, group) = self.owner;
        Ok(chownat(
            &self.fd,
            name,
            Some(user),
            Some(group),
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    fn clear(&self, name: &OsStr) -> io::Result<()> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Sets the age of something in this very folder.
    pub(crate) fn date(&self, name: &OsStr, unix: Duration) -> io::Result<()> {
        Ok(utimensat(
            &self.fd,
            name,
            &times(unix),
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    /// Sets the age of the folder itself.
    pub(crate) fn date_self(&self, unix: Duration) -> io::Result<()> {
        Ok(futimens(&self.fd, &times(unix))?)
    }
}

fn times(unix: Duration) -> Timestamps {
    let time = Timespec {
        tv_sec: i64::try_from(unix.as_secs()).unwrap_or(0),
        tv_nsec: i64::from(unix.subsec_nanos()),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// The path's components; an error unless all of them lead downwards.
fn names(path: &Path) -> io::Result<Vec<&OsStr>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::CurDir => {}
            _ => return Err(outside()),
        }
    }
    if names.len() > MAX_DEPTH {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path is too deep",
        ));
    }
    Ok(names)
}

/// Splits a path into the folder and the last name.
pub(super) fn split(path: &Path) -> io::Result<(&Path, &OsStr)> {
    names(path)?;
    let name = path.file_name().ok_or_else(outside)?;
    Ok((path.parent().unwrap_or(Path::new("")), name))
}

fn outside() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "the path leads out of its folder",
    )
}
