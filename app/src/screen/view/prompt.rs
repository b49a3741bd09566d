//! The line that a filter or a policy line is typed into, and what is wrong with it below.

use belljar_replay::cond::CondError;
use ratatui::layout::Rect;

use super::paint::Paint;
use crate::screen::model::Model;
use crate::screen::prompt::Prompt;
use crate::screen::text::{safe_str, width};
use crate::screen::theme::Role;

/// The line itself, scrolled so far that its cursor can be seen; returns where the
/// cell of a byte offset of its text stands.
pub(in crate::screen) fn typed<'a>(
    line: Rect,
    head: &str,
    prompt: &'a Prompt,
    paint: &mut Paint<'_>,
) -> impl Fn(usize) -> u16 + use<'a> {
    let room = usize::from(line.width)
        .saturating_sub(width(head) + 1)
        .max(1);
    let cells = move |end: usize| width(prompt.text().get(..end).unwrap_or_default());
    // Scrolled so far that the cursor stands in the line.
    let hidden = (cells(prompt.cursor()) + 1).saturating_sub(room);
    let (text, skipped) = behind(prompt.text(), hidden);
    paint.blank(line);
    paint.spans(
        line,
        &[(Role::Key, head.to_owned()), (Role::Text, text.to_owned())],
    );
    let (head, last) = (width(head), line.width.saturating_sub(1));
    let place = move |end: usize| {
        let at = head + cells(end).saturating_sub(skipped);
        u16::try_from(at).unwrap_or(u16::MAX).min(last)
    };
    paint.touch(line.x + place(prompt.cursor()), line.y, Role::Playhead);
    place
}

pub(super) fn draw(model: &Model, (head, prompt): (&str, &Prompt), paint: &mut Paint<'_>) {
    let line = model.layout.timeline;
    let place = typed(line, head, prompt, paint);
    let below = model.layout.footer;
    paint.blank(below);
    match prompt.error() {
        // What is only begun is no mistake while there is something that it may become.
        Some(error) if prompt.tried() || prompt.choices().len() < 2 => {
            let role = if prompt.tried() {
                Role::Danger
            } else {
                Role::Notice
            };
            let at = place(error.offset);
            paint.touch(line.x + at, line.y, Role::Danger);
            complain(paint, below, at, role, error);
        }
        _ => hint(model, prompt, below, paint),
    }
}

/// The text without so many cells at its start, and how many really are left out.
fn behind(text: &str, cells: usize) -> (&str, usize) {
    let mut left_out = 0;
    for (at, c) in text.char_indices() {
        if left_out >= cells {
            return (text.get(at..).unwrap_or_default(), left_out);
        }
        left_out += width(c.encode_utf8(&mut [0; 4]));
    }
    ("", left_out)
}

/// A mark below the place, with the message on whichever side has room for it;
/// where none has, the message alone: the place is marked in the line above, too.
fn complain(paint: &mut Paint<'_>, row: Rect, at: u16, role: Role, error: &CondError) {
    let message = safe_str(&error.text());
    let long = u16::try_from(width(&message))
        .unwrap_or(u16::MAX)
        .saturating_add(2);
    let (start, text) = if row.width.saturating_sub(at) >= long {
        (at, format!("^ {message}"))
    } else if at.saturating_add(1) >= long {
        (at + 1 - long, format!("{message} ^"))
    } else {
        (1, message)
    };
    let place = Rect {
        x: row.x.saturating_add(start),
        width: row.width.saturating_sub(start),
        ..row
    };
    paint.spans(place, &[(role, text)]);
}

/// What the word at the cursor may become, or the keys.
fn hint(model: &Model, prompt: &Prompt, row: Rect, paint: &mut Paint<'_>) {
    let choices = prompt.choices();
    if choices.len() > 1 {
        // Values are the guest's: they are written in quotes, with escapes.
        let text = format!(" {}", choices.join("  "));
        paint.spans(row, &[(Role::Muted, text)]);
        return;
    }
    super::footer::draw(model, row, paint);
}
