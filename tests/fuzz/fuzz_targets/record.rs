//! What the kernel's programs put into the ring buffer, and what the agent
//! makes of it. The agent is a program, so its sources are taken in here.
#![no_main]
#![allow(dead_code, reason = "the agent uses more of them")]

#[path = "../../../agent/src/abi.rs"]
mod abi;
#[path = "../../../agent/src/observe/decode.rs"]
mod decode;
#[path = "../../../agent/src/enforce/mod.rs"]
mod enforce;
#[path = "../../../agent/src/seam.rs"]
mod seam;
mod boot {
    pub(crate) mod clock {
        pub(crate) fn monotonic() -> u64 {
            0
        }
    }
}

use std::net::SocketAddr;

use libfuzzer_sys::fuzz_target;
use seam::{MountTable, Mounted};

struct OneName;

impl decode::Names for OneName {
    fn name(&self, addr: SocketAddr) -> Option<String> {
        (addr.port() == 443).then(|| "a.example".to_owned())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let _ = abi::origin(bytes);
    let Ok(record) = abi::Record::parse(bytes) else {
        return;
    };
    let mounts = MountTable {
        mounts: vec![
            Mounted {
                device: 0,
                at: "/".into(),
            },
            Mounted {
                device: 1,
                at: "/proc".into(),
            },
        ],
    };
    if let Some(event) = decode::event(&record, &mounts, &OneName) {
        let encoded = belljar_event::encode(&event).expect("a record is smaller than an event");
        assert_eq!(belljar_event::decode(&encoded), Ok(event));
    }
});
