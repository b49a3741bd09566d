//! The rules in force while their files are watched.
//!
//! Owns: what is said of them, and judging again once they changed.
//! Must not: read a file; whoever owns the screen does, and says what came of it.

use std::sync::Arc;

use belljar_replay::rules::RuleSet;
use belljar_replay::session::Session;

use super::events;
use super::model::Model;
use super::player::SECOND;
use super::text::safe_str;
use super::update::{refresh, toast};
use super::verdict;

/// What became of rule files that were changed.
#[derive(Clone, Debug)]
pub(crate) enum Reload {
    /// They load.
    Good(Arc<RuleSet>),
    /// They do not: where, and why.
    Bad(String),
}

/// What is known of rules whose files are watched.
#[derive(Clone, Debug, Default)]
pub(super) struct Watched {
    /// Nanoseconds since they were put in force; `None`: as at the start.
    pub(super) since: Option<u64>,
    /// What is wrong with the files as they are now.
    pub(super) error: Option<String>,
    /// In force as soon as everything is folded by them.
    next: Option<Arc<RuleSet>>,
}

impl Watched {
    /// `as at the start`, `reloaded 12 s ago`.
    pub(super) fn age(&self) -> String {
        match self.since.map(|since| since / SECOND) {
            None => "as at the start".to_owned(),
            Some(seconds @ 0..60) => format!("reloaded {seconds} s ago"),
            Some(seconds) => format!("reloaded {} min ago", seconds / 60),
        }
    }
}

/// Files were changed.
pub(super) fn reloaded(model: &mut Model, reload: Reload) {
    let Some(watched) = &mut model.watched else {
        return;
    };
    match reload {
        Reload::Bad(why) => watched.error = Some(safe_str(&why)),
        Reload::Good(rules) => {
            watched.error = None;
            watched.next = Some(Arc::clone(&rules));
            let empty = Session::new(rules).with_start(&model.setup.start);
            model.player.rejudge(empty);
        }
    }
    model.revision += 1;
}

/// Judges on; true if anything that is shown changed.
pub(super) fn tick(model: &mut Model, elapsed: u64) -> bool {
    let Some(watched) = &mut model.watched else {
        return false;
    };
    let before = watched.age();
    watched.since = watched.since.map(|since| since.saturating_add(elapsed));
    let changed = watched.age() != before || model.player.rejudged().is_some();
    go_on(model);
    changed
}

/// Judges one piece more.
pub(super) fn go_on(model: &mut Model) {
    if model.player.rejudge_on() {
        in_force(model);
    }
}

/// Everything is folded by the new rules.
fn in_force(model: &mut Model) {
    let Some(watched) = &mut model.watched else {
        return;
    };
    watched.since = Some(0);
    if let Some(rules) = watched.next.take() {
        model.setup.rules = rules;
    }
    // Its condition means what it meant, but has to be asked of other sessions.
    if let Some(filter) = model.filter.take() {
        events::apply(model, filter.into_condition());
    }
    let before = model.facts.verdict;
    refresh(model);
    let after = model.facts.verdict;
    let words = |verdict| verdict::standing(verdict, model.facts.over).word;
    let text = match before == after {
        true => format!("rules reloaded; still {}", words(after)),
        false => format!("rules reloaded: {} → {}", words(before), words(after)),
    };
    toast(model, text);
}
