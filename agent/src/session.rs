//! One run, as the host directs it: setup, ready, uploads, phases, end.
//!
//! Owns: the order of things once the channel stands.
//! Must not: know how any of them is done.

use std::convert::Infallible;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use belljar_event::wire::{FromAgent, Launch, Setup, StreamKind, ToAgent, Uploaded};
use belljar_event::{Armed, decode, encode};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::{mpsc, oneshot};

use crate::boot::{self, BootError, clock, console, power};
use crate::enforce::{Lines, LinesError};
use crate::fault::{self, Moment};
use crate::hold::Holds;
use crate::link::{Greeted, LinkError, Mux, Opener, Stream, carry, frames};
use crate::net::{Names, Net, Questions, Ruling};
use crate::observe::{self, ObserveError, Observer, Pace, Unarmed};
use crate::payload::{self, Cgroup, PayloadError};
use crate::seam::{EventSink, MountTable};
use crate::selftest;
use crate::setup::{self, Folder, Place, SetupError, USER_ID};
use crate::watch::Watch;

/// How long a message about a failure has to reach the host.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Chunks of an upload between the channel and the thread that unpacks it.
const CHUNKS: usize = 16;
const CHUNK: usize = 64 * 1024;

/// What ends a run from inside.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Boot(#[from] boot::BootError),
    #[error("guest setup failed: {0}")]
    Setup(#[from] SetupError),
    #[error("observation could not start: {0}")]
    Observe(#[from] observe::ObserveError),
    #[error("{0}")]
    Payload(#[from] PayloadError),
    #[error("the policy cannot be enforced: {0}")]
    Lines(#[from] LinesError),
    #[error("self-test failed: {0}")]
    SelfTest(String),
    #[error("the relay could not start: {0}")]
    Net(io::Error),
    #[error("the host broke the protocol: {0}")]
    Protocol(&'static str),
    #[error("a thread could not be started or ended early")]
    Thread,
}

/// What stands once the guest is ready.
struct Guest {
    place: Place,
    cgroup: Cgroup,
    observer: Observer,
    holds: Holds,
    /// Most bytes of an upload.
    budget: u64,
}

/// Serves the host to the machine's end.
pub(crate) async fn serve(
    greeted: Greeted,
    programs: Result<Unarmed, ObserveError>,
) -> Result<Infallible, LinkError> {
    let mux = Mux::start(greeted)?;
    let (sink, items) = EventSink::new();
    let (control, uploads) = streams(mux.inbound);
    let Ok(control) = control.await else {
        power::off("no control stream came")
    };
    let (incoming, outgoing) = tokio::io::split(control);
    tokio::spawn(async move {
        let result = carry(items, outgoing).await;
        power::off(format_args!(
            "the control stream cannot be written: {result:?}"
        ));
    });
    let error = match run(incoming, uploads, mux.opener, &sink, programs).await {
        Ok(never) => match never {},
        Err(error) => error,
    };
    console::say(format_args!("failed: {error}"));
    let _ = sink.post(FromAgent::Failed(error.to_string())).await;
    tokio::time::sleep(LAST_WORDS).await;
    power::off("the run failed")
}

/// Sorts inbound streams: one control stream, any number of uploads.
fn streams(
    mut inbound: mpsc::Receiver<Stream>,
) -> (oneshot::Receiver<Stream>, mpsc::Receiver<Stream>) {
    let (control, first) = oneshot::channel();
    let (upload, uploads) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut control = Some(control);
        while let Some(mut stream) = inbound.recv().await {
            // Anything else than these is dropped, which resets the stream.
            let Ok(Some(body)) = frames::read(&mut stream).await else {
                continue;
            };
            match decode(&body) {
                Ok(StreamKind::Control) => {
                    drop(control.take().map(|control| control.send(stream)));
                }
                Ok(StreamKind::Upload) => drop(upload.send(stream).await),
                Ok(StreamKind::Flow(_)) | Err(_) => {}
            }
        }
    });
    (first, uploads)
}

async fn run(
    mut control: impl AsyncRead + Unpin,
    uploads: mpsc::Receiver<Stream>,
    opener: Opener,
    sink: &EventSink,
    programs: Result<Unarmed, ObserveError>,
) -> Result<Infallible, RunError> {
    let ToAgent::Setup(setup) = message(&mut control).await? else {
        return Err(RunError::Protocol("setup must come first"));
    };
    fault::at(Moment::Setup);
    let questions = Questions::default();
    let (guest, armed) = ready(&setup, opener, questions.clone(), sink, programs?).await?;
    let guest = Arc::new(guest);
    let ready = FromAgent::Ready {
        now: clock::monotonic(),
        home: guest.place.home.display().to_string(),
        project: guest.place.project.display().to_string(),
        armed,
    };
    console::say("ready");
    let _ = sink.post(ready).await;
    tokio::spawn(receive(uploads, Arc::clone(&guest)));
    let ended = direct(&mut control, &guest, &questions, sink).await;
    // What cannot be directed any more must not go on.
    let _ = guest.cgroup.kill();
    ended
}

/// Follows the host's messages while phases run.
async fn direct(
    control: &mut (impl AsyncRead + Unpin),
    guest: &Arc<Guest>,
    questions: &Questions,
    sink: &EventSink,
) -> Result<Infallible, RunError> {
    let (launches, queue) = mpsc::channel(1);
    let mut phases = tokio::spawn(phases(queue, Arc::clone(guest), sink.clone()));
    loop {
        tokio::select! {
            end = &mut phases => return end.map_err(|_| RunError::Thread)?,
            message = message(control) => match message? {
                ToAgent::Start(launch) => {
                    launches
                        .try_send(launch)
                        .map_err(|_| RunError::Protocol("a phase is running already"))?;
                    fault::after_start();
                }
                ToAgent::Name { id, allowed, by } => questions.answer(id, Ruling { allowed, by }),
                ToAgent::Decided { id, verdict } => {
                    let guest = Arc::clone(guest);
                    // A kill waits for the queue to the host, which only a thread may.
                    tokio::task::spawn_blocking(move || guest.holds.decided(id, verdict));
                }
                ToAgent::Kill { pid, by } => {
                    let guest = Arc::clone(guest);
                    tokio::task::spawn_blocking(move || guest.holds.kill(pid, &by));
                }
                ToAgent::Clock { unix_nanos } => clock::set_wall(unix_nanos)?,
                ToAgent::Stop => {
                    let _ = guest.cgroup.kill();
                    power::off("the host says stop");
                }
                ToAgent::Setup(_) => return Err(RunError::Protocol("setup came twice")),
            },
        }
    }
}

async fn message(control: &mut (impl AsyncRead + Unpin)) -> Result<ToAgent, RunError> {
    match frames::read(control).await {
        Ok(Some(body)) => decode(&body).map_err(|_| RunError::Protocol("not a message")),
        Ok(None) => power::off("the host closed the control stream"),
        Err(_) => Err(RunError::Protocol("not a frame")),
    }
}

/// Everything between the host's setup and the payload.
async fn ready(
    setup: &Setup,
    opener: Opener,
    questions: Questions,
    sink: &EventSink,
    programs: Unarmed,
) -> Result<(Guest, Armed), RunError> {
    let mounts = boot::root::enter(setup.disk_mib)?;
    console::say("in the payload's root");
    let place = setup::prepare(setup)?;
    let cgroup = Cgroup::make(setup.pids)?;
    let names = Names::default();
    let lines = lines(setup, mounts.clone())?;
    let options = observe::Options {
        cgroup: cgroup.path(),
        pace: Pace::new(setup.event_rate, cgroup.freezer()),
        mounts,
        lines: Arc::clone(&lines),
        direct: &setup.direct,
        names: Arc::new(names.clone()),
        trace: setup.observe,
    };
    let observer = programs.arm(options, sink.clone())?;
    let holds = Holds::new(
        lines,
        names.clone(),
        observer.grants(),
        observer.flusher(),
        &cgroup,
        sink.clone(),
    );
    let net = Net::new(names, questions, sink.clone(), opener, observer.origins());
    net.start().await.map_err(RunError::Net)?;
    console::say("observing");
    let guest = Guest {
        place,
        cgroup,
        observer,
        holds,
        budget: u64::from(setup.disk_mib) << 20,
    };
    let observed = setup.observe;
    let (guest, checks) = blocking(move || {
        let checks = selftest::run(&guest.place, &guest.cgroup, &guest.observer, observed);
        (guest, checks)
    })
    .await?;
    let checks = checks?;
    if let Some(failed) = checks.iter().find(|check| !check.held) {
        return Err(RunError::SelfTest(failed.name.clone()));
    }
    let kernel = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    Ok((guest, Armed { kernel, checks }))
}

/// The policy's lines, behind the self-test's own.
fn lines(setup: &Setup, mounts: MountTable) -> Result<Arc<Lines>, RunError> {
    let mut seed = [0; 8];
    rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| RunError::Boot(BootError::step("draw a seed")(error)))?;
    let mut all = vec![selftest::line()];
    all.extend(setup.lines.iter().cloned());
    let lines = Lines::new(all, setup.held, mounts, u64::from_ne_bytes(seed))?;
    Ok(Arc::new(lines))
}

/// Runs phases one after the other; each ends with `Exited` behind all of its events.
async fn phases(
    mut queue: mpsc::Receiver<Launch>,
    guest: Arc<Guest>,
    sink: EventSink,
) -> Result<Infallible, RunError> {
    while let Some(launch) = queue.recv().await {
        let (guest, out) = (Arc::clone(&guest), sink.clone());
        let status = blocking(move || {
            let watch = Watch::start(guest.cgroup.path(), guest.observer.watched(), &out);
            let drain = || {
                guest.observer.drain();
                watch.finish();
            };
            payload::run(
                &launch,
                &guest.place,
                &guest.cgroup,
                &guest.holds,
                drain,
                &out,
            )
        })
        .await??;
        console::say(format_args!("phase ended: {status:?}"));
        fault::before_exited().await;
        let _ = sink.post(FromAgent::Exited(status)).await;
    }
    Err(RunError::Thread)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, RunError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| RunError::Thread)
}

/// Unpacks uploads, one at a time.
async fn receive(mut uploads: mpsc::Receiver<Stream>, guest: Arc<Guest>) {
    while let Some(mut stream) = uploads.recv().await {
        let error = unpack(&mut stream, &guest)
            .await
            .err()
            .map(|e| e.to_string());
        console::say(format_args!(
            "upload: {}",
            error.as_deref().unwrap_or("done")
        ));
        if frames::write(&mut stream, encode(&Uploaded { error }))
            .await
            .is_err()
        {
            console::say("the host did not wait for the upload's result");
        }
    }
}

async fn unpack(stream: &mut Stream, guest: &Arc<Guest>) -> io::Result<()> {
    let (chunks, queue) = mpsc::channel(CHUNKS);
    let at = Arc::clone(guest);
    let work = tokio::task::spawn_blocking(move || {
        let project = Folder::open(&at.place.project, USER_ID)?;
        let mut from = Chunks {
            queue,
            current: io::Cursor::default(),
        };
        let done = setup::unpack(&project, &mut from, at.budget)?;
        // What follows the archive's end is padding.
        io::copy(&mut from, &mut io::sink())?;
        console::say(format_args!(
            "unpacked {}, skipped {}",
            done.made, done.skipped
        ));
        Ok(())
    });
    loop {
        let mut chunk = vec![0; CHUNK];
        let count = stream.read(&mut chunk).await?;
        chunk.truncate(count);
        // Refused only when the unpacking has failed: its error is the answer.
        if count == 0 || chunks.send(chunk).await.is_err() {
            break;
        }
    }
    drop(chunks);
    work.await.map_err(io::Error::other)?
}

/// Chunks from a queue, as a reader for a thread.
struct Chunks {
    queue: mpsc::Receiver<Vec<u8>>,
    current: io::Cursor<Vec<u8>>,
}

impl Read for Chunks {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = Read::read(&mut self.current, into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            match self.queue.blocking_recv() {
                Some(chunk) => self.current = io::Cursor::new(chunk),
                None => return Ok(0),
            }
        }
    }
}
