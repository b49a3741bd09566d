//! The archive of a project: walks the folder once, writes a tar stream, and
//! remembers what stayed out and why.

use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use belljar_event::{Copied, LeftOut, Text};
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::credential::is_credential;

/// Most left-out paths that are named; the rest is counted.
const NAMED: usize = 1_000;
/// A project with more entries is not what it seems.
const MAX_ENTRIES: u64 = 500_000;
/// Deeper folders stay out.
const MAX_DEPTH: usize = 128;

/// The project could not be copied in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackError {
    /// A file or folder could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The guest did not take it.
    #[error("cannot hand the project to the guest: {0}")]
    Write(io::Error),
    /// Too many entries.
    #[error("{} has more than {MAX_ENTRIES} files", .0.display())]
    TooMany(PathBuf),
    /// More than the guest's disk holds.
    #[error("{} needs more than the guest's {limit} MiB", path.display())]
    TooLarge {
        /// The project.
        path: PathBuf,
        /// What there is.
        limit: u64,
    },
}

/// What went in.
pub(crate) type Packed = Copied;

/// Writes `root` as a tar stream to `out`; not more than `limit_mib` of contents.
pub(crate) fn pack(root: &Path, limit_mib: u64, out: impl Write) -> Result<Packed, PackError> {
    let mut tar = tar::Builder::new(out);
    tar.follow_symlinks(false);
    let mut packer = Packer {
        root,
        tar,
        limit_mib,
        entries: 0,
        ignores: Vec::new(),
        copied: Copied {
            files: 0,
            bytes: 0,
            left_out: Vec::new(),
            left_out_total: 0,
        },
    };
    packer.folder(Path::new(""), 0)?;
    packer
        .tar
        .into_inner()
        .and_then(|mut out| out.flush())
        .map_err(PackError::Write)?;
    Ok(packer.copied)
}

struct Packer<'a, W: Write> {
    root: &'a Path,
    tar: tar::Builder<W>,
    limit_mib: u64,
    entries: u64,
    /// `.gitignore` files from the root down to the folder at hand.
    ignores: Vec<Gitignore>,
    copied: Copied,
}

impl<W: Write> Packer<'_, W> {
    fn folder(&mut self, relative: &Path, depth: usize) -> Result<(), PackError> {
        let here = self.root.join(relative);
        let before = self.ignores.len();
        let rules = here.join(".gitignore");
        if rules.is_file() {
            let mut builder = GitignoreBuilder::new(&here);
            builder.add(&rules);
            self.ignores.extend(builder.build().ok());
        }
        let read = |source| PackError::Read {
            path: here.clone(),
            source,
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&here).map_err(read)? {
            names.push(entry.map_err(read)?.file_name());
        }
        // The same project makes the same archive.
        names.sort();
        for name in names {
            self.entry(&relative.join(&name), name.as_bytes(), depth)?;
        }
        self.ignores.truncate(before);
        Ok(())
    }

    fn entry(&mut self, relative: &Path, name: &[u8], depth: usize) -> Result<(), PackError> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(PackError::TooMany(self.root.to_path_buf()));
        }
        let path = self.root.join(relative);
        let meta = match path.symlink_metadata() {
            Ok(meta) => meta,
            // Gone since the folder was listed.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(PackError::Read { path, source }),
        };
        if let Some(why) = self.stays_out(&path, name, &meta, depth) {
            self.leave_out(relative, why);
            return Ok(());
        }
        if meta.is_dir() {
            let mut header = header(&meta, tar::EntryType::Directory, 0);
            self.tar
                .append_data(&mut header, relative, io::empty())
                .map_err(PackError::Write)?;
            self.folder(relative, depth + 1)
        } else if meta.is_symlink() {
            self.link(relative, &path, &meta)
        } else if meta.is_file() {
            self.file(relative, &path, &meta)
        } else {
            self.leave_out(relative, "special file");
            Ok(())
        }
    }

    fn stays_out(
        &self,
        path: &Path,
        name: &[u8],
        meta: &Metadata,
        depth: usize,
    ) -> Option<&'static str> {
        let folder = meta.is_dir();
        if name == b".git" {
            return Some("git metadata");
        }
        if is_credential(name, folder) {
            return Some("credential");
        }
        if depth >= MAX_DEPTH {
            return Some("too deep");
        }
        // The deepest file that says anything decides, as in git.
        let says = self
            .ignores
            .iter()
            .rev()
            .map(|rules| rules.matched(path, folder))
            .find(|m| !m.is_none());
        says.is_some_and(|m| m.is_ignore()).then_some("git-ignored")
    }

    fn leave_out(&mut self, relative: &Path, why: &str) {
        self.copied.left_out_total += 1;
        if self.copied.left_out.len() < NAMED {
            let path = Text::new(relative.as_os_str().as_bytes());
            self.copied.left_out.push(LeftOut {
                path,
                why: why.into(),
            });
        }
    }

    fn file(&mut self, relative: &Path, path: &Path, meta: &Metadata) -> Result<(), PackError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                self.leave_out(relative, "not readable");
                return Ok(());
            }
            Err(source) => {
                return Err(PackError::Read {
                    path: path.into(),
                    source,
                });
            }
        };
        self.copied.files += 1;
        self.copied.bytes += meta.len();
        if self.copied.bytes > self.limit_mib << 20 {
            return Err(PackError::TooLarge {
                path: self.root.into(),
                limit: self.limit_mib,
            });
        }
        let mut header = header(meta, tar::EntryType::Regular, meta.len());
        // A file that changes while it is read must not shift what follows:
        // exactly the announced length is written.
        let exact = file.chain(io::repeat(0)).take(meta.len());
        self.tar
            .append_data(&mut header, relative, exact)
            .map_err(PackError::Write)
    }

    fn link(&mut self, relative: &Path, path: &Path, meta: &Metadata) -> Result<(), PackError> {
        let target = std::fs::read_link(path).map_err(|source| PackError::Read {
            path: path.into(),
            source,
        })?;
        if !stays_inside(relative, &target) {
            self.leave_out(relative, "link out of the project");
            return Ok(());
        }
        let mut header = header(meta, tar::EntryType::Symlink, 0);
        self.tar
            .append_link(&mut header, relative, &target)
            .map_err(PackError::Write)
    }
}

fn header(meta: &Metadata, kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(meta.permissions().mode() & 0o777);
    header.set_mtime(
        meta.modified()
            .ok()
            .and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok())
            .map_or(0, |d| d.as_secs()),
    );
    header
}

/// True if a relative link at `at` leads to a place below the root.
fn stays_inside(at: &Path, target: &Path) -> bool {
    let mut depth = at.components().count().saturating_sub(1);
    for component in target.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(_) => depth += 1,
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}
