//! The one writer of the control stream: gathers events into frames and keeps
//! everything in the order in which it was queued.

use std::io;
use std::time::Duration;

use belljar_event::wire::{FromAgent, MAX_FRAME};
use belljar_event::{CodecError, Event, Lost, encode};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::frames;
use crate::seam::Item;

/// Most events of one frame.
const BATCH: usize = 256;
/// How long the first event of a batch waits for others.
const LINGER: Duration = Duration::from_millis(20);

/// Carries items to the host until there are no more producers.
pub(crate) async fn carry<W: AsyncWrite + Unpin>(
    mut items: mpsc::Receiver<Item>,
    mut stream: W,
) -> io::Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(first) = items.recv().await {
        let message = match first {
            Item::Event(event) => {
                batch.push(event);
                gather(&mut items, &mut batch).await
            }
            Item::Message(message) => Some(message),
        };
        if !batch.is_empty() {
            send_events(&mut stream, std::mem::take(&mut batch)).await?;
        }
        if let Some(message) = message {
            frames::write(&mut stream, encode(&message)).await?;
        }
    }
    stream.shutdown().await
}

/// Fills the batch; returns the message that cut it short.
async fn gather(items: &mut mpsc::Receiver<Item>, batch: &mut Vec<Event>) -> Option<FromAgent> {
    let linger = tokio::time::sleep(LINGER);
    tokio::pin!(linger);
    while batch.len() < BATCH {
        tokio::select! {
            biased;
            item = items.recv() => match item? {
                Item::Event(event) => batch.push(event),
                Item::Message(message) => return Some(message),
            },
            () = &mut linger => break,
        }
    }
    None
}

async fn send_events<W: AsyncWrite + Unpin>(stream: &mut W, events: Vec<Event>) -> io::Result<()> {
    for body in bodies(events) {
        frames::write(stream, body).await?;
    }
    Ok(())
}

/// One message, or as many as it takes to keep each within a frame. An event
/// that fits in none becomes a loss.
fn bodies(events: Vec<Event>) -> Vec<Result<Vec<u8>, CodecError>> {
    let mut done = Vec::new();
    // Later halves lie below earlier ones.
    let mut left = vec![events];
    while let Some(mut events) = left.pop() {
        let message = FromAgent::Events(events);
        let body = encode(&message);
        if body.as_ref().is_ok_and(|body| body.len() <= MAX_FRAME) {
            done.push(body);
            continue;
        }
        let FromAgent::Events(taken) = message else {
            continue;
        };
        events = taken;
        if events.len() > 1 {
            let tail = events.split_off(events.len() / 2);
            left.push(tail);
            left.push(events);
        } else if let Some(event) = events.first() {
            let lost = Lost {
                count: 1,
                place: "channel: an event was too large".into(),
            };
            done.push(encode(&FromAgent::Events(vec![Event::host(
                event.at,
                lost.into(),
            )])));
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use belljar_event::{Fact, Output, decode};

    use super::*;

    fn output(at: u64, size: usize) -> Event {
        Event::host(
            at,
            Output {
                bytes: vec![7; size].into(),
            }
            .into(),
        )
    }

    fn times(bodies: &[Result<Vec<u8>, CodecError>]) -> Vec<Event> {
        let mut all = Vec::new();
        for body in bodies {
            match decode(body.as_ref().unwrap()).unwrap() {
                FromAgent::Events(events) => all.extend(events),
                other => panic!("{other:?}"),
            }
        }
        all
    }

    #[test]
    fn batches_are_split_in_order() {
        let events: Vec<_> = (0..9).map(|at| output(at, 300_000)).collect();
        let bodies = bodies(events.clone());
        assert!(bodies.len() > 1);
        assert!(
            bodies
                .iter()
                .all(|b| b.as_ref().unwrap().len() <= MAX_FRAME)
        );
        assert_eq!(times(&bodies), events);
    }

    #[test]
    fn an_event_that_fits_nowhere_is_a_loss() {
        let bodies = bodies(vec![
            output(1, 10),
            output(2, MAX_FRAME + 10),
            output(3, 10),
        ]);
        let events = times(&bodies);
        let places: Vec<_> = events.iter().map(|e| e.at).collect();
        assert_eq!(places, [1, 2, 3]);
        assert!(matches!(&events[1].fact, Fact::Lost(lost) if lost.count == 1));
    }

    #[test]
    fn a_message_comes_behind_the_events_before_it() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (queue, items) = mpsc::channel(600);
            for at in 0..300 {
                queue.send(Item::Event(output(at, 1))).await.unwrap();
            }
            let last = FromAgent::Failed("end".into());
            queue.send(Item::Message(last.clone())).await.unwrap();
            drop(queue);
            let mut bytes = Vec::new();
            carry(items, &mut bytes).await.unwrap();
            let mut from = bytes.as_slice();
            let mut count = 0;
            let mut end = None;
            while let Some(body) = frames::read(&mut from).await.unwrap() {
                assert_eq!(end, None);
                match decode(&body).unwrap() {
                    FromAgent::Events(events) => count += events.len(),
                    other => end = Some(other),
                }
            }
            assert_eq!((count, end), (300, Some(last)));
        });
    }
}
