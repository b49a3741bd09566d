//! The middle of a live run: everything that happens goes through here, in one order.
//!
//! Owns: the trace writer, the session, the policy's decisions, the end of the run.
//! Must not: know sockets, machines or a terminal; inputs arrive as [`Input`],
//! outputs leave through the sinks it is given.
//!
//! The order is the promise: an event is recorded, then shown and judged, and a
//! decision is recorded before the one who asked hears it.

mod doom;
mod flows;
mod holds;

use std::collections::HashMap;
use std::io::Write;

use belljar_event::wire::{FromAgent, ToAgent};
use belljar_event::{End, Event, Fact, Lost, Outcome, Status};
use belljar_recorder::{Entry, Finished, WriteError, Writer};
use belljar_replay::policy::Policy;
use belljar_replay::session::Session;
use belljar_replay::verdict::{Reason, Verdict};
use belljar_vmm::egress::Ask;
use tokio::sync::mpsc;

use self::doom::Doomed;
use self::flows::Asked;
use self::holds::Stillness;
pub(crate) use self::holds::{Asking, Word};
use super::clock::GuestClock;
use super::desk::Desk;
use super::disk::Disk;
use crate::ways::installed;
use crate::ways::script::Script;
use crate::ways::transcript::Transcript;

/// How long an event may wait to be written, at most.
const FLUSH: std::time::Duration = std::time::Duration::from_millis(50);
/// How often what is written is also forced to the disk.
const SYNC: std::time::Duration = std::time::Duration::from_secs(1);
/// How long flows may go on after the payload ended.
const GRACE: std::time::Duration = std::time::Duration::from_secs(3);
/// The agent tells every second what the payload uses. After so many of its
/// own seconds without a word the host takes it for dead. Many, since an
/// emulated guest on a busy machine can be slow; a host that is itself held up
/// (by a slow disk) counts no seconds meanwhile.
const SILENCE: u32 = 60;

/// What reaches the core.
#[derive(Debug)]
pub(crate) enum Input {
    /// From the guest's agent.
    Agent(FromAgent),
    /// From the egress.
    Egress(Ask),
    /// From the person at the terminal.
    Person(Word),
    /// The run must end.
    Stop(End),
}

/// Why a run could not be recorded to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CoreError {
    /// The trace cannot be written.
    #[error(transparent)]
    Record(#[from] WriteError),
    /// It does not reach the disk.
    #[error("the trace does not reach the disk: {0}")]
    Sync(#[from] std::io::Error),
}

/// Where entries go once they are recorded. False: nobody watches any more.
pub(crate) type Watcher = Box<dyn FnMut(Vec<Entry>) -> bool + Send>;

/// What a finished run leaves.
pub(crate) struct Done {
    /// The writer's receipt.
    pub(crate) finished: Finished,
    /// Everything folded.
    pub(crate) session: Session,
    /// How the run ended.
    pub(crate) end: End,
    /// What the phases that ask were answered.
    pub(crate) transcript: Transcript,
}

/// See the module.
pub(crate) struct Core<W: Write> {
    writer: Writer<W>,
    session: Session,
    policy: Policy,
    clock: GuestClock,
    agent: mpsc::Sender<ToAgent>,
    watcher: Option<Watcher>,
    disk: Disk,
    script: Script,
    transcript: Transcript,
    desk: Desk,
    asking: Asking,
    stillness: Stillness,
    doomed: Doomed,
    /// Ends the run once its verdict is MALICIOUS.
    terminate: bool,
    /// How many findings have been weighed for that.
    weighed: usize,
    /// Flows under way, with the process and thread that wanted each.
    flows: HashMap<u64, (u32, u32)>,
    ended: Option<Status>,
}

impl<W: Write> Core<W> {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is another part of a run, named once, where the run is put together"
    )]
    pub(crate) fn new(
        writer: Writer<W>,
        session: Session,
        policy: Policy,
        agent: mpsc::Sender<ToAgent>,
        watcher: Option<Watcher>,
        disk: Disk,
        script: Script,
        asking: Asking,
        terminate: bool,
    ) -> Self {
        let clock = GuestClock::set(0);
        Self {
            writer,
            session,
            policy,
            clock,
            agent,
            watcher,
            disk,
            script,
            transcript: Transcript::default(),
            desk: Desk::default(),
            asking,
            stillness: Stillness::default(),
            doomed: Doomed::default(),
            terminate,
            weighed: 0,
            flows: HashMap::new(),
            ended: None,
        }
    }

    /// From now on the guest's clock is known.
    pub(crate) fn set_clock(&mut self, guest_now: u64) {
        self.clock = GuestClock::set(guest_now);
    }

    /// Records a fact that the host states.
    pub(crate) fn state(&mut self, fact: impl Into<Fact>) -> Result<(), CoreError> {
        let event = Event::host(self.clock.now(), fact.into());
        self.writer.append(event)?;
        Ok(())
    }

    /// Records what a thread (process, thread) of the guest is about.
    fn append(
        &mut self,
        at: u64,
        (pid, tid): (u32, u32),
        fact: impl Into<Fact>,
    ) -> Result<(), CoreError> {
        self.writer.append(Event {
            at,
            pid,
            tid,
            outcome: Outcome::None,
            fact: fact.into(),
        })?;
        Ok(())
    }

    /// Writes what waits, then judges and shows it.
    pub(crate) fn publish(&mut self) -> Result<Option<Entry>, CoreError> {
        // The disk may be slow: the other tasks go on on another thread then.
        let entries = tokio::task::block_in_place(|| self.writer.flush())?;
        self.show(entries)
    }

    fn show(&mut self, entries: Vec<Entry>) -> Result<Option<Entry>, CoreError> {
        for entry in &entries {
            self.session.push(entry);
            self.transcript.push(entry);
        }
        let last = entries.last().cloned();
        if !entries.is_empty()
            && let Some(watcher) = &mut self.watcher
            && !watcher(entries)
        {
            self.watcher = None;
        }
        Ok(last)
    }

    /// Starts the next phase; without one the run has ended.
    fn advance(&mut self) {
        match self.script.next() {
            // A closed queue means a broken channel, which ends the run.
            // So does an agent that reads nothing any more: it is silent as well.
            Some(launch) => drop(self.agent.try_send(ToAgent::Start(launch))),
            None => self.ended = Some(self.script.status()),
        }
    }

    /// Runs all phases, until the last has ended and its flows are closed, or until told to stop.
    pub(crate) async fn run(
        &mut self,
        inputs: &mut mpsc::Receiver<Input>,
    ) -> Result<End, CoreError> {
        let mut flush = tokio::time::interval(FLUSH);
        flush.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut sync = tokio::time::interval(SYNC);
        sync.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut last_call = None;
        let mut silent = 0;
        self.advance();
        loop {
            tokio::select! {
                biased;
                _ = flush.tick() => drop(self.publish()?),
                _ = sync.tick() => {
                    self.disk.sync()?;
                    self.lose_patience()?;
                    if self.is_stopped() {
                        silent = 0;
                    } else {
                        self.end_doomed(false);
                    }
                    silent += 1;
                    if silent > SILENCE && self.ended.is_none() {
                        return Ok(End::GuestLost(format!(
                            "the guest's agent has said nothing for {SILENCE} s"
                        )));
                    }
                }
                input = inputs.recv() => match input {
                    Some(input) => {
                        if matches!(input, Input::Agent(_)) {
                            silent = 0;
                        }
                        if let Some(end) = self.handle(input)? {
                            return Ok(end);
                        }
                    }
                    None => return Ok(End::GuestLost("the guest's channel closed".into())),
                },
            }
            if let Some(end) = self.condemned() {
                self.publish()?;
                return Ok(end);
            }
            if let Some(status) = self.ended {
                let until = *last_call.get_or_insert_with(|| tokio::time::Instant::now() + GRACE);
                if self.flows.is_empty() || tokio::time::Instant::now() >= until {
                    self.publish()?;
                    return Ok(End::Finished(status));
                }
            }
        }
    }

    /// The end of a run that turned out hostile, where that ends it.
    fn condemned(&mut self) -> Option<End> {
        let found = self.session.findings().len();
        if !self.terminate || found == self.weighed {
            return None;
        }
        self.weighed = found;
        let judgement = self.session.judgement();
        if judgement.verdict != Verdict::Malicious {
            return None;
        }
        let decided = judgement
            .reasons
            .iter()
            .find(|reason| reason.weighs() == Verdict::Malicious);
        let numbers = match decided {
            Some(Reason::Finding { number, .. }) => vec![*number],
            Some(Reason::Together { numbers }) => numbers.clone(),
            _ => Vec::new(),
        };
        let rules: Vec<_> = self
            .session
            .findings()
            .iter()
            .filter(|finding| numbers.contains(&finding.number))
            .map(|finding| finding.rule.id.as_str())
            .collect();
        let why = format!("the verdict turned MALICIOUS ({})", rules.join(", "));
        Some(End::Stopped(why))
    }

    /// Writes the end; nothing can be recorded after it.
    pub(crate) fn finish(mut self, end: End) -> Result<Done, CoreError> {
        self.publish()?;
        let mut finished = self.writer.finish_at(self.clock.now(), end.clone())?;
        self.disk.finish()?;
        let entries = std::mem::take(&mut finished.entries);
        self.show(entries)?;
        Ok(Done {
            finished,
            session: self.session,
            end,
            transcript: self.transcript,
        })
    }

    fn handle(&mut self, input: Input) -> Result<Option<End>, CoreError> {
        match input {
            Input::Stop(end) => return Ok(Some(end)),
            Input::Agent(message) => return self.agent_said(message),
            Input::Egress(ask) => self.egress_said(ask)?,
            Input::Person(word) => self.said(word)?,
        }
        Ok(None)
    }

    fn agent_said(&mut self, message: FromAgent) -> Result<Option<End>, CoreError> {
        match message {
            FromAgent::Events(events) => {
                for event in events {
                    self.append_from_guest(event)?;
                }
            }
            FromAgent::NameQuestion {
                id,
                at,
                pid,
                name,
                kind,
                answer,
            } => {
                self.name_asked(
                    id,
                    Asked {
                        at,
                        pid,
                        name,
                        kind,
                        answer,
                    },
                )?;
            }
            FromAgent::Exited(status) => {
                // What follows may depend on what was written: it is recorded first.
                self.publish()?;
                let asked = self.script.asking();
                if let Some(fact) = asked.and_then(|phase| installed::of(phase, &self.transcript)) {
                    self.state(fact)?;
                }
                self.script.ended(status, &self.transcript);
                self.advance();
            }
            FromAgent::Hold(hold) => self.held(*hold)?,
            FromAgent::Unheld { id } => self.gone(id)?,
            FromAgent::Failed(why) => return Ok(Some(End::Failed(why))),
            // A second one would be a lie.
            FromAgent::Ready { .. } => {
                return Ok(Some(End::Failed("the agent announced itself twice".into())));
            }
        }
        Ok(None)
    }

    /// The guest may report what happens in it, not what the host decides.
    fn append_from_guest(&mut self, event: Event) -> Result<(), CoreError> {
        if host_only(&event.fact) {
            let place = format!(
                "event of kind {} that only the host may make",
                event.fact.kind_name()
            );
            return self.state(Lost { count: 1, place });
        }
        match self.writer.append(event) {
            // One event that cannot be written is a loss, not the end of recording.
            Err(WriteError::Event { .. }) => self.state(Lost {
                count: 1,
                place: "event too large".into(),
            }),
            other => Ok(other?),
        }
    }
}

/// Facts that a compromised guest must not be able to forge.
pub(super) fn host_only(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::Policy(_)
            | Fact::Decoys(_)
            | Fact::Machine(_)
            | Fact::Copied(_)
            | Fact::Ended(_)
            | Fact::Name(_)
            | Fact::FlowAsked(_)
            | Fact::Decision(_)
            | Fact::FlowOpened(_)
            | Fact::FlowClosed(_)
            | Fact::TlsHello(_)
            | Fact::HttpRequest(_)
            | Fact::CanarySeen(_)
            | Fact::Held(_)
            | Fact::Question(_)
            | Fact::Answer(_)
            | Fact::Freeze(_)
            | Fact::Installed(_)
    )
}
