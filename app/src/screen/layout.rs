//! Where everything stands, as a function of the size and of what is open.
//!
//! ```text
//! header    verdict, what runs, recording, enforcement            2 rows
//! rules     while their files are watched                         1 row
//! tabs      narrow only: the pane's name among the others         1 row
//! panes     wide: processes | files | network above findings,
//!           events or output; narrow: the one that has the keys
//! timeline                                                        1 row
//! footer    keys, or a passing message                            1 row
//! ```
//! Owns: rectangles. Must not: know what is drawn into them.

use ratatui::layout::{Position, Rect};

use super::model::Pane;

/// Below this the screen only says that it is too small.
pub(super) const MIN: (u16, u16) = (24, 6);
/// From here on the panes stand side by side.
const WIDE: (u16, u16) = (100, 24);
/// From here on detail opens at the right, not above the panes.
const SIDE: u16 = 180;

/// What there must be room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// The pane that must be visible.
    pub(super) shown: Pane,
    /// An overlay is open that may stand beside the panes.
    pub(super) side: bool,
    /// The rows that a question would like to have, 0 without one.
    pub(super) asked: u16,
    /// A line about the rules.
    pub(super) rules: bool,
    /// The shown pane alone.
    pub(super) zoomed: bool,
    /// Where somebody wants the panes to end.
    pub(super) dividers: Dividers,
}

/// What lies between two panes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Divider {
    /// Processes and files.
    Left,
    /// Files and network.
    Right,
    /// These and what is below them.
    Low,
    /// The two that are below, where there are two.
    Half,
}

/// How a pane is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// In its width, not in its height.
    pub(super) across: bool,
    /// It grows.
    pub(super) more: bool,
}

/// Where the dividers were moved to, in thousandths of the panes' room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dividers([Option<u16>; 4]);

impl Dividers {
    pub(super) fn set(&mut self, divider: Divider, to: u16) {
        if let Some(place) = self.0.get_mut(divider as usize) {
            *place = Some(to);
        }
    }

    /// The cell of so many that a divider stands at, between two others.
    fn cell(&self, divider: Divider, of: u16, usual: u16, (low, high): (u16, u16)) -> u16 {
        let moved = self.0.get(divider as usize).copied().flatten();
        let cell = moved.map(|to| u32::from(of) * u32::from(to) / 1000);
        let cell = cell.and_then(|cell| u16::try_from(cell).ok());
        match cell {
            Some(cell) => cell.clamp(low, high.max(low)),
            None => usual,
        }
    }
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            shown: Pane::Processes,
            side: false,
            asked: 0,
            rules: false,
            zoomed: false,
            dividers: Dividers::default(),
        }
    }
}

/// Rectangles of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) area: Rect,
    /// The room of all panes.
    body: Rect,
    pub(super) header: Rect,
    /// What is said of the rules, where that is wanted.
    pub(super) rules: Option<Rect>,
    /// `None`: all panes are visible.
    pub(super) tabs: Option<Rect>,
    /// The visible panes with their frames.
    pub(super) panes: Vec<(Pane, Rect)>,
    pub(super) timeline: Rect,
    pub(super) footer: Rect,
    /// Where an overlay stands if one is open.
    pub(super) overlay: Rect,
    /// Where a question stands, if one is shown.
    pub(super) question: Option<Rect>,
    /// Too small for anything.
    pub(super) tiny: bool,
}

impl Layout {
    pub(super) fn new(columns: u16, rows: u16, wish: Wish) -> Self {
        let Wish {
            shown,
            side,
            asked,
            rules,
            zoomed,
            dividers,
        } = wish;
        // Not at the cost of what is below it.
        let said = u16::from(rules && rows >= 12);
        let area = Rect::new(0, 0, columns, rows);
        let tiny = columns < MIN.0 || rows < MIN.1;
        let taken = question_rows(rows.saturating_sub(5 + said), asked);
        let wide = !zoomed && columns >= WIDE.0 && rows.saturating_sub(taken) >= WIDE.1;
        let row = |y: u16, height: u16| Rect::new(0, y, columns, height).intersection(area);
        let tabs = (!wide).then(|| row(2 + said, 1));
        let top = if wide { 2 } else { 3 } + said;
        let body = row(top, rows.saturating_sub(top + 2 + taken));
        let question = (taken > 0 && !tiny).then(|| row(body.bottom(), taken));
        let (body, beside) = match side && columns >= SIDE {
            true => split(body, columns / 3),
            false => (body, None),
        };
        let panes = match (tiny, wide) {
            (true, _) => Vec::new(),
            (_, true) => wide_panes(body, shown, dividers),
            (_, false) => vec![(shown, body)],
        };
        Self {
            area,
            body,
            header: row(0, 2),
            rules: (said > 0).then(|| row(2, 1)),
            tabs,
            panes,
            timeline: row(rows.saturating_sub(2), 1),
            footer: row(rows.saturating_sub(1), 1),
            overlay: beside.unwrap_or_else(|| above(body)),
            question,
            tiny,
        }
    }

    /// What lies between two panes there, if it can be moved.
    pub(super) fn divider_at(&self, at: Position) -> Option<Divider> {
        let mut panes = self.panes.iter().map(|(_, rect)| *rect);
        let (_, files, network) = (panes.next()?, panes.next()?, panes.next()?);
        let (below, beside) = (panes.next()?, panes.next());
        let upright = |right: Rect| {
            let edge = right.x.saturating_sub(1)..=right.x;
            edge.contains(&at.x) && (right.y..right.bottom()).contains(&at.y)
        };
        let edge = below.y.saturating_sub(1)..=below.y;
        [
            (Divider::Low, self.body.contains(at) && edge.contains(&at.y)),
            (Divider::Left, upright(files)),
            (Divider::Right, upright(network)),
            (Divider::Half, beside.is_some_and(upright)),
        ]
        .into_iter()
        .find_map(|(divider, here)| here.then_some(divider))
    }

    /// The cell that a divider stands at, and of how many.
    fn stands(&self, divider: Divider) -> Option<(u16, u16)> {
        let mut panes = self.panes.iter().map(|(_, rect)| *rect);
        let (_, files, network) = (panes.next()?, panes.next()?, panes.next()?);
        let (below, beside) = (panes.next()?, panes.next());
        let at = match divider {
            Divider::Left => Position::new(files.x, files.y),
            Divider::Right => Position::new(network.x, network.y),
            Divider::Low => Position::new(below.x, below.y),
            Divider::Half => beside.map(|right| Position::new(right.x, right.y))?,
        };
        Some(match divider {
            Divider::Low => (at.y.saturating_sub(self.body.y), self.body.height),
            _ => (at.x.saturating_sub(self.body.x), self.body.width),
        })
    }

    /// Where a divider comes to stand that makes this pane larger or smaller: in
    /// thousandths. `None` where none can.
    pub(super) fn stretched(&self, pane: Pane, change: Stretch) -> Option<(Divider, u16)> {
        /// Cells at a time.
        const STEP: (u16, u16) = (4, 2);
        let upper = [Pane::Processes, Pane::Files, Pane::Network].contains(&pane);
        let (divider, onwards) = match (change.across, pane) {
            (false, _) => (Divider::Low, upper),
            (true, Pane::Processes) => (Divider::Left, true),
            (true, Pane::Files) => (Divider::Right, true),
            (true, Pane::Network) => (Divider::Right, false),
            (true, Pane::Findings) => (Divider::Half, true),
            (true, _) => (Divider::Half, false),
        };
        let (at, of) = self.stands(divider)?;
        let cells = if change.across { STEP.0 } else { STEP.1 };
        let to = match onwards == change.more {
            true => at.saturating_add(cells),
            false => at.saturating_sub(cells),
        };
        Some((divider, thousandths(to, of)))
    }

    /// Where a divider stands that was moved there, in thousandths.
    pub(super) fn moved(&self, divider: Divider, at: Position) -> u16 {
        let (along, of) = match divider {
            Divider::Low => (at.y.saturating_sub(self.body.y), self.body.height),
            _ => (at.x.saturating_sub(self.body.x), self.body.width),
        };
        thousandths(along, of)
    }

    /// The frame of a pane, if it is visible.
    pub(super) fn pane(&self, pane: Pane) -> Option<Rect> {
        self.panes
            .iter()
            .find(|(known, _)| *known == pane)
            .map(|(_, rect)| *rect)
    }

    /// The rows that a pane has for its content.
    pub(super) fn rows_of(&self, pane: Pane) -> usize {
        self.pane(pane)
            .map_or(0, |rect| usize::from(inner(rect).height))
    }
}

/// Rounded up, so that a divider comes to stand at the very cell.
fn thousandths(cell: u16, of: u16) -> u16 {
    let to = (u32::from(cell) * 1000).div_ceil(u32::from(of.max(1)));
    u16::try_from(to.min(1000)).unwrap_or(1000)
}

/// The rows that a question gets: what it wants, but the panes stay usable; where
/// there is no room for both, the question stands alone.
fn question_rows(body: u16, asked: u16) -> u16 {
    /// Fewer rows show nothing of a pane, and too little of a question.
    const LEAST: (u16, u16) = (4, 6);
    match body.checked_sub(LEAST.0) {
        _ if asked == 0 => 0,
        Some(room) if room >= LEAST.1 => asked.min(room.min(body * 3 / 4)),
        _ => body,
    }
}

/// What is left inside a frame.
pub(super) fn inner(rect: Rect) -> Rect {
    Rect {
        x: rect.x.saturating_add(1),
        y: rect.y.saturating_add(1),
        width: rect.width.saturating_sub(2),
        height: rect.height.saturating_sub(2),
    }
}

/// A pane is not made smaller than this.
const LEAST: (u16, u16) = (16, 5);

fn wide_panes(body: Rect, shown: Pane, dividers: Dividers) -> Vec<(Pane, Rect)> {
    let (width, height) = (body.width, body.height);
    let usual = height - (height / 3).clamp(5, 12).min(height);
    let room = (LEAST.1, height.saturating_sub(LEAST.1));
    let high = dividers.cell(Divider::Low, height, usual, room);
    let low = height.saturating_sub(high);
    let third = width / 3;
    let room = (LEAST.0, width.saturating_sub(2 * LEAST.0));
    let left = dividers.cell(Divider::Left, width, third, room);
    let room = (left + LEAST.0, width.saturating_sub(LEAST.0));
    let right = dividers.cell(Divider::Right, width, 2 * third, room);
    let right = right.max(left + LEAST.0.min(third));
    let column = |at: u16, width: u16| Rect::new(body.x + at, body.y, width, high);
    let bottom = Rect::new(body.x, body.y + high, width, low);
    let mut panes = vec![
        (Pane::Processes, column(0, left)),
        (Pane::Files, column(left, right.saturating_sub(left))),
        (Pane::Network, column(right, width.saturating_sub(right))),
    ];
    let second = match shown {
        Pane::Events => Pane::Events,
        _ => Pane::Output,
    };
    match (shown, bottom.width >= 160) {
        (_, true) => {
            let room = (LEAST.0, width.saturating_sub(LEAST.0));
            let half = dividers.cell(Divider::Half, width, width / 2, room);
            panes.push((
                Pane::Findings,
                Rect {
                    width: half,
                    ..bottom
                },
            ));
            let right = Rect {
                x: bottom.x + half,
                width: bottom.width - half,
                ..bottom
            };
            panes.push((second, right));
        }
        (Pane::Output | Pane::Events, false) => panes.push((shown, bottom)),
        (_, false) => panes.push((Pane::Findings, bottom)),
    }
    panes
}

fn split(body: Rect, right: u16) -> (Rect, Option<Rect>) {
    let left = body.width.saturating_sub(right);
    let beside = Rect {
        x: body.x + left,
        width: right,
        ..body
    };
    (
        Rect {
            width: left,
            ..body
        },
        Some(beside),
    )
}

/// An overlay in the middle: most of the body, header and timeline stay readable.
fn above(body: Rect) -> Rect {
    let (dx, dy) = match body.width {
        ..100 => (0, 0),
        _ => (body.width / 10, 1),
    };
    Rect {
        x: body.x + dx,
        y: body.y + dy,
        width: body.width.saturating_sub(2 * dx),
        height: body.height.saturating_sub(2 * dy),
    }
}
