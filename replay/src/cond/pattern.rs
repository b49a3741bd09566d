//! Regular expressions, globs and literal searches, built within limits.
//!
//! Owns: how Falco's `regex`, `glob`, `contains` and `pmatch` become matchers,
//! and how much memory they may take.
//! Must not: know fields or positions; errors are only messages here.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::bytes::{Regex, RegexBuilder};

use super::sets::PathSet;

/// Most patterns that one condition builds (a `regex` counts twice).
const MAX_PATTERNS: usize = 64;
/// Longest pattern in bytes.
const MAX_PATTERN: usize = 1024;
/// Most memory of one pattern's program.
const PATTERN_BYTES: usize = 64 << 10;

type Result<T> = std::result::Result<T, String>;

/// Builds patterns and counts them.
#[derive(Default)]
pub(super) struct Patterns {
    pub(super) built: usize,
}

impl Patterns {
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
        if self.built > MAX_PATTERNS {
            return Err(format!("more than {MAX_PATTERNS} patterns in a condition"));
        }
        if written.len() > MAX_PATTERN {
            return Err(format!("pattern longer than {MAX_PATTERN} bytes"));
        }
        RegexBuilder::new(regex)
            .unicode(false)
            .dot_matches_new_line(true)
            .case_insensitive(fold)
            .size_limit(PATTERN_BYTES)
            .dfa_size_limit(PATTERN_BYTES)
            .nest_limit(32)
            .build()
            .map_err(|error| message(&error))
    }
}

/// A literal that is searched for.
pub(super) fn finder(literal: &str, fold: bool) -> Result<AhoCorasick> {
    AhoCorasick::builder()
        // A full automaton of a long literal would take megabytes.
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .ascii_case_insensitive(fold)
        .build([literal.as_bytes()])
        .map_err(|error| format!("cannot search for this: {error}"))
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
