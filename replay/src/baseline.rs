//! Baselines: what a kind of run ordinarily does, as data.
//!
//! Owns: their form, the built-in ones, and which one fits what ran. Must not:
//! read files, or judge: drift is told, and rules say what it means.

mod drift;
mod learn;
mod place;

#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};

use belljar_event::Text;
use serde::Deserialize;

pub use drift::{Dimension, Left};
pub(crate) use drift::{Drift, Held, Seen};
pub use learn::Learner;
use place::Place;

/// Longest file of baselines in bytes.
const MAX_FILE: usize = 256 << 10;
/// Most baselines in a file, and most items in each of their lists.
const MAX_ITEMS: usize = 1024;
/// Phases in which belljar itself asks the guest something.
const OWN_PHASES: &[&str] = &["scripts", "modules"];

const BUILTIN: &[(&str, &str)] = &[
    (
        "npm-install.yaml",
        include_str!("../baselines/npm-install.yaml"),
    ),
    (
        "pip-install.yaml",
        include_str!("../baselines/pip-install.yaml"),
    ),
    ("scripts.yaml", include_str!("../baselines/scripts.yaml")),
];

/// A file of baselines that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {message}")]
pub struct BaselineError {
    /// As the source was named.
    pub file: String,
    /// What is wrong, and where.
    pub message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    baselines: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    /// Base names without their version: `npm`, `pip`, `python`.
    programs: Vec<String>,
    /// First words after the program; none: any.
    #[serde(default)]
    verbs: Vec<String>,
    /// Only in the phase of this name.
    #[serde(default)]
    phase: Option<String>,
    expects: Expects,
    /// Policy lines by which connections are expected: `registry:*`.
    #[serde(default)]
    lines: Vec<String>,
    /// Hosts; each stands for all names below it, too.
    #[serde(default)]
    names: Vec<String>,
    /// Where files are written.
    files: Vec<String>,
    /// Base names of programs that are started.
    runs: Vec<String>,
}

/// How much of each there is at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expects {
    /// Connections.
    pub flows: u64,
    /// Lookups.
    pub names: u64,
    /// Files opened for writing, renamed, linked.
    pub files: u64,
    /// Programs started.
    pub processes: u64,
    /// From and to, in seconds of guest time.
    pub seconds: (u64, u64),
}

/// What a kind of run ordinarily does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// `npm-install`.
    pub name: String,
    /// At most so much.
    pub expects: Expects,
    /// It came from a file that somebody named.
    pub learned: bool,
    programs: Vec<String>,
    verbs: Vec<String>,
    phase: Option<String>,
    lines: Vec<String>,
    names: Vec<String>,
    files: Vec<Place>,
    runs: Vec<String>,
}

/// The baselines that a run may be held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baselines {
    list: Vec<Arc<Baseline>>,
    /// One for every phase, whatever runs in it.
    forced: Option<Arc<Baseline>>,
    /// blake3 of the file they came from.
    digest: Option<[u8; 32]>,
}

impl Baselines {
    /// Those that come with belljar, each for what it fits.
    #[must_use]
    pub fn builtin() -> Self {
        static BUILT: LazyLock<Vec<Arc<Baseline>>> = LazyLock::new(|| {
            let parsed = BUILTIN.iter().map(|(file, text)| {
                parse(file, text, false).unwrap_or_else(|error| {
                    #[expect(clippy::panic, reason = "compiled-in text, loaded by a test")]
                    {
                        panic!("built-in baselines: {error}")
                    }
                })
            });
            parsed.flatten().collect()
        });
        Self {
            list: BUILT.clone(),
            forced: None,
            digest: None,
        }
    }

    /// None at all.
    #[must_use]
    pub fn none() -> Self {
        Self {
            list: Vec::new(),
            forced: None,
            digest: None,
        }
    }

    /// The built-in one of this name, for every phase.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::builtin();
        let found = all.list.iter().find(|baseline| baseline.name == name);
        all.forced = Some(Arc::clone(found?));
        Some(all)
    }

    /// The text of the file that the built-in one of this name stands in.
    #[must_use]
    pub fn source(name: &str) -> Option<&'static str> {
        let has = |file: &str, text: &str| {
            let parsed = parse(file, text, false).unwrap_or_default();
            parsed.iter().any(|one| one.name == name)
        };
        let found = BUILTIN.iter().find(|(file, text)| has(file, text));
        found.map(|(_, text)| *text)
    }

    /// Names of the built-in ones.
    #[must_use]
    pub fn names() -> Vec<String> {
        let all = Self::builtin();
        all.list.iter().map(|one| one.name.clone()).collect()
    }

    /// Those of a file, each for what it fits. One alone holds for every phase
    /// that it does not name another for.
    ///
    /// # Errors
    /// What is wrong in it.
    pub fn load(file: &str, text: &str) -> Result<Self, BaselineError> {
        let list = parse(file, text, true)?;
        let forced = match list.as_slice() {
            [one] if one.phase.is_none() => Some(Arc::clone(one)),
            _ => None,
        };
        Ok(Self {
            list,
            forced,
            digest: Some(*blake3::hash(text.as_bytes()).as_bytes()),
        })
    }

    /// blake3 of the file that they came from; none for the built-in ones.
    #[must_use]
    pub fn digest(&self) -> Option<[u8; 32]> {
        self.digest
    }

    /// The one that fits a phase with this name and command.
    #[must_use]
    pub fn choose(&self, phase: &str, argv: &[Text]) -> Option<&Arc<Baseline>> {
        if OWN_PHASES.contains(&phase) {
            return None;
        }
        if self.forced.is_some() {
            return self.forced.as_ref();
        }
        let (program, verb) = ran(argv);
        self.list
            .iter()
            .find(|one| one.fits(phase, &program, &verb))
    }
}

impl Default for Baselines {
    fn default() -> Self {
        Self::builtin()
    }
}

impl Baseline {
    fn fits(&self, phase: &str, program: &str, verb: &str) -> bool {
        let has = |list: &[String], word: &str| list.iter().any(|known| known == word);
        has(&self.programs, program)
            && (self.verbs.is_empty() || has(&self.verbs, verb))
            && self.phase.as_deref().is_none_or(|wanted| wanted == phase)
    }

    fn expects_line(&self, line: &str) -> bool {
        self.lines.iter().any(|known| glob(known, line))
    }

    fn expects_name(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        self.names.iter().any(|known| {
            let rest = name.strip_suffix(known.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }

    fn expects_file(&self, path: &[u8]) -> bool {
        self.files.iter().any(|place| place.covers(path))
    }

    fn expects_program(&self, name: &str) -> bool {
        self.runs.iter().any(|known| glob(known, name))
    }
}

/// `word`, or `word*` for everything that begins so.
fn glob(pattern: &str, word: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(head) => word.starts_with(head),
        None => pattern == word,
    }
}

fn parse(file: &str, text: &str, learned: bool) -> Result<Vec<Arc<Baseline>>, BaselineError> {
    let wrong = |message: String| BaselineError {
        file: file.to_owned(),
        message,
    };
    if text.len() > MAX_FILE {
        return Err(wrong(format!("longer than {MAX_FILE} bytes")));
    }
    let raw: File = serde_saphyr::from_str(text).map_err(|error| {
        let said = error.to_string();
        wrong(said.lines().next().unwrap_or_default().to_owned())
    })?;
    if raw.baselines.is_empty() || raw.baselines.len() > MAX_ITEMS {
        return Err(wrong(format!("write 1 to {MAX_ITEMS} baselines")));
    }
    let made = raw.baselines.into_iter().map(|entry| {
        let name = entry.name.clone();
        made(entry, learned).map_err(|why| wrong(format!("baseline `{name}`: {why}")))
    });
    made.collect()
}

fn made(entry: Entry, learned: bool) -> Result<Arc<Baseline>, String> {
    let lists = [
        &entry.programs,
        &entry.verbs,
        &entry.lines,
        &entry.names,
        &entry.files,
        &entry.runs,
    ];
    if lists.iter().any(|list| list.len() > MAX_ITEMS) {
        return Err(format!("a list has more than {MAX_ITEMS} items"));
    }
    if entry.name.is_empty() || entry.programs.is_empty() {
        return Err("it needs a name and programs".to_owned());
    }
    let files: Result<Vec<_>, String> = entry.files.iter().map(|text| Place::parse(text)).collect();
    Ok(Arc::new(Baseline {
        name: entry.name,
        expects: entry.expects,
        learned,
        programs: entry.programs,
        verbs: entry.verbs,
        phase: entry.phase,
        lines: entry.lines,
        names: entry
            .names
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .collect(),
        files: files?,
        runs: entry.runs,
    }))
}

/// What a command runs: program without folder and version, and the word after
/// it. `sh -c` is looked into, `python -m pip` is pip.
pub(crate) fn ran(argv: &[Text]) -> (String, String) {
    let mut words: Vec<String> = argv
        .iter()
        .take(64)
        .map(|arg| arg.lossy().into_owned())
        .collect();
    let is_shell = |word: &String| ["sh", "bash", "dash"].contains(&base(word).as_str());
    if let [shell, flag, line, ..] = words.as_slice()
        && is_shell(shell)
        && flag.starts_with('-')
        && flag.ends_with('c')
    {
        words = line
            .split_whitespace()
            .take(64)
            .map(str::to_owned)
            .collect();
    }
    let is_setting = |word: &String| {
        let name = word.split('=').next().unwrap_or_default();
        word.contains('=')
            && !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let mut rest = words
        .iter()
        .skip_while(|word| is_setting(word) || base(word) == "env");
    let mut program = rest.next().map(base).unwrap_or_default();
    let rest: Vec<&String> = rest.collect();
    let mut rest = rest.as_slice();
    if let ("python", [flag, module, more @ ..]) = (program.as_str(), rest)
        && *flag == "-m"
    {
        program = base(module);
        rest = more;
    }
    let verb = rest.iter().find(|word| !word.starts_with('-'));
    (
        program,
        verb.map(|word| (*word).clone()).unwrap_or_default(),
    )
}

/// Base name, and of `python3.11` and `pip3` without the version.
fn base(word: &String) -> String {
    let name = word.rsplit('/').next().unwrap_or_default();
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    match bare {
        "python" | "pip" | "node" => bare.to_owned(),
        _ => name.to_owned(),
    }
}
