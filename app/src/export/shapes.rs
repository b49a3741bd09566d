//! Characters that are drawn rather than written: lines, blocks and dots, which
//! must meet those in the next cell whatever the font thinks of its cell.
//!
//! Owns: their geometry. Must not: know colours or a font.

use super::glyphs::Mask;

/// The first line character.
const LINES_FROM: u32 = 0x2500;
/// Of each line character the arms up, right, down and left, two bits each from the
/// lowest on: none, light, heavy, double. Nothing: it is left to the font (dashed
/// lines and diagonals). Made of the characters' names.
const LINES: [u8; 128] = [
    0x44, 0x88, 0x11, 0x22, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x14, 0x18, 0x24, 0x28,
    0x50, 0x90, 0x60, 0xa0, 0x05, 0x09, 0x06, 0x0a, 0x41, 0x81, 0x42, 0x82, 0x15, 0x19, 0x16, 0x25,
    0x26, 0x1a, 0x29, 0x2a, 0x51, 0x91, 0x52, 0x61, 0x62, 0x92, 0xa1, 0xa2, 0x54, 0x94, 0x58, 0x98,
    0x64, 0xa4, 0x68, 0xa8, 0x45, 0x85, 0x49, 0x89, 0x46, 0x86, 0x4a, 0x8a, 0x55, 0x95, 0x59, 0x99,
    0x56, 0x65, 0x66, 0x96, 0x5a, 0xa5, 0x69, 0x9a, 0xa9, 0xa6, 0x6a, 0xaa, 0x00, 0x00, 0x00, 0x00,
    0xcc, 0x33, 0x1c, 0x34, 0x3c, 0xd0, 0x70, 0xf0, 0x0d, 0x07, 0x0f, 0xc1, 0x43, 0xc3, 0x1d, 0x37,
    0x3f, 0xd1, 0x73, 0xf3, 0xdc, 0x74, 0xfc, 0xcd, 0x47, 0xcf, 0xdd, 0x77, 0xff, 0x14, 0x50, 0x41,
    0x05, 0x00, 0x00, 0x00, 0x40, 0x01, 0x04, 0x10, 0x80, 0x02, 0x08, 0x20, 0x48, 0x21, 0x84, 0x12,
];
/// Rounded corners: their arms are those of light corners.
const ROUND: std::ops::RangeInclusive<u32> = 0x256d..=0x2570;
/// Quarters of U+2596 on: upper left, upper right, lower left, lower right.
const QUARTERS: [u8; 10] = [
    0b0100, 0b1000, 0b0001, 0b1101, 0b1001, 0b0111, 0b1011, 0b0010, 0b0110, 0b1110,
];
/// Bits of the dots of a braille character, row by row.
const DOTS: [[u32; 2]; 4] = [[0, 3], [1, 4], [2, 5], [6, 7]];
const FULL: u8 = u8::MAX;

/// Draws it, if it is one of them.
pub(super) fn shape(c: char, width: usize, height: usize) -> Option<Mask> {
    let code = u32::from(c);
    let mut mask = Mask::new(width, height);
    match code {
        0x2500..=0x257f => {
            let arms = *LINES.get(usize::try_from(code - LINES_FROM).ok()?)?;
            if arms == 0 {
                return None;
            }
            match ROUND.contains(&code) {
                true => corner(&mut mask, arms),
                false => lines(&mut mask, arms),
            }
        }
        0x2580..=0x259f => block(&mut mask, code),
        0x2800..=0x28ff => braille(&mut mask, code - 0x2800),
        _ => return None,
    }
    Some(mask)
}

/// Thickness of an arm, and how far its two lines stand from the middle if it is double.
fn strokes(weight: u8) -> &'static [(isize, usize)] {
    match weight {
        1 => &[(0, 1)],
        2 => &[(-1, 3)],
        3 => &[(-1, 1), (1, 1)],
        _ => &[],
    }
}

fn lines(mask: &mut Mask, arms: u8) {
    let (across, down) = (mask.width / 2, mask.height / 2);
    let [up, right, low, left] = [0, 2, 4, 6].map(|shift| arms >> shift & 3);
    // Each arm reaches so far over the middle that it meets the lines it crosses.
    let over = |first: u8, second: u8| match first.max(second) {
        0 | 1 => 1,
        _ => 2,
    };
    let (beyond_x, beyond_y) = (over(up, low), over(left, right));
    for (weight, from, to) in [
        (up, 0, down + beyond_y),
        (low, (down + 1).saturating_sub(beyond_y), mask.height),
    ] {
        for (shift, thick) in strokes(weight) {
            mask.fill(
                across.saturating_add_signed(*shift),
                from,
                *thick,
                to.saturating_sub(from),
                FULL,
            );
        }
    }
    for (weight, from, to) in [
        (left, 0, across + beyond_x),
        (right, (across + 1).saturating_sub(beyond_x), mask.width),
    ] {
        for (shift, thick) in strokes(weight) {
            mask.fill(
                from,
                down.saturating_add_signed(*shift),
                to.saturating_sub(from),
                *thick,
                FULL,
            );
        }
    }
}

/// A light corner whose point is cut off.
fn corner(mask: &mut Mask, arms: u8) {
    let (across, down) = (mask.width / 2, mask.height / 2);
    let [up, right] = [arms & 3 > 0, arms >> 2 & 3 > 0];
    let (x, wide) = match right {
        true => (across + 2, mask.width.saturating_sub(across + 2)),
        false => (0, across.saturating_sub(1)),
    };
    mask.fill(x, down, wide, 1, FULL);
    let (y, tall) = match up {
        true => (0, down.saturating_sub(1)),
        false => (down + 2, mask.height.saturating_sub(down + 2)),
    };
    mask.fill(across, y, 1, tall, FULL);
    let (side_x, side_y) = (if right { 1 } else { -1 }, if up { -1 } else { 1 });
    let at = |x: isize, y: isize| {
        (
            across.saturating_add_signed(x * side_x),
            down.saturating_add_signed(y * side_y),
        )
    };
    for ((x, y), much) in [(at(1, 1), 210), (at(1, 0), 110), (at(0, 1), 110)] {
        mask.fill(x, y, 1, 1, much);
    }
}

fn block(mask: &mut Mask, code: u32) {
    let (width, height) = (mask.width, mask.height);
    let eighths = |of: usize, count: u32| of * count as usize / 8;
    match code {
        0x2580 => mask.fill(0, 0, width, height / 2, FULL),
        0x2581..=0x2588 => {
            let tall = eighths(height, code - 0x2580).max(1);
            mask.fill(0, height - tall, width, tall, FULL);
        }
        0x2589..=0x258f => mask.fill(0, 0, eighths(width, 0x2590 - code).max(1), height, FULL),
        0x2590 => mask.fill(width / 2, 0, width - width / 2, height, FULL),
        0x2591 => mask.fill(0, 0, width, height, 64),
        0x2592 => mask.fill(0, 0, width, height, 128),
        0x2593 => mask.fill(0, 0, width, height, 192),
        0x2594 => mask.fill(0, 0, width, eighths(height, 1).max(1), FULL),
        0x2595 => mask.fill(width - 1, 0, 1, height, FULL),
        _ => {
            let which = usize::try_from(code - 0x2596).unwrap_or(0);
            let quarters = QUARTERS.get(which).copied().unwrap_or(0);
            let (half, middle) = (width / 2, height / 2);
            for (bit, x, y, wide, tall) in [
                (0b0001, 0, 0, half, middle),
                (0b0010, half, 0, width - half, middle),
                (0b0100, 0, middle, half, height - middle),
                (0b1000, half, middle, width - half, height - middle),
            ] {
                if quarters & bit != 0 {
                    mask.fill(x, y, wide, tall, FULL);
                }
            }
        }
    }
}

fn braille(mask: &mut Mask, bits: u32) {
    let (step_x, step_y) = (mask.width / 2, mask.height / 4);
    for (row, pair) in DOTS.iter().enumerate() {
        for (column, bit) in pair.iter().enumerate() {
            if bits >> bit & 1 == 1 {
                let (x, y) = (
                    column * step_x + step_x / 4 + 1,
                    row * step_y + step_y / 4 + 1,
                );
                mask.fill(x, y, 2, 2, FULL);
            }
        }
    }
}
