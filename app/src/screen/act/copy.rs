//! What goes into the clipboard.
//!
//! Owns: the text of what is selected, written so that it does nothing where it is
//! pasted. Must not: reach the clipboard.
//!
//! Names in a trace are the guest's. Pasted at a shell's prompt, one that was not
//! quoted could be a command, and a page of them many: so a row is one word of a
//! shell, and every line of a page is a comment.

use crate::screen::model::{Effect, Model, Pane};
use crate::screen::rows::{ProcessLine, RowKey};
use crate::screen::text::safe;
use crate::screen::update::toast;

pub(super) fn copy(model: &mut Model) -> Vec<Effect> {
    let text = match &model.overlay {
        Some(open) => Some(commented(&open.text())),
        None => selected_text(model).map(|text| word(&text)),
    };
    let Some(text) = text else { return Vec::new() };
    toast(model, "copied");
    vec![Effect::Copy(text)]
}

/// Escaped text as one word of a shell: as it is, where nothing in it means anything.
pub(in crate::screen) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-@+:=,%".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Every line behind the mark of a comment.
pub(in crate::screen) fn commented(text: &str) -> String {
    let lines = text.lines().map(|line| match line.is_empty() {
        true => "#".to_owned(),
        false => format!("# {line}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The selected row in words.
fn selected_text(model: &Model) -> Option<String> {
    let index = model.list(model.focus)?.index;
    match model.focus {
        Pane::Processes => model.rows.processes.get(index).map(ProcessLine::label),
        Pane::Files => match &model.rows.files.get(index)?.key {
            RowKey::Path(path) | RowKey::Float(path) => Some(safe(path)),
            _ => None,
        },
        Pane::Network => model.rows.network.get(index).map(|line| line.label.clone()),
        Pane::Findings => {
            let list = model.list(Pane::Findings)?;
            let line = model.rows.seen.get(index.checked_sub(list.offset)?)?;
            Some(format!("{} {} {}", line.id, line.title, line.lineage))
        }
        Pane::Events => {
            let list = model.list(Pane::Events)?;
            let line = model.rows.events.get(index.checked_sub(list.offset)?)?;
            Some(format!("#{} {} {}", line.seq, line.process, line.summary))
        }
        Pane::Output | Pane::Timeline => None,
    }
}
