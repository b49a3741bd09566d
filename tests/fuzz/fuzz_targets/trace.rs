//! A trace file of somebody else: as it is, and with its hashes put right.
#![no_main]

use belljar_fuzz::{read, rechained};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    read(&rechained(bytes));
});
