//! What the payload uses, once a second, and the limits it runs into.
//!
//! Owns: reading the cgroup's and the file systems' counters, and stating each
//! limit once.
//! Must not: set limits (`payload::cgroup` and `boot::root` do).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use belljar_event::{LimitReached, Sample};
use rustix::fs::statvfs;

use crate::observe::Watched;
use crate::seam::EventSink;

/// Time between samples.
const EVERY: Duration = Duration::from_secs(1);
/// The file systems that the payload can fill: the overlay answers for its upper layer.
const DISKS: [&str; 3] = ["/", "/tmp", "/dev/shm"];
/// Less than this is no room for anything.
const FULL: u64 = 4096;

/// Watches for as long as it lives.
pub(crate) struct Watch {
    meter: Arc<Mutex<Meter>>,
    running: Arc<()>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins; `None` where no thread can be had, and then the limits are
    /// still looked at in the end.
    pub(crate) fn start(cgroup: &Path, watched: Watched, sink: &EventSink) -> Self {
        let meter = Arc::new(Mutex::new(Meter {
            cgroup: cgroup.to_owned(),
            watched,
            sink: sink.clone(),
            told: BTreeSet::new(),
        }));
        let running = Arc::new(());
        let (goes_on, of_thread) = (Arc::downgrade(&running), Arc::clone(&meter));
        let thread = std::thread::Builder::new()
            .name("watch".into())
            .spawn(move || {
                while goes_on.upgrade().is_some() {
                    lock(&of_thread).look();
                    std::thread::park_timeout(EVERY);
                }
            });
        Self {
            meter,
            running,
            thread: thread.ok(),
        }
    }

    /// Looks a last time, when every process is gone.
    pub(crate) fn finish(self) {
        drop(self.running);
        if let Some(thread) = self.thread {
            thread.thread().unpark();
            // A panic there has ended the machine.
            let _ = thread.join();
        }
        lock(&self.meter).look();
    }
}

fn lock(meter: &Mutex<Meter>) -> MutexGuard<'_, Meter> {
    meter.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Meter {
    cgroup: PathBuf,
    watched: Watched,
    sink: EventSink,
    /// Limits stated already.
    told: BTreeSet<&'static str>,
}

impl Meter {
    fn look(&mut self) {
        let disk = disks();
        let sample = Sample {
            cpu_us: self.keyed("cpu.stat", "usage_usec"),
            memory: self.number("memory.current"),
            tasks: u32::try_from(self.number("pids.current")).unwrap_or(u32::MAX),
            disk: disk.used,
        };
        // A closed queue means a closed channel, and that ends the machine.
        let _ = self.sink.state(sample);
        if self.keyed("pids.events", "max") > 0 {
            self.tell("pids", self.number("pids.max"), "processes");
        }
        // `oom` also counts allocations that failed without a victim.
        if self.keyed("memory.events", "oom") > 0 || self.keyed("memory.events", "oom_kill") > 0 {
            self.tell("memory", self.number("memory.max") >> 20, "MiB");
        }
        if disk.full || self.watched.disk_full() {
            self.tell("disk", disk.size >> 20, "MiB");
        }
    }

    fn tell(&mut self, what: &'static str, limit: u64, unit: &str) {
        if self.told.insert(what) {
            let _ = self.sink.state(LimitReached {
                what: what.into(),
                limit,
                unit: unit.into(),
            });
        }
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.cgroup.join(file)).unwrap_or_default()
    }

    /// A file with one number; `max` is none.
    fn number(&self, file: &str) -> u64 {
        self.read(file).trim().parse().unwrap_or(0)
    }

    /// The number behind a word in a file of such lines.
    fn keyed(&self, file: &str, key: &str) -> u64 {
        keyed(&self.read(file), key)
    }
}

fn keyed(text: &str, key: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(word, _)| *word == key)
        .and_then(|(_, number)| number.trim().parse().ok())
        .unwrap_or(0)
}

/// The payload's file systems.
#[derive(Default)]
struct Disks {
    /// Bytes in all of them.
    used: u64,
    /// Size of the root's.
    size: u64,
    /// One of them has no room.
    full: bool,
}

fn disks() -> Disks {
    let mut all = Disks::default();
    for (number, path) in DISKS.iter().enumerate() {
        let Ok(fs) = statvfs(*path) else { continue };
        let bytes = |blocks: u64| blocks.saturating_mul(fs.f_frsize);
        all.used = all
            .used
            .saturating_add(bytes(fs.f_blocks.saturating_sub(fs.f_bfree)));
        all.full |= bytes(fs.f_bavail) < FULL;
        if number == 0 {
            all.size = bytes(fs.f_blocks);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::keyed;

    #[test]
    fn numbers_behind_words() {
        let text = "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n";
        assert_eq!(keyed(text, "oom"), 3);
        assert_eq!(keyed(text, "oom_kill"), 2);
        assert_eq!(keyed(text, "max"), 12);
        assert_eq!(keyed(text, "nothing"), 0);
        assert_eq!(keyed("max x", "max"), 0);
    }
}
