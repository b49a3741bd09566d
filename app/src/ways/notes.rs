//! What is said below the report: the line that allows scripts which an install
//! brought, and what a phase of belljar's own could not do.
//!
//! The allow line is npm's own: since 11.16 `npm approve-scripts` keeps the
//! field `allowScripts` of package.json, name and version to true; from 12 on
//! a script without an entry does not run (npm documentation, pages
//! "npm-approve-scripts" and "npm-install-scripts" of versions 11 and 12).
//! pip has nothing alike: wheels run no code when they are installed.

use std::collections::BTreeSet;
use std::fmt::Write;

use belljar_event::Text;
use belljar_replay::report::{InstalledReport, Report};
use belljar_replay::verdict::Verdict;

use super::answer;
use super::git::{self, NO_SUCH_REFERENCE};
use super::package::{exact_version, npm_name};
use super::phase::{CLONE, INSTALL, MARKS};
use super::transcript::Transcript;
use crate::error::AppError;

const ENDED_WELL: &str = "exit 0";

/// Lines for people, or nothing.
pub(crate) fn text(said: &Transcript, report: &Report) -> String {
    let mut out = String::new();
    if said
        .of(MARKS)
        .is_some_and(|output| answer::marks(output).is_empty())
    {
        out.push_str("\nThe clone has no file that tells what to install: only the cloning was watched.\n  say what to run: belljar run URL -- CMD…\n");
    }
    if let Some(status) = failed(report, INSTALL) {
        let _ = writeln!(
            out,
            "\nThe install failed ({status}): what it would have brought was not watched."
        );
    }
    if let Some(installed) = &report.installed {
        allow(&mut out, installed, report.verdict);
    }
    out
}

/// How the phase of this name ended, if badly.
fn failed<'r>(report: &'r Report, name: &str) -> Option<&'r str> {
    let phase = report.phases.iter().find(|phase| phase.name == name)?;
    let status = phase.status.as_deref()?;
    (status != ENDED_WELL).then_some(status)
}

/// Why nothing of a repository was watched, if nothing was.
pub(crate) fn not_cloned(report: &Report, command: &[Text]) -> Option<AppError> {
    let status = failed(report, CLONE)?;
    let label = &report.ran.label;
    Some(
        match (status.strip_prefix("exit "), git::reference(command)) {
            (Some(code), Some(reference)) if code == NO_SUCH_REFERENCE => AppError::usage(
                format!("repository {label}: there is no branch, tag or commit {reference}"),
                "git ls-remote URL lists branches and tags; a commit is named by all of its id",
            ),
            _ => AppError::usage(
                format!("repository {label} could not be cloned: git ended with {status}"),
                "what git said is in the trace: belljar replay, then the terminal's pane",
            ),
        },
    )
}

/// Only behind SAFE, and where every name and version is of the plainest form.
pub(super) fn allow(out: &mut String, installed: &InstalledReport, verdict: Verdict) {
    if installed.client != "npm" || installed.scripts.is_empty() {
        return;
    }
    out.push('\n');
    if verdict != Verdict::Safe || installed.more > 0 {
        let why = if installed.more > 0 {
            "not all are listed"
        } else {
            "the verdict is not SAFE"
        };
        let _ = writeln!(out, "No line that allows the lifecycle scripts: {why}");
        return;
    }
    let mut packages = BTreeSet::new();
    for row in &installed.scripts {
        let version = row.version.as_deref().unwrap_or_default();
        if !npm_name(&row.package) || !exact_version(version) {
            out.push_str("No line that allows the lifecycle scripts: a package has no proper name or version\n");
            return;
        }
        packages.insert((row.package.as_str(), version));
    }
    let entries = packages.iter().map(|(n, v)| format!("\"{n}@{v}\": true"));
    let names: BTreeSet<&str> = packages.iter().map(|(name, _)| *name).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let _ = writeln!(
        out,
        "To allow just these lifecycle scripts, in package.json (npm 11.16 and newer; older ones run every script):\n    \"allowScripts\": {{ {} }}\n  or: npm approve-scripts {}",
        entries.collect::<Vec<_>>().join(", "),
        names.join(" ")
    );
}
