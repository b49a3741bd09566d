//! Events that few cases need.

use belljar_event as event;
use belljar_event::{Addr, CALLS, Call, Event, Fact, Outcome, Status, Text};
use serde::Deserialize;

/// What happened; the names are those of the events.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum More {
    /// A connect to a unix socket.
    Unix {
        pid: u32,
        path: String,
        #[serde(default)]
        errno: i64,
    },
    Bind {
        pid: u32,
        fd: i32,
        to: std::net::SocketAddr,
    },
    Listen {
        pid: u32,
        fd: i32,
    },
    /// A socket of a family other than IPv4.
    Family {
        pid: u32,
        family: u16,
        kind: u16,
        #[serde(default)]
        errno: i64,
    },
    Signal {
        pid: u32,
        call: String,
        target: i32,
        signal: i32,
        #[serde(default)]
        errno: i64,
    },
    Identity {
        pid: u32,
        call: String,
        ids: [u64; 3],
        #[serde(default)]
        errno: i64,
    },
    Killed {
        pid: u32,
        signal: u8,
    },
    Begin {
        name: String,
        argv: Vec<String>,
        pid: u32,
    },
    End {
        name: String,
        status: u8,
    },
    Limit {
        what: String,
        limit: u64,
        unit: String,
    },
    Sample {
        cpu_ms: u64,
    },
    Armed {
        failed: String,
    },
    Refused {
        pid: u32,
        op: String,
        file: String,
        by: String,
    },
    Http {
        flow: u64,
        method: String,
        target: String,
        host: String,
    },
    Tls {
        flow: u64,
        name: String,
    },
    Look {
        pid: u32,
        path: String,
    },
}

fn call(name: &str) -> Call {
    let row = CALLS.iter().find(|row| row.name == name);
    Call(row.unwrap_or_else(|| panic!("no call {name}")).number)
}

fn ended(errno: i64) -> Outcome {
    Outcome::Returned(-errno)
}

impl More {
    /// The event that it stands for.
    pub(crate) fn event(&self, at: u64) -> Event {
        let (pid, outcome) = self.who();
        Event {
            at,
            pid,
            tid: pid,
            outcome,
            fact: self.fact(),
        }
    }

    fn who(&self) -> (u32, Outcome) {
        match self {
            Self::Unix { pid, errno, .. }
            | Self::Signal { pid, errno, .. }
            | Self::Identity { pid, errno, .. } => (*pid, ended(*errno)),
            Self::Family { pid, errno: 0, .. } => (*pid, Outcome::Returned(3)),
            Self::Family { pid, errno, .. } => (*pid, ended(*errno)),
            Self::Bind { pid, .. } | Self::Listen { pid, .. } | Self::Look { pid, .. } => {
                (*pid, ended(0))
            }
            Self::Killed { pid, .. } | Self::Refused { pid, .. } => (*pid, Outcome::None),
            _ => (0, Outcome::None),
        }
    }

    fn fact(&self) -> Fact {
        match self {
            Self::Unix { path, .. } => event::Connect {
                fd: 3,
                addr: Addr::Unix(Text::new(path)),
                name: None,
            }
            .into(),
            Self::Bind { fd, to, .. } => event::Bind {
                fd: *fd,
                addr: Addr::Inet(*to),
            }
            .into(),
            Self::Listen { fd, .. } => event::Listen { fd: *fd }.into(),
            Self::Look { path, .. } => event::Look {
                call: call("readlink"),
                path: Text::new(path),
                base: None,
            }
            .into(),
            Self::Family { family, kind, .. } => event::Socket {
                family: *family,
                kind: *kind,
                protocol: 0,
            }
            .into(),
            Self::Signal {
                call: name,
                target,
                signal,
                ..
            } => event::Signal {
                call: call(name),
                target: *target,
                signal: *signal,
            }
            .into(),
            Self::Identity {
                call: name, ids, ..
            } => event::Identity {
                call: call(name),
                ids: *ids,
            }
            .into(),
            Self::Killed { signal, .. } => event::Exit {
                status: Status::Signal(*signal),
            }
            .into(),
            _ => self.of_the_run(),
        }
    }

    fn of_the_run(&self) -> Fact {
        match self {
            Self::Begin { name, argv, pid } => event::Phase {
                name: name.clone(),
                step: event::Step::Begin {
                    argv: argv.iter().map(Text::new).collect(),
                    pid: *pid,
                },
            }
            .into(),
            Self::End { name, status } => event::Phase {
                name: name.clone(),
                step: event::Step::End(Status::Code(*status)),
            }
            .into(),
            Self::Limit { what, limit, unit } => event::LimitReached {
                what: what.clone(),
                limit: *limit,
                unit: unit.clone(),
            }
            .into(),
            Self::Sample { cpu_ms } => event::Sample {
                cpu_us: cpu_ms * 1000,
                memory: 0,
                tasks: 1,
                disk: 0,
            }
            .into(),
            Self::Armed { failed } => event::Armed {
                kernel: "6.1".into(),
                checks: vec![event::Check {
                    name: failed.clone(),
                    held: false,
                }],
            }
            .into(),
            Self::Refused { op, file, by, .. } => event::Denied {
                op: event::Op::named(op).unwrap_or_else(|| panic!("no op {op}")),
                path: Some(Text::new(file)),
                action: event::Action::Deny,
                by: by.clone(),
            }
            .into(),
            Self::Http {
                flow,
                method,
                target,
                host,
            } => event::HttpRequest {
                flow: *flow,
                method: Text::new(method),
                target: Text::new(target),
                host: Some(Text::new(host)),
            }
            .into(),
            Self::Tls { flow, name } => event::TlsHello {
                flow: *flow,
                name: Some(Text::new(name)),
                alpn: Vec::new(),
                encrypted: false,
            }
            .into(),
            other => panic!("{other:?} is dealt with above"),
        }
    }
}
