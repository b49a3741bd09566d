//! What another policy would have decided, row by row.

use belljar_replay::what_if::{Ended, Row};

use super::page::Page;
use crate::screen::model::Model;
use crate::screen::other::{mark, summary, what};
use crate::screen::text::grouped;
use crate::screen::theme::Role;

pub(super) fn list(model: &Model, page: &mut Page) -> String {
    let Some(told) = &model.other else {
        page.line(
            Role::Muted,
            "No other policy was asked. belljar replay TRACE --policy NAME --screen asks one.",
        );
        return "policy".to_owned();
    };
    page.line(Role::Strong, &summary(told));
    let first = model.player.range().0;
    for row in &told.rows {
        page.gap();
        let index = model.player.index_of(row.seq);
        let entry = index.and_then(|index| model.player.entry(index));
        let at = entry.map_or(0, |entry| entry.at().saturating_sub(first));
        page.event(row.seq, at, &what(row));
        decisions(row, page);
    }
    if told.rows.is_empty() {
        page.gap();
        page.line(Role::Good, "✓ It says what the run's own policy said.");
    }
    if told.beyond > 0 {
        let text = format!("and {} that found no room here", grouped(told.beyond));
        page.line(Role::Muted, &text);
    }
    if !told.limits.is_empty() {
        page.heading("What the trace cannot tell");
        for limit in &told.limits {
            page.line(Role::Muted, limit);
        }
    }
    "another policy".to_owned()
}

/// What both say.
pub(super) fn decisions(row: &Row, page: &mut Page) {
    let ended = match row.ended {
        Ended::Allowed => "was allowed",
        Ended::Refused => "was refused",
        Ended::Open => "was never decided",
    };
    let text = format!("{ended}; {} by {}", row.recorded.action, row.recorded.by);
    page.pair("recorded", Role::Muted, &text);
    let mark = mark(row);
    let why = row.now.reason.as_ref().map(|why| format!(": {why}"));
    let text = format!(
        "{} {}, by {}{}",
        mark.glyph,
        mark.word,
        row.now.by,
        why.unwrap_or_default()
    );
    page.pair("now", mark.role, &text);
}
