//! What the screen is made for, and with.
//!
//! Owns: everything that its owner says once. Must not: change while it is shown,
//! but for the rules and the moment to start at.

use std::sync::Arc;

use belljar_recorder::Start;
use belljar_replay::rules::RuleSet;

use super::marks::Mark;
use super::theme::Theme;

/// Whether the entries come from a run that goes on or from a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A run that is being recorded.
    Live,
    /// A trace.
    Replay,
}

/// What the screen is made for.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Live or replay.
    pub(crate) mode: Mode,
    /// The trace's start record: what runs. Shown escaped.
    pub(crate) start: Start,
    /// The rules that judge.
    pub(crate) rules: Arc<RuleSet>,
    /// Colours.
    pub(crate) theme: Theme,
    /// Without a key for so long what is asked is denied: nanoseconds.
    pub(crate) patience: Option<u64>,
    /// Stand here, paused, as soon as the recording reaches it: nanoseconds from its start.
    pub(crate) at: Option<u64>,
    /// Longest pause while a recording plays: nanoseconds.
    pub(crate) idle: Option<u64>,
    /// The trace is still being written.
    pub(crate) follow: bool,
    /// The files of the rules are watched.
    pub(crate) watched: bool,
    /// Filters that were saved.
    pub(crate) filters: Vec<String>,
    /// Bookmarks that were set before.
    pub(crate) marks: Vec<Mark>,
}

impl Setup {
    /// Without anything that is not asked for.
    #[must_use]
    pub(crate) fn new(mode: Mode, start: Start, rules: Arc<RuleSet>, theme: Theme) -> Self {
        Self {
            mode,
            start,
            rules,
            theme,
            patience: None,
            at: None,
            idle: None,
            follow: false,
            watched: false,
            filters: Vec::new(),
            marks: Vec::new(),
        }
    }
}
