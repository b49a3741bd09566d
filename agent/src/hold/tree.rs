//! Ending a process and everything below it.
//!
//! Owns: the freeze that keeps the tree from growing meanwhile.
//! Must not: touch a process outside the payload's cgroup.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use crate::payload::Freezer;

/// Most processes looked at; the cgroup's own limit is lower.
const MOST: usize = 1 << 20;

/// Kills `root` and its descendants; returns how many there were.
pub(super) fn kill(cgroup: &Path, freezer: &Freezer, root: u32) -> u32 {
    // Without the freeze the tree could grow while it is read: not more than that.
    let _frozen = freezer.freeze();
    let doomed = below(cgroup, root);
    for pid in &doomed {
        if let Some(pid) = i32::try_from(*pid).ok().and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    u32::try_from(doomed.len()).unwrap_or(u32::MAX)
}

/// The processes of the cgroup that are `root` or come from it.
fn below(cgroup: &Path, root: u32) -> HashSet<u32> {
    let members = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    let members: Vec<u32> = members
        .lines()
        .take(MOST)
        .filter_map(|line| line.parse().ok())
        .collect();
    let parents: HashMap<u32, u32> = members
        .iter()
        .filter_map(|pid| Some((*pid, parent(*pid)?)))
        .collect();
    let mut doomed = HashSet::new();
    for pid in members {
        let mut line = Vec::new();
        let mut at = Some(pid);
        while let Some(here) = at.filter(|_| line.len() < MOST) {
            if here == root || doomed.contains(&here) {
                doomed.insert(pid);
                doomed.extend(line.iter().copied());
                break;
            }
            line.push(here);
            at = parents.get(&here).copied();
        }
    }
    doomed
}

/// The fourth field of `stat`, behind a name that may hold anything.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = stat.get(stat.rfind(')')? + 1..)?;
    rest.split_whitespace().nth(1)?.parse().ok()
}
