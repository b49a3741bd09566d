//! A trace made from another: the same run, changed or with less in it.
//!
//! Owns: carrying entries over, so that a new trace is whole exactly where the
//! old one was. Must not: decide what is changed; whoever calls does.

use std::io::{Read, Write};

use belljar_event::{Ended, Event, Fact, Lost};

use crate::{Integrity, ReadError, Reader, Start, TraceReceipt, WriteError, Writer};

/// A trace that could not be rewritten.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    /// The old one could not be read.
    #[error("reading the trace failed")]
    Read(#[from] ReadError),
    /// The new one could not be written.
    #[error("writing the new trace failed")]
    Write(#[from] WriteError),
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// Events of the new trace.
    pub events: u64,
    /// Events of the old trace that were left out.
    pub left_out: u64,
    /// The receipt, if the new trace is whole.
    pub receipt: Option<TraceReceipt>,
    /// Whether the old one was.
    pub integrity: Integrity,
}

/// Writes what `keep` lets through into a new trace. `keep` sees the number and
/// may change the event. Where something is left out, or is of a kind that this
/// version does not know, a loss in the name of `place` says so: such a trace
/// is never SAFE.
///
/// # Errors
/// If the source or the sink fails, or a changed event is too large.
pub fn rewrite<R: Read, W: Write>(
    mut reader: Reader<R>,
    sink: W,
    start: Start,
    place: &str,
    keep: &mut dyn FnMut(u64, &mut Event) -> bool,
) -> Result<Rewritten, RewriteError> {
    let mut writer = Writer::create_dense(sink, start)?;
    let mut left_out = 0u64;
    let mut last: Option<Event> = None;
    for entry in &mut reader {
        let entry = entry?;
        let seq = entry.seq();
        let mut event = entry.into_event();
        if !keep(seq, &mut event) {
            left_out = left_out.saturating_add(1);
            continue;
        }
        if let Some(before) = last.replace(event) {
            writer.append(before)?;
            // Entries of no use to anybody must not pile up; a block is full, or goes on.
            if !writer.is_block_open() {
                writer.flush()?;
            }
        }
    }
    let integrity = reader.integrity();
    let missing = left_out.saturating_add(reader.unknown());
    let end = match (last, &integrity) {
        (
            Some(Event {
                at,
                fact: Fact::Ended(Ended { how }),
                ..
            }),
            Integrity::Complete { .. },
        ) => Some((at, how)),
        (last, _) => {
            last.map_or(Ok(()), |event| writer.append(event))?;
            None
        }
    };
    if missing > 0 {
        let at = end.as_ref().map_or(0, |(at, _)| *at);
        let place = place.to_owned();
        let count = missing;
        writer.append(Event::host(at, Lost { count, place }.into()))?;
    }
    let receipt = match end {
        Some((at, how)) => Some(writer.finish_at(at, how)?.receipt),
        None => {
            writer.flush()?;
            None
        }
    };
    let events = receipt.as_ref().map_or(writer.events(), |r| r.events);
    Ok(Rewritten {
        events,
        left_out,
        receipt,
        integrity,
    })
}

/// Writes the same trace with full blocks: a run records in small ones, because
/// nothing may wait long. Every event stays, and so does their digest.
///
/// # Errors
/// If the source or the sink fails.
pub fn pack<R: Read, W: Write>(reader: Reader<R>, sink: W) -> Result<Rewritten, RewriteError> {
    let start = reader.start().clone();
    rewrite(reader, sink, start, "packing", &mut |_, _| true)
}
