use std::net::IpAddr;

use belljar_event::*;
use proptest::prelude::*;

use super::{Finder, Patterns, RedactError, Redactor};
use crate::{Integrity, Reader, Start, Writer, rewrite};

fn host(fact: impl Into<Fact>) -> Event {
    Event::host(1, fact.into())
}

fn open(path: &str, base: Option<&str>, file: Option<&str>) -> Event {
    let text = |text: &str| Text::from(text);
    host(Open {
        call: Call(257),
        path: text(path),
        base: base.map(text),
        file: file.map(text),
        flags: 0,
        mode: 0,
    })
}

fn output(bytes: &[u8]) -> Event {
    host(Output {
        bytes: bytes.into(),
    })
}

fn exec(argv: &[&str]) -> Event {
    host(Exec {
        call: Call(59),
        parent: 1,
        path: "/usr/bin/x".into(),
        file: None,
        interpreter: None,
        argv: argv.iter().map(|arg| Text::from(*arg)).collect(),
        argv_bytes: argv.iter().map(|arg| arg.len() as u64 + 1).sum(),
        cwd: Some("/home/dev".into()),
        uid: 1000,
        stdio: [Descriptor::Device; 3],
        unlinked: false,
        content: None,
        inherited: Vec::new(),
    })
}

fn trace(events: &[Event], start: Start) -> Vec<u8> {
    let mut writer = Writer::create(Vec::new(), start).unwrap();
    for event in events {
        writer.append(event.clone()).unwrap();
    }
    writer.finish(End::Failed("at /home/dev/x".into())).unwrap();
    writer.into_sink()
}

fn redactor(bytes: &[u8], patterns: Patterns) -> Result<Redactor, RedactError> {
    let mut finder = Finder::new(patterns);
    let reader = Reader::open(bytes).unwrap();
    finder.see_start(reader.start());
    for entry in reader {
        finder.see(entry.unwrap().event());
    }
    finder.finish()
}

/// The new trace's start, its events, and the redactor.
fn redact(bytes: &[u8], patterns: Patterns) -> Result<(Start, Vec<Event>, Redactor), RedactError> {
    let mut redactor = redactor(bytes, patterns)?;
    let reader = Reader::open(bytes).unwrap();
    let mut start = reader.start().clone();
    redactor.start(&mut start);
    let mut sink = Vec::new();
    let made = rewrite(reader, &mut sink, start, "x", &mut |_, event| {
        redactor.event(event);
        true
    })
    .unwrap();
    assert!(made.receipt.is_some());
    let mut reader = Reader::open(&sink[..]).unwrap();
    let events = reader
        .by_ref()
        .map(|entry| entry.unwrap().into_event())
        .collect();
    assert!(matches!(reader.integrity(), Integrity::Complete { .. }));
    Ok((reader.start().clone(), events, redactor))
}

fn patterns(paths: &[&str], names: &[&str], nets: &[&str], output: &[&str]) -> Patterns {
    let mut patterns = Patterns::default();
    paths.iter().for_each(|path| patterns.path(path).unwrap());
    names.iter().for_each(|name| patterns.name(name).unwrap());
    nets.iter().for_each(|net| patterns.address(net).unwrap());
    output
        .iter()
        .for_each(|regex| patterns.output(regex).unwrap());
    patterns
}

fn paths_of(event: &Event) -> (String, Option<String>, Option<String>) {
    let Fact::Open(open) = &event.fact else {
        panic!("{event:?}")
    };
    let shown = |text: &Text| text.lossy().into_owned();
    let optional = |text: &Option<Text>| text.as_ref().map(shown);
    (
        shown(&open.path),
        optional(&open.base),
        optional(&open.file),
    )
}

#[test]
fn a_path_goes_everywhere_by_the_same_placeholder() {
    let events = [
        open("/srv/secret/key", None, Some("/srv/secret/key")),
        exec(&["cat", "--in=/srv/secret/key", "/srv/open"]),
        output(b"reading /srv/secret/key\n"),
    ];
    let (start, out, redactor) = redact(
        &trace(&events, Start::default()),
        patterns(&["/srv/secret/**"], &[], &[], &[]),
    )
    .unwrap();
    let hidden = "/<redacted-1>";
    assert_eq!(
        paths_of(&out[0]),
        (hidden.into(), None, Some(hidden.into()))
    );
    let Fact::Exec(exec) = &out[1].fact else {
        panic!()
    };
    assert_eq!(exec.argv[1], Text::from("--in=/<redacted-1>"));
    assert_eq!(exec.argv[2], Text::from("/srv/open"));
    let lengths: u64 = exec
        .argv
        .iter()
        .map(|arg| arg.bytes().len() as u64 + 1)
        .sum();
    assert_eq!(exec.argv_bytes, lengths, "whole arguments stay whole");
    let Fact::Output(shown) = &out[2].fact else {
        panic!()
    };
    assert_eq!(&*shown.bytes, b"reading /<redacted-1>\n");
    assert_eq!(start.redacted, ["path /srv/secret/**"]);
    assert_eq!(redactor.replaced()[0].count, 4);
}

#[test]
fn home_folders_stay_home_folders() {
    let mut home = Patterns::default();
    home.home();
    let events = [
        open("/home/dev/.ssh/id_rsa", None, None),
        output(b"in /home/dev"),
    ];
    let (_, out, _) = redact(&trace(&events, Start::default()), home).unwrap();
    assert_eq!(paths_of(&out[0]).0, "/home/<redacted-1>/.ssh/id_rsa");
    let Fact::Ended(Ended {
        how: End::Failed(why),
    }) = &out[2].fact
    else {
        panic!()
    };
    assert_eq!(why, "at /home/<redacted-1>/x");
}

#[test]
fn a_relative_path_is_a_secret_with_its_folder() {
    let events = [open("../.ssh/id_rsa", Some("/home/dev/project"), None)];
    let (_, out, _) = redact(
        &trace(&events, Start::default()),
        patterns(&["/home/dev/.ssh/id_rsa"], &[], &[], &[]),
    )
    .unwrap();
    assert_eq!(paths_of(&out[0]).0, "/<redacted-1>");
    assert_eq!(paths_of(&out[0]).1.as_deref(), Some("/home/dev/project"));
}

#[test]
fn names_are_one_name_however_they_are_written() {
    let name = |name: &str| {
        host(Name {
            name: name.into(),
            kind: 1,
            answer: NameAnswer::Refused,
            by: "x".into(),
        })
    };
    let events = [
        name("a.corp.example"),
        output(b"GET https://A.Corp.Example/x from b.corp.example, not corp.example"),
        host(FlowAsked {
            flow: 1,
            target: Target::Name {
                name: "a.corp.example".into(),
                port: 443,
            },
        }),
    ];
    let (_, out, _) = redact(
        &trace(&events, Start::default()),
        patterns(&[], &["*.corp.example"], &[], &[]),
    )
    .unwrap();
    let Fact::Name(first) = &out[0].fact else {
        panic!()
    };
    let Fact::Output(shown) = &out[1].fact else {
        panic!()
    };
    let Fact::FlowAsked(asked) = &out[2].fact else {
        panic!()
    };
    assert_eq!(first.name, Text::from("redacted-1.invalid"));
    assert_eq!(asked.target.name(), Some("redacted-1.invalid"));
    assert_eq!(
        String::from_utf8_lossy(&shown.bytes),
        "GET https://redacted-1.invalid/x from redacted-2.invalid, not corp.example"
    );
}

#[test]
fn addresses_go_as_numbers_and_as_words() {
    let to = "198.51.100.7:443".parse().unwrap();
    let connect = Connect {
        fd: 3,
        addr: Addr::Inet(to),
        name: None,
    };
    let events = [
        host(connect),
        output(b"dialling 198.51.100.7:443 and 203.0.113.9"),
    ];
    let (_, out, _) = redact(
        &trace(&events, Start::default()),
        patterns(&[], &[], &["198.51.100.0/24"], &[]),
    )
    .unwrap();
    let Fact::Connect(Connect {
        addr: Addr::Inet(addr),
        ..
    }) = &out[0].fact
    else {
        panic!()
    };
    let Fact::Output(shown) = &out[1].fact else {
        panic!()
    };
    assert_eq!(addr.to_string(), "240.0.0.1:443");
    assert_eq!(&*shown.bytes, b"dialling 240.0.0.1:443 and 203.0.113.9");
}

#[test]
fn output_is_one_stream() {
    let events = [
        output(b"token=ab"),
        output(b"cdef"),
        output(b"12 done token=abcdef12"),
    ];
    let (_, out, _) = redact(
        &trace(&events, Start::default()),
        patterns(&[], &[], &[], &["token=[a-f0-9]+"]),
    )
    .unwrap();
    let pieces = out.iter().filter_map(|event| match &event.fact {
        Fact::Output(output) => Some(output.bytes.to_vec()),
        _ => None,
    });
    let all = pieces.collect::<Vec<_>>().concat();
    assert_eq!(
        String::from_utf8_lossy(&all),
        "<redacted-1> done <redacted-1>"
    );
}

#[test]
fn a_cut_text_does_not_end_with_half_a_secret() {
    let cut = host(Look {
        call: Call(89),
        path: Text::Cut {
            bytes: (*b"/x mysecr").into(),
            length: 100,
        },
        base: None,
    });
    let events = [output(b"mysecret"), cut];
    let (_, out, _) = redact(
        &trace(&events, Start::default()),
        patterns(&[], &[], &[], &["mysecret"]),
    )
    .unwrap();
    let Fact::Look(look) = &out[1].fact else {
        panic!()
    };
    assert_eq!(look.path.bytes(), b"/x <redacted>");
    assert!(!look.path.is_whole());
}

#[test]
fn a_policy_keeps_a_right_digest_and_only_a_right_one() {
    let source = "net.name = a.corp.example".to_owned();
    let digest = *blake3::hash(source.as_bytes()).as_bytes();
    let right = host(Policy {
        source: source.clone(),
        digest,
    });
    let wrong = host(Policy {
        source,
        digest: [7; 32],
    });
    let (_, out, _) = redact(
        &trace(&[right, wrong], Start::default()),
        patterns(&[], &["a.corp.example"], &[], &[]),
    )
    .unwrap();
    let digests: Vec<_> = out
        .iter()
        .filter_map(|event| match &event.fact {
            Fact::Policy(policy) => Some((
                *blake3::hash(policy.source.as_bytes()).as_bytes() == policy.digest,
                policy,
            )),
            _ => None,
        })
        .collect();
    assert_eq!(digests[0].1.source, "net.name = redacted-1.invalid");
    assert!(digests[0].0);
    assert!(!digests[1].0);
}

#[test]
fn what_cannot_be_hidden_is_an_error() {
    let bytes = trace(&[output(b"e redacted")], Start::default());
    for regex in ["e", "redacted"] {
        let error = redactor(&bytes, patterns(&[], &[], &[], &[regex])).unwrap_err();
        assert!(
            matches!(error, RedactError::TooCommon(_)),
            "{regex}: {error}"
        );
    }
    assert!(Patterns::default().output("x*").is_err());
    assert!(Patterns::default().path("/x/[").is_err());
    assert!(Patterns::default().address("10.0.0.0/99").is_err());
}

/// The text of an event as a reader would find it, with everything in it.
fn everything(start: &Start, events: &[Event]) -> Vec<u8> {
    struct All(Vec<u8>, Vec<u8>);
    impl crate::visit::Visit for All {
        fn text(&mut self, _: crate::visit::Role, text: &mut Text) {
            self.0.extend_from_slice(text.bytes());
            self.0.push(0);
        }
        fn string(&mut self, _: crate::visit::Role, text: &mut String) {
            self.0.extend_from_slice(text.as_bytes());
            self.0.push(0);
        }
        fn placed(&mut self, path: &mut Text, base: Option<&mut Text>) {
            self.text(crate::visit::Role::Path, path);
            base.into_iter()
                .for_each(|base| self.text(crate::visit::Role::Path, base));
        }
        fn output(&mut self, bytes: &mut Box<[u8]>) {
            self.1.extend_from_slice(bytes);
        }
        fn address(&mut self, ip: &mut IpAddr) {
            self.0.extend_from_slice(ip.to_string().as_bytes());
            self.0.push(0);
        }
    }
    let mut all = All(Vec::new(), Vec::new());
    crate::visit::visit_start(&mut start.clone(), &mut all);
    for event in events {
        crate::visit::visit_fact(&mut event.fact.clone(), &mut all);
    }
    all.0.push(0);
    [all.0, all.1].concat()
}

fn contains(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

/// Words that have something to hide, and pieces that make more of them.
fn word() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "/srv/secret",
        "/srv/secret/a",
        "/srv",
        "/secret",
        "/a",
        "b",
        "x.corp.example",
        ".corp.example",
        "198.51.100.7",
        "198.51.100.",
        "7",
        "key-1234",
        "key-",
        "12345",
        "<redacted-1>",
        "<",
        "redacted-",
        ">",
        "240.0.0.1",
        " ",
        "=",
        "é",
        "/",
        "..",
        "/../secret/z",
        "X.CORP.example",
    ]);
    prop::collection::vec(parts, 0..6).prop_map(|parts| parts.concat())
}

fn event() -> impl Strategy<Value = Event> {
    let text = || word().prop_map(|word| Text::from(word.as_str()));
    let cut = word().prop_map(|word| {
        let length = word.len() as u64 + 9;
        Text::Cut {
            bytes: word.into_bytes().into(),
            length,
        }
    });
    let any = prop_oneof![3 => text(), 1 => cut];
    let ip = prop::sample::select(vec![
        "198.51.100.7:1",
        "198.51.100.9:1",
        "203.0.113.1:1",
        "[2001:db8::5]:1",
    ]);
    prop_oneof![
        (
            any.clone(),
            prop::option::of(any.clone()),
            prop::option::of(any.clone())
        )
            .prop_map(|(path, base, file)| {
                host(Open {
                    call: Call(257),
                    path,
                    base,
                    file,
                    flags: 0,
                    mode: 0,
                })
            }),
        word().prop_map(|word| output(word.as_bytes())),
        prop::collection::vec(word(), 0..4)
            .prop_map(|argv| { exec(&argv.iter().map(String::as_str).collect::<Vec<_>>()) }),
        ip.prop_map(|ip| host(Connect {
            fd: 1,
            addr: Addr::Inet(ip.parse().unwrap()),
            name: None
        })),
        word().prop_map(|place| host(Lost { count: 1, place })),
        (word(), any).prop_map(|(kind, path)| {
            host(Decoys {
                decoys: vec![Decoy {
                    path,
                    kind,
                    canary: "key-1234".into(),
                }],
            })
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// No literal that the patterns matched is anywhere in the new trace.
    #[test]
    fn nothing_redacted_survives(events in prop::collection::vec(event(), 0..12), label in word()) {
        let start = Start { label, ..Start::default() };
        let bytes = trace(&events, start);
        let wanted = patterns(&["/srv/secret/**", "/secret"], &["*.corp.example"], &["198.51.100.0/24", "2001:db8::/32"], &["key-[0-9]+"]);
        match redact(&bytes, wanted) {
            Err(RedactError::TooCommon(_)) => {}
            Err(error) => panic!("{error}"),
            Ok((start, events, redactor)) => {
                let all = everything(&start, &events);
                for secret in redactor.secrets() {
                    prop_assert!(!contains(&all, secret), "{:?} in {:?}", String::from_utf8_lossy(secret), String::from_utf8_lossy(&all));
                }
                for event in &events {
                    prop_assert_eq!(redactor.survivor(event), None);
                }
            }
        }
    }

    /// What no pattern matches stays as it is.
    #[test]
    fn the_rest_is_left_alone(events in prop::collection::vec(event(), 0..12)) {
        let bytes = trace(&events, Start::default());
        let (_, out, redactor) = redact(&bytes, patterns(&["/nowhere"], &["*.n.example"], &["192.0.2.1"], &["qqq"])).unwrap();
        prop_assert_eq!(&out[..events.len()], &events[..]);
        prop_assert!(redactor.replaced().is_empty());
    }
}
