//! Policies of somebody else; the canonical text loads to the same policy.
#![no_main]

use belljar_event::Target;
use belljar_fuzz::Everything;
use belljar_replay::policy::{Case, Policy, Question};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    match Policy::parse("fuzz", &text) {
        Ok(policy) => {
            let again = Policy::parse("fuzz", policy.source()).expect("canonical text loads");
            assert_eq!(again, policy);
            let target = Target::Direct("198.51.100.7:443".parse().expect("an address"));
            let _ = policy.decide(&Question::flow(&target).by(&Everything));
            let _ = policy.lookup(&Question::lookup("a.example"));
            let case = Case::parse("exec", "/tmp/x", "/home/u").expect("a case");
            let _ = policy.explain(&case, &[]);
            let _ = policy.checked(&[]);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
