use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use belljar_event::wire::FlowRequest;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;

use super::*;
use crate::link::read_frame;

impl Flow for DuplexStream {
    fn is_shut(&self) -> bool {
        false
    }
}

const LONG: Duration = Duration::from_secs(120);

/// A flow under way: the guest's end and what is asked and reported.
struct Under {
    guest: DuplexStream,
    asks: mpsc::Receiver<Ask>,
    done: tokio::task::JoinHandle<()>,
}

fn start(target: Target) -> Under {
    start_with(target, Limits::default())
}

fn start_with(target: Target, limits: Limits) -> Under {
    serve(target, Egress::new(limits))
}

fn serve(target: Target, egress: Egress) -> Under {
    let (guest, host) = duplex(4096);
    let (ask, asks) = mpsc::channel(8);
    let request = FlowRequest {
        at: 1,
        pid: 2,
        tid: 3,
        target,
    };
    let done = tokio::spawn(egress.run(host, request, ask));
    Under { guest, asks, done }
}

impl Under {
    async fn next(&mut self) -> Option<Ask> {
        tokio::time::timeout(LONG, self.asks.recv())
            .await
            .expect("nothing was reported")
    }

    async fn answer(&mut self, allow: bool, literal: bool) {
        let Some(Ask::Flow { flow: 1, reply, .. }) = self.next().await else {
            panic!("no question")
        };
        reply
            .send(Answer {
                allow,
                by: "test:1".into(),
                literal,
            })
            .unwrap();
    }

    async fn reply(&mut self) -> Option<FlowReply> {
        tokio::time::timeout(LONG, read_frame(&mut self.guest))
            .await
            .unwrap()
            .unwrap()
    }

    async fn opened(&mut self) -> Dial {
        match self.next().await {
            Some(Ask::Opened { flow: 1, how }) => how,
            other => panic!("not opened: {other:?}"),
        }
    }

    /// The last notice, and that nothing comes after it.
    async fn closed(mut self) -> (u64, u64) {
        let Some(Ask::Closed {
            flow: 1,
            sent,
            received,
            why: None,
        }) = self.next().await
        else {
            panic!("not closed")
        };
        assert!(self.next().await.is_none(), "something follows the end");
        self.done.await.unwrap();
        (sent, received)
    }
}

async fn listener() -> (TcpListener, Target) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, Target::Direct(addr))
}

fn named(name: &str) -> Target {
    Target::Name {
        name: name.into(),
        port: 443,
    }
}

#[tokio::test]
async fn relays_both_ways_with_half_closes_and_counts() {
    let (listener, target) = listener().await;
    let mut flow = start(target.clone());
    flow.answer(true, true).await;
    let (mut server, _) = listener.accept().await.unwrap();
    assert_eq!(Target::Direct(connected(flow.opened().await)), target);
    assert_eq!(flow.reply().await, Some(FlowReply::Connected));

    flow.guest.write_all(b"question").await.unwrap();
    flow.guest.shutdown().await.unwrap();
    let mut question = String::new();
    server.read_to_string(&mut question).await.unwrap();
    assert_eq!(question, "question");
    // The guest has ended its direction; the other one goes on.
    let answer = vec![b'a'; 1 << 20];
    let serve = tokio::spawn(async move {
        server.write_all(&answer).await.unwrap();
        server.shutdown().await.unwrap();
    });
    let mut got = Vec::new();
    flow.guest.read_to_end(&mut got).await.unwrap();
    assert_eq!(got.len(), 1 << 20);
    serve.await.unwrap();
    assert_eq!(flow.closed().await, (8, 1 << 20));
}

fn connected(how: Dial) -> std::net::SocketAddr {
    match how {
        Dial::Connected(addr) => addr,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn bytes_sent_ahead_arrive() {
    let (listener, target) = listener().await;
    let mut flow = start(target);
    flow.guest.write_all(b"early ").await.unwrap();
    tokio::task::yield_now().await;
    flow.answer(true, true).await;
    let (mut server, _) = listener.accept().await.unwrap();
    flow.opened().await;
    flow.guest.write_all(b"and late").await.unwrap();
    flow.guest.shutdown().await.unwrap();
    let mut all = String::new();
    server.read_to_string(&mut all).await.unwrap();
    assert_eq!(all, "early and late");
    drop(server);
    assert_eq!(flow.closed().await, (14, 0));
}

#[tokio::test]
async fn a_reset_by_the_server_ends_the_flow_and_keeps_the_counts() {
    let (listener, target) = listener().await;
    let mut flow = start(target);
    flow.answer(true, true).await;
    let (mut server, _) = listener.accept().await.unwrap();
    flow.opened().await;
    assert_eq!(flow.reply().await, Some(FlowReply::Connected));
    flow.guest.write_all(b"12345").await.unwrap();
    server.read_exact(&mut [0; 5]).await.unwrap();
    server.set_zero_linger().unwrap();
    drop(server);
    assert_eq!(flow.closed().await, (5, 0));
}

/// A guest's end that was reset.
struct Reset;

impl AsyncRead for Reset {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Reset {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::task::Poll::Pending
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Pending
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Pending
    }
}

impl Flow for Reset {
    fn is_shut(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_reset_by_the_guest_resets_the_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    let (ask, _asked) = mpsc::channel(1);
    let notes = Notes {
        flow: 1,
        ask: &ask,
        by: "test:1",
    };
    let watch = Watch {
        sniffer: Sniffer::new(1, None),
        limits: Limits::default(),
        eye: None,
        notes: &notes,
    };
    let relayed = relay::both_ways(Reset, socket, b"\0cut", watch).await;
    assert_eq!(
        relayed,
        Relayed {
            sent: 4,
            received: 0,
            why: None
        }
    );
    let mut got = Vec::new();
    let error = server.read_to_end(&mut got).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_denied_flow_hears_by_whom() {
    let mut flow = start(named("denied.example"));
    flow.answer(false, false).await;
    assert_eq!(
        flow.reply().await,
        Some(FlowReply::Refused {
            by: "test:1".into()
        })
    );
    assert_eq!(flow.closed().await, (0, 0));
}

#[tokio::test]
async fn no_answer_is_a_no() {
    let mut flow = start(named("unanswered.example"));
    let Some(Ask::Flow { reply, .. }) = flow.next().await else {
        panic!("no question")
    };
    drop(reply);
    assert!(matches!(
        flow.reply().await,
        Some(FlowReply::Refused { .. })
    ));
    assert_eq!(flow.closed().await, (0, 0));
}

#[tokio::test]
async fn loopback_is_refused_unless_it_is_a_literal() {
    let (listener, target) = listener().await;
    let mut flow = start(target);
    flow.answer(true, false).await;
    let how = flow.opened().await;
    assert!(matches!(how, Dial::Refused { range, .. } if range == "loopback"));
    assert_eq!(
        flow.reply().await,
        Some(FlowReply::Refused {
            by: "test:1/loopback".into()
        })
    );
    assert_eq!(flow.closed().await, (0, 0));
    let nobody = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(nobody.is_err(), "it was dialled all the same");
}

#[tokio::test]
async fn a_name_that_leads_to_loopback_is_refused_even_as_a_literal() {
    for name in ["localhost", "127.0.0.1", "2130706433"] {
        let mut flow = start(named(name));
        flow.answer(true, true).await;
        let how = flow.opened().await;
        assert!(
            matches!(&how, Dial::Refused { range, .. } if range == "loopback"),
            "{name}: {how:?}"
        );
        assert_eq!(flow.closed().await, (0, 0));
    }
}

#[tokio::test]
async fn what_is_no_name_is_never_looked_up() {
    let long = "x".repeat(64);
    for name in [
        "",
        ".",
        "a..example",
        "a b.example",
        "a\0.example",
        "%lo",
        "[::1]",
        &long,
    ] {
        let mut flow = start(named(name));
        flow.answer(true, false).await;
        assert_eq!(
            flow.opened().await,
            Dial::Failed("not a host name".into()),
            "{name:?}"
        );
        assert_eq!(flow.reply().await, Some(FlowReply::Failed));
        assert_eq!(flow.closed().await, (0, 0));
    }
}

#[tokio::test]
async fn a_guest_that_gives_up_cancels_the_question() {
    let mut flow = start(named("slow.example"));
    let Some(Ask::Flow { mut reply, .. }) = flow.next().await else {
        panic!("no question")
    };
    flow.guest.shutdown().await.unwrap();
    tokio::time::timeout(LONG, reply.closed())
        .await
        .expect("the question is still open");
    assert!(matches!(flow.opened().await, Dial::Failed(_)));
    assert_eq!(flow.closed().await, (0, 0));
}

#[tokio::test]
async fn a_closed_port_is_a_failure() {
    let (listener, target) = listener().await;
    drop(listener);
    let mut flow = start(target);
    flow.answer(true, true).await;
    assert!(matches!(flow.opened().await, Dial::Failed(why) if why.contains("refused")));
    assert_eq!(flow.reply().await, Some(FlowReply::Failed));
    assert_eq!(flow.closed().await, (0, 0));
}

#[test]
fn ranges_are_refused_by_name() {
    let table: &[(&str, Option<&str>)] = &[
        ("0.0.0.0", Some("unspecified")),
        ("0.1.2.3", Some("unspecified")),
        ("10.0.0.1", Some("private")),
        ("10.255.255.255", Some("private")),
        ("11.0.0.0", None),
        ("9.255.255.255", None),
        ("100.63.255.255", None),
        ("100.64.0.1", Some("shared")),
        ("100.100.100.200", Some("cloud metadata")),
        ("100.127.255.255", Some("shared")),
        ("100.128.0.0", None),
        ("127.0.0.1", Some("loopback")),
        ("127.255.255.254", Some("loopback")),
        ("168.63.129.16", Some("cloud metadata")),
        ("169.254.1.1", Some("link-local")),
        ("169.254.169.254", Some("cloud metadata")),
        ("169.254.170.2", Some("cloud metadata")),
        ("172.15.255.255", None),
        ("172.16.0.1", Some("private")),
        ("172.31.255.255", Some("private")),
        ("172.32.0.0", None),
        ("192.0.0.1", Some("reserved")),
        ("192.0.0.192", Some("cloud metadata")),
        ("192.0.2.1", None),
        ("192.168.1.1", Some("private")),
        ("192.169.0.0", None),
        ("198.17.255.255", None),
        ("198.18.0.1", Some("benchmarking")),
        ("198.19.255.255", Some("benchmarking")),
        ("198.51.100.7", None),
        ("203.0.113.7", None),
        ("223.255.255.255", None),
        ("224.0.0.1", Some("multicast")),
        ("239.255.255.255", Some("multicast")),
        ("240.0.0.1", Some("reserved")),
        ("255.255.255.255", Some("broadcast")),
        ("::", Some("unspecified")),
        ("::1", Some("loopback")),
        ("::2", Some("unspecified")),
        ("::7f00:1", Some("loopback")),
        ("::ffff:127.0.0.1", Some("loopback")),
        ("::ffff:10.1.2.3", Some("private")),
        ("::ffff:169.254.169.254", Some("cloud metadata")),
        ("::ffff:198.51.100.1", None),
        ("::ffff:0:192.168.0.1", Some("private")),
        ("64:ff9b::10.0.0.1", Some("private")),
        ("64:ff9b::169.254.169.254", Some("cloud metadata")),
        ("64:ff9b::198.51.100.1", None),
        ("64:ff9b:1::1", Some("local translation")),
        ("100::1", Some("discard")),
        ("2001::1", Some("teredo")),
        ("2001:db8::1", None),
        ("2001:500::1", None),
        ("2002:7f00:1::", Some("loopback")),
        ("2002:a00:1::5", Some("private")),
        ("2002:c633:6401::1", None),
        ("fc00::1", Some("private")),
        ("fd00:ec2::254", Some("cloud metadata")),
        ("fd20:ce::254", Some("cloud metadata")),
        ("fdff::1", Some("private")),
        ("fe80::1", Some("link-local")),
        ("febf::1", Some("link-local")),
        ("fec0::1", Some("private")),
        ("ff02::1", Some("multicast")),
    ];
    for (text, expected) in table {
        let ip: IpAddr = text.parse().unwrap();
        assert_eq!(refused::range(ip), *expected, "{text}");
    }
}

#[test]
fn own_addresses_are_refused_in_any_form() {
    let own = [
        IpAddr::from([203, 0, 113, 9]),
        "2001:db8::9".parse().unwrap(),
    ];
    for text in [
        "203.0.113.9",
        "::ffff:203.0.113.9",
        "64:ff9b::203.0.113.9",
        "2001:db8::9",
    ] {
        assert_eq!(
            refused::why(text.parse().unwrap(), &own),
            Some("own address"),
            "{text}"
        );
    }
    assert_eq!(refused::why("203.0.113.10".parse().unwrap(), &own), None);
    assert!(
        refused::own()
            .unwrap()
            .contains(&Ipv4Addr::LOCALHOST.into())
    );
}

#[test]
fn one_refused_address_refuses_the_name() {
    let sockets = |ips: &[&str]| -> Vec<std::net::SocketAddr> {
        ips.iter()
            .map(|ip| (ip.parse::<IpAddr>().unwrap(), 80).into())
            .collect()
    };
    let public = sockets(&["198.51.100.1", "2001:db8::1"]);
    assert_eq!(dial::sift(&public, &[]).unwrap(), public);
    let mixed = sockets(&["198.51.100.1", "10.0.0.1"]);
    assert_eq!(dial::sift(&mixed, &[]).unwrap_err(), (mixed[1], "private"));
}

/// Takes three equal letters in a row for a canary, over any number of pieces.
#[derive(Debug)]
struct Thrice {
    cut: bool,
}

struct Row {
    flow: u64,
    cut: bool,
    last: u8,
    row: u8,
    at: u64,
}

impl Lookout for Thrice {
    fn watch(&self, flow: u64) -> Box<dyn Eye> {
        Box::new(Row {
            flow,
            cut: self.cut,
            last: 0,
            row: 0,
            at: 0,
        })
    }
}

impl Eye for Row {
    fn look(&mut self, bytes: &[u8]) -> Vec<belljar_event::CanarySeen> {
        let mut all = Vec::new();
        for byte in bytes {
            self.at += 1;
            self.row = if *byte == self.last { self.row + 1 } else { 1 };
            self.last = *byte;
            if self.row == 3 {
                all.push(belljar_event::CanarySeen {
                    flow: self.flow,
                    decoy: 0,
                    kind: "ssh key".into(),
                    encoding: "plain".into(),
                    at: self.at,
                    cut: self.cut,
                });
            }
        }
        all
    }
}

fn watched(target: Target, cut: bool) -> Under {
    let egress = Egress::default().watched(Arc::new(Thrice { cut }));
    serve(target, egress)
}

impl Under {
    /// The next thing stated, recorded.
    async fn stated(&mut self) -> Fact {
        match self.next().await {
            Some(Ask::Stated { fact, recorded, .. }) => {
                recorded.send(()).ok();
                fact
            }
            other => panic!("nothing stated: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_canary_cuts_the_flow_before_it_leaves() {
    let (listener, target) = listener().await;
    let mut flow = watched(target, true);
    flow.answer(true, true).await;
    let (mut server, _) = listener.accept().await.unwrap();
    flow.opened().await;
    flow.reply().await;
    flow.guest.write_all(b"\0ab").await.unwrap();
    let mut got = [0; 3];
    server.read_exact(&mut got).await.unwrap();
    // Split over two writes; what stands before it in the same write stays too.
    flow.guest.write_all(b"xyzz").await.unwrap();
    server.read_exact(&mut [0; 4]).await.unwrap();
    flow.guest.write_all(b"zq").await.unwrap();
    let Fact::CanarySeen(seen) = flow.stated().await else {
        panic!("no canary")
    };
    assert_eq!((seen.flow, seen.at, seen.cut), (1, 8, true));
    let Fact::Decision(decision) = flow.stated().await else {
        panic!("no decision")
    };
    assert_eq!(decision.action, belljar_event::Action::Deny);
    assert_eq!(decision.by, "test:1/canary");
    let error = server.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let Some(Ask::Closed { sent: 7, why, .. }) = flow.next().await else {
        panic!("not closed")
    };
    assert_eq!(
        why.as_deref(),
        Some("the canary of a decoy was leaving (ssh key, plain)")
    );
}

#[tokio::test]
async fn a_lured_canary_is_recorded_and_goes_on() {
    let (listener, target) = listener().await;
    let mut flow = watched(target, false);
    flow.guest.write_all(b"\0zzz").await.unwrap();
    tokio::task::yield_now().await;
    flow.answer(true, true).await;
    let (mut server, _) = listener.accept().await.unwrap();
    flow.opened().await;
    // It is recorded before anything of it goes on.
    let Some(Ask::Stated { fact, recorded, .. }) = flow.next().await else {
        panic!("nothing stated")
    };
    assert!(matches!(fact, Fact::CanarySeen(_)));
    assert_eq!(
        server.try_read(&mut [0; 9]).unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock
    );
    recorded.send(()).unwrap();
    flow.reply().await;
    flow.guest.shutdown().await.unwrap();
    let mut all = Vec::new();
    server.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"\0zzz");
    drop(server);
    assert_eq!(flow.closed().await, (4, 0));
}

#[tokio::test]
async fn what_a_refused_flow_brought_is_looked_at_too() {
    let mut flow = watched(named("denied.example"), true);
    flow.guest.write_all(b"zzz").await.unwrap();
    let Some(Ask::Flow { reply, .. }) = flow.next().await else {
        panic!("no question")
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    reply
        .send(Answer {
            allow: false,
            by: "test:1".into(),
            literal: false,
        })
        .unwrap();
    assert!(matches!(flow.stated().await, Fact::CanarySeen(_)));
    flow.reply().await;
    assert_eq!(flow.closed().await, (0, 0));
}
