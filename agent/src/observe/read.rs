//! From the kernel's ring buffer to the host, in order.
//!
//! Owns: the two threads: one empties the ring, one completes events and hands them on.
//! Must not: load or attach anything.

use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, mpsc};
use std::time::Duration;

use belljar_event::{Event, Fact, Lost};
use libbpf_rs::RingBufferBuilder;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::content::Contents;
use super::decode::{self, Names};
use super::grants::Grants;
use super::loaded::{KernelOrigins, Loaded};
use super::pace::Pace;
use super::{ObserveError, Shared, bpf};
use crate::abi::Record;
use crate::boot;
use crate::enforce::Lines;
use crate::seam::{EventSink, MountTable};

/// How long the reader sleeps when nothing wakes it; bounds how late an event is.
const POLL: Duration = Duration::from_millis(20);
const PATIENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};
/// What was executed longer ago is not read any more: events must not be late for it.
const TOO_LATE: Duration = Duration::from_secs(2);

/// What the reader hands on.
pub(super) enum Step {
    Event(Event),
    /// An exec that succeeded, with the number of the executed file.
    Executed(Event, u64),
    /// The ring buffer was read to its end.
    Pass,
}

/// Completes events and hands them on, in their order.
pub(super) struct Hander {
    pub(super) shared: Arc<Shared>,
    pub(super) sink: EventSink,
    pub(super) contents: Contents,
}

impl Hander {
    pub(super) fn run(mut self, steps: &mpsc::Receiver<Step>) {
        for step in steps {
            match step {
                Step::Event(event) => self.hand_on(event),
                Step::Executed(mut event, inode) => {
                    let age = crate::boot::clock::monotonic().saturating_sub(event.at);
                    if u128::from(age) < TOO_LATE.as_nanos() {
                        self.contents.fill(&mut event, inode);
                    }
                    self.hand_on(event);
                }
                Step::Pass => {
                    let passes = self.shared.passes.lock();
                    *passes.unwrap_or_else(PoisonError::into_inner) += 1;
                    self.shared.passed.notify_all();
                }
            }
        }
    }

    fn hand_on(&self, event: Event) {
        let tap = self
            .shared
            .taps
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match &*tap {
            Some(tap) => drop(tap.send(event)),
            None => {
                drop(tap);
                // The host is gone: so is the machine, any moment.
                let _ = self.sink.send(event);
            }
        }
    }
}

/// Reads the ring buffer until told to stop.
pub(super) struct Reader {
    pub(super) shared: Arc<Shared>,
    pub(super) mounts: MountTable,
    pub(super) names: Arc<dyn Names + Send + Sync>,
    pub(super) queue: mpsc::SyncSender<Step>,
    pub(super) lines: Arc<Lines>,
    /// How fast the payload may make events.
    pub(super) pace: RefCell<Option<Pace>>,
}

/// What the reader says once it can read.
pub(super) type Ready = mpsc::Sender<Result<(KernelOrigins, Grants), ObserveError>>;

/// What the programs' `lost` counters mean.
const LOST_PLACES: [&str; 4] = [
    "ring buffer",
    "task storage",
    "string area",
    "totals of open files",
];

impl Reader {
    pub(super) fn run(&self, loaded: &Loaded<'_>, ready: &Ready) {
        let malformed = std::cell::Cell::new(0u64);
        let handle = |bytes: &[u8]| {
            match Record::parse(bytes) {
                Ok(record) => {
                    if let Some(event) = decode::event(&record, &self.mounts, &*self.names) {
                        self.count();
                        self.hand_on(match executed(&record, &event) {
                            Some(inode) => Step::Executed(event, inode),
                            None => Step::Event(event),
                        });
                    }
                    let denied = decode::denied(&record, &self.mounts, &self.lines);
                    denied.into_iter().for_each(|event| {
                        self.count();
                        self.hand_on(Step::Event(event));
                    });
                }
                Err(_) => malformed.set(malformed.get() + 1),
            }
            0
        };
        let mut builder = RingBufferBuilder::new();
        let added = builder.add(&loaded.skel.maps.ring, handle).map(drop);
        let ring = added
            .and_then(|()| builder.build())
            .map_err(bpf("cannot read kernel events"));
        let shared = || Ok((loaded.origins()?, loaded.grants()?));
        let ring = match ring.and_then(|ring| shared().map(|shared| (ring, shared))) {
            Ok((ring, shared)) => {
                let _ = ready.send(Ok(shared));
                ring
            }
            Err(error) => return drop(ready.send(Err(error))),
        };
        let mut reported = [0u64; 5];
        while !self.shared.stop.load(Ordering::Acquire) {
            self.wait(ring.epoll_fd());
            self.go_on();
            if ring.consume().is_err() {
                continue; // interrupted by a signal
            }
            let [ring_full, storage, area, totals] = loaded.lost();
            let now = [ring_full, storage, area, totals, malformed.get()];
            self.report_losses(now, &mut reported);
            if loaded.disk_full() {
                self.shared.disk_full.store(true, Ordering::Relaxed);
            }
            self.hand_on(Step::Pass);
        }
    }

    /// Until much is waiting, somebody wants it all, or it is time.
    fn wait(&self, ring: i32) {
        let Some(ring) = boot::raw::borrowed(ring) else {
            return std::thread::sleep(POLL);
        };
        let bell: BorrowedFd<'_> = self.shared.wake.as_fd();
        let mut fds = [
            PollFd::from_borrowed_fd(ring, PollFlags::IN),
            PollFd::from_borrowed_fd(bell, PollFlags::IN),
        ];
        let _ = poll(&mut fds, Some(&PATIENCE));
        // Empty if nobody rang.
        let _ = rustix::io::read(bell, &mut [0_u8; 8]);
    }

    /// One more event of the payload's. The self-test is nobody's flood.
    fn count(&self) {
        let mut pace = self.pace.borrow_mut();
        let Some(pace) = pace.as_mut().filter(|_| !self.shared.tapped()) else {
            return;
        };
        let now = crate::boot::clock::monotonic();
        if let Some(reached) = pace.count(now) {
            self.hand_on(Step::Event(Event::host(now, reached.into())));
        }
    }

    /// Lets the payload go on when its next second has come.
    fn go_on(&self) {
        if let Some(pace) = self.pace.borrow_mut().as_mut() {
            pace.look(crate::boot::clock::monotonic());
        }
    }

    fn hand_on(&self, step: Step) {
        // The other thread ends only with the machine.
        let _ = self.queue.send(step);
    }

    fn report_losses(&self, now: [u64; 5], reported: &mut [u64; 5]) {
        let places = LOST_PLACES.iter().copied().chain(["kernel record"]);
        for ((place, now), before) in places.zip(now).zip(reported) {
            if now > *before {
                let lost = Lost {
                    count: now - *before,
                    place: place.into(),
                };
                *before = now;
                self.hand_on(Step::Event(Event::host(
                    crate::boot::clock::monotonic(),
                    Fact::Lost(lost),
                )));
            }
        }
    }
}

/// The number of the file that an exec which succeeded has executed.
fn executed(record: &Record<'_>, event: &Event) -> Option<u64> {
    let done = matches!(event.fact, Fact::Exec(_)) && event.outcome.succeeded();
    done.then(|| record.args.last().copied())?
}
