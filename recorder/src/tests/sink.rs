use std::io::{self, Read, Write};

use belljar_event::{Event, Exec, Fork, Output};

use super::samples::samples;
use super::*;
use crate::{Fault, ReadError, WriteError};

/// A disk with this much room; `lazy` notices only when it is flushed.
struct Disk {
    room: usize,
    lazy: bool,
    bytes: Vec<u8>,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let fits = if self.lazy {
            bytes.len()
        } else {
            bytes.len().min(self.room - self.bytes.len())
        };
        if fits == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend(&bytes[..fits]);
        Ok(fits)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.bytes.len() > self.room {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }
}

/// Records until the disk is full; what came out as entries, and the writer.
fn fill(room: usize, lazy: bool) -> Result<(Vec<Entry>, Writer<Disk>), WriteError> {
    let mut writer = Writer::create(
        Disk {
            room,
            lazy,
            bytes: Vec::new(),
        },
        start(),
    )?;
    let mut entries = Vec::new();
    for event in samples() {
        writer.append(event)?;
        match writer.flush() {
            Ok(more) => entries.extend(more),
            Err(WriteError::Sink { source, .. }) => {
                assert_eq!(source.kind(), io::ErrorKind::StorageFull);
                return Ok((entries, writer));
            }
            Err(other) => panic!("{other}"),
        }
    }
    Ok((entries, writer))
}

#[test]
fn a_full_disk_poisons_and_no_entry_comes_out_unwritten() {
    let whole = write(&samples(), 1).0.len();
    for lazy in [false, true] {
        let mut failed = 0;
        for room in (0..whole).step_by(37) {
            let Ok((entries, mut writer)) = fill(room, lazy) else {
                continue;
            };
            if entries.len() == samples().len() {
                continue;
            }
            failed += 1;
            let event = Event::host(1, Fork { child: 1 }.into());
            assert!(matches!(writer.append(event), Err(WriteError::Poisoned)));
            assert!(matches!(writer.flush(), Err(WriteError::Poisoned)));
            assert!(matches!(writer.finish(END), Err(WriteError::Poisoned)));
            let mut bytes = writer.into_sink().bytes;
            bytes.truncate(room);
            let (got, integrity) = read(&bytes).unwrap();
            assert_eq!(got, entries, "what came out is what is on disk");
            assert!(!integrity.is_complete());
        }
        assert!(failed > 20);
    }
}

#[test]
fn entries_come_out_once_and_only_after_a_flush() {
    let mut writer = Writer::create(Vec::new(), start()).unwrap();
    let before = writer.sink().len();
    writer
        .append(Event::host(1, Fork { child: 1 }.into()))
        .unwrap();
    assert!(writer.has_pending());
    assert_eq!(writer.sink().len(), before);
    assert_eq!(writer.flush().unwrap().len(), 1);
    assert!(writer.sink().len() > before);
    let after = writer.sink().len();
    assert!(writer.flush().unwrap().is_empty() && !writer.has_pending());
    assert_eq!(
        writer.sink().len(),
        after,
        "a flush of nothing writes nothing"
    );
    // More than a block: the first one is written by append, its entries still wait for the flush.
    for _ in 0..5000 {
        writer
            .append(Event::host(1, Fork { child: 1 }.into()))
            .unwrap();
    }
    let entries = writer.flush().unwrap();
    assert!(entries.iter().map(Entry::seq).eq(1..5001));
}

#[test]
fn a_flushed_trace_is_readable_without_its_end() {
    let mut writer = Writer::create(Vec::new(), start()).unwrap();
    writer.append(samples()[0].clone()).unwrap();
    let entries = writer.flush().unwrap();
    writer.append(samples()[1].clone()).unwrap();
    let (got, integrity) = read(writer.sink()).unwrap();
    assert_eq!(got, entries);
    let byte = writer.sink().len() as u64;
    let why = Fault::NoFooter.to_string();
    assert_eq!(
        integrity,
        Integrity::Cut {
            entries: 1,
            byte,
            why
        }
    );
}

#[test]
fn nothing_is_written_behind_the_end() {
    let mut writer = Writer::create(Vec::new(), start()).unwrap();
    writer.finish(END).unwrap();
    assert!(matches!(writer.flush(), Err(WriteError::Closed)));
    assert!(matches!(writer.finish(END), Err(WriteError::Closed)));
    assert!(read(writer.sink()).unwrap().1.is_complete());
}

#[test]
fn an_event_too_large_is_refused_and_the_writer_goes_on() {
    let mut writer = Writer::create(Vec::new(), start()).unwrap();
    let large = Output {
        bytes: vec![0; belljar_event::MAX_EVENT].into(),
    };
    let refused = writer.append(Event::host(1, large.into()));
    assert!(matches!(
        refused,
        Err(WriteError::Event {
            seq: 0,
            kind: "output",
            ..
        })
    ));
    writer
        .append(Event::host(2, Fork { child: 1 }.into()))
        .unwrap();
    assert_eq!(writer.finish(END).unwrap().receipt.events, 2);
    assert!(read(writer.sink()).unwrap().1.is_complete());
}

/// The codec bounds memory while it decodes: many small strings fit into few
/// bytes that no reader would take.
#[test]
fn an_event_that_no_reader_would_take_is_refused() {
    let exec = samples()
        .into_iter()
        .find(|event| event.fact.kind_name() == "exec")
        .unwrap();
    let belljar_event::Fact::Exec(exec) = exec.fact else {
        unreachable!()
    };
    let mut refused = 0;
    for words in [100, 1000, 5_000, 20_000, 40_000, 60_000, 100_000, 500_000] {
        for word in [Text::Unreadable, Text::from("x")] {
            let exec = Exec {
                argv: vec![word; words],
                ..exec.clone()
            };
            let mut writer = Writer::create(Vec::new(), start()).unwrap();
            match writer.append(Event::host(1, exec.into())) {
                Ok(()) => {
                    writer.finish(END).unwrap();
                    assert!(read(writer.sink()).unwrap().1.is_complete(), "{words}");
                }
                Err(WriteError::Event { .. }) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!((1..14).contains(&refused), "{refused}");
    let command = vec![Text::Unreadable; 500_000];
    let created = Writer::create(Vec::new(), Start { command, ..start() });
    assert!(matches!(created, Err(WriteError::Start(_))));
}

/// Gives its bytes in pieces of one, with interruptions, and then fails.
struct Failing<'a>(&'a [u8], bool);

impl Read for Failing<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        match self.0.split_first() {
            _ if self.1 => Err(io::ErrorKind::Interrupted.into()),
            None => Err(io::ErrorKind::TimedOut.into()),
            Some((byte, rest)) => {
                into[0] = *byte;
                self.0 = rest;
                Ok(1)
            }
        }
    }
}

#[test]
fn a_failing_source_is_an_error_and_not_damage() {
    let (bytes, entries, _) = write(&samples(), 7);
    let mut reader = Reader::open(Failing(&bytes[..bytes.len() / 2], false)).unwrap();
    let got: Vec<_> = reader.by_ref().collect();
    let (last, good) = got.split_last().unwrap();
    assert!(
        matches!(last, Err(ReadError::Io { source, .. }) if source.kind() == io::ErrorKind::TimedOut)
    );
    assert!(
        good.iter()
            .zip(&entries)
            .all(|(got, entry)| got.as_ref().unwrap() == entry)
    );
    assert!(!good.is_empty() && reader.next().is_none());
    assert!(matches!(reader.fault(), Some(Fault::Source(_))));
}
