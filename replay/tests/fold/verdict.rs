//! What weighs, and what keeps a run from being SAFE.

use belljar_event::*;
use belljar_recorder::Integrity;
use belljar_replay::report::Report;
use belljar_replay::verdict::Verdict;

use crate::tape::{Tape, benign, open, thief};

fn incomplete(report: &Report) -> Vec<&str> {
    report
        .reasons
        .iter()
        .filter_map(|reason| reason.text.strip_prefix("incomplete: "))
        .collect()
}

#[test]
fn an_ordinary_install_is_safe() {
    let report = benign().report();
    assert_eq!(report.verdict, Verdict::Safe, "{:?}", report.reasons);
    assert!(report.reasons.is_empty() && report.findings.is_empty());
    assert_eq!(
        report.sensitive.len(),
        1,
        "npm's own .npmrc is listed all the same"
    );
}

#[test]
fn the_payloads_own_exit_code_weighs_nothing() {
    let mut tape = benign();
    tape.at += 1;
    let report = tape
        .record_with(Some(End::Finished(Status::Code(1))), 4096)
        .report();
    assert_eq!(report.verdict, Verdict::Safe);
    assert_eq!(report.ran.end.as_deref(), Some("finished, exit 1"));
}

#[test]
fn the_thief_is_malicious_by_name() {
    let report = thief().report();
    assert_eq!(report.verdict, Verdict::Malicious);
    let first = &report.reasons[0];
    assert_eq!(first.weighs, Verdict::Malicious);
    let finding = &report.findings[first.findings[0] as usize - 1];
    assert_eq!(finding.rule, "L4-HONEY-001");
    assert_eq!(finding.lineage[0], "node postinstall.js");
    assert!(
        finding.events[0]
            .summary
            .contains("/home/dev/.ssh/id_ed25519")
    );
    let refused = report
        .refused
        .iter()
        .find(|row| row.destination == "198.51.100.7:443")
        .unwrap();
    assert_eq!(refused.attempts, 2);
    assert_eq!(refused.who[0][0], "node postinstall.js");
}

#[test]
fn refused_egress_alone_is_a_warning() {
    let mut tape = benign();
    tape.connect_refused(100, "198.51.100.7:443");
    let report = tape.report();
    assert_eq!(report.verdict, Verdict::Warning);
    assert!(
        report
            .findings
            .iter()
            .all(|finding| finding.rule == "L4-NET-006")
    );
}

#[test]
fn every_gap_keeps_a_run_from_safe() {
    type Spoil = fn(&mut Tape);
    let gaps: &[(&str, Spoil)] = &[
        ("events were lost", |tape| {
            tape.host(Lost {
                count: 3,
                place: "ring buffer".into(),
            });
        }),
        ("events were lost", |tape| {
            tape.host(Lost {
                count: 0,
                place: "channel".into(),
            });
        }),
        ("self-test of the enforcement failed", |tape| {
            tape.host(Armed {
                kernel: "k".into(),
                checks: vec![Check {
                    name: "x".into(),
                    held: false,
                }],
            });
        }),
        ("self-test of the enforcement failed", |tape| {
            tape.host(Armed {
                kernel: "k".into(),
                checks: vec![],
            });
        }),
        ("the enforcement was never proved", |tape| {
            tape.events
                .retain(|event| !matches!(event.fact, Fact::Armed(_)));
        }),
        ("the limit of time was reached: 5 s", |tape| {
            tape.host(LimitReached {
                what: "time".into(),
                limit: 5,
                unit: "s".into(),
            });
        }),
        ("events follow the end", |tape| {
            tape.host(Ended {
                how: End::Finished(Status::Code(0)),
            })
            .read(100, "/tmp/late");
        }),
    ];
    for (words, spoil) in gaps {
        let mut tape = benign();
        spoil(&mut tape);
        let report = tape.report();
        assert_eq!(report.verdict, Verdict::Warning, "{words}");
        assert!(
            incomplete(&report).iter().any(|what| what.contains(words)),
            "{words}: {:?}",
            report.reasons
        );
    }
}

#[test]
fn every_bad_end_keeps_a_run_from_safe() {
    let ends = [
        End::Interrupted,
        End::TimedOut,
        End::GuestLost("panic".into()),
        End::Failed("disk full".into()),
    ];
    for end in ends {
        let report = benign().record_with(Some(end.clone()), 4096).report();
        assert_eq!(report.verdict, Verdict::Warning, "{end:?}");
        assert_eq!(incomplete(&report).len(), 1, "{end:?}");
    }
}

#[test]
fn a_cut_trace_and_a_missing_end_are_never_safe() {
    let cut = benign().record_with(None, 4096).report();
    assert_eq!(cut.verdict, Verdict::Warning);
    assert!(incomplete(&cut)[0].contains("the file ends early"));

    let mut recorded = benign().record();
    recorded.entries.pop();
    assert_eq!(
        recorded.report().verdict,
        Verdict::Warning,
        "a receipt without the end's entry"
    );

    let mut recorded = benign().record();
    recorded.entries.remove(9);
    let report = recorded.report();
    assert_eq!((report.verdict, report.lost.missing), (Verdict::Warning, 1));
}

#[test]
fn unknown_kinds_at_the_end_are_never_safe() {
    let mut recorded = benign().record();
    if let Integrity::Complete { receipt } = &mut recorded.integrity {
        receipt.events += 2;
        receipt.unknown += 2;
    }
    assert_eq!(recorded.report().verdict, Verdict::Warning);
}

#[test]
fn a_running_session_is_not_blamed_for_having_no_end() {
    assert_eq!(benign().session().judgement().verdict, Verdict::Safe);
    assert_eq!(thief().session().judgement().verdict, Verdict::Malicious);
    assert_eq!(Tape::default().session().judgement().verdict, Verdict::Safe);
}

#[test]
fn a_degraded_machine_is_stated_and_no_more() {
    let report = benign().report();
    assert!(report.machine.as_ref().unwrap().degraded);
    assert_eq!(report.verdict, Verdict::Safe);
}

#[test]
fn a_rule_that_cannot_be_decided_is_never_safe() {
    // Nobody saw what this process executes: it may be a program that may read the decoy.
    let mut tape = benign();
    tape.read(77, "/home/dev/.ssh/id_ed25519");
    let report = tape.report();
    assert_eq!(report.verdict, Verdict::Warning);
    let open: Vec<_> = report
        .open_rules
        .iter()
        .map(|one| one.rule.as_str())
        .collect();
    assert_eq!(open, ["L4-EXFIL-005", "L4-HONEY-001"]);
    assert!(incomplete(&report)[0].contains("could not be decided"));
    assert!(thief().report().open_rules.is_empty() && benign().report().open_rules.is_empty());
}

#[test]
fn who_did_it_is_told_as_it_was_then() {
    // The thief turns into something harmless after the deed.
    let mut tape = benign();
    tape.fork(100, 101)
        .exec(101, "/usr/bin/node", &["node", "steal.js"])
        .read(101, "/home/dev/.ssh/id_ed25519")
        .connect_refused(101, "198.51.100.7:443")
        .name(101, "drop.example", NameAnswer::Refused, "default:egress")
        .exec(101, "/usr/bin/true", &["true"]);
    let report = tape.report();
    let key = report
        .sensitive
        .iter()
        .find(|row| row.path.ends_with("id_ed25519"))
        .unwrap();
    assert_eq!(key.by[0].lineage[0], "node steal.js");
    assert_eq!(report.refused[0].who[0][0], "node steal.js");
    assert_eq!(report.names.refused[0].lineage[0], "node steal.js");
    assert_eq!(report.findings[0].lineage[0], "node steal.js");
}

#[test]
fn findings_fold_by_subject_and_process() {
    let mut tape = benign();
    tape.fork(100, 101).exec(101, "/usr/bin/cat", &["cat"]);
    for _ in 0..400 {
        tape.read(101, "/home/dev/.ssh/id_ed25519");
    }
    tape.errno(101, 2, open("/home/dev/.kube/config", 0));
    let report = tape.report();
    let decoy: Vec<_> = report
        .findings
        .iter()
        .filter(|finding| finding.rule == "L4-HONEY-001")
        .collect();
    assert_eq!(decoy.len(), 1);
    assert_eq!(
        (decoy[0].count, decoy[0].seqs.len(), decoy[0].events.len()),
        (400, 256, 8)
    );
    let session = tape.session();
    let cat = session
        .processes()
        .into_iter()
        .find(|row| row.pid == 101)
        .unwrap();
    assert_eq!(cat.worst, Some(belljar_replay::rules::Severity::Critical));
}

mod together {
    use std::sync::Arc;

    use belljar_replay::rules::RuleSet;
    use belljar_replay::session::Session;
    use belljar_replay::verdict::Reason;

    use super::*;

    fn rule(id: &str, condition: &str) -> (String, String) {
        let text = format!(
            "id: {id}\ntitle: t\nwhy: w\nseverity: high\nattack: []\nsince: 0.1.0\n\
             condition: {condition}\nmessage: m\nadvice: a\n"
        );
        (format!("{id}.yaml"), text)
    }

    fn judged(tape: &Tape) -> (Verdict, bool) {
        let sources = [rule("X-1", "fd.name = /one"), rule("X-2", "fd.name = /two")];
        let rules = Arc::new(RuleSet::load(&sources).unwrap());
        let mut session = Session::new(rules);
        tape.record()
            .entries
            .iter()
            .for_each(|entry| session.push(entry));
        let judgement = session.judgement();
        let together = judgement
            .reasons
            .iter()
            .any(|reason| matches!(reason, Reason::Together { .. }));
        (judgement.verdict, together)
    }

    fn family() -> Tape {
        let mut tape = Tape::booted();
        tape.begin("run", &["npm"], 10)
            .exec(10, "/bin/npm", &["npm"]);
        tape.fork(10, 11).fork(10, 12).fork(11, 13).fork(11, 14);
        tape
    }

    #[test]
    fn two_high_rules_in_one_branch_are_malicious() {
        for (one, two) in [(11, 11), (13, 14), (11, 13), (10, 13), (10, 10)] {
            let mut tape = family();
            tape.read(one, "/one").read(two, "/two");
            assert_eq!(judged(&tape), (Verdict::Malicious, true), "{one} {two}");
        }
    }

    #[test]
    fn in_different_branches_or_by_one_rule_they_are_not() {
        let mut tape = family();
        tape.read(13, "/one").read(12, "/two");
        assert_eq!(judged(&tape), (Verdict::Warning, false));
        let mut tape = family();
        tape.read(13, "/one").read(14, "/one");
        assert_eq!(judged(&tape), (Verdict::Warning, false));
    }
}
