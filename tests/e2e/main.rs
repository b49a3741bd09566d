//! The real tool from end to end: real machines, a real guest, real packages.
//!
//! Each test runs the built binary as a user would. What a test needs and this
//! machine lacks makes it *ignored with the reason*, never passed.
//! `BELLJAR_E2E=off` skips all of them (for a quick `cargo test`).

#![expect(
    unreachable_pub,
    clippy::indexing_slicing,
    reason = "a test binary has no public items to reach, and indexing a JSON value never panics"
)]

mod adversary;
mod canary;
mod compare;
mod damage;
mod egress;
mod exports;
mod fail;
mod faults;
mod git;
mod hostile;
mod image;
mod nested;
mod nested_faults;
mod policies;
mod policy;
#[expect(
    dead_code,
    reason = "what is hostile about it is tested in the machine's own crate"
)]
mod registry;
mod replays;
mod run;
mod screen;
mod support;
mod terminal;
mod users;
mod warm;
mod ways;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let mut arguments = Arguments::from_args();
    // One machine at a time: two cores make two emulated guests slower than one after the other.
    arguments.test_threads = Some(1);
    let mut tests: Vec<Trial> = Vec::new();
    tests.extend(run::tests());
    tests.extend(warm::tests());
    tests.extend(fail::tests());
    tests.extend(faults::tests());
    tests.extend(damage::tests());
    tests.extend(hostile::tests());
    tests.extend(policy::tests());
    tests.extend(policies::tests());
    tests.extend(adversary::tests());
    tests.extend(image::tests());
    tests.extend(users::tests());
    tests.extend(egress::tests());
    tests.extend(canary::tests());
    tests.extend(compare::tests());
    tests.extend(screen::tests());
    tests.extend(replays::tests());
    tests.extend(terminal::tests());
    tests.extend(exports::tests());
    tests.extend(ways::tests());
    tests.extend(git::tests());
    tests.extend(nested::tests());
    tests.extend(nested_faults::tests());
    libtest_mimic::run(&arguments, tests).exit();
}
