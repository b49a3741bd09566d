//! What the tables say.

use belljar_event::*;
use belljar_replay::cond::{Field, Subject, Value};
use belljar_replay::moment::Moment;
use belljar_replay::session::DestinationState;

use crate::tape::{MS, OPENAT, STAND_IN, Tape, exec, open, thief};

fn names(tape: &Tape) -> Vec<(u16, String, u32)> {
    let rows = tape.session().processes();
    rows.iter()
        .map(|row| (row.depth, row.name.lossy().into_owned(), row.pid))
        .collect()
}

#[test]
fn the_tree_stands_in_order_of_birth() {
    let mut tape = Tape::default();
    tape.exec(10, "/bin/npm", &["npm"])
        .fork(10, 11)
        .fork(10, 12)
        .fork(11, 13)
        .exec(13, "/usr/bin/curl", &["curl", "-s"])
        .exec(12, "/bin/sh", &["sh"])
        .exec(50, "/bin/other", &["other"]);
    let seen = names(&tape);
    let expected = [
        (0, "npm", 10),
        (1, "npm", 11),
        (2, "curl", 13),
        (1, "sh", 12),
        (0, "other", 50),
    ];
    assert_eq!(
        seen,
        expected.map(|(depth, name, pid)| (depth, name.to_owned(), pid))
    );
}

#[test]
fn a_pid_that_comes_back_is_another_process() {
    let mut tape = Tape::default();
    tape.exec(10, "/bin/npm", &["npm"])
        .fork(10, 11)
        .exec(11, "/bin/first", &["first"])
        .exit(11, Status::Code(3))
        .fork(10, 11)
        .exec(11, "/bin/second", &["second"])
        .read(11, "/tmp/x");
    let session = tape.session();
    let rows = session.processes();
    let named: Vec<_> = rows
        .iter()
        .map(|row| (row.name.lossy().into_owned(), row.key, row.ended))
        .collect();
    assert_eq!(
        named[1],
        ("first".into(), 1, Some((4 * MS, Some(Status::Code(3)))))
    );
    assert_eq!(named[2], ("second".into(), 2, None));
    assert_eq!(session.file(b"/tmp/x").unwrap().last_process, Some(2));
    assert_eq!(rows[0].children, 2);
}

#[test]
fn a_pid_reused_without_an_exit_ends_the_old_process() {
    let mut tape = Tape::default();
    tape.fork(10, 11).fork(12, 11);
    let rows = tape.session().processes();
    let old: Vec<_> = rows.iter().filter(|row| row.pid == 11).collect();
    assert_eq!(old.len(), 2);
    assert_eq!(old.iter().filter(|row| row.ended.is_some()).count(), 1);
}

#[test]
fn a_late_fork_adopts_and_never_makes_a_cycle() {
    let mut tape = Tape::default();
    tape.read(21, "/tmp/a")
        .exec(20, "/bin/sh", &["sh"])
        .fork(20, 21);
    let session = tape.session();
    assert_eq!(session.processes().len(), 2);
    assert_eq!(session.processes()[1].parent, Some(1));
    tape.fork(21, 20).fork(20, 20).fork(21, 21);
    let session = tape.session();
    let rows = session.processes();
    assert_eq!(rows.len(), 5, "each nonsense fork is a process of its own");
    for row in &rows {
        assert!(session.lineage(row.key).len() <= rows.len());
    }
}

#[test]
fn lineage_ends_at_the_payload() {
    let tape = thief();
    let session = tape.session();
    let thief = session
        .processes()
        .into_iter()
        .find(|row| row.pid == 102)
        .unwrap();
    assert_eq!(
        session.lineage(thief.key),
        [
            "node postinstall.js",
            "dash -c node postinstall.js",
            "node /usr/bin/npm install"
        ]
    );
    assert_eq!(session.counts().running, 0);
}

#[test]
fn paths_are_joined_and_normalised_and_the_kernel_is_believed() {
    let mut tape = Tape::default();
    let mut relative = open("../.ssh//./id_rsa", 0);
    relative.base = Some("/home/dev/project".into());
    let mut linked = open("/tmp/link", 0);
    linked.file = Some("/home/dev/.ssh/id_rsa".into());
    tape.add(5, Outcome::Returned(3), relative)
        .add(5, Outcome::Returned(3), linked);
    let session = tape.session();
    let files = session.files();
    assert_eq!(files.len(), 1);
    assert_eq!(
        (&*files[0].path, files[0].reads),
        (&b"/home/dev/.ssh/id_rsa"[..], 2)
    );
    assert_eq!(files[0].credential, Some("ssh key"));
}

#[test]
fn touches_are_counted_by_how_they_ended() {
    let change = |call, path: &str, other: Option<&str>| Change {
        call: Call(call),
        path: path.into(),
        base: None,
        other: other.map(Into::into),
        other_base: None,
        value: 0,
        file: None,
        other_file: None,
    };
    let mut tape = Tape::default();
    tape.read(5, "/a")
        .write(5, "/a")
        .add(5, Outcome::Returned(3), open("/a", 0o301))
        .errno(5, 2, open("/a", 0))
        .errno(5, 13, open("/a", 0))
        .add(5, Outcome::Refused(-1), open("/a", 0))
        .add(5, Outcome::Returned(3), open("/a", 0o200_000))
        .ok(5, change(82, "/a", Some("/b")))
        .ok(5, change(90, "/b", None))
        .ok(5, change(88, "/target/text", Some("/c")))
        .ok(5, change(87, "/c", None));
    let session = tape.session();
    let a = session.file(b"/a").unwrap();
    assert_eq!(
        (a.reads, a.writes, a.creates, a.deletes, a.failed, a.denied),
        (1, 1, 1, 1, 1, 2)
    );
    let b = session.file(b"/b").unwrap();
    assert_eq!((b.creates, b.writes), (1, 1));
    let c = session.file(b"/c").unwrap();
    assert_eq!((c.creates, c.deletes), (1, 1));
    assert!(
        session.file(b"/target/text").is_none(),
        "a symlink's text is no touched path"
    );
    let window: Vec<_> = session
        .file_rows(1, 1)
        .iter()
        .map(|row| row.path.to_vec())
        .collect();
    assert_eq!(window, [b"/b".to_vec()]);
}

#[test]
fn flows_add_up_by_destination() {
    let mut tape = Tape::default();
    tape.exec(5, "/usr/bin/node", &["node"])
        .flow(5, 1, "registry.example", 443)
        .decide(1, Action::Allow, "registry:npm")
        .relay(1, 10, 100)
        .flow(5, 2, "registry.example", 443)
        .decide(2, Action::Allow, "registry:npm")
        .host(FlowOpened {
            flow: 2,
            how: Dial::Connected("198.51.100.20:443".parse().unwrap()),
        })
        .flow(5, 3, "inside.example", 443)
        .decide(3, Action::Allow, "allow:1")
        .host(FlowOpened {
            flow: 3,
            how: Dial::Refused {
                addr: "10.0.0.1:443".parse().unwrap(),
                range: "private".into(),
            },
        })
        .flow(5, 4, "drop.example", 443)
        .decide(4, Action::Deny, "default:egress")
        .decide(99, Action::Allow, "nobody");
    let session = tape.session();
    let rows = session.destinations();
    let registry = &rows[0];
    assert_eq!(
        (
            registry.flows,
            registry.open,
            registry.sent,
            registry.received
        ),
        (2, 1, 10, 100)
    );
    assert_eq!(
        (registry.state, &*registry.by),
        (DestinationState::Open, "registry:npm")
    );
    assert_eq!(registry.programs, ["node".into()]);
    assert_eq!(
        (rows[1].state, rows[1].refused, &*rows[1].by),
        (DestinationState::Range, 1, "allow:1/private")
    );
    assert_eq!(
        (rows[2].state, rows[2].refused),
        (DestinationState::Denied, 1)
    );
    assert_eq!(session.counts().refused, 2);
}

#[test]
fn refused_connects_count_only_outside_the_guest() {
    let mut tape = Tape::default();
    tape.connect_refused(5, "198.51.100.7:443")
        .connect_refused(5, "127.0.0.1:8080")
        .connect_refused(5, "[::1]:80");
    // A resolver's datagram connect to a looked-up name sends nothing.
    tape.add(
        5,
        Outcome::Returned(9),
        Socket {
            family: 2,
            kind: 2,
            protocol: 0,
        },
    );
    let probe = Connect {
        fd: 9,
        addr: Addr::Inet("198.18.0.7:443".parse().unwrap()),
        name: Some("x.example".into()),
    };
    tape.errno(5, 111, probe);
    let rows = tape.session().destinations();
    assert_eq!(rows.len(), 1);
    assert!(rows[0].direct);
    assert_eq!(
        (&*rows[0].name, rows[0].port, &*rows[0].by),
        ("198.51.100.7", 443, "guest")
    );
}

#[test]
fn names_fold_over_record_types() {
    let mut tape = Tape::default();
    tape.name(5, "a.example", STAND_IN, "allow:1").name(
        5,
        "a.example",
        NameAnswer::NoData,
        "allow:1",
    );
    let rows = tape.session().names();
    assert_eq!((rows.len(), rows[0].asked, rows[0].refused), (1, 2, 0));
}

#[test]
fn a_checkpoint_does_not_move() {
    let recorded = thief().record();
    let (first, rest) = recorded.entries.split_at(12);
    let mut session = belljar_replay::session::Session::new(crate::tape::rules());
    first.iter().for_each(|entry| session.push(entry));
    let checkpoint = session.clone();
    let seen = |session: &belljar_replay::session::Session| {
        (
            session.overview().events,
            session.files_len(),
            session.processes().len(),
            session.destinations().len(),
        )
    };
    let before = seen(&checkpoint);
    rest.iter().for_each(|entry| session.push(entry));
    assert_eq!(seen(&checkpoint), before);
    assert_ne!(seen(&session), before);
}

#[test]
fn terminal_output_keeps_its_end() {
    let mut tape = Tape::default();
    for number in 0..5_000u32 {
        tape.host(Output {
            bytes: format!("{number:0100}\n").into_bytes().into(),
        });
    }
    let session = tape.session();
    let tail = session.output();
    assert!(tail.len() <= 256 << 10 && tail.len() > 200 << 10);
    assert!(tail.ends_with(b"4999\n"));
    assert_eq!(session.output_total(), 5_000 * 101);
}

/// The value of a field for the last event of a tape.
fn value(tape: &Tape, field: Field) -> Value<'static> {
    let recorded = tape.record_with(None, 4096);
    let session = recorded.session();
    let moment = Moment::new(&session, recorded.entries.last().unwrap());
    match moment.value(field) {
        Value::Bytes(bytes) => Value::Bytes(bytes.into_owned().into()),
        Value::Cut(bytes) => Value::Cut(bytes.into_owned().into()),
        Value::Int(n) => Value::Int(n),
        Value::Bool(is) => Value::Bool(is),
        Value::Ip(ip) => Value::Ip(ip),
        Value::Unknown => Value::Unknown,
        Value::Absent => Value::Absent,
        Value::List(list) => Value::List(
            list.iter()
                .map(|v| match v {
                    Value::Bytes(bytes) => Value::Bytes(bytes.to_vec().into()),
                    _ => Value::Unknown,
                })
                .collect(),
        ),
    }
}

#[test]
fn fields_of_an_open() {
    let mut tape = thief();
    tape.events.truncate(tape.events.iter().position(|e| matches!(&e.fact, Fact::Open(o) if o.path == "/home/dev/.ssh/id_ed25519".into())).unwrap() + 1);
    let text = |text: &'static str| Value::str(text);
    for (field, expected) in [
        (Field::EvtType, text("openat")),
        (Field::EvtRes, text("SUCCESS")),
        (Field::EvtFailed, false.into()),
        (Field::EvtRawRes, 17i64.into()),
        (Field::EvtIsOpenRead, true.into()),
        (Field::EvtIsOpenWrite, false.into()),
        (Field::EvtArgFlags, text("O_RDONLY")),
        (Field::ProcName, text("node")),
        (Field::ProcPname, text("dash")),
        (Field::ProcCmdline, text("node postinstall.js")),
        (Field::ProcArgs, text("postinstall.js")),
        (Field::ProcAnameAt(2), text("node")),
        (Field::ProcAnameAt(3), Value::Absent),
        (Field::ProcAcmdlineAt(2), text("node /usr/bin/npm install")),
        (Field::ProcPid, 102i64.into()),
        (Field::ProcPpid, 101i64.into()),
        (Field::ProcStdinType, text("pipe")),
        (Field::ProcStdioNet, false.into()),
        (Field::FdName, text("/home/dev/.ssh/id_ed25519")),
        (Field::FdDirectory, text("/home/dev/.ssh")),
        (Field::FdFilename, text("id_ed25519")),
        (Field::FdTypechar, text("f")),
        (Field::FsPathName, text("/home/dev/.ssh/id_ed25519")),
        (Field::FsPathSource, Value::Absent),
        (Field::PathDecoy, true.into()),
        (Field::PathDecoyKind, text("ssh key")),
        (Field::PathCredential, true.into()),
        (Field::NetDirect, Value::Absent),
        (Field::PhaseName, text("install")),
        (Field::UserUid, 1000i64.into()),
        (
            Field::ProcAname,
            Value::List(vec![text("dash"), text("node")]),
        ),
    ] {
        assert_eq!(value(&tape, field), expected, "{field}");
    }
}

#[test]
fn fields_of_a_refused_connect_and_a_decision() {
    let mut tape = Tape::default();
    tape.exec(5, "/usr/bin/curl", &["curl"])
        .connect_refused(5, "198.51.100.7:443");
    for (field, expected) in [
        (Field::EvtType, Value::str("connect")),
        (Field::EvtRes, Value::str("ECONNREFUSED")),
        (Field::NetDirect, true.into()),
        (Field::NetRefused, true.into()),
        (Field::NetBy, Value::str("guest")),
        (Field::NetName, Value::Absent),
        (Field::FdSport, 443i64.into()),
        (Field::FdRip, Value::Ip("198.51.100.7".parse().unwrap())),
        (Field::FdName, Value::str("198.51.100.7:443")),
        (Field::FdL4proto, Value::Unknown),
        (Field::FdTypechar, Value::str("4")),
    ] {
        assert_eq!(value(&tape, field), expected, "{field}");
    }
    tape.flow(5, 1, "drop.example", 443);
    assert_eq!(
        value(&tape, Field::NetRefused),
        false.into(),
        "not refused yet"
    );
    tape.decide(1, Action::Deny, "default:egress");
    for (field, expected) in [
        (Field::EvtType, Value::str("decision")),
        (Field::ProcName, Value::str("curl")),
        (Field::NetName, Value::str("drop.example")),
        (Field::NetRefused, true.into()),
        (Field::NetAction, Value::str("deny")),
        (Field::NetBy, Value::str("default:egress")),
        (Field::FdRip, Value::Unknown),
        (Field::FdL4proto, Value::str("tcp")),
        (Field::EvtFailed, Value::Absent),
    ] {
        assert_eq!(value(&tape, field), expected, "{field}");
    }
}

#[test]
fn what_is_unreadable_is_unknown_not_empty() {
    let mut tape = Tape::default();
    let open = Open {
        call: OPENAT,
        path: Text::Unreadable,
        base: None,
        file: None,
        flags: 0,
        mode: 0,
    };
    tape.ok(5, open);
    assert_eq!(value(&tape, Field::FdName), Value::Unknown);
    assert_eq!(value(&tape, Field::PathDecoy), Value::Unknown);
    assert_eq!(
        value(&tape, Field::ProcName),
        Value::Unknown,
        "nothing was executed yet"
    );
    let mut cut = exec("/bin/sh", &["sh", "-c"]);
    cut.argv.push(Text::capped(b"curl something long", 4));
    tape.ok(5, cut);
    assert_eq!(
        value(&tape, Field::ProcCmdline),
        Value::Cut(b"sh -c curl"[..].into())
    );
}

#[test]
fn a_socket_as_standard_stream_is_seen_at_exec_and_by_dup() {
    let mut tape = Tape::default();
    let mut shell = exec("/bin/sh", &["sh", "-i"]);
    shell.stdio[0] = Descriptor::NetSocket;
    tape.ok(5, shell);
    assert_eq!(value(&tape, Field::ProcStdioNet), true.into());
    tape.exec(6, "/bin/sh", &["sh"]);
    assert_eq!(value(&tape, Field::ProcStdioNet), false.into());
    tape.ok(
        6,
        Dup {
            call: Call(33),
            from: 9,
            to: 0,
            what: Descriptor::NetSocket,
        },
    );
    assert_eq!(value(&tape, Field::ProcStdioNet), true.into());
    tape.exec(6, "/bin/ls", &["ls"]);
    assert_eq!(
        value(&tape, Field::ProcStdioNet),
        false.into(),
        "exec says anew what the streams are"
    );
}
