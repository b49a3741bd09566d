//! The payload's terminal, emulated: what its screen showed at the playhead.
//!
//! Owns: the emulation of the guest's pty, rebuilt for any playhead from the
//! recorded output, with checkpoints; cells turned into lines of safe text.
//! Must not: pass a byte on. The emulator obeys what the guest wrote; what comes
//! out of it are cells, and a cell that is not plain text is replaced by a mark.
//!
//! Work is counted and bounded per call: output that is made to be expensive
//! makes this pane late, and nothing else.

use std::num::NonZeroU16;
use std::sync::Arc;

use belljar_event::Fact;
use belljar_recorder::{Entry, Shelf};
use belljar_replay::escape;

use super::player::Player;
use super::text::width;
use super::theme::Ink;

/// The size that guests are given; output was laid out for it.
const ROWS: NonZeroU16 = size(40);
const COLUMNS: NonZeroU16 = size(120);
/// Lines kept above the screen; the trace has all of it.
const SCROLLBACK: usize = 1000;
/// Output between two checkpoints at first; doubles when there are too many.
const SPACING: u64 = 256 << 10;
/// Checkpoints kept at most.
const CHECKPOINTS: usize = 8;
/// Work done in one call at most, about one unit a byte.
const BUDGET: u64 = 1_000_000;
/// What stands for a cell that is not plain text.
const STRANGE: &str = "?";

const fn size(cells: u16) -> NonZeroU16 {
    match NonZeroU16::new(cells) {
        Some(cells) => cells,
        None => NonZeroU16::MIN,
    }
}

/// How a cell looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) fg: Ink,
    pub(super) bg: Ink,
    pub(super) bold: bool,
    pub(super) dim: bool,
    pub(super) italic: bool,
    pub(super) underline: bool,
    pub(super) inverse: bool,
    /// Stands for something that is not shown.
    pub(super) strange: bool,
}

/// Runs of equal look.
pub(super) type Line = Vec<(Look, String)>;

/// Where in an escape sequence the output stands. Only [`State::Ground`] has to
/// be right, and it errs towards the others: there a checkpoint can be taken,
/// which holds a screen but no half-read sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// In a character of several bytes, perhaps.
    Wide,
    Escape,
    /// In `ESC [ …`, with the last number in it.
    Control(u64),
    /// In a string that ESC, CAN or SUB ends, and BEL if it is an OSC.
    Text {
        osc: bool,
    },
}

impl State {
    /// The state behind a byte, and what the byte costs.
    fn next(self, byte: u8) -> (Self, u64) {
        match (self, byte) {
            (_, 0x18 | 0x1a) => (Self::Ground, 1),
            (_, 0x1b) => (Self::Escape, 1),
            (Self::Ground | Self::Wide, b'\n') => (Self::Ground, 20),
            (Self::Ground | Self::Wide, 0x80..) => (Self::Wide, 1),
            (Self::Ground | Self::Wide, _) => (Self::Ground, 1),
            (Self::Escape, b'[') => (Self::Control(0), 1),
            (Self::Escape, b']') => (Self::Text { osc: true }, 1),
            (Self::Escape, b'P' | b'X' | b'^' | b'_') => (Self::Text { osc: false }, 1),
            (Self::Escape, 0x30..=0x7e) => (Self::Ground, 200),
            (Self::Escape, _) => (Self::Escape, 1),
            // REP repeats a character so often; the others are bounded by the screen.
            (Self::Control(number), b'b') => (Self::Ground, number.min(u64::from(u16::MAX))),
            (Self::Control(_), 0x40..=0x7e) => (Self::Ground, 400),
            (Self::Control(number), b'0'..=b'9') => {
                let digit = u64::from(byte - b'0');
                (
                    Self::Control(number.saturating_mul(10).saturating_add(digit)),
                    1,
                )
            }
            (Self::Control(_), b';' | b':') => (Self::Control(0), 1),
            (Self::Control(number), _) => (Self::Control(number), 1),
            (Self::Text { osc: true }, 7) => (Self::Ground, 1),
            (text @ Self::Text { .. }, _) => (text, 1),
        }
    }
}

/// The emulated terminal.
pub(super) struct Terminal {
    /// Which entries are output.
    outputs: Vec<usize>,
    /// These entries once more: among all the others each would have to be unpacked
    /// with thousands that are none.
    said: Shelf,
    emulator: vt100::Parser,
    state: State,
    /// Outputs gone through whole.
    fed: usize,
    /// Bytes of the next one gone through.
    within: usize,
    since: u64,
    spacing: u64,
    checkpoints: Vec<(usize, vt100::Screen)>,
    lines: Arc<Vec<Line>>,
    /// What `lines` was made for: outputs, bytes, width.
    made: Option<(usize, usize, usize)>,
}

impl Default for Terminal {
    fn default() -> Self {
        Self {
            outputs: Vec::new(),
            said: Shelf::default(),
            emulator: blank(),
            state: State::Ground,
            fed: 0,
            within: 0,
            since: 0,
            spacing: SPACING,
            checkpoints: Vec::new(),
            lines: Arc::default(),
            made: None,
        }
    }
}

/// An emulator may stand within a sequence and cannot be copied then: the copy
/// starts from the last checkpoint and catches up.
impl Clone for Terminal {
    fn clone(&self) -> Self {
        let mut copy = Self {
            outputs: self.outputs.clone(),
            said: self.said.clone(),
            spacing: self.spacing,
            checkpoints: self.checkpoints.clone(),
            ..Self::default()
        };
        copy.restore(self.fed);
        copy
    }
}

fn blank() -> vt100::Parser {
    vt100::Parser::new(ROWS, COLUMNS, SCROLLBACK)
}

impl Terminal {
    /// Tells that the entry at this index is output. Indices ascend.
    pub(super) fn has_output_at(&mut self, index: usize, entry: &Entry) {
        self.outputs.push(index);
        self.said.push(entry.clone());
    }

    /// Goes on towards the playhead; false if there is more to do than one call may.
    pub(super) fn catch_up(&mut self, player: &Player) -> bool {
        let position = player.position();
        let target = self.outputs.partition_point(|index| *index < position);
        let ahead = self.best(target) > self.fed;
        if target < self.fed || (target == self.fed && self.within > 0) || ahead {
            self.restore(target);
        }
        let said = std::mem::take(&mut self.said);
        let done = self.feed_to(target, &said);
        self.said = said;
        done
    }

    fn feed_to(&mut self, target: usize, said: &Shelf) -> bool {
        let mut budget = BUDGET;
        while self.fed < target {
            let output = said.get(self.fed);
            let bytes = match output.as_deref().map(|entry| &entry.event().fact) {
                Some(Fact::Output(output)) => &*output.bytes,
                _ => &[],
            };
            if !self.feed(bytes, &mut budget) {
                return false;
            }
        }
        true
    }

    /// Feeds what is left of an output; false if the budget ended before it.
    fn feed(&mut self, bytes: &[u8], budget: &mut u64) -> bool {
        let rest = bytes.get(self.within..).unwrap_or_default();
        let mut taken = 0;
        for byte in rest {
            if *budget == 0 {
                break;
            }
            let (state, cost) = self.state.next(*byte);
            self.state = state;
            *budget = budget.saturating_sub(cost);
            taken += 1;
        }
        self.emulator.process(rest.get(..taken).unwrap_or_default());
        self.since += taken as u64;
        self.within += taken;
        if self.within < bytes.len() {
            return false;
        }
        self.fed += 1;
        self.within = 0;
        let known = self.checkpoints.last().map_or(0, |(at, _)| *at);
        if self.since >= self.spacing && self.state == State::Ground && self.fed > known {
            self.checkpoint();
        }
        true
    }

    fn checkpoint(&mut self) {
        self.since = 0;
        self.checkpoints
            .push((self.fed, self.emulator.screen().clone()));
        if self.checkpoints.len() > CHECKPOINTS {
            self.spacing = self.spacing.saturating_mul(2);
            let mut at = 0;
            self.checkpoints.retain(|_| {
                at += 1;
                at % 2 == 0
            });
        }
    }

    /// The last checkpoint that is not behind `target`.
    fn best(&self, target: usize) -> usize {
        let last = self.checkpoints.partition_point(|(at, _)| *at <= target);
        last.checked_sub(1)
            .and_then(|last| self.checkpoints.get(last))
            .map_or(0, |(at, _)| *at)
    }

    fn restore(&mut self, target: usize) {
        let best = self.best(target);
        self.emulator = blank();
        if let Some((_, screen)) = self.checkpoints.iter().find(|(at, _)| *at == best) {
            self.emulator.screen_mut().clone_from(screen);
        }
        (self.fed, self.within, self.since) = (best, 0, 0);
        self.state = State::Ground;
    }

    /// Scrollback and screen, in lines of at most `room` cells.
    pub(super) fn lines(&mut self, room: usize) -> Arc<Vec<Line>> {
        let key = (self.fed, self.within, room);
        if self.made != Some(key) {
            self.lines = Arc::new(drawn(self.emulator.screen_mut(), room));
            self.made = Some(key);
        }
        Arc::clone(&self.lines)
    }
}

/// Every line, the empty ones at the end left out.
fn drawn(screen: &mut vt100::Screen, room: usize) -> Vec<Line> {
    let page = usize::from(ROWS.get());
    let above = screen.scrollback_len();
    let mut out = Vec::new();
    let mut kept = 0;
    for start in (0..above.saturating_add(page)).step_by(page) {
        // The window that begins at `start`, or the last one.
        screen.set_scrollback(above.saturating_sub(start));
        let skip = start.saturating_sub(above);
        for row in skip..page {
            let line = line(screen, u16::try_from(row).unwrap_or(u16::MAX));
            let empty = line.is_empty();
            wrap(line, room, &mut out);
            if !empty {
                kept = out.len();
            }
        }
    }
    screen.set_scrollback(0);
    out.truncate(kept);
    out
}

/// A row without the plain blanks at its end.
fn line(screen: &vt100::Screen, row: u16) -> Line {
    let mut line: Line = Vec::new();
    let mut blanks = 0;
    for column in 0..COLUMNS.get() {
        let Some(cell) = screen.cell(row, column) else {
            break;
        };
        if cell.is_wide_continuation() {
            continue;
        }
        let mut look = look(cell);
        let text = shown(cell, &mut look);
        if text == " " && look.bg == Ink::Default && !look.inverse && !look.underline {
            blanks += 1;
            continue;
        }
        if blanks > 0 {
            push(&mut line, Look::default(), &" ".repeat(blanks));
            blanks = 0;
        }
        push(&mut line, look, text);
    }
    line
}

fn push(line: &mut Line, look: Look, text: &str) {
    match line.last_mut() {
        Some((last, run)) if *last == look => run.push_str(text),
        _ => line.push((look, text.to_owned())),
    }
}

/// The cell's text if it is as wide as the cell and nothing hides in it.
fn shown<'a>(cell: &'a vt100::Cell, look: &mut Look) -> &'a str {
    let text = cell.contents();
    if text.is_empty() {
        return " ";
    }
    let room = if cell.is_wide() { 2 } else { 1 };
    // In a row of cells a backslash begins no escape.
    let plain = text == "\\" || escape::string(text) == text;
    if plain && width(text) == room {
        return text;
    }
    *look = Look {
        strange: true,
        ..Look::default()
    };
    match cell.is_wide() {
        true => "??",
        false => STRANGE,
    }
}

fn look(cell: &vt100::Cell) -> Look {
    let (fg, bg) = (Ink::from(cell.fgcolor()), Ink::from(cell.bgcolor()));
    // Text in the colour of its ground is text that somebody hides.
    let hidden = fg == bg && fg != Ink::Default;
    Look {
        fg: if hidden { Ink::Default } else { fg },
        bg: if hidden { Ink::Default } else { bg },
        bold: cell.bold(),
        dim: cell.dim(),
        italic: cell.italic(),
        underline: cell.underline(),
        inverse: cell.inverse(),
        strange: false,
    }
}

/// Breaks a line at the width; a pane that is narrower than the guest's terminal hides nothing.
fn wrap(line: Line, room: usize, out: &mut Vec<Line>) {
    let room = room.max(2);
    let total: usize = line.iter().map(|(_, text)| width(text)).sum();
    if total <= room {
        out.push(line);
        return;
    }
    let (mut now, mut used) = (Line::new(), 0);
    for (look, text) in line {
        for c in text.chars() {
            let mut bytes = [0; 4];
            let c = &*c.encode_utf8(&mut bytes);
            let cells = width(c);
            if used + cells > room {
                out.push(std::mem::take(&mut now));
                used = 0;
            }
            used += cells;
            push(&mut now, look, c);
        }
    }
    out.push(now);
}
