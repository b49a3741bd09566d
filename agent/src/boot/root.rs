//! The payload's root: a read-only image under an overlay in memory, the usual
//! kernel file systems, and only the ordinary devices.
//!
//! Owns: the move from the initramfs into it.
//! Must not: put anything in it that belongs to one run (see `setup`).

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{MountFlags, UnmountFlags, mount_move, mount_remount, unmount};

use super::BootError;
use super::mounts::{BARE, Fs, table};
use crate::seam::MountTable;

/// Where the payload's cgroup lies; seen from inside, an ordinary login's.
pub(crate) const CGROUPS: &str = "/sys/fs/cgroup";
/// The disk with the image.
const DISK: &str = "/dev/vda";
const DISK_WAIT: Duration = Duration::from_secs(60);
/// Mount point of the new root until it becomes `/`.
const NEW: &str = "/root";

/// The mounts on which a payload can make or open files.
const POINTS: &[&str] = &["/", "/tmp", "/dev", "/dev/shm", "/dev/pts", "/proc", "/sys"];

/// Character devices: name, major, minor, mode.
const NODES: &[(&str, u32, u32, u32)] = &[
    ("null", 1, 3, 0o666),
    ("zero", 1, 5, 0o666),
    ("full", 1, 7, 0o666),
    ("random", 1, 8, 0o666),
    ("urandom", 1, 9, 0o666),
    ("tty", 5, 0, 0o666),
];

const LINKS: &[(&str, &str)] = &[
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Folders of kernel file systems that only root may enter.
const HIDDEN: &[&str] = &[CGROUPS, "/sys/fs/bpf", "/sys/kernel/security"];

/// Assembles the root and moves into it. What the payload sees afterwards holds
/// no way back: the initramfs is below `/` and nothing leads there.
pub(crate) fn enter(disk_mib: u32) -> Result<MountTable, BootError> {
    wait_for_disk()?;
    overlay(disk_mib)?;
    let new = Path::new(NEW);
    devices(&new.join("dev"))?;
    let half = format!("mode=1777,size={}m", (disk_mib / 2).max(16));
    let tmp = Fs {
        flags: MountFlags::NOSUID.union(MountFlags::NODEV),
        options: &half,
        ..Fs::plain("tmpfs")
    };
    tmp.on(&new.join("tmp"))?;
    tmp.on(&new.join("dev/shm"))?;
    for name in ["/proc", "/sys"] {
        let to = new.join(name.trim_start_matches('/'));
        std::fs::create_dir_all(&to).map_err(BootError::file("make folder", &to))?;
        mount_move(name, &to).map_err(|source| BootError::Mount {
            what: "move",
            at: to,
            source,
        })?;
    }
    let _ = unmount("/dev", UnmountFlags::DETACH);
    rustix::process::chdir(new).map_err(BootError::file("enter", new))?;
    mount_move(".", "/").map_err(BootError::step("move the root"))?;
    rustix::process::chroot(".").map_err(BootError::step("change the root"))?;
    rustix::process::chdir("/").map_err(BootError::step("enter the root"))?;
    kernel_folders()?;
    table(POINTS)
}

fn wait_for_disk() -> Result<(), BootError> {
    let start = Instant::now();
    while !Path::new(DISK).exists() {
        if start.elapsed() > DISK_WAIT {
            return Err(BootError::Missing {
                what: DISK,
                seconds: DISK_WAIT.as_secs(),
            });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn overlay(disk_mib: u32) -> Result<(), BootError> {
    let image = Fs {
        kind: "erofs",
        source: DISK,
        flags: MountFlags::RDONLY,
        options: "",
    };
    image.on(Path::new("/lower"))?;
    let size = format!("mode=0755,size={disk_mib}m");
    let memory = Fs {
        flags: MountFlags::empty(),
        options: &size,
        ..Fs::plain("tmpfs")
    };
    memory.on(Path::new("/upper"))?;
    for name in ["/upper/data", "/upper/work"] {
        std::fs::create_dir(name).map_err(BootError::file("make folder", name))?;
    }
    // xino=on: an object has the same number before and after it is copied up.
    let options = "lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work,xino=on";
    Fs {
        flags: MountFlags::empty(),
        options,
        ..Fs::plain("overlay")
    }
    .on(Path::new(NEW))
}

/// A `/dev` of its own: neither the disk nor the channel has a node in it.
fn devices(dev: &Path) -> Result<(), BootError> {
    let own = Fs {
        flags: MountFlags::NOSUID.union(MountFlags::NOEXEC),
        options: "mode=0755,size=1m",
        ..Fs::plain("tmpfs")
    };
    own.on(dev)?;
    for (name, major, minor, mode) in NODES {
        let path = dev.join(name);
        let bits = Mode::from_raw_mode(*mode);
        mknodat(
            CWD,
            &path,
            FileType::CharacterDevice,
            bits,
            makedev(*major, *minor),
        )
        .map_err(BootError::file("make device", &path))?;
        // The umask took its share.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(*mode))
            .map_err(BootError::file("set the mode of", &path))?;
    }
    for (name, target) in LINKS {
        let path = dev.join(name);
        symlink(target, &path).map_err(BootError::file("link", &path))?;
    }
    let terminals = Fs {
        flags: MountFlags::NOSUID.union(MountFlags::NOEXEC),
        options: "ptmxmode=0666,mode=0620,gid=5",
        ..Fs::plain("devpts")
    };
    terminals.on(&dev.join("pts"))
}

/// What only the agent needs, on the usual places, closed to everybody else.
fn kernel_folders() -> Result<(), BootError> {
    Fs::plain("cgroup2").on(Path::new(CGROUPS))?;
    Fs {
        options: "mode=0700",
        ..Fs::plain("bpf")
    }
    .on(Path::new("/sys/fs/bpf"))?;
    Fs::plain("securityfs").on(Path::new("/sys/kernel/security"))?;
    for path in HIDDEN {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
            .map_err(BootError::file("close", *path))?;
    }
    mount_remount(
        "/sys",
        MountFlags::BIND.union(MountFlags::RDONLY).union(BARE),
        "",
    )
    .map_err(|source| BootError::Mount {
        what: "read-only sysfs",
        at: "/sys".into(),
        source,
    })
}
