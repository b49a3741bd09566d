//! Puts a machine down that has booted and waits for the host.
//!
//! Owns: stopping it, what of its state is kept, and letting it go on. Must not:
//! find out whether the guest waits (`vm` does), or write a base (`warm` does).

use std::io;

use serde_json::{Value, json};

use super::Api;
use super::folder::{Folder, STATE};
use crate::control::ControlError;
use crate::warm::{MOST_STATE, Saver};

/// Where the state of the whole is, and in it the clock: bytes of the kernel's
/// `kvm_clock_data`.
const WHOLE: &str = "/snapshot_data/state";
const CLOCK: &str = "/clock/Kvm";
/// The clock's flags among these bytes.
const FLAGS: std::ops::Range<usize> = 8..12;
/// Where the state of the memory is, and in it the list of saved pages.
const MEMORY: &str = "/snapshots/memory-manager/snapshot_data/state";
const PAGES: &str = "/memory_ranges/data";

/// Saves a machine while it stands still. A base that cannot be made is no reason
/// to end: the machine goes on, and the next one boots.
pub(crate) async fn save(saver: Saver, api: &Api) -> Result<(), ControlError> {
    api.pause().await?;
    if let Some(state) = state_of(api).await {
        saver.keep(state).await;
    }
    api.resume().await
}

/// All of a stopped machine but its memory.
async fn state_of(api: &Api) -> Option<Vec<u8>> {
    let folder = blocking(Folder::make).await?;
    api.snapshot(folder.url()).await.ok()?;
    // Its description is not kept: who goes on has other descriptors, and makes a new one.
    blocking(move || {
        let state = folder.take(STATE, MOST_STATE)?;
        to_keep(&state).ok_or_else(|| io::Error::other("it has another shape"))
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()?.ok()
}

/// The state as it is gone on with. Two things are not wanted of it:
///
/// - Pages: it leaves out those of a file that has a name. Ours has none, so they were
///   written along, but who goes on has its memory already.
/// - The time since: the guest's clock would leap by as much as the base is old, and
///   its kernel would take itself for stuck. It goes on from where it stood, as under
///   QEMU; the time of day comes from the host with the set-up.
fn to_keep(state: &[u8]) -> Option<Vec<u8>> {
    let mut state: Value = serde_json::from_slice(state).ok()?;
    inner(&mut state, WHOLE, |whole| {
        let clock = whole.pointer_mut(CLOCK)?.as_array_mut()?;
        clock.get_mut(FLAGS)?.fill(json!(0));
        Some(())
    })?;
    inner(&mut state, MEMORY, |memory| {
        memory.pointer_mut(PAGES)?.as_array_mut()?.clear();
        Some(())
    })?;
    serde_json::to_vec(&state).ok()
}

/// Changes a part of it, which is JSON in a string.
fn inner(
    state: &mut Value,
    place: &str,
    change: impl FnOnce(&mut Value) -> Option<()>,
) -> Option<()> {
    let text = state.pointer_mut(place)?;
    let mut part = serde_json::from_str(text.as_str()?).ok()?;
    change(&mut part)?;
    *text = Value::String(part.to_string());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A state with these two parts.
    fn state(whole: &Value, memory: &Value) -> Value {
        json!({
            "snapshot_data": { "state": whole.to_string() },
            "snapshots": {
                "memory-manager": {
                    "snapshot_data": { "state": memory.to_string() },
                    "snapshots": {},
                },
                "device-manager": { "snapshot_data": null, "snapshots": {} },
            },
        })
    }

    #[test]
    fn only_pages_and_the_time_since_are_left_out() {
        let before = state(
            &json!({ "clock": { "Kvm": vec![9; 48] }, "common_cpuid": [] }),
            &json!({ "memory_ranges": { "data": [{ "gpa": 0, "length": 4096 }] }, "boot_ram": 1 }),
        );
        let mut clock = [9; 48].map(Value::from);
        clock[8..12].fill(json!(0));
        let after = state(
            &json!({ "clock": { "Kvm": clock.to_vec() }, "common_cpuid": [] }),
            &json!({ "memory_ranges": { "data": [] }, "boot_ram": 1 }),
        );
        let kept = to_keep(before.to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&kept).unwrap(), after);
    }

    #[test]
    fn a_state_of_another_shape_is_not_kept() {
        let clock = json!({ "clock": { "Kvm": vec![9; 48] } });
        let pages = json!({ "memory_ranges": { "data": [] } });
        assert!(to_keep(state(&clock, &pages).to_string().as_bytes()).is_some());
        for (clock, pages) in [
            (&json!({}), &pages),
            (&json!({ "clock": null }), &pages),
            (&json!({ "clock": { "Kvm": vec![9; 11] } }), &pages),
            (&clock, &json!({})),
            (&clock, &json!({ "memory_ranges": 7 })),
            (&clock, &json!({ "memory_ranges": { "data": {} } })),
        ] {
            let strange = state(clock, pages);
            assert_eq!(to_keep(strange.to_string().as_bytes()), None, "{strange}");
        }
        for strange in ["", "{}", "[]", r#"{"snapshot_data":{"state":7}}"#] {
            assert_eq!(to_keep(strange.as_bytes()), None, "{strange}");
        }
    }
}
