//! One run, once its machine has been started: step by step to its end.
//!
//! Owns: setting the guest up, copying the project in, and the tasks that carry
//! what the guest, the egress and the person say to the core.
//! Must not: decide (the core does), or outlive the machine.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use belljar_event::wire::{FromAgent, Setup, StreamKind, ToAgent, Uploaded};
use belljar_event::{Armed, Copied, End, Lost};
use belljar_replay::canary::Canaries;
use belljar_replay::policy::{Enforced, Policy};
use belljar_vmm::Vm;
use belljar_vmm::egress::{Ask, Egress};
use belljar_vmm::link::{FrameReader, Link, read_frame};
use tokio::sync::mpsc;
use tokio_util::io::SyncIoBridge;

use super::core::{Core, Input, Word};
use super::lookout::ForCanaries;
use super::plan::Plan;
use super::{DOWN, INPUTS, RUNNING, Stage, UP, clock, guest, prepare, record};
use crate::error::AppError;
use crate::{decoys, random};

/// How often it is looked whether the guest takes the project.
const LOOK: Duration = Duration::from_secs(1);

/// One run under way.
pub(super) struct Run<'a> {
    pub(super) plan: &'a Plan,
    pub(super) policy: &'a Policy,
    pub(super) vm: &'a mut Vm,
    pub(super) stage: Stage<'a>,
    pub(super) to_agent: mpsc::Sender<ToAgent>,
    pub(super) laid: decoys::Laid,
    pub(super) names: (String, String),
    pub(super) enforced: Enforced,
    pub(super) person: Option<mpsc::Receiver<Word>>,
    pub(super) stand_still: Option<mpsc::UnboundedReceiver<bool>>,
    pub(super) stopped: Arc<AtomicBool>,
}

/// What the agent says when the guest is set up.
struct Ready {
    now: u64,
    home: String,
    armed: Armed,
}

impl Run<'_> {
    pub(super) async fn steps<W: Write>(
        &mut self,
        core: &mut Core<W>,
        from_core: mpsc::Receiver<ToAgent>,
    ) -> Result<End, AppError> {
        let setup = self.setup()?;
        (self.stage)("waiting for the guest's agent");
        let link = Arc::new(self.vm.link(UP).await?);
        (self.stage)("setting the guest up");
        let control = link.open(StreamKind::Control).await?;
        let (listening, speaking) = tokio::io::split(control);
        let mut frames = FrameReader::new(listening);
        let speaker = tokio::spawn(guest::speak(speaking, from_core));
        self.say(ToAgent::Setup(Box::new(setup))).await?;
        let ready = self.ready(&mut frames).await?;

        core.set_clock(ready.now);
        core.state(self.vm.machine()).map_err(record)?;
        let unproved: Vec<_> = ready
            .armed
            .checks
            .iter()
            .filter(|check| !check.held)
            .map(|check| check.name.clone())
            .collect();
        core.state(ready.armed).map_err(record)?;
        core.state(prepare::policy_fact(self.policy))
            .map_err(record)?;
        let decoys = self.laid.facts(&ready.home);
        let lookout = ForCanaries {
            canaries: Canaries::of(&decoys),
            cut: !self.plan.lure,
        };
        core.state(decoys).map_err(record)?;
        if !self.plan.observe {
            let place = "every call: tracing was switched off".into();
            core.state(Lost { count: 1, place }).map_err(record)?;
        }
        core.publish().map_err(record)?;
        if !unproved.is_empty() {
            return Ok(End::Failed(format!(
                "the guest is not armed: not proved: {}",
                unproved.join("; ")
            )));
        }
        if let Some(project) = &self.plan.project {
            (self.stage)("copying the project in");
            core.state(self.upload(&link, project).await?)
                .map_err(record)?;
            core.publish().map_err(record)?;
        }

        let (inputs, mut to_core) = mpsc::channel(INPUTS);
        let tasks = [
            speaker,
            tokio::spawn(guest::listen(frames, inputs.clone())),
            tokio::spawn(serve_flows(
                Arc::clone(&link),
                Egress::new(self.plan.flow_limits).watched(Arc::new(lookout)),
                inputs.clone(),
            )),
            tokio::spawn(listen_to(self.person.take(), inputs)),
        ];
        (self.stage)(RUNNING);
        let machine = obey(self.vm, self.stand_still.take(), Arc::clone(&self.stopped));
        let end = tokio::select! {
            end = core.run(&mut to_core) => end.map_err(record)?,
            why = machine => End::Failed(why),
        };
        // A full queue means an agent that does not read: it is killed.
        let _ = self.to_agent.try_send(ToAgent::Stop);
        // The agent reads it before the link goes away with this function.
        let _ = tokio::time::timeout(DOWN, self.vm.wait()).await;
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        Ok(end)
    }

    async fn say(&self, message: ToAgent) -> Result<(), AppError> {
        self.to_agent
            .send(message)
            .await
            .map_err(|_| AppError::Guest("the guest's channel closed while it was set up".into()))
    }

    fn setup(&self) -> Result<Setup, AppError> {
        let (user, hostname) = self.names.clone();
        Ok(Setup {
            unix_nanos: clock::unix_nanos(),
            entropy: random::bytes()?,
            hostname,
            user,
            decoys: self.laid.files.clone(),
            direct: self.policy.direct(),
            pids: self.plan.pids,
            event_rate: self.plan.event_rate,
            disk_mib: self.plan.disk,
            observe: self.plan.observe,
            lines: self.enforced.lines.clone(),
            held: self.enforced.held,
        })
    }

    async fn ready<R: tokio::io::AsyncRead + Unpin>(
        &self,
        frames: &mut FrameReader<FromAgent, R>,
    ) -> Result<Ready, AppError> {
        let message = tokio::time::timeout(UP, frames.next()).await.map_err(|_| {
            AppError::Guest(format!(
                "the guest was not ready after {} s; its console:\n{}",
                UP.as_secs(),
                self.vm.console_tail()
            ))
        })?;
        match message {
            Ok(Some(FromAgent::Ready {
                now, home, armed, ..
            })) => Ok(Ready { now, home, armed }),
            Ok(Some(FromAgent::Failed(why))) => Err(AppError::Guest(format!(
                "the guest could not be set up: {why}"
            ))),
            Ok(Some(_)) => Err(AppError::Guest("the agent spoke out of turn".into())),
            Ok(None) => Err(AppError::Guest(format!(
                "the guest ended while it was set up; its console:\n{}",
                self.vm.console_tail()
            ))),
            Err(error) => Err(AppError::Guest(format!(
                "the agent's message cannot be read: {error}"
            ))),
        }
    }

    /// Copies the project in. A guest that takes nothing of it for a while is lost.
    async fn upload(&self, link: &Link, project: &Path) -> Result<Copied, AppError> {
        let taken = Arc::new(AtomicU64::new(0));
        let work = self.send(link, project, Arc::clone(&taken));
        tokio::pin!(work);
        let (mut seen, mut since) = (0, tokio::time::Instant::now());
        loop {
            tokio::select! {
                copied = &mut work => return copied,
                () = tokio::time::sleep(LOOK) => {}
            }
            let now = taken.load(Ordering::Relaxed);
            if now != seen {
                (seen, since) = (now, tokio::time::Instant::now());
            } else if since.elapsed() > UP {
                return Err(AppError::Guest(format!(
                    "the guest took nothing of the project for {} s, {now} bytes of it before",
                    UP.as_secs()
                )));
            }
        }
    }

    async fn send(
        &self,
        link: &Link,
        project: &Path,
        taken: Arc<AtomicU64>,
    ) -> Result<Copied, AppError> {
        let stream = link.open(StreamKind::Upload).await?;
        let (mut answer, archive) = tokio::io::split(stream);
        let (project, limit) = (project.to_owned(), u64::from(self.plan.disk));
        let packing = tokio::task::spawn_blocking(move || {
            let mut bridge = SyncIoBridge::new(archive);
            let counted = Counted(&mut bridge, taken);
            let copied = crate::project::pack(
                &project,
                limit,
                std::io::BufWriter::with_capacity(1 << 16, counted),
            );
            let closed = bridge.shutdown();
            copied.and_then(|copied| {
                closed
                    .map(|()| copied)
                    .map_err(crate::project::PackError::Write)
            })
        });
        let packed = packing
            .await
            .map_err(|e| AppError::Guest(format!("copying the project broke off: {e}")))?;
        let answer = read_frame::<Uploaded>(&mut answer).await;
        // The guest's reason explains a write that failed.
        if let Ok(Some(Uploaded { error: Some(error) })) = &answer {
            return Err(AppError::Guest(format!(
                "the guest could not take the project: {error}"
            )));
        }
        let copied = packed?;
        match answer {
            Ok(Some(Uploaded { error: None })) => Ok(copied),
            _ => Err(AppError::Guest(
                "the guest did not confirm the project's arrival".into(),
            )),
        }
    }
}

/// A writer that tells how much was taken.
struct Counted<W>(W, Arc<AtomicU64>);

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.0.write(bytes)?;
        self.1.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Carries what the person says to the core.
async fn listen_to(person: Option<mpsc::Receiver<Word>>, inputs: mpsc::Sender<Input>) {
    let Some(mut person) = person else { return };
    while let Some(word) = person.recv().await {
        if inputs.send(Input::Person(word)).await.is_err() {
            return;
        }
    }
}

/// Stops and starts the machine as it is told; returns only if it cannot.
async fn obey(
    vm: &Vm,
    told: Option<mpsc::UnboundedReceiver<bool>>,
    stopped: Arc<AtomicBool>,
) -> String {
    let Some(mut told) = told else {
        return std::future::pending().await;
    };
    while let Some(still) = told.recv().await {
        let done = if still {
            vm.pause().await
        } else {
            vm.resume().await
        };
        stopped.store(still, Ordering::Relaxed);
        if let Err(error) = done {
            // A machine that is gone is told of elsewhere, with more words.
            tokio::time::sleep(DOWN).await;
            return format!("the machine cannot be stopped and started: {error}");
        }
    }
    std::future::pending().await
}

/// Judges and relays every flow that the guest opens.
async fn serve_flows(link: Arc<Link>, egress: Egress, inputs: mpsc::Sender<Input>) {
    let (asks, mut asked) = mpsc::channel::<Ask>(INPUTS);
    let forward = tokio::spawn(async move {
        while let Some(ask) = asked.recv().await {
            if inputs.send(Input::Egress(ask)).await.is_err() {
                return;
            }
        }
    });
    while let Some((kind, stream)) = link.accept().await {
        if let StreamKind::Flow(request) = kind {
            tokio::spawn(egress.serve(stream, request, asks.clone()));
        }
    }
    drop(asks);
    let _ = forward.await;
}
