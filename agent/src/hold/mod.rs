//! Held calls: a thread waits in the kernel until the policy, or a person, has decided.
//!
//! Owns: the thread that hears of held calls, those that wait for the host, and
//! the yes for one call that the kernel programs then look for.
//! Must not: decide what the host's lines leave open, or trust what it read:
//! memory and paths may change behind it, and then the kernel refuses.

mod memory;
mod read;
mod resolve;
mod tree;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use belljar_event::wire::{FromAgent, Hold, Verdict};
use belljar_event::{Action, Fact, Killed, Op};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::boot::clock;
use crate::boot::notify::{Listener, Notice};
use crate::enforce::Lines;
use crate::net::Names;
use crate::observe::{Flush, Grants};
use crate::payload::{Cgroup, Freezer};
use crate::seam::EventSink;
use read::Deed;
pub(crate) use read::Wanted;

/// How often threads that died while they were held are looked for.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};
/// Most calls that wait for the host; a further one is refused.
const MOST: usize = 4096;

/// Everything about held calls. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Holds(Arc<Shared>);

struct Shared {
    lines: Arc<Lines>,
    names: Names,
    grants: Grants,
    flush: Flush,
    cgroup: PathBuf,
    freezer: Freezer,
    sink: EventSink,
    next: AtomicU64,
    open: Mutex<HashMap<u64, Open>>,
}

/// A call at the host.
struct Open {
    listener: Arc<Listener>,
    notice: Notice,
    pid: u32,
    op: Op,
    wanted: Wanted,
}

/// Serves one phase's calls until dropped.
pub(crate) struct Serving {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Holds {
    pub(crate) fn new(
        lines: Arc<Lines>,
        names: Names,
        grants: Grants,
        flush: Flush,
        cgroup: &Cgroup,
        sink: EventSink,
    ) -> Self {
        Self(Arc::new(Shared {
            lines,
            names,
            grants,
            flush,
            cgroup: cgroup.path().to_owned(),
            freezer: cgroup.freezer(),
            sink,
            next: AtomicU64::new(1),
            open: Mutex::default(),
        }))
    }

    /// Bits of the ops that are held.
    pub(crate) fn ops(&self) -> u16 {
        self.0.lines.held
    }

    /// Hears a phase's calls on a thread of its own.
    pub(crate) fn serve(&self, listener: Listener) -> io::Result<Serving> {
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, listener) = (Arc::clone(&self.0), Arc::new(listener));
        let told = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("holds".into())
            .spawn(move || shared.hear(&listener, &told))?;
        Ok(Serving {
            stop,
            thread: Some(thread),
        })
    }

    /// The host's answer.
    pub(crate) fn decided(&self, id: u64, verdict: Verdict) {
        if let Some(open) = self.0.take(id) {
            self.0.carry_out(&open, verdict);
        }
    }

    /// Ends a process tree and tells of it.
    pub(crate) fn kill(&self, root: u32, by: &str) {
        self.0.kill(root, by);
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended the machine.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn hear(&self, listener: &Arc<Listener>, stop: &AtomicBool) {
        while !stop.load(Ordering::Acquire) {
            let mut fds = [PollFd::new(&**listener, PollFlags::IN)];
            // Bounded: before 6.11 the kernel says nothing when the last task has gone.
            let _ = poll(&mut fds, Some(&LOOK));
            let [fd] = &fds;
            let told = fd.revents();
            // Only then: with nobody left to be held a read would wait for ever.
            if told.contains(PollFlags::IN) {
                if let Ok(notice) = listener.receive() {
                    self.held(listener, notice);
                }
            } else if told.contains(PollFlags::HUP) {
                break;
            } else {
                self.forget_gone();
            }
        }
        // Who has gone since the last look is told of, too.
        self.forget_gone();
        self.open()
            .retain(|_, open| !Arc::ptr_eq(&open.listener, listener));
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, id: u64) -> Option<Open> {
        self.open().remove(&id)
    }

    /// A call waits: what the lines say by themselves needs nobody.
    fn held(&self, listener: &Arc<Listener>, notice: Notice) {
        // What an earlier call of this thread was allowed and did not use.
        self.grants.revoke(notice.tid);
        let Some(deed) = read::deed(notice, &self.lines, &self.names) else {
            // Nothing that a line could be about, or nothing that can be read:
            // the kernel refuses what it has no yes for.
            return self.go_on(listener, notice.id);
        };
        if !listener.waits(notice.id) {
            return; // what was read may have been somebody else's
        }
        if deed.asked.is_none() {
            return self.go_on(listener, notice.id);
        }
        self.ask(listener, notice, deed);
    }

    fn ask(&self, listener: &Arc<Listener>, notice: Notice, deed: Deed) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let open = Open {
            listener: Arc::clone(listener),
            notice,
            pid: deed.pid,
            op: deed.op,
            wanted: deed.wanted,
        };
        {
            let mut waiting = self.open();
            if waiting.len() >= MOST {
                drop(waiting);
                return self.carry_out(&open, Verdict::Deny);
            }
            waiting.insert(id, open);
        }
        // Everything that led here is told first.
        self.flush.flush();
        let hold = Hold {
            id,
            at: clock::monotonic(),
            pid: deed.pid,
            tid: notice.tid,
            op: deed.op,
            call: deed.call,
            path: deed.path,
            other: deed.other,
            target: deed.target,
            argv: deed.argv,
        };
        if self.sink.tell(FromAgent::Hold(Box::new(hold))).is_err()
            && let Some(open) = self.take(id)
        {
            self.carry_out(&open, Verdict::Deny);
        }
    }

    fn carry_out(&self, open: &Open, verdict: Verdict) {
        let (listener, id) = (&open.listener, open.notice.id);
        match verdict {
            Verdict::Allow => {
                let tid = open.notice.tid;
                if !listener.waits(id) {
                    return; // its number may be another thread's by now
                }
                if !self.grants.give(tid, open.op, &open.wanted) {
                    let _ = listener.fail(id, libc::EACCES);
                } else if listener.go_on(id).is_err() {
                    // It ended in between: nobody may inherit its yes.
                    self.grants.revoke(tid);
                }
            }
            Verdict::Deny => {
                let _ = listener.fail(id, refusal(open.op));
            }
            Verdict::Kill => {
                self.kill(open.pid, "policy");
                let _ = listener.fail(id, refusal(open.op));
            }
        }
    }

    fn go_on(&self, listener: &Listener, id: u64) {
        // Fails if the thread has been killed meanwhile.
        let _ = listener.go_on(id);
    }

    fn kill(&self, root: u32, by: &str) {
        let count = tree::kill(&self.cgroup, &self.freezer, root);
        if count == 0 {
            // It has ended by itself.
            return;
        }
        let killed = Killed {
            root,
            count,
            by: by.to_owned(),
        };
        let _ = self.sink.state(Fact::Killed(killed));
    }

    /// Tells the host of calls whose thread is gone.
    fn forget_gone(&self) {
        let gone: Vec<u64> = {
            let mut open = self.open();
            let gone = |open: &Open| !open.listener.waits(open.notice.id);
            let ids: Vec<u64> = open
                .iter()
                .filter_map(|(id, held)| gone(held).then_some(*id))
                .collect();
            for id in &ids {
                open.remove(id);
            }
            ids
        };
        for id in gone {
            let _ = self.sink.tell(FromAgent::Unheld { id });
        }
    }
}

/// What a refused call is told: of connects that nobody listens.
fn refusal(op: Op) -> i32 {
    if op == Op::Connect {
        libc::ECONNREFUSED
    } else {
        libc::EACCES
    }
}

/// The first line about something that a held call wants, if it must be asked about.
fn asks(said: Option<crate::enforce::Said<'_>>) -> Option<String> {
    let said = said?;
    matches!(said.action, Action::Ask | Action::Kill).then(|| said.by.to_owned())
}
