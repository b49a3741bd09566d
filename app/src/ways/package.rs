//! Names of packages, as a registry would take them and nothing else.
//!
//! Owns: the checks. A name goes to a package manager as one word of its
//! command line, so what could be an option, a path, an address or a second
//! word is refused.

use crate::error::AppError;

/// Longest name that a registry takes (npm's limit; Python's are shorter).
const MAX_NAME: usize = 214;
const MAX_VERSION: usize = 128;

/// A package, with the version if one was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    /// `left-pad`, `@scope/name`, `requests`.
    pub(crate) name: String,
    /// As the client takes it: `left-pad@1.3.0`, `requests[socks]==2.32.0`.
    pub(crate) spec: String,
}

/// `name`, `@scope/name`, with `@VERSION` (a version, a range or a tag).
pub(crate) fn npm(text: &str) -> Result<Package, AppError> {
    let wrong = |why: &str| {
        refuse(
            "npm",
            text,
            why,
            "write NAME, @SCOPE/NAME, or either with @VERSION: left-pad@1.3.0",
        )
    };
    let scoped = text.starts_with('@');
    let at = text
        .char_indices()
        .skip(usize::from(scoped))
        .find(|(_, c)| *c == '@');
    let (name, version) = match at {
        Some((at, _)) => (text.get(..at), text.get(at + 1..)),
        None => (Some(text), None),
    };
    let name = name.unwrap_or_default();
    if !npm_name(name) {
        return Err(wrong(
            "a name has small letters, digits, `-`, `_` and `.`, and begins with a letter or digit",
        ));
    }
    if let Some(version) = version
        && !npm_version(version)
    {
        return Err(wrong(
            "a version is a number, a range or a tag, such as 1.3.0, ^1.2 or next",
        ));
    }
    Ok(Package {
        name: name.to_owned(),
        spec: text.to_owned(),
    })
}

/// True for what the registry calls a package. Old names may have capitals.
pub(crate) fn npm_name(name: &str) -> bool {
    let part = |part: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
        part.bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric())
            && part.bytes().all(plain)
    };
    let whole = match name.strip_prefix('@') {
        None => part(name),
        Some(scoped) => scoped
            .split_once('/')
            .is_some_and(|(scope, name)| part(scope) && part(name)),
    };
    whole && name.len() <= MAX_NAME
}

fn npm_version(version: &str) -> bool {
    let plain = |b: u8| {
        b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'.' | b'-' | b'+' | b'^' | b'~' | b'<' | b'>' | b'=' | b'*'
            )
    };
    !version.is_empty()
        && version.len() <= MAX_VERSION
        && !version.starts_with('-')
        && version.bytes().all(plain)
}

/// True for a version as packages state their own: `1.2.3-beta.1+build`.
pub(crate) fn exact_version(version: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+');
    version.len() <= MAX_VERSION
        && version.bytes().next().is_some_and(|b| b.is_ascii_digit())
        && version.bytes().all(plain)
}

/// `name`, `name[extra]`, with one or more of `==VERSION`, `>=VERSION` …
pub(crate) fn pip(text: &str) -> Result<Package, AppError> {
    let wrong = |why: &str| {
        refuse(
            "Python",
            text,
            why,
            "write NAME, NAME==VERSION or NAME[EXTRA]: requests==2.32.0",
        )
    };
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
        .unwrap_or(text.len());
    let (name, mut rest) = text.split_at_checked(end).unwrap_or_default();
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    if name.len() > MAX_NAME || !edge(name.bytes().next()) || !edge(name.bytes().last()) {
        return Err(wrong(
            "a name has letters, digits, `-`, `_` and `.`, and begins and ends with a letter or digit",
        ));
    }
    if let Some(extras) = rest.strip_prefix('[') {
        let Some((extras, behind)) = extras.split_once(']') else {
            return Err(wrong("the extras have no end: write NAME[EXTRA]"));
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !extras.split(',').all(|e| {
            !e.is_empty()
                && e.starts_with(|c: char| c.is_ascii_alphanumeric())
                && e.chars().all(plain)
        }) {
            return Err(wrong("extras are names with commas between"));
        }
        rest = behind;
    }
    if !rest.is_empty() && !rest.split(',').all(pip_version) {
        return Err(wrong(
            "behind the name stands a version, such as ==2.32.0 or >=2,<3",
        ));
    }
    Ok(Package {
        name: name.to_owned(),
        spec: text.to_owned(),
    })
}

fn pip_version(clause: &str) -> bool {
    let operators = ["===", "==", "~=", "!=", "<=", ">=", "<", ">"];
    let version = operators
        .iter()
        .find_map(|operator| clause.strip_prefix(operator));
    let plain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+' | b'!' | b'*');
    version.is_some_and(|version| {
        version
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric())
            && version.len() <= MAX_VERSION
            && version.bytes().all(plain)
    })
}

fn refuse(kind: &str, text: &str, why: &str, hint: &str) -> AppError {
    let shown: String = text.chars().take(80).collect();
    AppError::usage(
        format!("{shown:?} is no name of a {kind} package: {why}"),
        hint,
    )
}
