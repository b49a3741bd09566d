//! What a person has decided, and what baselines say, as they reach the report.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up must fail loudly"
)]

use std::path::Path;
use std::sync::Arc;

use belljar_recorder::Reader;
use belljar_replay::baseline::{Baselines, Learner};
use belljar_replay::batch::{self, Judged, Sameness};
use belljar_replay::rules::{RuleSet, Severity};
use belljar_replay::suppress::Suppressions;
use belljar_replay::verdict::Verdict;

fn trace(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/traces");
    std::fs::read(folder.join(name)).unwrap()
}

fn decided(text: &str, today: &str) -> Arc<RuleSet> {
    let rules = RuleSet::builtin();
    let suppressions = Suppressions::load("s.yaml", text, today, &rules).unwrap();
    Arc::new(RuleSet::clone(&rules).with_suppressions(suppressions))
}

fn judge(name: &str, rules: &Arc<RuleSet>) -> Judged {
    batch::judge(trace(name).as_slice(), rules).unwrap()
}

const THIEF: &str = "npm-credential-thief.bjt";
const BENIGN: &str = "npm-benign.bjt";

/// Every rule that weighs for the thief, suppressed until a day.
fn all_of(name: &str) -> String {
    let judged = judge(name, &RuleSet::builtin());
    let mut ids: Vec<_> = judged
        .report
        .findings
        .iter()
        .map(|one| one.rule.clone())
        .collect();
    ids.sort();
    ids.dedup();
    let line = |id: &String| format!("  - {{rule: {id}, reason: known, until: 2027-01-31}}\n");
    format!("suppress:\n{}", ids.iter().map(line).collect::<String>())
}

#[test]
fn what_is_suppressed_does_not_weigh_and_is_shown() {
    let text = all_of(THIEF);
    let judged = judge(THIEF, &decided(&text, "2026-12-01"));
    assert_eq!(
        judged.report.verdict,
        Verdict::Safe,
        "{:?}",
        judged.report.reasons
    );
    assert!(
        judged
            .report
            .findings
            .iter()
            .all(|one| one.suppressed.is_some())
    );
    let page = judged.report.to_table(100);
    assert!(
        page.contains("Suppressed: found, and not weighed"),
        "{page}"
    );
    assert!(page.contains("until 2027-01-31: known"), "{page}");
    assert!(judged.report.receipt.suppressions.is_some());
    let over = judge(THIEF, &decided(&text, "2027-02-01"));
    assert_eq!(over.report.verdict, Verdict::Malicious);
    assert!(over.report.to_table(100).contains("expired on 2027-01-31"));
}

#[test]
fn one_subject_is_suppressed_and_the_others_weigh() {
    let text = "suppress: [{rule: L4-NET-006-NAME, subject: '*.left-padded.example', reason: ours, until: 2027-01-31}]";
    let judged = judge(THIEF, &decided(text, "2026-12-01"));
    assert_eq!(judged.report.verdict, Verdict::Malicious);
    let suppressed: Vec<_> = judged
        .report
        .findings
        .iter()
        .filter(|one| one.suppressed.is_some())
        .collect();
    assert!(!suppressed.is_empty());
    assert!(suppressed.iter().all(|one| one.rule == "L4-NET-006-NAME"));
    let unused = "suppress: [{rule: L4-NET-007, reason: ours, until: 2027-01-31}]";
    let page = judge(THIEF, &decided(unused, "2026-12-01"))
        .report
        .to_table(100);
    assert!(page.contains("nothing like it was found"), "{page}");
}

#[test]
fn a_severity_is_changed_and_said() {
    let text = "severity: [{rule: L4-TIME-001, is: low, reason: x, until: 2027-01-31}, {rule: L4-NET-006, is: critical, reason: never here, until: 2027-01-31}]";
    let rules = decided(text, "2026-12-01");
    assert_eq!(
        rules.rule("L4-NET-006").unwrap().severity,
        Severity::Critical
    );
    let judged = judge(THIEF, &rules);
    let found = judged
        .report
        .findings
        .iter()
        .find(|one| one.rule == "L4-NET-006");
    assert_eq!(found.unwrap().severity, Severity::Critical);
    assert!(
        judged
            .report
            .to_table(100)
            .contains("critical instead of high until 2027-01-31 (never here)")
    );
}

fn learned(names: &[&str]) -> (String, Arc<RuleSet>) {
    let mut learner = Learner::new();
    for name in names {
        learner.next_trace();
        for entry in Reader::open(trace(name).as_slice()).unwrap() {
            learner.push(&entry.unwrap());
        }
    }
    let text = learner.to_yaml();
    let baselines = Baselines::load("learned.yaml", &text).unwrap();
    (
        text,
        Arc::new(RuleSet::clone(&RuleSet::builtin()).with_baselines(baselines)),
    )
}

#[test]
fn a_learned_baseline_fits_what_it_was_learned_from() {
    let (text, rules) = learned(&[BENIGN]);
    assert_eq!(text, learned(&[BENIGN]).0, "learning is deterministic");
    let judged = judge(BENIGN, &rules);
    assert_eq!(
        judged.report.verdict,
        Verdict::Safe,
        "{text}\n{:?}",
        judged.report.baselines
    );
    assert!(
        judged
            .report
            .baselines
            .iter()
            .all(|one| one.drift == 0 && one.learned)
    );
    assert!(!judged.report.baselines.is_empty());
    assert!(judged.report.receipt.baselines.is_some());
}

#[test]
fn another_version_leaves_it_and_the_report_says_where() {
    let (_, rules) = learned(&[BENIGN]);
    let judged = judge(THIEF, &rules);
    let held = judged.report.baselines.first().unwrap();
    assert!(held.drift >= 400, "{held:?}");
    let names = held
        .dimensions
        .iter()
        .find(|row| row.dimension == "names")
        .unwrap();
    assert!(
        names
            .examples
            .iter()
            .any(|name| name == "telemetry.left-padded.example"),
        "{names:?}"
    );
    assert!(!names.events.is_empty());
    assert!(
        judged
            .report
            .findings
            .iter()
            .any(|one| one.rule == "L4-BASE-004")
    );
    let page = judged.report.to_table(100);
    assert!(page.contains("Against the baseline"), "{page}");
    assert!(page.contains("telemetry.left-padded.example"));
}

#[test]
fn the_judgement_is_the_same_whichever_way_it_is_made() {
    let (_, rules) = learned(&[BENIGN]);
    let bytes = trace(THIEF);
    let verified = batch::verify(|| Ok(bytes.as_slice()), &rules, 2).unwrap();
    assert_eq!(verified.outcome, Sameness::Same);
}
