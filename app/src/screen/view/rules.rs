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
    let mut left = vec![(Role::Muted, " rules ".to_owned())];
    match &watched.error {
        Some(error) => {
            left = vec![(Role::Danger, format!(" ✗ {error}"))];
            let kept = format!(" {count} rules {digest} stay in force, ");
            paint.both_ends(row, &left, &[(Role::Notice, kept), age, gap()]);
        }
        None => {
            left.extend([
                (Role::Text, format!("{count} in force")),
                gap(),
                (Role::Muted, digest),
                gap(),
                age,
            ]);
            paint.spans(row, &left);
        }
    }
}
