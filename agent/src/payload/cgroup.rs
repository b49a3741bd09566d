//! The payload's cgroup: what the kernel programs attach to, and what ends
//! every process in it at once.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::PayloadError;
use crate::boot::root::CGROUPS;

/// Its name: `/proc/self/cgroup` shows it, so it looks like a login's.
const NAME: &str = "user.slice";
/// Memory that stays the agent's (the channel's windows above all) and the kernel's.
const RESERVE: u64 = 256 << 20;

/// A child of the cgroup root.
pub(crate) struct Cgroup(PathBuf);

fn failed(step: &'static str) -> impl FnOnce(std::io::Error) -> PayloadError {
    move |source| PayloadError::Cgroup { step, source }
}

impl Cgroup {
    /// Makes it, with its limits.
    pub(crate) fn make(pids: u32) -> Result<Self, PayloadError> {
        let root = Path::new(CGROUPS);
        let path = root.join(NAME);
        fs::write(root.join("cgroup.subtree_control"), "+pids +memory")
            .map_err(failed("enable the limits of"))?;
        fs::create_dir(&path).map_err(failed("make"))?;
        let info = rustix::system::sysinfo();
        let total = info.totalram.saturating_mul(u64::from(info.mem_unit));
        let memory = total.saturating_sub(RESERVE).max(RESERVE);
        fs::write(path.join("pids.max"), pids.to_string()).map_err(failed("limit"))?;
        fs::write(path.join("memory.max"), memory.to_string()).map_err(failed("limit"))?;
        Ok(Self(path))
    }

    /// Its folder.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A descriptor through which a process joins by writing `0`.
    pub(super) fn entrance(&self) -> Result<OwnedFd, PayloadError> {
        let path = self.0.join("cgroup.procs");
        File::options()
            .write(true)
            .open(path)
            .map(Into::into)
            .map_err(failed("open"))
    }

    /// Whether any process is in it.
    pub(super) fn is_populated(&self) -> Result<bool, PayloadError> {
        let events = fs::read_to_string(self.0.join("cgroup.events")).map_err(failed("read"))?;
        Ok(events.lines().any(|line| line == "populated 1"))
    }

    /// Ends every process in it.
    pub(crate) fn kill(&self) -> Result<(), PayloadError> {
        fs::write(self.0.join("cgroup.kill"), "1").map_err(failed("end"))
    }
}
