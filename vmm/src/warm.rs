//! Machines that have booted already: the state of one that waits for the
//! host's first word, kept on disk, from which others go on.
//!
//! Owns: what a base is for (its key), writing one, reading one back, throwing
//! the oldest away, and whether a machine boots or goes on. Must not: know how a
//! hypervisor saves or takes over a state (`qemu` and `cloud_hypervisor` do), or
//! keep anything of a run: a base is taken before the host has said a word, so it
//! holds no name, seed, decoy or policy.
//!
//! A machine's memory is a file in memory that the hypervisor shares with us.
//! What it saves itself is only the rest, some hundred kilobytes. So a base
//! costs a copy of the pages that a booted guest has touched.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, SeekFrom as Seeking, ftruncate, memfd_create, seek};
use serde::{Deserialize, Serialize};

use crate::Spec;
use crate::boot::BootError;

/// Raised when what is kept changes.
const VERSION: u32 = 2;
/// Bases that are kept: one for each image and size that is in use.
const KEPT: usize = 3;
/// Memory is copied in pieces of this size; one of zeroes alone is left out.
const PIECE: usize = 64 << 10;
static ZEROES: [u8; PIECE] = [0; PIECE];
/// A device state larger than this is none of ours.
pub(crate) const MOST_STATE: u64 = 64 << 20;
const MEMORY: &str = "memory";
const STATE: &str = "state";
const MANIFEST: &str = "manifest.json";

/// A base on disk, whole when its manifest stands.
#[derive(Clone, Debug)]
pub(crate) struct Base(PathBuf);

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    version: u32,
    memory: String,
    state: String,
}

/// What runs a machine: a state is of use to its own hypervisor only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runner<'a> {
    /// The hypervisor's name.
    pub(crate) hypervisor: &'static str,
    /// Its file, which stands for its version.
    pub(crate) program: &'a Path,
    /// True if the guest has this machine's processor, false if an emulated one.
    pub(crate) kvm: bool,
}

/// What a machine must have in common with a base to go on from it.
fn key(spec: &Spec, runner: Runner<'_>, files: [&[u8]; 2]) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut add = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    add(&VERSION.to_le_bytes());
    add(env!("CARGO_PKG_VERSION").as_bytes());
    // Kernel and initramfs by what they are; the rest by what they look like.
    files.into_iter().for_each(&mut add);
    for path in [runner.program, &spec.root] {
        let meta = fs::metadata(path)?;
        add(path.as_os_str().as_encoded_bytes());
        for number in [meta.len(), meta.ino(), meta.mtime().cast_unsigned()] {
            add(&number.to_le_bytes());
        }
    }
    add(runner.hypervisor.as_bytes());
    // The guest has this machine's processor, and the kernel's KVM under it.
    add(&if runner.kvm { processor()? } else { Vec::new() });
    add(&spec.cpus.to_le_bytes());
    add(&spec.memory_mib.to_le_bytes());
    add(spec.cmdline_extra.as_bytes());
    Ok(hasher.finalize().to_hex().to_string())
}

/// What tells this machine's processors from others, and the kernel they run under.
fn processor() -> io::Result<Vec<u8>> {
    const TELLING: [&str; 6] = [
        "vendor_id",
        "cpu family",
        "model",
        "stepping",
        "microcode",
        "flags",
    ];
    let mut told = fs::read("/proc/sys/kernel/osrelease")?;
    let text = fs::read_to_string("/proc/cpuinfo")?;
    // The first one's: machines of different processors are none that we know.
    for line in text.lines().take_while(|line| !line.is_empty()) {
        if TELLING.iter().any(|word| line.starts_with(word)) {
            told.extend_from_slice(line.as_bytes());
        }
    }
    Ok(told)
}

/// The machine's memory, as a file in memory.
fn memory(spec: &Spec) -> io::Result<OwnedFd> {
    let memory = memfd_create("belljar-guest", MemfdFlags::CLOEXEC)?;
    ftruncate(&memory, u64::from(spec.memory_mib) << 20)?;
    Ok(memory)
}

/// What the machine is made of.
#[derive(Debug)]
pub(crate) enum Source {
    /// Booted, and nothing is kept of it.
    Boot,
    /// Booted, to be put down once it waits for the host.
    BootAndSave(Saver),
    /// Goes on from a base.
    GoOn {
        memory: OwnedFd,
        state: Vec<u8>,
        base: Base,
    },
}

impl Source {
    /// Warm where that was asked for and works, else cold: bases are a convenience.
    pub(crate) fn of(spec: &Spec, runner: Runner<'_>, files: [&[u8]; 2]) -> Self {
        let Some(folder) = &spec.warm else {
            return Self::Boot;
        };
        let Ok(key) = key(spec, runner, files) else {
            return Self::Boot;
        };
        let base = Base::of(folder, &key);
        if base.stands() {
            match base.read(spec) {
                Ok((memory, state)) => {
                    return Self::GoOn {
                        memory,
                        state,
                        base,
                    };
                }
                Err(_) => base.remove(),
            }
        }
        match memory(spec) {
            Ok(memory) => Self::BootAndSave(Saver { memory, base }),
            Err(_) => Self::Boot,
        }
    }
}

/// Why an attempt to start a machine came to nothing.
pub(crate) enum Failed {
    Boot(BootError),
    /// The machine could not go on from its base.
    Base(Base),
}

impl From<BootError> for Failed {
    fn from(error: BootError) -> Self {
        Self::Boot(error)
    }
}

/// What a booted machine is to leave behind.
#[derive(Debug)]
pub(crate) struct Saver {
    memory: OwnedFd,
    base: Base,
}

impl Saver {
    /// The machine's memory, for the hypervisor.
    pub(crate) fn memory(&self) -> io::Result<OwnedFd> {
        self.memory.try_clone()
    }

    /// Puts down a machine that stands still, which has this state. An error is a
    /// full disk, most likely: the next run tries again.
    pub(crate) async fn keep(self, state: Vec<u8>) {
        let write = move || self.base.write(&self.memory, &state);
        let _ = tokio::task::spawn_blocking(write).await;
    }
}

impl Base {
    /// Where the base of this key is, or would be.
    fn of(folder: &Path, key: &str) -> Self {
        Self(folder.join(key))
    }

    /// True if it is there, and whole.
    fn stands(&self) -> bool {
        self.0.join(MANIFEST).is_file()
    }

    /// Puts it down: memory and state of a machine that stands still.
    fn write(&self, memory: &OwnedFd, state: &[u8]) -> io::Result<()> {
        let folder = self.0.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder)?;
        let partial = tempfile::Builder::new()
            .prefix(".partial-")
            .tempdir_in(folder)?;
        let at = |name: &str| partial.path().join(name);
        let kept = create(&at(MEMORY))?;
        let digest = copy(&File::from(memory.try_clone()?), &kept)?;
        create(&at(STATE))?.write_all(state)?;
        let manifest = Manifest {
            version: VERSION,
            memory: digest,
            state: blake3::hash(state).to_hex().to_string(),
        };
        create(&at(MANIFEST))?.write_all(&serde_json::to_vec(&manifest)?)?;
        // Whoever was faster has made the same.
        let made = partial.keep();
        if fs::rename(&made, &self.0).is_err() {
            fs::remove_dir_all(&made)?;
        }
        sweep(folder, &self.0);
        Ok(())
    }

    /// Reads it: memory to go on with, and the state. An error if it is damaged.
    fn read(&self, spec: &Spec) -> io::Result<(OwnedFd, Vec<u8>)> {
        let manifest: Manifest = serde_json::from_slice(&fs::read(self.0.join(MANIFEST))?)?;
        let damaged = |what: &str| io::Error::other(format!("its {what} is damaged"));
        if manifest.version != VERSION {
            return Err(damaged("manifest"));
        }
        let mut state = Vec::new();
        File::open(self.0.join(STATE))?
            .take(MOST_STATE)
            .read_to_end(&mut state)?;
        if blake3::hash(&state).to_hex().as_str() != manifest.state {
            return Err(damaged("state"));
        }
        let kept = File::open(self.0.join(MEMORY))?;
        if kept.metadata()?.len() != u64::from(spec.memory_mib) << 20 {
            return Err(damaged("memory"));
        }
        let memory = memory(spec)?;
        if copy(&kept, &File::from(memory.try_clone()?))? != manifest.memory {
            return Err(damaged("memory"));
        }
        // The oldest is the one that was not used for longest.
        let _ = File::open(&self.0)
            .and_then(|folder| folder.set_modified(std::time::SystemTime::now()));
        Ok((memory, state))
    }

    /// Throws it away.
    pub(crate) fn remove(&self) {
        // The manifest first: without it the rest is nothing.
        let _ = fs::remove_file(self.0.join(MANIFEST));
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Only its owner may read a guest's memory.
fn create(path: &Path) -> io::Result<File> {
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Copies what is not zero, to the same places; returns a digest of it. Holes are
/// not read, and both ends may have theirs at other places.
fn copy(from: &File, to: &File) -> io::Result<String> {
    let length = from.metadata()?.len();
    to.set_len(length)?;
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    while let Some(data) = next_data(from, at, length)? {
        // The start of the piece in which the data lies.
        at = data - data % PIECE as u64;
        let room = usize::try_from(length - at).map_or(PIECE, |left| left.min(PIECE));
        let bytes = piece.get_mut(..room).unwrap_or_default();
        from.read_exact_at(bytes, at)?;
        if ZEROES.get(..room) != Some(&*bytes) {
            hasher.update(&at.to_le_bytes());
            hasher.update(bytes);
            to.write_all_at(bytes, at)?;
        }
        at += room as u64;
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// Where the next byte is that is not in a hole.
fn next_data(file: &File, from: u64, length: u64) -> io::Result<Option<u64>> {
    if from >= length {
        return Ok(None);
    }
    match seek(file, Seeking::Data(from)) {
        Ok(at) => Ok(Some(at.max(from)).filter(|at| *at < length)),
        // Nothing but a hole is left.
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Removes the oldest bases beyond what is kept, and what killed processes left.
fn sweep(folder: &Path, keep: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all: Vec<_> = entries
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .filter(|(_, path)| path != keep)
        .collect();
    all.sort_unstable();
    let excess = (all.len() + 1).saturating_sub(KEPT);
    for (_, path) in all.into_iter().take(excess) {
        Base(path).remove();
    }
}

#[cfg(test)]
mod tests;
