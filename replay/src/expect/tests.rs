use super::*;
use crate::batch;

const THIEF: &[u8] = include_bytes!("../../../fixtures/traces/npm-credential-thief.bjt");

fn load(text: &str) -> Result<Expectations, RuleErrors> {
    Expectations::load("e.yaml", text, &RuleSet::builtin())
}

fn wrong(text: &str) -> String {
    load(text).unwrap_err().to_string()
}

fn held(text: &str) -> Vec<Held> {
    let report = batch::judge(THIEF, &RuleSet::builtin()).unwrap().report;
    let expectations = load(text).unwrap();
    expectations
        .of("a/thief.bjt")
        .flat_map(|one| one.check(&report))
        .collect()
}

#[test]
fn numbers_hold_or_do_not() {
    let text = "\
expect:
  - trace: a/*.bjt
    verdict: MALICIOUS
    rules:
      - {rule: L4-HONEY-001, exactly: 6}
      - {rule: L4-HONEY-001, exactly: 5}
      - {rule: L4-HONEY-003, at_least: 1}
      - {rule: L4-HONEY-003, at_least: 2}
      - {rule: L4-CRYPTO-001, at_most: 0}
      - {rule: L4-NET-006, at_least: 1, at_most: 2}
    others: {at_most: 1}
  - trace: b/*.bjt
    verdict: SAFE
";
    let held = held(text);
    let told: Vec<_> = held
        .iter()
        .map(|one| (one.expected.as_str(), one.held, one.at.line))
        .collect();
    assert_eq!(
        told,
        [
            ("verdict MALICIOUS", true, 3),
            ("L4-HONEY-001 exactly 6", true, 5),
            ("L4-HONEY-001 exactly 5", false, 6),
            ("L4-HONEY-003 at least 1", true, 7),
            ("L4-HONEY-003 at least 2", false, 8),
            ("L4-CRYPTO-001 at most 0", true, 9),
            ("L4-NET-006 1 to 2", true, 10),
            ("other rules at most 1", false, 11),
        ]
    );
    assert_eq!(held[2].found, "6");
    assert!(held[7].found.contains("L4-EXFIL-005"), "{}", held[7].found);
}

#[test]
fn several_verdicts_will_do_and_a_wrong_one_has_its_reasons() {
    let held = held(
        "expect:\n  - {trace: a/thief.bjt, verdict: [WARNING, MALICIOUS]}\n  - {trace: '**', verdict: SAFE}\n",
    );
    assert!(held[0].held && held[0].expected == "verdict WARNING or MALICIOUS");
    assert!(
        !held[1].held && held[1].found.starts_with("MALICIOUS: L4-"),
        "{}",
        held[1].found
    );
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_the_nearest() {
    let said =
        wrong("expect:\n  - trace: a.bjt\n    rules:\n      - {rule: L4-HONEY-01, exactly: 1}\n");
    assert!(
        said.starts_with("e.yaml:4:16: there is no rule \"L4-HONEY-01\"; did you mean L4-HONEY-0"),
        "{said}"
    );
    for (text, part) in [
        ("expect: []\n", "entries below `expect`"),
        ("expect:\n  - {trace: a.bjt}\n", "2:13: expect something"),
        (
            "expect:\n  - {trace: '[', verdict: SAFE}\n",
            "no path and no glob",
        ),
        (
            "expect:\n  - {trace: a, verdict: safe}\n",
            "\"safe\" is no verdict",
        ),
        (
            "expect:\n  - {trace: a, rules: [{rule: L4-HONEY-001}]}\n",
            "say how many",
        ),
        (
            "expect:\n  - {trace: a, rules: [{rule: L4-HONEY-001, exactly: 1, at_most: 2}]}\n",
            "say how many",
        ),
        (
            "expect:\n  - {trace: a, rules: [{rule: L4-HONEY-001, at_least: 3, at_most: 2}]}\n",
            "say how many",
        ),
        ("expect:\n  - {trace: a, others: {}}\n", "say how many"),
        ("expect:\n  - {trace: a, verdikt: SAFE}\n", "verdikt"),
        ("- a\n", "e.yaml:1:"),
    ] {
        let said = wrong(text);
        assert!(said.contains(part), "{text}: {said}");
    }
    // Everything at once.
    let said = wrong("expect:\n  - {trace: a, verdict: X, others: {}}\n  - {trace: b}\n");
    assert_eq!(said.lines().count(), 3, "{said}");
}

#[test]
fn what_fits_no_trace_is_named_with_what_was_meant() {
    let text = "expect:\n  - {trace: npm/a.bjt, verdict: SAFE}\n  - {trace: npm/bb.bjt, verdict: SAFE}\n  - {trace: 'pip/*', verdict: SAFE}\n  - {trace: x.bjt, verdict: SAFE}\n";
    let paths = ["npm/a.bjt", "npm/bc.bjt", "deep/er/x.bjt"].map(str::to_owned);
    let expectations = load(text).unwrap();
    let lost: Vec<_> = expectations
        .unmatched(&paths)
        .into_iter()
        .map(|(one, near)| (one.trace.as_str(), one.at.line, near))
        .collect();
    assert_eq!(
        lost,
        [
            ("npm/bb.bjt", 3, Some("npm/bc.bjt")),
            ("pip/*", 4, None),
            ("x.bjt", 5, Some("deep/er/x.bjt"))
        ]
    );
    // A star stays within a folder.
    assert_eq!(
        load("expect:\n  - {trace: '*.bjt', verdict: SAFE}\n")
            .unwrap()
            .of("a/b.bjt")
            .count(),
        0
    );
}
