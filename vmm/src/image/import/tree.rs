//! Hostile archives to a folder on this machine.
//!
//! Owns: [`Tree`]: where each member goes, layers over layers, the caps. Every
//! path is walked from the tree's own root, and a link met on the way leads to
//! where it would lead inside the image: nothing is ever read or written outside.
//! Must not: make devices, keep owners (the image is root's), or trust a length.
//! It relies on nobody else changing the folder meanwhile.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use tar::{Entry, EntryType, Header};

/// Longest path, and longest target of a link.
const MAX_PATH: usize = 4096;
/// Deepest folder.
const MAX_DEPTH: usize = 256;
/// Links followed for one path.
const MAX_LINKS: usize = 40;
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const WHITEOUT_OWN: &[u8] = b".wh..wh.";

/// Caps of one import.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caps {
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
}

/// Why a member cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// It is not what an image has.
    #[error("member {:?} {why}", String::from_utf8_lossy(.member))]
    Member { member: Vec<u8>, why: &'static str },
    /// More than the caps allow.
    #[error("unpacks to more than {0}")]
    TooMuch(String),
    /// Reading or writing failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A root file system in the making.
pub(crate) struct Tree {
    root: PathBuf,
    caps: Caps,
    left: Caps,
    /// Folders and the mode that they get at the end: until then all can be written.
    modes: Vec<(PathBuf, u32)>,
    /// What this layer made; an opaque folder hides only what was there before.
    made: BTreeSet<PathBuf>,
    /// Devices, pipes and the like that were left out.
    pub(crate) skipped: u64,
}

impl Tree {
    /// An empty tree in a new folder that only this user may enter.
    pub(crate) fn create(root: PathBuf, caps: Caps) -> Result<Self, Fault> {
        fs::DirBuilder::new().mode(0o700).create(&root)?;
        Ok(Self {
            root,
            caps,
            left: caps,
            modes: Vec::new(),
            made: BTreeSet::new(),
            skipped: 0,
        })
    }

    /// Unpacks one archive over what is there. With `whiteouts`, members named
    /// `.wh.NAME` remove what earlier layers brought.
    pub(crate) fn layer(&mut self, from: impl Read, whiteouts: bool) -> Result<(), Fault> {
        self.made.clear();
        let mut archive = tar::Archive::new(from);
        for entry in archive.entries()? {
            let mut entry = entry?;
            match self.left.entries.checked_sub(1) {
                Some(left) => self.left.entries = left,
                None => return Err(Fault::TooMuch(format!("{} members", self.caps.entries))),
            }
            let path = entry.path_bytes().into_owned();
            let Some((name, parents)) = split(&path)? else {
                continue;
            };
            if whiteouts && name.starts_with(WHITEOUT) {
                self.whiteout(&parents, &name)?;
            } else {
                self.place(&mut entry, &path, &parents, &name)?;
            }
        }
        Ok(())
    }

    fn whiteout(&mut self, parents: &[Vec<u8>], name: &[u8]) -> Result<(), Fault> {
        let Some(folder) = self.walk(parents, false)? else {
            return Ok(());
        };
        if name == OPAQUE {
            return self.hide_below(&folder);
        }
        let hidden = name.strip_prefix(WHITEOUT).unwrap_or_default();
        if name.starts_with(WHITEOUT_OWN) || hidden.is_empty() || hidden == b"." || hidden == b".."
        {
            return Ok(());
        }
        remove(&folder.join(OsStr::from_bytes(hidden)))
    }

    /// Removes what earlier layers put below `folder`.
    fn hide_below(&self, folder: &Path) -> Result<(), Fault> {
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let path = entry.path();
                if !self.made.contains(&path) {
                    remove(&path)?;
                } else if entry.file_type()?.is_dir() {
                    folders.push(path);
                }
            }
        }
        Ok(())
    }

    fn place(
        &mut self,
        entry: &mut Entry<'_, impl Read>,
        member: &[u8],
        parents: &[Vec<u8>],
        name: &[u8],
    ) -> Result<(), Fault> {
        let kind = entry.header().entry_type();
        let fault = |why| Fault::Member {
            member: member.to_owned(),
            why,
        };
        if matches!(kind, EntryType::Char | EntryType::Block | EntryType::Fifo) {
            self.skipped = self.skipped.saturating_add(1);
            return Ok(());
        }
        let folder = self
            .walk(parents, true)?
            .ok_or_else(|| fault("has no folder"))?;
        let path = folder.join(OsStr::from_bytes(name));
        let bits = mode(entry.header());
        match kind {
            EntryType::Directory => self.folder(&path, bits)?,
            EntryType::Symlink => {
                let target = link(entry).ok_or_else(|| fault("is a link to nowhere"))?;
                remove(&path)?;
                symlink(OsStr::from_bytes(&target), &path)?;
            }
            EntryType::Link => {
                let target = link(entry).ok_or_else(|| fault("is a link to nowhere"))?;
                let target = self
                    .existing(&target)?
                    .filter(|target| *target != path)
                    .ok_or_else(|| fault("is a hard link to what is not there"))?;
                remove(&path)?;
                fs::hard_link(target, &path)?;
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                remove(&path)?;
                self.file(entry, &path, bits)?;
            }
            _ => {
                self.skipped = self.skipped.saturating_add(1);
                return Ok(());
            }
        }
        self.remember(path);
        Ok(())
    }

    fn folder(&mut self, path: &Path, mode: u32) -> Result<(), Fault> {
        if !fs::symlink_metadata(path).is_ok_and(|data| data.is_dir()) {
            remove(path)?;
            fs::DirBuilder::new().mode(0o700).create(path)?;
        }
        self.modes.push((path.to_owned(), mode));
        Ok(())
    }

    fn file(
        &mut self,
        entry: &mut Entry<'_, impl Read>,
        path: &Path,
        mode: u32,
    ) -> Result<(), Fault> {
        let too_much = || Fault::TooMuch(format!("{} bytes", self.caps.bytes));
        let mut file = File::create_new(path)?;
        let limit = self.left.bytes.saturating_add(1);
        let took = io::copy(&mut entry.take(limit), &mut file)?;
        self.left.bytes = self.left.bytes.checked_sub(took).ok_or_else(too_much)?;
        // Whoever packs the tree must be able to read it.
        file.set_permissions(Permissions::from_mode(mode | 0o400))?;
        let seconds = entry.header().mtime().unwrap_or(0).min(1 << 33);
        file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds))?;
        Ok(())
    }

    /// A path and the folders above it belong to this layer.
    fn remember(&mut self, path: PathBuf) {
        for above in path.ancestors() {
            if above == self.root || !self.made.insert(above.to_owned()) {
                break;
            }
        }
    }

    /// The regular file of this name, links followed inside the tree.
    pub(crate) fn existing(&mut self, name: &[u8]) -> Result<Option<PathBuf>, Fault> {
        let mut name = name.to_owned();
        for _ in 0..MAX_LINKS {
            let Some((last, parents)) = split(&name)? else {
                return Ok(None);
            };
            let Some(folder) = self.walk(&parents, false)? else {
                return Ok(None);
            };
            let path = folder.join(OsStr::from_bytes(&last));
            match fs::symlink_metadata(&path) {
                Ok(data) if data.is_file() => return Ok(Some(path)),
                Ok(data) if data.is_symlink() => {
                    let target = fs::read_link(&path)?;
                    let target = target.as_os_str().as_bytes();
                    // Resolved here, so that it may climb, but not above the root.
                    let below = folder.strip_prefix(&self.root).unwrap_or(Path::new(""));
                    let base = if target.first() == Some(&b'/') {
                        Path::new("")
                    } else {
                        below
                    };
                    name = climbed(base.as_os_str().as_bytes(), target);
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The folder that these names lead to from the root. Links are followed as
    /// the guest would; missing folders are made if `make`.
    fn walk(&mut self, names: &[Vec<u8>], make: bool) -> Result<Option<PathBuf>, Fault> {
        let fault = |why| Fault::Member {
            member: names.join(&b'/'),
            why,
        };
        let mut ahead: Vec<Vec<u8>> = names.iter().rev().cloned().collect();
        let mut at = self.root.clone();
        let (mut depth, mut links) = (0_usize, 0_usize);
        while let Some(name) = ahead.pop() {
            match name.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    if depth > 0 {
                        at.pop();
                        depth -= 1;
                    }
                    continue;
                }
                _ => {}
            }
            let next = at.join(OsStr::from_bytes(&name));
            match fs::symlink_metadata(&next) {
                Ok(data) if data.is_symlink() => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(fault("goes through too many links"));
                    }
                    let target = fs::read_link(&next)?;
                    let target = target.as_os_str().as_bytes();
                    if target.first() == Some(&b'/') {
                        at = self.root.clone();
                        depth = 0;
                    }
                    ahead.extend(target.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec));
                    continue;
                }
                Ok(data) if data.is_dir() => {}
                Ok(_) if make => return Err(fault("has a file for a folder")),
                Ok(_) => return Ok(None),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                Err(_) if !make => return Ok(None),
                Err(_) => {
                    fs::DirBuilder::new().mode(0o700).create(&next)?;
                    self.modes.push((next.clone(), 0o755));
                    self.remember(next.clone());
                }
            }
            at = next;
            depth += 1;
            if depth > MAX_DEPTH {
                return Err(fault("lies too deep"));
            }
        }
        Ok(Some(at))
    }

    /// The folders that a guest needs, and the modes that folders really have.
    pub(crate) fn finish(mut self, folders: &[&str]) -> Result<u64, Fault> {
        for name in folders {
            let names: Vec<Vec<u8>> = name.split('/').map(|part| part.into()).collect();
            self.walk(&names, true)?;
        }
        self.modes.push((self.root.clone(), 0o755));
        for (path, mode) in self.modes.iter().rev() {
            // Replaced or removed since by a later member.
            if fs::symlink_metadata(path).is_ok_and(|data| data.is_dir()) {
                fs::set_permissions(path, Permissions::from_mode(mode | 0o500))?;
            }
        }
        Ok(self.skipped)
    }
}

/// A path's last name, and the names of the folders before it.
type Split = (Vec<u8>, Vec<Vec<u8>>);

/// The last name of a member and the folders before it; `None` for the root itself.
fn split(path: &[u8]) -> Result<Option<Split>, Fault> {
    let fault = |why| Fault::Member {
        member: path.iter().take(200).copied().collect(),
        why,
    };
    if path.len() > MAX_PATH {
        return Err(fault("has too long a name"));
    }
    let mut names = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => return Err(fault("climbs out of the archive")),
            name if name.contains(&0) => return Err(fault("has a name that no file has")),
            name => names.push(name.to_vec()),
        }
    }
    if names.len() > MAX_DEPTH {
        return Err(fault("lies too deep"));
    }
    Ok(names.pop().map(|last| (last, names)))
}

/// `target` seen from `base`, without names that climb.
fn climbed(base: &[u8], target: &[u8]) -> Vec<u8> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in base
        .split(|byte| *byte == b'/')
        .chain(target.split(|byte| *byte == b'/'))
    {
        match name {
            b"" | b"." => {}
            b".." => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    names.join(&b'/')
}

fn link(entry: &Entry<'_, impl Read>) -> Option<Vec<u8>> {
    let target = entry.link_name_bytes()?.into_owned();
    (!target.is_empty() && target.len() < MAX_PATH && !target.contains(&0)).then_some(target)
}

/// Permission bits. Everything will be root's: what runs as another user must
/// not run as root for it.
fn mode(header: &Header) -> u32 {
    let mut mode = header.mode().unwrap_or(0o644) & 0o7777;
    if header.uid().unwrap_or(1) != 0 {
        mode &= !0o4000;
    }
    if header.gid().unwrap_or(1) != 0 {
        mode &= !0o2000;
    }
    mode
}

/// Removes whatever has this name, not what it leads to.
fn remove(path: &Path) -> Result<(), Fault> {
    let gone = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
        Ok(data) if data.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    Ok(gone?)
}
