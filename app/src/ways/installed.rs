//! The event about an install's scripts: what the guest answered, against what
//! was seen to run.
//!
//! Owns: making it. Must not: believe an answer further than as text.

use belljar_event::{InstallScript, Installed, Text};

use super::answer;
use super::phase::{MODULES, SCRIPTS};
use super::transcript::Transcript;

/// Longest command that the phase that asks sends.
const CUT: usize = 300;

/// What to record when this phase has answered.
pub(crate) fn of(phase: &str, said: &Transcript) -> Option<Installed> {
    match phase {
        SCRIPTS => Some(npm(said)),
        MODULES => Some(pip(said)),
        _ => None,
    }
}

fn npm(said: &Transcript) -> Installed {
    let found = said.of(SCRIPTS).and_then(answer::scripts);
    let mut installed = Installed {
        client: "npm".to_owned(),
        answered: found.is_some(),
        packages: 0,
        scripts: Vec::new(),
        more: 0,
    };
    let Some(found) = found else {
        return installed;
    };
    installed.packages = found.packages;
    installed.more = found.more;
    for package in &found.scripts {
        for (script, command) in package.scripts.iter().take(3) {
            let cut = command.chars().count() >= CUT;
            installed.scripts.push(InstallScript {
                package: Text::new(package.name.as_bytes()),
                version: Some(Text::new(package.version.as_bytes())),
                script: script.chars().take(32).collect(),
                command: Text::new(command.as_bytes()),
                ran: said.seen().ran(&package.name, command, cut),
            });
        }
    }
    // What the guest sends is less; whatever else it sends is no answer.
    installed.scripts.truncate(600);
    installed
}

/// Wheels run nothing when they are installed: what runs is what builds them.
fn pip(said: &Transcript) -> Installed {
    let found = said.of(MODULES).and_then(answer::modules);
    let (scripts, more) = said.seen().builds();
    Installed {
        client: "pip".to_owned(),
        answered: found.is_some(),
        packages: found.map_or(0, |found| found.packages),
        scripts,
        more,
    }
}
