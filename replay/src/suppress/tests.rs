use super::*;
use crate::rules::RuleSet;

const FILE: &str = "\
suppress:
  - rule: L4-NET-006-NAME
    subject: '*.host.example'
    reason: our own mirror
    until: 2027-01-31
severity:
  - {rule: L3-SUS-004, is: high, reason: nothing of ours downloads, until: 2027-01-31}
";

fn load(text: &str, today: &str) -> Result<Suppressions, SuppressError> {
    Suppressions::load("s.yaml", text, today, &RuleSet::builtin())
}

#[test]
fn a_decision_holds_until_its_last_day() {
    let held = load(FILE, "2027-01-31").unwrap();
    assert!(held.of("L4-NET-006-NAME", "a.host.example").is_some());
    assert!(
        held.of("L4-NET-006-NAME", "host.example.evil.example")
            .is_none()
    );
    assert!(held.of("L4-NET-006", "a.host.example").is_none());
    assert_eq!(held.severity("L3-SUS-004"), Some(Severity::High));
    assert!(!held.silences("L4-NET-006-NAME"));
    let over = load(FILE, "2027-02-01").unwrap();
    assert!(over.of("L4-NET-006-NAME", "a.host.example").is_none());
    assert_eq!(over.severity("L3-SUS-004"), None);
    assert!(over.all().all(|one| one.expired));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (from, to, says) in [
        (
            "rule: L4-NET-006-NAME",
            "rule: L4-NET-006-NAMES",
            "did you mean",
        ),
        ("reason: our own mirror", "reason: ''", "write why"),
        (
            "until: 2027-01-31\nseverity",
            "until: soon\nseverity",
            "like 2027-01-31",
        ),
    ] {
        let error = load(&FILE.replace(from, to), "2026-01-01").unwrap_err();
        assert!(error.message.contains(says), "{error}");
        assert!(error.line > 1, "{error}");
    }
    assert!(
        load(
            "suppress: [{rule: L4-NET-006, until: 2027-01-01}]",
            "2026-01-01"
        )
        .is_err()
    );
}

#[test]
fn globs_mean_what_they_say() {
    for (glob, text, fits) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a*", "ab", true),
        ("*b", "ab", true),
        ("a*c*e", "abcde", true),
        ("a*c*e", "abde", false),
        ("*", "", true),
        ("a*a", "a", false),
    ] {
        assert_eq!(matches(glob, text), fits, "{glob} {text}");
    }
}
