use std::collections::BTreeSet;

use belljar_event::*;

const V4: &str = "198.51.100.7:443";
const V6: &str = "[2001:db8::1]:53";

fn t(text: &str) -> Text {
    text.into()
}

fn cut() -> Text {
    Text::Cut {
        bytes: (*b"/very/lo").into(),
        length: 5000,
    }
}

/// The facts of a run that are no calls.
fn life() -> Vec<Fact> {
    let decoy = Decoy {
        path: t("/home/dev/.npmrc"),
        kind: "npm token".into(),
        canary: "c4".into(),
    };
    let out = LeftOut {
        path: t(".env"),
        why: "credential".into(),
    };
    let machine = Machine {
        hypervisor: "qemu".into(),
        accelerator: "tcg".into(),
        degraded: true,
        cpus: 2,
        memory_mib: 2048,
    };
    let check = Check {
        name: "a refused connect is refused".into(),
        held: true,
    };
    vec![
        Policy {
            source: "deny all".into(),
            digest: [3; 32],
        }
        .into(),
        Decoys {
            decoys: vec![decoy],
        }
        .into(),
        machine.into(),
        Armed {
            kernel: "6.1".into(),
            checks: vec![check],
        }
        .into(),
        Copied {
            files: 3,
            bytes: 99,
            left_out: vec![out],
            left_out_total: 1,
        }
        .into(),
        Phase {
            name: "install".into(),
            step: Step::Begin {
                argv: vec![t("npm")],
                pid: 9,
            },
        }
        .into(),
        Phase {
            name: "install".into(),
            step: Step::End(Status::Signal(9)),
        }
        .into(),
        Lost {
            count: 4,
            place: "ring buffer".into(),
        }
        .into(),
        Output {
            bytes: (*b"\x1b[31mred\x00\xff").into(),
        }
        .into(),
        LimitReached {
            what: "pids".into(),
            limit: 2048,
            unit: "processes".into(),
        }
        .into(),
        Sample {
            cpu_us: 1,
            memory: u64::MAX,
            tasks: 3,
            disk: 0,
        }
        .into(),
        Installed {
            client: "npm".into(),
            answered: true,
            packages: 9,
            scripts: vec![InstallScript {
                package: t("esbuild"),
                version: Some(t("0.25.0")),
                script: "postinstall".into(),
                command: t("node install.js"),
                ran: true,
            }],
            more: 0,
        }
        .into(),
        Transfer {
            file: cut(),
            read: 9,
            written: u64::MAX,
        }
        .into(),
        Signal {
            call: Call(62),
            target: -1,
            signal: 9,
        }
        .into(),
        Identity {
            call: Call(105),
            ids: [0, u64::MAX, 1],
        }
        .into(),
        TlsHello {
            flow: 3,
            name: Some(t("a.example")),
            alpn: vec![t("h2"), Text::Unreadable],
            encrypted: true,
        }
        .into(),
        HttpRequest {
            flow: 3,
            method: t("POST"),
            target: t("/c?x=1"),
            host: None,
        }
        .into(),
        Denied {
            op: Op::Read,
            path: Some(t("/home/dev/.npmrc")),
            action: Action::Deny,
            by: "default:decoys".into(),
        }
        .into(),
        Held {
            hold: 7,
            op: Op::Exec,
            call: Call(59),
            path: Some(t("/tmp/.x")),
            other: Some(cut()),
            target: Some(Target::Name {
                name: "a.example".into(),
                port: 443,
            }),
            argv: vec![t("x"), Text::Unreadable],
        }
        .into(),
        Question {
            hold: 7,
            by: "default:hidden".into(),
        }
        .into(),
        Answer {
            hold: 7,
            action: Action::Allow,
            who: Who::Person,
            by: "default:hidden".into(),
            scope: Scope::Saved("allow evt.op = exec".into()),
            waited: 1 << 40,
        }
        .into(),
        Killed {
            root: 77,
            count: 3,
            by: "person".into(),
        }
        .into(),
        Freeze { frozen: true }.into(),
    ]
}

fn processes_and_files() -> Vec<Fact> {
    let exec = Exec {
        call: Call(59),
        parent: 1,
        path: t("./x"),
        file: Some(t("/tmp/x")),
        interpreter: Some(cut()),
        argv: vec![t("x"), Text::Unreadable, t("")],
        argv_bytes: 12,
        cwd: None,
        uid: 1000,
        stdio: [
            Descriptor::Closed,
            Descriptor::UnixSocket,
            Descriptor::NetSocket,
        ],
        unlinked: true,
        content: None,
        inherited: Vec::new(),
    };
    let open = Open {
        call: Call(257),
        path: cut(),
        base: Some(t("/home/dev")),
        file: Some(Text::Unreadable),
        flags: 0o2000,
        mode: 0o644,
    };
    let change = Change {
        call: Call(316),
        path: t("a"),
        base: None,
        other: Some(t("b")),
        other_base: Some(t("/")),
        value: u64::MAX,
        file: Some(t("/x/a")),
        other_file: None,
    };
    vec![
        exec.into(),
        Fork { child: 77 }.into(),
        Exit {
            status: Status::Code(255),
        }
        .into(),
        open.into(),
        change.into(),
        Look {
            call: Call(89),
            path: t("/proc/self/exe"),
            base: None,
        }
        .into(),
        Dup {
            call: Call(33),
            from: 5,
            to: 0,
            what: Descriptor::NetSocket,
        }
        .into(),
        Guard {
            call: Call(319),
            path: Some(t("m")),
            args: [1, 2, 3, u64::MAX],
        }
        .into(),
    ]
}

fn network() -> Vec<Fact> {
    let v4: std::net::SocketAddr = V4.parse().unwrap();
    let v6: std::net::SocketAddr = V6.parse().unwrap();
    let name = Name {
        name: Text::new([0xff, b'.', b'x']),
        kind: 1,
        answer: NameAnswer::Synthetic("198.18.0.1".parse().unwrap()),
        by: "default:3".into(),
    };
    let target = Target::Name {
        name: "collect.example".into(),
        port: 443,
    };
    vec![
        Socket {
            family: 2,
            kind: 1,
            protocol: 6,
        }
        .into(),
        Connect {
            fd: 3,
            addr: Addr::Inet(v4),
            name: Some("collect.example".into()),
        }
        .into(),
        Connect {
            fd: -1,
            addr: Addr::Unix(Text::new(b"\0abstract")),
            name: None,
        }
        .into(),
        Bind {
            fd: 3,
            addr: Addr::Inet(v6),
        }
        .into(),
        Listen { fd: 3 }.into(),
        Accept { fd: 3 }.into(),
        Send {
            call: Call(44),
            fd: 4,
            addr: Addr::Other(40),
            bytes: 1 << 40,
        }
        .into(),
        name.into(),
        FlowAsked { flow: 1, target }.into(),
        FlowAsked {
            flow: 2,
            target: Target::Direct(v6),
        }
        .into(),
        Decision {
            flow: 1,
            action: Action::Deny,
            by: "default:9".into(),
        }
        .into(),
        FlowOpened {
            flow: 2,
            how: Dial::Refused {
                addr: v4,
                range: "private".into(),
            },
        }
        .into(),
        CanarySeen {
            flow: 2,
            decoy: 1,
            kind: "ssh key".into(),
            encoding: "base64".into(),
            at: 99,
            cut: true,
        }
        .into(),
        FlowClosed {
            flow: 2,
            sent: 10,
            received: u64::MAX,
            why: None,
        }
        .into(),
    ]
}

/// At least one event of every kind but the last of a trace.
pub(super) fn samples() -> Vec<Event> {
    let outcomes = [
        Outcome::None,
        Outcome::Returned(-13),
        Outcome::Refused(i64::MIN),
        Outcome::Died,
    ];
    let facts = [life(), processes_and_files(), network()].concat();
    let rows = facts
        .into_iter()
        .zip(outcomes.into_iter().cycle())
        .zip(1u32..);
    rows.map(|((fact, outcome), n)| {
        // Times are not sorted: two processors need not agree.
        Event {
            at: u64::from(n ^ 3) * 1000,
            pid: n,
            tid: u32::MAX - n,
            outcome,
            fact,
        }
    })
    .collect()
}

/// Kinds that no sample has.
fn missing(events: &[Event]) -> Vec<&'static str> {
    let there: BTreeSet<u16> = events.iter().map(|event| event.fact.kind()).collect();
    let rows = KINDS.iter().filter(|(kind, _)| !there.contains(kind));
    rows.map(|(_, name)| *name).collect()
}

#[test]
fn no_kind_is_without_a_sample() {
    let mut events = samples();
    assert_eq!(
        missing(&events),
        ["ended"],
        "the writer appends this one itself"
    );
    events.retain(|event| event.fact.kind_name() != "dns");
    assert_eq!(missing(&events), ["ended", "dns"]);
}
