//! The key table: everything reachable, nothing doubled.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::screen::keys::{
    Action, DIFF, INPUT, KEYS, KILL, LEAVE, OVERLAY, PALETTE, Press, QUESTION, REACH, SAVE, Scope,
    find, in_scopes, pane_scopes,
};
use crate::screen::model::Pane;

fn stacks() -> Vec<&'static [Scope]> {
    Pane::ALL
        .iter()
        .map(|pane| pane_scopes(*pane))
        .chain([
            OVERLAY, LEAVE, INPUT, QUESTION, REACH, KILL, SAVE, PALETTE, DIFF,
        ])
        .collect()
}

/// Every event that a press stands for.
fn events(press: Press) -> Vec<KeyEvent> {
    let plain = |code| KeyEvent::new(code, KeyModifiers::NONE);
    match press {
        Press::Char(c) => vec![plain(KeyCode::Char(c))],
        Press::Ctrl(c) => vec![KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL)],
        Press::Named(code) => vec![plain(code)],
        Press::Digit => ('0'..='9').map(|c| plain(KeyCode::Char(c))).collect(),
    }
}

#[test]
fn no_key_is_doubled_where_it_holds() {
    for stack in stacks() {
        let mut seen: Vec<KeyEvent> = Vec::new();
        for binding in in_scopes(stack) {
            for event in binding.presses.iter().flat_map(|press| events(*press)) {
                assert!(!seen.contains(&event), "{event:?} is doubled in {stack:?}");
                seen.push(event);
            }
        }
    }
}

#[test]
fn every_action_is_reachable_by_every_key_of_its_row() {
    let mut reached: Vec<Action> = Vec::new();
    for stack in stacks() {
        for binding in in_scopes(stack) {
            for event in binding.presses.iter().flat_map(|press| events(*press)) {
                assert_eq!(
                    find(stack, &event),
                    Some(binding.action),
                    "{event:?} in {stack:?}"
                );
                reached.push(binding.action);
            }
        }
    }
    for action in Action::ALL {
        assert!(reached.contains(action), "{action:?} has no key");
    }
}

/// A key that means something else elsewhere must not answer by accident.
#[test]
fn only_the_kill_key_hides_another_and_it_asks_once_more() {
    let mut hidden = Vec::new();
    for binding in in_scopes(QUESTION) {
        for event in binding.presses.iter().flat_map(|press| events(*press)) {
            if stacks()
                .iter()
                .filter(|stack| **stack != QUESTION)
                .any(|stack| find(stack, &event).is_some())
            {
                hidden.push(binding.action);
            }
        }
    }
    assert_eq!(hidden, [Action::KillTree]);
    let enter = KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE);
    for stack in [QUESTION, REACH, KILL] {
        assert_eq!(find(stack, &enter), None);
    }
}

#[test]
fn every_row_has_a_key_and_a_help_text() {
    for binding in KEYS {
        assert!(
            !binding.presses.is_empty() && !binding.help.is_empty(),
            "{binding:?}"
        );
    }
}

#[test]
fn modifiers_are_not_ignored() {
    let alt = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::ALT);
    assert_eq!(find(pane_scopes(Pane::Files), &alt), None);
    let ctrl = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::CONTROL);
    assert_eq!(find(pane_scopes(Pane::Files), &ctrl), None);
}
