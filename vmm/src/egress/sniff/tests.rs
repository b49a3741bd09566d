//! Real hellos and heads, hostile ones, and the same in every split.

use proptest::prelude::*;

use super::*;

const NAME: &str = "upload.example";

/// A hello with these extensions, in one record.
fn hello(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    let mut all = Vec::new();
    for (kind, content) in extensions {
        all.extend(kind.to_be_bytes());
        all.extend(short(content));
    }
    body.extend(short(&all));
    let mut message = vec![1, 0];
    message.extend(short(&body));
    record(22, &message)
}

fn short(bytes: &[u8]) -> Vec<u8> {
    let mut all = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    all.extend(bytes);
    all
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut all = vec![kind, 3, 1];
    all.extend(short(content));
    all
}

fn sni(name: &str) -> (u16, Vec<u8>) {
    let mut entry = vec![0];
    entry.extend(short(name.as_bytes()));
    (0, short(&entry))
}

/// The same hello over records of so many bytes.
fn spread(whole: &[u8], size: usize) -> Vec<u8> {
    whole[5..]
        .chunks(size)
        .flat_map(|part| record(22, part))
        .collect()
}

/// What a flow came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Came {
    passed: Vec<u8>,
    said: Vec<Fact>,
    refused: Option<Refusal>,
}

impl Came {
    fn take(&mut self, next: Next) -> bool {
        match next {
            Next::More => return false,
            Next::Pass(bytes) => self.passed.extend(bytes),
            Next::Said(fact) => self.said.push(fact),
            Next::Refuse(refusal) => {
                assert!(self.refused.replace(refusal).is_none(), "refused twice");
            }
        }
        true
    }

    fn names(&self) -> Vec<String> {
        let name = |fact: &Fact| match fact {
            Fact::TlsHello(hello) => hello.name.as_ref().map(|name| name.lossy().into_owned()),
            Fact::HttpRequest(request) => {
                request.host.as_ref().map(|host| host.lossy().into_owned())
            }
            other => panic!("{other:?}"),
        };
        self.said
            .iter()
            .map(|fact| name(fact).unwrap_or_default())
            .collect()
    }

    fn why(&self) -> &str {
        self.refused.as_ref().map_or("", |refusal| &refusal.why)
    }
}

/// Pieces as they come; `None`: the guest is quiet for a while.
fn feed<'a>(name: Option<&str>, pieces: impl IntoIterator<Item = Option<&'a [u8]>>) -> Came {
    let mut sniffer = Sniffer::new(1, name);
    let mut came = Came::default();
    for piece in pieces {
        match piece {
            Some(piece) => sniffer.push(piece),
            None => came.passed.extend(sniffer.quiet().unwrap_or_default()),
        }
        while came.refused.is_none() && came.take(sniffer.next()) {}
    }
    if came.refused.is_none() {
        came.take(sniffer.end());
    }
    came
}

fn whole(name: Option<&str>, bytes: &[u8]) -> Came {
    feed(name, [Some(bytes)])
}

#[test]
fn a_hello_to_the_allowed_name_passes() {
    for said in ["upload.example", "UPLOAD.Example", "upload.example."] {
        let mut bytes = hello(&[
            (10, vec![0; 4]),
            sni(said),
            (16, short(b"\x02h2\x08http/1.1")),
        ]);
        bytes.extend(record(20, &[1]));
        bytes.extend(record(23, &[9; 300]));
        let came = whole(Some(NAME), &bytes);
        assert_eq!(came.refused, None);
        assert_eq!(came.passed, bytes);
        let [Fact::TlsHello(hello)] = &*came.said else {
            panic!("{came:?}")
        };
        assert_eq!(hello.name, Some(said.into()));
        assert_eq!(hello.alpn, ["h2".into(), "http/1.1".into()]);
        assert!(!hello.encrypted);
    }
}

#[test]
fn a_hello_to_another_name_never_leaves() {
    let one = hello(&[sni("other.example")]);
    for bytes in [one.clone(), spread(&one, 3), spread(&one, 40)] {
        let came = whole(Some(NAME), &bytes);
        assert_eq!(came.passed, b"");
        assert_eq!(came.names(), ["other.example"]);
        assert_eq!(
            came.why(),
            "TLS name other.example differs from the allowed name"
        );
        // A literal address has no name to differ from.
        let came = whole(None, &bytes);
        assert_eq!((came.passed, came.refused), (bytes, None));
    }
}

#[test]
fn hellos_that_cannot_be_compared() {
    let twice = [sni(NAME), sni(NAME)];
    let mut two_names = vec![0];
    two_names.extend(short(NAME.as_bytes()));
    two_names.extend([0, 0, 1, b'x']);
    let mut follows = hello(&[sni(NAME)]);
    follows.push(0);
    follows[4] += 1;
    let table: &[(&str, Vec<u8>)] = &[
        ("encrypted", hello(&[sni(NAME), (0xfe0d, vec![0; 8])])),
        ("cannot be read", hello(&twice)),
        ("cannot be read", hello(&[(0, short(&two_names))])),
        ("cannot be read", follows),
        ("cannot be read", record(22, &[2, 0, 0, 0])),
        ("in the middle", hello(&[sni(NAME)])[..50].to_vec()),
        (
            "too long",
            record(22, &[&[1, 0, 0x7f, 0xff], &[0; 16380][..]].concat()).repeat(2),
        ),
    ];
    for (why, bytes) in table {
        let came = whole(Some(NAME), bytes);
        assert!(came.why().contains(why), "{why}: {}", came.why());
        assert_eq!(came.passed, b"", "{why}");
        assert_eq!(whole(None, bytes).passed, *bytes, "{why}");
    }
}

#[test]
fn a_hello_without_a_name_passes_and_is_recorded() {
    let bytes = hello(&[]);
    let came = whole(Some(NAME), &bytes);
    assert_eq!((&came.passed, &came.refused), (&bytes, &None));
    assert!(matches!(&*came.said, [Fact::TlsHello(hello)] if hello.name.is_none()));
}

#[test]
fn a_second_hello_is_held_to_the_name_too() {
    let mut first = hello(&[sni(NAME)]);
    first.extend(record(20, &[1]));
    first.extend(record(23, &[5; 70]));
    let passed = first.len();
    first.extend(hello(&[sni("other.example")]));
    let came = whole(Some(NAME), &first);
    assert_eq!(came.names(), [NAME, "other.example"]);
    assert_eq!(came.passed, first[..passed]);
    assert!(came.why().contains("other.example"));
    // A key exchange is no hello, and nothing behind it is looked at.
    let mut older = hello(&[sni(NAME)]);
    older.extend(record(22, &[16, 0, 0, 2, 1, 1]));
    older.extend(hello(&[sni("other.example")]));
    assert_eq!(whole(Some(NAME), &older).passed, older);
}

#[test]
fn requests_to_the_allowed_name_pass() {
    let body = "POST /c HTTP/1.1\r\nhost: UPLOAD.example:8080\r\nContent-Length: 5\r\n\r\nGET /";
    let chunked = "POST /c HTTP/1.1\r\nHost: upload.example.\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5;x=y\r\nGET /\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";
    let third = "\r\nGET http://upload.example/x HTTP/1.1\r\nHost: upload.example\r\n\r\n";
    let old = "GET /old HTTP/1.0\r\n\r\n";
    let all = [body, chunked, third, old].concat();
    let came = whole(Some(NAME), all.as_bytes());
    assert_eq!(came.refused, None);
    assert_eq!(came.passed, all.as_bytes());
    assert_eq!(
        came.names(),
        [
            "UPLOAD.example:8080",
            "upload.example.",
            "upload.example",
            ""
        ]
    );
    let Some(Fact::HttpRequest(first)) = came.said.first() else {
        panic!()
    };
    assert_eq!(
        (first.method.lossy(), first.target.lossy()),
        ("POST".into(), "/c".into())
    );
}

#[test]
fn requests_to_another_host_never_leave() {
    const OTHER: &str = "HTTP host other.example differs from the allowed name";
    const DOUBT: &str = "without doubt";
    let table = [
        ("GET / HTTP/1.1\r\nHost: other.example\r\n\r\n", OTHER),
        ("get / HTTP/1.1\r\nhOST:other.example\r\n\r\n", OTHER),
        ("\r\n\nGET / HTTP/1.1\r\nHost: other.example\r\n\r\n", OTHER),
        (
            "GET http://other.example/ HTTP/1.1\r\nHost: upload.example\r\n\r\n",
            OTHER,
        ),
        (
            "GET http://upload.example/ HTTP/1.1\r\nHost: other.example\r\n\r\n",
            OTHER,
        ),
        (
            "GET http://upload.example@other.example/ HTTP/1.1\r\n\r\n",
            "differs",
        ),
        ("CONNECT other.example:443 HTTP/1.1\r\n\r\n", "differs"),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", "(empty)"),
        (
            "GET / HTTP/1.1\r\nHost: upload.example\r\nHost: other.example\r\n\r\n",
            DOUBT,
        ),
        (
            "GET / HTTP/1.1\r\nHost: upload.example\r\n other.example\r\n\r\n",
            DOUBT,
        ),
        ("GET / HTTP/1.1\r\nHost : other.example\r\n\r\n", DOUBT),
        ("GET / HTTP/1.1\nHost: other.example\n\r\n\r\n", DOUBT),
        ("GET / HTTP/1.1\r\nX: y\rHost: other.example\r\n\r\n", DOUBT),
        ("GET /a b HTTP/1.1\r\nHost: upload.example\r\n\r\n", DOUBT),
        ("GET\t/ HTTP/1.1\r\nHost: other.example\r\n\r\n", DOUBT),
        (
            "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            DOUBT,
        ),
        (
            "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            DOUBT,
        ),
        ("GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", DOUBT),
        (
            "GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            DOUBT,
        ),
        (
            "GET / HTTP/1.1\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\n\0",
            DOUBT,
        ),
        (
            "GET / HTTP/1.1\r\nUpgrade: websocket, h2c\r\n\r\n",
            "in the clear",
        ),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "in the clear"),
        ("GET / HTTP/1.1\r\nHost: other.example\r\n", "in the middle"),
    ];
    for (text, why) in table {
        let came = whole(Some(NAME), text.as_bytes());
        assert!(came.why().contains(why), "{text:?}: {}", came.why());
        assert_eq!(came.passed, b"", "{text:?}");
        let free = whole(None, text.as_bytes());
        assert_eq!(
            (free.passed, free.refused),
            (text.as_bytes().to_vec(), None),
            "{text:?}"
        );
    }
}

#[test]
fn later_requests_are_held_to_the_name_too() {
    let first = "POST / HTTP/1.1\r\nHost: upload.example\r\nContent-Length: 3\r\n\r\nabc";
    let upgrade = "GET / HTTP/1.1\r\nHost: upload.example\r\nUpgrade: x\r\n\r\n";
    let chunk = "POST / HTTP/1.1\r\nHost: upload.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    let other = "GET / HTTP/1.1\r\nHost: other.example\r\n\r\n";
    for (ahead, behind, why) in [
        (first, other, "differs"),
        (upgrade, other, "differs"),
        (first, "\0\0", "something else follows"),
        (chunk, "z\r\n", "chunk"),
        (chunk, "1 \r\nx\r\n", "chunk"),
        (chunk, "ffffffffffffffff\r\n", "chunk"),
    ] {
        let all = [ahead, behind].concat();
        let came = whole(Some(NAME), all.as_bytes());
        assert!(came.why().contains(why), "{all:?}: {}", came.why());
        assert_eq!(came.passed, ahead.as_bytes(), "{all:?}");
    }
    // A hello inside a tunnel to the allowed name.
    let mut tunnel = b"CONNECT upload.example:443 HTTP/1.1\r\n\r\n".to_vec();
    let ahead = tunnel.len();
    tunnel.extend(hello(&[sni("other.example")]));
    let came = whole(Some(NAME), &tunnel);
    assert_eq!(
        (came.passed.len(), came.why().contains("TLS name")),
        (ahead, true)
    );
}

#[test]
fn other_protocols_pass() {
    for bytes in [
        &b"SSH-2.0-x\r\n"[..],
        b"0032git-upload-pack /x\0host=other.example\0",
        b"EHLO other.example\r\nMAIL FROM:<x>\r\n",
        b"PING\r\n",
        b"\0\0\0\x08\x04\xd2\x16\x2f",
        b"\x16\x00\x00",
        b"hello",
        b"{\"loot\":1}",
    ] {
        let came = whole(Some(NAME), bytes);
        assert_eq!(
            (came.passed, came.said, came.refused),
            (bytes.to_vec(), vec![], None)
        );
    }
}

#[test]
fn an_unfinished_line_goes_on_when_its_sender_waits_and_is_still_checked() {
    let came = feed(
        Some(NAME),
        [
            Some(&b"GE"[..]),
            None,
            None,
            Some(b"T /"),
            None,
            Some(b" HTTP/1.1\r\nHost: other.example\r\n\r\n"),
        ],
    );
    assert_eq!(came.passed, b"GET /");
    assert!(came.why().contains("differs"));
    let came = feed(
        Some(NAME),
        [
            Some(&b"GE"[..]),
            None,
            Some(b"T / HTTP/1.1\r\nHost: upload.example\r\n"),
            None,
            Some(b"\r\n"),
            None,
        ],
    );
    assert_eq!(
        came.passed,
        b"GET / HTTP/1.1\r\nHost: upload.example\r\n\r\n"
    );
    // A hello, or a head past its first line, is never sent in parts.
    let part = &hello(&[sni("other.example")])[..60];
    assert_eq!(feed(Some(NAME), [Some(part), None]).passed, b"");
}

#[test]
fn what_is_held_is_bounded() {
    let mut sniffer = Sniffer::new(1, Some(NAME));
    let mut came = Came::default();
    sniffer.push(b"GET / HTTP/1.1\r\n");
    for _ in 0..10_000 {
        sniffer.push(b"X: 0123456789\r\n");
        while came.refused.is_none() && came.take(sniffer.next()) {}
        assert!(sniffer.held.len() <= HELD + 64 || came.refused.is_some());
    }
    assert!(came.why().contains("too long"));
    assert_eq!(came.passed, b"");
}

/// Bytes near what is read.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just(hello(&[sni(NAME), (16, short(b"\x02h2"))])),
        Just(spread(&hello(&[sni(NAME)]), 9)),
        Just(hello(&[sni("other.example")])),
        Just(record(20, &[1])),
        Just(record(23, &[1, 2, 3])),
        Just(b"POST / HTTP/1.1\r\nHost: upload.example\r\nContent-Length: 3\r\n\r\nabc".to_vec()),
        Just(b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n".to_vec()),
        Just(b"P / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_vec()),
        Just(b"GET / HTTP/1.1\r\nUpgrade: x\r\n\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..24),
        "[ -~]{0,12}(\r\n)?".prop_map(String::into_bytes),
    ];
    (
        proptest::collection::vec(part, 0..5),
        any::<Option<(proptest::sample::Index, u8)>>(),
    )
        .prop_map(|(parts, flip)| {
            let mut all = parts.concat();
            if let Some((at, value)) = flip.filter(|_| !all.is_empty()) {
                let at = at.index(all.len());
                all[at] = value;
            }
            all
        })
}

proptest! {
    #[test]
    fn any_bytes_pass_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600), named: bool) {
        let came = whole(named.then_some(NAME), &bytes);
        prop_assert!(bytes.starts_with(&came.passed));
        prop_assert!(came.refused.is_some() || came.passed == bytes);
    }

    #[test]
    fn every_split_comes_to_the_same(bytes in stream(), named: bool) {
        let name = named.then_some(NAME);
        let expected = whole(name, &bytes);
        prop_assert!(bytes.starts_with(&expected.passed));
        prop_assert!(expected.refused.is_some() || expected.passed == bytes);
        prop_assert_eq!(&feed(name, bytes.chunks(1).map(Some)), &expected);
        for at in 0..bytes.len() {
            let (head, tail) = bytes.split_at(at);
            prop_assert_eq!(&feed(name, [Some(head), Some(tail)]), &expected);
        }
    }
}
