//! An animated GIF: the film as points, for places that show nothing else.
//!
//! Owns: cells to points, the colours of a picture, and the encoder.
//! Must not: know a font ([`super::glyphs`]) or choose colours (the theme does).

use std::collections::HashMap;
use std::io::{self, Write};

use gif::{DisposalMethod, Encoder, EncodingError, Repeat};
use ratatui::buffer::Buffer;

use super::glyphs::{CELL, Glyphs};
use super::ink::{Page, Rgb};
use super::{Film, Frame, Size};
use crate::screen::{Model, Theme};

/// Points around the picture.
const MARGIN: usize = 9;
/// Most colours of one picture: the format's.
const COLOURS: usize = 256;
/// Steps between the colour of the ground and that of the text: the first number
/// with which a picture's colours suffice is taken.
const STEPS: [u16; 4] = [8, 4, 2, 1];
/// Nanoseconds of the format's unit of time.
const CENTISECOND: u64 = 10_000_000;

/// Points in rows.
struct Canvas {
    width: usize,
    height: usize,
    points: Vec<Rgb>,
}

/// A part of the canvas: left, top, columns, rows.
type Part = (usize, usize, usize, usize);

/// Writes the film.
pub(crate) fn animation<W: Write>(
    film: &Film,
    model: Model,
    theme: &Theme,
    title: &str,
    out: W,
) -> io::Result<()> {
    let page = Page::of(theme);
    let glyphs = Glyphs::new().ok_or_else(|| io::Error::other("the fonts do not load"))?;
    let mut painter = Painter::new(film.size, page, glyphs);
    let (width, height) = (side(painter.canvas.width)?, side(painter.canvas.height)?);
    let mut encoder = Encoder::new(out, width, height, &[]).map_err(failed)?;
    encoder.set_repeat(Repeat::Infinite).map_err(failed)?;
    let comment = gif::AnyExtension(0xfe);
    let words: Vec<&[u8]> = title.as_bytes().chunks(255).collect();
    encoder
        .write_raw_extension(comment, &words)
        .map_err(failed)?;
    // How long a picture stands is known when the next one comes.
    let mut waiting: Option<(u64, gif::Frame<'static>)> = None;
    let mut done = Ok(());
    let mut write = |now: u64, next: Option<(u64, gif::Frame<'static>)>| {
        if let (Some((at, mut frame)), Ok(())) = (std::mem::replace(&mut waiting, next), &done) {
            let stands = (now / CENTISECOND).saturating_sub(at / CENTISECOND);
            frame.delay = u16::try_from(stands).unwrap_or(u16::MAX);
            done = encoder.write_frame(&frame).map_err(failed);
        }
    };
    let (_, end) = film.play(model, &mut |frame: Frame| {
        if let Some(picture) = painter.picture(&frame.cells) {
            write(frame.at, Some((frame.at, picture)));
        }
    });
    write(end, None);
    done?;
    encoder.into_inner().map_err(failed)?.flush()
}

fn failed(error: EncodingError) -> io::Error {
    match error {
        EncodingError::Io(error) => error,
        other => io::Error::other(other),
    }
}

fn side(points: usize) -> io::Result<u16> {
    u16::try_from(points).map_err(|_| io::Error::other("too large for a GIF"))
}

impl Canvas {
    fn new(size: Size, page: Page) -> Self {
        let width = usize::from(size.columns) * CELL.0 + 2 * MARGIN;
        let height = usize::from(size.rows) * CELL.1 + 2 * MARGIN;
        Self {
            width,
            height,
            points: vec![page.bg; width * height],
        }
    }

    fn set(&mut self, x: usize, y: usize, colour: Rgb) {
        if let Some(point) = self.points.get_mut(y * self.width + x) {
            *point = colour;
        }
    }

    /// The points of a part, row by row.
    fn part(&self, (left, top, wide, tall): Part) -> impl Iterator<Item = Rgb> + '_ {
        let rows = self.points.chunks(self.width.max(1)).skip(top).take(tall);
        rows.flat_map(move |row| row.iter().skip(left).take(wide).copied())
    }
}

struct Painter {
    canvas: Canvas,
    page: Page,
    glyphs: Glyphs,
    shown: Option<Buffer>,
}

impl Painter {
    fn new(size: Size, page: Page, glyphs: Glyphs) -> Self {
        Self {
            canvas: Canvas::new(size, page),
            page,
            glyphs,
            shown: None,
        }
    }

    /// What of the picture is another than before; `None`: nothing is.
    fn picture(&mut self, cells: &Buffer) -> Option<gif::Frame<'static>> {
        let part = self.changed(cells);
        for steps in STEPS {
            for row in self.rows(cells) {
                self.row(cells, row, steps);
            }
            let picture = part.and_then(|part| self.indexed(part, steps == 1));
            if part.is_none() || picture.is_some() {
                self.shown = Some(cells.clone());
                return picture;
            }
        }
        None
    }

    /// The rows that are not as they were.
    fn rows(&self, cells: &Buffer) -> Vec<u16> {
        let line = |of: &Buffer, row| {
            let columns = 0..cells.area.width;
            columns
                .map(|column| of.cell((column, row)).cloned())
                .collect::<Vec<_>>()
        };
        let rows = 0..cells.area.height;
        let same =
            |row: u16| matches!(&self.shown, Some(shown) if line(shown, row) == line(cells, row));
        rows.filter(|row| !same(*row)).collect()
    }

    /// The part in which anything is another; at first that is all of it.
    fn changed(&self, cells: &Buffer) -> Option<Part> {
        let Some(shown) = &self.shown else {
            return Some((0, 0, self.canvas.width, self.canvas.height));
        };
        let changed = shown.diff(cells);
        let columns = changed.iter().map(|(x, ..)| usize::from(*x));
        let rows = changed.iter().map(|(_, y, _)| usize::from(*y));
        let (left, right) = (columns.clone().min()?, columns.max()?);
        let (top, bottom) = (rows.clone().min()?, rows.max()?);
        // A wide character reaches into the next column.
        let right = (right + 2).min(usize::from(cells.area.width));
        let left = left.saturating_sub(1);
        Some((
            MARGIN + left * CELL.0,
            MARGIN + top * CELL.1,
            (right - left) * CELL.0,
            (bottom + 1 - top) * CELL.1,
        ))
    }

    fn row(&mut self, cells: &Buffer, row: u16, steps: u16) {
        let mut skip = 0;
        for column in 0..cells.area.width {
            let Some(cell) = cells.cell((column, row)).filter(|_| skip == 0) else {
                skip = skip.max(1) - 1;
                continue;
            };
            let wide = crate::screen::width(cell.symbol()).max(1);
            skip = wide - 1;
            let look = self.page.look(cell);
            let mask = self
                .glyphs
                .mask(cell.symbol(), wide, look.bold, look.italic);
            let mask = match look.underline {
                true => std::rc::Rc::new(mask.as_ref().clone().underlined()),
                false => mask,
            };
            let bg = look.bg.unwrap_or(self.page.bg);
            let fg = match look.dim {
                true => mixed(bg, look.fg, 6, 10),
                false => look.fg,
            };
            let (left, top) = (
                MARGIN + usize::from(column) * CELL.0,
                MARGIN + usize::from(row) * CELL.1,
            );
            // A wide character in the last column has no room for its half.
            let room = self.canvas.width.saturating_sub(MARGIN + left);
            for y in 0..mask.height {
                for x in 0..mask.width.min(room) {
                    let much = (u16::from(mask.at(x, y)) * steps + 127) / 255;
                    self.canvas
                        .set(left + x, top + y, mixed(bg, fg, much, steps));
                }
            }
        }
    }

    /// The part in colours of its own; `None`: they do not suffice, and `whatever` was
    /// not said.
    fn indexed(&self, part: Part, whatever: bool) -> Option<gif::Frame<'static>> {
        let mut numbers: HashMap<Rgb, u8> = HashMap::new();
        let mut palette = Vec::new();
        let mut points = Vec::with_capacity(part.2 * part.3);
        for colour in self.canvas.part(part) {
            let number = match (numbers.get(&colour), u8::try_from(numbers.len())) {
                (Some(number), _) => *number,
                (None, Ok(number)) => {
                    numbers.insert(colour, number);
                    palette.extend([colour.0, colour.1, colour.2]);
                    number
                }
                (None, Err(_)) if whatever => nearest(&palette, colour),
                (None, Err(_)) => return None,
            };
            points.push(number);
        }
        debug_assert!(numbers.len() <= COLOURS);
        let (left, top, width, height) = part;
        Some(gif::Frame {
            left: u16::try_from(left).ok()?,
            top: u16::try_from(top).ok()?,
            width: u16::try_from(width).ok()?,
            height: u16::try_from(height).ok()?,
            dispose: DisposalMethod::Keep,
            palette: Some(palette),
            buffer: points.into(),
            ..gif::Frame::default()
        })
    }
}

/// So much of the way from one colour to the other.
fn mixed(from: Rgb, to: Rgb, much: u16, of: u16) -> Rgb {
    let between = |from: u8, to: u8| {
        let sum = u16::from(from) * (of - much) + u16::from(to) * much;
        u8::try_from(sum / of).unwrap_or(u8::MAX)
    };
    Rgb(
        between(from.0, to.0),
        between(from.1, to.1),
        between(from.2, to.2),
    )
}

fn nearest(palette: &[u8], colour: Rgb) -> u8 {
    let far = |entry: &[u8]| -> u32 {
        let pairs = entry.iter().zip([colour.0, colour.1, colour.2]);
        pairs
            .map(|(one, other)| u32::from(one.abs_diff(other)).pow(2))
            .sum()
    };
    let numbered = (0..=u8::MAX).zip(palette.chunks(3));
    numbered
        .min_by_key(|(_, entry)| far(entry))
        .map_or(0, |(number, _)| number)
}

/// A picture at once: red, green, blue and opacity of each point.
#[cfg(test)]
pub(super) fn picture_of(cells: &Buffer, theme: &Theme, out: &mut Vec<u8>) {
    let (columns, rows) = (cells.area.width, cells.area.height);
    let glyphs = Glyphs::new().expect("fonts");
    let mut painter = Painter::new(Size { columns, rows }, Page::of(theme), glyphs);
    painter.picture(cells);
    for colour in &painter.canvas.points {
        out.extend([colour.0, colour.1, colour.2, u8::MAX]);
    }
}
