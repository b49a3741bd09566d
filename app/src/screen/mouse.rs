//! What the mouse does: choose, scroll, seek, and move what lies between panes.
//!
//! Owns: from a place on the screen to what stands there.
//! Must not: answer a question of the policy: a click that came too late would
//! answer the next one.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::act;
use super::events;
use super::keys::Action;
use super::layout::{Divider, inner};
use super::model::{Model, Pane};
use super::question;
use super::view;

/// Rows that a notch of the wheel moves.
const NOTCH: usize = 3;

/// What is held down and moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grip {
    /// What lies between two panes.
    Divider(Divider),
    /// The playhead.
    Playhead,
}

/// Acts on the mouse. Where something is typed or asked, it does nothing.
pub(super) fn mouse(model: &mut Model, event: MouseEvent) {
    let at = Position::new(event.column, event.row);
    let typed = model.prompt.is_some() || model.palette.is_some();
    let asked = model.leaving || model.doomed.is_some() || question::scopes(model).is_some();
    if asked || typed || model.layout.tiny {
        return;
    }
    match event.kind {
        MouseEventKind::Down(MouseButton::Left) => {
            model.toast = None;
            press(model, at);
        }
        MouseEventKind::Drag(MouseButton::Left) => drag(model, at),
        MouseEventKind::Up(_) => model.grip = None,
        MouseEventKind::ScrollUp => wheel(model, at, Action::Up),
        MouseEventKind::ScrollDown => wheel(model, at, Action::Down),
        _ => {}
    }
}

/// The pane below the pointer.
fn pane_at(model: &Model, at: Position) -> Option<(Pane, Rect)> {
    let mut panes = model.layout.panes.iter();
    panes.find(|(_, rect)| rect.contains(at)).copied()
}

fn press(model: &mut Model, at: Position) {
    if model.overlay.is_some() {
        // Beside it: it is in the way.
        if !model.layout.overlay.contains(at) {
            model.overlay = None;
        }
        return;
    }
    if let Some(divider) = model.layout.divider_at(at) {
        model.grip = Some(Grip::Divider(divider));
    } else if model.layout.timeline.contains(at) {
        model.grip = Some(Grip::Playhead);
        seek(model, at);
    } else if let Some(pane) = view::tab_at(model, at) {
        act::focus(model, pane);
    } else if let Some((pane, rect)) = pane_at(model, at) {
        row(model, pane, rect, at);
    }
}

/// Chooses the pane and the row; a row that was chosen already opens.
fn row(model: &mut Model, pane: Pane, rect: Rect, at: Position) {
    let had_keys = model.focus == pane;
    act::focus(model, pane);
    let inside = inner(rect);
    if !inside.contains(at) {
        return;
    }
    let row = usize::from(at.y - inside.y);
    let (Some(list), len) = (model.lists.get(pane as usize), model.rows.len(pane)) else {
        return;
    };
    let index = list.offset + row;
    if index >= len {
        return;
    }
    let chosen = list.index == index && (list.key.is_some() || model.event.is_some());
    if had_keys && chosen {
        act::open(model);
    } else if pane == Pane::Events {
        events::select(model, index, false);
    } else if let Some(list) = model.lists.get_mut(pane as usize) {
        list.index = index;
        list.key = model.rows.key(pane, index).cloned();
    }
}

fn drag(model: &mut Model, at: Position) {
    match model.grip {
        Some(Grip::Divider(divider)) => {
            let moved = model.layout.moved(divider, at);
            model.dividers.set(divider, moved);
        }
        Some(Grip::Playhead) => seek(model, at),
        None => {}
    }
}

/// Moves the playhead to where the pointer is on the timeline.
fn seek(model: &mut Model, at: Position) {
    let strip = view::strip(model);
    if strip.width == 0 || model.player.len() == 0 {
        return;
    }
    let (first, last) = model.player.range();
    let cell = at.x.clamp(strip.x, strip.right().saturating_sub(1)) - strip.x;
    let along = u128::from(last - first) * u128::from(cell) / u128::from(strip.width.max(2) - 1);
    let along = u64::try_from(along).unwrap_or(u64::MAX);
    act::leap(model, first.saturating_add(along));
}

/// Scrolls what is below the pointer; the keys stay where they are.
fn wheel(model: &mut Model, at: Position, action: Action) {
    for _ in 0..NOTCH {
        if model.overlay.is_some() {
            act::scroll(model, action);
        } else if let Some((pane, _)) = pane_at(model, at) {
            act::scroll_in(model, pane, action);
        }
    }
}
