//! Addresses of git repositories.
//!
//! Owns: what counts as one, and what is refused with a reason. The
//! repository is cloned inside the guest; its host may be reached while that
//! phase runs, and then no more.

use belljar_event::Text;
use belljar_replay::escape;
use belljar_replay::policy::Allow;

use super::phase::{CLONE, Step};
use crate::error::AppError;

/// Longest address and branch that are taken.
const MAX: usize = 2000;

/// Without history first; a server that cannot do that needs the whole, and so
/// does a commit's id in the place of a branch.
const PROGRAM: &str = r#"git clone --depth 1 ${2:+--branch "$2"} -- "$1" . 2>/dev/null && exit; [ -n "$2" ] || exec git clone -- "$1" .; git clone --branch "$2" -- "$1" . 2>/dev/null && exit; git clone -- "$1" . && { git checkout --detach "$2" -- || exit 65; }"#;
/// The exit code of that program where the repository lacks what was asked for.
pub(super) const NO_SUCH_REFERENCE: &str = "65";

/// The branch, tag or commit that a recorded command asks for. The report has
/// it too, but shortened.
pub(super) fn reference(command: &[Text]) -> Option<String> {
    let program = command.get(2)?;
    let reference = command
        .get(5)
        .filter(|_| program.bytes() == PROGRAM.as_bytes())?;
    Some(escape::text(reference))
}

/// A repository to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repository {
    /// Without the fragment.
    pub(crate) url: String,
    /// Branch, tag or commit.
    pub(crate) reference: Option<String>,
    /// Its host and port.
    pub(crate) host: Allow,
    /// Base name of the path, for the report.
    pub(crate) label: String,
}

/// `None`: not an address but a folder.
pub(crate) fn parse(text: &str) -> Option<Result<Repository, AppError>> {
    let (scheme, rest) = match text.split_once("://") {
        Some(parts) => parts,
        // git@host:path, if there is no such folder.
        None if is_scp(text) => return Some(Err(no_keys(text))),
        None => return None,
    };
    Some(match scheme {
        "https" => repository(text, rest, 443),
        "http" => repository(text, rest, 80),
        "ssh" | "git+ssh" => Err(no_keys(text)),
        _ => Err(AppError::usage(
            format!(
                "{:?}: a repository is cloned by https or http only",
                clip(text)
            ),
            "write https://HOST/PATH.git, or clone it yourself and name the folder",
        )),
    })
}

fn is_scp(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(user, path)| !path.is_empty() && user.contains('@') && !user.contains('/'))
}

fn no_keys(text: &str) -> AppError {
    AppError::usage(
        format!(
            "{:?}: ssh needs your key, and no key goes into the guest",
            clip(text)
        ),
        "write the repository's https address, or clone it yourself and name the folder",
    )
}

fn repository(text: &str, rest: &str, port: u16) -> Result<Repository, AppError> {
    let wrong = |why: String| {
        AppError::usage(
            format!("repository {:?}: {why}", clip(text)),
            "write https://HOST/PATH.git or https://HOST/PATH.git#BRANCH",
        )
    };
    let plain =
        |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\' | b'`' | b'<' | b'>');
    if text.len() > MAX || !text.bytes().all(plain) {
        return Err(wrong(
            "an address has no spaces, quotes or characters beyond ASCII".into(),
        ));
    }
    let (rest, reference) = match rest.split_once('#') {
        Some((rest, reference)) => (rest, Some(reference.to_owned())),
        None => (rest, None),
    };
    if reference.as_deref().is_some_and(|name| !is_reference(name)) {
        return Err(wrong("behind # stands a branch, a tag or a commit".into()));
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err(wrong(
            "a login in it would stand in the trace, and no login goes into the guest".into(),
        ));
    }
    if path.is_empty() || path.contains('?') {
        return Err(wrong("it names no repository".into()));
    }
    let bracketed = authority.ends_with(']');
    let with_port = if authority.contains(':') && !bracketed {
        authority.to_owned()
    } else {
        format!("{authority}:{port}")
    };
    let host = match Allow::parse(&with_port) {
        Ok(Allow::Below(..)) => return Err(wrong("a star is no host".into())),
        Ok(host) => host,
        Err(error) => return Err(wrong(error.to_string())),
    };
    let url = text.split('#').next().unwrap_or(text).to_owned();
    let last = path
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or(path);
    let label = last.strip_suffix(".git").unwrap_or(last).to_owned();
    Ok(Repository {
        url,
        reference,
        host,
        label,
    })
}

/// What `git check-ref-format` would take, and a little less.
fn is_reference(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b'+');
    !name.is_empty()
        && name.len() <= 200
        && name
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric())
        && !name.contains("..")
        && !name.contains("//")
        && !name.ends_with(['.', '/'])
        && name.bytes().all(plain)
}

fn clip(text: &str) -> String {
    text.chars().take(120).collect()
}

impl Repository {
    /// The phase that clones it into the project folder.
    pub(crate) fn step(&self) -> Step {
        let reference = self.reference.clone().unwrap_or_default();
        let words = ["sh", "-c", PROGRAM, "sh", &self.url, &reference];
        let mut step = Step::new(CLONE, words);
        // Nobody is there to be asked for a password.
        step.env.push(("GIT_TERMINAL_PROMPT".into(), "0".into()));
        step
    }
}
