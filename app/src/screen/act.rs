//! What each action does.
//!
//! Owns: from a key, through the key table, to a change of the model.
//! Must not: know a key itself.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::events;
use super::guest;
use super::keys::{self, Action};
use super::layout::inner;
use super::model::{Effect, Model, Pane, Scroll};
use super::overlay::{self, Kind, Overlay};
use super::player::{Motion, SECOND};
use super::prompt::Prompt;
use super::question;
use super::rows::{Fold, RowKey};
use super::text::clock;
use super::update::{toast, window};

/// How far the arrows go.
const LEAP: u64 = 5 * SECOND;

/// The scopes that hold now.
pub(super) fn scopes(model: &Model) -> &'static [keys::Scope] {
    match (&model.overlay, model.leaving) {
        (_, true) => keys::LEAVE,
        _ if model.doomed.is_some() => keys::KILL,
        (Some(_), _) => keys::OVERLAY,
        (None, _) if model.prompt.is_some() => keys::INPUT,
        (None, _) => question::scopes(model).unwrap_or(keys::pane_scopes(model.focus)),
    }
}

/// What the key means now: those of a waiting question come before the pane's.
fn meaning(model: &Model, event: &KeyEvent) -> Option<Action> {
    let of_question = question::answers_here(model)
        .then(|| keys::find(keys::QUESTION, event))
        .flatten();
    of_question.or_else(|| keys::find(scopes(model), event))
}

/// Acts on a key. A key that means nothing here does nothing.
pub(super) fn key(model: &mut Model, event: &KeyEvent) -> Vec<Effect> {
    if event.kind == KeyEventKind::Release {
        return Vec::new();
    }
    let Some(action) = meaning(model, event) else {
        if [keys::INPUT, keys::SAVE].contains(&scopes(model)) {
            character(model, event);
        }
        return Vec::new();
    };
    // The answer to the last key is not the answer to this one.
    model.toast = None;
    match action {
        Action::Quit | Action::Interrupt | Action::Yes | Action::No => leave(model, action),
        Action::Copy => copy(model),
        Action::KillNow | Action::NotYet if model.doomed.is_some() => {
            guest::sentence(model, action)
        }
        Action::Freeze if model.is_live() && model.is_open() => guest::freeze(model),
        Action::AllowOnce
        | Action::DenyOnce
        | Action::AllowMore
        | Action::DenyMore
        | Action::SaveAllow
        | Action::SaveDeny
        | Action::KillTree
        | Action::ForTree
        | Action::ForRun
        | Action::NotYet
        | Action::KillNow
        | Action::SaveLine => question::act(model, action),
        _ => {
            match action {
                Action::Up
                | Action::Down
                | Action::PageUp
                | Action::PageDown
                | Action::Top
                | Action::Bottom => {
                    scroll(model, action);
                }
                Action::Open => open(model),
                Action::Fold | Action::Unfold => fold(model, action == Action::Unfold),
                Action::EndTree => guest::doom(model),
                Action::Close => model.overlay = None,
                Action::Help => model.overlay = Some(Overlay::new(Kind::Help)),
                Action::Questions => model.overlay = Some(Overlay::new(Kind::Questions)),
                Action::Verdict => model.overlay = Some(Overlay::new(Kind::Verdict)),
                Action::NextPane => turn(model, 1),
                Action::PreviousPane => turn(model, Pane::ALL.len() - 1),
                Action::Output => visit(model, Pane::Output),
                Action::Events => visit(model, Pane::Events),
                Action::Filter => {
                    let before = model.filter.as_ref().map_or("", |filter| filter.source());
                    model.prompt = Some(Prompt::new(before));
                }
                Action::ClearFilter if model.filter.is_some() => {
                    model.filter = None;
                    toast(model, "filter cleared");
                }
                Action::ClearFilter => {}
                Action::NextMatch => events::jump(model, true),
                Action::PreviousMatch => events::jump(model, false),
                Action::GoThere => events::go_to_selected(model),
                Action::Apply
                | Action::Cancel
                | Action::Left
                | Action::Right
                | Action::LineStart
                | Action::LineEnd
                | Action::Erase
                | Action::EraseNext
                | Action::EraseWord
                | Action::EraseAll
                | Action::Complete => edit(model, action),
                Action::Timeline => visit(model, Pane::Timeline),
                _ => play(model, action, event),
            }
            Vec::new()
        }
    }
}

/// A key that is text where text is typed.
fn character(model: &mut Model, event: &KeyEvent) {
    let command = KeyModifiers::CONTROL | KeyModifiers::ALT;
    let line = model.asking.line().or(model.prompt.as_mut());
    if let (KeyCode::Char(c), Some(prompt)) = (event.code, line)
        && !event.modifiers.intersects(command)
    {
        prompt.insert(c, model.setup.rules.names());
    }
}

/// Moves in the line that is typed, or changes it.
fn edit(model: &mut Model, action: Action) {
    match model.asking.line() {
        Some(line) => line.edit(action, model.setup.rules.names()),
        None => type_filter(model, action),
    }
}

fn type_filter(model: &mut Model, action: Action) {
    let Some(mut prompt) = model.prompt.take() else {
        return;
    };
    let names = model.setup.rules.names();
    match action {
        Action::Cancel => {}
        // An empty filter is none.
        Action::Apply if prompt.text().trim().is_empty() => model.filter = None,
        Action::Apply => match prompt.parse(names) {
            Some(condition) => {
                events::apply(model, condition);
                focus(model, Pane::Events);
            }
            None => model.prompt = Some(prompt),
        },
        _ => {
            prompt.edit(action, names);
            model.prompt = Some(prompt);
        }
    }
}

fn leave(model: &mut Model, action: Action) -> Vec<Effect> {
    let running = model.is_live() && model.is_open();
    match action {
        Action::Interrupt if running && !model.interrupted => {
            model.interrupted = true;
            model.leaving = false;
            toast(model, "stopping the run; ^C again leaves at once");
            vec![Effect::Interrupt]
        }
        Action::Quit if running && !model.interrupted => {
            model.leaving = true;
            Vec::new()
        }
        Action::No => {
            model.leaving = false;
            Vec::new()
        }
        Action::Yes if running => vec![Effect::Interrupt, Effect::Quit],
        _ => vec![Effect::Quit],
    }
}

fn copy(model: &mut Model) -> Vec<Effect> {
    let text = match &model.overlay {
        Some(open) => Some(open.text()),
        None => selected_text(model),
    };
    let Some(text) = text else { return Vec::new() };
    toast(model, "copied");
    vec![Effect::Copy(text)]
}

/// The selected row in words.
fn selected_text(model: &Model) -> Option<String> {
    let index = model.list(model.focus)?.index;
    match model.focus {
        Pane::Processes => model
            .rows
            .processes
            .get(index)
            .map(|line| line.label.clone()),
        Pane::Files => match &model.rows.files.get(index)?.key {
            RowKey::Path(path) | RowKey::Float(path) => Some(super::text::safe(path)),
            _ => None,
        },
        Pane::Network => model.rows.network.get(index).map(|line| line.label.clone()),
        Pane::Findings => {
            let line = model.rows.findings.get(index)?;
            Some(format!("{} {} {}", line.id, line.title, line.lineage))
        }
        Pane::Events => {
            let list = model.list(Pane::Events)?;
            let line = model.rows.events.get(index.checked_sub(list.offset)?)?;
            Some(format!("#{} {} {}", line.seq, line.process, line.summary))
        }
        Pane::Output | Pane::Timeline => None,
    }
}

fn scroll(model: &mut Model, action: Action) {
    if let Some(open) = &mut model.overlay {
        let rows = usize::from(inner(model.layout.overlay).height);
        open.offset = moved(
            open.offset,
            action,
            rows,
            open.lines.len().saturating_sub(rows),
        );
        return;
    }
    let rows = model.layout.rows_of(model.focus);
    if model.focus == Pane::Output {
        let last = model.rows.output.len().saturating_sub(rows);
        let offset = moved(model.output.offset, action, rows, last);
        model.output = Scroll {
            offset,
            held: offset < last,
        };
        return;
    }
    if model.focus == Pane::Events {
        let (list, len) = events::list(model);
        let row = moved(list.index, action, rows, len.saturating_sub(1));
        let onwards = !matches!(action, Action::Up | Action::PageUp | Action::Top);
        events::select(model, row, onwards);
        return;
    }
    let pane = model.focus;
    let len = model.rows.len(pane);
    let Some(list) = model.lists.get_mut(pane as usize) else {
        return;
    };
    list.index = moved(list.index, action, rows, len.saturating_sub(1));
    window(list, len, rows);
    list.key = model.rows.key(pane, list.index).cloned();
}

/// Where a step, a page or a jump leads between 0 and `last`.
fn moved(at: usize, action: Action, page: usize, last: usize) -> usize {
    let page = page.saturating_sub(1).max(1);
    let to = match action {
        Action::Up => at.saturating_sub(1),
        Action::Down => at + 1,
        Action::PageUp => at.saturating_sub(page),
        Action::PageDown => at + page,
        Action::Top => 0,
        Action::Bottom => last,
        _ => at,
    };
    to.min(last)
}

/// Enter: a folded count unfolds, everything else opens.
fn open(model: &mut Model) {
    let pane = model.focus;
    match overlay::of_selection(model, pane) {
        Some(Kind::Detail(RowKey::Finished(_))) => {
            let index = model.list(pane).map_or(0, |list| list.index);
            let closed = model
                .rows
                .processes
                .get(index)
                .is_some_and(|line| line.fold == Fold::Closed);
            fold(model, closed);
        }
        Some(kind) => model.overlay = Some(Overlay::new(kind)),
        None => {}
    }
}

fn fold(model: &mut Model, unfold: bool) {
    let pane = model.focus;
    let Some(list) = model.lists.get_mut(pane as usize) else {
        return;
    };
    let row = match pane {
        Pane::Processes => model
            .rows
            .processes
            .get(list.index)
            .map(|line| (&line.key, line.fold, line.depth)),
        Pane::Files => model
            .rows
            .files
            .get(list.index)
            .map(|line| (&line.key, line.fold, line.depth)),
        _ => None,
    };
    let Some((key, state, depth)) = row else {
        return;
    };
    if unfold || state == Fold::Open {
        list.key = Some(key.clone());
        if state != Fold::Leaf {
            model.folds.insert(key.clone(), unfold);
        }
        return;
    }
    // Nothing to fold here: go to the row that this one stands below.
    let depths: Vec<usize> = match pane {
        Pane::Processes => model.rows.processes.iter().map(|line| line.depth).collect(),
        _ => model.rows.files.iter().map(|line| line.depth).collect(),
    };
    let above = depths
        .iter()
        .take(list.index)
        .rposition(|above| *above < depth);
    if let Some(above) = above {
        list.index = above;
        list.key = model.rows.key(pane, above).cloned();
    }
}

fn turn(model: &mut Model, by: usize) {
    let at = Pane::ALL
        .iter()
        .position(|pane| *pane == model.focus)
        .unwrap_or(0);
    if let Some(pane) = Pane::ALL.get((at + by) % Pane::ALL.len()) {
        focus(model, *pane);
    }
}

/// Goes to a pane, or back from it.
fn visit(model: &mut Model, pane: Pane) {
    let to = if model.focus == pane {
        model.back
    } else {
        pane
    };
    focus(model, to);
}

fn focus(model: &mut Model, pane: Pane) {
    // From output, events and timeline one goes back to where one was before them.
    let aside = [Pane::Timeline, Pane::Output, Pane::Events];
    if !aside.contains(&model.focus) && model.focus != pane {
        model.back = model.focus;
    }
    model.focus = pane;
}

fn play(model: &mut Model, action: Action, event: &KeyEvent) {
    let now = model.player.now();
    match action {
        Action::PlayPause => play_or_pause(model),
        Action::Freeze => play_or_pause(model),
        Action::Back => leap(model, now.saturating_sub(LEAP)),
        Action::Forward => leap(model, now.saturating_add(LEAP)),
        Action::StepBack => step(model, model.player.position().saturating_sub(1)),
        Action::StepForward => step(model, model.player.position() + 1),
        Action::PreviousFinding => jump(model, false),
        Action::NextFinding => jump(model, true),
        Action::Tenth => {
            let KeyCode::Char(digit) = event.code else {
                return;
            };
            let tenth = u64::from(digit.to_digit(10).unwrap_or(0));
            let (first, last) = model.player.range();
            leap(model, first + (last - first) / 10 * tenth);
        }
        Action::Slower | Action::Faster => {
            model.player.change_speed(action == Action::Faster);
            let speed = model.player.speed();
            toast(model, format!("speed {speed}"));
        }
        Action::Start => {
            model.player.seek(0);
            if model.player.motion() == Motion::Following {
                model.player.set_motion(Motion::Paused);
            }
        }
        Action::Follow => follow(model),
        _ => {}
    }
}

/// To the end; where more comes, along with it.
fn follow(model: &mut Model) {
    model.player.set_motion(if model.is_open() {
        Motion::Following
    } else {
        Motion::Paused
    });
    model.player.go_to_end();
}

fn play_or_pause(model: &mut Model) {
    let at_end = model.player.position() == model.player.len();
    match model.player.motion() {
        Motion::Following | Motion::Playing => model.player.set_motion(Motion::Paused),
        Motion::Paused if at_end && model.is_open() => follow(model),
        Motion::Paused => {
            if at_end {
                // Nothing is left to play: from the start again.
                model.player.seek(0);
            }
            model.player.set_motion(Motion::Playing);
        }
    }
}

/// To a time; whoever goes back no longer follows.
fn leap(model: &mut Model, time: u64) {
    if model.player.motion() == Motion::Following {
        model.player.set_motion(Motion::Paused);
    }
    model.player.seek_time(time);
}

fn step(model: &mut Model, position: usize) {
    let limit = model.player.len();
    model.player.set_motion(Motion::Paused);
    if position > limit {
        toast(model, "this is the newest event");
    }
    model.player.seek(position);
}

/// To the moment right behind a finding's first event.
fn jump(model: &mut Model, forward: bool) {
    let here = model.player.position();
    let mut moments: Vec<(usize, u64)> = model
        .player
        .tip()
        .findings()
        .iter()
        .filter_map(|finding| {
            let index = model.player.index_of(*finding.seqs.first()?)?;
            Some((index + 1, finding.number))
        })
        .collect();
    moments.sort_unstable();
    let found = match forward {
        true => moments.iter().find(|(at, _)| *at > here),
        false => moments.iter().rev().find(|(at, _)| *at < here),
    };
    let Some(&(position, number)) = found else {
        let text = if forward {
            "no finding after this moment"
        } else {
            "no finding before this moment"
        };
        toast(model, text);
        return;
    };
    model.player.set_motion(Motion::Paused);
    model.player.seek(position);
    if let Some(list) = model.lists.get_mut(Pane::Findings as usize) {
        list.key = Some(RowKey::Finding(number));
    }
    let since = model.player.now().saturating_sub(model.player.range().0);
    toast(
        model,
        format!("finding {number} of {} at {}", moments.len(), clock(since)),
    );
}
