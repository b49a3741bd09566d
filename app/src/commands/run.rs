//! `belljar run`: threads, terminal and signals around a live run.
//!
//! The run lives on a runtime's threads; the screen, if there is one, on the
//! main thread. They meet in two channels: entries one way, a stop the other.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use belljar_event::End;
use belljar_recorder::{Integrity, Start};
use belljar_replay::report::Report;
use belljar_vmm::image::Progress;
use tokio::sync::mpsc;

use super::kept::Kept;
use super::verdict_exit;
use crate::cli::{self, Format, Options};
use crate::error::AppError;
use crate::exit::Exit;
use crate::live::{self, Done, Guest, Plan, Watcher};
use crate::print;
use crate::screen::{self, Msg, Theme};

/// How many batches may wait for the screen before recording waits for it too.
const BATCHES: usize = 256;

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, AppError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| AppError::io("start threads", source))
}

/// Runs a folder or a repository.
pub(crate) fn run(args: &cli::Run, theme: Theme) -> Result<Exit, AppError> {
    carry_out(
        Plan::of_run(args, super::rules::loaded(&args.options.rules)?)?,
        &args.options,
        theme,
    )
}

/// Tries an npm package.
pub(crate) fn npm(args: &cli::Npm, theme: Theme) -> Result<Exit, AppError> {
    carry_out(
        Plan::of_npm(args, super::rules::loaded(&args.options.rules)?)?,
        &args.options,
        theme,
    )
}

/// Tries a Python package.
pub(crate) fn pip(args: &cli::Pip, theme: Theme) -> Result<Exit, AppError> {
    carry_out(
        Plan::of_pip(args, super::rules::loaded(&args.options.rules)?)?,
        &args.options,
        theme,
    )
}

/// Runs, shows, reports.
fn carry_out(plan: Plan, args: &Options, theme: Theme) -> Result<Exit, AppError> {
    let plan = Arc::new(plan);
    let output = output_path(args, &plan)?;
    let files = super::image::kernel_files(args.kernel.as_deref(), args.modules.as_deref())?;
    let guest = Arc::new(live::prepare(
        &live::cache_dir()?,
        args.image.as_deref(),
        files.as_ref(),
        &mut progress(),
    )?);
    let runtime = runtime()?;
    let (stop, stops) = mpsc::channel(4);
    let signals = stop.clone();
    runtime.spawn(async move { signal(signals).await });
    let result = if !args.headless && print::interactive() {
        with_screen(
            &runtime,
            &plan,
            &guest,
            &output,
            Stopping { stop, stops },
            theme,
        )
    } else {
        headless(&runtime, &plan, &guest, &output, stops, args.format)
    };
    // Whatever still hangs on the machine's pipes must not keep belljar alive.
    runtime.shutdown_background();
    let done = result?;
    if let Err(error) = super::pack::pack(&output) {
        print::error(&error.present());
        print::error("  the trace stays as it was recorded, in many small blocks");
    }
    conclude(&done, &live::start(&plan, &guest), args, &output)
}

/// What raises each limit.
const LIMITS: &[(&str, &str)] = &[
    ("pids", "--pids"),
    ("memory", "--memory"),
    ("disk", "--disk (and --memory, in which it lies)"),
    ("time", "--timeout"),
    ("events", "--event-rate"),
    ("flow bytes", "--flow-limit or --flow-limit-in"),
];

/// The report, and the exit code it leads to.
fn conclude(done: &Done, start: &Start, args: &Options, output: &Path) -> Result<Exit, AppError> {
    let integrity = Integrity::Complete {
        receipt: done.finished.receipt.clone(),
    };
    let report = Report::new(&done.session, &integrity);
    match args.format {
        Format::Table => {
            print::out(&report.to_table(print::width()));
            print::out(&crate::ways::notes::text(&done.transcript, &report));
            print::out(&format!("trace: {}\n", output.display()));
        }
        Format::Json | Format::Jsonl => print::out(&super::json(&report)),
    }
    for (what, option) in LIMITS {
        let told = format!("the limit of {what} was reached");
        if report.reasons.iter().any(|row| row.text.contains(&told)) {
            print::error(&format!("belljar: {told}\n  hint: {option} raises it"));
        }
    }
    if let End::GuestLost(why) | End::Failed(why) = &done.end {
        print::error(&AppError::Guest(format!("the run broke off: {why}")).present());
    }
    match &done.end {
        End::Stopped(_) => Ok(verdict_exit(report.verdict, args.fail_on)),
        End::Finished(_) => super::concluded(&report, start, args.fail_on),
        End::Interrupted => Ok(Exit::Interrupted),
        End::TimedOut => Ok(verdict_exit(report.verdict, args.fail_on)),
        End::GuestLost(_) | End::Failed(_) => Ok(Exit::NotEnforced),
    }
}

/// `-o`, else a name of its own in the user's data folder.
fn output_path(args: &Options, plan: &Plan) -> Result<PathBuf, AppError> {
    if let Some(path) = &args.output {
        return Ok(path.clone());
    }
    let folder = super::traces::folder()?;
    std::fs::create_dir_all(&folder).map_err(|source| AppError::file("create", &folder, source))?;
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let label: String = plan
        .label
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .take(60)
        .collect();
    Ok(folder.join(format!("{}-{label}.bjt", since.as_secs())))
}

fn create(path: &Path) -> Result<File, AppError> {
    File::create(path).map_err(|source| AppError::file("create trace", path, source))
}

/// A line on standard error that is rewritten on a terminal, and a line a stage elsewhere.
pub(super) fn progress() -> impl FnMut(Progress) {
    use std::io::IsTerminal;
    let terminal = std::io::stderr().is_terminal();
    let bar = terminal.then(|| {
        let bar = indicatif::ProgressBar::new_spinner();
        let style = indicatif::ProgressStyle::with_template(
            "{spinner} guest image {prefix} {msg:.dim} {elapsed}",
        );
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.enable_steady_tick(std::time::Duration::from_millis(120));
        bar
    });
    let mut last = None;
    move |step: Progress| {
        let at = format!(
            "[{}/{}] {}",
            step.stage.number(),
            belljar_vmm::image::Stage::count(),
            step.stage.name()
        );
        match &bar {
            Some(bar) => {
                bar.set_prefix(at);
                bar.set_message(step.line.chars().take(60).collect::<String>());
            }
            None if last != Some(step.stage) => print::error(&format!("guest image {at}")),
            None => {}
        }
        last = Some(step.stage);
    }
}

async fn signal(stop: mpsc::Sender<End>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    ) else {
        return;
    };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        if stop.send(End::Interrupted).await.is_err() {
            return;
        }
    }
}

fn headless(
    runtime: &tokio::runtime::Runtime,
    plan: &Plan,
    guest: &Guest,
    output: &Path,
    mut stops: mpsc::Receiver<End>,
    format: Format,
) -> Result<Done, AppError> {
    let watcher: Option<Watcher> = (format == Format::Jsonl).then(|| -> Watcher {
        Box::new(|entries| {
            let mut out = std::io::stdout().lock();
            entries.iter().all(|entry| {
                writeln!(out, "{}", belljar_replay::report::jsonl::line(entry)).is_ok()
            })
        })
    });
    let started = std::time::Instant::now();
    let stage = move |text: &str| {
        print::error(&format!(
            "{:6.1} s  {text}",
            started.elapsed().as_secs_f64()
        ))
    };
    runtime.block_on(live::drive(
        plan,
        guest,
        || create(output),
        watcher,
        &mut stops,
        None,
        &stage,
    ))
}

/// Answers that may wait for the run.
const WORDS: usize = 64;

/// Both ends of the request to stop.
struct Stopping {
    stop: mpsc::Sender<End>,
    stops: mpsc::Receiver<End>,
}

fn with_screen(
    runtime: &tokio::runtime::Runtime,
    plan: &Arc<Plan>,
    guest: &Arc<Guest>,
    output: &Path,
    stopping: Stopping,
    theme: Theme,
) -> Result<Done, AppError> {
    let (messages, source) = sync_channel(BATCHES);
    let (words, person) = mpsc::channel(WORDS);
    let result = Arc::new(Mutex::new(None));
    let background = {
        let (plan, guest, output) = (Arc::clone(plan), Arc::clone(guest), output.to_owned());
        let (messages, result) = (messages.clone(), Arc::clone(&result));
        let mut stops = stopping.stops;
        runtime.spawn(async move {
            let watcher = watcher(messages.clone());
            let stage = staged(messages.clone());
            let notices = messages.clone();
            let done = live::drive(
                &plan,
                &guest,
                || create(&output),
                Some(watcher),
                &mut stops,
                Some(live::Person {
                    words: person,
                    tell: Box::new(move |text| drop(notices.send(Msg::Notice(text)))),
                }),
                &stage,
            )
            .await;
            let _ = messages.send(closing(&done));
            *result
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(done);
        })
    };
    let notices = messages;
    let mut setup = screen::Setup {
        patience: plan
            .patience
            .map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)),
        ..screen::Setup::new(
            screen::Mode::Live,
            live::start(plan, guest),
            Arc::clone(&plan.rules),
            theme,
        )
    };
    let (kept, complaints) = Kept::load(output, &mut setup);
    for complaint in complaints {
        drop(notices.try_send(Msg::Notice(complaint)));
    }
    let stop = stopping.stop.clone();
    let obey = |effect: &screen::Effect| match effect {
        // Full means that it was asked for already.
        screen::Effect::Interrupt => drop(stop.try_send(End::Interrupted)),
        screen::Effect::Answer {
            hold,
            action,
            scope,
        } => {
            let reply = live::Reply {
                hold: *hold,
                action: *action,
                scope: scope.clone(),
            };
            // The question stays on the screen until its answer is recorded.
            drop(words.try_send(live::Word::Answer(reply)));
        }
        // What finds no room was one of very many: the key can be pressed again.
        screen::Effect::Freeze(frozen) => drop(words.try_send(live::Word::Freeze(*frozen))),
        screen::Effect::Kill(pid) => drop(words.try_send(live::Word::Kill(*pid))),
        screen::Effect::Here => drop(words.try_send(live::Word::Here)),
        screen::Effect::Marks(_) | screen::Effect::Filters(_) => {
            if let Some(wrong) = kept.obey(effect) {
                drop(notices.try_send(Msg::Notice(wrong)));
            }
        }
        // The terminal's own, or another screen's.
        screen::Effect::Quit
        | screen::Effect::Copy(_)
        | screen::Effect::Suspend
        | screen::Effect::Evidence(_) => {}
    };
    let shown = screen::run(
        screen::Model::new(setup),
        &source,
        obey,
        screen::Options::default(),
    );
    // From here on nobody takes what is sent.
    drop(source);
    // Leaving the screen ends a run that still goes on.
    let _ = stopping.stop.try_send(End::Interrupted);
    let _ = runtime.block_on(background);
    shown.map_err(|source| AppError::io("draw on the terminal", source))?;
    let done = result
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .take();
    done.unwrap_or_else(|| Err(AppError::Guest("the run broke off".into())))
}

fn watcher(messages: SyncSender<Msg>) -> Watcher {
    Box::new(move |entries| Msg::pieces(entries).all(|piece| messages.send(piece).is_ok()))
}

fn staged(messages: SyncSender<Msg>) -> impl Fn(&str) + Send + Sync {
    move |text| {
        let text = if text == live::RUNNING { "" } else { text };
        let _ = messages.send(Msg::Stage(text.to_owned()));
    }
}

/// What the screen is told at the end.
fn closing(done: &Result<Done, AppError>) -> Msg {
    match done {
        Ok(done) => Msg::SourceEnded(Integrity::Complete {
            receipt: done.finished.receipt.clone(),
        }),
        Err(error) => {
            let mut lines = error
                .present()
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
                .into_iter();
            let what = lines.next().unwrap_or_default();
            Msg::Failed(screen::Failure {
                what,
                hints: lines.collect(),
            })
        }
    }
}
