//! Density of events, findings, and where the screen stands.

use ratatui::layout::Rect;

use super::paint::Paint;
use crate::screen::model::{Model, Pane};
use crate::screen::player::Motion;
use crate::screen::text::{clock, safe_str, width};
use crate::screen::theme::Role;
use crate::screen::verdict;

pub(super) const BARS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

pub(super) fn draw(model: &Model, row: Rect, paint: &mut Paint<'_>) {
    let (first, last) = model.player.range();
    let role = match model.focus {
        Pane::Timeline => Role::TitleFocus,
        _ => Role::Muted,
    };
    let (head, tail) = ends(model);
    paint.spans(row, &[(role, head)]);
    let strip = strip(model);
    let end = Rect {
        x: strip.x.saturating_add(strip.width),
        width: row.right().saturating_sub(strip.right()),
        ..row
    };
    paint.spans(end, &[(role, tail)]);
    if strip.intersection(row).is_empty() {
        return;
    }
    bars(model, strip, paint);
    if model.player.len() > 0 {
        let head = place(model.player.now(), first, last, usize::from(strip.width));
        paint.touch(strip.x + head, strip.y, Role::Playhead);
    }
}

/// What stands before and behind the strip.
fn ends(model: &Model) -> (String, String) {
    let (first, last) = model.player.range();
    let mark = match model.focus {
        Pane::Timeline => "▸ ",
        _ => "",
    };
    let tail = format!(" {}  {} ", clock(last - first), motion(model));
    (format!(" {mark}0:00 "), tail)
}

/// Where the strip stands.
pub(in crate::screen) fn strip(model: &Model) -> Rect {
    let row = model.layout.timeline;
    let (head, tail) = ends(model);
    let cells = |text: &str| u16::try_from(width(text)).unwrap_or(u16::MAX);
    let (head, tail) = (cells(&head), cells(&tail));
    Rect {
        x: row.x.saturating_add(head),
        width: row.width.saturating_sub(head.saturating_add(tail)),
        ..row
    }
}

fn motion(model: &Model) -> &'static str {
    match model.player.motion() {
        Motion::Following => "following ●",
        Motion::Playing => "playing ▶",
        Motion::Paused => "paused ❚❚",
    }
}

/// The strip, finding marks in place of the bars below them.
fn bars(model: &Model, strip: Rect, paint: &mut Paint<'_>) {
    let (first, last) = model.player.range();
    let cells = usize::from(strip.width);
    let mut spans: Vec<(Role, String)> = model
        .density
        .bars(last, cells)
        .into_iter()
        .map(|height| {
            (
                Role::Density,
                BARS.get(usize::from(height))
                    .copied()
                    .unwrap_or(" ")
                    .to_owned(),
            )
        })
        .collect();
    let phases = model.player.tip().phases();
    if phases.len() > 1 {
        let starts: Vec<(usize, &str)> = phases
            .iter()
            .map(|phase| {
                let at = place(phase.began, first, last, cells);
                (usize::from(at), phase.name.as_str())
            })
            .collect();
        mark_phases(&starts, &mut spans);
    }
    for row in model.other.iter().flat_map(|other| &other.rows) {
        let index = model.player.index_of(row.seq);
        let entry = index.and_then(|index| model.player.entry(index));
        let at = entry.map(|entry| usize::from(place(entry.at(), first, last, cells)));
        if let Some(span) = at.and_then(|at| spans.get_mut(at)) {
            *span = (Role::Denied, "≠".to_owned());
        }
    }
    let mut worst = vec![None; cells];
    for finding in model.player.tip().findings() {
        let at = usize::from(place(finding.at, first, last, cells));
        if let Some(slot) = worst.get_mut(at) {
            *slot = (*slot).max(Some(finding.rule.severity));
        }
    }
    for (span, severity) in spans.iter_mut().zip(worst) {
        if let Some(severity) = severity {
            let mark = verdict::severity(severity);
            *span = (mark.role, mark.glyph.to_owned());
        }
    }
    for mark in &model.marks {
        let Some(time) = model.player.time_of(mark.seq) else {
            continue;
        };
        let at = usize::from(place(time, first, last, cells));
        if let Some(span) = spans.get_mut(at) {
            *span = (Role::Accent, "⚑".to_owned());
        }
    }
    paint.spans(strip, &spans);
}

/// A stroke where each phase begins, and its name behind it as far as it fits.
fn mark_phases(starts: &[(usize, &str)], spans: &mut [(Role, String)]) {
    for (number, (at, name)) in starts.iter().enumerate() {
        let next = starts
            .get(number + 1)
            .map_or(spans.len(), |(next, _)| *next);
        let room = next.saturating_sub(at + 1);
        let name = safe_str(name);
        let name: &str = if width(&name) < room { &name } else { "" };
        let marks = std::iter::once('│').chain(name.chars());
        for (span, mark) in spans.iter_mut().skip(*at).zip(marks) {
            *span = (Role::Muted, mark.to_string());
        }
    }
}

/// The cell of a time.
fn place(time: u64, first: u64, last: u64, cells: usize) -> u16 {
    let total = u128::from(last.saturating_sub(first)) + 1;
    let at = u128::from(time.saturating_sub(first)) * cells as u128 / total;
    u16::try_from(at.min(cells.saturating_sub(1) as u128)).unwrap_or(0)
}
