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

use ratatui::layout::Rect;

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
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            shown: Pane::Processes,
            side: false,
            asked: 0,
            rules: false,
        }
    }
}

/// Rectangles of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) area: Rect,
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
        } = wish;
        // Not at the cost of what is below it.
        let said = u16::from(rules && rows >= 12);
        let area = Rect::new(0, 0, columns, rows);
        let tiny = columns < MIN.0 || rows < MIN.1;
        let taken = question_rows(rows.saturating_sub(5 + said), asked);
        let wide = columns >= WIDE.0 && rows.saturating_sub(taken) >= WIDE.1;
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
            (_, true) => wide_panes(body, shown),
            (_, false) => vec![(shown, body)],
        };
        Self {
            area,
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

fn wide_panes(body: Rect, shown: Pane) -> Vec<(Pane, Rect)> {
    let low = (body.height / 3).clamp(5, 12);
    let high = body.height.saturating_sub(low);
    let third = body.width / 3;
    let column = |at: u16, width: u16| Rect::new(body.x + at, body.y, width, high);
    let bottom = Rect::new(body.x, body.y + high, body.width, low);
    let mut panes = vec![
        (Pane::Processes, column(0, third)),
        (Pane::Files, column(third, third)),
        (
            Pane::Network,
            column(2 * third, body.width.saturating_sub(2 * third)),
        ),
    ];
    let second = match shown {
        Pane::Events => Pane::Events,
        _ => Pane::Output,
    };
    match (shown, bottom.width >= 160) {
        (_, true) => {
            let half = bottom.width / 2;
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
