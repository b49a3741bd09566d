//! What is said below the report about the scripts that an install brought.
//!
//! The allow line is npm's own: since 11.16 `npm approve-scripts` keeps the
//! field `allowScripts` of package.json, name and version to true; from 12 on
//! a script without an entry does not run (npm documentation, pages
//! "npm-approve-scripts" and "npm-install-scripts" of versions 11 and 12).
//! pip has nothing alike: wheels run no code when they are installed.

use std::fmt::Write;

use belljar_replay::escape;
use belljar_replay::verdict::Verdict;

use super::answer::{self, Lifecycle};
use super::package::{exact_version, npm_name};
use super::phase::{MARKS, SCRIPTS};
use super::transcript::Transcript;

/// Rows shown.
const MAX_ROWS: usize = 40;

/// Lines for people, or nothing.
pub(crate) fn text(said: &Transcript, verdict: Verdict) -> String {
    let mut out = String::new();
    if said
        .of(MARKS)
        .is_some_and(|output| answer::marks(output).is_empty())
    {
        out.push_str("\nThe clone has no file that tells what to install: only the cloning was watched.\n  say what to run: belljar run URL -- CMD…\n");
    }
    if let Some(output) = said.of(SCRIPTS) {
        out.push_str(&of_scripts(output, verdict));
    }
    out
}

/// The part about lifecycle scripts.
pub(super) fn of_scripts(output: &[u8], verdict: Verdict) -> String {
    let mut out = String::new();
    lifecycle(&mut out, output, verdict);
    out
}

fn lifecycle(out: &mut String, output: &[u8], verdict: Verdict) {
    out.push_str("\nLifecycle scripts\n");
    let Some(found) = answer::scripts(output) else {
        out.push_str("  not known: the guest gave no usable answer\n");
        return;
    };
    if found.scripts.is_empty() {
        let noun = if found.packages == 1 {
            "package"
        } else {
            "packages"
        };
        let _ = writeln!(out, "  none in {} installed {noun}", found.packages);
        return;
    }
    for package in found.scripts.iter().take(MAX_ROWS) {
        let name = escape::string(&format!("{}@{}", package.name, package.version));
        for (script, command) in package.scripts.iter().take(3) {
            let line = format!(
                "  {name}  {}: {}",
                escape::string(script),
                escape::string(command)
            );
            let _ = writeln!(out, "{}", escape::clip(&line, 200));
        }
    }
    let beyond = found.scripts.len().saturating_sub(MAX_ROWS) as u64;
    let beyond = beyond.saturating_add(found.more);
    if beyond > 0 {
        let _ = writeln!(out, "  and {beyond} more packages");
    }
    if verdict != Verdict::Safe {
        out.push_str("  no line that allows them: the verdict is not SAFE\n");
    } else if beyond == 0 {
        allow(out, &found.scripts);
    }
}

/// Only where every name and version is of the plainest form.
fn allow(out: &mut String, packages: &[Lifecycle]) {
    if !packages
        .iter()
        .all(|p| npm_name(&p.name) && exact_version(&p.version))
    {
        out.push_str("  no line that allows them: a package has no proper name or version\n");
        return;
    }
    let entries: Vec<String> = packages
        .iter()
        .map(|p| format!("\"{}@{}\": true", p.name, p.version))
        .collect();
    let names: Vec<&str> = packages.iter().map(|p| p.name.as_str()).collect();
    let _ = writeln!(
        out,
        "  To allow just these, in package.json (npm 11.16 and newer; older ones run every script):\n    \"allowScripts\": {{ {} }}\n  or: npm approve-scripts {}",
        entries.join(", "),
        names.join(" ")
    );
}
