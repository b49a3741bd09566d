//! Files by folder, the unusual above them.

use ratatui::layout::Rect;

use super::paint::{Paint, indent, rows_in};
use super::processes::fold;
use crate::screen::model::{Model, Pane};
use crate::screen::rows::{FileLine, FileMark, Fold, RowKey};
use crate::screen::text::{cut_start, short, width};
use crate::screen::theme::Role;
use crate::screen::verdict;

pub(super) fn draw(model: &Model, rect: Rect, paint: &mut Paint<'_>) {
    let Some(list) = model.list(Pane::Files) else {
        return;
    };
    let lines = model.rows.files.iter().enumerate().skip(list.offset);
    for ((at, line), row) in lines.zip(rows_in(rect)) {
        let right = right(line, rect.width >= 56);
        let taken: usize = right.iter().map(|(_, text)| width(text)).sum();
        let room = usize::from(rect.width).saturating_sub(taken + 1);
        paint.both_ends(row, &left(line, rect.width, room), &right);
        if at == list.index && model.focus == Pane::Files {
            paint.select(row);
        }
    }
}

fn left(line: &FileLine, width: u16, room: usize) -> Vec<(Role, String)> {
    let mark = verdict::file(&line.mark);
    let role = match (&line.mark, line.fold) {
        (FileMark::None, Fold::Leaf) => Role::Text,
        (FileMark::None, _) => Role::Accent,
        _ => mark.role,
    };
    // The end of a whole path says more than its start.
    let whole = matches!(line.key, RowKey::Float(_));
    let label = if whole {
        cut_start(&line.label, room.saturating_sub(4)).into_owned()
    } else {
        line.label.clone()
    };
    vec![
        (mark.role, format!("{} ", mark.glyph)),
        (Role::Faint, indent(line.depth, width)),
        (Role::Muted, fold(line.fold).to_owned()),
        (role, label),
    ]
}

fn right(line: &FileLine, wide: bool) -> Vec<(Role, String)> {
    let mark = verdict::file(&line.mark);
    let mut spans = Vec::new();
    match &line.mark {
        FileMark::None => {}
        FileMark::Decoy(kind) if wide => {
            let kind = crate::screen::text::safe_str(kind);
            spans.push((mark.role, format!(" decoy: {kind} ")));
        }
        FileMark::Credential(kind) if wide => spans.push((mark.role, format!(" {kind} "))),
        _ => spans.push((mark.role, format!(" {} ", mark.word))),
    }
    // In a narrow pane the mark says enough; the counts are one key away.
    let counts = wide || line.mark == FileMark::None;
    let made = line.creates.saturating_add(line.deletes);
    let (writes, apart) = match wide {
        true => (line.writes.saturating_sub(made), true),
        false => (line.writes, false),
    };
    for (is, letter, number) in [
        (apart, "c", line.creates),
        (apart, "d", line.deletes),
        (counts, "w", writes),
    ] {
        if is && number > 0 {
            spans.push((Role::Notice, format!(" {letter} {}", short(number))));
        }
    }
    if counts && line.reads > 0 {
        spans.push((Role::Muted, format!(" r {}", short(line.reads))));
    }
    spans.push((Role::Text, " ".to_owned()));
    spans
}
