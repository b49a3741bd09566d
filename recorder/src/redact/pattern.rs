//! What is to be redacted: globs, names, networks, regular expressions.
//!
//! Owns: their syntax and what of a text each matches. Must not: replace anything.

use std::net::IpAddr;
use std::ops::Range;

use globset::{GlobBuilder, GlobMatcher};
use ipnet::IpNet;
use regex::bytes::{Regex, RegexBuilder};

use super::{Kind, RedactError};
use crate::visit::Role;

/// Most memory of one regular expression.
const REGEX_BYTES: usize = 4 << 20;
/// Longest path that is looked at, and most components of it.
const MAX_PATH: usize = 4096;
const MAX_PARTS: usize = 64;

/// What to redact.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    paths: Vec<GlobMatcher>,
    names: Vec<GlobMatcher>,
    exact: Vec<String>,
    nets: Vec<IpNet>,
    texts: Vec<Regex>,
    home: bool,
    listed: Vec<String>,
}

/// Something in a text that a pattern matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) at: Range<usize>,
    pub(super) kind: Kind,
}

impl Patterns {
    /// A path glob: `*` stays within one folder, `**` does not. A folder's glob
    /// hides the folder's name; what is below it needs `/**`. Without a leading
    /// slash it matches anywhere.
    ///
    /// # Errors
    /// If it is no glob.
    pub fn path(&mut self, glob: &str) -> Result<(), RedactError> {
        let anywhere = format!("**/{glob}");
        let rooted = if glob.starts_with('/') || glob.starts_with("**") {
            glob
        } else {
            &anywhere
        };
        self.paths.push(matcher("path", glob, rooted, false)?);
        self.listed.push(format!("path {glob}"));
        Ok(())
    }

    /// A host name or a glob of one (`*.corp.example`).
    ///
    /// # Errors
    /// If it is no glob.
    pub fn name(&mut self, glob: &str) -> Result<(), RedactError> {
        self.names.push(matcher("name", glob, glob, true)?);
        if !glob.contains(['*', '?', '[', '{', '\\']) && !glob.is_empty() {
            self.exact.push(glob.to_ascii_lowercase());
        }
        self.listed.push(format!("name {glob}"));
        Ok(())
    }

    /// An address or a network (`10.0.0.0/8`).
    ///
    /// # Errors
    /// If it is neither.
    pub fn address(&mut self, net: &str) -> Result<(), RedactError> {
        let parsed = net
            .parse::<IpNet>()
            .or_else(|error| net.parse::<IpAddr>().map(IpNet::from).map_err(|_| error));
        let parsed = parsed.map_err(|error| bad("address", net, error.to_string()))?;
        self.nets.push(parsed);
        self.listed.push(format!("address {net}"));
        Ok(())
    }

    /// A regular expression over bytes, for output and every other text.
    ///
    /// # Errors
    /// If it is none, or too large, or matches nothing at all.
    pub fn output(&mut self, regex: &str) -> Result<(), RedactError> {
        let built = RegexBuilder::new(regex).size_limit(REGEX_BYTES).build();
        let built = built.map_err(|error| bad("output", regex, error.to_string()))?;
        if built.is_match(b"") {
            return Err(bad("output", regex, "it matches the empty text".into()));
        }
        self.texts.push(built);
        self.listed.push(format!("output {regex}"));
        Ok(())
    }

    /// Home folders: the name behind `/home/`.
    pub fn home(&mut self) {
        self.home = true;
        self.listed.push("preset home".into());
    }

    /// Host names that a preset stands for; the names themselves are not listed.
    pub fn hosts(&mut self, preset: &str, names: impl IntoIterator<Item = String>) {
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            self.exact.push(name.to_ascii_lowercase());
        }
        self.listed.push(format!("preset {preset}"));
    }

    /// True if nothing was asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// Each pattern in words, as the start record lists them.
    #[must_use]
    pub fn listed(&self) -> &[String] {
        &self.listed
    }

    pub(super) fn exact(&self) -> &[String] {
        &self.exact
    }

    pub(super) fn holds(&self, ip: IpAddr) -> bool {
        let canonical = ip.to_canonical();
        self.nets
            .iter()
            .any(|net| net.contains(&ip) || net.contains(&canonical))
    }

    /// Everything in a text that a pattern matches.
    pub(super) fn find(&self, role: Role, text: &[u8], found: &mut dyn FnMut(Found)) {
        if role == Role::Path {
            self.path_at(text, 0..text.len(), found);
        }
        self.find_paths(text, found);
        self.find_names(text, found);
        self.find_addresses(text, found);
        for regex in &self.texts {
            for at in regex.find_iter(text).filter(|at| !at.is_empty()) {
                let (at, kind) = (at.range(), Kind::Text);
                found(Found { at, kind });
            }
        }
    }

    /// How much of a path a glob matches: the longest front part that ends with a component.
    pub(super) fn longest(&self, path: &[u8]) -> Option<(usize, Kind)> {
        if self.paths.is_empty() && !self.home {
            return None;
        }
        let path = path.get(..MAX_PATH).unwrap_or(path);
        let ends = (1..=path.len()).filter(|end| matches!(path.get(*end), None | Some(b'/')));
        let mut best = None;
        for (parts, end) in ends.take(MAX_PARTS).enumerate() {
            let front = path.get(..end).unwrap_or_default();
            if front.ends_with(b"/") {
                continue;
            }
            // The first part of an absolute path is what follows the first slash.
            let is_home = parts == 1 && front.starts_with(b"/home/");
            if self.home && is_home && best.is_none() {
                best = Some((end, Kind::Home));
            }
            if self.matches_path(front) {
                best = Some((end, Kind::Path));
            }
        }
        best.filter(|(end, _)| *end > 1)
    }

    fn matches_path(&self, path: &[u8]) -> bool {
        // Globs are over text; bytes that are none match as replacement characters.
        let shown = String::from_utf8_lossy(path);
        self.paths.iter().any(|glob| glob.is_match(&*shown))
    }

    fn path_at(&self, text: &[u8], token: Range<usize>, found: &mut dyn FnMut(Found)) {
        let path = text.get(token.clone()).unwrap_or_default();
        if let Some((length, kind)) = self.longest(path) {
            let at = token.start..token.start.saturating_add(length);
            found(Found { at, kind });
        }
    }

    /// Words that may be paths, from their beginning and from each slash in them on.
    fn find_paths(&self, text: &[u8], found: &mut dyn FnMut(Found)) {
        if self.paths.is_empty() && !self.home {
            return;
        }
        let ends = |byte: &u8| {
            byte.is_ascii_whitespace()
                || byte.is_ascii_control()
                || b"\"'`<>()[]{}|;,:=&?*#$".contains(byte)
        };
        for token in tokens(text, |byte| !ends(byte)) {
            let word = text.get(token.clone()).unwrap_or_default();
            let slashes = word.iter().enumerate().filter(|(_, byte)| **byte == b'/');
            let starts = std::iter::once(0).chain(slashes.map(|(at, _)| at));
            let mut last = None;
            for start in starts
                .filter(|start| last.replace(*start) != Some(*start))
                .take(MAX_PARTS)
            {
                self.path_at(text, token.start.saturating_add(start)..token.end, found);
            }
        }
    }

    fn find_names(&self, text: &[u8], found: &mut dyn FnMut(Found)) {
        if self.names.is_empty() && self.exact.is_empty() {
            return;
        }
        let is_host =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte) || !byte.is_ascii();
        for token in tokens(text, is_host) {
            let mut start = token.start;
            loop {
                let end = token.end;
                let word = text.get(start..end).unwrap_or_default();
                let trimmed = word.strip_suffix(b".").unwrap_or(word);
                if self.matches_name(trimmed) {
                    let at = start..start.saturating_add(trimmed.len());
                    found(Found {
                        at,
                        kind: Kind::Name,
                    });
                    break;
                }
                match word.iter().position(|byte| *byte == b'.') {
                    Some(dot) => start = start.saturating_add(dot).saturating_add(1),
                    None => break,
                }
            }
        }
    }

    fn matches_name(&self, name: &[u8]) -> bool {
        if name.is_empty() || name.len() > 255 {
            return false;
        }
        let shown = String::from_utf8_lossy(name).to_ascii_lowercase();
        self.exact.contains(&shown) || self.names.iter().any(|glob| glob.is_match(&*shown))
    }

    fn find_addresses(&self, text: &[u8], found: &mut dyn FnMut(Found)) {
        if self.nets.is_empty() {
            return;
        }
        for token in tokens(text, |byte| {
            byte.is_ascii_hexdigit() || b".:".contains(byte)
        }) {
            let word = text.get(token.clone()).unwrap_or_default();
            let Ok(word) = std::str::from_utf8(word) else {
                continue;
            };
            let bare = word.trim_end_matches(['.', ':']);
            let front = bare.rsplit_once(':').map_or(bare, |(front, _)| front);
            let parts = [bare, front];
            let address = parts
                .iter()
                .find(|part| part.parse::<IpAddr>().is_ok_and(|ip| self.holds(ip)));
            if let Some(address) = address {
                let at = token.start..token.start.saturating_add(address.len());
                found(Found {
                    at,
                    kind: Kind::Address,
                });
            }
        }
    }
}

/// Longest runs of bytes that belong to a word.
fn tokens(text: &[u8], belongs: impl Fn(&u8) -> bool) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let skipped = text.get(at..)?.iter().position(&belongs)?;
        let start = at.checked_add(skipped)?;
        let rest = text.get(start..)?;
        let length = rest
            .iter()
            .position(|byte| !belongs(byte))
            .unwrap_or(rest.len());
        at = start.checked_add(length)?;
        Some(start..at)
    })
}

fn matcher(
    what: &'static str,
    given: &str,
    glob: &str,
    fold: bool,
) -> Result<GlobMatcher, RedactError> {
    let built = GlobBuilder::new(glob)
        .literal_separator(true)
        .case_insensitive(fold)
        .build();
    match built {
        Ok(glob) => Ok(glob.compile_matcher()),
        Err(error) => Err(bad(what, given, error.kind().to_string())),
    }
}

fn bad(what: &'static str, pattern: &str, why: String) -> RedactError {
    let pattern = pattern.to_owned();
    RedactError::Pattern { what, pattern, why }
}
