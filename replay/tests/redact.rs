//! Redacted traces are judged as the originals where rules do not ask for what was hidden.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a trace that cannot be read must fail loudly"
)]

use std::path::Path;

use belljar_recorder::redact::{Finder, Patterns};
use belljar_recorder::{Reader, rewrite};
use belljar_replay::batch::{self, Judged, Sameness};
use belljar_replay::rules::RuleSet;
use belljar_replay::verdict::Verdict;

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/traces");
    std::fs::read(path.join(name)).expect("a recorded trace")
}

fn redact(bytes: &[u8], patterns: Patterns) -> Vec<u8> {
    let mut finder = Finder::new(patterns);
    let reader = Reader::open(bytes).unwrap();
    finder.see_start(reader.start());
    for entry in reader {
        finder.see(entry.unwrap().event());
    }
    let mut redactor = finder.finish().unwrap();
    let reader = Reader::open(bytes).unwrap();
    let mut start = reader.start().clone();
    redactor.start(&mut start);
    let mut sink = Vec::new();
    rewrite(reader, &mut sink, start, "x", &mut |_, event| {
        redactor.event(event);
        true
    })
    .unwrap();
    sink
}

fn judge(bytes: &[u8]) -> Judged {
    batch::judge(bytes, &RuleSet::builtin()).unwrap()
}

fn findings(judged: &Judged) -> Vec<(String, u64, Vec<u64>)> {
    let findings = judged.report.findings.iter();
    findings
        .map(|f| (f.rule.clone(), f.count, f.seqs.clone()))
        .collect()
}

#[test]
fn the_thief_without_its_home_is_still_malicious() {
    let bytes = fixture("npm-credential-thief.bjt");
    let mut patterns = Patterns::default();
    patterns.home();
    let redacted = redact(&bytes, patterns);
    let (before, after) = (judge(&bytes), judge(&redacted));
    assert_eq!(before.report.verdict, Verdict::Malicious);
    assert_eq!(after.report.verdict, Verdict::Malicious);
    assert_eq!(findings(&before), findings(&after));
    assert!(after.policies_agree);
    assert!(after.integrity.is_complete());
    assert_eq!(after.report.ran.redacted, ["preset home"]);
    let verified = batch::verify(|| Ok(&redacted[..]), &RuleSet::builtin(), 2).unwrap();
    assert_eq!(verified.outcome, Sameness::Same);
    let json = String::from_utf8_lossy(&after.report.to_json()).into_owned();
    assert!(json.contains("/home/<redacted-"), "{json}");
}

#[test]
fn ordinary_traces_are_safe_before_and_after() {
    let bytes = fixture("npm-benign.bjt");
    assert_eq!(judge(&bytes).report.verdict, Verdict::Safe);
    let mut patterns = Patterns::default();
    patterns.home();
    patterns.address("0.0.0.0/0").unwrap();
    assert_eq!(
        judge(&redact(&bytes, patterns)).report.verdict,
        Verdict::Safe
    );
}
