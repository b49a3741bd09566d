//! Well-formed events of any content, in any order, judged: session, rules,
//! verdict, report. Judging twice gives the same bytes.
#![no_main]

use std::sync::{Arc, LazyLock};

use belljar_fuzz::{events, read, trace};
use belljar_replay::batch;
use belljar_replay::rules::RuleSet;
use libfuzzer_sys::fuzz_target;

static RULES: LazyLock<Arc<RuleSet>> = LazyLock::new(RuleSet::builtin);

fuzz_target!(|bytes: &[u8]| {
    let events = events(bytes);
    let trace = trace(events);
    assert!(read(&trace) > 0);
    let judged = batch::judge(trace.as_slice(), &RULES).expect("the trace is whole");
    let again = batch::judge(trace.as_slice(), &RULES).expect("the trace is whole");
    assert_eq!(judged.report.to_json(), again.report.to_json());
    let _ = judged.report.to_table(80);
});
