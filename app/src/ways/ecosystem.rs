//! What a project is written for.
//!
//! Owns: the files and programs that tell it, and the default phases.
//! Must not: read more of a folder than which files there are.

use std::ffi::OsStr;
use std::path::Path;

use super::phase::{self, Step};

/// What a project is written for; decides the default phases and the
/// registries that are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ecosystem {
    /// There is a package.json, or the command is one of node's.
    Node,
    /// There is a Python project, or the command is one of Python's.
    Python,
}

/// A file that tells an ecosystem.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) file: &'static str,
    pub(crate) ecosystem: Ecosystem,
}

/// Files that tell an ecosystem, in order.
pub(crate) const MARKS: &[Mark] = &[
    Mark {
        file: "package.json",
        ecosystem: Ecosystem::Node,
    },
    Mark {
        file: "pyproject.toml",
        ecosystem: Ecosystem::Python,
    },
    Mark {
        file: "setup.py",
        ecosystem: Ecosystem::Python,
    },
    Mark {
        file: REQUIREMENTS,
        ecosystem: Ecosystem::Python,
    },
];

/// Alone it is a list to install, not a package.
const REQUIREMENTS: &str = "requirements.txt";

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

/// The ecosystem that a command's first word tells.
pub(crate) fn of_program(word: &OsStr) -> Option<Ecosystem> {
    let program = Path::new(word).file_name()?;
    PROGRAMS
        .iter()
        .find(|(name, _)| program == *name)
        .map(|(_, ecosystem)| *ecosystem)
}

/// The marks in a folder.
pub(crate) fn marks(project: &Path) -> Vec<&'static Mark> {
    MARKS
        .iter()
        .filter(|mark| project.join(mark.file).is_file())
        .collect()
}

/// What to run where the user named no command. Nothing for an unknown ecosystem.
pub(crate) fn default_steps(marks: &[&Mark]) -> Vec<Step> {
    match marks.first() {
        None => Vec::new(),
        Some(mark) => match mark.ecosystem {
            Ecosystem::Node => phase::node(),
            Ecosystem::Python => phase::python(mark.file != REQUIREMENTS),
        },
    }
}
