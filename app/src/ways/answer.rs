//! What the guest answers to the phases that ask.
//!
//! Owns: parsing, with limits. The answers come out of a guest in which
//! hostile code has run: they may be lies, and are never more than text.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::ecosystem::{MARKS, Mark};

/// Modules that are imported, at most.
const MAX_IMPORTS: usize = 40;

/// What an install of a Python project brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Modules {
    /// To import, the package's own first.
    pub(crate) imports: Vec<String>,
    /// Packages that were looked at.
    pub(crate) packages: u64,
    /// The one program of the project's own.
    pub(crate) run: Option<String>,
}

/// Lifecycle scripts that packages bring.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Scripts {
    /// Packages that were looked at.
    pub(crate) packages: u64,
    /// Those that have scripts.
    pub(crate) scripts: Vec<Lifecycle>,
    /// More that have some.
    pub(crate) more: u64,
}

/// A package's lifecycle scripts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Lifecycle {
    pub(crate) name: String,
    pub(crate) version: String,
    /// `postinstall` to its command.
    pub(crate) scripts: BTreeMap<String, String>,
}

/// The last line that may be JSON.
fn json_line(output: &[u8]) -> Option<&[u8]> {
    output
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .rfind(|line| line.starts_with(b"{"))
}

pub(crate) fn scripts(output: &[u8]) -> Option<Scripts> {
    serde_json::from_slice(json_line(output)?).ok()
}

#[derive(Deserialize)]
struct Answered {
    #[serde(default)]
    packages: u64,
    modules: Vec<(String, bool)>,
    run: Option<String>,
}

pub(crate) fn modules(output: &[u8]) -> Option<Modules> {
    let answered: Answered = serde_json::from_slice(json_line(output)?).ok()?;
    let (own, others): (Vec<_>, Vec<_>) = answered
        .modules
        .into_iter()
        .filter(|(name, _)| is_identifier(name))
        .partition(|(_, own)| *own);
    let public = |names: Vec<(String, bool)>| {
        let hidden = names.iter().all(|(name, _)| name.starts_with('_'));
        names
            .into_iter()
            .map(|(name, _)| name)
            .filter(move |name| hidden || !name.starts_with('_'))
    };
    let mut imports: Vec<String> = public(own).collect();
    for name in public(others) {
        if !imports.contains(&name) {
            imports.push(name);
        }
    }
    imports.truncate(MAX_IMPORTS);
    let run = answered.run.filter(|name| is_program(name));
    Some(Modules {
        imports,
        packages: answered.packages,
        run,
    })
}

fn is_identifier(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    name.len() <= 100
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
        && name.bytes().all(plain)
}

fn is_program(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    name.len() <= 64
        && name
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric())
        && name.bytes().all(plain)
}

/// The marks that were found, in the table's order.
pub(crate) fn marks(output: &[u8]) -> Vec<&'static Mark> {
    let lines: Vec<&[u8]> = output
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .collect();
    MARKS
        .iter()
        .filter(|mark| lines.contains(&mark.file.as_bytes()))
        .collect()
}
