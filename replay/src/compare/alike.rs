//! What differs between two runs of the same thing and means nothing: process
//! ids, times, random names, digests in paths, the payload's name.
//!
//! Owns: the table of such things, and replacing them by `#` and the like.
//! Must not: fold more than it says; each row has a name, and a test of what it
//! takes and what it leaves.

use std::sync::LazyLock;

use regex::{Captures, Regex, RegexSet};

use belljar_event::Decoys;

/// One thing that is folded.
#[derive(Clone, Copy, Debug)]
pub struct Folded {
    /// What it is.
    pub name: &'static str,
    /// What it looks like; `id`, where it is named, is what chance has chosen.
    pattern: &'static str,
    /// What stands there instead.
    with: &'static str,
    /// What `id` must look like besides, so that a plain word stays.
    mixed: bool,
}

const fn fold(name: &'static str, pattern: &'static str, with: &'static str) -> Folded {
    Folded {
        name,
        pattern,
        with,
        mixed: false,
    }
}

/// Only where `id` is no plain word: one of a digit or a capital is in it.
const fn random(name: &'static str, pattern: &'static str, with: &'static str) -> Folded {
    Folded {
        name,
        pattern,
        with,
        mixed: true,
    }
}

/// In this order: what is narrow comes before what is wide.
const FOLDS: &[Folded] = &[
    fold("process in /proc", r"/proc/\d+", "/proc/#"),
    fold("thread in /proc", r"/task/\d+", "/task/#"),
    fold("terminal", r"/dev/pts/\d+", "/dev/pts/#"),
    fold(
        "number of a pipe or socket",
        r"\b(pipe|socket|anon_inode):\[\d+\]",
        "$1:[#]",
    ),
    fold(
        "npm's folder for what it downloads",
        r"(_cacache/tmp/)[0-9a-f]{8}[^/\s]*",
        "$1#",
    ),
    fold(
        "npm's cache: what stands in it is named by digests",
        r"(_cacache/(?:content-v2|index-v5))/[^\s]+",
        "$1/#",
    ),
    fold(
        "node's cache of compiled files",
        r"(/node-compile-cache/)[^\s]+",
        "$1#",
    ),
    fold(
        "npm's log, called by the time",
        r"(_logs/)\d{4}-\d\d-\d\dT[0-9_.:]+Z-",
        "$1#-",
    ),
    random(
        "npm's name for a package that moves away",
        r"(node_modules/(?:@[^/\s]+/)?\.[^/\s]+-)(?P<id>[A-Za-z0-9]{8})\b",
        "$1#",
    ),
    fold(
        "Python's names for temporary files",
        r"(/tmp)[a-z0-9_]{8}\b",
        "$1#",
    ),
    fold(
        "pip's temporary folders",
        r"\b(pip-(?:[a-z]+-)+)[a-z0-9_]{8}\b",
        "$1#",
    ),
    fold(
        "pip's files before they have their name",
        r"[a-z0-9_]{8}(\.tmp)\b",
        "#$1",
    ),
    fold("Python's bytecode on its way", r"(\.pyc)\.\d+", "$1.#"),
    random(
        "the compiler's temporary files",
        r"(/tmp/cc)(?P<id>[A-Za-z0-9]{6})\b",
        "$1#",
    ),
    fold("mktemp's names", r"(/tmp/tmp\.)[A-Za-z0-9]{10}\b", "$1#"),
    random(
        "mkdtemp's names",
        r"(/tmp/[^/\s]*[-_.])(?P<id>[A-Za-z0-9]{6})\b",
        "$1#",
    ),
    fold(
        "uuid",
        r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b",
        "#uuid",
    ),
    fold("digest in hex", r"\b[0-9a-f]{32,128}\b", "#digest"),
    fold(
        "digest in base64",
        r"\bsha(?:1|256|384|512)-[A-Za-z0-9+/_-]{27,88}={0,2}",
        "#digest",
    ),
    fold(
        "date and time",
        r"\b\d{4}-\d\d-\d\d[T _]\d\d[:_]\d\d[:_]\d\d(?:[._]\d+)?Z?",
        "#time",
    ),
    fold(
        "seconds since 1970",
        r"\b1[4-9]\d{8}(?:[.]?\d{3,9})?\b",
        "#time",
    ),
    fold(
        "a port that the kernel chose",
        r"\b(127\.0\.0\.1|localhost|::1\]?):(?:3[3-9]\d{3}|32[89]\d\d|[45]\d{4}|6[0-5]\d{3})\b",
        "$1:#",
    ),
];

/// Every thing that is folded, by name.
pub fn folds() -> impl Iterator<Item = &'static str> {
    let own = [
        "the payload's home",
        "canary",
        "a file in /tmp of eight random letters that was made, removed, and never read",
    ];
    own.into_iter().chain(FOLDS.iter().map(|row| row.name))
}

struct Table {
    set: RegexSet,
    rows: Vec<(Regex, Folded)>,
}

static TABLE: LazyLock<Option<Table>> = LazyLock::new(|| {
    let patterns = FOLDS.iter().map(|row| row.pattern);
    let row = |row: &Folded| Some((Regex::new(row.pattern).ok()?, *row));
    Some(Table {
        set: RegexSet::new(patterns).ok()?,
        rows: FOLDS.iter().map(row).collect::<Option<_>>()?,
    })
});

/// True if the table holds patterns that can be used; a test asks.
#[cfg(test)]
pub(crate) fn compiles() -> bool {
    TABLE.is_some()
}

/// A pattern of the user's that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is no pattern: {why}")]
pub struct FoldError {
    /// As it was typed.
    pub pattern: String,
    /// What is wrong with it.
    pub why: String,
}

/// Longest pattern of a user's.
const MAX_PATTERN: usize = 1000;
/// Canaries that are looked for.
const MAX_CANARIES: usize = 256;

/// What is folded in one run: the table's rows, and what is this run's own.
#[derive(Clone, Debug, Default)]
pub struct Alike {
    home: Option<String>,
    canaries: Vec<(String, String)>,
    more: Vec<Regex>,
}

impl Alike {
    /// With patterns of the user's, each of which becomes `#`.
    ///
    /// # Errors
    /// The first that is no regular expression.
    pub fn with(patterns: &[String]) -> Result<Self, FoldError> {
        let compile = |pattern: &String| {
            let fail = |why: String| FoldError {
                pattern: pattern.clone(),
                why,
            };
            if pattern.is_empty() || pattern.len() > MAX_PATTERN {
                return Err(fail(format!("it must have 1 to {MAX_PATTERN} bytes")));
            }
            Regex::new(pattern).map_err(|error| {
                let said = error.to_string();
                fail(said.lines().last().unwrap_or_default().trim().to_owned())
            })
        };
        Ok(Self {
            more: patterns.iter().map(compile).collect::<Result<_, _>>()?,
            ..Self::default()
        })
    }

    /// The decoys tell the payload's home, and hold its canaries.
    pub(super) fn decoys(&mut self, decoys: &Decoys) {
        for decoy in decoys.decoys.iter().take(MAX_CANARIES) {
            if self.home.is_none() {
                self.home = home_of(&decoy.path.lossy());
            }
            if decoy.canary.len() >= 8 && self.canaries.len() < MAX_CANARIES {
                let kind = format!("#canary({})", decoy.kind);
                self.canaries.push((decoy.canary.clone(), kind));
            }
        }
    }

    /// A text as all runs of the same thing have it.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (canary, kind) in &self.canaries {
            if text.contains(canary.as_str()) {
                text = text.replace(canary.as_str(), kind);
            }
        }
        if let Some(home) = &self.home {
            text = whole(&text, home, "~");
        }
        if let Some(table) = &*TABLE {
            for at in table.set.matches(&text) {
                if let Some((pattern, row)) = table.rows.get(at) {
                    text = replace(&text, pattern, row);
                }
            }
        }
        for pattern in &self.more {
            text = pattern.replace_all(&text, "#").into_owned();
        }
        text
    }
}

/// A file that a program makes to have room without a name: Python's
/// `TemporaryFile`. Only what was made and removed, and neither opened again nor
/// executed, may be folded so: the letters alone may be a word.
#[must_use]
pub(super) fn roomy(path: &str, states: &[&str]) -> bool {
    let name = path
        .strip_prefix("/tmp/")
        .or_else(|| path.strip_prefix("/var/tmp/"));
    let random = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.is_some_and(|name| name.len() == 8 && name.chars().all(random))
        && states.contains(&"made")
        && states.contains(&"removed")
        && !states.contains(&"read")
}

fn replace(text: &str, pattern: &Regex, row: &Folded) -> String {
    let with = |found: &Captures<'_>| {
        let whole = found.get(0).map_or("", |all| all.as_str());
        let id = found.name("id").map_or("", |id| id.as_str());
        let plain = !id
            .bytes()
            .any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
        if row.mixed && plain {
            return whole.to_owned();
        }
        let mut out = String::new();
        found.expand(row.with, &mut out);
        out
    };
    pattern.replace_all(text, with).into_owned()
}

/// Replaces `part` where a path's component, or the text, ends behind it.
fn whole(text: &str, part: &str, with: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(part) {
        let (before, found) = rest.split_at(at);
        out.push_str(before);
        let after = found.get(part.len()..).unwrap_or_default();
        let ends = !after.starts_with(|c: char| c.is_alphanumeric() || "._-@+".contains(c));
        out.push_str(if ends { with } else { part });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// `/home/sam` of `/home/sam/.ssh/id_rsa`; `/root` too.
fn home_of(path: &str) -> Option<String> {
    let mut parts = path.split('/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(""), Some("home"), Some(user)) if !user.is_empty() => Some(format!("/home/{user}")),
        (Some(""), Some("root"), Some(_)) => Some("/root".to_owned()),
        _ => None,
    }
}
