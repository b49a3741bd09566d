//! Arbitrary events: nothing panics, everything stays bounded, and cutting the
//! fold in two makes no difference.

use std::net::{IpAddr, SocketAddr};

use belljar_event::*;
use belljar_replay::cond::{FIELDS, Subject};
use belljar_replay::moment::Moment;
use belljar_replay::report::Report;
use belljar_replay::report::jsonl;
use belljar_replay::session::Session;
use proptest::prelude::*;

use crate::tape::{Tape, rules};

fn text() -> BoxedStrategy<Text> {
    let path = prop_oneof![
        Just("/home/dev/.ssh/id_rsa".to_owned()),
        Just("/tmp/a".to_owned()),
        Just("../../etc/shadow".to_owned()),
        Just(String::new()),
        "[a-z./\u{202e}\u{1b}]{0,12}",
    ];
    prop_oneof![
        6 => path.prop_map(Text::new),
        1 => proptest::collection::vec(any::<u8>(), 0..30).prop_map(|bytes| Text::capped(&bytes, 9)),
        1 => Just(Text::Unreadable),
    ]
    .boxed()
}

fn maybe() -> BoxedStrategy<Option<Text>> {
    proptest::option::of(text()).boxed()
}

/// Few pids and flows, so that they meet.
fn pid() -> BoxedStrategy<u32> {
    prop_oneof![8 => 0u32..6, 1 => any::<u32>()].boxed()
}

fn socket_addr() -> BoxedStrategy<SocketAddr> {
    let ip = prop_oneof![
        Just(IpAddr::from([198, 51, 100, 7])),
        Just(IpAddr::from([127, 0, 0, 1])),
        any::<u128>().prop_map(|bits| IpAddr::from(bits.to_be_bytes())),
    ];
    (ip, any::<u16>()).prop_map(SocketAddr::from).boxed()
}

fn addr() -> BoxedStrategy<Addr> {
    prop_oneof![
        4 => socket_addr().prop_map(Addr::Inet),
        1 => text().prop_map(Addr::Unix),
        1 => any::<u16>().prop_map(Addr::Other),
        1 => Just(Addr::Unreadable),
    ]
    .boxed()
}

fn target() -> BoxedStrategy<Target> {
    prop_oneof![
        ("[a-z\u{7}.]{0,20}", any::<u16>()).prop_map(|(name, port)| Target::Name { name, port }),
        socket_addr().prop_map(Target::Direct),
    ]
    .boxed()
}

fn status() -> BoxedStrategy<Status> {
    prop_oneof![
        any::<u8>().prop_map(Status::Code),
        any::<u8>().prop_map(Status::Signal)
    ]
    .boxed()
}

fn call() -> BoxedStrategy<Call> {
    prop_oneof![
        (0..CALLS.len()).prop_map(|at| Call(CALLS[at].number)),
        any::<u16>().prop_map(Call)
    ]
    .boxed()
}

fn exec() -> BoxedStrategy<Fact> {
    let parts = (
        call(),
        pid(),
        text(),
        maybe(),
        maybe(),
        proptest::collection::vec(text(), 0..5),
        maybe(),
    );
    (parts, any::<u64>(), any::<bool>())
        .prop_map(
            |((call, parent, path, file, interpreter, argv, cwd), bytes, unlinked)| {
                let stdio = [Descriptor::Pipe, Descriptor::NetSocket, Descriptor::Closed];
                Exec {
                    call,
                    parent,
                    path,
                    file,
                    interpreter,
                    argv,
                    argv_bytes: bytes,
                    cwd,
                    uid: 0,
                    stdio,
                    unlinked,
                    content: None,
                    inherited: Vec::new(),
                }
                .into()
            },
        )
        .boxed()
}

fn files() -> BoxedStrategy<Fact> {
    prop_oneof![
        (call(), text(), maybe(), maybe(), any::<u32>(), any::<u32>()).prop_map(
            |(call, path, base, file, flags, mode)| {
                Open {
                    call,
                    path,
                    base,
                    file,
                    flags,
                    mode,
                }
                .into()
            }
        ),
        (
            call(),
            text(),
            maybe(),
            maybe(),
            maybe(),
            any::<u64>(),
            maybe(),
            maybe()
        )
            .prop_map(
                |(call, path, base, other, other_base, value, file, other_file)| {
                    Change {
                        call,
                        path,
                        base,
                        other,
                        other_base,
                        value,
                        file,
                        other_file,
                    }
                    .into()
                }
            ),
        (call(), text(), maybe()).prop_map(|(call, path, base)| Look { call, path, base }.into()),
        (call(), maybe(), any::<[u64; 4]>()).prop_map(|(call, path, args)| Guard {
            call,
            path,
            args
        }
        .into()),
        (text(), "[a-z ]{0,8}").prop_map(|(path, kind)| {
            Decoys {
                decoys: vec![Decoy {
                    path,
                    kind,
                    canary: String::new(),
                }],
            }
            .into()
        }),
    ]
    .boxed()
}

fn network() -> BoxedStrategy<Fact> {
    let flow = || 0u64..4;
    let action = prop_oneof![
        Just(Action::Allow),
        Just(Action::Deny),
        Just(Action::Ask),
        Just(Action::Kill)
    ];
    let dial = prop_oneof![
        socket_addr().prop_map(Dial::Connected),
        (socket_addr(), ".{0,8}").prop_map(|(addr, range)| Dial::Refused { addr, range }),
        ".{0,8}".prop_map(Dial::Failed),
    ];
    let answer = prop_oneof![
        Just(NameAnswer::Refused),
        Just(NameAnswer::NoData),
        any::<[u8; 4]>().prop_map(|ip| NameAnswer::Synthetic(ip.into())),
    ];
    prop_oneof![
        (any::<u16>(), 0u16..4).prop_map(|(family, kind)| Socket {
            family,
            kind,
            protocol: 0
        }
        .into()),
        (0i32..4, addr(), proptest::option::of(".{0,9}")).prop_map(|(fd, addr, name)| Connect {
            fd,
            addr,
            name
        }
        .into()),
        (0i32..4, addr()).prop_map(|(fd, addr)| Bind { fd, addr }.into()),
        (call(), 0i32..4, addr(), any::<u64>()).prop_map(|(call, fd, addr, bytes)| Send {
            call,
            fd,
            addr,
            bytes
        }
        .into()),
        (text(), any::<u16>(), answer, ".{0,9}").prop_map(|(name, kind, answer, by)| Name {
            name,
            kind,
            answer,
            by
        }
        .into()),
        (flow(), target()).prop_map(|(flow, target)| FlowAsked { flow, target }.into()),
        (flow(), action, ".{0,9}")
            .prop_map(|(flow, action, by)| Decision { flow, action, by }.into()),
        (flow(), dial).prop_map(|(flow, how)| FlowOpened { flow, how }.into()),
        (flow(), any::<u64>(), any::<u64>()).prop_map(|(flow, sent, received)| FlowClosed {
            flow,
            sent,
            received,
            why: None,
        }
        .into()),
        (call(), 0i32..9, 0i32..3).prop_map(|(call, from, to)| Dup {
            call,
            from,
            to,
            what: Descriptor::NetSocket
        }
        .into()),
    ]
    .boxed()
}

fn run() -> BoxedStrategy<Fact> {
    let end = prop_oneof![
        status().prop_map(End::Finished),
        Just(End::Interrupted),
        Just(End::TimedOut),
        ".{0,9}".prop_map(End::GuestLost),
        ".{0,9}".prop_map(End::Failed),
    ];
    let step = prop_oneof![
        (proptest::collection::vec(text(), 0..3), pid())
            .prop_map(|(argv, pid)| Step::Begin { argv, pid }),
        status().prop_map(Step::End),
    ];
    prop_oneof![
        pid().prop_map(|child| Fork { child }.into()),
        pid().prop_map(|child| Fork { child }.into()),
        status().prop_map(|status| Exit { status }.into()),
        (".{0,3}", step).prop_map(|(name, step)| Phase { name, step }.into()),
        (any::<u64>(), ".{0,9}").prop_map(|(count, place)| Lost { count, place }.into()),
        end.prop_map(|how| Ended { how }.into()),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Output {
            bytes: bytes.into()
        }
        .into()),
        any::<bool>().prop_map(|held| Armed {
            kernel: "k".into(),
            checks: vec![Check {
                name: "c".into(),
                held
            }]
        }
        .into()),
        (".{0,9}", any::<[u8; 32]>()).prop_map(|(source, digest)| Policy { source, digest }.into()),
        any::<u64>().prop_map(|n| Copied {
            files: n,
            bytes: n,
            left_out: vec![],
            left_out_total: n
        }
        .into()),
    ]
    .boxed()
}

fn event() -> BoxedStrategy<Event> {
    let outcome = prop_oneof![
        Just(Outcome::None),
        Just(Outcome::Died),
        (-140i64..20).prop_map(Outcome::Returned),
        any::<i64>().prop_map(Outcome::Returned),
        any::<i64>().prop_map(Outcome::Refused),
    ];
    let fact = prop_oneof![2 => exec(), 3 => files(), 3 => network(), 3 => run()];
    let at = prop_oneof![0u64..5_000_000_000, any::<u64>()];
    (at, pid(), pid(), outcome, fact)
        .prop_map(|(at, pid, tid, outcome, fact)| Event {
            at,
            pid,
            tid,
            outcome,
            fact,
        })
        .boxed()
}

fn look_everywhere(session: &Session) {
    let overview = session.overview();
    assert!(overview.first_at <= overview.now);
    let processes = session.processes();
    assert_eq!(
        processes.len() as u64,
        session.counts().processes,
        "each process stands once in the tree"
    );
    for row in &processes {
        assert!(row.parent != Some(row.key));
        assert!(session.lineage(row.key).len() <= 16);
    }
    let files = session.files();
    assert_eq!(files.len(), session.files_len());
    assert!(files.is_sorted_by(|a, b| a.path < b.path));
    assert!(
        session
            .destinations()
            .iter()
            .all(|row| row.open <= row.flows)
    );
    assert!(session.output().len() <= 256 << 10);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn nothing_panics_and_a_clone_in_the_middle_changes_nothing(
        events in proptest::collection::vec(event(), 0..120),
        middle in 0usize..120,
    ) {
        let recorded = Tape { events, at: 0 }.record();
        let whole = recorded.session();
        let mut session = Session::new(rules()).with_start(&recorded.start);
        let mut kept = None;
        for (number, entry) in recorded.entries.iter().enumerate() {
            if number == middle {
                kept = Some(session.clone());
            }
            session.push(entry);
            let moment = Moment::new(&session, entry);
            prop_assert!(!moment.summary().chars().any(char::is_control));
            for field in FIELDS {
                let _ = moment.value(field.field);
            }
            let line = jsonl::line(entry);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
        }
        look_everywhere(&session);
        let report = |session: &Session| Report::new(session, &recorded.integrity);
        prop_assert_eq!(report(&whole).to_json(), report(&session).to_json());
        prop_assert!(!report(&session).to_table(80).chars().any(|c| c.is_control() && c != '\n'));
        // The checkpoint, folded on from where it stood, arrives at the same report.
        if let Some(mut kept) = kept {
            recorded.entries.iter().skip(middle).for_each(|entry| kept.push(entry));
            prop_assert_eq!(report(&kept).to_json(), report(&session).to_json());
        }
    }
}

#[test]
fn a_flood_of_paths_stays_bounded_and_hides_no_decoy() {
    let mut tape = Tape::booted();
    tape.exec(5, "/bin/cat", &["cat"]);
    for number in 0..200_100u32 {
        tape.read(5, &format!("/tmp/{number}"));
    }
    tape.read(5, "/home/dev/.ssh/id_ed25519");
    let session = tape.session();
    assert_eq!(session.files_len(), 200_001);
    assert_eq!(session.other_files().unwrap().reads, 100);
    assert_eq!(session.file(b"/home/dev/.ssh/id_ed25519").unwrap().reads, 1);
    assert_eq!(session.findings().len(), 1);
}

#[test]
fn a_flood_of_processes_is_counted_and_never_safe() {
    let mut tape = Tape::booted();
    tape.begin("run", &["bomb"], 1)
        .exec(1, "/bin/bomb", &["bomb"]);
    for child in 2..140_000u32 {
        tape.fork(1, child);
    }
    let recorded = tape.record();
    let report = recorded.report();
    assert_eq!(report.processes.started, 1 << 17);
    assert_eq!(report.processes.not_followed, 139_999 - (1 << 17));
    assert!(
        report
            .reasons
            .iter()
            .any(|reason| reason.text.contains("too many to follow"))
    );
}

#[test]
fn a_long_chain_of_forks_ends_somewhere() {
    let mut tape = Tape::default();
    for pid in 1..3_000u32 {
        tape.fork(pid, pid + 1);
    }
    // Late, and backwards: would close the circle.
    tape.fork(3_000, 1);
    look_everywhere(&tape.session());
}
