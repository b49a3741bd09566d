//! Every rule fires on its hit cases and on none of its miss cases.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a case that cannot be read must fail loudly"
)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use belljar_replay::rules::{RuleSet, Severity};

fn folders() -> BTreeSet<String> {
    let entries = std::fs::read_dir(support::folder()).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.'))
        .collect()
}

#[test]
fn every_rule_has_cases_and_every_case_a_rule() {
    let ids: BTreeSet<_> = RuleSet::builtin()
        .rules()
        .iter()
        .map(|rule| rule.id.clone())
        .collect();
    assert_eq!(folders(), ids);
    for id in ids {
        let files = std::fs::read_dir(support::folder().join(&id)).unwrap();
        let files: BTreeSet<_> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(
            files,
            BTreeSet::from(["hit.yaml".to_owned(), "miss.yaml".to_owned()]),
            "{id}"
        );
    }
}

#[test]
fn every_rule_has_all_its_texts() {
    for rule in RuleSet::builtin().rules() {
        for (name, text) in [
            ("title", &rule.title),
            ("why", &rule.why),
            ("advice", &rule.advice),
            ("since", &rule.since),
        ] {
            assert!(!text.trim().is_empty(), "{} has no {name}", rule.id);
        }
        assert!(
            !rule.message.source().is_empty(),
            "{} has no message",
            rule.id
        );
        assert!(
            !rule.attack.is_empty(),
            "{} has no ATT&CK technique",
            rule.id
        );
    }
}

#[test]
fn hit_cases_fire_and_miss_cases_do_not() {
    let rules = RuleSet::builtin();
    let mut failures = Vec::new();
    for id in folders() {
        for (file, should_fire) in [("hit.yaml", true), ("miss.yaml", false)] {
            let cases = support::cases(&support::folder().join(&id).join(file));
            assert!(!cases.is_empty(), "{id}/{file} has no case");
            for case in cases {
                let place = format!("{id}/{file}: {}", case.name);
                assert_eq!(
                    case.fires.contains(&id),
                    should_fire,
                    "{place}: `fires` does not fit the file"
                );
                failures.extend(check(&place, &case, &rules));
            }
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// What differs from what the case says.
fn check(place: &str, case: &support::Case, rules: &Arc<RuleSet>) -> Vec<String> {
    let outcome = support::run(case, rules);
    let mut failures = Vec::new();
    if outcome.fired != case.fires {
        failures.push(format!(
            "{place}: fired {:?}, not {:?} ({:?})",
            outcome.fired, case.fires, outcome.messages
        ));
    }
    for message in &case.messages {
        if !outcome.messages.contains(message) {
            failures.push(format!(
                "{place}: no message {message:?} among {:?}",
                outcome.messages
            ));
        }
    }
    failures
}

/// The helper itself must be able to fail.
#[test]
fn a_wrong_case_is_noticed() {
    let rules = RuleSet::builtin();
    let mut cases = support::cases(&support::folder().join("L4-HONEY-001/hit.yaml"));
    let case = cases.first_mut().unwrap();
    assert_eq!(check("right", case, &rules), Vec::<String>::new());
    case.messages.push("nobody said this".into());
    assert_eq!(check("message", case, &rules).len(), 1);
    case.messages.pop();
    case.fires.clear();
    assert_eq!(check("fires", case, &rules).len(), 1);
    case.events.clear();
    assert_eq!(check("nothing", case, &rules).len(), case.messages.len());
}

/// Ordinary use warns of nothing, and leaves no rule undecided.
#[test]
fn ordinary_use_is_quiet() {
    let rules = RuleSet::builtin();
    let cases = folders()
        .into_iter()
        .flat_map(|id| support::cases(&support::folder().join(id).join("miss.yaml")));
    let ordinary: Vec<_> = cases
        .filter(|case| case.name.starts_with("ordinary"))
        .collect();
    assert!(ordinary.len() >= 10, "there are cases of ordinary use");
    for case in ordinary {
        let outcome = support::run(&case, &rules);
        for id in outcome.fired {
            let severity = rules.rule(&id).unwrap().severity;
            assert!(severity < Severity::Medium, "{}: {id}", case.name);
        }
        assert!(outcome.open.is_empty(), "{}: {:?}", case.name, outcome.open);
    }
}
