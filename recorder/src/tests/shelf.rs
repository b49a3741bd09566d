//! What is put on the shelf comes off it as it was.

use belljar_event::{Event, Outcome, Output};

use super::samples::samples;
use super::{Entry, write};
use crate::Shelf;

/// All samples again and again, with times that go back now and then and with
/// numbers that leave some out.
fn entries(rounds: u64) -> Vec<Entry> {
    let samples = samples();
    let mut events = Vec::new();
    for round in 0..rounds {
        for (at, event) in samples.iter().enumerate() {
            let mut event = event.clone();
            event.at = round * 1000 + (at as u64 * 37) % 500;
            events.push(event);
        }
    }
    let (_, entries, _) = write(&events, 1000);
    let keep = |entry: &Entry| entry.seq() < 5000 || !entry.seq().is_multiple_of(7);
    entries.into_iter().filter(keep).collect()
}

fn shelf(entries: &[Entry]) -> Shelf {
    let mut shelf = Shelf::default();
    for entry in entries {
        shelf.push(entry.clone());
    }
    shelf
}

#[test]
fn every_entry_comes_back_wherever_it_stands() {
    let entries = entries(700);
    let shelf = shelf(&entries);
    assert!(entries.len() > 20_000, "{}", entries.len());
    assert_eq!(shelf.len(), entries.len());
    assert!(shelf.packed() > 0);
    let ways: [Box<dyn Iterator<Item = usize>>; 3] = [
        Box::new(0..entries.len()),
        Box::new((0..entries.len()).rev()),
        // Every piece in turn, so that none stays unpacked.
        Box::new(
            (0..entries.len())
                .map(|at| at * 4099 % entries.len())
                .take(400),
        ),
    ];
    for way in ways {
        for at in way {
            assert_eq!(*shelf.get(at).unwrap(), entries[at], "at {at}");
        }
    }
    assert!(shelf.get(entries.len()).is_none() && shelf.get(usize::MAX).is_none());
    let copy = shelf.clone();
    assert_eq!(*copy.get(17_000).unwrap(), entries[17_000]);
}

#[test]
fn times_and_numbers_are_found() {
    let entries = entries(200);
    let shelf = shelf(&entries);
    let mut largest = 0;
    let times: Vec<u64> = entries
        .iter()
        .map(|entry| {
            largest = largest.max(entry.at());
            largest
        })
        .collect();
    for (at, time) in times.iter().enumerate() {
        assert_eq!(shelf.time(at), Some(*time), "at {at}");
    }
    assert_eq!(shelf.first_time(), Some(times[0]));
    assert_eq!(shelf.last_time(), times.last().copied());
    for time in (0..largest + 2).step_by(97) {
        let wanted = times.partition_point(|one| *one <= time);
        assert_eq!(shelf.until(time), wanted, "until {time}");
    }
    for (at, entry) in entries.iter().enumerate().step_by(101) {
        assert_eq!(shelf.index_of(entry.seq()), Some(at));
        assert_eq!(shelf.time_of(entry.seq()), Some(entry.at()));
        assert_eq!(shelf.time_of(entry.seq()), Some(entry.at()));
    }
    // Left out above.
    assert_eq!(shelf.index_of(7007), None);
    assert_eq!(shelf.index_of(u64::MAX), None);
    assert_eq!(shelf.time_of(u64::MAX), None);
}

#[test]
fn an_empty_shelf_has_nothing() {
    let shelf = Shelf::default();
    assert!(shelf.is_empty() && shelf.get(0).is_none());
    assert_eq!((shelf.first_time(), shelf.last_time()), (None, None));
    assert_eq!((shelf.until(u64::MAX), shelf.index_of(0)), (0, None));
}

#[test]
fn long_outputs_do_not_wait_for_a_full_piece() {
    let output = |at: u64| Event {
        at,
        pid: 1,
        tid: 1,
        outcome: Outcome::None,
        fact: Output {
            bytes: vec![b'x'; 60_000].into(),
        }
        .into(),
    };
    let events: Vec<Event> = (0..200).map(output).collect();
    let (_, entries, _) = write(&events, 10);
    let shelf = shelf(&entries);
    assert!(shelf.packed() > 0 && shelf.packed() < 100_000);
    for (at, entry) in entries.iter().enumerate() {
        assert_eq!(*shelf.get(at).unwrap(), *entry);
    }
}
