//! A trace that is still being written, read as it grows.
//!
//! Owns: waiting for more, and knowing that no more comes.
//! Must not: look into what it reads; the reader checks all of it.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use belljar_recorder::{Entry, Seeker};

use crate::screen::Msg;

/// Entries a message: small enough that keys are answered between two of them.
const BATCH: usize = crate::screen::TOGETHER;
/// Time between two looks for more.
const LOOK: Duration = Duration::from_millis(100);

/// What was read, on its way to the screen.
#[derive(Debug)]
pub(crate) struct Pump {
    messages: SyncSender<Msg>,
    batch: Mutex<Vec<Entry>>,
    left: AtomicBool,
}

impl Pump {
    pub(crate) fn new(messages: SyncSender<Msg>) -> Self {
        Self {
            messages,
            batch: Mutex::default(),
            left: AtomicBool::new(false),
        }
    }

    /// The screen was left: nobody waits for more.
    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    /// Takes an entry; false if nobody listens.
    pub(super) fn push(&self, entry: Entry) -> bool {
        let full = {
            let mut batch = self.batch.lock().unwrap_or_else(PoisonError::into_inner);
            batch.push(entry);
            batch.len() >= BATCH
        };
        !full || self.flush()
    }

    /// Hands on what there is; false if nobody listens.
    pub(super) fn flush(&self) -> bool {
        let batch = {
            let mut batch = self.batch.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *batch)
        };
        !self.left.load(Ordering::Relaxed)
            && (batch.is_empty() || self.messages.send(Msg::Entries(batch)).is_ok())
    }
}

/// A file that ends only when its trace does.
pub(super) struct Tail {
    file: File,
    path: PathBuf,
    pump: Arc<Pump>,
    /// How long it was when it was last looked for an end.
    looked: Option<u64>,
}

impl Tail {
    pub(super) fn open(path: &Path, pump: Arc<Pump>) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            path: path.to_owned(),
            pump,
            looked: None,
        })
    }

    /// True if the trace was finished. Its file may have been replaced by a packed
    /// one meanwhile, which happens only to one that was finished.
    fn is_finished(&mut self) -> bool {
        let Ok(file) = File::open(&self.path) else {
            // Removed: whatever was written is in the file that is open here.
            return true;
        };
        let long = file.metadata().ok().map(|known| known.len());
        if long == self.looked {
            return false;
        }
        self.looked = long;
        Seeker::open(BufReader::new(file)).is_ok()
    }
}

impl Read for Tail {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.file.read(into)?;
            // What is known so far must not wait for what comes next.
            if count > 0 || into.is_empty() || !self.pump.flush() {
                return Ok(count);
            }
            if self.is_finished() {
                // Written between the two looks, perhaps.
                return self.file.read(into);
            }
            std::thread::sleep(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::mpsc::sync_channel;

    use belljar_recorder::Reader;

    use super::*;

    /// A bundled recording, handed over in pieces of a size that fits no section.
    #[test]
    fn a_trace_that_grows_is_read_to_its_end() {
        let whole = include_bytes!("../../../fixtures/traces/npm-benign.bjt");
        let kept = tempfile::tempdir().unwrap();
        let path = kept.path().join("t.bjt");
        let mut file = File::create(&path).unwrap();
        let writing = std::thread::spawn(move || {
            for piece in whole.chunks(whole.len() / 7 + 1) {
                file.write_all(piece).unwrap();
                std::thread::sleep(Duration::from_millis(150));
            }
        });
        let (messages, source) = sync_channel(64);
        let pump = Arc::new(Pump::new(messages));
        let tail = Tail::open(&path, Arc::clone(&pump)).unwrap();
        let mut reader = Reader::open(tail).unwrap();
        let counting = std::thread::spawn(move || {
            let all = source.iter().map(|msg| match msg {
                Msg::Entries(entries) => entries.len(),
                _ => 0,
            });
            all.sum::<usize>()
        });
        for entry in &mut reader {
            assert!(pump.push(entry.unwrap()));
        }
        pump.flush();
        writing.join().unwrap();
        let integrity = reader.integrity();
        let receipt = integrity.receipt().expect("whole").clone();
        drop((reader, pump));
        assert_eq!(counting.join().unwrap() as u64, receipt.events);
    }

    #[test]
    fn whoever_leaves_is_not_waited_for() {
        let whole = include_bytes!("../../../fixtures/traces/npm-benign.bjt");
        let kept = tempfile::tempdir().unwrap();
        let path = kept.path().join("t.bjt");
        std::fs::write(&path, whole.get(..whole.len() / 2).unwrap()).unwrap();
        let (messages, _source) = sync_channel(64);
        let pump = Arc::new(Pump::new(messages));
        let tail = Tail::open(&path, Arc::clone(&pump)).unwrap();
        let mut reader = Reader::open(tail).unwrap();
        let leaving = Arc::clone(&pump);
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            leaving.leave();
        });
        for entry in &mut reader {
            pump.push(entry.unwrap());
        }
        assert!(!reader.integrity().is_complete());
    }
}
