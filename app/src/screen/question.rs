//! A question of the policy: which one is shown, and what a key answers.
//!
//! Owns: the question in its pane, the guard against keys that were meant for
//! something else, and the steps of an answer.
//! Must not: know a key, draw, or decide anything by itself. All guest text in
//! [`Shown`] is escaped.
//!
//! No answer is given by a key that was typed before the question was on the
//! screen: until nothing of the kind came for a while, answers are thrown away.

mod shown;

use std::sync::Arc;

use belljar_event::{Action as Verb, Fact, Scope, Who};
use belljar_recorder::Entry;
use belljar_replay::escape::is_plain;
use belljar_replay::policy::Policy;

pub(super) use self::shown::Shown;
use self::shown::{of_run, of_trace};
use super::keys::{self, Action};
use super::model::{Effect, Model};
use super::player::SECOND;
use super::prompt::Prompt;
use super::text::safe_str;
use super::update::toast;

/// How long a question stands on the screen before a key can answer it.
pub(super) const GUARD: u64 = 300_000_000;

/// How far an answer has come.
#[derive(Clone, Debug, Default)]
pub(super) enum Step {
    /// Nothing was chosen.
    #[default]
    Choose,
    /// Allow or deny: for the tree, or for the run?
    Reach(Verb),
    /// End the tree?
    Kill,
    /// The line as it would be saved.
    Save(Prompt),
}

/// How long keys are still thrown away.
#[derive(Clone, Copy, Debug)]
struct Guard {
    left: u64,
    /// No tick since: the first one also counts time from before.
    fresh: bool,
}

const FULL: Guard = Guard {
    left: GUARD,
    fresh: true,
};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) shown: Option<Shown>,
    pub(super) step: Step,
    guard: Guard,
    /// Time without a key, where what is asked is denied after a while.
    silence: u64,
    policy: Option<Arc<Policy>>,
}

impl Default for Asking {
    fn default() -> Self {
        Self {
            shown: None,
            step: Step::Choose,
            guard: FULL,
            silence: 0,
            policy: None,
        }
    }
}

impl Asking {
    /// Remembers the policy in force, for the reasons of its lines.
    pub(super) fn learn(&mut self, entries: &[Entry]) {
        let newest = entries
            .iter()
            .rev()
            .find_map(|entry| match &entry.event().fact {
                Fact::Policy(policy) => Some(policy),
                _ => None,
            });
        if let Some(policy) = newest
            && let Ok(policy) = Policy::parse("recorded", &policy.source)
        {
            self.policy = Some(Arc::new(policy));
        }
    }

    /// True while a key would be too early.
    pub(super) fn is_early(&self) -> bool {
        self.guard.left > 0
    }

    /// The policy line that is edited.
    pub(super) fn typed(&self) -> Option<&Prompt> {
        match &self.step {
            Step::Save(line) => Some(line),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub(super) fn line(&mut self) -> Option<&mut Prompt> {
        match &mut self.step {
            Step::Save(line) => Some(line),
            _ => None,
        }
    }
}

/// True if the keys of a question answer it.
pub(super) fn answers_here(model: &Model) -> bool {
    is_free(model) && matches!(model.asking.step, Step::Choose) && waiting(model).is_some()
}

/// The scopes of a step, which take every key until they are left.
pub(super) fn scopes(model: &Model) -> Option<&'static [keys::Scope]> {
    match model.asking.step {
        Step::Choose => None,
        Step::Reach(_) => Some(keys::REACH),
        Step::Kill => Some(keys::KILL),
        Step::Save(_) => Some(keys::SAVE),
    }
}

/// Nothing else has the keys. While something has, the question waits.
fn is_free(model: &Model) -> bool {
    let typed = model.prompt.is_some() || model.palette.is_some();
    model.overlay.is_none() && !typed && model.doomed.is_none() && !model.leaving
}

fn waiting(model: &Model) -> Option<&Shown> {
    model.asking.shown.as_ref().filter(|shown| shown.waits)
}

/// Looks again which question stands in the pane.
pub(super) fn refresh(model: &mut Model) {
    let live = model.is_live() && model.is_open();
    let before = model.asking.shown.take();
    let shown = match live {
        true => of_run(model, before.as_ref()),
        false => of_trace(model),
    };
    let hold = |shown: &Option<Shown>| shown.as_ref().map(|shown| (shown.row.hold, shown.waits));
    if hold(&before) != hold(&shown) {
        // A key that was meant for one question must not answer another.
        model.asking.guard = FULL;
        if !matches!(model.asking.step, Step::Save(_)) || shown.is_none() {
            model.asking.step = Step::Choose;
        }
        if live && let Some(before) = before.as_ref().filter(|before| before.waits) {
            farewell(model, before);
        }
    }
    model.asking.shown = shown;
}

/// Says it if the question that was shown ended by itself.
fn farewell(model: &mut Model, before: &Shown) {
    let who = {
        let mut rows = model.player.tip().questions().rev();
        let row = rows.find(|row| row.hold == before.row.hold);
        row.and_then(|row| row.answer.as_ref()).map(|row| row.who)
    };
    let text = match who {
        Some(Who::Gone) => "gone: it ended before there was an answer",
        Some(Who::Timer) => "denied: no answer in time",
        _ => return,
    };
    toast(model, format!("✗ {text} · {}", before.program));
}

/// Whatever else had the keys in between: it takes a new pause.
pub(super) fn hold_back(model: &mut Model) {
    if !is_free(model) {
        model.asking.guard = FULL;
    }
}

/// A key was pressed: whoever waits for one is told.
pub(super) fn heard(model: &mut Model) -> Option<Effect> {
    model.asking.silence = 0;
    let waits = model.setup.patience.is_some() && waiting(model).is_some();
    waits.then_some(Effect::Here)
}

/// Seconds until what is asked is denied, unless a key is pressed.
pub(super) fn left(model: &Model) -> Option<u64> {
    let patience = model.setup.patience?;
    waiting(model)?;
    Some(
        patience
            .saturating_sub(model.asking.silence)
            .div_ceil(SECOND),
    )
}

/// Counts down until a key may answer, and until none can any more; true if that
/// changes the picture.
pub(super) fn tick(model: &mut Model, elapsed: u64) -> bool {
    let before = left(model);
    model.asking.silence = match before {
        Some(_) => model.asking.silence.saturating_add(elapsed),
        None => 0,
    };
    let changed = left(model) != before;
    guarded(model, elapsed) || changed
}

/// True if keys begin to count, or cease to.
fn guarded(model: &mut Model, elapsed: u64) -> bool {
    if model.asking.shown.is_none() {
        return false;
    }
    if !is_free(model) {
        let changed = !model.asking.is_early();
        model.asking.guard = FULL;
        return changed;
    }
    let guard = &mut model.asking.guard;
    if guard.fresh {
        guard.fresh = false;
        return false;
    }
    let before = guard.left;
    guard.left = before.saturating_sub(elapsed);
    before > 0 && guard.left == 0
}

/// What a key of a question does.
pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    if action == Action::NotYet {
        model.asking.step = Step::Choose;
        // What was typed into a line goes on to no question.
        model.asking.guard = FULL;
        return Vec::new();
    }
    let Some(shown) = waiting(model).cloned() else {
        if matches!(model.asking.step, Step::Save(_)) {
            toast(model, "it no longer waits: nothing was saved");
        }
        model.asking.step = Step::Choose;
        return Vec::new();
    };
    if matches!(model.asking.step, Step::Choose) && model.asking.is_early() {
        // Held down, or typed for something else: it takes a pause to be an answer.
        model.asking.guard = FULL;
        return Vec::new();
    }
    let step = std::mem::take(&mut model.asking.step);
    match (step, action) {
        (_, Action::AllowOnce) => send(model, &shown, Verb::Allow, Scope::Once),
        (_, Action::DenyOnce) => send(model, &shown, Verb::Deny, Scope::Once),
        (Step::Reach(verb), Action::ForTree) => send(model, &shown, verb, Scope::Tree(shown.root)),
        (Step::Reach(verb), Action::ForRun) => send(model, &shown, verb, Scope::Run),
        (Step::Kill, Action::KillNow) => send(model, &shown, Verb::Kill, Scope::Once),
        (Step::Save(line), Action::SaveLine) => save(model, &shown, line),
        (_, Action::SaveAllow) => edit(model, &shown, "allow"),
        (_, Action::SaveDeny) => edit(model, &shown, "deny"),
        (_, chosen) => {
            model.asking.step = match chosen {
                Action::AllowMore => Step::Reach(Verb::Allow),
                Action::DenyMore => Step::Reach(Verb::Deny),
                Action::KillTree => Step::Kill,
                _ => Step::Choose,
            };
            Vec::new()
        }
    }
}

fn send(model: &mut Model, shown: &Shown, action: Verb, scope: Scope) -> Vec<Effect> {
    // The same key again must not answer what comes next.
    model.asking.guard = FULL;
    let hold = shown.row.hold;
    vec![Effect::Answer {
        hold,
        action,
        scope,
    }]
}

/// Shows the line. Where it would not say exactly this, there is none.
fn edit(model: &mut Model, shown: &Shown, verb: &str) -> Vec<Effect> {
    let condition = &shown.row.condition;
    let exact = condition.contains(" and ");
    let readable = |c: char| (is_plain(c) || c == '\\') && c != char::REPLACEMENT_CHARACTER;
    if !exact || !condition.chars().all(readable) {
        toast(
            model,
            "no line says exactly this: its name cannot be read or written down",
        );
        return Vec::new();
    }
    model.asking.step = Step::Save(Prompt::policy_line(&format!("{verb} {condition}")));
    Vec::new()
}

fn save(model: &mut Model, shown: &Shown, mut line: Prompt) -> Vec<Effect> {
    let Some(verb) = line.parse_line(model.setup.rules.names()) else {
        model.asking.step = Step::Save(line);
        return Vec::new();
    };
    let text = line.text().trim().to_owned();
    let id = format!("saved:{}", shown.row.hold);
    if let Some(policy) = &model.asking.policy
        && let Err(error) = policy.with_line(&id, &text)
    {
        toast(model, safe_str(&error.to_string()));
        model.asking.step = Step::Save(line);
        return Vec::new();
    }
    send(model, shown, verb, Scope::Saved(text))
}

/// The rows that the pane would like to have.
pub(super) fn height(model: &Model, columns: u16) -> u16 {
    let rows = super::view::question_rows(model, columns);
    u16::try_from(rows).unwrap_or(u16::MAX)
}
