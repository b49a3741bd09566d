//! Everything the screen knows: one value, changed only by [`update`](mod@super::update).
//!
//! Owns: the state of the screen and the messages that change it.
//! Must not: draw, read a clock, or touch a terminal.

use std::collections::BTreeMap;
use std::sync::Arc;

use belljar_recorder::{Entry, Integrity};
use belljar_replay::compare::Did;
use belljar_replay::session::Session;
use belljar_replay::what_if::WhatIf;
use crossterm::event::{KeyEvent, MouseEvent};

use super::density::Density;
use super::diff::{Found, Wanted};
use super::events::Filter;
use super::guest::Doomed;
use super::layout::{Dividers, Layout, Wish};
use super::marks::Mark;
use super::mouse::Grip;
use super::only::Only;
use super::overlay::Overlay;
use super::palette::Palette;
use super::player::{Motion, Player, SECOND};
use super::prompt::Prompt;
use super::pulse::Pulse;
use super::question::Asking;
use super::rows::{Facts, RowKey, Rows};
use super::rules::{Reload, Watched};
pub(crate) use super::setup::{Mode, Setup};
use super::terminal::Terminal;

/// Entries in one message: the screen takes it whole, and no key meanwhile.
pub(crate) const TOGETHER: usize = 512;

/// What happens to the screen.
#[derive(Clone, Debug)]
pub(crate) enum Msg {
    /// A key.
    Key(KeyEvent),
    /// The mouse.
    Mouse(MouseEvent),
    /// Text from the clipboard: never keys, whatever stands in it.
    Paste(String),
    /// The terminal's size: columns, rows.
    Resize(u16, u16),
    /// Time went by.
    Tick {
        /// Nanoseconds since the last tick.
        elapsed: u64,
    },
    /// More was recorded, or read.
    Entries(Vec<Entry>),
    /// What is awaited, in words; shown with the time since.
    Stage(String),
    /// The files of the rules were changed.
    Rules(Reload),
    /// Something to be told once, that is no event.
    Notice(String),
    /// No more entries will come; whether the trace is whole.
    SourceEnded(Integrity),
    /// The run or the reading failed: shown as a pane, with what to do.
    Failed(Failure),
    /// What two runs did, for the screen of their comparison.
    Sides(Box<(Did, Did)>),
    /// Events behind a row of a comparison.
    Found(Found),
    /// What another policy would have decided about this recording.
    Other(Box<WhatIf>),
}

impl Msg {
    /// What was recorded, in messages that are not too long.
    pub(crate) fn pieces(entries: Vec<Entry>) -> impl Iterator<Item = Self> {
        let mut entries = entries.into_iter();
        std::iter::from_fn(move || {
            let piece: Vec<Entry> = entries.by_ref().take(TOGETHER).collect();
            (!piece.is_empty()).then_some(Self::Entries(piece))
        })
    }
}

/// What the screen asks its owner to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Leave the screen.
    Quit,
    /// Give the terminal back and stand still until somebody goes on with it.
    Suspend,
    /// Find the events behind a row of a comparison.
    Evidence(Wanted),
    /// Stop the run; its end comes as entries and [`Msg::SourceEnded`].
    Interrupt,
    /// Stop the machine, or let it go on.
    Freeze(bool),
    /// End this process and all below it.
    Kill(u32),
    /// Somebody is there: a key was pressed while a question waits.
    Here,
    /// Put this text into the clipboard.
    Copy(String),
    /// Keep these filters for other traces.
    Filters(Vec<String>),
    /// Keep these bookmarks beside the trace.
    Marks(Vec<Mark>),
    /// Answer a question.
    Answer {
        /// The hold's number.
        hold: u64,
        /// Allow, deny or kill.
        action: belljar_event::Action,
        /// What else it holds for.
        scope: belljar_event::Scope,
    },
}

/// What went wrong, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What happened, where.
    pub(crate) what: String,
    /// What to do, line by line.
    pub(crate) hints: Vec<String>,
}

/// A part of the screen that can have the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pane {
    /// The process tree.
    Processes,
    /// Files by folder.
    Files,
    /// Destinations and names.
    Network,
    /// Findings.
    Findings,
    /// Every event, or those that a filter leaves.
    Events,
    /// What the payload wrote to its terminal.
    Output,
    /// The timeline.
    Timeline,
}

impl Pane {
    /// In the order of Tab.
    pub(super) const ALL: [Pane; 7] = [
        Pane::Processes,
        Pane::Files,
        Pane::Network,
        Pane::Findings,
        Pane::Events,
        Pane::Output,
        Pane::Timeline,
    ];

    /// Title of the pane.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::Files => "files",
            Self::Network => "network",
            Self::Findings => "findings",
            Self::Events => "events",
            Self::Output => "output",
            Self::Timeline => "timeline",
        }
    }
}

/// Selection and scroll of a pane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct List {
    /// What is selected; `None` until someone moved.
    pub(super) key: Option<RowKey>,
    /// Where it stands.
    pub(super) index: usize,
    /// First row in the window.
    pub(super) offset: usize,
}

/// Scroll of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scroll {
    /// First line in the window.
    pub(super) offset: usize,
    /// Stands somewhere else than at the end.
    pub(super) held: bool,
}

/// A passing message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Toast {
    pub(super) text: String,
    /// Nanoseconds left.
    pub(super) left: u64,
}

/// The state of the screen.
#[derive(Clone)]
pub(crate) struct Model {
    pub(super) setup: Setup,
    pub(super) player: Player,
    pub(super) density: Density,
    /// What each destination did over time.
    pub(super) pulse: Pulse,
    /// The payload's home folder, read off the decoys.
    pub(super) home: Option<Vec<u8>>,
    pub(super) layout: Layout,
    pub(super) focus: Pane,
    /// The pane to go back to from output and timeline.
    pub(super) back: Pane,
    /// Panes with rows, in the order of [`Pane::ALL`].
    pub(super) lists: [List; 5],
    pub(super) output: Scroll,
    pub(super) terminal: Terminal,
    /// Narrows the events.
    pub(super) filter: Option<Filter>,
    /// The filter that is being typed.
    pub(super) prompt: Option<Prompt>,
    /// The rules, where their files are watched.
    pub(super) watched: Option<Watched>,
    /// The command palette.
    pub(super) palette: Option<Palette>,
    /// Filters to choose from, the newest last.
    pub(super) filters: Vec<String>,
    /// Bookmarks, by their events.
    pub(super) marks: Vec<Mark>,
    /// What another policy would have decided.
    pub(super) other: Option<Box<WhatIf>>,
    /// The one process whose files and network are shown.
    pub(super) only: Option<Only>,
    /// The pane that has the keys stands alone.
    pub(super) zoomed: bool,
    pub(super) dividers: Dividers,
    /// What the mouse holds.
    pub(super) grip: Option<Grip>,
    /// The question that is shown, and what is being answered.
    pub(super) asking: Asking,
    /// The selected event; `None`: the newest before the playhead, whichever that is.
    pub(super) event: Option<usize>,
    pub(super) folds: BTreeMap<RowKey, bool>,
    pub(super) overlay: Option<Overlay>,
    pub(super) leaving: bool,
    /// A process tree that ends if it is said once more.
    pub(super) doomed: Option<Doomed>,
    pub(super) toast: Option<Toast>,
    /// What is awaited, and for how many nanoseconds by now.
    pub(super) stage: Option<(String, u64)>,
    pub(super) ended: Option<Integrity>,
    /// Nanoseconds since the newest entry came, while the screen follows a run.
    pub(super) quiet: u64,
    pub(super) interrupted: bool,
    pub(super) failure: Option<Failure>,
    /// Computed from the session at the playhead.
    pub(super) facts: Facts,
    pub(super) rows: Rows,
    /// Entries came since the rows were computed.
    pub(super) stale: bool,
    /// Ticks since the rows were computed.
    pub(super) skipped: u64,
    /// Grows with every change that can be seen.
    pub(super) revision: u64,
}

impl Model {
    /// A screen of 80 by 24 that knows nothing yet.
    #[must_use]
    pub(crate) fn new(setup: Setup) -> Self {
        let motion = match setup.mode {
            Mode::Live => Motion::Following,
            Mode::Replay if setup.follow => Motion::Following,
            Mode::Replay => Motion::Playing,
        };
        let watched = setup.watched.then(Watched::default);
        let (filters, marks) = (setup.filters.clone(), setup.marks.clone());
        Self {
            player: Player::new(
                Session::new(Arc::clone(&setup.rules)).with_start(&setup.start),
                motion,
                setup.idle,
            ),
            setup,
            density: Density::default(),
            pulse: Pulse::default(),
            home: None,
            layout: Layout::new(80, 24, Wish::default()),
            focus: Pane::Processes,
            back: Pane::Processes,
            lists: Default::default(),
            output: Scroll::default(),
            terminal: Terminal::default(),
            filter: None,
            prompt: None,
            watched,
            palette: None,
            filters,
            marks,
            other: None,
            only: None,
            zoomed: false,
            dividers: Dividers::default(),
            grip: None,
            asking: Asking::default(),
            event: None,
            folds: BTreeMap::new(),
            overlay: None,
            leaving: false,
            doomed: None,
            toast: None,
            stage: None,
            ended: None,
            quiet: 0,
            interrupted: false,
            failure: None,
            facts: Facts::default(),
            rows: Rows::default(),
            stale: true,
            skipped: 0,
            revision: 0,
        }
    }

    /// Changes whenever the picture does.
    #[must_use]
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The number of the newest event before the playhead.
    pub(super) fn newest_shown(&self) -> u64 {
        let last = self.player.position().checked_sub(1);
        let entry = last.and_then(|last| self.player.entry(last));
        entry.map_or(0, |entry| entry.seq())
    }

    /// True while entries may still come.
    pub(super) fn is_open(&self) -> bool {
        self.ended.is_none() && self.failure.is_none()
    }

    /// True while more is written.
    pub(super) fn is_growing(&self) -> bool {
        self.is_live() || self.setup.follow
    }

    pub(super) fn is_live(&self) -> bool {
        self.setup.mode == Mode::Live
    }

    /// The time that is shown: a run goes on while nothing happens in it.
    pub(super) fn now(&self) -> u64 {
        let quiet = if self.player.motion() == Motion::Following {
            self.quiet / SECOND * SECOND
        } else {
            0
        };
        self.player.now().saturating_add(quiet)
    }

    /// True when nothing moves by itself: a recording that was read and stands.
    pub(crate) fn is_at_rest(&self) -> bool {
        let stands = match self.player.motion() {
            Motion::Playing => self.player.position() == self.player.len(),
            Motion::Paused => true,
            Motion::Following => !self.is_open(),
        };
        stands && self.toast.is_none()
    }

    /// The phase at the playhead, and the findings so far: number, and in words.
    pub(crate) fn chapters(&self) -> (Option<String>, Vec<(u64, String)>) {
        let session = self.player.session();
        let findings = session.findings().iter().map(|finding| {
            let text = format!("{} {}", finding.rule.id, finding.rule.title);
            (finding.number, super::text::safe_str(&text))
        });
        let phase = session.phase().map(super::text::safe_str);
        (phase, findings.collect())
    }

    /// True while the guest waits for the person.
    pub(super) fn stands_still(&self) -> bool {
        let session = self.player.tip();
        session.is_frozen() || session.waiting().next().is_some()
    }

    /// The list of a pane that has rows to select.
    pub(super) fn list(&self, pane: Pane) -> Option<&List> {
        self.lists.get(pane as usize)
    }
}
