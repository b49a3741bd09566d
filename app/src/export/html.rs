//! One page that replays the film in a browser, with nothing to fetch.
//!
//! Owns: the pictures as rows of HTML, and the small player around them.
//! Must not: let text of the guest become markup or script.

use std::collections::HashMap;
use std::fmt::Write;

use ratatui::buffer::Buffer;
use serde_json::json;

use super::ink::{Page, escaped};
use super::{Film, Frame};
use crate::screen::{Model, Theme};

/// Bold, italic, underlined, dim.
const MARKS: [&str; 4] = [
    "font-weight:bold;",
    "font-style:italic;",
    "text-decoration:underline;",
    "opacity:.6;",
];
const PAGE: &str = include_str!("page.html");

/// Writes the film as a page.
pub(crate) fn html(film: &Film, model: Model, theme: &Theme, title: &str) -> String {
    let page = Page::of(theme);
    let mut rows: Vec<String> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut frames: Vec<(u64, Vec<usize>)> = Vec::new();
    let (marks, end) = film.play(model, &mut |frame: Frame| {
        let numbers = (0..frame.cells.area.height)
            .map(|number| {
                let row = row(page, &frame.cells, number);
                *known.entry(row.clone()).or_insert_with(|| {
                    rows.push(row);
                    rows.len() - 1
                })
            })
            .collect();
        frames.push((frame.at / 1_000_000, numbers));
    });
    let marks: Vec<_> = marks
        .iter()
        .map(|mark| json!([mark.at / 1_000_000, mark.label]))
        .collect();
    let film = json!({
        "rows": rows,
        "frames": frames,
        "marks": marks,
        "end": end / 1_000_000,
        "columns": film.size.columns,
    });
    // Within a script element only `<` could end it.
    let data = film.to_string().replace('<', "\\u003c");
    let mut out = String::with_capacity(PAGE.len() + data.len());
    let mut rest = PAGE;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else {
            break;
        };
        out.push_str(before);
        match name {
            "title" => out.push_str(&escaped(title)),
            "fg" => drop(write!(out, "{}", page.fg)),
            "bg" => drop(write!(out, "{}", page.bg)),
            "film" => out.push_str(&data),
            _ => {}
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// A row with its columns kept, as spans.
fn row(page: Page, cells: &Buffer, number: u16) -> String {
    let mut out = String::new();
    let mut column = 0;
    for run in page.runs(cells, number) {
        let gap = usize::from(run.column.saturating_sub(column));
        out.extend(std::iter::repeat_n(' ', gap));
        column = run.column + run.width;
        let mut style = String::new();
        if run.look.fg != page.fg {
            let _ = write!(style, "color:{};", run.look.fg);
        }
        if let Some(bg) = run.look.bg {
            let _ = write!(style, "background:{bg};");
        }
        style.push_str(&run.look.marks(MARKS));
        let text = kept(&run.text);
        match style.is_empty() {
            true => out.push_str(&text),
            false => drop(write!(out, "<span style=\"{style}\">{text}</span>")),
        }
    }
    out
}

/// Escaped, with what other fonts may be asked for held to its columns.
fn kept(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letter = [0; 4];
    for c in text.chars() {
        let one = escaped(c.encode_utf8(&mut letter));
        // Lines and blocks are in the same font as the letters, or in none.
        if c.is_ascii() || ('\u{2500}'..='\u{259f}').contains(&c) {
            out.push_str(&one);
            continue;
        }
        let class = match crate::screen::width(&one) {
            2 => " class=w",
            _ => "",
        };
        let _ = write!(out, "<i{class}>{one}</i>");
    }
    out
}
