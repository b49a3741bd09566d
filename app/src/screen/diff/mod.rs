//! Two traces side by side: what is only in one, what is in both and not alike,
//! and the events behind each.
//!
//! Owns: the state of that screen; what happens to it is in `act`, the picture in
//! `view`. Must not: compare: the rows are those of `belljar_replay::compare`, and
//! the events behind a row are found by the owner of the screen, who has the traces.
//!
//! It is shown by the same driver as a run or a replay, with keys from the same table.

mod act;
mod cells;
mod detail;
mod lines;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;

use belljar_replay::compare::{About, Did, Evident, Kind};
use crossterm::event::{KeyEvent, KeyModifiers};
use ratatui::Frame;
use ratatui::layout::Rect;

use super::model::{Effect, Failure, Msg, Toast};
use super::overlay::Span;
use super::prompt::Prompt;
use super::run::Screen;
use super::text::safe_str;
use super::theme::Theme;
use lines::{Key, Line, Pair, Tally};

/// Which of the two runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// What is known.
    A,
    /// What is new.
    B,
}

impl Side {
    pub(super) const BOTH: [Side; 2] = [Side::A, Side::B];

    /// How it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
        }
    }
}

/// A row whose events are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// What it is.
    pub(crate) kind: Kind,
    /// As the comparison calls it.
    pub(crate) what: String,
    /// Counts up: an answer to an older question is late.
    pub(crate) number: u64,
}

/// The events behind a row in one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Of which question.
    pub(crate) number: u64,
    /// In which run.
    pub(crate) side: Side,
    /// The events, or why there are none.
    pub(crate) events: Result<Evident, String>,
}

/// What stands over the rows.
#[derive(Clone, Debug)]
struct Open {
    what: Over,
    title: String,
    lines: Vec<Vec<Span>>,
    offset: usize,
}

#[derive(Clone, Debug)]
enum Over {
    /// The key table.
    Help,
    /// A row, and what was found of its events so far.
    Row {
        index: usize,
        found: [Option<Result<Evident, String>>; 2],
    },
    /// What went wrong.
    Failure(Failure),
}

/// The screen of a comparison.
pub(crate) struct Diff {
    theme: Theme,
    /// The files, as they were named.
    names: [String; 2],
    about: Option<[About; 2]>,
    pairs: Vec<Pair>,
    tallies: BTreeMap<Kind, Tally>,
    area: Rect,
    lines: Vec<Line>,
    key: Option<Key>,
    index: usize,
    offset: usize,
    folds: BTreeMap<Key, bool>,
    filter: String,
    prompt: Option<Prompt>,
    open: Option<Open>,
    /// Questions for events so far.
    asked: u64,
    toast: Option<Toast>,
    stage: Option<String>,
    revision: u64,
}

impl Diff {
    /// Before anything is known of the two traces.
    #[must_use]
    pub(crate) fn new(theme: Theme, names: [String; 2]) -> Self {
        Self {
            theme,
            names,
            about: None,
            pairs: Vec::new(),
            tallies: BTreeMap::new(),
            area: Rect::new(0, 0, 80, 24),
            lines: Vec::new(),
            key: None,
            index: 0,
            offset: 0,
            folds: BTreeMap::new(),
            filter: String::new(),
            prompt: None,
            open: None,
            asked: 0,
            toast: None,
            stage: Some("reading both traces".to_owned()),
            revision: 0,
        }
    }

    /// Both runs are known.
    fn learn(&mut self, a: &Did, b: &Did) {
        self.pairs = lines::pairs(a, b);
        self.tallies = lines::tallies(&self.pairs, a, b);
        self.about = Some([a.about.clone(), b.about.clone()]);
        self.stage = None;
        self.key = None;
        self.lay_out();
        // What differs comes first, not the title above it.
        self.index = lines::next(&self.lines, &self.pairs, None, true).unwrap_or(0);
        self.keep();
    }

    /// Computes the lines anew and finds the selected one again.
    fn lay_out(&mut self) {
        self.lines = lines::lines(&self.pairs, &self.tallies, &self.folds, &self.filter);
        if let Some(key) = &self.key {
            let found = self.lines.iter().position(|line| line.key == *key);
            self.index = found.unwrap_or(self.index);
        }
        self.window();
        self.revision += 1;
    }

    /// Keeps the selected line in the window, and remembers which one it is.
    fn keep(&mut self) {
        self.window();
        self.key = self.lines.get(self.index).map(|line| line.key.clone());
        self.revision += 1;
    }

    fn window(&mut self) {
        let rows = usize::from(view::rows(self.area).height).max(1);
        self.index = self.index.min(self.lines.len().saturating_sub(1));
        let lowest = (self.index + 1).saturating_sub(rows);
        let last = self.lines.len().saturating_sub(rows).max(lowest);
        self.offset = self.offset.clamp(lowest, self.index.max(lowest)).min(last);
    }

    fn selected(&self) -> Option<&Line> {
        self.lines.get(self.index)
    }

    fn say(&mut self, text: impl Into<String>) {
        self.toast = Some(Toast {
            text: text.into(),
            left: 4 * super::player::SECOND,
        });
        self.revision += 1;
    }

    fn tick(&mut self, elapsed: u64) {
        if let Some(toast) = &mut self.toast {
            toast.left = toast.left.saturating_sub(elapsed);
            if toast.left == 0 {
                self.toast = None;
                self.revision += 1;
            }
        }
    }

    fn found(&mut self, answer: Found) {
        let Some(open) = &mut self.open else { return };
        let Over::Row { found, .. } = &mut open.what else {
            return;
        };
        if answer.number != self.asked {
            return;
        }
        if let Some(slot) = found.get_mut(answer.side as usize) {
            *slot = Some(answer.events);
        }
        detail::fill(self);
    }
}

impl Screen for Diff {
    fn update(&mut self, msg: Msg) -> Vec<Effect> {
        match msg {
            Msg::Key(event) => return act::key(self, &event),
            Msg::Mouse(event) => return act::mouse(self, event),
            Msg::Paste(text) => act::paste(self, &text),
            Msg::Resize(columns, rows) => {
                self.area = Rect::new(0, 0, columns, rows);
                self.lay_out();
                detail::fill(self);
            }
            Msg::Tick { elapsed } => self.tick(elapsed),
            Msg::Sides(sides) => self.learn(&sides.0, &sides.1),
            Msg::Found(found) => self.found(found),
            Msg::Notice(text) => self.say(safe_str(&text)),
            Msg::Stage(text) => {
                self.stage = (!text.is_empty()).then_some(text);
                self.revision += 1;
            }
            Msg::Failed(failure) => {
                self.stage = None;
                act::show(self, Over::Failure(failure));
            }
            // Of another screen.
            Msg::Entries(_) | Msg::Rules(_) | Msg::SourceEnded(_) | Msg::Other(_) => {}
        }
        Vec::new()
    }

    fn view(&self, frame: &mut Frame<'_>) {
        view::view(self, frame);
    }

    fn revision(&self) -> u64 {
        self.revision
    }
}

/// True where a key is text.
fn is_text(event: &KeyEvent) -> bool {
    let command = KeyModifiers::CONTROL | KeyModifiers::ALT;
    !event.modifiers.intersects(command)
}
