//! What stands over the rows of a comparison: a row with its events in both runs,
//! the keys, or what went wrong.
//!
//! Owns: its lines. Must not: look for events.

use belljar_replay::compare::Evident;

use super::view::{mark, over};
use super::{Diff, Over, Side};
use crate::screen::keys::{self, Scope};
use crate::screen::layout::inner;
use crate::screen::overlay::page::Page;
use crate::screen::text::{clock, grouped, safe_str};
use crate::screen::theme::Role;

/// Lays out what is open, as things stand.
pub(super) fn fill(diff: &mut Diff) {
    let Some(mut open) = diff.open.take() else {
        return;
    };
    let rect = inner(over(diff.area));
    let mut page = Page {
        width: usize::from(rect.width).saturating_sub(2).max(8),
        lines: Vec::new(),
    };
    open.title = match &open.what {
        Over::Help => help(diff, &mut page),
        Over::Failure(failure) => {
            page.prose(Role::Danger, &failure.what);
            page.gap();
            for hint in failure.hints.iter().take(40) {
                page.line(Role::Text, &safe_str(hint));
            }
            "✗ stopped".to_owned()
        }
        Over::Row { index, found } => row(diff, *index, found, &mut page),
    };
    open.lines = page.lines;
    let last = open.lines.len().saturating_sub(usize::from(rect.height));
    open.offset = open.offset.min(last);
    diff.open = Some(open);
    diff.revision += 1;
}

fn row(
    diff: &Diff,
    index: usize,
    found: &[Option<Result<Evident, String>>; 2],
    page: &mut Page,
) -> String {
    let Some(pair) = diff.pairs.get(index) else {
        return String::new();
    };
    page.line(Role::Strong, &pair.what);
    page.gap();
    let mark = mark(pair.state);
    page.pair(
        "stands",
        mark.role,
        &format!("{} {}", mark.glyph, mark.word),
    );
    for (side, cell) in Side::BOTH.into_iter().zip(&pair.cells) {
        let label = format!("in {}", side.name());
        match cell {
            Some(cell) => {
                let times = match cell.count {
                    0 | 1 => String::new(),
                    count => format!("  ×{}", grouped(count)),
                };
                page.pair(&label, Role::Text, &format!("{}{times}", cell.state));
            }
            None => page.pair(&label, Role::Faint, "not there"),
        }
    }
    let sides = Side::BOTH.into_iter().zip(&pair.cells);
    for ((side, cell), (found, name)) in sides.zip(found.iter().zip(&diff.names)) {
        // What is not there has no events.
        if cell.is_some() {
            events(side, name, found.as_ref(), page);
        }
    }
    pair.kind.title().to_lowercase()
}

fn events(side: Side, name: &str, found: Option<&Result<Evident, String>>, page: &mut Page) {
    let side = side.name();
    match found {
        None => {
            page.heading(&format!("Events in {side}"));
            page.line(Role::Muted, "reading …");
        }
        Some(Err(why)) => {
            page.heading(&format!("Events in {side}"));
            page.line(Role::Danger, &format!("✗ {}", safe_str(why)));
        }
        Some(Ok(found)) => {
            page.heading(&format!("Events in {side}: {}", grouped(found.count)));
            if found.events.is_empty() {
                page.line(Role::Muted, "none is about this alone");
            }
            for event in &found.events {
                let since = event.at.saturating_sub(found.began);
                page.event(event.seq, since, &event.summary);
            }
            let more = found.count.saturating_sub(found.events.len() as u64);
            if more > 0 {
                page.line(Role::Muted, &format!("and {} more", grouped(more)));
            }
            if let Some(first) = found.events.first() {
                let since = first.at.saturating_sub(found.began);
                let seconds = since / 1_000_000_000;
                let text = format!(
                    "belljar replay {} --at {seconds}    ({})",
                    safe_str(name),
                    clock(since)
                );
                page.pair("go there", Role::Key, &text);
            }
        }
    }
}

fn help(diff: &Diff, page: &mut Page) -> String {
    page.line(
        Role::Text,
        "Two traces side by side: A is what is known, B what is new. What differs comes first; what is the same is folded. Ids, times, random names and the like make no difference (belljar diff --folds).",
    );
    page.heading("Marks");
    for state in super::lines::State::ALL {
        let mark = mark(state);
        let text = match state {
            super::lines::State::OnlyB => "only B did it",
            super::lines::State::OnlyA => "only A did it",
            super::lines::State::Changed => "both did it, but not alike",
            super::lines::State::Same => "both did it, and alike",
        };
        page.pair(mark.glyph, mark.role, &format!("{}: {text}", mark.word));
    }
    for (scope, title) in [
        (Scope::Diff, "Two traces"),
        (Scope::Rows, "Rows"),
        (Scope::Tree, "Folding"),
        (Scope::Input, "While a filter is typed"),
        (Scope::Overlay, "Overlays"),
        (Scope::Always, "Always"),
    ] {
        page.heading(title);
        for binding in keys::in_scopes(&[scope]) {
            let names: Vec<String> = binding.presses.iter().map(|press| press.name()).collect();
            page.pair(&names.join(" "), Role::Text, binding.help);
        }
    }
    format!("help · theme {}", diff.theme.name())
}
