//! The command palette: everything that can be done here, found by a few letters.
//!
//! Owns: what there is to choose from (the key table, saved filters, bookmarks),
//! and which of it fits what is typed. Must not: do any of it.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::keys::{self, Action, Binding, pane_scopes};
use super::model::Model;
use super::prompt::Prompt;
use super::text::safe_str;

/// Something to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// A row of the key table.
    Key(Action),
    /// A saved filter, by its place.
    Filter(usize),
    /// A bookmark, by its event.
    Mark(u64),
}

/// A line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) choice: Choice,
    /// The keys that do the same, or what it is.
    pub(super) key: String,
    /// Escaped.
    pub(super) text: String,
    /// What the footer calls it; empty where it does not.
    pub(super) label: &'static str,
}

/// The palette while it is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Palette {
    pub(super) typed: Prompt,
    /// What fits, the best first.
    pub(super) lines: Vec<Line>,
    pub(super) at: usize,
}

/// Opens it, with everything in it.
pub(super) fn open(model: &mut Model) {
    model.palette = Some(Palette {
        typed: Prompt::plain(),
        lines: Vec::new(),
        at: 0,
    });
    find(model);
}

/// Everything that can be chosen while this pane has the keys.
fn all(model: &Model) -> Vec<Line> {
    let here = keys::in_scopes(pane_scopes(model.focus));
    // A digit says which tenth, and the palette is open already.
    let fits = |binding: &&Binding| ![Action::Tenth, Action::Palette].contains(&binding.action);
    let keys = here.filter(fits).map(|binding| {
        let names: Vec<String> = binding.presses.iter().map(|press| press.name()).collect();
        Line {
            choice: Choice::Key(binding.action),
            key: names.join(" "),
            text: binding.help.to_owned(),
            label: binding.label,
        }
    });
    let filters = model.filters.iter().enumerate().map(|(at, text)| Line {
        choice: Choice::Filter(at),
        key: "filter".to_owned(),
        text: safe_str(text),
        label: "",
    });
    let marks = model.marks.iter().map(|mark| Line {
        choice: Choice::Mark(mark.seq),
        key: "⚑".to_owned(),
        text: format!("#{} {}", mark.seq, safe_str(&mark.note)),
        label: "",
    });
    keys.chain(filters).chain(marks).collect()
}

/// Sorts by how well each fits what is typed; what does not is left out.
pub(super) fn find(model: &mut Model) {
    let Some(mut palette) = model.palette.take() else {
        return;
    };
    let lines = all(model);
    let pattern = Pattern::parse(
        palette.typed.text(),
        CaseMatching::Ignore,
        Normalization::Smart,
    );
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut room = Vec::new();
    let mut scored: Vec<(u32, Line)> = lines
        .into_iter()
        .filter_map(|line| {
            // The short name first: who knows it types its beginning.
            let text = format!("{} {} {}", line.label, line.text, line.key);
            let score = pattern.score(Utf32Str::new(&text, &mut room), &mut matcher)?;
            Some((score, line))
        })
        .collect();
    // Equals in the order of the table.
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    palette.lines = scored.into_iter().map(|(_, line)| line).collect();
    palette.at = palette.at.min(palette.lines.len().saturating_sub(1));
    model.palette = Some(palette);
}

/// Moves the choice.
pub(super) fn step(model: &mut Model, down: bool) {
    if let Some(palette) = &mut model.palette {
        let last = palette.lines.len().saturating_sub(1);
        palette.at = match (down, palette.at) {
            (true, at) if at < last => at + 1,
            (true, _) => 0,
            (false, 0) => last,
            (false, at) => at - 1,
        };
    }
}

/// Closes it; what was chosen, if anything fits.
pub(super) fn choose(model: &mut Model) -> Option<Choice> {
    let palette = model.palette.take()?;
    palette.lines.get(palette.at).map(|line| line.choice)
}
