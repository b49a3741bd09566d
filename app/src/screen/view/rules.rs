//! The line that says which rules are in force, where their files are watched.

use ratatui::layout::Rect;

use super::paint::Paint;
use crate::screen::model::Model;
use crate::screen::text::grouped;
use crate::screen::theme::Role;

pub(super) fn draw(model: &Model, row: Rect, paint: &mut Paint<'_>) {
    let Some(watched) = &model.watched else {
        return;
    };
    let rules = &model.setup.rules;
    let digest: String = rules
        .digest()
        .iter()
        .take(4)
        .map(|b| format!("{b:02x}"))
        .collect();
    let count = grouped(rules.rules().len() as u64);
    let age = match model.player.rejudged() {
        Some((done, all)) => {
            let percent = done as u128 * 100 / all.max(1) as u128;
            (Role::Toast, format!("judging again {percent} %"))
        }
        None => (Role::Muted, watched.age()),
    };
    let gap = || (Role::Text, "  ".to_owned());
    let in_force = (Role::Text, format!("{count} in force"));
    let digest = (Role::Muted, digest);
    let Some(error) = &watched.error else {
        let head = (Role::Muted, " rules ".to_owned());
        paint.spans(row, &[head, in_force, gap(), digest, gap(), age]);
        return;
    };
    let error = [(Role::Danger, format!(" ✗ {error}"))];
    match row.width {
        // What is wrong comes before what is still right.
        ..100 => {
            paint.spans(row, &error);
        }
        _ => paint.both_ends(row, &error, &[in_force, gap(), digest, gap()]),
    }
}
