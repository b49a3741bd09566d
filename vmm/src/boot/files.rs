//! The machine's files as descriptors.
//!
//! Owns: opening them while we may, and sealed copies in memory. Must not:
//! leave a file behind.
//!
//! QEMU opens kernel and initramfs by name, as a user who may have no right to
//! the folder. A sealed copy in memory can be opened by that user through
//! `/proc/self/fd`, and nobody can change it while it is being booted.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use super::{BootError, prepare};

/// Nobody boots a kernel or an initramfs larger than this.
const MOST: u64 = 1 << 30;

/// Opens a file of the machine for reading.
pub(crate) fn open((what, path): (&str, &Path)) -> Result<OwnedFd, BootError> {
    File::open(path)
        .map(OwnedFd::from)
        .map_err(|source| prepare(format!("{what} {}", path.display()), source))
}

/// The bytes of a file of the machine.
pub(crate) fn bytes_of((what, path): (&str, &Path)) -> Result<Vec<u8>, BootError> {
    let subject = || format!("{what} {}", path.display());
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes));
    read.map_err(|source| prepare(subject(), source))?;
    Ok(bytes)
}

/// A sealed copy of what `from` gives.
pub(crate) fn copy_to_memory(from: impl Read) -> std::io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut memory = File::from(memfd_create("belljar", flags)?);
    let copied = std::io::copy(&mut from.take(MOST + 1), &mut memory)?;
    if copied > MOST {
        return Err(std::io::Error::other("larger than 1 GiB"));
    }
    fcntl_add_seals(
        &memory,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
    )?;
    Ok(memory.into())
}
