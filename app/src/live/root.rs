//! The root image, while a guest runs from it.
//!
//! Owns: noticing that the file was cut or written meanwhile: what the guest read
//! from then on may be nonsense. Must not: read it.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use belljar_event::End;

use crate::error::AppError;

/// The file as it was before the machine booted.
pub(super) struct Root {
    file: File,
    was: Stamp,
    /// The first digits of the image's digest.
    image: String,
}

/// What changes with a file's content: its length, and when it was last written.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    written: (i64, i64),
}

impl Stamp {
    fn of(data: &Metadata) -> Self {
        Self {
            bytes: data.len(),
            written: (data.mtime(), data.mtime_nsec()),
        }
    }
}

impl Root {
    /// Kept open: an image that is removed meanwhile is still whole for its guest.
    pub(super) fn watch(path: &Path, digest: &str) -> Result<Self, AppError> {
        let open = || {
            let file = File::open(path)?;
            let was = Stamp::of(&file.metadata()?);
            Ok((file, was))
        };
        let (file, was) =
            open().map_err(|source| AppError::file("open the root image", path, source))?;
        Ok(Self {
            file,
            was,
            image: digest.chars().take(12).collect(),
        })
    }

    /// The end of a run, given what became of the file.
    pub(super) fn end(&self, end: End) -> End {
        let Some(why) = self.changed() else {
            return end;
        };
        match end {
            End::Finished(_) | End::TimedOut => End::Failed(why),
            End::Failed(first) => End::Failed(format!("{first}; {why}")),
            // What was found until then stands.
            End::Stopped(first) => End::Stopped(format!("{first}; {why}")),
            End::GuestLost(first) => End::GuestLost(format!("{first}; {why}")),
            // Never SAFE, and nobody's fault.
            End::Interrupted => End::Interrupted,
        }
    }

    fn changed(&self) -> Option<String> {
        let (is, was) = (
            self.file.metadata().ok().map(|data| Stamp::of(&data)),
            self.was,
        );
        if is == Some(was) {
            return None;
        }
        let bytes = is.map_or_else(|| "?".into(), |is| is.bytes.to_string());
        Some(format!(
            "the root file system of image {} was changed while the guest ran from it \
             ({} bytes before, {bytes} after)",
            self.image, was.bytes
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use belljar_event::Status;

    use super::*;

    #[test]
    fn a_file_that_was_cut_or_written_ends_the_run_in_failure() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"a root").unwrap();
        let fine = End::Finished(Status::Code(0));
        let root = Root::watch(file.path(), "0123456789abcdef").unwrap();
        assert_eq!(root.end(fine.clone()), fine);
        file.as_file().set_len(3).unwrap();
        let End::Failed(why) = root.end(fine.clone()) else {
            panic!("not noticed")
        };
        assert!(why.contains("image 0123456789ab was"), "{why}");
        assert!(why.contains("6 bytes before, 3 after"), "{why}");
        let lost = root.end(End::GuestLost("gone".into()));
        assert!(matches!(lost, End::GuestLost(why) if why.starts_with("gone; the root")));

        let root = Root::watch(file.path(), "0").unwrap();
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
        file.as_file().set_modified(later).unwrap();
        assert!(matches!(root.end(fine.clone()), End::Failed(_)));

        // Removed is not changed.
        let root = Root::watch(file.path(), "0").unwrap();
        drop(file);
        assert_eq!(root.end(fine.clone()), fine);
    }
}
