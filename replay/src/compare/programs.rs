//! Programs that a run executed, or looked for.
//!
//! Owns: one row a program and its arguments. Must not: know what else a run did.

use std::collections::BTreeSet;

use belljar_event::{Exec, Outcome};

use super::alike::Alike;
use super::gather::{MAX_ROWS, Section, short};
use crate::escape;

/// Arguments of a command that are told apart.
const MAX_ARGS: usize = 256;

/// Programs that ran, and such as were looked for.
#[derive(Default)]
pub(super) struct Programs {
    ran: Section,
    /// By arguments alone: along PATH, one program is tried in many folders.
    not_found: Section,
    /// The arguments that a program ran with.
    ran_as: BTreeSet<String>,
}

/// No such file or folder.
const ENOENT: i64 = -2;

impl Programs {
    pub(super) fn executed(&mut self, alike: &Alike, exec: &Exec, outcome: Outcome, seq: u64) {
        let argv = arguments(alike, exec);
        let seq = Some(seq);
        if outcome == Outcome::Returned(ENOENT) && !argv.is_empty() {
            self.not_found.add(argv, &["not found"], seq, 1);
            return;
        }
        let key = full(alike, exec, &argv);
        if outcome.succeeded() {
            self.ran.add(key, &["ran"], seq, 1);
            if self.ran_as.len() < MAX_ROWS {
                self.ran_as.insert(short(argv));
            }
        } else {
            self.ran.add(key, &["failed"], seq, 1);
        }
    }

    /// What was found in the end was no other program before.
    pub(super) fn section(mut self) -> Section {
        for (key, row) in self.not_found.rows {
            if !self.ran_as.contains(&key) {
                self.ran.add(key, &["not found"], row.first, row.count);
            }
        }
        self.ran.beyond = self.ran.beyond.saturating_add(self.not_found.beyond);
        self.ran
    }
}

/// `/usr/bin/node  node build.js`.
fn full(alike: &Alike, exec: &Exec, argv: &str) -> String {
    // A script's own name says more than its interpreter's, which stands in front of it.
    let file = exec.file.as_ref().filter(|file| !file.bytes().is_empty());
    let file = alike.text(&escape::text(file.unwrap_or(&exec.path)));
    match argv.is_empty() {
        true => file,
        false => format!("{file}  {argv}"),
    }
}

/// The rows that an execution may stand in: found, and not found.
pub(super) fn keys(alike: &Alike, exec: &Exec) -> [String; 2] {
    let argv = arguments(alike, exec);
    [short(full(alike, exec, &argv)), short(argv)]
}

/// `node build.js`.
fn arguments(alike: &Alike, exec: &Exec) -> String {
    let mut words: Vec<String> = exec.argv.iter().take(MAX_ARGS).map(escape::text).collect();
    if exec.argv.len() > MAX_ARGS {
        words.push("…".to_owned());
    }
    alike.text(&words.join(" "))
}
