//! Every kind of event, with any content, through a trace.

use proptest::prelude::*;

use super::*;

#[path = "../../event/src/tests/any.rs"]
mod any;

/// What the generators call the crate whose events they make.
mod event {
    pub(super) use belljar_event::*;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn events_of_every_kind_come_back_from_a_trace(
        many in proptest::collection::vec(any::one_of_each(), 1..4),
        per_block in 1usize..50,
    ) {
        // The last of a trace is the writer's own.
        let events: Vec<_> = many
            .concat()
            .into_iter()
            .filter(|event| event.fact.kind_name() != "ended")
            .collect();
        let (bytes, written, receipt) = write(&events, per_block);
        for (entry, event) in written.iter().zip(&events) {
            prop_assert_eq!(entry.event(), event);
        }
        prop_assert_eq!(written.len(), events.len() + 1);
        prop_assert_eq!(receipt.events, written.len() as u64);
        let (got, integrity) = read(&bytes).unwrap();
        prop_assert_eq!(got, written);
        prop_assert_eq!(integrity, Integrity::Complete { receipt });
    }
}
