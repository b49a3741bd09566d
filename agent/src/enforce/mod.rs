//! What the policy says about files, for the kernel and for ourselves.
//!
//! Owns: the host's lines in their order, the kernel's tables made of them, and
//! the same decision in user space, for calls that are held.
//! Must not: load anything (the observer does) or ask anybody (`hold` does).

mod hash;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use belljar_event::wire::{KernelLine, Place};
use belljar_event::{Action, Op};

use hash::Hasher;

use crate::seam::MountTable;

/// Numbers that stand for no line: what the kernel refuses by itself.
const TOO_DEEP: u16 = 1022;
const ROOF: u16 = 1023;
const OPS: usize = Op::ALL.len();
/// Entries of each of the kernel's tables.
const PLACES: usize = 8192;

/// The lines cannot be enforced: the run must not start.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum LinesError {
    #[error("more policy lines than the kernel's table holds: {0}")]
    Lines(usize),
    #[error("more paths in policy lines than the kernel's table holds: {0}")]
    Places(usize),
    #[error("line {0}: {1:?} is no absolute path of plain components")]
    Path(String, String),
    #[error("line {0}: kill needs a held call")]
    Kill(String),
}

/// Of each op the number of the first line about it; 0 for none.
pub(crate) type Ruled = [u16; OPS];

/// The kernel's tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    pub(crate) everywhere: Ruled,
    pub(crate) paths: BTreeMap<u64, Ruled>,
    pub(crate) folders: BTreeMap<u64, Ruled>,
    pub(crate) names: BTreeMap<u64, Ruled>,
    pub(crate) leaves: BTreeSet<u64>,
    pub(crate) roofs: BTreeSet<u64>,
    pub(crate) watched: [u8; OPS],
}

/// The policy's lines about files.
#[derive(Debug)]
pub(crate) struct Lines {
    lines: Vec<KernelLine>,
    mounts: MountTable,
    hasher: Hasher,
    /// Bits of the ops that are held.
    pub(crate) held: u16,
}

/// What a line says about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said<'a> {
    pub(crate) action: Action,
    pub(crate) by: &'a str,
}

const SOME: u8 = 1;
const MANY: u8 = 2;

impl Lines {
    /// Checks them.
    pub(crate) fn new(
        lines: Vec<KernelLine>,
        held: u16,
        mounts: MountTable,
        seed: u64,
    ) -> Result<Self, LinesError> {
        if lines.len() >= usize::from(TOO_DEEP) - 1 {
            return Err(LinesError::Lines(lines.len()));
        }
        let places = lines.iter().map(|line| line.places.len()).sum::<usize>();
        if places > PLACES / 8 {
            return Err(LinesError::Places(places));
        }
        for line in &lines {
            if line.action == Action::Kill && line.ops & !held != 0 {
                return Err(LinesError::Kill(line.by.clone()));
            }
            for place in &line.places {
                let (Place::Path(bytes) | Place::Below(bytes) | Place::Name(bytes)) = place;
                let path = matches!(place, Place::Path(_) | Place::Below(_));
                if !(if path { is_path(bytes) } else { is_name(bytes) }) {
                    let shown = String::from_utf8_lossy(bytes).into_owned();
                    return Err(LinesError::Path(line.by.clone(), shown));
                }
            }
        }
        Ok(Self {
            lines,
            mounts,
            hasher: Hasher::new(seed),
            held,
        })
    }

    /// The seed of every hash.
    pub(crate) fn seed(&self) -> u64 {
        self.hasher.seed()
    }

    /// File systems that the kernel is to judge.
    pub(crate) fn devices(&self) -> impl Iterator<Item = u32> {
        self.mounts.mounts.iter().map(|mounted| mounted.device)
    }

    /// `line_says`: 0 allow, 1 deny, 2 ask. A line that kills is asked about:
    /// its call is held, and the host says what happens.
    pub(crate) fn says(&self) -> impl Iterator<Item = (usize, u8)> {
        let said = |line: &KernelLine| match line.action {
            Action::Allow => 0,
            Action::Deny => 1,
            Action::Ask | Action::Kill => 2,
        };
        (1..).zip(self.lines.iter().map(said))
    }

    /// What a line's number stands for.
    pub(crate) fn by(&self, number: u16) -> Said<'_> {
        let built_in = |by| Said {
            action: Action::Deny,
            by,
        };
        match number {
            TOO_DEEP => built_in("built-in:too-deep"),
            ROOF => built_in("built-in:folder-above-a-line"),
            number => self.lines.get(usize::from(number).wrapping_sub(1)).map_or(
                built_in("built-in"),
                |line| Said {
                    action: line.action,
                    by: &line.by,
                },
            ),
        }
    }

    /// The first line about doing `op` with the object at this resolved path.
    pub(crate) fn first(&self, op: Op, path: &[u8]) -> Option<Said<'_>> {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let concerns = |place: &Place| match place {
            Place::Path(ruled) => ruled == path,
            Place::Below(folder) => is_below(path, folder),
            Place::Name(ruled) => ruled == name,
        };
        self.lines
            .iter()
            .find(|line| {
                line.ops & op.bit() != 0
                    && (line.places.is_empty() || line.places.iter().any(concerns))
            })
            .map(|line| Said {
                action: line.action,
                by: &line.by,
            })
    }

    /// The kernel's hash of a resolved path.
    pub(crate) fn hash(&self, path: &[u8]) -> u64 {
        let (device, rest) = self.split(path);
        self.hasher.path(device, rest)
    }

    /// The kernel's hash of a file that lies in no file system of the payload's
    /// view (a memfd).
    pub(crate) fn hash_at(&self, device: u32, name: &[u8]) -> u64 {
        self.hasher.path(device, name)
    }

    /// File system, and the path in it.
    fn split<'p>(&self, path: &'p [u8]) -> (u32, &'p [u8]) {
        use std::os::unix::ffi::OsStrExt as _;
        let inside = |at: &Path| is_below(path, at.as_os_str().as_bytes());
        self.mounts
            .mounts
            .iter()
            .filter(|mounted| inside(&mounted.at))
            .max_by_key(|mounted| mounted.at.as_os_str().len())
            .map_or((0, path), |mounted| {
                let at = mounted.at.as_os_str().as_bytes();
                let cut = if at == b"/" { 0 } else { at.len() };
                (mounted.device, path.get(cut..).unwrap_or_default())
            })
    }

    /// The kernel's tables.
    pub(crate) fn tables(&self) -> Result<Tables, LinesError> {
        use std::os::unix::ffi::OsStrExt as _;
        let mut tables = Tables::default();
        for (number, line) in (1_u16..).zip(&self.lines) {
            for op in Op::ALL.into_iter().filter(|op| line.ops & op.bit() != 0) {
                if line.places.is_empty() {
                    put(&mut tables.everywhere, op, number);
                    tables.watch(op, MANY);
                }
                for place in &line.places {
                    self.place(&mut tables, place, op, number);
                }
            }
        }
        // A folder's line goes on in what is mounted below it.
        for (number, line) in (1_u16..).zip(&self.lines) {
            for place in &line.places {
                let Place::Below(folder) = place else {
                    continue;
                };
                for mounted in &self.mounts.mounts {
                    let at = mounted.at.as_os_str().as_bytes();
                    if at != folder.as_slice() && is_below(at, folder) {
                        let root = self.hasher.path(mounted.device, b"");
                        let ruled = tables.folders.entry(root).or_default();
                        for op in Op::ALL.into_iter().filter(|op| line.ops & op.bit() != 0) {
                            put(ruled, op, number);
                        }
                    }
                }
            }
        }
        tables.imply();
        let most = [
            tables.paths.len(),
            tables.folders.len(),
            tables.names.len(),
            tables.leaves.len(),
            tables.roofs.len(),
        ];
        match most.into_iter().max() {
            Some(count) if count > PLACES => Err(LinesError::Places(count)),
            _ => Ok(tables),
        }
    }

    fn place(&self, tables: &mut Tables, place: &Place, op: Op, number: u16) {
        match place {
            Place::Path(path) => {
                let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
                put(tables.paths.entry(self.hash(path)).or_default(), op, number);
                tables.leaves.insert(self.hasher.name(name));
                tables.watch(op, SOME);
                self.roofs(tables, path);
            }
            Place::Below(folder) => {
                let ruled = tables.folders.entry(self.hash(folder)).or_default();
                put(ruled, op, number);
                tables.watch(op, MANY);
                self.roofs(tables, folder);
            }
            Place::Name(name) => {
                let hash = self.hasher.name(name);
                put(tables.names.entry(hash).or_default(), op, number);
                tables.leaves.insert(hash);
                tables.watch(op, SOME);
            }
        }
    }

    fn roofs(&self, tables: &mut Tables, path: &[u8]) {
        let mut path = path;
        while let Some(at) = path.iter().rposition(|byte| *byte == b'/') {
            path = path.get(..at).unwrap_or_default();
            if path.is_empty() {
                break;
            }
            tables.roofs.insert(self.hash(path));
        }
    }
}

impl Tables {
    fn watch(&mut self, op: Op, how: u8) {
        if let Some(slot) = self.watched.get_mut(op.index()) {
            *slot |= how;
        }
    }

    /// Ops that a line about other ops concerns: an object must not be moved,
    /// linked or removed out of a line about it.
    fn imply(&mut self) {
        let of = |op: Op| self.watched.get(op.index()).copied().unwrap_or(0);
        let object = of(Op::Read) | of(Op::Write) | of(Op::Exec);
        for op in [Op::Unlink, Op::Rename, Op::Link, Op::Chmod] {
            self.watch(op, object);
        }
    }
}

fn put(ruled: &mut Ruled, op: Op, number: u16) {
    if let Some(slot) = ruled.get_mut(op.index())
        && (*slot == 0 || number < *slot)
    {
        *slot = number;
    }
}

/// The folder itself, or something below it.
fn is_below(path: &[u8], folder: &[u8]) -> bool {
    folder == b"/"
        || path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/'))
}

fn is_path(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(b"/") else {
        return false;
    };
    rest.is_empty() || rest.split(|byte| *byte == b'/').all(is_name)
}

fn is_name(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.len() <= 255
        && bytes != b"."
        && bytes != b".."
        && !bytes.contains(&b'/')
        && !bytes.contains(&0)
}
