//! The serial console, for a person who looks into why a machine did not come
//! up. Nothing of the payload goes there.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::OnceLock;

static CONSOLE: OnceLock<File> = OnceLock::new();

/// Opens it; until then (and if there is none) messages vanish.
pub(crate) fn open() {
    if let Ok(file) = OpenOptions::new().write(true).open("/dev/console") {
        let _ = CONSOLE.set(file);
    }
}

/// One line, with the time since boot.
pub(crate) fn say(line: impl std::fmt::Display) {
    if let Some(mut console) = CONSOLE.get() {
        let millis = super::clock::monotonic() / 1_000_000;
        let text = format!("belljar {}.{:03} {line}\n", millis / 1000, millis % 1000);
        let _ = console.write_all(text.as_bytes());
    }
}
