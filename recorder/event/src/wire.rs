//! The host channel: handshake, streams, messages.
//!
//! One byte stream a machine: a virtio-serial port, or a vsock connection that
//! the host makes to [`VSOCK_PORT`]. First a handshake in the open (the agent waits
//! for it; stale bytes of an earlier session may precede it), then yamux: the
//! host is its client and opens `Control`, `Upload`; the agent opens one `Flow`
//! a connection. The first frame on every stream is a [`StreamKind`].
//! A frame is a little-endian u32 length and that many bytes of [`crate::encode`].

use bincode::{Decode, Encode};

use crate::{Action, Call, Event, NameAnswer, Op, Status, Target, Text};

/// Raised with every change of a message.
pub const VERSION: u16 = 3;

/// No frame may be longer; a longer one ends the run.
pub const MAX_FRAME: usize = crate::MAX_EVENT;

/// Length of the handshake, both ways: 8 bytes of magic, version (u16 LE), session id (16 bytes).
pub const HELLO_LEN: usize = 26;
/// Host to agent.
pub const HOST_MAGIC: [u8; 8] = *b"BELLJARh";
/// Agent to host.
pub const AGENT_MAGIC: [u8; 8] = *b"BELLJARa";

/// Where the agent listens if the machine's channel is a vsock.
pub const VSOCK_PORT: u32 = 5417;

/// The handshake's bytes.
#[must_use]
pub fn hello(magic: [u8; 8], session: [u8; 16]) -> [u8; HELLO_LEN] {
    let mut bytes = [0; HELLO_LEN];
    let (head, rest) = bytes.split_at_mut(8);
    let (version, id) = rest.split_at_mut(2);
    head.copy_from_slice(&magic);
    version.copy_from_slice(&VERSION.to_le_bytes());
    id.copy_from_slice(&session);
    bytes
}

/// Looks for a handshake with this magic; returns version, session and what is left behind it.
#[must_use]
pub fn find_hello(magic: [u8; 8], bytes: &[u8]) -> Option<(u16, [u8; 16], usize)> {
    let start = bytes
        .windows(magic.len())
        .position(|window| window == magic)?;
    let body = bytes.get(start + 8..start + HELLO_LEN)?;
    let (version, session) = body.split_first_chunk::<2>()?;
    Some((
        u16::from_le_bytes(*version),
        session.try_into().ok()?,
        start + HELLO_LEN,
    ))
}

/// What a stream is for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum StreamKind {
    /// [`ToAgent`] one way, [`FromAgent`] the other.
    Control,
    /// A tar archive for the project folder follows until end of stream; the
    /// agent answers with one [`Uploaded`] frame.
    Upload,
    /// A flow out of the guest; the host answers with one [`FlowReply`] frame,
    /// and after `Connected` both sides relay bytes.
    Flow(FlowRequest),
}

/// Answer to an upload.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Uploaded {
    /// What went wrong, if anything did.
    pub error: Option<String>,
}

/// A process wants out.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FlowRequest {
    /// Guest time.
    pub at: u64,
    /// Its pid.
    pub pid: u32,
    /// Its thread.
    pub tid: u32,
    /// Where to.
    pub target: Target,
}

/// The host's answer to a flow.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum FlowReply {
    /// Relay from here on.
    Connected,
    /// Policy or the refused ranges say no: the agent resets the connection.
    Refused {
        /// The policy line, or the range.
        by: String,
    },
    /// Could not be reached.
    Failed,
}

/// Host to agent.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ToAgent {
    /// First message: everything the payload will find.
    Setup(Box<Setup>),
    /// Start the payload. Sent after `Ready`, after the upload, and after
    /// policy and decoys are in the trace.
    Start(Launch),
    /// Answer to a `NameQuestion`.
    Name {
        /// The question's number.
        id: u64,
        /// May the payload know an address for it?
        allowed: bool,
        /// The policy line that decided.
        by: String,
    },
    /// Answer to a `Hold`.
    Decided {
        /// The hold's number.
        id: u64,
        /// What happens with it.
        verdict: Verdict,
    },
    /// End a process and everything below it; the agent tells with a
    /// [`crate::Killed`] event.
    Kill {
        /// Its root.
        pid: u32,
        /// Who says so.
        by: String,
    },
    /// The machine stood still: the guest's wall clock is set.
    Clock {
        /// Nanoseconds since 1970.
        unix_nanos: u64,
    },
    /// End the payload and power off.
    Stop,
}

/// What happens with a held call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Verdict {
    /// It goes on, as it was seen and not otherwise.
    Allow,
    /// It fails as if it were not permitted (a connect: as if nobody listened).
    Deny,
    /// It fails, and its process tree ends.
    Kill,
}

/// A policy line as the guest's kernel enforces it by itself.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct KernelLine {
    /// Its id: `default:decoys`. The first line that concerns an object decides.
    pub by: String,
    /// What it says. `Ask`: the call is held and the host decides; a call that
    /// cannot be held is refused.
    pub action: Action,
    /// Bits of the [`Op`]s that it is about.
    pub ops: u16,
    /// Which objects. None: every one.
    pub places: Vec<Place>,
}

/// An object, or several.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Place {
    /// This very path.
    Path(Vec<u8>),
    /// A folder and everything below it.
    Below(Vec<u8>),
    /// Every file of this name.
    Name(Vec<u8>),
}

/// A call that waits.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Hold {
    /// Number to answer with.
    pub id: u64,
    /// Guest time.
    pub at: u64,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// What it wants to do.
    pub op: Op,
    /// With which call.
    pub call: Call,
    /// The object, resolved. `Unreadable` where nothing could be resolved.
    pub path: Option<Text>,
    /// Of calls with two paths the second; of a script its interpreter.
    pub other: Option<Text>,
    /// Where to, of connects.
    pub target: Option<Target>,
    /// The command line, of execs.
    pub argv: Vec<Text>,
}

/// What the guest is made to look like.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Setup {
    /// Wall clock, nanoseconds since 1970.
    pub unix_nanos: u64,
    /// Seed for the guest's random pool.
    pub entropy: [u8; 32],
    /// Host name.
    pub hostname: String,
    /// Login name of the payload's user.
    pub user: String,
    /// Decoys to lay out in its home: path relative to the home.
    pub decoys: Vec<DecoyFile>,
    /// Addresses that the kernel may let through to the host's judgement
    /// without a name (`--allow IP:PORT`); all other direct connects are refused.
    pub direct: Vec<std::net::SocketAddr>,
    /// Most processes and threads that the payload may have.
    pub pids: u32,
    /// Most events that it may make in a second; 0 is no limit.
    pub event_rate: u32,
    /// Overlay size in MiB.
    pub disk_mib: u32,
    /// Whether to trace (benchmarks measure a run without).
    pub observe: bool,
    /// What the kernel enforces.
    pub lines: Vec<KernelLine>,
    /// Bits of the [`Op`]s that are held; of the lines that say ask, at least those.
    pub held: u16,
}

/// One decoy file.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DecoyFile {
    /// Path relative to the home.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Contents.
    pub content: Vec<u8>,
}

/// The payload.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Launch {
    /// Phase name.
    pub phase: String,
    /// Command, word by word.
    pub argv: Vec<Vec<u8>>,
    /// Additional environment.
    pub env: Vec<(String, String)>,
    /// Terminal rows.
    pub rows: u16,
    /// Terminal columns.
    pub columns: u16,
}

/// Agent to host.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum FromAgent {
    /// The guest is set up and armed; `Upload` and `Start` may follow.
    Ready {
        /// Guest monotonic time now: the host translates its own clock with it.
        now: u64,
        /// Home folder of the payload's user.
        home: String,
        /// Where an upload lands.
        project: String,
        /// Guest kernel and self-test.
        armed: crate::Armed,
    },
    /// Observed events, oldest first.
    Events(Vec<Event>),
    /// The resolver stub was asked for a name. The host answers with
    /// [`ToAgent::Name`] and records it.
    NameQuestion {
        /// Number to answer with.
        id: u64,
        /// Guest time.
        at: u64,
        /// Who asked; 0 if unknown.
        pid: u32,
        /// The name.
        name: Text,
        /// Record type.
        kind: u16,
        /// What would be answered if it is allowed.
        answer: NameAnswer,
    },
    /// A call waits until the host answers with [`ToAgent::Decided`].
    Hold(Box<Hold>),
    /// A held call's thread is gone: nobody needs the answer.
    Unheld {
        /// The hold's number.
        id: u64,
    },
    /// The payload's first process has ended and everything before it was sent.
    Exited(Status),
    /// The agent cannot go on: the run must end (never SAFE).
    Failed(String),
}
