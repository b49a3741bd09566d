//! Pictures as SVG: one, or a film that moves by itself.
//!
//! Owns: how cells become text and rectangles. Must not: need a font of its own.

use std::collections::HashMap;
use std::fmt::Write;

use ratatui::buffer::Buffer;

use super::ink::{Page, Run, escaped};
use super::{Film, Frame, Size};
use crate::screen::{Model, Theme};

/// A cell in units of the picture, and the room around them. As tall as the font, so
/// that the lines of boxes meet.
const CELL: (f64, f64) = (8.4, 16.0);
const BASE: f64 = 13.0;
const MARGIN: f64 = 12.0;
const FONT: &str =
    "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace";
/// Bold, italic, underlined, dim.
const MARKS: [&str; 4] = [
    " font-weight=\"bold\"",
    " font-style=\"italic\"",
    " text-decoration=\"underline\"",
    " opacity=\"0.6\"",
];
/// Most pictures of an animated one: browsers slow down.
const FRAMES: usize = 600;

/// The last picture of the film.
pub(crate) fn still(film: &Film, model: Model, theme: &Theme, title: &str) -> String {
    let mut last = None;
    film.play(model, &mut |frame| last = Some(frame.cells));
    let page = Page::of(theme);
    let mut body = String::new();
    if let Some(cells) = last {
        for number in 0..cells.area.height {
            let y = f64::from(number) * CELL.1;
            let _ = writeln!(
                body,
                "<g transform=\"translate(0 {y})\">{}</g>",
                row(page, &cells, number)
            );
        }
    }
    document(film.size, page, title, "", &body)
}

/// The whole film, over and over. Whoever wants no movement sees its last picture.
pub(crate) fn animated(film: &Film, model: Model, theme: &Theme, title: &str) -> String {
    let page = Page::of(theme);
    let mut rows = Rows::default();
    let mut frames: Vec<(u64, Vec<usize>)> = Vec::new();
    let (_, end) = film.play(model, &mut |frame: Frame| {
        let numbers = (0..frame.cells.area.height)
            .map(|number| rows.number(row(page, &frame.cells, number)))
            .collect();
        frames.push((frame.at, numbers));
    });
    while frames.len() > FRAMES {
        // Every second one, but never the last.
        let last = frames.len() - 1;
        let mut at = 0;
        frames.retain(|_| {
            at += 1;
            at % 2 == 1 || at > last
        });
    }
    let mut body = String::from("<defs>\n");
    for (number, row) in rows.all.iter().enumerate() {
        let _ = writeln!(body, "<g id=\"r{number}\">{row}</g>");
    }
    body.push_str("</defs>\n<g class=\"film\">\n");
    let width = f64::from(film.size.columns) * CELL.0 + 2.0 * MARGIN;
    for (at, (_, numbers)) in frames.iter().enumerate() {
        let _ = write!(
            body,
            "<g transform=\"translate({:.1} 0)\">",
            at as f64 * width
        );
        for (line, number) in numbers.iter().enumerate() {
            let y = line as f64 * CELL.1;
            let _ = write!(body, "<use href=\"#r{number}\" y=\"{y}\"/>");
        }
        body.push_str("</g>\n");
    }
    body.push_str("</g>\n");
    document(film.size, page, title, &style(&frames, end, width), &body)
}

/// Rows that stand in the picture more than once are drawn once.
#[derive(Default)]
struct Rows {
    all: Vec<String>,
    known: HashMap<String, usize>,
}

impl Rows {
    fn number(&mut self, row: String) -> usize {
        if let Some(number) = self.known.get(&row) {
            return *number;
        }
        self.all.push(row.clone());
        self.known.insert(row, self.all.len() - 1);
        self.all.len() - 1
    }
}

/// The strip of pictures jumps on to the next at its time.
fn style(frames: &[(u64, Vec<usize>)], end: u64, width: f64) -> String {
    let seconds = end as f64 / 1e9;
    let mut steps = String::new();
    for (at, (time, _)) in frames.iter().enumerate() {
        let part = *time as f64 / end.max(1) as f64 * 100.0;
        let shift = at as f64 * width;
        let _ = write!(steps, "{part:.3}%{{transform:translateX(-{shift:.1}px)}}");
    }
    let last = frames.len().saturating_sub(1) as f64 * width;
    format!(
        ".film{{transform:translateX(-{last:.1}px);animation:film {seconds:.2}s steps(1,end) infinite}}\
         @media (prefers-reduced-motion:reduce){{.film{{animation:none}}}}\
         @keyframes film{{{steps}}}"
    )
}

fn document(size: Size, page: Page, title: &str, style: &str, body: &str) -> String {
    let width = f64::from(size.columns) * CELL.0;
    let height = f64::from(size.rows) * CELL.1;
    let (all, tall) = (width + 2.0 * MARGIN, height + 2.0 * MARGIN);
    let title = escaped(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{all:.0}\" height=\"{tall:.0}\" \
         viewBox=\"0 0 {all:.1} {tall:.1}\" role=\"img\" aria-label=\"{title}\">\n\
         <title>{title}</title>\n\
         <style>text{{font-family:{FONT};font-size:14px;white-space:pre}}{style}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{bg}\"/>\n\
         <svg x=\"{MARGIN}\" y=\"{MARGIN}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fg}\">\n{body}</svg>\n</svg>\n",
        fg = page.fg,
        bg = page.bg,
    )
}

/// A row at the height of nothing.
fn row(page: Page, cells: &Buffer, number: u16) -> String {
    let mut out = String::new();
    for run in page.runs(cells, number) {
        piece(&mut out, page, &run);
    }
    out
}

fn piece(out: &mut String, page: Page, run: &Run) {
    let x = f64::from(run.column) * CELL.0;
    if let Some(bg) = run.look.bg {
        let width = f64::from(run.width) * CELL.0;
        let _ = write!(
            out,
            "<rect x=\"{x:.1}\" width=\"{width:.1}\" height=\"{}\" fill=\"{bg}\"/>",
            CELL.1
        );
    }
    // Some that draw it drop spaces at the ends, and everything would move.
    let text = run.text.trim_end_matches(' ');
    let (before, behind) = (text.len(), run.text.len() - text.len());
    let text = text.trim_start_matches(' ');
    if text.is_empty() {
        return;
    }
    let before = before - text.len();
    let x = x + before as f64 * CELL.0;
    let width = usize::from(run.width).saturating_sub(before + behind) as f64 * CELL.0;
    let mut more = String::new();
    if run.look.fg != page.fg {
        let _ = write!(more, " fill=\"{}\"", run.look.fg);
    }
    more.push_str(&run.look.marks(MARKS));
    // The length keeps columns in line whatever font there is.
    let _ = write!(
        out,
        "<text xml:space=\"preserve\" x=\"{x:.1}\" y=\"{BASE}\" textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\"{more}>{}</text>",
        escaped(text)
    );
}
