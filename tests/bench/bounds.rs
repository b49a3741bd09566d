//! Events and rules made to cost much: what they do cost, in time and memory.

use std::io;
use std::sync::Arc;

use belljar_event::{Call, Descriptor, Event, Exec, Exit, Fact, Fork, Open, Outcome, Status, Text};
use belljar_recorder::Writer;
use belljar_replay::rules::RuleSet;
use belljar_replay::session::Session;

use super::long::Tape;
use super::{Result, cpu};

/// Memory that folding may add, whatever comes, in MiB.
const MOST_MEMORY: f64 = 1024.0;
/// Events that are written, folded and forgotten at a time.
const BATCH: u64 = 4096;
/// A rule file of patterns that make a backtracking matcher run for ever.
const BOMBS: &str = r#"
- rule: nested repetition
  desc: x
  condition: evt.type = openat and fd.name regex "(a+)+(a|aa)*(.*a){10}b"
  output: x
  priority: WARNING
- rule: many wildcards
  desc: x
  condition: evt.type = openat and fd.name glob "*a*a*a*a*a*a*a*a*a*a*b"
  output: x
  priority: WARNING
"#;
/// A pattern whose program would not fit.
const TOO_LARGE: &str = r#"
- rule: too large
  desc: x
  condition: evt.type = openat and fd.name regex "((a{100}){100}){100}"
  output: x
  priority: WARNING
"#;

pub(super) fn bounds(rules: &Arc<RuleSet>) -> Result<()> {
    let tape = Tape::load()?;
    let argument = Text::new([b'a'; 64 << 10]);
    let long = (0..2_000u32).map(|at| exec(at, vec![Text::new(b"sh"), argument.clone()]));
    run("64 KiB arguments", &tape, rules, long)?;
    let children = (0..100_000u32).flat_map(|at| {
        let child = 1_000 + at;
        let ends = Fact::Exit(Exit {
            status: Status::Code(0),
        });
        [
            event(at, 999, Fact::Fork(Fork { child })),
            exec(at, vec![Text::new(b"true")]),
            event(at, child, ends),
        ]
    });
    run("100,000 children", &tape, rules, children)?;
    let source = [("bombs.yaml".to_owned(), BOMBS.to_owned())];
    let loaded = RuleSet::load_all(true, &source)?;
    let path = Text::new([&b"/tmp/"[..], &[b'a'; 4_000]].concat());
    let opens = (0..10_000u32).map(|at| open(at, path.clone()));
    run("regex bombs, paths of 4 KB", &tape, &loaded.rules, opens)?;
    let source = [("large.yaml".to_owned(), TOO_LARGE.to_owned())];
    let refused = match RuleSet::load_all(true, &source) {
        Ok(loaded) => loaded.checked.iter().all(|one| !one.status.is_evaluable()),
        Err(_) => true,
    };
    println!("  a pattern of a million states is refused: {refused}");
    run("ten million events", &tape, rules, tape.long(10_000_000))
}

fn event(at: u32, pid: u32, fact: Fact) -> Event {
    Event {
        at: u64::from(at) * 1_000_000,
        pid,
        tid: pid,
        outcome: Outcome::Returned(0),
        fact,
    }
}

fn exec(at: u32, argv: Vec<Text>) -> Event {
    let bytes = argv.iter().map(|arg| arg.bytes().len() as u64 + 1).sum();
    let exec = Exec {
        call: Call(59),
        parent: 999,
        path: Text::new(b"/usr/bin/dash"),
        file: Some(Text::new(b"/usr/bin/dash")),
        interpreter: None,
        argv,
        argv_bytes: bytes,
        cwd: Some(Text::new(b"/tmp")),
        uid: 1000,
        stdio: [Descriptor::Device; 3],
        unlinked: false,
        content: None,
        inherited: Vec::new(),
    };
    event(at, 1_000 + at, Fact::Exec(exec))
}

fn open(at: u32, path: Text) -> Event {
    let open = Open {
        call: Call(257),
        file: Some(path.clone()),
        path,
        base: None,
        flags: 0,
        mode: 0,
    };
    event(at, 1_000, Fact::Open(open))
}

/// Folds and judges. The memory is the whole program's, with a batch of events and
/// what was taken before and not given back.
fn run(
    name: &str,
    tape: &Tape,
    rules: &Arc<RuleSet>,
    events: impl Iterator<Item = Event>,
) -> Result<()> {
    let mut writer = Writer::create(io::sink(), tape.start.clone())?;
    let mut session = Session::new(Arc::clone(rules));
    let (mut seconds, mut slowest, mut count) = (0.0f64, 0.0f64, 0u64);
    let before = resident();
    let mut fold = |entries: Vec<belljar_recorder::Entry>| {
        let begun = cpu();
        entries.iter().for_each(|entry| session.push(entry));
        let spent = cpu().zip(begun).map_or(0.0, |(end, begun)| end - begun);
        seconds += spent;
        slowest = slowest.max(spent);
        count += entries.len() as u64;
    };
    for event in events {
        writer.append(event)?;
        if writer.events().is_multiple_of(BATCH) {
            fold(writer.flush()?);
        }
    }
    fold(writer.flush()?);
    println!(
        "  {name:<28} {count:>10} events  {seconds:>7.2} s  {:>8.2} µs an event, {:>7.1} ms the slowest {BATCH}{}",
        seconds * 1e6 / count.max(1) as f64,
        slowest * 1e3,
        resident().map_or_else(String::new, |kib| format!(
            ", {:.0} MiB resident",
            kib / 1024.0
        )),
    );
    // Steps and rows are asserted in replay's tests; here the memory of millions.
    match before.zip(resident()) {
        Some((before, after)) if (after - before) / 1024.0 > MOST_MEMORY => {
            Err(format!("{name}: folding took more than {MOST_MEMORY} MiB").into())
        }
        _ => Ok(()),
    }
}

fn resident() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}
