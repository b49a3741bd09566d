//! A report of a recorded run breaks no rule; each rule has a way to be broken.

use belljar_recorder::Reader;

use super::*;
use crate::batch;
use crate::rules::RuleSet;

fn report() -> Report {
    let bytes = include_bytes!("../../../../fixtures/traces/npm-credential-thief.bjt");
    let reader = Reader::open(&bytes[..]).unwrap();
    batch::judge_reader(reader, &RuleSet::builtin())
        .unwrap()
        .report
}

/// Breaks a report.
type Break = fn(&mut Report);

/// For each rule in its order something that breaks it.
const BREAKS: &[Break] = &[
    |report| report.verdict = Verdict::Warning,
    |report| report.reasons.reverse(),
    |report| report.reasons[0].findings.push(99),
    |report| report.findings.swap(0, 1),
    |report| report.findings[0].seqs = vec![7, 7],
    |report| {
        let row = crate::report::AllowedDestination {
            destination: "b.example:1".into(),
            direct: false,
            flows: 1,
            open: 0,
            unreached: 0,
            sent: 0,
            received: 0,
            by: Vec::new(),
            programs: Vec::new(),
        };
        let first = crate::report::AllowedDestination {
            destination: "a.example:1".into(),
            ..row.clone()
        };
        report.allowed = vec![row, first];
    },
    |report| {
        report.verdict = Verdict::Safe;
        report.reasons.clear();
    },
    |report| report.ran.label = "\u{1b}[2J".into(),
];

#[test]
fn each_rule_is_broken_by_something() {
    let good = report();
    assert!(
        good.contradictions().is_empty(),
        "{:?}",
        good.contradictions()
    );
    for (breaks, (what, _)) in BREAKS.iter().zip(RULES) {
        let mut bad = good.clone();
        breaks(&mut bad);
        assert!(bad.contradictions().contains(what), "{what}");
        let guarded = bad.guarded();
        assert_ne!(guarded.verdict, Verdict::Safe);
        assert!(
            guarded
                .reasons
                .iter()
                .any(|reason| reason.text.contains(what))
        );
    }
    // The last one needs a report that this version would not write.
    assert_eq!(BREAKS.len() + 1, RULES.len());
}
