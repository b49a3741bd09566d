use std::task::Poll;

use belljar_event::Target;
use belljar_event::wire::FlowRequest;
use tokio::io::{DuplexStream, duplex};

use super::*;

const LONG: Duration = Duration::from_secs(120);

/// Waits for the host's hello and returns the session.
async fn hear_hello(agent: &mut DuplexStream) -> [u8; 16] {
    let mut hello = [0; wire::HELLO_LEN];
    agent.read_exact(&mut hello).await.unwrap();
    wire::find_hello(wire::HOST_MAGIC, &hello).unwrap().1
}

/// An agent's hello with a version of one's choice.
fn hello(version: u16, session: [u8; 16]) -> Vec<u8> {
    let mut bytes = wire::hello(wire::AGENT_MAGIC, session).to_vec();
    bytes[8..10].copy_from_slice(&version.to_le_bytes());
    bytes
}

type Peer = yamux::Connection<Compat<DuplexStream>>;

/// The agent's end of a link: every stream that the host opens is handed on.
struct Agent {
    connection: Peer,
    inbound: mpsc::UnboundedSender<Stream>,
    opens: mpsc::UnboundedReceiver<oneshot::Sender<Stream>>,
}

impl Agent {
    async fn run(mut self) {
        let mut wanted = std::collections::VecDeque::new();
        std::future::poll_fn(move |cx| {
            loop {
                while let Poll::Ready(Some(want)) = self.opens.poll_recv(cx) {
                    wanted.push_back(want);
                }
                if !wanted.is_empty()
                    && let Poll::Ready(Ok(stream)) = self.connection.poll_new_outbound(cx)
                {
                    let want: oneshot::Sender<Stream> = wanted.pop_front().unwrap();
                    let _ = want.send(futures_compat(stream));
                    continue;
                }
                match self.connection.poll_next_inbound(cx) {
                    Poll::Ready(Some(Ok(stream))) => {
                        let _ = self.inbound.send(futures_compat(stream));
                    }
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
    }
}

fn futures_compat(stream: yamux::Stream) -> Stream {
    use tokio_util::compat::FuturesAsyncReadCompatExt;
    stream.compat()
}

type Opens = mpsc::UnboundedSender<oneshot::Sender<Stream>>;

/// A host's link and the agent's handles, connected.
async fn linked() -> (Link, mpsc::UnboundedReceiver<Stream>, Opens) {
    let (host, mut agent) = duplex(64 << 10);
    let (streams, inbound) = mpsc::unbounded_channel();
    let (opens, wanted) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let session = hear_hello(&mut agent).await;
        agent
            .write_all(&hello(wire::VERSION, session))
            .await
            .unwrap();
        let config = yamux::Config::default();
        let connection = yamux::Connection::new(agent.compat(), config, yamux::Mode::Server);
        Agent {
            connection,
            inbound: streams,
            opens: wanted,
        }
        .run()
        .await;
    });
    (Link::handshake(host, LONG).await.unwrap(), inbound, opens)
}

async fn opened(opens: &Opens) -> Stream {
    let (want, stream) = oneshot::channel();
    opens.send(want).unwrap();
    stream.await.unwrap()
}

fn flow(name: &str) -> StreamKind {
    let target = Target::Name {
        name: name.into(),
        port: 443,
    };
    StreamKind::Flow(FlowRequest {
        at: 1,
        pid: 2,
        tid: 3,
        target,
    })
}

#[tokio::test]
async fn stale_bytes_and_echoes_of_other_sessions_are_skipped() {
    let (host, mut agent) = duplex(1 << 20);
    let link = tokio::spawn(Link::handshake(host, LONG));
    let session = hear_hello(&mut agent).await;
    let mut stale = vec![0xee; 100_000];
    stale.extend(b"BELLJARBELLJ");
    stale.extend(hello(wire::VERSION, [1; 16]));
    stale.extend(hello(9, [2; 16]));
    stale.extend(&hello(wire::VERSION, session)[..11]);
    stale.extend([0; 30]);
    // In pieces that cut everything somewhere.
    stale.extend(hello(wire::VERSION, session));
    for piece in stale.chunks(7) {
        agent.write_all(piece).await.unwrap();
    }
    let link = link.await.unwrap().unwrap();
    assert_eq!(link.session(), session);
}

#[tokio::test]
async fn bytes_behind_the_echo_belong_to_the_link() {
    let (host, mut agent) = duplex(1 << 20);
    let link = tokio::spawn(Link::handshake(host, LONG));
    let session = hear_hello(&mut agent).await;
    let mut bytes = hello(wire::VERSION, session);
    // A yamux frame: version 0, data, SYN, stream 2, and a whole first frame in it.
    let body = belljar_event::encode(&flow("a.example")).unwrap();
    let length = u32::try_from(body.len() + 4).unwrap();
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 2]);
    bytes.extend(length.to_be_bytes());
    bytes.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    bytes.extend(body);
    agent.write_all(&bytes).await.unwrap();
    let link = link.await.unwrap().unwrap();
    assert_eq!(link.accept().await.unwrap().0, flow("a.example"));
}

#[tokio::test]
async fn another_version_is_named() {
    let (host, mut agent) = duplex(1024);
    let link = tokio::spawn(Link::handshake(host, LONG));
    let session = hear_hello(&mut agent).await;
    agent
        .write_all(&hello(wire::VERSION + 1, session))
        .await
        .unwrap();
    let error = link.await.unwrap().unwrap_err();
    assert!(
        matches!(error, LinkError::Version { agent, host, .. } if agent == host + 1),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_deadline() {
    let (host, _agent) = duplex(1024);
    let error = Link::handshake(host, LONG).await.unwrap_err();
    assert!(matches!(error, LinkError::Silent { .. }), "{error}");
}

#[tokio::test]
async fn a_closed_channel_is_told_at_once() {
    let (host, agent) = duplex(1024);
    drop(agent);
    let error = Link::handshake(host, LONG).await.unwrap_err();
    assert!(matches!(error, LinkError::Closed), "{error}");
}

#[tokio::test]
async fn endless_noise_is_no_handshake() {
    let (host, mut agent) = duplex(1 << 20);
    let link = tokio::spawn(Link::handshake(host, Duration::from_secs(60)));
    let noise = vec![b'B'; 1 << 20];
    while agent.write_all(&noise).await.is_ok() {}
    let error = link.await.unwrap().unwrap_err();
    assert!(matches!(error, LinkError::Noise { .. }), "{error}");
}

#[tokio::test]
async fn streams_go_both_ways() {
    let (link, mut inbound, opens) = linked().await;
    let mut control = link.open(StreamKind::Control).await.unwrap();
    let mut theirs = inbound.recv().await.unwrap();
    assert_eq!(
        read_frame(&mut theirs).await.unwrap(),
        Some(StreamKind::Control)
    );
    write_frame(&mut control, &wire::ToAgent::Stop)
        .await
        .unwrap();
    assert_eq!(
        read_frame(&mut theirs).await.unwrap(),
        Some(wire::ToAgent::Stop)
    );

    let mut out = opened(&opens).await;
    write_frame(&mut out, &flow("b.example")).await.unwrap();
    out.write_all(b"raw bytes behind it").await.unwrap();
    let (kind, mut stream) = link.accept().await.unwrap();
    assert_eq!(kind, flow("b.example"));
    let mut raw = [0; 19];
    stream.read_exact(&mut raw).await.unwrap();
    assert_eq!(&raw, b"raw bytes behind it");
}

#[tokio::test]
async fn a_stalled_stream_stops_only_itself() {
    let (link, _inbound, opens) = linked().await;
    let mut stalled = opened(&opens).await;
    write_frame(&mut stalled, &flow("stalled.example"))
        .await
        .unwrap();
    let held = link.accept().await.unwrap();
    tokio::spawn(async move { while stalled.write_all(&[7; 4096]).await.is_ok() {} });
    let mut other = opened(&opens).await;
    write_frame(&mut other, &flow("other.example"))
        .await
        .unwrap();
    let next = tokio::time::timeout(LONG, link.accept())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(next.0, flow("other.example"));
    drop(held);
}

#[tokio::test]
async fn streams_without_a_sensible_first_frame_are_reset() {
    let (link, _inbound, opens) = linked().await;
    let mut guest_control = opened(&opens).await;
    write_frame(&mut guest_control, &StreamKind::Control)
        .await
        .unwrap();
    let mut absurd = opened(&opens).await;
    absurd.write_all(&[255; 8]).await.unwrap();
    absurd.flush().await.unwrap();
    let mut garbage = opened(&opens).await;
    garbage
        .write_all(&[4, 0, 0, 0, 200, 1, 1, 1])
        .await
        .unwrap();
    garbage.flush().await.unwrap();
    for stream in [&mut guest_control, &mut absurd, &mut garbage] {
        let mut byte = [0];
        let read = tokio::time::timeout(LONG, stream.read(&mut byte))
            .await
            .unwrap();
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    // The link itself goes on.
    let mut fine = opened(&opens).await;
    write_frame(&mut fine, &flow("fine.example")).await.unwrap();
    assert_eq!(link.accept().await.unwrap().0, flow("fine.example"));
}

#[tokio::test]
async fn silent_streams_beyond_a_bound_are_reset() {
    let (link, _inbound, opens) = linked().await;
    let (ended, mut resets) = mpsc::unbounded_channel();
    for _ in 0..driver::UNANNOUNCED + 50 {
        let mut stream = opened(&opens).await;
        stream.write_all(&[1]).await.unwrap();
        let ended = ended.clone();
        tokio::spawn(async move {
            let _ = stream.read(&mut [0]).await;
            let _ = ended.send(());
        });
    }
    for _ in 0..50 {
        tokio::time::timeout(LONG, resets.recv())
            .await
            .unwrap()
            .unwrap();
    }
    let more = tokio::time::timeout(Duration::from_millis(300), resets.recv()).await;
    assert!(more.is_err(), "a stream within the bound was reset");
    let early = tokio::time::timeout(Duration::from_millis(10), link.ended()).await;
    assert!(early.is_err(), "the link ended: {early:?}");
}

#[tokio::test]
async fn no_more_streams_than_allowed_are_taken() {
    let (host, mut agent) = duplex(64 << 10);
    let handshake = tokio::spawn(Link::handshake(host, LONG));
    let session = hear_hello(&mut agent).await;
    agent
        .write_all(&hello(wire::VERSION, session))
        .await
        .unwrap();
    let link = handshake.await.unwrap().unwrap();
    let body = belljar_event::encode(&flow("many.example")).unwrap();
    let mut held = Vec::new();
    for number in 1..=u32::try_from(MAX_STREAMS + 1).unwrap() {
        let mut frame = vec![0, 0, 0, 1]; // version, data, SYN
        frame.extend((2 * number).to_be_bytes());
        frame.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        frame.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
        frame.extend(&body);
        agent.write_all(&frame).await.unwrap();
        // Only of the one too many is nothing expected to come.
        let wait = if held.len() < MAX_STREAMS {
            LONG
        } else {
            Duration::from_millis(500)
        };
        match tokio::time::timeout(wait, link.accept()).await {
            Ok(stream) => held.push(stream.unwrap()),
            Err(_) => break,
        }
    }
    assert_eq!(held.len(), MAX_STREAMS);
    // The one too many is answered by `go away` (3), after pings (2).
    let mut frame = [0; 12];
    while frame[1] != 3 {
        let read = agent.read_exact(&mut frame);
        tokio::time::timeout(LONG, read).await.unwrap().unwrap();
        assert_eq!(frame[0], 0, "{frame:?}");
    }
}

#[tokio::test]
async fn the_end_is_told_to_everybody() {
    let (host, mut agent) = duplex(64 << 10);
    let handshake = tokio::spawn(Link::handshake(host, LONG));
    let session = hear_hello(&mut agent).await;
    agent
        .write_all(&hello(wire::VERSION, session))
        .await
        .unwrap();
    let link = handshake.await.unwrap().unwrap();
    agent.write_all(&[9; 40]).await.unwrap(); // no yamux version
    assert!(link.accept().await.is_none());
    assert!(!link.ended().await.is_empty());
    assert!(matches!(
        link.open(StreamKind::Control).await,
        Err(LinkError::Broken { .. })
    ));
}

#[tokio::test]
async fn frames_are_capped_and_never_half_read() {
    let long = u32::try_from(wire::MAX_FRAME + 1).unwrap().to_le_bytes();
    let read = read_frame::<StreamKind>(&mut &long[..]).await;
    assert!(matches!(read, Err(FrameError::Long { length }) if length == wire::MAX_FRAME + 1));
    assert!(matches!(
        read_frame::<StreamKind>(&mut &[][..]).await,
        Ok(None)
    ));
    assert!(matches!(
        read_frame::<StreamKind>(&mut &[1, 0][..]).await,
        Err(FrameError::Cut)
    ));
    assert!(matches!(
        read_frame::<StreamKind>(&mut &[9, 0, 0, 0, 1][..]).await,
        Err(FrameError::Cut)
    ));
    assert!(matches!(
        read_frame::<StreamKind>(&mut &[0, 0, 0, 0][..]).await,
        Err(FrameError::Codec(_))
    ));
}

#[tokio::test]
async fn a_cancelled_read_loses_nothing() {
    let (mut write, read) = duplex(64);
    let mut frames = FrameReader::<StreamKind, _>::new(read);
    let mut bytes = Vec::new();
    write_frame(&mut bytes, &flow("slow.example"))
        .await
        .unwrap();
    write_frame(&mut bytes, &StreamKind::Upload).await.unwrap();
    for byte in bytes {
        let early = tokio::time::timeout(Duration::from_millis(1), frames.next()).await;
        if let Ok(frame) = early {
            assert_eq!(frame.unwrap(), Some(flow("slow.example")));
        }
        write.write_all(&[byte]).await.unwrap();
    }
    assert_eq!(frames.next().await.unwrap(), Some(StreamKind::Upload));
}
