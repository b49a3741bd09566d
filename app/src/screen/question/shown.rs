//! Which question stands in the pane, and what is said around it.
//!
//! Owns: choosing it, live and in a trace, and putting together what a person
//! needs to answer. Must not: answer. All guest text in [`Shown`] is escaped.

use std::sync::Arc;

use belljar_replay::rules::Severity;
use belljar_replay::session::{QuestionRow, Session};

use super::Step;
use crate::screen::model::Model;
use crate::screen::player::SECOND;
use crate::screen::rows;
use crate::screen::text::{safe_str, safe_text};

/// How long replay shows a question: time stood still while it waited.
const SHOWN: u64 = 2 * SECOND;
/// Findings that are named, and those that are looked at for it.
const NEAR: usize = 3;
const SEARCH: usize = 400;

/// The question that is shown.
#[derive(Clone, Debug)]
pub(in crate::screen) struct Shown {
    pub(in crate::screen) row: Arc<QuestionRow>,
    /// Somebody waits for the answer.
    pub(in crate::screen) waits: bool,
    /// The program and its arguments.
    pub(in crate::screen) program: String,
    pub(in crate::screen) command: String,
    pub(in crate::screen) lineage: String,
    /// Who started it: the root of "this process tree".
    pub(in crate::screen) root: u32,
    /// Why the policy's line says so.
    pub(in crate::screen) reason: Option<String>,
    /// The worst findings of the same tree.
    pub(in crate::screen) near: Vec<(Severity, String)>,
    /// How many others wait, and how many of them are the same.
    pub(in crate::screen) others: usize,
    pub(in crate::screen) same: usize,
}

/// The oldest question that waits, wherever the playhead stands. Whoever edits a
/// line keeps it: what is typed must not reach another question.
pub(super) fn of_run(model: &Model, before: Option<&Shown>) -> Option<Shown> {
    let session = model.player.tip();
    let kept = before.filter(|_| matches!(model.asking.step, Step::Save(_)));
    let row = match kept {
        Some(kept) => session
            .questions()
            .rev()
            .find(|row| row.hold == kept.row.hold),
        None => session.waiting().next(),
    };
    row.map(|row| shown(model, session, row))
}

/// The question at the playhead, with the answer that it got.
pub(super) fn of_trace(model: &Model) -> Option<Shown> {
    let session = model.player.session();
    let now = model.player.now();
    let row = session.questions().next_back()?;
    if row.at.saturating_add(SHOWN) < now {
        return None;
    }
    // The newest knowledge: the answer may stand behind the playhead.
    let tip = model.player.tip().questions().rev();
    let row = tip
        .take(SEARCH)
        .find(|known| known.hold == row.hold)
        .unwrap_or(row);
    let mut shown = shown(model, session, row);
    shown.waits = false;
    Some(shown)
}

fn shown(model: &Model, session: &Session, row: &Arc<QuestionRow>) -> Shown {
    let process = row.process.and_then(|key| session.process(key));
    let root = session.starter(row.pid);
    let same = |other: &QuestionRow| {
        (other.op, &other.object) == (row.op, &row.object)
            && program(session, other) == program(session, row)
    };
    let others = || session.waiting().filter(|other| other.hold != row.hold);
    let policy = model.asking.policy.as_ref();
    let line = policy.and_then(|policy| policy.line(&row.by));
    Shown {
        waits: row.answer.is_none(),
        program: program(session, row),
        command: process.map_or_else(String::new, |process| rows::command(&process)),
        lineage: row
            .process
            .map_or_else(String::new, |key| session.lineage(key).join(" ← ")),
        root,
        reason: line.and_then(|line| line.reason.as_deref()).map(safe_str),
        near: near(session, root),
        others: others().count(),
        same: others().filter(|other| same(other)).count(),
        row: Arc::clone(row),
    }
}

/// The program that asks, by its file.
fn program(session: &Session, row: &QuestionRow) -> String {
    let process = row.process.and_then(|key| session.process(key));
    process.map_or_else(
        || "unknown".to_owned(),
        |process| safe_text(process.exe.as_ref().unwrap_or(&process.name)),
    )
}

/// The worst findings of the tree below `root`.
fn near(session: &Session, root: u32) -> Vec<(Severity, String)> {
    let of_tree = |key: u64| {
        session
            .process(key)
            .is_some_and(|process| session.is_from(process.pid, root))
    };
    let mut near: Vec<(Severity, String)> = session
        .findings()
        .iter()
        .take(SEARCH)
        .filter(|finding| finding.process.is_some_and(of_tree))
        .map(|finding| {
            let text = format!("{}: {}", safe_str(&finding.rule.id), finding.message);
            (finding.rule.severity, text)
        })
        .collect();
    near.sort_by_key(|(severity, _)| std::cmp::Reverse(*severity));
    near.truncate(NEAR);
    near
}
