//! The payload's cgroup: what the kernel programs attach to, and what ends
//! every process in it at once, or lets all of them stand still.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::PayloadError;
use crate::boot::root::CGROUPS;

/// Its name: `/proc/self/cgroup` shows it, so it looks like a login's.
const NAME: &str = "user.slice";
/// Memory that stays the agent's (the channel's windows above all) and the kernel's.
const RESERVE: u64 = 256 << 20;

/// A child of the cgroup root.
pub(crate) struct Cgroup {
    path: PathBuf,
    freezer: Freezer,
}

/// Lets every process of the payload stand still, for as long as anybody wants
/// that. Cheap to clone.
///
/// Who stands still can be killed. A call that waits for the host's answer waits
/// on; one that only sleeps is broken off as by a stop signal, and goes on behind it.
#[derive(Clone, Debug)]
pub(crate) struct Freezer(Arc<(PathBuf, Mutex<usize>)>);

/// The payload stands still while this lives.
#[derive(Debug)]
pub(crate) struct Frozen(Freezer);

impl Freezer {
    pub(crate) fn of(cgroup: &Path) -> Self {
        Self(Arc::new((cgroup.join("cgroup.freeze"), Mutex::new(0))))
    }

    /// From now on, and until everybody who wants it has had enough.
    pub(crate) fn freeze(&self) -> Frozen {
        self.count(|wanted| wanted + 1);
        Frozen(self.clone())
    }

    fn count(&self, change: impl FnOnce(usize) -> usize) {
        let (file, wanted) = &*self.0;
        let mut wanted = wanted.lock().unwrap_or_else(PoisonError::into_inner);
        *wanted = change(*wanted);
        // It was written once already, when the cgroup was made.
        let _ = fs::write(file, if *wanted > 0 { "1" } else { "0" });
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.0.count(|wanted| wanted.saturating_sub(1));
    }
}

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
        let freezer = Freezer::of(&path);
        fs::write(&freezer.0.0, "0").map_err(failed("freeze"))?;
        Ok(Self { path, freezer })
    }

    /// Its folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What lets its processes stand still.
    pub(crate) fn freezer(&self) -> Freezer {
        self.freezer.clone()
    }

    /// A descriptor through which a process joins by writing `0`.
    pub(super) fn entrance(&self) -> Result<OwnedFd, PayloadError> {
        let path = self.path.join("cgroup.procs");
        File::options()
            .write(true)
            .open(path)
            .map(Into::into)
            .map_err(failed("open"))
    }

    /// Whether any process is in it.
    pub(super) fn is_populated(&self) -> Result<bool, PayloadError> {
        let events = fs::read_to_string(self.path.join("cgroup.events")).map_err(failed("read"))?;
        Ok(events.lines().any(|line| line == "populated 1"))
    }

    /// Ends every process in it.
    pub(crate) fn kill(&self) -> Result<(), PayloadError> {
        fs::write(self.path.join("cgroup.kill"), "1").map_err(failed("end"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_it_last_ends_the_standstill() {
        let dir = std::env::temp_dir().join(format!("belljar-freezer-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let freezer = Freezer::of(&dir);
        let said = || fs::read_to_string(dir.join("cgroup.freeze")).unwrap();
        let first = freezer.freeze();
        let second = freezer.clone().freeze();
        drop(first);
        assert_eq!(said(), "1");
        drop(second);
        assert_eq!(said(), "0");
        fs::remove_dir_all(&dir).unwrap();
    }
}
