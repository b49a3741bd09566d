//! After a run: the same trace in full blocks.
//!
//! Owns: putting the packed trace in the place of the recorded one, once it is
//! on the disk and has the same events. Must not: touch the recorded trace
//! before, or anything that is no regular file.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use belljar_recorder::pack as repack;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::open;
use crate::error::AppError;

/// Packs a trace in place. One that cannot be packed stays as it is.
pub(super) fn pack(path: &Path) -> Result<(), AppError> {
    let failed = |source| AppError::file("pack trace", path, source);
    let about = fs::symlink_metadata(path).map_err(failed)?;
    // A link, a pipe or a device was the user's choice and stays one.
    let (true, Some(name)) = (about.is_file(), path.file_name()) else {
        return Ok(());
    };
    let file = nameless(path).map_err(failed)?;
    let mut sink = BufWriter::new(Stoppable::new(&file).map_err(failed)?);
    let made = repack(open(path)?, &mut sink).map_err(|source| AppError::Rewrite {
        path: path.to_owned(),
        source,
    })?;
    sink.flush().map_err(failed)?;
    drop(sink);
    let same = match (&made.receipt, made.integrity.receipt()) {
        (Some(new), Some(old)) => {
            (new.events, new.unknown, new.digest) == (old.events, old.unknown, old.digest)
        }
        _ => false,
    };
    if !same {
        return Err(failed(io::Error::other("its events would not be the same")));
    }
    file.set_permissions(about.permissions()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}.packing", std::process::id()));
    let beside = path.with_file_name(beside);
    let named = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, named, CWD, &beside, AtFlags::SYMLINK_FOLLOW)
        .map_err(|error| failed(error.into()))?;
    fs::rename(&beside, path).map_err(|source| {
        let _ = fs::remove_file(&beside);
        failed(source)
    })
}

/// A file without a name: whatever ends belljar, nothing of it is left.
fn nameless(path: &Path) -> io::Result<File> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR)?.into())
}

/// A file that takes no more once belljar is told to end.
struct Stoppable<'f> {
    file: &'f File,
    told: Arc<AtomicBool>,
}

impl<'f> Stoppable<'f> {
    fn new(file: &'f File) -> io::Result<Self> {
        let told = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&told))?;
        }
        Ok(Self { file, told })
    }
}

impl Write for Stoppable<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.told.load(Ordering::Relaxed) {
            return Err(io::Error::other("stopped by a signal"));
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(dir: &Path) -> std::path::PathBuf {
        let path = dir.join("t.bjt");
        let fixture = "../fixtures/traces/npm-credential-thief.bjt";
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture);
        fs::copy(fixture, &path).unwrap();
        path
    }

    fn receipt(path: &Path) -> belljar_recorder::TraceReceipt {
        let mut reader = open(path).unwrap();
        assert!(reader.all(|entry| entry.is_ok()));
        reader.integrity().receipt().unwrap().clone()
    }

    #[test]
    fn packed_has_the_same_events_and_leaves_nothing_beside() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let dir = tempfile::tempdir().unwrap();
        let path = copy(dir.path());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let (before, file) = (receipt(&path), fs::metadata(&path).unwrap());
        pack(&path).unwrap();
        let after = receipt(&path);
        assert_eq!((before.events, before.digest), (after.events, after.digest));
        let packed = fs::metadata(&path).unwrap();
        assert_ne!(packed.ino(), file.ino(), "not packed at all");
        assert_eq!(packed.permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_damaged_or_no_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = copy(dir.path());
        let whole = fs::read(&path).unwrap();
        let half = whole.get(..whole.len() / 2).unwrap();
        fs::write(&path, half).unwrap();
        pack(&path).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), half);
        let link = dir.path().join("link.bjt");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        pack(&link).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        pack(Path::new("/dev/null")).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_signal_stops_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = nameless(&dir.path().join("t.bjt")).unwrap();
        let mut sink = Stoppable::new(&file).unwrap();
        sink.write_all(b"before").unwrap();
        sink.told.store(true, Ordering::Relaxed);
        sink.write_all(b"after").unwrap_err();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
