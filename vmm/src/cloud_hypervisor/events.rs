//! What it tells of the machine's life: JSON objects, one behind the other.
//!
//! Owns: reading them, and what an end by the guest is called. Must not: let a
//! guest come back: cloud-hypervisor boots a machine anew that resets itself or
//! panics, for ever, so it is ended at the first word of it.

use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;

use crate::control::Shutdown;

/// Longest event that is waited for.
const MAX_EVENT: usize = 64 << 10;

#[derive(Deserialize)]
struct Event {
    source: String,
    event: String,
}

/// What an event says of the machine's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// The guest powered itself off, and the hypervisor follows.
    PoweredOff,
    /// The guest reset itself, or its kernel panicked.
    Reset,
}

const MEANINGS: &[(&str, &str, Meaning)] = &[
    ("vmm", "shutdown", Meaning::PoweredOff),
    ("vm", "rebooting", Meaning::Reset),
];

/// Being read until they end.
pub(super) struct Events(watch::Receiver<bool>);

impl Events {
    /// Reads on a task; `end` ends the hypervisor. When there will be no more
    /// events, `closed` runs.
    pub(super) fn read(
        mut from: impl AsyncRead + Unpin + Send + 'static,
        shutdown: Shutdown,
        end: impl Fn() + Send + 'static,
        closed: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let (done, ended) = watch::channel(false);
        tokio::spawn(async move {
            let mut seen = Vec::with_capacity(1024);
            let mut buffer = vec![0; 8192];
            while let Ok(count @ 1..) = from.read(&mut buffer).await {
                seen.extend_from_slice(buffer.get(..count).unwrap_or_default());
                for meaning in take(&mut seen) {
                    match meaning {
                        Meaning::PoweredOff => {
                            // Whoever reset first is not asked why it ends now.
                            if shutdown.get().is_none() {
                                shutdown.set("guest-shutdown");
                            }
                        }
                        Meaning::Reset => {
                            shutdown.set("guest-reset");
                            end();
                        }
                    }
                }
                if seen.len() > MAX_EVENT {
                    // No sense is to be expected of it any more.
                    break;
                }
            }
            // What is not read any more must not fill up.
            drop(from);
            done.send_replace(true);
            closed.await;
        });
        Self(ended)
    }

    pub(super) async fn drained(&self, most: Duration) {
        let mut ended = self.0.clone();
        let _ = tokio::time::timeout(most, ended.wait_for(|ended| *ended)).await;
    }
}

/// Takes the whole events off the front; what is no event is skipped.
fn take(seen: &mut Vec<u8>) -> Vec<Meaning> {
    let mut meanings = Vec::new();
    let mut stream = serde_json::Deserializer::from_slice(seen).into_iter::<serde_json::Value>();
    let mut used = 0;
    while let Some(Ok(value)) = stream.next() {
        used = stream.byte_offset();
        let Ok(event) = Event::deserialize(value) else {
            continue;
        };
        let meaning = MEANINGS
            .iter()
            .find(|(source, name, _)| event.source == *source && event.event == *name);
        meanings.extend(meaning.map(|(_, _, meaning)| *meaning));
    }
    seen.drain(..used.min(seen.len()));
    meanings
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: &str = "{\n  \"timestamp\": {\n    \"secs\": 0,\n    \"nanos\": 7\n  },\n  \
         \"source\": \"vmm\",\n  \"event\": \"starting\",\n  \"properties\": null\n}\n\n{\"source\":\
         \"vm\",\"event\":\"rebooting\"}{\"odd\":[]}\n{\"source\":\"vmm\",\"event\":\"shutdown\",\
         \"properties\":{\"a\":\"}\"}}";

    #[test]
    fn whole_events_are_taken_however_they_are_cut() {
        for size in [1, 2, 7, 100, 10_000] {
            let mut seen = Vec::new();
            let mut all = Vec::new();
            for chunk in LIFE.as_bytes().chunks(size) {
                seen.extend_from_slice(chunk);
                all.extend(take(&mut seen));
            }
            assert_eq!(all, [Meaning::Reset, Meaning::PoweredOff], "{size}");
        }
    }

    #[tokio::test]
    async fn a_reset_ends_it_and_is_the_reason() {
        let shutdown = Shutdown::default();
        let (told, was_told) = std::sync::mpsc::channel();
        let end = move || told.send(()).unwrap();
        let events = Events::read(LIFE.as_bytes(), shutdown.clone(), end, async {});
        events.drained(Duration::from_secs(10)).await;
        assert_eq!(shutdown.get().as_deref(), Some("guest-reset"));
        assert_eq!(was_told.iter().count(), 1);
    }

    #[tokio::test]
    async fn noise_is_given_up() {
        let noise = tokio::io::repeat(b'[');
        let (told, was_told) = tokio::sync::oneshot::channel();
        let closed = async move { told.send(()).unwrap() };
        let events = Events::read(noise, Shutdown::default(), || unreachable!(), closed);
        events.drained(Duration::from_secs(10)).await;
        assert!(*events.0.borrow());
        // Nothing will be told of the machine any more, and somebody hears of that.
        was_told.await.unwrap();
    }
}
