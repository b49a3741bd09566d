//! The control stream: messages to the agent out of a queue, messages from it
//! into the core's inputs.

use belljar_event::End;
use belljar_event::wire::{FromAgent, ToAgent};
use belljar_vmm::link::{FrameReader, Stream, write_frame};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::mpsc;

use super::core::Input;

/// Sends what is queued, in order.
pub(crate) async fn speak(mut out: WriteHalf<Stream>, mut queue: mpsc::Receiver<ToAgent>) {
    while let Some(message) = queue.recv().await {
        // The listening side notices a broken link, and says why.
        if write_frame(&mut out, &message).await.is_err() {
            return;
        }
    }
}

/// Hands on what the agent says until it says no more.
pub(crate) async fn listen(
    mut frames: FrameReader<FromAgent, ReadHalf<Stream>>,
    inputs: mpsc::Sender<Input>,
) {
    let end = loop {
        match frames.next().await {
            Ok(Some(message)) => {
                if inputs.send(Input::Agent(message)).await.is_err() {
                    return;
                }
            }
            Ok(None) => break "the agent closed its channel".to_owned(),
            Err(error) => break error.to_string(),
        }
    };
    let _ = inputs.send(Input::Stop(End::GuestLost(end))).await;
}
