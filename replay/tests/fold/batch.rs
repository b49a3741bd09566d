//! Judging and verifying written traces.

use std::io::{self, Cursor};

use belljar_event::*;
use belljar_recorder::{Integrity, Reader};
use belljar_replay::batch::{BatchError, CheckResult, Sameness, judge, verify};
use belljar_replay::verdict::Verdict;

use crate::tape::{Tape, benign, rules, thief};

#[test]
fn live_and_replayed_reports_are_equal_to_the_byte() {
    for tape in [thief(), benign()] {
        let recorded = tape.record();
        let judged = judge(Cursor::new(&recorded.bytes), &rules()).unwrap();
        assert_eq!(judged.report.to_json(), recorded.report().to_json());
    }
}

#[test]
fn verify_finds_every_digest_again() {
    let recorded = thief().record_with(Some(End::Finished(Status::Code(0))), 5);
    let verified = verify(|| Ok(Cursor::new(&recorded.bytes)), &rules(), 4).unwrap();
    assert_eq!(verified.outcome, Sameness::Same);
    assert_eq!(
        verified.checks.len(),
        8,
        "two digests, the report by itself, four threads, one recording"
    );
    assert!(
        verified
            .checks
            .iter()
            .all(|check| check.result == CheckResult::Same),
        "{:?}",
        verified.checks
    );
}

#[test]
fn verify_notices_a_source_that_changes() {
    let (one, two) = (thief().record().bytes, benign().record().bytes);
    let turn = std::sync::atomic::AtomicUsize::new(0);
    let open = || {
        let turn = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(Cursor::new(if turn == 0 { &one } else { &two }))
    };
    let verified = verify(open, &rules(), 2).unwrap();
    assert!(matches!(verified.outcome, Sameness::Mismatch { .. }));
}

#[test]
fn verify_notices_a_policy_that_is_not_the_one_named() {
    let mut tape = benign();
    tape.host(Policy {
        source: "name = \"other\"\n".into(),
        digest: [7; 32],
    });
    let recorded = tape.record();
    let verified = verify(|| Ok(Cursor::new(&recorded.bytes)), &rules(), 1).unwrap();
    let Sameness::Mismatch { what } = verified.outcome else {
        panic!("{:?}", verified.checks)
    };
    assert!(what.contains("policy"), "{what}");
}

#[test]
fn a_trace_cut_anywhere_is_never_safe_and_still_judged() {
    let bytes = benign()
        .record_with(Some(End::Finished(Status::Code(0))), 4)
        .bytes;
    let mut judged_some = false;
    for length in 0..bytes.len() {
        let cut = &bytes[..length];
        match judge(Cursor::new(cut), &rules()) {
            Ok(judged) => {
                judged_some = true;
                assert!(judged.report.verdict >= Verdict::Warning, "cut at {length}");
                assert!(matches!(judged.integrity, Integrity::Cut { .. }));
            }
            Err(error) => assert!(matches!(error, BatchError::Open(_)), "{error}"),
        }
    }
    assert!(judged_some);
}

#[test]
fn a_cut_trace_is_judged_the_same_every_time() {
    let bytes = thief()
        .record_with(Some(End::Finished(Status::Code(0))), 4)
        .bytes;
    // Without the last byte, and without about a third of the events.
    for length in [bytes.len() - 1, bytes.len() * 2 / 3] {
        let verified = verify(|| Ok(Cursor::new(&bytes[..length])), &rules(), 2).unwrap();
        assert_eq!(verified.outcome, Sameness::Same);
        assert!(
            verified
                .checks
                .iter()
                .all(|check| check.result == CheckResult::Same)
        );
        assert!(verified.judged.report.verdict >= Verdict::Warning);
    }
}

#[test]
fn a_source_that_fails_is_an_error() {
    let result = verify(
        || Err::<Cursor<Vec<u8>>, _>(io::Error::other("gone")),
        &rules(),
        1,
    );
    assert!(matches!(result, Err(BatchError::Source(_))));
    assert!(Reader::open(Cursor::new(b"no trace".to_vec())).is_err());
}

#[test]
fn an_empty_run_is_judged() {
    let recorded = Tape::default().record();
    let judged = judge(Cursor::new(&recorded.bytes), &rules()).unwrap();
    assert_eq!(judged.report.verdict, Verdict::Warning, "nothing was armed");
}
