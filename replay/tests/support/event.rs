//! One hand-written event and the real one that it stands for.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use belljar_event as event;
use belljar_event::{
    Action, Addr, CALLS, Call, Dial, Event, Fact, NameAnswer, Outcome, Target, Text,
};
use serde::Deserialize;

use super::more::More;

/// What happened; the names are those of the events.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Step {
    Decoys(Vec<Decoy>),
    Fork {
        pid: u32,
        child: u32,
    },
    Exec(Exec),
    Exit {
        pid: u32,
    },
    Open(Open),
    Change(Change),
    Socket {
        pid: u32,
        fd: i32,
        #[serde(default)]
        datagram: bool,
    },
    Connect(Connect),
    Dup(Dup),
    Dns {
        pid: u32,
        name: String,
        #[serde(default)]
        refused: bool,
        by: String,
    },
    Flow {
        pid: u32,
        flow: u64,
        to: String,
    },
    Decision {
        flow: u64,
        action: Action,
        by: String,
    },
    Denied {
        pid: u32,
        file: String,
        by: String,
    },
    Opened {
        flow: u64,
        #[serde(default)]
        refused: Option<String>,
        to: SocketAddr,
    },
    Closed {
        flow: u64,
        sent: u64,
        received: u64,
    },
    Canary {
        pid: u32,
        flow: u64,
        decoy: u32,
        kind: String,
        encoding: String,
    },
    Output(String),
    Phase(String),
    Guard {
        pid: u32,
        call: String,
        #[serde(default)]
        path: Option<String>,
        #[serde(default)]
        args: [u64; 4],
        #[serde(default)]
        result: Ending,
    },
    #[serde(untagged)]
    More(More),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decoy {
    path: String,
    kind: String,
    #[serde(default = "canary")]
    canary: String,
}

fn canary() -> String {
    "canary".into()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exec {
    pid: u32,
    parent: u32,
    file: String,
    #[serde(default)]
    interpreter: Option<String>,
    argv: Vec<String>,
    #[serde(default)]
    stdio: Option<[Stream; 3]>,
    #[serde(default = "home")]
    cwd: String,
    #[serde(default)]
    unlinked: bool,
    #[serde(default)]
    result: Ending,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stream {
    Closed,
    File,
    Device,
    Pipe,
    Unix,
    Net,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Open {
    pid: u32,
    #[serde(default = "openat")]
    call: String,
    /// As the program wrote it; the resolved file, if nothing else is said.
    #[serde(default)]
    path: Option<String>,
    /// As the kernel resolved it.
    #[serde(default)]
    file: Option<String>,
    #[serde(default)]
    base: Option<String>,
    #[serde(default)]
    flags: Vec<Flag>,
    #[serde(default)]
    mode: u32,
    #[serde(default)]
    result: Ending,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) enum Flag {
    #[serde(rename = "O_WRONLY")]
    WriteOnly,
    #[serde(rename = "O_RDWR")]
    ReadWrite,
    #[serde(rename = "O_CREAT")]
    Create,
    #[serde(rename = "O_DIRECTORY")]
    Directory,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    pid: u32,
    call: String,
    path: String,
    #[serde(default)]
    other: Option<String>,
    /// What the kernel resolved the first path to.
    #[serde(default)]
    file: Option<String>,
    /// What it resolved the second path to.
    #[serde(default)]
    other_file: Option<String>,
    /// Mode, flags or length.
    #[serde(default)]
    value: u64,
    #[serde(default)]
    result: Ending,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Connect {
    pid: u32,
    #[serde(default = "three")]
    fd: i32,
    to: SocketAddr,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    result: Ending,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dup {
    pid: u32,
    #[serde(default = "three")]
    from: i32,
    to: i32,
    what: Stream,
}

/// A returned number, or the name of an error.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Ending(Option<String>);

const ERRORS: &[(&str, i64)] = &[
    ("EPERM", 1),
    ("ENOENT", 2),
    ("EACCES", 13),
    ("ENETUNREACH", 101),
    ("ECONNREFUSED", 111),
];

impl Ending {
    fn outcome(&self, otherwise: i64) -> Outcome {
        let Some(text) = &self.0 else {
            return Outcome::Returned(otherwise);
        };
        let error = ERRORS
            .iter()
            .find(|(name, _)| name == text)
            .map(|(_, errno)| -errno);
        let value =
            error.unwrap_or_else(|| text.parse().unwrap_or_else(|_| panic!("no result: {text}")));
        Outcome::Returned(value)
    }
}

fn home() -> String {
    "/home/dev/project".into()
}

fn openat() -> String {
    "openat".into()
}

fn three() -> i32 {
    3
}

fn call(name: &str) -> Call {
    let row = CALLS
        .iter()
        .find(|row| row.name == name)
        .unwrap_or_else(|| panic!("no call {name}"));
    Call(row.number)
}

fn text(text: &str) -> Text {
    Text::new(text)
}

fn target(to: &str) -> Target {
    if let Ok(address) = to.parse() {
        return Target::Direct(address);
    }
    let (name, port) = to
        .rsplit_once(':')
        .unwrap_or_else(|| panic!("no port in {to}"));
    Target::Name {
        name: name.into(),
        port: port.parse().unwrap(),
    }
}

fn descriptor(stream: Stream) -> event::Descriptor {
    use event::Descriptor;
    match stream {
        Stream::Closed => Descriptor::Closed,
        Stream::File => Descriptor::File,
        Stream::Device => Descriptor::Device,
        Stream::Pipe => Descriptor::Pipe,
        Stream::Unix => Descriptor::UnixSocket,
        Stream::Net => Descriptor::NetSocket,
    }
}

impl Step {
    /// The event that it stands for.
    pub(crate) fn event(&self, at: u64) -> Event {
        if let Self::More(more) = self {
            return more.event(at);
        }
        let (pid, outcome, fact): (u32, Outcome, Fact) = match self {
            Self::Decoys(decoys) => (0, Outcome::None, decoys_laid(decoys).into()),
            Self::Fork { pid, child } => {
                (*pid, Outcome::None, event::Fork { child: *child }.into())
            }
            Self::Exec(exec) => (exec.pid, exec.result.outcome(0), exec.fact().into()),
            Self::Exit { pid } => (
                *pid,
                Outcome::None,
                event::Exit {
                    status: event::Status::Code(0),
                }
                .into(),
            ),
            Self::Open(open) => (open.pid, open.result.outcome(3), open.fact().into()),
            Self::Change(change) => (change.pid, change.result.outcome(0), change.fact().into()),
            Self::Socket { pid, fd, datagram } => {
                let kind = if *datagram { 2 } else { 1 };
                (
                    *pid,
                    Outcome::Returned((*fd).into()),
                    event::Socket {
                        family: 2,
                        kind,
                        protocol: 0,
                    }
                    .into(),
                )
            }
            Self::Connect(connect) => (
                connect.pid,
                connect.result.outcome(0),
                connect.fact().into(),
            ),
            Self::Dup(dup) => (dup.pid, Outcome::Returned(dup.to.into()), dup.fact().into()),
            Self::Dns {
                pid,
                name,
                refused,
                by,
            } => (*pid, Outcome::None, asked(name, *refused, by).into()),
            Self::Flow { pid, flow, to } => (
                *pid,
                Outcome::None,
                event::FlowAsked {
                    flow: *flow,
                    target: target(to),
                }
                .into(),
            ),
            Self::Denied { pid, file, by } => (
                *pid,
                Outcome::None,
                event::Denied {
                    op: event::Op::Read,
                    path: Some(file.as_str().into()),
                    action: Action::Deny,
                    by: by.clone(),
                }
                .into(),
            ),
            Self::Decision { flow, action, by } => (
                0,
                Outcome::None,
                event::Decision {
                    flow: *flow,
                    action: *action,
                    by: by.clone(),
                }
                .into(),
            ),
            Self::Opened { flow, refused, to } => {
                let how = match refused {
                    Some(range) => Dial::Refused {
                        addr: *to,
                        range: range.clone(),
                    },
                    None => Dial::Connected(*to),
                };
                (
                    0,
                    Outcome::None,
                    event::FlowOpened { flow: *flow, how }.into(),
                )
            }
            Self::Closed {
                flow,
                sent,
                received,
            } => {
                let fact = event::FlowClosed {
                    flow: *flow,
                    sent: *sent,
                    received: *received,
                    why: None,
                };
                (0, Outcome::None, fact.into())
            }
            Self::Canary {
                pid,
                flow,
                decoy,
                kind,
                encoding,
            } => {
                let fact = event::CanarySeen {
                    flow: *flow,
                    decoy: *decoy,
                    kind: kind.clone(),
                    encoding: encoding.clone(),
                    at: 10,
                    cut: false,
                };
                (*pid, Outcome::None, fact.into())
            }
            Self::Phase(name) => {
                let step = event::Step::Begin {
                    argv: vec![text(name)],
                    pid: 0,
                };
                let name = name.clone();
                (0, Outcome::None, event::Phase { name, step }.into())
            }
            Self::Guard {
                pid,
                call: name,
                path,
                args,
                result,
            } => {
                let fact = event::Guard {
                    call: call(name),
                    path: path.as_deref().map(text),
                    args: *args,
                };
                (*pid, result.outcome(0), fact.into())
            }
            Self::More(_) => unreachable!("dealt with above"),
            Self::Output(text) => (
                0,
                Outcome::None,
                event::Output {
                    bytes: text.as_bytes().into(),
                }
                .into(),
            ),
        };
        Event {
            at,
            pid,
            tid: pid,
            outcome,
            fact,
        }
    }
}

fn decoys_laid(decoys: &[Decoy]) -> event::Decoys {
    let decoy = |decoy: &Decoy| event::Decoy {
        path: text(&decoy.path),
        kind: decoy.kind.clone(),
        canary: decoy.canary.clone(),
    };
    event::Decoys {
        decoys: decoys.iter().map(decoy).collect(),
    }
}

fn asked(name: &str, refused: bool, by: &str) -> event::Name {
    let answer = match refused {
        true => NameAnswer::Refused,
        false => NameAnswer::Synthetic(Ipv4Addr::new(198, 18, 0, 2)),
    };
    event::Name {
        name: text(name),
        kind: 1,
        answer,
        by: by.into(),
    }
}

impl Exec {
    fn fact(&self) -> event::Exec {
        let stdio = self.stdio.unwrap_or([Stream::Device; 3]).map(descriptor);
        event::Exec {
            call: call("execve"),
            parent: self.parent,
            path: text(&self.file),
            file: Some(text(&self.file)),
            interpreter: self.interpreter.as_deref().map(text),
            argv: self.argv.iter().map(|arg| text(arg)).collect(),
            argv_bytes: self.argv.iter().map(|arg| arg.len() as u64 + 1).sum(),
            cwd: Some(text(&self.cwd)),
            uid: 1000,
            stdio,
            unlinked: self.unlinked,
            content: None,
            inherited: Vec::new(),
        }
    }
}

impl Open {
    fn fact(&self) -> event::Open {
        let bits = |flag: &Flag| match flag {
            Flag::WriteOnly => 1,
            Flag::ReadWrite => 2,
            Flag::Create => 0o100,
            Flag::Directory => 0o200_000,
        };
        let path = self
            .path
            .as_deref()
            .or(self.file.as_deref())
            .expect("path or file");
        event::Open {
            call: call(&self.call),
            path: text(path),
            base: self.base.as_deref().map(text),
            file: self.file.as_deref().map(text),
            flags: self.flags.iter().map(bits).sum(),
            mode: self.mode,
        }
    }
}

impl Change {
    fn fact(&self) -> event::Change {
        event::Change {
            call: call(&self.call),
            path: text(&self.path),
            base: None,
            other: self.other.as_deref().map(text),
            other_base: None,
            value: self.value,
            file: self.file.as_deref().map(text),
            other_file: self.other_file.as_deref().map(text),
        }
    }
}

impl Connect {
    fn fact(&self) -> event::Connect {
        let ip: IpAddr = self.to.ip();
        let addr = Addr::Inet(SocketAddr::new(ip, self.to.port()));
        event::Connect {
            fd: self.fd,
            addr,
            name: self.name.clone(),
        }
    }
}

impl Dup {
    fn fact(&self) -> event::Dup {
        event::Dup {
            call: call("dup2"),
            from: self.from,
            to: self.to,
            what: descriptor(self.what),
        }
    }
}
