//! Questions to the agent's resolver stub.
#![no_main]
#![allow(dead_code, reason = "the agent uses more of it")]

#[rustfmt::skip]
#[path = "../../../agent/src/net/dns.rs"]
mod dns;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match dns::parse(bytes) {
        Ok(question) => {
            assert!(question.name.bytes().len() < 2048);
            for reply in [
                dns::Reply::Address([198, 18, 0, 1].into()),
                dns::Reply::NoData,
                dns::Reply::NoName { by: "default:1".into() },
                dns::Reply::Failure,
            ] {
                assert!(dns::answer(&question, &reply).len() <= 512);
            }
        }
        Err(bad) => {
            let _ = dns::refuse(bad);
        }
    }
});
