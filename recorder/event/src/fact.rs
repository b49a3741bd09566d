//! What can happen, one struct a kind, listed once.
//!
//! A kind's number is part of the trace format: never reused, never renumbered.
//! New fields go to the end of a struct (a reader ignores what it does not
//! know at the end of a frame); a changed meaning is a new kind.

use bincode::{Decode, Encode};

use crate::{Addr, Call, CodecError, NameAnswer, Op, Target, Text};

macro_rules! facts {
    ($($number:literal $name:ident $text:literal,)*) => {
        /// What happened. The number before each kind in this file's table is its
        /// code in the trace.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each variant is the struct of its name")]
        pub enum Fact { $($name($name),)* }

        impl Fact {
            /// The kind's number in the trace.
            #[must_use]
            pub fn kind(&self) -> u16 {
                match self { $(Self::$name(_) => $number,)* }
            }

            /// The kind's name in listings and, where the event is no call, in `evt.type`.
            #[must_use]
            pub fn kind_name(&self) -> &'static str {
                match self { $(Self::$name(_) => $text,)* }
            }

            pub(crate) fn encode_body(&self) -> Result<Vec<u8>, CodecError> {
                match self { $(Self::$name(body) => crate::codec::encode(body),)* }
            }

            /// `None`: a kind that this version does not know.
            pub(crate) fn decode_body(kind: u16, bytes: &[u8]) -> Result<Option<Self>, CodecError> {
                Ok(Some(match kind {
                    $($number => Self::$name(crate::codec::decode_prefix(bytes)?),)*
                    _ => return Ok(None),
                }))
            }
        }

        $(impl From<$name> for Fact {
            fn from(body: $name) -> Self { Self::$name(body) }
        })*

        /// Every kind: number and name.
        pub const KINDS: &[(u16, &str)] = &[$(($number, $text),)*];
    };
}

facts! {
    1 Policy "policy",
    2 Decoys "decoys",
    3 Machine "machine",
    4 Armed "armed",
    5 Copied "copied",
    6 Phase "phase",
    7 Lost "lost",
    8 Ended "ended",
    9 LimitReached "limit",
    16 Exec "exec",
    17 Fork "fork",
    18 Exit "exit",
    32 Open "open",
    33 Change "change",
    34 Look "look",
    35 Transfer "transfer",
    48 Socket "socket",
    49 Connect "connect",
    50 Bind "bind",
    51 Listen "listen",
    52 Accept "accept",
    53 Send "send",
    54 Dup "dup",
    64 Guard "guard",
    65 Signal "signal",
    66 Identity "identity",
    67 Denied "denied",
    80 Name "dns",
    81 FlowAsked "flow",
    82 Decision "decision",
    83 FlowOpened "flow_opened",
    84 FlowClosed "flow_closed",
    85 TlsHello "tls",
    86 HttpRequest "http",
    87 Held "hold",
    88 Answer "answer",
    89 Killed "killed",
    90 Question "question",
    91 Freeze "freeze",
    92 CanarySeen "canary",
    96 Output "output",
    97 Sample "sample",
    98 Installed "installed",
}

/// The policy in force from here on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Policy {
    /// The policy's source text, which a replay can load again.
    pub source: String,
    /// blake3 of the source.
    pub digest: [u8; 32],
}

/// The decoys laid out before the payload started.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Decoys {
    /// Each decoy.
    pub decoys: Vec<Decoy>,
}

/// One decoy.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Decoy {
    /// Absolute path in the guest.
    pub path: Text,
    /// What it pretends to be: `ssh key`, `npm token` …
    pub kind: String,
    /// The string unique to this run that it contains.
    pub canary: String,
}

/// The machine that the payload runs in.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Machine {
    /// `qemu`, `cloud-hypervisor`.
    pub hypervisor: String,
    /// `kvm`, `tcg`.
    pub accelerator: String,
    /// True where the machine is no security boundary (software emulation).
    pub degraded: bool,
    /// Virtual processors.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
}

/// The agent's boot self-test: what was proved before the payload started.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Armed {
    /// Guest kernel release.
    pub kernel: String,
    /// Each check with its result; one false and the payload does not start.
    pub checks: Vec<Check>,
}

/// One self-test.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Check {
    /// What was proved, as a phrase: `a refused connect is refused`.
    pub name: String,
    /// Whether it held.
    pub held: bool,
}

/// What was copied into the guest and what was left out.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Copied {
    /// Files copied.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What stayed out (at most 1,000 are named).
    pub left_out: Vec<LeftOut>,
    /// How many stayed out in all.
    pub left_out_total: u64,
}

/// One path that was not copied in.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LeftOut {
    /// Path relative to the copied folder.
    pub path: Text,
    /// `credential`, `git-ignored`, `special file`, `outside link` …
    pub why: String,
}

/// A phase of the run begins or ends.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Phase {
    /// `install`, `run` …
    pub name: String,
    /// Which end of it.
    pub step: Step,
}

/// Which end of a phase.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Step {
    /// The payload starts.
    Begin {
        /// The command, word by word.
        argv: Vec<Text>,
        /// Its pid in the guest.
        pid: u32,
    },
    /// The payload's first process ended.
    End(Status),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Status {
    /// By exit, with this code.
    Code(u8),
    /// By this signal.
    Signal(u8),
}

/// Something was not recorded.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Lost {
    /// How many events (a lower bound where `place` says so).
    pub count: u64,
    /// Where: `ring buffer`, `task storage`, `channel` …
    pub place: String,
}

/// The run is over. The last event of a whole trace.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Ended {
    /// How.
    pub how: End,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum End {
    /// The payload ended by itself and the guest reported all of it.
    Finished(Status),
    /// The user stopped it.
    Interrupted,
    /// The time limit stopped it.
    TimedOut,
    /// The channel broke: agent, guest kernel or hypervisor died.
    GuestLost(String),
    /// Enforcement or recording could not be kept up.
    Failed(String),
    /// Belljar ended it as it was told to: the verdict turned MALICIOUS, a line said so …
    Stopped(String),
}

/// A program was executed (or an attempt was made).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Exec {
    /// Which call.
    pub call: Call,
    /// Parent's pid at that moment.
    pub parent: u32,
    /// The path handed to the kernel.
    pub path: Text,
    /// The kernel-resolved file: the script if it is one, else the program.
    pub file: Option<Text>,
    /// The kernel-resolved program that really runs, where it is not `file`.
    pub interpreter: Option<Text>,
    /// Arguments from the new program's own memory (from the caller's, if the call failed).
    pub argv: Vec<Text>,
    /// Bytes of all arguments; more than `argv` holds if it was cut.
    pub argv_bytes: u64,
    /// Working directory.
    pub cwd: Option<Text>,
    /// Effective user id.
    pub uid: u32,
    /// Descriptors 0, 1, 2.
    pub stdio: [Descriptor; 3],
    /// The executed file has no name any more (memfd or deleted).
    pub unlinked: bool,
    /// blake3 of what was executed, where the agent could read it.
    pub content: Option<[u8; 32]>,
    /// Descriptors from 3 on that the new program was handed (the first 16).
    pub inherited: Vec<(i32, Descriptor)>,
}

/// What a descriptor refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Descriptor {
    /// Closed.
    Closed,
    /// Regular file or folder.
    File,
    /// Character device: a terminal, /dev/null.
    Device,
    /// Pipe.
    Pipe,
    /// Unix socket: how many runtimes, node among them, make their pipes.
    UnixSocket,
    /// A network socket.
    NetSocket,
    /// Anything else.
    Other,
}

/// A new process (threads are not reported).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Fork {
    /// Its pid; the event's own pid is the parent's.
    pub child: u32,
}

/// A process ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Exit {
    /// How.
    pub status: Status,
}

/// A file was opened, or an attempt was made.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Open {
    /// Which call.
    pub call: Call,
    /// The path handed to the kernel.
    pub path: Text,
    /// The folder that a relative path starts from, where `file` is not known.
    pub base: Option<Text>,
    /// The kernel-resolved file.
    pub file: Option<Text>,
    /// `O_*` flags.
    pub flags: u32,
    /// Mode for a new file.
    pub mode: u32,
}

/// A name or its attributes changed, or an attempt was made.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Change {
    /// Which call.
    pub call: Call,
    /// The first path handed to the kernel.
    pub path: Text,
    /// The folder it starts from, if relative.
    pub base: Option<Text>,
    /// The second path, of calls that have one.
    pub other: Option<Text>,
    /// The folder that one starts from, if relative.
    pub other_base: Option<Text>,
    /// Mode, flags or length: the call's first plain argument after the paths.
    pub value: u64,
    /// The kernel-resolved name that the first path led to, before the change.
    pub file: Option<Text>,
    /// The kernel-resolved name that the second path led to.
    pub other_file: Option<Text>,
}

/// A path was looked at without opening it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Look {
    /// Which call.
    pub call: Call,
    /// The path.
    pub path: Text,
    /// The folder it starts from, if relative.
    pub base: Option<Text>,
}

/// A socket was made.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Socket {
    /// AF_*.
    pub family: u16,
    /// SOCK_* without flags.
    pub kind: u16,
    /// IPPROTO_*.
    pub protocol: u16,
}

/// A socket was connected, or an attempt was made.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Connect {
    /// Descriptor.
    pub fd: i32,
    /// Where to.
    pub addr: Addr,
    /// The name that was looked up, if the address is the stub's stand-in for one.
    pub name: Option<String>,
}

/// A socket was bound.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Bind {
    /// Descriptor.
    pub fd: i32,
    /// Where.
    pub addr: Addr,
}

/// A socket listens.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Listen {
    /// Descriptor.
    pub fd: i32,
}

/// A connection was taken.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Accept {
    /// Listening descriptor.
    pub fd: i32,
}

/// Something was sent to an address of its own (datagrams).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Send {
    /// Which call.
    pub call: Call,
    /// Descriptor.
    pub fd: i32,
    /// Where to.
    pub addr: Addr,
    /// Bytes asked to be sent.
    pub bytes: u64,
}

/// A socket became a standard stream.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Dup {
    /// Which call.
    pub call: Call,
    /// What was copied.
    pub from: i32,
    /// Where to: 0, 1 or 2.
    pub to: i32,
    /// What it is.
    pub what: Descriptor,
}

/// A call that installs have no business making.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Guard {
    /// Which call.
    pub call: Call,
    /// Its path or name argument, if it has one.
    pub path: Option<Text>,
    /// Its first arguments, raw.
    pub args: [u64; 4],
}

/// A name was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Name {
    /// The name in full, lower case, no trailing dot; bytes outside ASCII stay.
    pub name: Text,
    /// Record type: 1 is A, 28 is AAAA.
    pub kind: u16,
    /// What the stub said.
    pub answer: NameAnswer,
    /// The policy line that decided.
    pub by: String,
}

/// A process wants a flow out of the guest; the host judges it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FlowAsked {
    /// The flow's number in this run.
    pub flow: u64,
    /// Where to.
    pub target: Target,
}

/// A question was decided.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Decision {
    /// Which flow.
    pub flow: u64,
    /// What was decided.
    pub action: Action,
    /// Which policy line decided: `default:3`, or `built-in` for what no policy can allow.
    pub by: String,
}

/// What a policy line says.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Let it happen.
    Allow,
    /// Refuse it.
    Deny,
    /// Ask a person.
    Ask,
    /// End the process tree.
    Kill,
}

/// The guest's kernel refused the call whose event stands just before this one.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Denied {
    /// What was attempted.
    pub op: Op,
    /// The kernel-resolved object.
    pub path: Option<Text>,
    /// `Deny`, or `Ask`: it needed a yes that it did not have.
    pub action: Action,
    /// Which policy line says so.
    pub by: String,
}

/// A thread waits inside a call until it is decided.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Held {
    /// The hold's number in this run.
    pub hold: u64,
    /// What it wants to do.
    pub op: Op,
    /// With which call.
    pub call: Call,
    /// The object, resolved as the agent saw it.
    pub path: Option<Text>,
    /// Of calls with two paths the second; of a script its interpreter.
    pub other: Option<Text>,
    /// Where to, of connects.
    pub target: Option<Target>,
    /// The command line, of execs.
    pub argv: Vec<Text>,
}

/// A person is asked about a hold.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Question {
    /// Which hold.
    pub hold: u64,
    /// The policy line that says so.
    pub by: String,
}

/// A hold is over.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Answer {
    /// Which hold.
    pub hold: u64,
    /// What was decided.
    pub action: Action,
    /// Who decided.
    pub who: Who,
    /// Which policy line, or which earlier answer (`answer:3`: the one to hold 3).
    pub by: String,
    /// What else the answer holds for.
    pub scope: Scope,
    /// How long it was waited for, in nanoseconds of the host's clock: while a
    /// person is asked, the guest's stands still.
    pub waited: u64,
}

/// Who decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Who {
    /// A policy line, by itself.
    Policy,
    /// The person at the terminal, now.
    Person,
    /// The person, by an earlier answer that holds for this too.
    Earlier,
    /// The line says ask, and there was nobody to be asked.
    Nobody,
    /// The configured time for an answer ran out.
    Timer,
    /// The process ended before there was an answer.
    Gone,
}

/// What an answer holds for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Scope {
    /// This one call.
    Once,
    /// The same program and destination or path, in the tree below this process.
    Tree(u32),
    /// The same, for the rest of the run.
    Run,
    /// A policy line, in force from here on and saved for later runs.
    Saved(String),
}

/// A process tree was ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Killed {
    /// Its root.
    pub root: u32,
    /// How many processes.
    pub count: u32,
    /// `policy` (the answer to a held call), `person`, or `lineage`: below a tree that was
    /// ended, but no longer a child of it.
    pub by: String,
}

/// The person stopped the machine, or let it go on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Freeze {
    /// It stands still from here on.
    pub frozen: bool,
}

/// The host dialled, or could not.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FlowOpened {
    /// Which flow.
    pub flow: u64,
    /// How it went.
    pub how: Dial,
}

/// How dialling went.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Dial {
    /// Connected to this address.
    Connected(std::net::SocketAddr),
    /// An address that belljar refuses whatever the policy says (loopback, private, metadata …).
    Refused {
        /// The address that the name led to.
        addr: std::net::SocketAddr,
        /// Which range it falls in.
        range: String,
    },
    /// The name or the address could not be reached.
    Failed(String),
}

/// A flow is over.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FlowClosed {
    /// Which flow.
    pub flow: u64,
    /// Bytes from the guest.
    pub sent: u64,
    /// Bytes to the guest.
    pub received: u64,
    /// Why belljar ended it, if it did: a byte limit, a TLS name that differs …
    pub why: Option<String>,
}

/// What a TLS client said before anything was encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TlsHello {
    /// Which flow.
    pub flow: u64,
    /// Server name, if it named one.
    pub name: Option<Text>,
    /// Protocols offered (ALPN), at most 16.
    pub alpn: Vec<Text>,
    /// An encrypted hello (ECH) is inside: the name outside need not be the one
    /// that counts.
    pub encrypted: bool,
}

/// The head of a plain HTTP request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct HttpRequest {
    /// Which flow.
    pub flow: u64,
    /// `GET`, `POST` …
    pub method: Text,
    /// Request target as sent.
    pub target: Text,
    /// `Host` header.
    pub host: Option<Text>,
}

/// The host saw a decoy's canary in what a flow brings, before it went on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CanarySeen {
    /// Which flow.
    pub flow: u64,
    /// Which decoy: its place among those that were laid out, from 0.
    pub decoy: u32,
    /// What it pretends to be: `ssh key`, `wallet` …
    pub kind: String,
    /// How it was written: `plain`, `base64`, `hex` …
    pub encoding: String,
    /// Bytes of the flow from its beginning to the end of what was recognised.
    pub at: u64,
    /// The flow ends because of it; false where decoys are meant to be read.
    pub cut: bool,
}

/// How much was moved through one open file, told when it is closed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Transfer {
    /// Kernel-resolved path.
    pub file: Text,
    /// Bytes read from it.
    pub read: u64,
    /// Bytes written to it.
    pub written: u64,
}

/// A signal was sent to somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Signal {
    /// Which call.
    pub call: Call,
    /// Process (negative: group) as the call named it.
    pub target: i32,
    /// Which signal.
    pub signal: i32,
}

/// A change of user, group or capabilities was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Identity {
    /// Which call.
    pub call: Call,
    /// Its first arguments, as numbers (ids; for capset the effective set).
    pub ids: [u64; 3],
}

/// A limit of the run was reached: what happened after it is not the whole story.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LimitReached {
    /// `pids`, `memory`, `disk`, `time`, `flow bytes` …
    pub what: String,
    /// The limit.
    pub limit: u64,
    /// Its unit: `processes`, `MiB`, `s`, `bytes`.
    pub unit: String,
}

/// What the guest used at this moment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Sample {
    /// Processor time of the payload so far, in microseconds.
    pub cpu_us: u64,
    /// Its memory in bytes.
    pub memory: u64,
    /// Its processes and threads.
    pub tasks: u32,
    /// Bytes of changed files.
    pub disk: u64,
}

/// The payload wrote to its terminal.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Output {
    /// Raw bytes, escape sequences and all.
    pub bytes: Box<[u8]>,
}

/// What an install brought that is code to be run by the install itself. Asked
/// inside the guest, so it may be a lie; `ran` is what the host saw.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Installed {
    /// `npm`, `pip`.
    pub client: String,
    /// False: the guest gave no usable answer.
    pub answered: bool,
    /// Packages that were looked at.
    pub packages: u64,
    /// Each script, at most 600.
    pub scripts: Vec<InstallScript>,
    /// Packages with scripts beyond these.
    pub more: u64,
}

/// A script of a package that an install runs.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct InstallScript {
    /// The package.
    pub package: Text,
    /// Its version, if it is known.
    pub version: Option<Text>,
    /// `postinstall`, `setup.py`, or the backend that built it.
    pub script: String,
    /// The command, or the steps of the build.
    pub command: Text,
    /// It was seen to run.
    pub ran: bool,
}
