//! Conditions as a person types them.
#![no_main]

use belljar_fuzz::Everything;
use belljar_replay::cond::{Condition, Names};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Condition::parse(text, &Names::new()) {
        Ok(condition) => {
            assert_eq!(
                condition.matches(&Everything),
                condition.matches(&Everything)
            );
            let _ = condition.event_types();
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
