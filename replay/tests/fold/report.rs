//! The report's bytes.

use belljar_event::*;
use belljar_replay::report::{PhaseReport, Report, jsonl};

use crate::tape::{Tape, benign, open, thief};

/// Texts and digests that change with every rule or version stand in no snapshot.
fn steady(mut report: Report) -> Report {
    let stand_in = |digest: &mut String| *digest = "[digest]".into();
    stand_in(&mut report.receipt.rules);
    report.receipt.trace.iter_mut().for_each(stand_in);
    report.receipt.report.iter_mut().for_each(stand_in);
    report.receipt.judged_by = "[version]".into();
    for finding in &mut report.findings {
        finding.why = "[why]".into();
        finding.advice = "[advice]".into();
    }
    report
}

#[test]
fn the_thiefs_table() {
    let report = steady(thief().report());
    insta::assert_snapshot!("thief_table_100", report.to_table(100));
    insta::assert_snapshot!("thief_table_60", report.to_table(60));
}

#[test]
fn the_thiefs_json() {
    let json = steady(thief().report()).to_json();
    insta::assert_snapshot!("thief_json", String::from_utf8(json).unwrap());
}

#[test]
fn the_benign_table() {
    insta::assert_snapshot!("benign_table_100", steady(benign().report()).to_table(100));
}

#[test]
fn a_failed_phase_stands_beside_safe() {
    let mut report = benign().report();
    let head = |report: &Report| report.to_table(100).lines().next().unwrap().to_owned();
    assert!(head(&report).starts_with("SAFE  "), "{}", head(&report));
    report.phases.push(PhaseReport {
        name: "install".into(),
        command: "npm install".into(),
        nanoseconds: None,
        status: Some("exit 1".into()),
    });
    let failed = head(&report);
    assert!(
        failed.starts_with("SAFE, but install failed (exit 1)  "),
        "{failed}"
    );
}

#[test]
fn the_same_events_give_the_same_bytes() {
    let recorded = thief().record();
    let other = thief().record_with(Some(End::Finished(Status::Code(0))), 3);
    assert_eq!(recorded.report().to_json(), recorded.report().to_json());
    assert_eq!(
        recorded.report().to_json(),
        other.report().to_json(),
        "block boundaries must not show"
    );
}

#[test]
fn the_report_is_sealed_and_comes_back_from_its_bytes() {
    let report = thief().report();
    assert!(report.is_sealed());
    let mut read: Report = serde_json::from_slice(&report.to_json()).unwrap();
    assert_eq!(read, report);
    assert!(read.is_sealed());
    read.processes.started += 1;
    assert!(!read.is_sealed());
}

#[test]
fn tables_keep_to_their_width() {
    for width in [40, 60, 80, 100, 160] {
        for line in thief().report().to_table(width).lines() {
            let long = line.chars().count();
            assert!(long <= width, "{long} > {width}: {line}");
        }
    }
}

#[test]
fn nothing_of_the_guest_reaches_a_terminal_raw() {
    let nasty = "\u{1b}]0;owned\u{7}\u{202e}gpj\u{9b}31m\u{200b}";
    let mut tape = Tape::booted();
    tape.begin(nasty, &[nasty], 5)
        .exec(5, &format!("/tmp/{nasty}"), &[nasty, nasty])
        .read(5, "/home/dev/.ssh/id_ed25519")
        .errno(5, 13, open(&format!("/home/{nasty}/.ssh/id_rsa"), 0))
        .name(5, nasty, NameAnswer::Refused, nasty)
        .flow(5, 1, nasty, 443)
        .decide(1, Action::Deny, nasty)
        .flow(5, 2, nasty, 80)
        .decide(2, Action::Allow, nasty)
        .relay(2, 1, 1)
        .host(Lost {
            count: 1,
            place: nasty.into(),
        })
        .host(Copied {
            files: 1,
            bytes: 1,
            left_out: vec![LeftOut {
                path: nasty.into(),
                why: "credential".into(),
            }],
            left_out_total: 1,
        });
    let recorded = tape.record_with(Some(End::GuestLost(nasty.into())), 4096);
    let report = recorded.report();
    let hostile = |c: char| c != '\n' && (c.is_control() || matches!(c, '\u{202e}' | '\u{200b}'));
    assert!(!report.to_table(100).chars().any(hostile));
    assert!(
        !String::from_utf8(report.to_json())
            .unwrap()
            .chars()
            .any(hostile)
    );
    for entry in &recorded.entries {
        let line = jsonl::line(entry);
        assert!(!line.chars().any(|c| hostile(c) || c == '\n'), "{line}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&line).unwrap(),
            jsonl::value(entry)
        );
    }
}

#[test]
fn lines_say_what_is_missing() {
    let mut tape = Tape::default();
    let fact = Open {
        call: Call(257),
        path: Text::new([b'/', 0xff]),
        base: Some(Text::Unreadable),
        file: Some(Text::capped(b"/long", 3)),
        flags: 0o1101,
        mode: 0o644,
    };
    tape.errno(5, 2, fact);
    let recorded = tape.record_with(None, 1);
    let expected = serde_json::json!({
        "seq": 0, "at": 1_000_000, "type": "openat", "kind": "open", "pid": 5, "tid": 5, "result": -2,
        "fact": {
            "path": { "text": "/\u{fffd}", "hex": "2fff" },
            "base": { "unreadable": true },
            "file": { "text": "/lo", "length": 5 },
            "flags": "O_WRONLY|O_CREAT|O_TRUNC",
            "mode": 0o644,
        },
    });
    assert_eq!(jsonl::value(&recorded.entries[0]), expected);
}
