//! How many credentials a branch of the process tree has asked for.
//!
//! Owns: distinct credential paths and kinds per branch. Must not: judge; one
//! program that looks for its own token is no sweep, and a rule says how many are.

use std::sync::Arc;

use super::Map;
use super::files::FileState;

/// More branches are not followed: the first ones are.
const MAX_BRANCHES: usize = 4096;
/// Paths told apart per branch.
const MAX_PATHS: usize = 64;
/// Credentials that ordinary programs look for by the handful: frameworks try
/// every variant of `.env`, interpreters and shells their histories.
const ORDINARY: &[&str] = &["environment file", "shell history"];

/// What a branch asked for.
#[derive(Clone, Debug, Default)]
struct Sweep {
    paths: Vec<Arc<[u8]>>,
    kinds: Vec<Arc<str>>,
}

/// All branches. Cloning shares everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sweeps {
    branches: Map<u64, Arc<Sweep>>,
}

impl Sweeps {
    /// A process of this branch did something with this path, or tried to.
    pub(crate) fn touched(&mut self, branch: u64, file: &FileState) {
        let decoy = file.decoy.as_ref().map(|decoy| decoy.kind.as_str());
        let kind = match (decoy, file.credential) {
            (Some(kind), _) => kind,
            (None, Some(kind)) if !ORDINARY.contains(&kind) => kind,
            (None, _) => return,
        };
        if !self.branches.contains_key(&branch) && self.branches.len() >= MAX_BRANCHES {
            return;
        }
        let sweep = self.branches.entry(branch).or_default();
        if sweep.paths.len() >= MAX_PATHS || sweep.paths.contains(&file.path) {
            return;
        }
        let sweep = Arc::make_mut(sweep);
        sweep.paths.push(Arc::clone(&file.path));
        if !sweep.kinds.iter().any(|known| &**known == kind) {
            sweep.kinds.push(kind.into());
        }
    }

    /// Distinct paths and kinds that this branch asked for.
    pub(crate) fn counts(&self, branch: u64) -> (u64, u64) {
        let count = |sweep: &Arc<Sweep>| (sweep.paths.len() as u64, sweep.kinds.len() as u64);
        self.branches.get(&branch).map_or((0, 0), count)
    }
}
