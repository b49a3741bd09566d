//! Mounting, with errors that name the mount.

use std::ffi::CString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount};

use super::BootError;
use crate::seam::{MountTable, Mounted};

/// One file system to mount.
pub(crate) struct Fs<'a> {
    /// Type, which is also the error message's name for it.
    pub(crate) kind: &'static str,
    /// Device, or any word.
    pub(crate) source: &'a str,
    /// Flags.
    pub(crate) flags: MountFlags,
    /// Options.
    pub(crate) options: &'a str,
}

/// No set-uid, devices, programs.
pub(crate) const BARE: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC);

impl Fs<'_> {
    /// A file system without device or options.
    pub(crate) const fn plain(kind: &'static str) -> Self {
        Self {
            kind,
            source: kind,
            flags: BARE,
            options: "",
        }
    }

    /// Mounts it on `at`, which is made if it is not there.
    pub(crate) fn on(&self, at: &Path) -> Result<(), BootError> {
        // Kernel file systems have their mount points ready and let nobody make any.
        if !at.is_dir() {
            std::fs::create_dir_all(at).map_err(BootError::file("make folder", at))?;
        }
        let options = CString::new(self.options).unwrap_or_default();
        mount(self.source, at, self.kind, self.flags, options.as_c_str()).map_err(|source| {
            BootError::Mount {
                what: self.kind,
                at: at.to_path_buf(),
                source,
            }
        })
    }
}

/// What the agent needs before it can do anything else.
pub(crate) fn early() -> Result<(), BootError> {
    Fs::plain("proc").on(Path::new("/proc"))?;
    Fs::plain("sysfs").on(Path::new("/sys"))?;
    let devices = Fs {
        flags: MountFlags::NOSUID,
        ..Fs::plain("devtmpfs")
    };
    match devices.on(Path::new("/dev")) {
        // The kernel may have mounted it by itself.
        Err(BootError::Mount {
            source: rustix::io::Errno::BUSY,
            ..
        }) => Ok(()),
        other => other,
    }
}

/// The devices of the mounts that a payload can reach, for completing paths.
pub(crate) fn table(points: &[&str]) -> Result<MountTable, BootError> {
    let mut mounts = Vec::new();
    for point in points {
        let at = PathBuf::from(point);
        let device = std::fs::metadata(&at)
            .map_err(BootError::file("look at", &at))?
            .dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        mounts.push(Mounted {
            device: (major << 20) | minor,
            at,
        });
    }
    Ok(MountTable { mounts })
}
