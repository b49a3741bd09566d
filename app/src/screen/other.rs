//! Another policy beside a recording: what it would have decided, and where.
//!
//! Owns: going from one difference to the next. Must not: ask a policy; that was
//! done by whoever made the screen.

use belljar_replay::what_if::{Ended, Row, WhatIf};

use super::model::Model;
use super::player::Motion;
use super::text::grouped;
use super::theme::Role;
use super::update::toast;
use super::verdict::Mark;

impl Model {
    /// What the other policy would have decided about an event.
    pub(super) fn otherwise(&self, seq: u64) -> Option<&Row> {
        let rows = &self.other.as_ref()?.rows;
        let at = rows.partition_point(|row| row.seq < seq);
        rows.get(at).filter(|row| row.seq == seq)
    }
}

/// What is new about a decision: glyph, word and colour.
pub(super) fn mark(row: &Row) -> Mark {
    let (glyph, word, role) = match (row.now.action, row.ended) {
        ("deny" | "kill", Ended::Allowed) => ("✗", "would deny", Role::Denied),
        ("ask", _) => ("?", "would ask", Role::Warning),
        ("allow", Ended::Refused) => ("✓", "would allow", Role::Good),
        ("deny" | "kill", _) => ("✗", "also refuses", Role::Muted),
        _ => ("·", "otherwise", Role::Muted),
    };
    Mark { glyph, word, role }
}

/// `policy strict: would deny 3, ask 1, allow 0`.
pub(super) fn summary(told: &WhatIf) -> String {
    format!(
        "policy {}: would deny {}, ask {}, allow {}; {} as it was",
        super::text::safe_str(&told.policy),
        grouped(told.would_deny),
        grouped(told.would_ask),
        grouped(told.would_allow),
        grouped(told.same)
    )
}

/// `curl: connect drop.example:443`.
pub(super) fn what(row: &Row) -> String {
    let who = match row.program.as_str() {
        "-" => "host",
        program => program,
    };
    let times = match row.count {
        0 | 1 => String::new(),
        count => format!(" ×{}", grouped(count)),
    };
    format!("{who}: {} {}{times}", row.op, row.object)
}

/// The answer is there.
pub(super) fn told(model: &mut Model, told: Box<WhatIf>) {
    toast(model, format!("{}; P lists them", summary(&told)));
    model.other = Some(told);
}

/// To the moment right behind the next difference, or the one before.
pub(super) fn jump(model: &mut Model, forward: bool) {
    let Some(other) = &model.other else {
        toast(
            model,
            "no other policy: belljar replay TRACE --policy NAME --screen",
        );
        return;
    };
    let here = model.player.position();
    let all = other.rows.len();
    let mut places = other.rows.iter().enumerate().filter_map(|(at, row)| {
        let index = model.player.index_of(row.seq)?;
        Some((index + 1, at, format!("{}: {}", mark(row).word, what(row))))
    });
    let found = match forward {
        true => places.find(|(position, ..)| *position > here),
        false => places.take_while(|(position, ..)| *position < here).last(),
    };
    let Some((position, at, text)) = found else {
        let side = if forward { "after" } else { "before" };
        toast(model, format!("no difference {side} this moment"));
        return;
    };
    model.player.set_motion(Motion::Paused);
    model.player.seek(position);
    model.event = None;
    toast(model, format!("{} of {all} {text}", at + 1));
}
