//! Kernel modules: everything in `/modules`, in the order of the file names.

use std::fs::File;
use std::path::Path;

use rustix::io::Errno;
use rustix::system::finit_module;

use super::{BootError, console};

/// MODULE_INIT_COMPRESSED_FILE: the kernel decompresses.
const COMPRESSED: i32 = 4;

/// Loads them. One that the kernel already has, or refuses, is no reason to
/// stop: what needs it fails with a message of its own.
pub(crate) fn load(folder: &Path) -> Result<(), BootError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(BootError::file("read folder", folder)(e)),
    };
    let mut paths: Vec<_> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    for path in paths {
        let file = File::open(&path).map_err(BootError::file("open", &path))?;
        let packed = path
            .extension()
            .is_some_and(|e| e == "xz" || e == "zst" || e == "gz");
        match finit_module(&file, c"", if packed { COMPRESSED } else { 0 }) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => console::say(format_args!("module {} refused: {e}", path.display())),
        }
    }
    Ok(())
}
