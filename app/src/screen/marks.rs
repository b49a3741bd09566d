//! Bookmarks: events that somebody wants to find again, with a note.
//!
//! Owns: which events those are, and going to them. Must not: write a file: the
//! trace never changes, and what stands beside it is its owner's business.

use super::events;
use super::model::{Effect, Model, Pane};
use super::player::Motion;
use super::prompt::Prompt;
use super::text::safe_str;
use super::update::toast;

/// Most bookmarks of a trace.
pub(crate) const MAX_MARKS: usize = 1000;
/// Longest note, in bytes.
pub(crate) const MAX_NOTE: usize = 1000;

/// A bookmark.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    /// The event's number.
    pub(crate) seq: u64,
    /// What somebody says of it. It may come from somebody else: escape it.
    pub(crate) note: String,
}

impl Model {
    /// The bookmark of an event.
    pub(super) fn mark(&self, seq: u64) -> Option<&Mark> {
        self.marks.iter().find(|mark| mark.seq == seq)
    }
}

/// The event that a bookmark is put at: the selected one, else the newest that is shown.
fn here(model: &Model) -> Option<u64> {
    let selected = (model.focus == Pane::Events).then(|| events::selected(model));
    let newest = || model.player.position().checked_sub(1);
    let index = selected.flatten().or_else(newest)?;
    Some(model.player.entry(index)?.seq())
}

/// Puts a bookmark, or takes it away.
pub(super) fn toggle(model: &mut Model) -> Vec<Effect> {
    let Some(seq) = here(model) else {
        return Vec::new();
    };
    if model.mark(seq).is_some() {
        model.marks.retain(|mark| mark.seq != seq);
        toast(model, format!("bookmark at #{seq} removed"));
        return changed(model);
    }
    put(model, seq, String::new())
}

/// Begins to type a note.
pub(super) fn begin_note(model: &mut Model) {
    if let Some(seq) = here(model) {
        let note = model.mark(seq).map_or("", |mark| &mark.note);
        // What nobody would see cannot be typed either.
        model.prompt = Some(Prompt::note(seq, &safe_str(note)));
    }
}

/// Puts a bookmark with a note; an empty one has none.
pub(super) fn put(model: &mut Model, seq: u64, mut note: String) -> Vec<Effect> {
    while note.len() > MAX_NOTE {
        note.pop();
    }
    model.marks.retain(|mark| mark.seq != seq);
    if model.marks.len() >= MAX_MARKS {
        toast(model, format!("there are {MAX_MARKS} bookmarks already"));
        return Vec::new();
    }
    model.marks.push(Mark { seq, note });
    model.marks.sort_unstable();
    toast(model, format!("bookmark at #{seq}; {{ and }} go to them"));
    changed(model)
}

fn changed(model: &Model) -> Vec<Effect> {
    vec![Effect::Marks(model.marks.clone())]
}

/// To the moment right behind the next bookmarked event, or the one before.
pub(super) fn jump(model: &mut Model, forward: bool) {
    let here = model.player.position();
    let places = model.marks.iter().filter_map(|mark| {
        let index = model.player.index_of(mark.seq)?;
        Some((index + 1, mark.seq))
    });
    let found = match forward {
        true => places.filter(|(at, _)| *at > here).min(),
        false => places.filter(|(at, _)| *at < here).max(),
    };
    match found {
        Some((_, seq)) => go_to(model, seq),
        None if model.marks.is_empty() => toast(model, "no bookmark is set; b sets one"),
        None if forward => toast(model, "no bookmark after this moment"),
        None => toast(model, "no bookmark before this moment"),
    }
}

/// To the moment right behind an event.
pub(super) fn go_to(model: &mut Model, seq: u64) {
    let Some(index) = model.player.index_of(seq) else {
        toast(model, format!("event #{seq} is not in this trace"));
        return;
    };
    model.player.set_motion(Motion::Paused);
    model.player.seek(index + 1);
    model.event = None;
    let note = model.mark(seq).map_or("", |mark| &mark.note);
    let note = safe_str(note);
    toast(model, format!("⚑ #{seq} {note}"));
}
