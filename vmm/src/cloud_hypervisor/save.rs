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

/// Where the list of saved pages is, in the state of the memory.
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
        without_pages(&state).ok_or_else(|| io::Error::other("its memory is not where it was"))
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()?.ok()
}

/// The state of a machine whose memory is there already. It leaves out the pages of
/// a file that has a name; ours has none, so they were written and are not wanted.
fn without_pages(state: &[u8]) -> Option<Vec<u8>> {
    let mut state: Value = serde_json::from_slice(state).ok()?;
    let inner = state.pointer_mut(MEMORY)?;
    let mut memory: Value = serde_json::from_str(inner.as_str()?).ok()?;
    let pages = memory.pointer_mut(PAGES)?;
    pages.is_array().then_some(())?;
    *pages = json!([]);
    *inner = Value::String(memory.to_string());
    serde_json::to_vec(&state).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pages_are_left_out() {
        let memory = json!({
            "memory_ranges": { "data": [{ "gpa": 0, "length": 4096 }] },
            "boot_ram": 4096,
        });
        let state = |memory: &Value| {
            json!({
                "snapshot_data": { "state": "{\"clock\":1}" },
                "snapshots": {
                    "memory-manager": {
                        "snapshot_data": { "state": memory.to_string() },
                        "snapshots": {},
                    },
                    "device-manager": { "snapshot_data": null, "snapshots": {} },
                },
            })
        };
        let kept = without_pages(state(&memory).to_string().as_bytes()).unwrap();
        let without = json!({ "memory_ranges": { "data": [] }, "boot_ram": 4096 });
        assert_eq!(
            serde_json::from_slice::<Value>(&kept).unwrap(),
            state(&without)
        );
    }

    #[test]
    fn a_state_of_another_shape_is_not_kept() {
        for strange in [
            "",
            "{}",
            "[]",
            r#"{"snapshots":{"memory-manager":{"snapshot_data":{"state":7}}}}"#,
            r#"{"snapshots":{"memory-manager":{"snapshot_data":{"state":"7"}}}}"#,
            r#"{"snapshots":{"memory-manager":{"snapshot_data":{"state":"{\"memory_ranges\":7}"}}}}"#,
        ] {
            assert_eq!(without_pages(strange.as_bytes()), None, "{strange}");
        }
    }
}
