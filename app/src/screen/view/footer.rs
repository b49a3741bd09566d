//! The last line: a question, a passing message, or the keys that hold here.

use ratatui::layout::Rect;

use super::paint::Paint;
use crate::screen::act::scopes;
use crate::screen::keys;
use crate::screen::model::Model;
use crate::screen::text::width;
use crate::screen::theme::Role;

pub(super) fn draw(model: &Model, row: Rect, paint: &mut Paint<'_>) {
    let mut spans = vec![(Role::Text, " ".to_owned())];
    if model.leaving {
        spans.push((Role::Toast, "the run goes on  ".to_owned()));
    } else if let Some(toast) = &model.toast {
        spans.push((Role::Toast, toast.text.clone()));
        paint.spans(row, &spans);
        return;
    }
    let mut room = usize::from(row.width).saturating_sub(2);
    for (keys, label) in entries(scopes(model)) {
        let label = format!(" {label}  ");
        // Whole keys only: half a label says nothing.
        let Some(left) = room.checked_sub(width(&keys) + width(&label)) else { break };
        room = left;
        spans.push((Role::Key, keys));
        spans.push((Role::Muted, label));
    }
    paint.spans(row, &spans);
}

/// Keys with their labels; neighbours with the same label stand together.
fn entries(scopes: &'static [keys::Scope]) -> Vec<(String, &'static str)> {
    let mut out: Vec<(String, &'static str)> = Vec::new();
    for binding in keys::in_scopes(scopes).filter(|binding| !binding.label.is_empty()) {
        let Some(key) = binding.presses.first().map(|press| press.name()) else { continue };
        match out.last_mut() {
            Some((keys, label)) if *label == binding.label => keys.push_str(&key),
            _ => out.push((key, binding.label)),
        }
    }
    out
}
