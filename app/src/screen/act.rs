//! What each action does.
//!
//! Owns: from a key, through the key table, to a change of the model.
//! Must not: know a key itself.

mod copy;
mod play;
mod rows;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

pub(super) use self::copy::{commented, word};
pub(super) use self::play::leap;
pub(super) use self::rows::{moved, open, scroll, scroll_in};
use super::events;
use super::guest;
use super::keys::{self, Action};
use super::layout::Stretch;
use super::marks;
use super::model::{Effect, Model, Pane};
use super::only;
use super::other;
use super::overlay::{Kind, Overlay};
use super::palette::{self, Choice};
use super::prompt::Prompt;
use super::question;
use super::update::toast;

/// The scopes that hold now.
pub(super) fn scopes(model: &Model) -> &'static [keys::Scope] {
    match (&model.overlay, model.leaving) {
        (_, true) => keys::LEAVE,
        _ if model.doomed.is_some() => keys::KILL,
        (Some(_), _) => keys::OVERLAY,
        (None, _) if model.palette.is_some() => keys::PALETTE,
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
        if [keys::INPUT, keys::SAVE, keys::PALETTE].contains(&scopes(model)) {
            character(model, event);
        }
        return Vec::new();
    };
    // The answer to the last key is not the answer to this one.
    model.toast = None;
    let digit = match event.code {
        KeyCode::Char(c) => c.to_digit(10),
        _ => None,
    };
    run(model, action, digit)
}

/// Does what was asked for; `digit`: the tenth, of the action that has one.
fn run(model: &mut Model, action: Action, digit: Option<u32>) -> Vec<Effect> {
    match action {
        Action::Mark => marks::toggle(model),
        Action::Choose => chosen(model),
        Action::Keep => keep(model),
        Action::Apply => apply(model),
        Action::Quit | Action::Interrupt | Action::Yes | Action::No => leave(model, action),
        Action::Copy => copy::copy(model),
        Action::Suspend => suspend(model),
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
                    rows::scroll(model, action);
                }
                Action::Open => rows::open(model),
                Action::Fold | Action::Unfold => rows::fold(model, action == Action::Unfold),
                Action::EndTree => guest::doom(model),
                Action::Close => model.overlay = None,
                Action::Help => model.overlay = Some(Overlay::new(Kind::Help)),
                Action::Questions => model.overlay = Some(Overlay::new(Kind::Questions)),
                Action::Other => model.overlay = Some(Overlay::new(Kind::Other)),
                Action::NextOther => other::jump(model, true),
                Action::PreviousOther => other::jump(model, false),
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
                Action::GoThere => play::go_there(model),
                Action::Palette => palette::open(model),
                Action::Zoom => model.zoomed = !model.zoomed,
                Action::Wider => stretch(model, true, true),
                Action::Narrower => stretch(model, true, false),
                Action::Taller => stretch(model, false, true),
                Action::Lower => stretch(model, false, false),
                Action::Only => only::toggle(model),
                Action::Note => marks::begin_note(model),
                Action::NextMark => marks::jump(model, true),
                Action::PreviousMark => marks::jump(model, false),
                Action::Earlier | Action::Later => choose(model, action == Action::Later),
                Action::Cancel
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
                _ => play::play(model, action, digit),
            }
            Vec::new()
        }
    }
}

/// A key that is text where text is typed.
fn character(model: &mut Model, event: &KeyEvent) {
    let command = KeyModifiers::CONTROL | KeyModifiers::ALT;
    let typed = model.palette.as_mut().map(|palette| &mut palette.typed);
    let line = typed.or(model.asking.line()).or(model.prompt.as_mut());
    if let (KeyCode::Char(c), Some(prompt)) = (event.code, line)
        && !event.modifiers.intersects(command)
    {
        prompt.insert(c, model.setup.rules.names());
        look_up(model);
    }
}

/// Text from the clipboard goes into the line that is typed, or nowhere: it may hold
/// anything, and nothing of it is a key.
pub(super) fn paste(model: &mut Model, text: &str) {
    let typed = model.palette.as_mut().map(|palette| &mut palette.typed);
    let line = typed.or(model.asking.line()).or(model.prompt.as_mut());
    match line {
        Some(prompt) => {
            prompt.paste(text, model.setup.rules.names());
            look_up(model);
        }
        None => toast(model, "nothing is typed here: what was pasted is left out"),
    }
}

/// What the line that is typed may become.
fn look_up(model: &mut Model) {
    let session = model.player.tip();
    if let Some(line) = model.asking.line().or(model.prompt.as_mut()) {
        line.look_up(session);
    }
    palette::find(model);
}

/// Moves in the line that is typed, or changes it.
fn edit(model: &mut Model, action: Action) {
    let names = model.setup.rules.names();
    if let Some(palette) = &mut model.palette {
        match action {
            Action::Cancel => model.palette = None,
            _ => palette.typed.edit(action, names),
        }
    } else if let Some(line) = model.asking.line() {
        line.edit(action, names);
    } else if action == Action::Cancel {
        model.prompt = None;
    } else if let Some(prompt) = &mut model.prompt {
        prompt.edit(action, names);
    }
    look_up(model);
}

/// Uses what was typed: a filter, or a note.
fn apply(model: &mut Model) -> Vec<Effect> {
    let Some(mut prompt) = model.prompt.take() else {
        return Vec::new();
    };
    if let Some(seq) = prompt.noted() {
        return marks::put(model, seq, prompt.text().trim().to_owned());
    }
    // An empty filter is none.
    if prompt.text().trim().is_empty() {
        model.filter = None;
    } else if let Some(condition) = prompt.parse(model.setup.rules.names()) {
        events::apply(model, condition);
        focus(model, Pane::Events);
    } else {
        model.prompt = Some(prompt);
    }
    Vec::new()
}

/// Saves the filter that is typed, if it is one, or removes it.
fn keep(model: &mut Model) -> Vec<Effect> {
    /// Most filters that are saved.
    const MOST: usize = 200;
    let names = model.setup.rules.names();
    let Some(prompt) = model.prompt.as_mut().filter(|line| line.noted().is_none()) else {
        return Vec::new();
    };
    let text = prompt.text().trim().to_owned();
    if text.is_empty() || prompt.parse(names).is_none() {
        return Vec::new();
    }
    let before = model.filters.len();
    model.filters.retain(|known| *known != text);
    if model.filters.len() == before {
        model.filters.push(text);
        let over = model.filters.len().saturating_sub(MOST);
        model.filters.drain(..over);
        toast(model, "filter saved; ↑ finds it again");
    } else {
        toast(model, "filter no longer saved");
    }
    vec![Effect::Filters(model.filters.clone())]
}

/// Another line of the palette, or another saved filter.
fn choose(model: &mut Model, later: bool) {
    if model.palette.is_some() {
        palette::step(model, later);
        return;
    }
    let Some(prompt) = model.prompt.as_mut().filter(|line| line.noted().is_none()) else {
        return;
    };
    let all = &model.filters;
    let at = all.iter().position(|known| known == prompt.text());
    let next = match (at, later) {
        (Some(at), true) => at.checked_add(1),
        (Some(at), false) => at.checked_sub(1),
        (None, true) => None,
        (None, false) => all.len().checked_sub(1),
    };
    if let Some(text) = next.and_then(|at| all.get(at)) {
        *prompt = Prompt::new(text);
    }
}

/// Does what was chosen in the palette.
fn chosen(model: &mut Model) -> Vec<Effect> {
    match palette::choose(model) {
        Some(Choice::Key(action)) => run(model, action, None),
        Some(Choice::Mark(seq)) => {
            marks::go_to(model, seq);
            Vec::new()
        }
        Some(Choice::Filter(at)) => {
            let text = model.filters.get(at).cloned().unwrap_or_default();
            model.prompt = Some(Prompt::new(&text));
            apply(model)
        }
        None => Vec::new(),
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

/// Moves what lies between the pane that has the keys and its neighbour.
fn stretch(model: &mut Model, across: bool, more: bool) {
    let change = Stretch { across, more };
    match model.layout.stretched(model.focus, change) {
        Some((divider, to)) => model.dividers.set(divider, to),
        None => toast(model, "there is no pane beside this one to take room from"),
    }
}

/// Who stands still records nothing: a guest that goes on must stand still first.
fn suspend(model: &mut Model) -> Vec<Effect> {
    if model.is_live() && model.is_open() && !model.player.tip().is_frozen() {
        toast(
            model,
            "the run would go on unrecorded: freeze the guest first (p)",
        );
        return Vec::new();
    }
    vec![Effect::Suspend]
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

pub(super) fn focus(model: &mut Model, pane: Pane) {
    // From output, events and timeline one goes back to where one was before them.
    let aside = [Pane::Timeline, Pane::Output, Pane::Events];
    if !aside.contains(&model.focus) && model.focus != pane {
        model.back = model.focus;
    }
    model.focus = pane;
}
