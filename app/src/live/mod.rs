//! A live run: machine, agent, egress and trace, brought together.
//!
//! Owns: the order of things, from the first boot to the last event, and the
//! tasks in between. Must not: decide (the core does) or draw (the screen does).

mod clock;
mod core;
mod desk;
mod disk;
#[cfg(test)]
pub(crate) mod flood;
mod guest;
mod identity;
mod lookout;
mod plan;
mod prepare;
mod root;
mod run;
mod saved;

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use belljar_event::{End, LimitReached, Op};
use belljar_recorder::{Start, Writer};
use belljar_replay::hex;
use belljar_replay::session::Session;
use belljar_vmm::{Spec, Vm};
use tokio::sync::mpsc;

use self::core::{Asking, Core};
pub(crate) use self::core::{Done, Watcher, Word};
pub(crate) use self::desk::Reply;
use self::disk::Disk;
pub(crate) use self::plan::Plan;
pub(crate) use self::prepare::{Guest, cache_dir, flavoured, prepare, recipe};
use self::root::Root;
use self::run::Run;
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
const LAST_WORDS: Duration = Duration::from_secs(10);
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
    let root = Root::watch(&guest.image.root, &guest.image.digest)?;
    let mut vm = tokio::select! {
        vm = belljar_vmm::boot(&spec) => vm?,
        end = stops.recv() => return Err(stopped_early(end.as_ref())),
    };
    if vm.woken() {
        stage("going on with a machine that has booted");
    }
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
    core.finish(root.end(end)).map_err(record)
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
        // A panic says more than what the kernel prints behind it, and so does the
        // agent when it switches the machine off: at first, since the devices that
        // go away then are reasons of their own.
        let line = last(|line| line.contains("panic: ") || line.contains("Kernel panic"))
            .or_else(|| {
                let mut lines = exit.console.lines();
                lines.find(|line| line.contains("power off: "))
            })
            .or_else(|| last(|line| !line.trim().is_empty()));
        if let Some(line) = line {
            *why = format!("{why}; on its console: {}", line.trim());
        }
    }
}

fn spec(plan: &Plan, guest: &Guest) -> Spec {
    let mut spec = Spec::new(&guest.image.kernel, &guest.initramfs, &guest.image.root);
    spec.machine = plan.machine;
    spec.cloud_hypervisor.clone_from(&plan.cloud_hypervisor);
    if !plan.cold {
        // Without a cache there is no image either, which is told elsewhere.
        spec.warm = cache_dir().ok().map(|cache| cache.join("warm"));
    }
    spec.cpus = plan.cpus;
    spec.memory_mib = plan.memory;
    spec.allow_degraded = plan.allow_degraded;
    spec.cmdline_extra.clone_from(&plan.guest_cmdline);
    spec
}
