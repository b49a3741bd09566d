//! How much of each point of a cell a character covers.
//!
//! Owns: the fonts, and the masks made of them so far.
//! Must not: know colours. Nothing is read from this machine: the same text gives
//! the same points everywhere.
//!
//! Text is set in DejaVu Sans Mono; lines and blocks are drawn ([`super::shapes`]);
//! what that font lacks, wide characters above all, comes from GNU Unifont.

use std::collections::HashMap;
use std::rc::Rc;

use ab_glyph::{Font, FontRef, GlyphId, PxScale, ScaleFont};

use super::shapes;

/// Points of a cell.
pub(super) const CELL: (usize, usize) = (9, 18);
/// Points of a row of Unifont.
const ROWS: usize = 16;

/// How much of each point is covered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mask {
    pub(super) width: usize,
    pub(super) height: usize,
    points: Vec<u8>,
}

impl Mask {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            points: vec![0; width * height],
        }
    }

    /// Covers a part of it, as far as it lies inside.
    pub(super) fn fill(&mut self, x: usize, y: usize, wide: usize, tall: usize, much: u8) {
        for y in y..y.saturating_add(tall).min(self.height) {
            for x in x..x.saturating_add(wide).min(self.width) {
                self.cover(x, y, much);
            }
        }
    }

    /// What is covered already is not uncovered.
    fn cover(&mut self, x: usize, y: usize, much: u8) {
        if x < self.width
            && let Some(point) = self.points.get_mut(y * self.width + x)
        {
            *point = much.max(*point);
        }
    }

    pub(super) fn at(&self, x: usize, y: usize) -> u8 {
        self.points.get(y * self.width + x).copied().unwrap_or(0)
    }

    /// A line below the text.
    pub(super) fn underlined(mut self) -> Self {
        self.fill(0, self.height.saturating_sub(2), self.width, 1, u8::MAX);
        self
    }
}

/// What of a cell says how it is drawn: its text, columns, bold, italic.
type Key = (String, usize, bool, bool);

/// Fonts, and what was drawn of them.
pub(super) struct Glyphs {
    /// By bold, then italic.
    fonts: Vec<FontRef<'static>>,
    scale: PxScale,
    base: f32,
    known: HashMap<Key, Rc<Mask>>,
}

impl Glyphs {
    /// `None` if the fonts in this program are no fonts.
    pub(super) fn new() -> Option<Self> {
        let files = [
            dejavu::sans_mono::regular(),
            dejavu::sans_mono::oblique(),
            dejavu::sans_mono::bold(),
            dejavu::sans_mono::bold_oblique(),
        ];
        let fonts: Result<Vec<_>, _> = files.into_iter().map(FontRef::try_from_slice).collect();
        let fonts = fonts.ok()?;
        let font = fonts.first()?;
        // All characters of the font are as wide as this one.
        let wide = font
            .as_scaled(PxScale::from(100.0))
            .h_advance(font.glyph_id('0'));
        let scale = PxScale::from(100.0 * CELL.0 as f32 / wide);
        let scaled = font.as_scaled(scale);
        let free = CELL.1 as f32 - (scaled.ascent() - scaled.descent());
        let base = (scaled.ascent() + free / 2.0).round();
        Some(Self {
            fonts,
            scale,
            base,
            known: HashMap::new(),
        })
    }

    /// A cell's text, which takes so many columns.
    pub(super) fn mask(
        &mut self,
        text: &str,
        columns: usize,
        bold: bool,
        italic: bool,
    ) -> Rc<Mask> {
        let key = (text.to_owned(), columns, bold, italic);
        if let Some(mask) = self.known.get(&key) {
            return Rc::clone(mask);
        }
        let mask = Rc::new(self.draw(text, columns, bold, italic));
        self.known.insert(key, Rc::clone(&mask));
        mask
    }

    fn draw(&self, text: &str, columns: usize, bold: bool, italic: bool) -> Mask {
        let (width, height) = (CELL.0 * columns.max(1), CELL.1);
        let mut mask = Mask::new(width, height);
        for c in text.chars() {
            if c == ' ' {
                continue;
            }
            if let Some(shape) = shapes::shape(c, width, height) {
                mask = shape;
                continue;
            }
            let font = self.fonts.get(usize::from(bold) * 2 + usize::from(italic));
            let written = font.is_some_and(|font| self.write(&mut mask, font, c, columns));
            if !written && !dots(&mut mask, c) {
                // Neither font has it.
                frame(&mut mask);
            }
        }
        mask
    }

    /// False if the font lacks it.
    fn write(&self, mask: &mut Mask, font: &FontRef<'_>, c: char, columns: usize) -> bool {
        let id = font.glyph_id(c);
        if id == GlyphId(0) {
            return false;
        }
        let scaled = font.as_scaled(self.scale);
        // A narrow character in a wide place stands in its middle; a mark without a
        // width of its own stands where its base does.
        let free = (CELL.0 * columns.max(1)) as f32 - scaled.h_advance(id);
        let glyph = id.with_scale_and_position(self.scale, ab_glyph::point(free / 2.0, self.base));
        if let Some(outline) = scaled.outline_glyph(glyph) {
            let bounds = outline.px_bounds();
            outline.draw(|x, y, much| {
                let x = bounds.min.x + x as f32;
                let y = bounds.min.y + y as f32;
                if x >= 0.0 && y >= 0.0 {
                    mask.cover(x as usize, y as usize, (much.clamp(0.0, 1.0) * 255.0) as u8);
                }
            });
        }
        true
    }
}

/// From the font of points; false if it lacks it too.
fn dots(mask: &mut Mask, c: char) -> bool {
    let Some(glyph) = unifont::get_glyph(c) else {
        return false;
    };
    let left = mask.width.saturating_sub(glyph.get_width()) / 2;
    let top = mask.height.saturating_sub(ROWS) / 2;
    for y in 0..ROWS {
        for x in (0..glyph.get_width()).filter(|x| glyph.get_pixel(*x, y)) {
            mask.cover(left + x, top + y, u8::MAX);
        }
    }
    true
}

fn frame(mask: &mut Mask) {
    let (wide, tall) = (mask.width.saturating_sub(2), mask.height.saturating_sub(6));
    for (x, y, wide, tall) in [
        (1, 3, wide, 1),
        (1, tall + 2, wide, 1),
        (1, 3, 1, tall),
        (wide, 3, 1, tall),
    ] {
        mask.fill(x, y, wide, tall, u8::MAX);
    }
}
