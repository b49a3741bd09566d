//! Everything that was asked, and what was answered.

use super::page::Page;
use crate::screen::model::Model;
use crate::screen::text::clock;
use crate::screen::theme::Role;
use crate::screen::view::{answered, outcome};

/// Questions listed at most, the newest first.
const MOST: usize = 500;

pub(super) fn list(model: &Model, page: &mut Page) -> String {
    let first = model.player.range().0;
    let session = model.player.tip();
    let mut any = false;
    for row in session.questions().rev().take(MOST) {
        any = true;
        let (role, state) = match &row.answer {
            None => (Role::Warning, "? waits".to_owned()),
            Some(answer) => (outcome(answer).1, answered(answer)),
        };
        let at = clock(row.at.saturating_sub(first));
        let text = format!("{} {}", row.op.name(), row.object);
        page.pair(&at, Role::Text, &text);
        if let Some(key) = row.process {
            page.pair("", Role::Muted, &session.lineage(key).join(" ← "));
        }
        page.pair("", role, &state);
    }
    if !any {
        page.line(Role::Muted, "Nothing was asked.");
    }
    "questions".to_owned()
}
