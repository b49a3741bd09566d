//! A question: who wants what, why it is asked, and the keys that answer.

use belljar_event::{Action as Verb, Op, Scope, Who};
use belljar_replay::session::AnswerRow;
use ratatui::layout::Rect;

use super::paint::{Paint, Spans, rows_in};
use crate::screen::keys;
use crate::screen::layout::inner;
use crate::screen::model::Model;
use crate::screen::question::{Shown, Step, answers_here, left};
use crate::screen::text::{cut, cut_start, grouped, safe_str, span, width, wrap};
use crate::screen::theme::Role;
use crate::screen::verdict;

/// Cells of the labels. Guest text never begins further left.
const LABEL: usize = 10;

/// Rows with the frame, at a width of the screen.
pub(in crate::screen) fn rows(model: &Model, columns: u16) -> usize {
    let Some(shown) = &model.asking.shown else {
        return 0;
    };
    let room = usize::from(columns.saturating_sub(4));
    body(model, shown, room).len() + foot(model, shown, room).len() + 2
}

pub(super) fn draw(model: &Model, paint: &mut Paint<'_>) {
    let (Some(shown), Some(rect)) = (&model.asking.shown, model.layout.question) else {
        return;
    };
    paint.frame(rect, &title(model, shown), true);
    let inside = inner(rect);
    let inside = Rect {
        x: inside.x.saturating_add(1),
        width: inside.width.saturating_sub(2),
        ..inside
    };
    let room = usize::from(inside.width);
    let foot = foot(model, shown, room);
    let mut lines = body(model, shown, room);
    // What is asked and the keys come before everything else.
    lines.truncate(usize::from(inside.height).saturating_sub(foot.len()).max(1));
    for (line, row) in lines.iter().chain(&foot).zip(rows_in(inside)) {
        paint.spans(row, line);
    }
}

fn title(model: &Model, shown: &Shown) -> String {
    let number = shown.row.hold;
    let state = match (&shown.row.answer, shown.waits) {
        (None, true) => "? question",
        (None, false) => "? no answer",
        (Some(answer), _) => outcome(answer).0,
    };
    let more = match (shown.waits, shown.others, shown.same) {
        (false, ..) | (_, 0, _) => String::new(),
        (_, others, 0) => format!(" · {} more wait", grouped(others as u64)),
        (_, others, same) => format!(
            " · {} more wait, {} the same",
            grouped(others as u64),
            grouped(same as u64)
        ),
    };
    let replay = if model.is_live() && model.is_open() {
        ""
    } else {
        " · replay"
    };
    format!("{state} {number}{more}{replay}")
}

/// What an operation is called where it is asked about.
fn verb(op: Op) -> &'static str {
    match op {
        Op::Read => "read",
        Op::Write => "write",
        Op::Exec => "run",
        Op::Connect => "connect",
        Op::Unlink => "remove",
        Op::Rename => "rename",
        Op::Link => "link",
        Op::Chmod => "chmod",
    }
}

/// In the order of their weight: what has no room is left out from the end.
fn body(model: &Model, shown: &Shown, room: usize) -> Vec<Spans> {
    let row = &shown.row;
    let mut out = Lines {
        room,
        lines: Vec::new(),
    };
    let what = format!("? {}", verb(row.op));
    out.pair((Role::Warning, &what), Role::Strong, &row.object, 3);
    match &model.asking.step {
        Step::Save(line) => out.pair((Role::Key, "line"), Role::Text, line.text(), 6),
        Step::Kill => {
            let text = "ends the process that asks, and all below it";
            out.pair((Role::Danger, "✗ kill"), Role::Text, text, 2);
        }
        Step::Reach(verb) => {
            let text = format!(
                "{} this program the same again, without a question: how far?",
                action(*verb)
            );
            out.pair((Role::Key, "again"), Role::Text, &text, 2);
        }
        Step::Choose => {}
    }
    let program = format!("{} (pid {})", shown.program, row.pid);
    out.pair((Role::Muted, "program"), Role::Text, &program, 2);
    let reason = match &shown.reason {
        Some(reason) => format!("{reason} ({})", row.by),
        None => row.by.clone(),
    };
    out.pair((Role::Muted, "why"), Role::Text, &reason, 2);
    if !row.command.is_empty() {
        out.pair((Role::Muted, "as"), Role::Text, &row.command, 2);
    }
    out.pair((Role::Muted, "command"), Role::Text, &shown.command, 2);
    out.pair((Role::Muted, "from"), Role::Text, &shown.lineage, 2);
    for (at, (severity, text)) in shown.near.iter().enumerate() {
        let mark = verdict::severity(*severity);
        let label = if at == 0 { "near" } else { "" };
        let text = format!("{} {} {text}", mark.glyph, mark.word);
        out.pair((Role::Muted, label), mark.role, &text, 1);
    }
    out.lines
}

struct Lines {
    room: usize,
    lines: Vec<Spans>,
}

impl Lines {
    /// A label and its text in at most so many rows: of a long one, head and tail.
    fn pair(&mut self, (head, label): (Role, &str), role: Role, text: &str, most: usize) {
        let room = self.room.saturating_sub(LABEL).max(8);
        let mut wrapped = wrap(text, room);
        if wrapped.len() > most {
            let rest = wrapped.split_off(most - 1);
            if most == 1 {
                wrapped.push(cut(text, room).into_owned());
            } else {
                wrapped.push(cut_start(&format!("…{}", rest.join(" ")), room).into_owned());
            }
        }
        for (at, line) in wrapped.into_iter().enumerate() {
            let label = if at == 0 { label } else { "" };
            self.lines
                .push(vec![(head, format!("{label:<LABEL$}")), (role, line)]);
        }
    }
}

/// The keys that answer, or why there are none.
fn foot(model: &Model, shown: &Shown, room: usize) -> Vec<Spans> {
    if let Some(answer) = &shown.row.answer {
        let text = answered(answer);
        let role = outcome(answer).1;
        return wrap(&text, room)
            .into_iter()
            .map(|line| vec![(role, line)])
            .collect();
    }
    if !shown.waits {
        let text = "? no answer was recorded".to_owned();
        return vec![vec![(Role::Muted, text)]];
    }
    let scopes = match &model.asking.step {
        Step::Choose => keys::QUESTION,
        Step::Reach(_) => keys::REACH,
        Step::Kill => keys::KILL,
        Step::Save(_) => keys::SAVE,
    };
    let choosing = matches!(model.asking.step, Step::Choose);
    if choosing && !answers_here(model) {
        let text = "the question waits: close what is open to answer it".to_owned();
        return vec![vec![(Role::Muted, text)]];
    }
    let early = choosing && model.asking.is_early();
    let mut rows = key_rows(scopes, room, early);
    if let Some(seconds) = left(model) {
        let text = format!("denied in {seconds} s; any key stops that for a while");
        rows.push(vec![(Role::Warning, text)]);
    }
    rows
}

/// Keys with their labels in as many rows as they take.
fn key_rows(scopes: &[keys::Scope], room: usize, early: bool) -> Vec<Spans> {
    let (key, label) = match early {
        true => (Role::Faint, Role::Faint),
        false => (Role::Key, Role::Text),
    };
    let mut rows: Vec<Spans> = vec![Vec::new()];
    let mut used = 0;
    for binding in keys::in_scopes(scopes).filter(|binding| !binding.label.is_empty()) {
        let Some(name) = binding.presses.first().map(|press| press.name()) else {
            continue;
        };
        let text = format!(" {}  ", binding.label);
        let long = width(&name) + width(&text);
        if used > 0 && used + long > room + 2 {
            rows.push(Vec::new());
            used = 0;
        }
        used += long;
        if let Some(row) = rows.last_mut() {
            row.extend([(key, name), (label, text)]);
        }
    }
    rows
}

fn action(verb: Verb) -> &'static str {
    match verb {
        Verb::Allow => "allow",
        Verb::Deny => "deny",
        Verb::Kill => "end",
        Verb::Ask => "ask",
    }
}

/// Glyph and word of an answer.
pub(in crate::screen) fn outcome(answer: &AnswerRow) -> (&'static str, Role) {
    match (answer.who, answer.action) {
        (Who::Gone, _) => ("○ gone", Role::Muted),
        (_, Verb::Allow) => ("✓ allowed", Role::Good),
        (_, Verb::Kill) => ("✗ killed", Role::Danger),
        (_, Verb::Deny | Verb::Ask) => ("✗ denied", Role::Denied),
    }
}

/// An answer in words.
pub(in crate::screen) fn answered(answer: &AnswerRow) -> String {
    let who = match answer.who {
        Who::Policy => "by the policy",
        Who::Person => "by the person",
        Who::Earlier => "by an earlier answer",
        Who::Nobody => "nobody was there to be asked",
        Who::Timer => "no answer in time",
        Who::Gone => "it ended before there was an answer",
    };
    let scope = match &answer.scope {
        Scope::Once => String::new(),
        Scope::Tree(root) => format!(", for the process tree of {root}"),
        Scope::Run => ", for this run".to_owned(),
        Scope::Saved(line) => format!(", saved: {}", safe_str(line)),
    };
    let waited = span(answer.waited);
    format!("{} {who}{scope}, after {waited}", outcome(answer).0)
}
