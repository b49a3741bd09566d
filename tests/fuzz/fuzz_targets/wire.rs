//! What the two ends of the channel decode.
#![no_main]

use belljar_event::wire::{self, FlowReply, FromAgent, StreamKind, ToAgent, Uploaded};
use belljar_event::{Decode, Encode, decode, encode};
use libfuzzer_sys::fuzz_target;

/// What decodes, encodes; and the same value comes back.
fn round<T: Decode<()> + Encode + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(value) = decode::<T>(bytes) {
        // Bytes may be fewer than the value's canonical ones, so it may be too large now.
        if let Ok(again) = encode(&value) {
            assert_eq!(decode::<T>(&again), Ok(value));
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    round::<StreamKind>(bytes);
    round::<ToAgent>(bytes);
    round::<FromAgent>(bytes);
    round::<FlowReply>(bytes);
    round::<Uploaded>(bytes);
    for magic in [wire::HOST_MAGIC, wire::AGENT_MAGIC] {
        if let Some((_, _, end)) = wire::find_hello(magic, bytes) {
            assert!(end <= bytes.len());
        }
    }
});
