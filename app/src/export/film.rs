//! The film: a trace played on a screen that nobody sees.
//!
//! Owns: the film's own time, which frame stands when, and its chapters.
//! Must not: hold all frames; each is handed on as it is made.

use ratatui::buffer::Buffer;

use super::{Script, Size};
use crate::screen::{Model, Msg, finish, press, render, update};

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;
/// How long the last picture stands.
const LAST: u64 = 2 * SECOND;
/// Longest film: a recording of hours is for the screen.
const MOST: u64 = 30 * 60 * SECOND;

/// What a film is made with.
#[derive(Clone, Debug)]
pub(crate) struct Film {
    pub(crate) size: Size,
    pub(crate) script: Script,
    /// Frames a second.
    pub(crate) rate: u32,
    /// How often the playing speed is doubled.
    pub(crate) doublings: u32,
}

/// A picture and when it stands.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Nanoseconds of the film.
    pub(crate) at: u64,
    pub(crate) cells: Buffer,
}

/// A chapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Nanoseconds of the film.
    pub(crate) at: u64,
    /// The phase or finding that begins; escaped.
    pub(crate) label: String,
}

impl Film {
    /// Plays the whole; `take` gets each picture that differs from the one before.
    /// Returns the chapters, and when the film ends.
    pub(crate) fn play(&self, mut model: Model, take: &mut dyn FnMut(Frame)) -> (Vec<Mark>, u64) {
        let step = SECOND / u64::from(self.rate.clamp(1, 60));
        update(&mut model, Msg::Resize(self.size.columns, self.size.rows));
        for _ in 0..self.doublings {
            press(&mut model, '>');
        }
        let mut keys = self.script.keys.iter().peekable();
        let mut marks = Vec::new();
        let mut seen = Seen::default();
        let mut shown: Option<Buffer> = None;
        let mut now = 0;
        loop {
            while let Some((_, key)) = keys.next_if(|(at, _)| *at <= now) {
                update(&mut model, Msg::Key(*key));
            }
            finish(&mut model);
            seen.chapters(&model, now, &mut marks);
            let cells = render(&model);
            if shown.as_ref() != Some(&cells) {
                take(Frame {
                    at: now,
                    cells: cells.clone(),
                });
                shown = Some(cells);
            }
            let idle = keys.peek().is_none() && now >= self.script.end && model.is_at_rest();
            if idle || now >= MOST {
                return (marks, now.saturating_add(LAST));
            }
            now += step;
            update(&mut model, Msg::Tick { elapsed: step });
        }
    }
}

/// What has been told of as a chapter.
#[derive(Default)]
struct Seen {
    phase: Option<String>,
    findings: u64,
}

impl Seen {
    fn chapters(&mut self, model: &Model, at: u64, marks: &mut Vec<Mark>) {
        let (phase, findings) = model.chapters();
        if phase.is_some() && phase != self.phase {
            let label = format!("phase {}", phase.clone().unwrap_or_default());
            marks.push(Mark { at, label });
            self.phase = phase;
        }
        for (number, label) in findings {
            if number > self.findings {
                self.findings = number;
                let mark = Mark { at, label };
                // One rule may find many things at once.
                let told = marks.iter().rev().take_while(|told| told.at == at);
                if !told.into_iter().any(|told| *told == mark) {
                    marks.push(mark);
                }
            }
        }
    }
}
