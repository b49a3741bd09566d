//! The screen's tests: a made-up run through the real writer, session and rules.

mod depth;
mod driver;
mod events;
mod frames;
mod golden;
mod guest;
mod keys;
mod player;
mod question;
mod random;
mod rules;
mod speed;
pub(crate) mod story;
mod terminal;
mod text;
mod theme;
mod update;

use belljar_recorder::{Entry, Integrity};
use belljar_replay::rules::RuleSet;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::{Effect, Mode, Model, Msg, Setup};
use super::theme::Theme;
use super::update::update;

pub(crate) fn model(mode: Mode, theme: &str) -> Model {
    let theme = Theme::named(theme).unwrap();
    Model::new(Setup::new(mode, story::start(), RuleSet::builtin(), theme))
}

/// A live run up to here, with a tick so that the panes know.
pub(super) fn live(entries: Vec<Entry>) -> Model {
    let mut model = model(Mode::Live, "dark");
    feed(&mut model, entries);
    model
}

/// A whole trace, standing at its end.
pub(super) fn replay() -> Model {
    let (entries, done) = story::theft();
    let mut model = model(Mode::Replay, "dark");
    feed(&mut model, entries);
    update(
        &mut model,
        Msg::SourceEnded(Integrity::Complete {
            receipt: done.receipt,
        }),
    );
    press(&mut model, &[KeyCode::End]);
    model
}

pub(super) fn feed(model: &mut Model, entries: Vec<Entry>) {
    update(model, Msg::Entries(entries));
    update(model, Msg::Tick { elapsed: 1 });
}

pub(super) fn press(model: &mut Model, codes: &[KeyCode]) -> Vec<Effect> {
    let key = |code: &KeyCode| Msg::Key(KeyEvent::new(*code, KeyModifiers::NONE));
    codes
        .iter()
        .flat_map(|code| update(model, key(code)))
        .collect()
}

/// Characters as they are typed.
pub(super) fn typed(model: &mut Model, text: &str) -> Vec<Effect> {
    text.chars()
        .flat_map(|c| press(model, &[KeyCode::Char(c)]))
        .collect()
}

pub(super) fn ctrl(model: &mut Model, c: char) -> Vec<Effect> {
    update(
        model,
        Msg::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL)),
    )
}
