//! asciicast v3: what a terminal would have been sent, for the players of asciinema.
//!
//! Owns: header, output and marker lines. Must not: draw.
//! Format: asciinema's documentation, "asciicast file format (version 3)".

use std::io::{self, Write};

use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use serde_json::json;

use super::{Film, Frame};
use crate::screen::Model;

/// Milliseconds of the film, told as seconds since the line before.
struct Lines<W: Write> {
    out: W,
    last: u64,
    failed: Option<io::Error>,
}

impl<W: Write> Lines<W> {
    fn line(&mut self, at: u64, code: &str, data: &str) {
        // Rounded on the film's own time, so that nothing adds up.
        let (at, last) = (at / 1_000_000, self.last / 1_000_000);
        let since = at.saturating_sub(last) as f64 / 1000.0;
        self.last = at * 1_000_000;
        let line = json!([since, code, data]);
        if self.failed.is_none() {
            self.failed = writeln!(self.out, "{line}").err();
        }
    }
}

/// Writes the film.
pub(crate) fn cast<W: Write>(film: &Film, model: Model, title: &str, out: W) -> io::Result<()> {
    let mut lines = Lines {
        out,
        last: 0,
        failed: None,
    };
    let head = json!({
        "version": 3,
        "term": { "cols": film.size.columns, "rows": film.size.rows, "type": "xterm-256color" },
        "title": title,
    });
    writeln!(lines.out, "{head}")?;
    let mut frames: Vec<(u64, String)> = Vec::new();
    let mut before = None;
    let (marks, end) = film.play(model, &mut |frame: Frame| {
        frames.push((frame.at, drawn(before.as_ref(), &frame.cells)));
        before = Some(frame.cells);
    });
    let mut marks = marks.into_iter().peekable();
    for (at, data) in frames {
        while let Some(mark) = marks.next_if(|mark| mark.at <= at) {
            lines.line(mark.at, "m", &mark.label);
        }
        lines.line(at, "o", &data);
    }
    for mark in marks {
        lines.line(mark.at, "m", &mark.label);
    }
    lines.line(end, "x", "0");
    match lines.failed {
        Some(error) => Err(error),
        None => lines.out.flush(),
    }
}

/// What a terminal is sent to show this behind that.
fn drawn(before: Option<&Buffer>, cells: &Buffer) -> String {
    let mut bytes = Vec::new();
    let empty;
    let from = match before {
        Some(before) => before,
        None => {
            bytes.extend_from_slice(b"\x1b[?25l\x1b[2J");
            empty = Buffer::empty(cells.area);
            &empty
        }
    };
    let changed = from.diff(cells);
    // Writing into memory does not fail.
    let _ = CrosstermBackend::new(&mut bytes).draw(changed.into_iter());
    String::from_utf8_lossy(&bytes).into_owned()
}
