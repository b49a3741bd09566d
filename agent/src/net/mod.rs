//! The payload's only way out: names from the stub, connections through the relay.
//!
//! Owns: the resolver stub, the table of stand-in addresses, and one host flow
//! per redirected connection.
//! Must not: decide (the host does), resolve or dial anything itself.

mod dns;
mod names;
mod relay;
mod stub;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use belljar_event::NameAnswer;
use belljar_event::Text;
use belljar_event::wire::FromAgent;
use tokio::sync::oneshot;

pub(crate) use names::Names;

use crate::boot::clock;
use crate::link::Opener;
use crate::seam::{EventSink, Origins};

/// How long a question may wait for the host. Guest time: while a person is
/// asked the machine is paused.
const PATIENCE: Duration = Duration::from_secs(30);

/// What stub and relay share.
#[derive(Clone)]
pub(crate) struct Net {
    /// Stand-in addresses.
    pub(crate) names: Names,
    /// Questions that the host has not answered yet.
    pub(crate) questions: Questions,
    sink: EventSink,
    opener: Opener,
    origins: Arc<dyn Origins>,
}

impl Net {
    /// Not listening yet.
    pub(crate) fn new(
        names: Names,
        questions: Questions,
        sink: EventSink,
        opener: Opener,
        origins: Arc<dyn Origins>,
    ) -> Self {
        Self {
            names,
            questions,
            sink,
            opener,
            origins,
        }
    }

    /// Listens; returns once connects can arrive.
    pub(crate) async fn start(&self) -> std::io::Result<()> {
        relay::start(self).await?;
        stub::start(self).await
    }

    /// Asks the host whether the payload may know an address for `name`.
    async fn ask(&self, pid: u32, name: Text, kind: u16, answer: NameAnswer) -> Option<Ruling> {
        let (id, reply) = self.questions.open()?;
        let at = clock::monotonic();
        let question = FromAgent::NameQuestion {
            id,
            at,
            pid,
            name,
            kind,
            answer,
        };
        let asked = self.sink.post(question).await;
        let answer = match asked {
            Ok(()) => tokio::time::timeout(PATIENCE, reply)
                .await
                .ok()
                .and_then(Result::ok),
            Err(_) => None,
        };
        self.questions.forget(id);
        answer
    }
}

/// What the host says to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ruling {
    /// May the payload know an address?
    pub(crate) allowed: bool,
    /// The policy line that says so.
    pub(crate) by: String,
}

/// Most questions that wait at a time: more than the stub works on.
const MAX_QUESTIONS: usize = 1_024;

/// Questions at the host, by number.
#[derive(Clone, Default)]
pub(crate) struct Questions {
    next: Arc<AtomicU64>,
    open: Arc<Mutex<HashMap<u64, oneshot::Sender<Ruling>>>>,
}

impl Questions {
    fn open(&self) -> Option<(u64, oneshot::Receiver<Ruling>)> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MAX_QUESTIONS {
            return None;
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        open.insert(id, reply);
        Some((id, answer))
    }

    fn forget(&self, id: u64) {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
    }

    /// The host's answer.
    pub(crate) fn answer(&self, id: u64, ruling: Ruling) {
        let reply = self
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
        if let Some(reply) = reply {
            // Whoever asked may have given up.
            let _ = reply.send(ruling);
        }
    }
}
