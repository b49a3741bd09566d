//! The project that is to be run: what it is, and what of it goes into the guest.
//!
//! Owns: ecosystem detection, the choice of files, the archive.
//! Must not: change anything in the project, or follow a link out of it.

mod credential;
mod pack;
#[cfg(test)]
mod tests;

pub(crate) use pack::{PackError, pack};

use std::ffi::OsString;
use std::path::Path;

/// What a project is written for; decides the default command and the
/// registries that are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ecosystem {
    /// There is a package.json, or the command is one of node's.
    Node,
    /// There is a Python project, or the command is one of Python's.
    Python,
    /// Anything else.
    Other,
}

/// Files that tell an ecosystem, in order.
const MARKS: &[(&str, Ecosystem)] = &[
    ("package.json", Ecosystem::Node),
    ("pyproject.toml", Ecosystem::Python),
    ("setup.py", Ecosystem::Python),
    ("requirements.txt", Ecosystem::Python),
];

/// Programs that tell an ecosystem.
const PROGRAMS: &[(&str, Ecosystem)] = &[
    ("npm", Ecosystem::Node),
    ("npx", Ecosystem::Node),
    ("node", Ecosystem::Node),
    ("pip", Ecosystem::Python),
    ("pip3", Ecosystem::Python),
    ("python", Ecosystem::Python),
    ("python3", Ecosystem::Python),
];

/// The ecosystem of a command, else of a folder.
pub(crate) fn detect(project: &Path, argv: &[OsString]) -> Ecosystem {
    let program = argv.first().and_then(|word| Path::new(word).file_name());
    let by_program = PROGRAMS
        .iter()
        .find(|(name, _)| program.is_some_and(|p| p == *name));
    let by_file = || MARKS.iter().find(|(name, _)| project.join(name).is_file());
    by_program
        .or_else(by_file)
        .map_or(Ecosystem::Other, |(_, ecosystem)| *ecosystem)
}

/// The command to run where the user named none.
pub(crate) fn default_command(ecosystem: Ecosystem) -> Option<Vec<OsString>> {
    match ecosystem {
        Ecosystem::Node => Some(vec!["npm".into(), "install".into()]),
        Ecosystem::Python | Ecosystem::Other => None,
    }
}
