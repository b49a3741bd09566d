//! How fast entries are folded and judged. Run in release:
//! `cargo test --release -p belljar-replay --test fold speed -- --ignored --nocapture`

use std::io::Cursor;
use std::time::Instant;

use belljar_event::*;
use belljar_recorder::Reader;
use belljar_replay::batch;
use belljar_replay::session::Session;

use crate::tape::{Tape, open, rules};

/// An install in miniature, over and over: many files, few names, some processes.
fn install(events: usize) -> Tape {
    let mut tape = Tape::booted();
    tape.begin("install", &["npm", "install"], 100).exec(
        100,
        "/usr/bin/node",
        &["node", "/usr/bin/npm", "install"],
    );
    let mut round = 0u32;
    while tape.events.len() < events {
        let package = round % 1_000;
        let folder = format!("/home/dev/project/node_modules/package-{package}");
        for file in 0..20u32 {
            tape.read(100, &format!("{folder}/lib/file-{file}.js"));
            tape.errno(
                100,
                2,
                open(&format!("{folder}/lib/file-{file}.json"), 0o2_000_000),
            );
            tape.write(100, &format!("{folder}/dist/file-{file}.js"));
        }
        let child = 1_000 + round % 30_000;
        tape.fork(100, child)
            .exec(child, "/usr/bin/node", &["node", "script.js"]);
        tape.read(child, "/usr/lib/x86_64-linux-gnu/libc.so.6")
            .exit(child, Status::Code(0));
        tape.flow(100, round.into(), "registry.example", 443)
            .decide(round.into(), Action::Allow, "registry:npm");
        tape.relay(round.into(), 700, 30_000);
        round += 1;
    }
    tape.end("install", Status::Code(0));
    tape
}

#[test]
#[ignore = "a measurement: needs a release build and a quiet machine"]
fn speed() {
    let recorded = install(1_000_000).record();
    let events = recorded.entries.len() as u128;
    let per_second = |name: &str, start: Instant| {
        let spent = start.elapsed().as_micros().max(1);
        println!(
            "{name}: {} entries/s ({} ms)",
            events * 1_000_000 / spent,
            spent / 1_000
        );
    };

    for _ in 0..3 {
        let start = Instant::now();
        let session = recorded.session();
        per_second("fold and judge", start);
        assert_eq!(session.overview().events as u128, events);
    }

    let start = Instant::now();
    let mut session = Session::new(rules());
    let mut checkpoints = Vec::new();
    for (number, entry) in recorded.entries.iter().enumerate() {
        if number % 10_000 == 0 {
            checkpoints.push(session.clone());
        }
        session.push(entry);
    }
    per_second("fold with a checkpoint every 10,000", start);

    let start = Instant::now();
    assert!(
        Reader::open(Cursor::new(&recorded.bytes))
            .unwrap()
            .all(|entry| entry.is_ok())
    );
    per_second("read", start);
    let start = Instant::now();
    let judged = batch::judge(Cursor::new(&recorded.bytes), &rules()).unwrap();
    per_second("read, fold, judge, report", start);
    println!(
        "{} of {} bytes per event, {}",
        recorded.bytes.len(),
        events,
        judged.report.verdict
    );

    let start = Instant::now();
    let rows = session.processes().len();
    println!("process rows: {rows} in {} us", start.elapsed().as_micros());
    let start = Instant::now();
    let rows = session.file_rows(20_000, 50).len();
    println!("file window: {rows} in {} us", start.elapsed().as_micros());
    let start = Instant::now();
    let verdict = session.judgement().verdict;
    println!("overview: {verdict} in {} us", start.elapsed().as_micros());
}
