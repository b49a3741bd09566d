//! A live run: machine, agent, egress and trace, brought together.
//!
//! Owns: the order of things, from the first boot to the last event, and the
//! tasks in between. Must not: decide (the core does) or draw (the screen does).

mod clock;
mod core;
mod desk;
mod disk;
mod guest;
mod identity;
mod lookout;
mod plan;
mod prepare;
mod saved;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use belljar_event::wire::{FromAgent, Setup, StreamKind, ToAgent, Uploaded};
use belljar_event::{Armed, Copied, End, LimitReached, Lost, Op};
use belljar_recorder::{Start, Writer};
use belljar_replay::canary::Canaries;
use belljar_replay::hex;
use belljar_replay::policy::{Enforced, Policy};
use belljar_replay::session::Session;
use belljar_vmm::egress::{Ask, Egress};
use belljar_vmm::link::{FrameReader, Link, read_frame};
use belljar_vmm::{Spec, Vm};
use tokio::sync::mpsc;
use tokio_util::io::SyncIoBridge;

use self::core::{Asking, Core, Input};
pub(crate) use self::core::{Done, Watcher, Word};
pub(crate) use self::desk::Reply;
use self::disk::Disk;
use self::lookout::ForCanaries;
pub(crate) use self::plan::Plan;
pub(crate) use self::prepare::{Guest, cache_dir, flavoured, prepare, recipe};
use self::saved::{Saver, Tell};
use crate::error::AppError;
use crate::ways::script::Script;
use crate::{decoys, random};

/// The guest boots, loads its programs and tests itself within this time, even
/// emulated on a busy machine.
const UP: Duration = Duration::from_secs(180);
/// A machine that was told to stop has this long to do so.
const DOWN: Duration = Duration::from_secs(5);
/// A machine whose channel broke is given this long to end, which explains it.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How many inputs may wait for the core. Few, since one can be a whole frame of
/// events: what a slow disk holds up waits in the guest.
const INPUTS: usize = 64;

/// The stage in which the payload runs.
pub(crate) const RUNNING: &str = "running";

/// Somebody at the terminal.
pub(crate) struct Person {
    /// What they say.
    pub(crate) words: mpsc::Receiver<Word>,
    /// Shows them something that is no event of the run.
    pub(crate) tell: Tell,
}

/// What somebody who waits is told.
pub(crate) type Stage<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// Boots, runs and records. Returns what was recorded even if the run broke in
/// the middle; an error means that nothing was recorded at all, or that
/// recording itself failed.
pub(crate) async fn drive(
    plan: &Plan,
    guest: &Guest,
    sink: impl FnOnce() -> Result<File, AppError>,
    watcher: Option<Watcher>,
    stops: &mut mpsc::Receiver<End>,
    person: Option<Person>,
    stage: Stage<'_>,
) -> Result<Done, AppError> {
    stage("booting the machine");
    let spec = spec(plan, guest);
    let mut vm = tokio::select! {
        vm = belljar_vmm::boot(&spec) => vm?,
        end = stops.recv() => return Err(stopped_early(end.as_ref())),
    };
    let start = start(plan, guest);
    let session = Session::new(Arc::clone(&plan.rules)).with_start(&start);
    let laid = decoys::make(random::stream()?);
    let (user, hostname) = identity::pick(random::stream()?);
    let home = format!("/home/{user}");
    let policy = prepare::policy(plan, guest, &home)?;
    let mut enforced = prepare::enforced(&policy, &laid.facts(&home))?;
    if person.is_none() && enforced.kills & Op::Connect.bit() == 0 {
        // Nobody is asked, so a connect that may be asked about is refused at once.
        enforced.held &= !Op::Connect.bit();
    }
    let (person, tell) = person.map_or((None, None), |person| {
        (Some(person.words), Some(person.tell))
    });
    let file = sink()?;
    let kept = file
        .try_clone()
        .map_err(|source| AppError::io("keep the trace open", source))?;
    let writer = Writer::create(file, start)?;
    let (to_agent, from_core) = mpsc::channel(256);
    let (still, stand_still) = mpsc::unbounded_channel();
    let stopped = Arc::new(AtomicBool::new(false));
    let mut core = Core::new(
        writer,
        session,
        policy.clone(),
        to_agent.clone(),
        watcher,
        Disk::new(kept),
        Script::new(plan.steps.clone(), plan.keep_going),
        Asking {
            person: person.is_some(),
            pause: plan.pause,
            patience: plan.patience,
            machine: still,
            saver: Saver::new(&plan.policies, &home, tell),
        },
        plan.terminate.unwrap_or(person.is_none()),
    );
    let mut run = Run {
        plan,
        policy: &policy,
        vm: &mut vm,
        stage,
        to_agent,
        laid,
        names: (user, hostname),
        enforced,
        person,
        stand_still: Some(stand_still),
        stopped: Arc::clone(&stopped),
    };
    let mut end = tokio::select! {
        biased;
        end = stops.recv() => end.unwrap_or(End::Interrupted),
        end = run.steps(&mut core, from_core) => match end {
            Ok(end) => end,
            Err(error @ (AppError::Record(_) | AppError::Sync(_))) => return Err(error),
            Err(error) => End::Failed(error.to_string()),
        },
        () = run_out(plan.timeout, &stopped) => End::TimedOut,
    };
    if let End::Failed(why) | End::GuestLost(why) = &mut end {
        explain(&vm, why).await;
    }
    // A payload that ended leaves a guest that powers off; any other end is ours to make.
    if !matches!(end, End::Finished(_)) || tokio::time::timeout(DOWN, vm.wait()).await.is_err() {
        vm.kill().await;
    }
    if end == End::TimedOut {
        core.state(LimitReached {
            what: "time".into(),
            limit: plan.timeout.as_secs(),
            unit: "s".into(),
        })
        .map_err(record)?;
    }
    core.finish(end).map_err(record)
}

/// Returns when the machine has run for so long; while it stands still no time passes.
async fn run_out(limit: Duration, stopped: &AtomicBool) {
    const STEP: Duration = Duration::from_millis(100);
    let mut left = limit;
    while left > Duration::ZERO {
        let step = left.min(STEP);
        tokio::time::sleep(step).await;
        if !stopped.load(Ordering::Relaxed) {
            left = left.saturating_sub(step);
        }
    }
}

/// What the trace begins with.
pub(crate) fn start(plan: &Plan, guest: &Guest) -> Start {
    Start {
        engine: env!("CARGO_PKG_VERSION").into(),
        label: plan.label.clone(),
        command: plan.command(),
        image: guest.image.digest.clone(),
        kernel: guest.image.kernel_release.clone(),
        rules: hex(&plan.rules.digest()),
        redacted: Vec::new(),
    }
}

fn record(error: self::core::CoreError) -> AppError {
    match error {
        self::core::CoreError::Record(error) => AppError::Record(error),
        self::core::CoreError::Sync(error) => AppError::Sync(error),
    }
}

fn stopped_early(end: Option<&End>) -> AppError {
    let why = match end {
        Some(End::TimedOut) => "the time was up",
        _ => "stopped",
    };
    AppError::Guest(format!("{why} before the machine was up"))
}

/// How the machine ended, if it did and nobody has said so yet.
async fn explain(vm: &Vm, why: &mut String) {
    if why.contains("machine ended") {
        return;
    }
    if let Ok(exit) = tokio::time::timeout(LAST_WORDS, vm.wait()).await {
        *why = format!("{why}; the machine ended: {exit}");
        let last = |told: fn(&str) -> bool| exit.console.lines().rfind(|line| told(line));
        // A panic says more than what the kernel prints behind it.
        let line = last(|line| line.contains("panic: ") || line.contains("Kernel panic"))
            .or_else(|| last(|line| !line.trim().is_empty()));
        if let Some(line) = line {
            *why = format!("{why}; on its console: {}", line.trim());
        }
    }
}

fn spec(plan: &Plan, guest: &Guest) -> Spec {
    let mut spec = Spec::new(&guest.image.kernel, &guest.initramfs, &guest.image.root);
    spec.machine = plan.machine;
    spec.cpus = plan.cpus;
    spec.memory_mib = plan.memory;
    spec.allow_degraded = plan.allow_degraded;
    spec.cmdline_extra.clone_from(&plan.guest_cmdline);
    spec
}

/// One run under way.
struct Run<'a> {
    plan: &'a Plan,
    policy: &'a Policy,
    vm: &'a mut Vm,
    stage: Stage<'a>,
    to_agent: mpsc::Sender<ToAgent>,
    laid: decoys::Laid,
    names: (String, String),
    enforced: Enforced,
    person: Option<mpsc::Receiver<Word>>,
    stand_still: Option<mpsc::UnboundedReceiver<bool>>,
    stopped: Arc<AtomicBool>,
}

/// What the agent says when the guest is set up.
struct Ready {
    now: u64,
    home: String,
    armed: Armed,
}

impl Run<'_> {
    async fn steps<W: Write>(
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
            AppError::Guest(format!("the guest was not ready after {} s", UP.as_secs()))
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

    async fn upload(&self, link: &Link, project: &Path) -> Result<Copied, AppError> {
        let stream = link.open(StreamKind::Upload).await?;
        let (mut answer, archive) = tokio::io::split(stream);
        let (project, limit) = (project.to_owned(), u64::from(self.plan.disk));
        let packing = tokio::task::spawn_blocking(move || {
            let mut bridge = SyncIoBridge::new(archive);
            let copied = crate::project::pack(
                &project,
                limit,
                std::io::BufWriter::with_capacity(1 << 16, &mut bridge),
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
