//! What keys and the mouse do on the screen of a comparison.
//!
//! Owns: from a key, through the key table, to a change. Must not: know a key itself.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use belljar_replay::cond::Names;

use super::lines::{self, Key};
use super::{Diff, Open, Over, Wanted, detail, is_text, view};
use crate::screen::act::{commented, moved, word};
use crate::screen::keys::{self, Action};
use crate::screen::layout::inner;
use crate::screen::model::Effect;
use crate::screen::prompt::Prompt;

/// Rows that a notch of the wheel moves.
const NOTCH: usize = 3;

/// The scopes that hold now.
pub(super) fn scopes(diff: &Diff) -> &'static [keys::Scope] {
    match (&diff.open, &diff.prompt) {
        (Some(_), _) => keys::OVERLAY,
        (None, Some(_)) => keys::INPUT,
        (None, None) => keys::DIFF,
    }
}

pub(super) fn key(diff: &mut Diff, event: &KeyEvent) -> Vec<Effect> {
    if event.kind == KeyEventKind::Release {
        return Vec::new();
    }
    let Some(action) = keys::find(scopes(diff), event) else {
        if let (KeyCode::Char(c), Some(prompt), true) =
            (event.code, &mut diff.prompt, is_text(event))
        {
            prompt.insert(c, &Names::default());
            typed(diff);
        }
        return Vec::new();
    };
    diff.toast = None;
    diff.revision += 1;
    run(diff, action)
}

/// Text from the clipboard: into the filter, or nowhere.
pub(super) fn paste(diff: &mut Diff, text: &str) {
    if let Some(prompt) = &mut diff.prompt {
        prompt.paste(text, &Names::default());
        typed(diff);
    }
}

/// The filter holds while it is typed.
fn typed(diff: &mut Diff) {
    if let Some(prompt) = &diff.prompt {
        diff.filter = prompt.text().to_owned();
        diff.lay_out();
        diff.keep();
    }
}

fn run(diff: &mut Diff, action: Action) -> Vec<Effect> {
    match action {
        Action::Quit | Action::Interrupt => return vec![Effect::Quit],
        Action::Suspend => return vec![Effect::Suspend],
        Action::Copy => return copy(diff),
        Action::Open => return open(diff),
        Action::Up
        | Action::Down
        | Action::PageUp
        | Action::PageDown
        | Action::Top
        | Action::Bottom => scroll(diff, action),
        Action::Fold | Action::Unfold => fold(diff, action == Action::Unfold),
        Action::Same => same(diff),
        Action::NextMatch | Action::PreviousMatch => jump(diff, action == Action::NextMatch),
        Action::NextPane | Action::PreviousPane => {
            let to = lines::title(&diff.lines, diff.index, action == Action::NextPane);
            diff.index = to.unwrap_or(diff.index);
            diff.keep();
        }
        Action::Filter => diff.prompt = Some(Prompt::plain_with(&diff.filter)),
        Action::ClearFilter if !diff.filter.is_empty() => {
            diff.filter.clear();
            diff.lay_out();
            diff.say("filter cleared");
        }
        Action::Help => show(diff, Over::Help),
        Action::Close => diff.open = None,
        Action::Apply => diff.prompt = None,
        Action::Cancel => {
            diff.prompt = None;
            diff.filter.clear();
            diff.lay_out();
        }
        _ => edit(diff, action),
    }
    Vec::new()
}

fn edit(diff: &mut Diff, action: Action) {
    if let Some(prompt) = &mut diff.prompt {
        prompt.edit(action, &Names::default());
        typed(diff);
    }
}

/// Opens something over the rows.
pub(super) fn show(diff: &mut Diff, what: Over) {
    diff.open = Some(Open {
        what,
        title: String::new(),
        lines: Vec::new(),
        offset: 0,
    });
    detail::fill(diff);
}

/// Enter: a line that folds folds, every other opens.
fn open(diff: &mut Diff) -> Vec<Effect> {
    let Some(line) = diff.selected() else {
        return Vec::new();
    };
    let (index, fold) = match (&line.key, line.fold) {
        (Key::Pair(index), _) => (*index, None),
        (_, fold) => (usize::MAX, fold),
    };
    if let Some(open) = fold {
        self::fold(diff, !open);
        return Vec::new();
    }
    let Some(pair) = diff.pairs.get(index) else {
        return Vec::new();
    };
    diff.asked += 1;
    let wanted = Wanted {
        kind: pair.kind,
        what: pair.what.clone(),
        number: diff.asked,
    };
    let found = [None, None];
    show(diff, Over::Row { index, found });
    vec![Effect::Evidence(wanted)]
}

fn scroll(diff: &mut Diff, action: Action) {
    let area = diff.area;
    if let Some(open) = &mut diff.open {
        let rows = usize::from(inner(view::over(area)).height);
        let last = open.lines.len().saturating_sub(rows);
        open.offset = moved(open.offset, action, rows, last);
        diff.revision += 1;
        return;
    }
    let rows = usize::from(view::rows(area).height);
    let last = diff.lines.len().saturating_sub(1);
    diff.index = moved(diff.index, action, rows, last);
    diff.keep();
}

fn fold(diff: &mut Diff, unfold: bool) {
    let Some(line) = diff.selected().cloned() else {
        return;
    };
    diff.key = Some(line.key.clone());
    match line.fold {
        Some(open) if open != unfold => {
            diff.folds.insert(line.key, unfold);
            diff.lay_out();
        }
        // Nothing to fold here: go to the line that this one stands below.
        _ if !unfold => {
            let mut above = diff.lines.iter().take(diff.index);
            diff.index = above
                .rposition(|above| above.depth < line.depth)
                .unwrap_or(diff.index);
            diff.keep();
        }
        _ => {}
    }
}

/// Shows everything that is the same in both, or folds it again.
fn same(diff: &mut Diff) {
    let is_same = |line: &&lines::Line| matches!(line.key, Key::Same(_));
    let all: Vec<Key> = belljar_replay::compare::Kind::ALL
        .into_iter()
        .map(Key::Same)
        .collect();
    let open = diff
        .lines
        .iter()
        .filter(is_same)
        .any(|line| line.fold == Some(true));
    diff.key = diff.selected().map(|line| line.key.clone());
    for key in all {
        diff.folds.insert(key, !open);
    }
    diff.lay_out();
    diff.say(match open {
        true => "what is the same is folded",
        false => "what is the same is shown",
    });
}

fn jump(diff: &mut Diff, forward: bool) {
    match lines::next(&diff.lines, &diff.pairs, Some(diff.index), forward) {
        Some(index) => {
            diff.index = index;
            diff.keep();
        }
        None if forward => diff.say("no difference below"),
        None => diff.say("no difference above"),
    }
}

fn copy(diff: &mut Diff) -> Vec<Effect> {
    let text = match (&diff.open, diff.selected().map(|line| &line.key)) {
        (Some(open), _) => commented(&text(open)),
        (None, Some(Key::Pair(index))) => match diff.pairs.get(*index) {
            Some(pair) => word(&pair.what),
            None => return Vec::new(),
        },
        (None, Some(Key::Folder(_, folder))) => word(folder),
        _ => return Vec::new(),
    };
    diff.say("copied");
    vec![Effect::Copy(text)]
}

fn text(open: &Open) -> String {
    let line = |spans: &Vec<_>| {
        let texts = spans.iter().map(|(_, text): &(_, String)| text.as_str());
        texts.collect::<String>()
    };
    open.lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A click chooses, another opens; the wheel scrolls.
pub(super) fn mouse(diff: &mut Diff, event: MouseEvent) -> Vec<Effect> {
    let at = Position::new(event.column, event.row);
    if diff.prompt.is_some() || view::is_tiny(diff.area) {
        return Vec::new();
    }
    match event.kind {
        MouseEventKind::Down(MouseButton::Left) => return press(diff, at),
        MouseEventKind::ScrollUp => (0..NOTCH).for_each(|_| scroll(diff, Action::Up)),
        MouseEventKind::ScrollDown => (0..NOTCH).for_each(|_| scroll(diff, Action::Down)),
        _ => {}
    }
    Vec::new()
}

fn press(diff: &mut Diff, at: Position) -> Vec<Effect> {
    diff.toast = None;
    diff.revision += 1;
    if diff.open.is_some() {
        if !view::over(diff.area).contains(at) {
            diff.open = None;
        }
        return Vec::new();
    }
    let rows: Rect = view::rows(diff.area);
    if !rows.contains(at) {
        return Vec::new();
    }
    let index = diff.offset + usize::from(at.y - rows.y);
    if index >= diff.lines.len() {
        return Vec::new();
    }
    if index == diff.index {
        return open(diff);
    }
    diff.index = index;
    diff.keep();
    Vec::new()
}
