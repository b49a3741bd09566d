//! Regular expressions, globs and literal searches, built within limits.
//!
//! Owns: how Falco's `regex`, `glob`, `contains` and `pmatch` become matchers,
//! and how much memory they may take.
//! Must not: know fields or positions; errors are only messages here.

use std::fmt;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use memchr::memmem;
use regex::bytes::{Regex, RegexBuilder};

use super::sets::PathSet;

/// Most patterns that one condition builds (a `regex` counts twice).
const MAX_PATTERNS: usize = 64;
/// Longest pattern in bytes.
const MAX_PATTERN: usize = 1024;
/// Most memory of one pattern's program.
const PATTERN_BYTES: usize = 64 << 10;
/// The same limits for files that somebody chose to load.
const MAX_FOREIGN_PATTERNS: usize = 256;
const FOREIGN_BYTES: usize = 512 << 10;

type Result<T> = std::result::Result<T, String>;

/// Builds patterns and counts them.
#[derive(Default)]
pub(super) struct Patterns {
    pub(super) built: usize,
    foreign: bool,
}

impl Patterns {
    pub(super) fn within(foreign: bool) -> Self {
        Self { built: 0, foreign }
    }

    /// Falco's `glob`: `*` crosses slashes.
    pub(super) fn glob(&mut self, glob: &str, fold: bool) -> Result<Regex> {
        let regex = glob_regex(glob, false)?;
        self.build(&regex, glob, fold)
    }

    /// Matches the whole value, as Falco's `regex` does. `.` is any byte: a
    /// newline or broken UTF-8 in an argument hides nothing.
    pub(super) fn whole(&mut self, pattern: &str, fold: bool) -> Result<Regex> {
        // First by itself: `a)|(b` must not close the group around it.
        self.build(pattern, pattern, fold)?;
        self.build(&format!("^(?:{pattern})$"), pattern, fold)
    }

    /// Paths and everything below them. Here `*` does not cross slashes.
    pub(super) fn paths<'a>(&mut self, items: impl Iterator<Item = &'a str>) -> Result<PathSet> {
        let mut exact = Vec::new();
        let mut patterns = Vec::new();
        for item in items {
            let path = item.strip_suffix('/').unwrap_or(item);
            if path.contains(['*', '?', '[']) {
                let regex = glob_regex(path, true)?;
                let body = regex.strip_suffix('$').unwrap_or(&regex);
                patterns.push(self.build(&format!("{body}(?:/.*)?$"), path, false)?);
            } else {
                exact.push(path.as_bytes().into());
            }
        }
        Ok(PathSet::new(exact, patterns))
    }

    fn build(&mut self, regex: &str, written: &str, fold: bool) -> Result<Regex> {
        self.built += 1;
        let (most, bytes) = if self.foreign {
            (MAX_FOREIGN_PATTERNS, FOREIGN_BYTES)
        } else {
            (MAX_PATTERNS, PATTERN_BYTES)
        };
        if self.built > most {
            return Err(format!("more than {most} patterns in a condition"));
        }
        if written.len() > MAX_PATTERN {
            return Err(format!("pattern longer than {MAX_PATTERN} bytes"));
        }
        // In the pattern itself, so that two patterns with the same text are the same.
        let folded = fold.then(|| format!("(?i){regex}"));
        RegexBuilder::new(folded.as_deref().unwrap_or(regex))
            .unicode(false)
            .dot_matches_new_line(true)
            .size_limit(bytes)
            .dfa_size_limit(bytes)
            .nest_limit(32)
            .build()
            .map_err(|error| message(&error))
    }
}

/// A literal that is searched for.
#[derive(Clone)]
pub(super) enum Finder {
    Exact(Box<memmem::Finder<'static>>),
    /// Any of these literals, in any ASCII case; they are in lower case.
    Fold(AhoCorasick, Box<[Box<[u8]>]>),
}

impl Finder {
    pub(super) fn is_match(&self, text: &[u8]) -> bool {
        match self {
            Self::Exact(finder) => finder.find(text).is_some(),
            Self::Fold(finder, _) => finder.is_match(text),
        }
    }
}

impl Finder {
    pub(super) fn literals(&self) -> Vec<Box<[u8]>> {
        match self {
            Self::Exact(finder) => vec![finder.needle().into()],
            Self::Fold(_, literals) => literals.to_vec(),
        }
    }
}

impl fmt::Debug for Finder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(finder) => f.debug_tuple("Exact").field(&finder.needle()).finish(),
            Self::Fold(_, literals) => f.debug_tuple("Fold").field(literals).finish(),
        }
    }
}

pub(super) fn finder(literal: &str, fold: bool) -> Result<Finder> {
    if !fold {
        return Ok(bytes_finder(literal.as_bytes()));
    }
    let literal = literal.to_ascii_lowercase().into_bytes();
    any_finder(&[literal.into()]).ok_or_else(|| "cannot search for this".to_owned())
}

/// A search for any of these literals, which are in lower case, in any case.
pub(super) fn any_finder(literals: &[Box<[u8]>]) -> Option<Finder> {
    let finder = AhoCorasick::builder()
        // A full automaton of a long literal would take megabytes.
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .ascii_case_insensitive(true)
        .build(literals)
        .ok()?;
    Some(Finder::Fold(finder, literals.into()))
}

/// Bytes that are searched for.
pub(super) fn bytes_finder(literal: &[u8]) -> Finder {
    Finder::Exact(Box::new(memmem::Finder::new(literal).into_owned()))
}

fn glob_regex(glob: &str, literal_separator: bool) -> Result<String> {
    if glob.len() > MAX_PATTERN {
        return Err(format!("pattern longer than {MAX_PATTERN} bytes"));
    }
    globset::GlobBuilder::new(glob)
        .literal_separator(literal_separator)
        .backslash_escape(true)
        .build()
        .map(|glob| glob.regex().to_owned())
        .map_err(|error| format!("bad glob: {}", error.kind()))
}

fn message(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "pattern needs too much memory".into(),
        // The last line of a syntax error says what it is, the rest draws it.
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            format!("bad pattern: {}", last.trim_start_matches("error: "))
        }
    }
}
