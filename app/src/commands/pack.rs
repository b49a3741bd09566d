//! After a run: the same trace in full blocks.
//!
//! Owns: putting the packed trace in the place of the recorded one, once it is
//! on the disk and has the same events. Must not: touch the recorded trace
//! before, or anything that is no regular file.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use belljar_recorder::pack as repack;

use super::{open, written};
use crate::error::AppError;

/// Packs a trace in place. One that cannot be packed stays as it is.
pub(super) fn pack(path: &Path) -> Result<(), AppError> {
    let failed = |source| AppError::file("pack trace", path, source);
    let about = fs::symlink_metadata(path).map_err(failed)?;
    // A link, a pipe or a device was the user's choice and stays one.
    let (true, Some(name)) = (about.is_file(), path.file_name()) else {
        return Ok(());
    };
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}.packing", std::process::id()));
    let beside = path.with_file_name(beside);
    written(&beside, |file| {
        let mut sink = BufWriter::new(file);
        let made = repack(open(path)?, &mut sink).map_err(|source| AppError::Rewrite {
            path: path.to_owned(),
            source,
        })?;
        sink.flush().map_err(failed)?;
        let same = match (&made.receipt, made.integrity.receipt()) {
            (Some(new), Some(old)) => {
                (new.events, new.unknown, new.digest) == (old.events, old.unknown, old.digest)
            }
            _ => false,
        };
        if !same {
            return Err(failed(io::Error::other("its events would not be the same")));
        }
        file.set_permissions(about.permissions()).map_err(failed)
    })?;
    fs::rename(&beside, path).map_err(|source| {
        let _ = fs::remove_file(&beside);
        failed(source)
    })
}
