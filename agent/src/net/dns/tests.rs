use proptest::prelude::*;

use super::*;

fn query(labels: &[&[u8]], kind: u16) -> Vec<u8> {
    let mut bytes = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in labels {
        bytes.push(label.len() as u8);
        bytes.extend(*label);
    }
    bytes.push(0);
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1]);
    // EDNS, as glibc and node send it.
    bytes.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    bytes
}

#[test]
fn a_question_and_its_answer() {
    let asked = query(&[b"WWW", b"Example", b"com"], A);
    let question = parse(&asked).unwrap();
    assert_eq!(question.host.as_deref(), Some("www.example.com"));
    assert_eq!(
        (&question.name, question.kind),
        (&Text::from("www.example.com"), A)
    );
    let bytes = answer(&question, &Reply::Address([198, 18, 3, 4].into()));
    assert_eq!(
        &bytes[..12],
        [0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]
    );
    assert_eq!(
        bytes[12..][..21],
        asked[12..][..21],
        "the question comes back, case and all"
    );
    assert_eq!(
        bytes[33..],
        [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 198, 18, 3, 4]
    );
    assert_eq!(
        answer(&question, &Reply::NoData)[..8],
        [0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 0]
    );
}

#[test]
fn a_refusal_names_its_line_to_who_understands() {
    let asked = query(&[b"other", b"example"], A);
    let plain = asked.len() - 11;
    let no = Reply::NoName {
        by: "default:egress".into(),
    };
    let bytes = answer(&parse(&asked).unwrap(), &no);
    assert_eq!(
        &bytes[2..12],
        [0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 1],
        "no such name, one more record"
    );
    let text = b"refused by default:egress";
    let (length, inner) = (text.len() as u8 + 2, text.len() as u8 + 6);
    let mut record = vec![
        0, 0, 41, 4, 208, 0, 0, 0, 0, 0, inner, 0, 15, 0, length, 0, 15,
    ];
    record.extend(text);
    assert_eq!(bytes[plain..], record);
    // Without extensions there is nowhere to say it.
    let mut bare = asked[..plain].to_vec();
    bare[11] = 0;
    let bytes = answer(&parse(&bare).unwrap(), &no);
    assert_eq!((bytes[3] & 15, bytes[11], bytes.len()), (3, 0, plain));
    let long = Reply::NoName {
        by: "x".repeat(100_000),
    };
    assert!(answer(&parse(&asked).unwrap(), &long).len() < 512);
}

#[test]
fn odd_labels_are_reported_but_lead_nowhere() {
    let question = parse(&query(&[b"a.b", b"\\\xff \n"], 16)).unwrap();
    assert_eq!(question.host, None);
    assert_eq!(question.name, Text::new(b"a\\.b.\\\\\xff \n"));
    assert_eq!(parse(&query(&[], 2)).unwrap().host, None);
}

#[test]
fn what_is_no_question() {
    let good = query(&[b"a"], A);
    for length in 0..12 {
        assert_eq!(parse(&good[..length]), Err(Bad::Ignore));
    }
    for length in 12..19 {
        assert_eq!(
            parse(&good[..length]),
            Err(Bad::Format { id: 0xabcd }),
            "{length} bytes"
        );
    }
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        parse(&bytes)
    };
    assert_eq!(with(2, 0x80), Err(Bad::Ignore), "an answer");
    assert_eq!(
        with(2, 0x10),
        Err(Bad::Kind { id: 0xabcd }),
        "another opcode"
    );
    assert_eq!(with(5, 2), Err(Bad::Kind { id: 0xabcd }), "two questions");
    assert_eq!(with(18, 3), Err(Bad::Kind { id: 0xabcd }), "another class");
    assert_eq!(with(12, 0xc0), Err(Bad::Format { id: 0xabcd }), "a pointer");
    let long = [&[b'x'; 63][..]; 4];
    assert_eq!(
        parse(&query(&long, A)),
        Err(Bad::Format { id: 0xabcd }),
        "256 bytes"
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        match parse(&bytes) {
            Ok(question) => {
                let reply = answer(&question, &Reply::Address(Ipv4Addr::LOCALHOST));
                prop_assert!(reply.len() <= 12 + MAX_NAME + 4 + 16);
            }
            Err(bad) => drop(refuse(bad)),
        }
    }

    #[test]
    fn names_come_through(labels in proptest::collection::vec("[a-z0-9_-]{1,20}", 1..10), kind: u16) {
        let parts: Vec<_> = labels.iter().map(|l| l.as_bytes()).collect();
        let question = parse(&query(&parts, kind)).unwrap();
        prop_assert_eq!(question.host, Some(labels.join(".")));
        prop_assert_eq!(question.kind, kind);
    }
}
