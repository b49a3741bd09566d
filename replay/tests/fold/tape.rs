//! Makes traces for tests: events in, entries out, always through the real writer.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use belljar_event::*;
use belljar_recorder::{Entry, Integrity, Start, Writer};
use belljar_replay::report::Report;
use belljar_replay::rules::RuleSet;
use belljar_replay::session::Session;

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const OPENAT: Call = Call(257);

/// Events in the making.
#[derive(Clone, Default)]
pub(crate) struct Tape {
    pub(crate) events: Vec<Event>,
    pub(crate) at: u64,
}

/// A trace that was written.
pub(crate) struct Recorded {
    pub(crate) start: Start,
    pub(crate) entries: Vec<Entry>,
    pub(crate) integrity: Integrity,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn rules() -> Arc<RuleSet> {
    RuleSet::builtin()
}

pub(crate) fn start() -> Start {
    Start {
        engine: "0.1.0".into(),
        label: "npm-credential-thief".into(),
        command: vec!["npm".into(), "install".into()],
        image: "a".repeat(64),
        kernel: "6.1.0-49-cloud-amd64".into(),
        rules: "b".repeat(64),
        redacted: Vec::new(),
    }
}

impl Tape {
    /// Machine, self-test, policy and decoys, as every run begins.
    pub(crate) fn booted() -> Self {
        let mut tape = Self {
            events: Vec::new(),
            at: 2_000 * MS,
        };
        let source = "name = \"default\"\n".to_owned();
        let digest = *blake3::hash(source.as_bytes()).as_bytes();
        tape.host(Policy { source, digest });
        tape.host(Machine {
            hypervisor: "qemu".into(),
            accelerator: "tcg".into(),
            degraded: true,
            cpus: 2,
            memory_mib: 2048,
        });
        let held = |name: &str| Check {
            name: name.into(),
            held: true,
        };
        tape.host(Armed {
            kernel: "6.1.0-49-cloud-amd64".into(),
            checks: vec![
                held("a refused connect is refused"),
                held("an open is seen"),
            ],
        });
        let decoy = |path: &str, kind: &str| Decoy {
            path: path.into(),
            kind: kind.into(),
            canary: "canary-0".into(),
        };
        tape.host(Decoys {
            decoys: vec![
                decoy("/home/dev/.ssh/id_ed25519", "ssh key"),
                decoy("/home/dev/.aws/credentials", "aws credentials"),
                decoy("/home/dev/.npmrc", "npm token"),
            ],
        });
        let left = |path: &str, why: &str| LeftOut {
            path: path.into(),
            why: why.into(),
        };
        tape.host(Copied {
            files: 12,
            bytes: 34_567,
            left_out: vec![
                left(".env", "credential"),
                left("node_modules", "git-ignored"),
            ],
            left_out_total: 2,
        });
        tape
    }

    pub(crate) fn host(&mut self, fact: impl Into<Fact>) -> &mut Self {
        self.at += MS;
        self.events.push(Event::host(self.at, fact.into()));
        self
    }

    pub(crate) fn add(&mut self, pid: u32, outcome: Outcome, fact: impl Into<Fact>) -> &mut Self {
        self.at += MS;
        self.events.push(Event {
            at: self.at,
            pid,
            tid: pid,
            outcome,
            fact: fact.into(),
        });
        self
    }

    pub(crate) fn ok(&mut self, pid: u32, fact: impl Into<Fact>) -> &mut Self {
        self.add(pid, Outcome::Returned(0), fact)
    }

    pub(crate) fn errno(&mut self, pid: u32, errno: i64, fact: impl Into<Fact>) -> &mut Self {
        self.add(pid, Outcome::Returned(-errno), fact)
    }

    pub(crate) fn begin(&mut self, name: &str, argv: &[&str], pid: u32) -> &mut Self {
        let step = Step::Begin {
            argv: argv.iter().map(|arg| (*arg).into()).collect(),
            pid,
        };
        self.host(Phase {
            name: name.into(),
            step,
        })
    }

    pub(crate) fn end(&mut self, name: &str, status: Status) -> &mut Self {
        self.host(Phase {
            name: name.into(),
            step: Step::End(status),
        })
    }

    pub(crate) fn fork(&mut self, parent: u32, child: u32) -> &mut Self {
        self.add(parent, Outcome::None, Fork { child })
    }

    pub(crate) fn exec(&mut self, pid: u32, file: &str, argv: &[&str]) -> &mut Self {
        self.ok(pid, exec(file, argv))
    }

    pub(crate) fn exit(&mut self, pid: u32, status: Status) -> &mut Self {
        self.add(pid, Outcome::None, Exit { status })
    }

    pub(crate) fn read(&mut self, pid: u32, path: &str) -> &mut Self {
        self.add(pid, Outcome::Returned(17), open(path, 0))
    }

    pub(crate) fn write(&mut self, pid: u32, path: &str) -> &mut Self {
        self.add(pid, Outcome::Returned(17), open(path, 0o1101))
    }

    pub(crate) fn connect_refused(&mut self, pid: u32, addr: &str) -> &mut Self {
        let addr: SocketAddr = addr.parse().unwrap();
        self.errno(
            pid,
            111,
            Connect {
                fd: 20,
                addr: Addr::Inet(addr),
                name: None,
            },
        )
    }

    pub(crate) fn flow(&mut self, pid: u32, flow: u64, name: &str, port: u16) -> &mut Self {
        let target = Target::Name {
            name: name.into(),
            port,
        };
        self.add(pid, Outcome::None, FlowAsked { flow, target })
    }

    pub(crate) fn decide(&mut self, flow: u64, action: Action, by: &str) -> &mut Self {
        self.host(Decision {
            flow,
            action,
            by: by.into(),
        })
    }

    pub(crate) fn relay(&mut self, flow: u64, sent: u64, received: u64) -> &mut Self {
        let addr = SocketAddr::from(([198, 51, 100, 20], 443));
        self.host(FlowOpened {
            flow,
            how: Dial::Connected(addr),
        });
        self.host(FlowClosed {
            flow,
            sent,
            received,
            why: None,
        })
    }

    pub(crate) fn name(&mut self, pid: u32, name: &str, answer: NameAnswer, by: &str) -> &mut Self {
        self.add(
            pid,
            Outcome::None,
            Name {
                name: name.into(),
                kind: 1,
                answer,
                by: by.into(),
            },
        )
    }

    /// Writes it, in blocks of `block` events, and ends it.
    pub(crate) fn record_with(&self, end: Option<End>, block: usize) -> Recorded {
        let mut writer = Writer::create(Vec::new(), start()).unwrap();
        let mut entries = Vec::new();
        for (number, event) in self.events.iter().enumerate() {
            writer.append(event.clone()).unwrap();
            if number % block == block - 1 {
                entries.extend(writer.flush().unwrap());
            }
        }
        entries.extend(writer.flush().unwrap());
        let integrity = match end {
            Some(end) => {
                let finished = writer.finish(end).unwrap();
                entries.extend(finished.entries);
                Integrity::Complete {
                    receipt: finished.receipt,
                }
            }
            None => Integrity::Cut {
                entries: entries.len() as u64,
                byte: 0,
                why: "the file ends early".into(),
            },
        };
        Recorded {
            start: start(),
            entries,
            integrity,
            bytes: writer.into_sink(),
        }
    }

    pub(crate) fn record(&self) -> Recorded {
        self.record_with(Some(End::Finished(Status::Code(0))), 4096)
    }

    pub(crate) fn session(&self) -> Session {
        self.record_with(None, 4096).session()
    }

    pub(crate) fn report(&self) -> Report {
        self.record().report()
    }
}

impl Recorded {
    pub(crate) fn session(&self) -> Session {
        let mut session = Session::new(rules()).with_start(&self.start);
        self.entries.iter().for_each(|entry| session.push(entry));
        session
    }

    pub(crate) fn report(&self) -> Report {
        Report::new(&self.session(), &self.integrity)
    }
}

pub(crate) fn exec(file: &str, argv: &[&str]) -> Exec {
    let argv: Vec<Text> = argv.iter().map(|arg| (*arg).into()).collect();
    Exec {
        call: Call(59),
        parent: 1,
        path: file.into(),
        file: Some(file.into()),
        interpreter: None,
        argv_bytes: argv.iter().map(|arg| arg.bytes().len() as u64 + 1).sum(),
        argv,
        cwd: Some("/home/dev/project".into()),
        uid: 1000,
        stdio: [Descriptor::Pipe; 3],
        unlinked: false,
        content: None,
        inherited: Vec::new(),
    }
}

pub(crate) fn open(path: &str, flags: u32) -> Open {
    Open {
        call: OPENAT,
        path: path.into(),
        base: None,
        file: None,
        flags,
        mode: 0,
    }
}

pub(crate) const STAND_IN: NameAnswer = NameAnswer::Synthetic(Ipv4Addr::new(198, 18, 0, 7));

/// npm runs a postinstall script that reads decoys and tries to send them away.
pub(crate) fn thief() -> Tape {
    let mut tape = Tape::booted();
    tape.begin("install", &["npm", "install"], 100)
        .exec(100, "/usr/bin/node", &["node", "/usr/bin/npm", "install"])
        .read(100, "/home/dev/.npmrc")
        .read(100, "/home/dev/project/package.json")
        .name(100, "registry.example", STAND_IN, "registry:npm")
        .flow(100, 1, "registry.example", 443)
        .decide(1, Action::Allow, "registry:npm")
        .relay(1, 2_345, 1_234_567)
        .write(100, "/home/dev/project/package-lock.json")
        .fork(100, 101)
        .exec(101, "/usr/bin/dash", &["sh", "-c", "node postinstall.js"])
        .fork(101, 102)
        .exec(102, "/usr/bin/node", &["node", "postinstall.js"])
        .read(102, "/home/dev/.ssh/id_ed25519")
        .read(102, "/home/dev/.aws/credentials")
        .errno(102, 2, open("/home/dev/.kube/config", 0))
        .name(102, "drop.example", NameAnswer::Refused, "default:egress")
        .connect_refused(102, "198.51.100.7:443")
        .connect_refused(102, "198.51.100.7:443")
        .exit(102, Status::Code(0))
        .exit(101, Status::Code(0))
        .host(Output {
            bytes: (*b"added 1 package\r\n").into(),
        })
        .exit(100, Status::Code(0))
        .end("install", Status::Code(0));
    tape
}

/// The same without the theft.
pub(crate) fn benign() -> Tape {
    let mut tape = Tape::booted();
    tape.begin("install", &["npm", "install"], 100)
        .exec(100, "/usr/bin/node", &["node", "/usr/bin/npm", "install"])
        .read(100, "/home/dev/.npmrc")
        .name(100, "registry.example", STAND_IN, "registry:npm")
        .flow(100, 1, "registry.example", 443)
        .decide(1, Action::Allow, "registry:npm")
        .relay(1, 2_345, 1_234_567)
        .write(100, "/home/dev/project/package-lock.json")
        .exit(100, Status::Code(0))
        .end("install", Status::Code(0));
    tape
}
