//! Many paths as a few folders.
//!
//! Owns: which folders stand for what was written below them.
//! Must not: cover a path that is not learned.

use std::collections::{BTreeMap, BTreeSet};

use super::{Done, Events};

/// An object of a line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Spot {
    /// This path.
    Path(String),
    /// Everything below this folder, whose name has no slash at its end.
    Below(String),
}

/// Folders that are never taken as a whole.
const TOO_WIDE: &[&str] = &[
    "",
    "~",
    "/home",
    "/usr",
    "/etc",
    "/var",
    "/dev",
    "~/.config",
];

/// A name with so many digits is another in each run: a time, a number, a digest.
const DIGITS: usize = 8;

/// The paths, with each folder that has more than `most` different children among them,
/// or children whose names vary, as one spot. No such folder has one of `never` below it.
pub(super) fn folded<'a>(
    done: impl Iterator<Item = (&'a str, &'a Done)>,
    never: &BTreeSet<String>,
    most: usize,
) -> BTreeMap<Spot, Done> {
    let all: BTreeMap<&str, &Done> = done.collect();
    let mut children: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for path in all.keys() {
        for (above, child) in steps(path) {
            children.entry(above).or_default().insert(child);
        }
    }
    let kept = |folder: &str| {
        let below = format!("{folder}/");
        !TOO_WIDE.contains(&folder) && !never.iter().any(|path| path.starts_with(&below))
    };
    let whole: BTreeSet<&str> = children
        .iter()
        .filter(|(folder, below)| {
            let vary = below.iter().any(|child| varies(child));
            (below.len() > most || vary || **folder == "/proc") && kept(folder)
        })
        .map(|(folder, _)| *folder)
        .collect();
    let mut spots: BTreeMap<Spot, Done> = BTreeMap::new();
    for (path, done) in all {
        let folder = steps(path)
            .map(|(above, _)| above)
            .find(|above| whole.contains(above));
        let spot = match folder {
            Some(folder) => Spot::Below(folder.to_owned()),
            None => Spot::Path(path.to_owned()),
        };
        let sum = spots.entry(spot).or_default();
        sum.ops |= done.ops;
        sum.events.join(&done.events);
    }
    spots
}

fn varies(name: &str) -> bool {
    name.bytes().filter(u8::is_ascii_digit).count() >= DIGITS
}

impl Events {
    pub(super) fn join(&mut self, other: &Self) {
        self.count += other.count;
        self.few.extend(other.few.iter().cloned());
        while self.few.len() > super::MAX_EVENTS {
            self.few.pop_last();
        }
    }
}

/// Each folder above a path, the highest first, with the path's part in it.
fn steps(path: &str) -> impl Iterator<Item = (&str, &str)> {
    path.match_indices('/').filter_map(move |(at, _)| {
        let rest = path.get(at + 1..)?;
        let child = rest.split('/').next()?;
        Some((path.get(..at)?, child))
    })
}
