//! Moving in lists and texts, opening and folding rows.
//!
//! Owns: what scrolling, Enter and folding do. Must not: move the playhead.

use crate::screen::events;
use crate::screen::keys::Action;
use crate::screen::layout::inner;
use crate::screen::model::{Model, Pane, Scroll};
use crate::screen::overlay::{self, Kind, Overlay};
use crate::screen::rows::{Fold, RowKey};
use crate::screen::update::window;

pub(in crate::screen) fn scroll(model: &mut Model, action: Action) {
    if let Some(open) = &mut model.overlay {
        let rows = usize::from(inner(model.layout.overlay).height);
        open.offset = moved(
            open.offset,
            action,
            rows,
            open.lines.len().saturating_sub(rows),
        );
        return;
    }
    scroll_in(model, model.focus, action);
}

/// Moves in a pane, whichever has the keys.
pub(in crate::screen) fn scroll_in(model: &mut Model, pane: Pane, action: Action) {
    let rows = model.layout.rows_of(pane);
    if pane == Pane::Output {
        let last = model.rows.output.len().saturating_sub(rows);
        let offset = moved(model.output.offset, action, rows, last);
        model.output = Scroll {
            offset,
            held: offset < last,
        };
        return;
    }
    if pane == Pane::Events {
        let (list, len) = events::list(model);
        let row = moved(list.index, action, rows, len.saturating_sub(1));
        let onwards = !matches!(action, Action::Up | Action::PageUp | Action::Top);
        events::select(model, row, onwards);
        return;
    }
    let len = model.rows.len(pane);
    let Some(list) = model.lists.get_mut(pane as usize) else {
        return;
    };
    list.index = moved(list.index, action, rows, len.saturating_sub(1));
    window(list, len, rows);
    list.key = model.rows.key(pane, list.index).cloned();
}

/// Where a step, a page or a jump leads between 0 and `last`.
pub(in crate::screen) fn moved(at: usize, action: Action, page: usize, last: usize) -> usize {
    let page = page.saturating_sub(1).max(1);
    let to = match action {
        Action::Up => at.saturating_sub(1),
        Action::Down => at + 1,
        Action::PageUp => at.saturating_sub(page),
        Action::PageDown => at + page,
        Action::Top => 0,
        Action::Bottom => last,
        _ => at,
    };
    to.min(last)
}

/// Enter: a folded count unfolds, everything else opens.
pub(in crate::screen) fn open(model: &mut Model) {
    let pane = model.focus;
    match overlay::of_selection(model, pane) {
        Some(Kind::Detail(RowKey::Finished(_))) => {
            let index = model.list(pane).map_or(0, |list| list.index);
            let closed = model
                .rows
                .processes
                .get(index)
                .is_some_and(|line| line.fold == Fold::Closed);
            fold(model, closed);
        }
        Some(kind) => model.overlay = Some(Overlay::new(kind)),
        None => {}
    }
}

pub(super) fn fold(model: &mut Model, unfold: bool) {
    let pane = model.focus;
    let Some(list) = model.lists.get_mut(pane as usize) else {
        return;
    };
    let row = match pane {
        Pane::Processes => model
            .rows
            .processes
            .get(list.index)
            .map(|line| (&line.key, line.fold, line.depth)),
        Pane::Files => model
            .rows
            .files
            .get(list.index)
            .map(|line| (&line.key, line.fold, line.depth)),
        _ => None,
    };
    let Some((key, state, depth)) = row else {
        return;
    };
    if unfold || state == Fold::Open {
        list.key = Some(key.clone());
        if state != Fold::Leaf {
            model.folds.insert(key.clone(), unfold);
        }
        return;
    }
    // Nothing to fold here: go to the row that this one stands below.
    let depths: Vec<usize> = match pane {
        Pane::Processes => model.rows.processes.iter().map(|line| line.depth).collect(),
        _ => model.rows.files.iter().map(|line| line.depth).collect(),
    };
    let above = depths
        .iter()
        .take(list.index)
        .rposition(|above| *above < depth);
    if let Some(above) = above {
        list.index = above;
        list.key = model.rows.key(pane, above).cloned();
    }
}
