//! The last line: a question, a passing message, or the keys that hold here.

use ratatui::layout::Rect;

use super::paint::Paint;
use crate::screen::act::scopes;
use crate::screen::keys::{self, Action, Binding};
use crate::screen::model::Model;
use crate::screen::question::answers_here;
use crate::screen::text::width;
use crate::screen::theme::Role;

pub(super) fn draw(model: &Model, row: Rect, paint: &mut Paint<'_>) {
    let mut spans = vec![(Role::Text, " ".to_owned())];
    if model.leaving {
        spans.push((Role::Toast, "the run goes on  ".to_owned()));
    } else if let Some(doomed) = &model.doomed {
        let text = format!("end {} (pid {})?  ", doomed.name, doomed.pid);
        spans.push((Role::Danger, text));
    } else if let Some(toast) = &model.toast {
        spans.push((Role::Toast, toast.text.clone()));
        paint.spans(row, &spans);
        return;
    }
    let asked: &[keys::Scope] = if answers_here(model) {
        keys::QUESTION
    } else {
        &[]
    };
    // A key that answers a question means nothing else meanwhile.
    let taken = |binding: &Binding| {
        let mut asked = keys::in_scopes(asked).flat_map(|binding| binding.presses);
        let first = binding.presses.first();
        asked.any(|press| Some(press) == first)
    };
    let here = || {
        keys::in_scopes(asked)
            .chain(keys::in_scopes(scopes(model)).filter(|binding| !taken(binding)))
            .filter(|binding| !binding.label.is_empty())
    };
    let leads_out = |binding: &&Binding| matches!(binding.action, Action::Help | Action::Quit);
    let last = entries(here().filter(leads_out), usize::MAX);
    let taken: usize = last.iter().map(|(_, text)| width(text)).sum();
    let room = usize::from(row.width).saturating_sub(taken + 3);
    spans.extend(entries(here().filter(|binding| !leads_out(binding)), room));
    paint.both_ends(row, &spans, &last);
}

/// The keys of these scopes alone.
pub(in crate::screen) fn keys(scopes: &[keys::Scope], row: Rect, paint: &mut Paint<'_>) {
    let here = || keys::in_scopes(scopes).filter(|binding| !binding.label.is_empty());
    let leads_out = |binding: &&Binding| matches!(binding.action, Action::Help | Action::Quit);
    let last = entries(here().filter(leads_out), usize::MAX);
    let taken: usize = last.iter().map(|(_, text)| width(text)).sum();
    let room = usize::from(row.width).saturating_sub(taken + 3);
    let mut spans = vec![(Role::Text, " ".to_owned())];
    spans.extend(entries(here().filter(|binding| !leads_out(binding)), room));
    paint.both_ends(row, &spans, &last);
}

/// Keys with their labels; neighbours with the same label stand together.
fn entries(bindings: impl Iterator<Item = &'static Binding>, room: usize) -> Vec<(Role, String)> {
    let mut merged: Vec<(String, &'static str)> = Vec::new();
    for binding in bindings {
        let Some(key) = binding.presses.first().map(|press| press.name()) else {
            continue;
        };
        match merged.last_mut() {
            Some((keys, label)) if *label == binding.label => keys.push_str(&key),
            _ => merged.push((key, binding.label)),
        }
    }
    let mut room = room;
    let mut spans = Vec::new();
    for (keys, label) in merged {
        let label = format!(" {label}  ");
        // Whole keys only: half a label says nothing.
        let Some(left) = room.checked_sub(width(&keys) + width(&label)) else {
            break;
        };
        room = left;
        spans.extend([(Role::Key, keys), (Role::Muted, label)]);
    }
    spans
}
