//! What an install was seen to run: shell commands in packages' folders, and
//! builds of Python packages with the backend that made them.
//!
//! Owns: the bounded collection. It holds what the guest's kernel reported, not
//! what a package says of itself.

use std::collections::{BTreeMap, BTreeSet};

use belljar_event::{Event, Exec, Fact, InstallScript, Open, Text};

/// Shell commands and builds kept; more are not looked at.
const MAX: usize = 4096;
/// Builds that are told.
const MAX_BUILDS: usize = 200;
/// Longest command kept, in bytes.
const MAX_COMMAND: usize = 1024;

/// Files of build backends, without `__pycache__`, and what each is called.
const BACKENDS: &[(&str, &str)] = &[
    ("/setuptools/build_meta.", "setuptools.build_meta"),
    ("/hatchling/build.", "hatchling.build"),
    ("/flit_core/buildapi.", "flit_core.buildapi"),
    ("/poetry/core/masonry/api.", "poetry.core.masonry.api"),
    ("/pdm/backend/__init__.", "pdm.backend"),
    ("/mesonpy/__init__.", "mesonpy"),
    ("/maturin/__init__.", "maturin"),
    (
        "/scikit_build_core/build/__init__.",
        "scikit_build_core.build",
    ),
    ("/uv_build/__init__.", "uv_build"),
];
/// pip's own program that calls a backend; the step is the word behind it.
const CALLER: &str = "_in_process.py";
/// In the program by which pip calls a setup.py without a backend.
const LEGACY: &str = "<pip-setuptools-caller>";

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Folder and command of each `sh -c`.
    commands: BTreeSet<(Vec<u8>, Vec<u8>)>,
    /// By folder.
    builds: BTreeMap<String, Build>,
    /// The folder that a process builds in.
    builders: BTreeMap<u32, String>,
}

#[derive(Clone, Debug, Default)]
struct Build {
    steps: BTreeSet<String>,
    backend: Option<&'static str>,
    setup: bool,
}

impl Seen {
    /// Takes the next event.
    pub(crate) fn push(&mut self, event: &Event) {
        if !event.outcome.succeeded() {
            return;
        }
        match &event.fact {
            Fact::Exec(exec) => self.executed(event.pid, exec),
            Fact::Open(open) if !self.builders.is_empty() => self.opened(event.pid, open),
            Fact::Exit(_) => drop(self.builders.remove(&event.pid)),
            _ => {}
        }
    }

    fn executed(&mut self, pid: u32, exec: &Exec) {
        let folder = exec.cwd.as_ref().map(Text::bytes).unwrap_or_default();
        if let [_, option, command, ..] = exec.argv.as_slice()
            && option.bytes() == b"-c"
            && self.commands.len() < MAX
        {
            let command = command.bytes();
            let kept = command.get(..MAX_COMMAND).unwrap_or(command);
            self.commands.insert((folder.to_vec(), kept.to_vec()));
        }
        let Some((step, setup)) = step(exec) else {
            return;
        };
        let folder = String::from_utf8_lossy(folder).into_owned();
        if self.builds.len() >= MAX || self.builders.len() >= MAX {
            return;
        }
        let build = self.builds.entry(folder.clone()).or_default();
        build.setup |= setup;
        if build.steps.len() < 8 {
            build.steps.insert(step);
        }
        self.builders.insert(pid, folder);
    }

    fn opened(&mut self, pid: u32, open: &Open) {
        let Some(folder) = self.builders.get(&pid) else {
            return;
        };
        let Some(build) = self.builds.get_mut(folder) else {
            return;
        };
        let path = open.file.as_ref().unwrap_or(&open.path).lossy();
        let path = path.replace("/__pycache__/", "/");
        if path.strip_prefix(folder.as_str()) == Some("/setup.py") {
            build.setup = true;
        }
        let found = BACKENDS.iter().find(|(file, _)| path.contains(file));
        if let Some((_, backend)) = found {
            build.backend.get_or_insert(backend);
        }
    }

    /// True if a shell ran this command in the package's folder.
    pub(crate) fn ran(&self, package: &str, command: &str, cut: bool) -> bool {
        let end = format!("/node_modules/{package}");
        let mut in_folder = self
            .commands
            .iter()
            .filter(|(folder, _)| folder.ends_with(end.as_bytes()));
        in_folder.any(|(_, ran)| {
            ran == command.as_bytes() || (cut && ran.starts_with(command.as_bytes()))
        })
    }

    /// The builds, one row each, and how many are beyond those.
    pub(crate) fn builds(&self) -> (Vec<InstallScript>, u64) {
        let rows = self.builds.iter().take(MAX_BUILDS);
        let rows: Vec<InstallScript> = rows.map(|(folder, build)| row(folder, build)).collect();
        let beyond = self.builds.len().saturating_sub(rows.len()) as u64;
        (rows, beyond)
    }
}

/// The step of a build that a program is, and whether it is a setup.py for sure.
fn step(exec: &Exec) -> Option<(String, bool)> {
    let words: Vec<_> = exec.argv.iter().take(16).map(Text::lossy).collect();
    let plain = |word: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        word.len() <= 64 && !word.is_empty() && word.chars().all(plain)
    };
    let caller = words.iter().position(|word| word.ends_with(CALLER));
    if let Some(at) = caller {
        let step = words.get(at.checked_add(1)?)?;
        return plain(step).then(|| (step.to_string(), false));
    }
    let at = words.iter().position(|word| word.contains(LEGACY))?;
    let step = words.get(at.checked_add(1)?)?;
    plain(step).then(|| (step.to_string(), true))
}

fn row(folder: &str, build: &Build) -> InstallScript {
    let script = match (build.backend, build.setup) {
        (Some(backend), true) => format!("{backend}, setup.py"),
        (Some(backend), false) => backend.to_owned(),
        (None, true) => "setup.py".to_owned(),
        (None, false) => "a build backend".to_owned(),
    };
    let steps: Vec<&str> = build.steps.iter().map(String::as_str).collect();
    InstallScript {
        package: Text::new(package(folder).as_bytes()),
        version: None,
        script,
        command: Text::new(steps.join(", ").as_bytes()),
        ran: true,
    }
}

/// pip unpacks into `pip-install-X/NAME_HASH`; a project is built where it lies.
fn package(folder: &str) -> &str {
    let (above, base) = folder.rsplit_once('/').unwrap_or(("", folder));
    let unpacked = above
        .rsplit('/')
        .next()
        .is_some_and(|name| name.starts_with("pip-install-"));
    match base.rsplit_once('_') {
        Some((name, _)) if unpacked => name,
        _ => base,
    }
}
