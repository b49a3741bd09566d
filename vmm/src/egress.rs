//! The only way out of the guest.
//!
//! Owns: one flow from the agent's request to its last byte: asking, resolving
//! after the yes, dialling, comparing what is said with the name that was
//! allowed, relaying, counting, limiting. Must not: know policy (it asks
//! through a channel), resolve before the yes, let a byte out before what it
//! says is recorded, or connect to what [`refused`] lists unless a literal
//! address was allowed.
//!
//! What each flow reports, in this order: [`Ask::Flow`]; [`Ask::Opened`] if it
//! was allowed (or the guest gave up before there was an answer); any number of
//! [`Ask::Stated`]; and [`Ask::Closed`]. All but `Stated` exactly once.
//!
//! Who refuses, what the trace and every report call it, and what the payload sees:
//!
//! | what | called | the payload sees |
//! | --- | --- | --- |
//! | a name that no line allows | the line: `default:egress` | no such name (NXDOMAIN) |
//! | an address without a name, not allowed literally | `guest`, as the call never leaves it | ECONNREFUSED from `connect` |
//! | an allowed name at another port | the line: `default:egress` | connected, then a reset |
//! | an allowed name in a refused range | `allow:1/loopback` | connected, then a reset |
//! | a TLS name that differs, or is hidden | `allow:1/tls-name` | connected; end of file or a reset |
//! | an HTTP host that differs, or is in doubt | `allow:1/http-host` | connected; end of file or a reset |
//! | a decoy's canary | `allow:1/canary` | connected; end of file or a reset |
//! | the flow's byte limit | no refusal: `limit`, and why in `flow_closed` | end of file or a reset |
//! | nobody there | no refusal: `flow_opened` says why | connected, then a reset |
//!
//! Behind the slash stands the check that outranks the line before it. "Connected"
//! comes from the agent's relay, which takes a connection before the host is asked.

mod dial;
mod lookout;
pub mod refused;
mod relay;
mod sniff;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use belljar_event::wire::{FlowReply, FlowRequest};
use belljar_event::{Dial, Fact, Target};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::link::{Stream, write_frame};
use dial::Dialled;
pub use lookout::{Eye, Lookout};
use relay::{Flow, Notes, Relayed, Watch};
use sniff::Sniffer;

/// Lookups at once: each occupies a thread, and a hostile guest may ask for thousands.
const LOOKUPS: usize = 16;
/// What a guest may send ahead of the answer.
const AHEAD: usize = 16 << 10;

/// What a flow asks and reports.
#[derive(Debug)]
pub enum Ask {
    /// May this flow go? If the reply's receiver is gone, the guest has given up.
    Flow {
        /// Its number in this run, from 1.
        flow: u64,
        /// Who wants where.
        request: FlowRequest,
        /// Where the answer goes, after it was recorded.
        reply: oneshot::Sender<Answer>,
    },
    /// The flow was dialled.
    Opened {
        /// Which flow.
        flow: u64,
        /// How that went.
        how: Dial,
    },
    /// Something to be recorded about the flow before it goes on: what it says
    /// (a TLS hello, the head of an HTTP request), that it must end because
    /// that is not what was allowed (a decision), or that a limit is reached.
    Stated {
        /// Which flow.
        flow: u64,
        /// What to record.
        fact: Fact,
        /// Told when it is recorded; dropped, the flow ends.
        recorded: oneshot::Sender<()>,
    },
    /// The flow is over.
    Closed {
        /// Which flow.
        flow: u64,
        /// Bytes from the guest.
        sent: u64,
        /// Bytes to the guest.
        received: u64,
        /// Why belljar ended it, if it did.
        why: Option<String>,
    },
}

/// How many bytes one flow may carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// From the guest.
    pub sent: Option<u64>,
    /// To the guest.
    pub received: Option<u64>,
}

/// Whether a flow may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// May it?
    pub allow: bool,
    /// The policy line that decided.
    pub by: String,
    /// A user allowed this very address and port. Only such a flow may go to an
    /// address that is refused otherwise, and only if the guest went there
    /// directly: what a name resolves to is nobody's literal wish.
    pub literal: bool,
}

/// Serves flows: one for each run.
#[derive(Debug)]
pub struct Egress {
    last: AtomicU64,
    lookups: Arc<Semaphore>,
    limits: Limits,
    lookout: Option<Arc<dyn Lookout>>,
}

/// One flow.
struct Served {
    flow: u64,
    ask: mpsc::Sender<Ask>,
    lookups: Arc<Semaphore>,
    limits: Limits,
    lookout: Option<Arc<dyn Lookout>>,
}

/// What came of a flow before it could be relayed.
enum Way {
    /// Relay to here.
    Open(TcpStream, SocketAddr),
    /// No connection, for this reason.
    Shut(Dial),
}

impl Default for Egress {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Egress {
    /// Nothing served yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            last: AtomicU64::new(0),
            lookups: Arc::new(Semaphore::new(LOOKUPS)),
            limits,
            lookout: None,
        }
    }

    /// With somebody who looks at every byte from the guest before it goes on.
    #[must_use]
    pub fn watched(self, lookout: Arc<dyn Lookout>) -> Self {
        Self {
            lookout: Some(lookout),
            ..self
        }
    }

    /// Serves one flow to its end, asking and reporting through `ask`: spawn
    /// it. Ends early when the guest closes the stream.
    pub fn serve(
        &self,
        stream: Stream,
        request: FlowRequest,
        ask: mpsc::Sender<Ask>,
    ) -> impl Future<Output = ()> + Send + use<> {
        self.run(stream, request, ask)
    }

    fn run<F: Flow>(
        &self,
        stream: F,
        request: FlowRequest,
        ask: mpsc::Sender<Ask>,
    ) -> impl Future<Output = ()> + Send + use<F> {
        let flow = self.last.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let served = Served {
            flow,
            ask,
            lookups: Arc::clone(&self.lookups),
            limits: self.limits,
            lookout: self.lookout.clone(),
        };
        async move {
            let relayed = served.run(stream, request).await;
            served
                .tell(Ask::Closed {
                    flow,
                    sent: relayed.sent,
                    received: relayed.received,
                    why: relayed.why,
                })
                .await;
        }
    }
}

impl Served {
    async fn run(&self, mut stream: impl Flow, request: FlowRequest) -> Relayed {
        let target = request.target.clone();
        let mut eye = self.lookout.as_ref().map(|out| out.watch(self.flow));
        let mut ahead = Vec::new();
        let decided = tokio::select! {
            decided = self.ask(request) => decided,
            () = gave_up(&mut stream, &mut ahead) => {
                self.seen(&mut eye, &ahead).await;
                self.opened(Dial::Failed(GAVE_UP.into())).await;
                return Relayed::default();
            }
        };
        let answer = match decided {
            Some(answer) if answer.allow => answer,
            refusal => {
                let by = refusal.map_or_else(|| "nobody answered".into(), |answer| answer.by);
                self.seen(&mut eye, &ahead).await;
                // The guest may be gone; then nobody needs the reply.
                let _ = write_frame(&mut stream, &FlowReply::Refused { by }).await;
                return Relayed::default();
            }
        };
        let way = tokio::select! {
            way = self.dial(&target, answer.literal) => way,
            () = gave_up(&mut stream, &mut ahead) => Way::Shut(Dial::Failed(GAVE_UP.into())),
        };
        let (how, reply, socket) = match way {
            Way::Open(socket, addr) => (Dial::Connected(addr), FlowReply::Connected, Some(socket)),
            Way::Shut(how) => {
                let reply = match &how {
                    Dial::Refused { range, .. } => FlowReply::Refused {
                        by: by(&answer.by, range),
                    },
                    Dial::Connected(_) | Dial::Failed(_) => FlowReply::Failed,
                };
                (how, reply, None)
            }
        };
        // Reported before the guest hears of it.
        self.opened(how).await;
        match (write_frame(&mut stream, &reply).await, socket) {
            (Ok(()), Some(socket)) => {
                let notes = Notes {
                    flow: self.flow,
                    ask: &self.ask,
                    by: &answer.by,
                };
                let watch = Watch {
                    sniffer: Sniffer::new(self.flow, target.name()),
                    limits: self.limits,
                    eye,
                    notes: &notes,
                };
                relay::both_ways(stream, socket, &ahead, watch).await
            }
            _ => {
                self.seen(&mut eye, &ahead).await;
                Relayed::default()
            }
        }
    }

    /// Records what a flow brought that goes nowhere.
    async fn seen(&self, eye: &mut Option<Box<dyn Eye>>, ahead: &[u8]) {
        let Some(eye) = eye else { return };
        for fact in eye.look(ahead) {
            let (recorded, done) = oneshot::channel();
            self.tell(Ask::Stated {
                flow: self.flow,
                fact: fact.into(),
                recorded,
            })
            .await;
            // Nothing waits for it: the flow ends anyway.
            drop(done);
        }
    }

    /// `None`: whoever answers is gone.
    async fn ask(&self, request: FlowRequest) -> Option<Answer> {
        let (reply, answer) = oneshot::channel();
        self.ask
            .send(Ask::Flow {
                flow: self.flow,
                request,
                reply,
            })
            .await
            .ok()?;
        answer.await.ok()
    }

    async fn dial(&self, target: &Target, literal: bool) -> Way {
        let dialled = match target {
            Target::Direct(addr) => dial::direct(*addr, literal).await,
            Target::Name { name, port } => dial::name(name, *port, &self.lookups).await,
        };
        match dialled {
            Dialled::Connected(socket, addr) => Way::Open(socket, addr),
            Dialled::Refused(addr, range) => Way::Shut(Dial::Refused {
                addr,
                range: range.to_owned(),
            }),
            Dialled::Failed(why) => Way::Shut(Dial::Failed(why)),
        }
    }

    async fn opened(&self, how: Dial) {
        self.tell(Ask::Opened {
            flow: self.flow,
            how,
        })
        .await;
    }

    async fn tell(&self, notice: Ask) {
        // Nobody listens any more only when the run is over.
        let _ = self.ask.send(notice).await;
    }
}

/// Who refused a flow that policy had allowed: the line, and the check that
/// outranks it. The same words stand in the guest's reply, in the trace and in
/// every report.
fn by(line: &str, check: &str) -> String {
    format!("{line}/{check}")
}

const GAVE_UP: &str = "the guest closed the flow before it was connected";

/// Returns when the guest closes the stream, and only then. What it sends ahead
/// is kept, up to a bound; beyond that it has to wait, like with any socket.
async fn gave_up(stream: &mut (impl AsyncRead + Unpin), ahead: &mut Vec<u8>) {
    loop {
        let room = AHEAD.saturating_sub(ahead.len());
        if room == 0 {
            return std::future::pending().await;
        }
        match (&mut *stream).take(room as u64).read_buf(ahead).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests;
