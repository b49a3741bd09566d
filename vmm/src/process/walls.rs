//! What a hypervisor may reach besides the descriptors that it is handed: Landlock.
//!
//! Owns: the rules, and putting the thread behind them that forks it.
//! Must not: fail where the host's kernel has no Landlock or not all of it: a
//! hypervisor has no privileges, may start no program, and filters its own calls.
//! These walls are for the case that it is taken over all the same: then it is a
//! process of the user's, whose files are none of its business.
//!
//! The keeper's thread only forks, waits and reaps, so it can stand behind the same
//! walls, and nothing needs to be done between fork and exec. What is open already
//! stays open; files in memory and pipes have no place in a file system, and
//! Landlock lets them be opened by their descriptors.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, RestrictionStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use super::Program;

/// Rights that newer kernels know are left to them: each was looked at.
const FILES: ABI = ABI::V3;
const NETWORK: ABI = ABI::V4;
const SCOPES: ABI = ABI::V6;

/// Where programs are, and what they are linked with.
const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/gnu/store",
];
/// What is only read: where libraries are, and what this machine is like.
const READ: &[&str] = &["/etc/ld.so.cache", "/proc", "/sys"];
/// What is read and written.
const DEVICES: &[&str] = &[
    "/dev/kvm",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
];

/// Puts this thread, and with it all that it forks, behind the walls.
pub(super) fn around(program: &Program) -> Result<RestrictionStatus, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let execute = read | AccessFs::Execute;
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(FILES))?
        // None is allowed: no TCP goes out, and nobody is let in.
        .handle_access(AccessNet::from_all(NETWORK))?
        .scope(Scope::from_all(SCOPES))?
        .create()?;
    let mut allow = |place: &Path, access: BitFlags<AccessFs>| {
        // What is not there need not be reached.
        if let Ok(place) = PathFd::new(place) {
            let _ = (&mut rules).add_rule(PathBeneath::new(place, access));
        }
    };
    for place in SYSTEM {
        allow(Path::new(place), execute);
    }
    for place in READ {
        allow(Path::new(place), read);
    }
    for place in DEVICES {
        allow(Path::new(place), read | AccessFs::WriteFile);
    }
    for place in parts(&program.path) {
        allow(&place, execute);
    }
    if let Some(folder) = &program.folder {
        allow(folder, AccessFs::from_all(FILES) & !AccessFs::Execute);
    }
    for fd in &program.inherit {
        // A file that is to be opened once more by its descriptor; of what is no
        // file with a place the kernel refuses the rule, and needs none.
        let file = PathBeneath::new(fd.as_fd(), AccessFs::ReadFile);
        let _ = (&mut rules).add_rule(file);
    }
    rules.restrict_self()
}

/// Whether this kernel has such walls: tried by a thread that ends behind them.
pub(crate) fn there() -> bool {
    let tried = std::thread::spawn(|| {
        let rules = Ruleset::default().handle_access(AccessFs::from_all(FILES))?;
        rules.create()?.restrict_self()
    });
    let status = tried.join().ok().and_then(Result::ok);
    status.is_some_and(|status| status.ruleset != RulesetStatus::NotEnforced)
}

/// The program itself, wherever it is, and what is installed with it.
fn parts(program: &Path) -> Vec<PathBuf> {
    let Ok(program) = program.canonicalize() else {
        return Vec::new();
    };
    let prefix = program
        .parent()
        .filter(|folder| folder.file_name().is_some_and(|name| name == "bin"))
        .and_then(Path::parent);
    let beside = ["lib", "lib64", "libexec", "share/qemu"];
    let mut all: Vec<_> = prefix
        .into_iter()
        .flat_map(|prefix| beside.map(|name| prefix.join(name)))
        .collect();
    all.push(program);
    all
}

#[cfg(test)]
mod tests;
