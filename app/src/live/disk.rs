//! The trace's file: forced to the disk once a second and at the end.
//!
//! Owns: the syncing, which may take long and so happens beside the run, and
//! its failures, which end the run: what a power cut would lose is not recorded.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Files that know no syncing (pipes, devices) are as safe as they get.
fn tolerable(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
    )
}

#[derive(Default)]
struct Shared {
    running: bool,
    failed: Option<io::Error>,
}

/// See the module.
pub(crate) struct Disk {
    file: Arc<File>,
    shared: Arc<Mutex<Shared>>,
}

impl Disk {
    pub(crate) fn new(file: File) -> Self {
        Self {
            file: Arc::new(file),
            shared: Arc::default(),
        }
    }

    /// Begins to sync what is written, unless the last time is still under way.
    /// Tells of the failure of an earlier time.
    pub(crate) fn sync(&self) -> io::Result<()> {
        {
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(error) = shared.failed.take() {
                return Err(error);
            }
            if std::mem::replace(&mut shared.running, true) {
                return Ok(());
            }
        }
        let (file, shared) = (Arc::clone(&self.file), Arc::clone(&self.shared));
        tokio::task::spawn_blocking(move || {
            let result = file.sync_data();
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            shared.running = false;
            shared.failed = result.err().filter(|error| !tolerable(error));
        });
        Ok(())
    }

    /// Syncs everything, and waits.
    pub(crate) fn finish(&self) -> io::Result<()> {
        match self.file.sync_all() {
            Err(error) if !tolerable(&error) => Err(error),
            _ => Ok(()),
        }
    }
}
