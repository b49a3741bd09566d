//! A run without a machine, for measurements: the real core, fed by a generator as
//! the agent feeds it.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use belljar_event::wire::FromAgent;
use belljar_event::{End, Event};
use belljar_recorder::{Integrity, Start, Writer};
use belljar_replay::rules::RuleSet;
use belljar_replay::session::Session;
use tokio::sync::mpsc;

use super::core::{Asking, Core, Input, host_only};
use super::disk::Disk;
use super::saved::Saver;
use crate::policies::{Chosen, Policies};
use crate::screen::Msg;
use crate::ways::phase::Step;
use crate::ways::script::Script;

/// The agent hands on what it has every few milliseconds.
const EVERY: Duration = Duration::from_millis(5);

/// How much of what.
pub(crate) struct Flood {
    /// Gone through again and again, each time later.
    pub(crate) events: Vec<Event>,
    /// Events a second.
    pub(crate) rate: usize,
    pub(crate) lasts: Duration,
}

/// Records the flood into `file` and hands its entries on; says how many events it was.
pub(crate) fn flood(
    flood: Flood,
    start: Start,
    rules: Arc<RuleSet>,
    file: File,
    messages: SyncSender<Msg>,
) -> u64 {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let session = Session::new(rules).with_start(&start);
        let kept = file.try_clone().unwrap();
        let watcher = messages.clone();
        let (to_agent, _agent) = mpsc::channel(256);
        let (machine, _machine) = mpsc::unbounded_channel();
        let policies = Policies {
            chosen: Chosen::read("strict").unwrap(),
            profiles: Vec::new(),
            own: None,
            project: None,
            allows: Vec::new(),
        };
        let mut core = Core::new(
            Writer::create(file, start).unwrap(),
            session,
            policies.compose(&[], "/home/dev", false).unwrap(),
            to_agent,
            Some(Box::new(move |entries| {
                Msg::pieces(entries).all(|piece| watcher.send(piece).is_ok())
            })),
            Disk::new(kept),
            Script::new(vec![Step::new("run", ["true"])], false),
            Asking {
                person: true,
                pause: false,
                patience: None,
                machine,
                saver: Saver::new(&policies, "/home/dev", None),
            },
            false,
        );
        let (inputs, mut from) = mpsc::channel(64);
        let source = tokio::spawn(generate(flood, inputs));
        let end = core.run(&mut from).await.unwrap();
        assert_eq!(end, End::Interrupted);
        let events = source.await.unwrap();
        let receipt = core.finish(end).unwrap().finished.receipt;
        let _ = messages.send(Msg::SourceEnded(Integrity::Complete { receipt }));
        events
    })
}

async fn generate(flood: Flood, inputs: mpsc::Sender<Input>) -> u64 {
    let mut tape = flood.events;
    tape.retain(|event| !host_only(&event.fact));
    let length = tape.last().map_or(1, |event| event.at);
    let begun = tokio::time::Instant::now();
    let mut sent = 0;
    while begun.elapsed() < flood.lasts {
        let due = (begun.elapsed().as_secs_f64() * flood.rate as f64) as usize;
        let batch: Vec<Event> = (sent..due)
            .map(|at| {
                let mut event = tape[at % tape.len()].clone();
                event.at += (at / tape.len()) as u64 * length;
                event
            })
            .collect();
        sent = due;
        let batch = Input::Agent(FromAgent::Events(batch));
        if inputs.send(batch).await.is_err() {
            break;
        }
        tokio::time::sleep(EVERY).await;
    }
    let _ = inputs.send(Input::Stop(End::Interrupted)).await;
    sent as u64
}
