//! A long trace, made of a short one: writing it, folding it, seeking in it.

use std::fs::File;
use std::io::{BufWriter, Cursor, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use belljar_event::{Ended, Event, Fact};
use belljar_recorder::{Reader, Seeker, Start, Writer};
use belljar_replay::rules::RuleSet;
use belljar_replay::session::Session;

use super::{Result, trace};

/// Events of the long trace.
const MILLION: usize = 1_000_000;
/// What stands at the beginning of a run and only there has a kind below this.
const FIRST_REPEATED: u16 = 10;

/// The events of the short trace again and again, each time later.
pub(super) struct Tape {
    pub(super) start: Start,
    events: Vec<Event>,
    end: (u64, Ended),
}

impl Tape {
    pub(super) fn load() -> Result<Self> {
        let bytes = std::fs::read(trace())?;
        let mut reader = Reader::open(bytes.as_slice())?;
        let start = reader.start().clone();
        let mut events = Vec::new();
        for entry in &mut reader {
            events.push(entry?.into_event());
        }
        match events.pop() {
            Some(Event {
                at,
                fact: Fact::Ended(ended),
                ..
            }) => Ok(Self {
                start,
                events,
                end: (at, ended),
            }),
            _ => Err("the trace to measure with has no end".into()),
        }
    }

    pub(super) fn long(&self, events: usize) -> impl Iterator<Item = Event> + '_ {
        let rounds = 0u64..;
        let again = rounds.flat_map(move |round| {
            let later = round * self.end.0;
            let round_of = self
                .events
                .iter()
                .filter(move |event| round == 0 || event.fact.kind() >= FIRST_REPEATED);
            round_of.map(move |event| {
                let mut event = event.clone();
                event.at += later;
                event
            })
        });
        again.take(events)
    }

    fn written(&self, events: impl Iterator<Item = Event>, dense: bool) -> Result<(f64, Vec<u8>)> {
        let start = self.start.clone();
        let writer = if dense {
            Writer::create_dense(Vec::new(), start)?
        } else {
            Writer::create(Vec::new(), start)?
        };
        self.write(writer, events)
    }

    fn write<W: Write>(
        &self,
        mut writer: Writer<W>,
        events: impl Iterator<Item = Event>,
    ) -> Result<(f64, W)> {
        let mut seconds = 0.0;
        for event in events {
            let begun = Instant::now();
            writer.append(event)?;
            if writer.events().is_multiple_of(4096) {
                drop(writer.flush()?);
            }
            seconds += begun.elapsed().as_secs_f64();
        }
        writer.finish(self.end.1.how.clone())?;
        Ok((seconds, writer.into_sink()))
    }
}

/// How fast events are recorded, in memory.
pub(super) fn record() -> Result<()> {
    let tape = Tape::load()?;
    let events = MILLION / 5;
    for (name, dense) in [("as a run does", false), ("as packed", true)] {
        let (seconds, bytes) = tape.written(tape.long(events), dense)?;
        println!(
            "record {name:<20} {:>10.0} events/s   {:.2} bytes an event",
            events as f64 / seconds,
            bytes.len() as f64 / events as f64
        );
    }
    Ok(())
}

/// The first fold, a seek, and the peak of memory at a million events.
pub(super) fn million() -> Result<()> {
    let tape = Tape::load()?;
    let (_, bytes) = tape.written(tape.long(MILLION - 1), false)?;
    let rules = RuleSet::builtin();
    let (all, (folded, checkpoints)) = super::timed(|| {
        let mut reader = Reader::open(bytes.as_slice())?;
        let mut session = Session::new(Arc::clone(&rules)).with_start(reader.start());
        let mut checkpoints = vec![session.clone()];
        let mut folded = 0usize;
        for entry in &mut reader {
            session.push(&entry?);
            folded += 1;
            if folded.is_multiple_of(MILLION / 96) {
                checkpoints.push(session.clone());
            }
        }
        Ok((folded, checkpoints))
    })?;
    println!(
        "{folded} events: read, folded and judged in {all:.2} s ({:.0} events/s)",
        folded as f64 / all
    );
    let begun = Instant::now();
    let mut seeker = Seeker::open(Cursor::new(&bytes))?;
    let target = folded as u64 / 2;
    let block = seeker.block_of(target).ok_or("no such block")?;
    let entries = seeker.read_block(block)?;
    println!(
        "  one block of {} read in the middle  {:>8.1} ms",
        entries.len(),
        begun.elapsed().as_secs_f64() * 1e3
    );
    let begun = Instant::now();
    let mut there = checkpoints
        .get(checkpoints.len() / 2)
        .ok_or("no checkpoint")?
        .clone();
    entries.iter().for_each(|entry| there.push(entry));
    println!(
        "  that block folded on a checkpoint    {:>8.1} ms (a seek folds at most {})",
        begun.elapsed().as_secs_f64() * 1e3,
        MILLION / 96
    );
    match peak() {
        Some(kib) => println!(
            "  peak memory {:.0} MiB, of which the trace {:.0} MiB",
            kib / 1024.0,
            bytes.len() as f64 / 1_048_576.0
        ),
        None => println!("  peak memory: skipped, no /proc/self/status here"),
    }
    Ok(())
}

/// A trace of a million events.
pub(super) fn trace_of_a_million() -> Result<Vec<u8>> {
    let tape = Tape::load()?;
    Ok(tape.written(tape.long(MILLION - 1), false)?.1)
}

/// A trace of so many events.
pub(super) fn trace_of(events: usize) -> Result<Vec<u8>> {
    let tape = Tape::load()?;
    let events = tape.long(events.saturating_sub(1));
    Ok(tape.written(events, true)?.1)
}

/// Writes a trace of so many events, as a run does.
pub(super) fn into_file(path: &Path, events: usize) -> Result<()> {
    let tape = Tape::load()?;
    let file = BufWriter::new(File::create(path)?);
    let writer = Writer::create(file, tape.start.clone())?;
    let (_, mut file) = tape.write(writer, tape.long(events.saturating_sub(1)))?;
    Ok(file.flush()?)
}

fn peak() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
