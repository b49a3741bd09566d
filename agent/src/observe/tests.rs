use std::net::SocketAddr;
use std::path::PathBuf;

use belljar_event::{Addr, Event, Fact, Outcome, Status, Text};

use super::decode::{self, Names};
use crate::abi::{self, DATA_AT, Record};
use crate::seam::{MountTable, Mounted};

struct NoNames;
impl Names for NoNames {
    fn name(&self, _: SocketAddr) -> Option<String> {
        None
    }
}

fn mounts() -> MountTable {
    let mounted = |device, at: &str| Mounted {
        device,
        at: PathBuf::from(at),
    };
    MountTable {
        mounts: vec![mounted(21, "/"), mounted(22, "/proc")],
    }
}

/// A record's bytes: (role, flags, device, full, bytes) a segment.
fn record(
    kind: u32,
    call: u32,
    ret: i64,
    args: [u64; 6],
    segments: &[(u16, u16, u32, u32, &[u8])],
) -> Vec<u8> {
    let mut b = Vec::new();
    b.extend(7u64.to_ne_bytes());
    for word in [kind, call, 10, 11, 9, 1000] {
        b.extend(u32::to_ne_bytes(word));
    }
    b.extend(ret.to_ne_bytes());
    args.iter().for_each(|arg| b.extend(arg.to_ne_bytes()));
    for word in [0, 0, segments.len() as u32] {
        b.extend(u32::to_ne_bytes(word));
    }
    b.extend([5, 4, 1, 0]);
    b.extend(0u32.to_ne_bytes()); // refused by no line
    let mut data = Vec::new();
    for (role, flags, device, full, bytes) in segments {
        b.extend(role.to_ne_bytes());
        b.extend(flags.to_ne_bytes());
        b.extend((bytes.len() as u32).to_ne_bytes());
        b.extend(full.to_ne_bytes());
        b.extend(device.to_ne_bytes());
        data.extend(*bytes);
        if matches!(role, 1 | 2) && flags & 2 == 0 {
            data.push(0);
        }
    }
    b.resize(DATA_AT, 0);
    b.extend(data);
    b
}

fn event(bytes: &[u8]) -> Option<Event> {
    decode::event(&Record::parse(bytes).unwrap(), &mounts(), &NoNames)
}

#[test]
fn open_carries_both_paths() {
    let bytes = record(
        1,
        257,
        3,
        [0, 0, 0o2, 0, 0, 0],
        &[
            (1, 0, 0, 0, b"a/../id_rsa"),
            (6, 0, 21, 0, b"id_rsa\0.ssh\0dev\0home\0"),
        ],
    );
    let event = event(&bytes).unwrap();
    assert_eq!(event.outcome, Outcome::Returned(3));
    let Fact::Open(open) = event.fact else {
        panic!()
    };
    assert_eq!(open.path, Text::from("a/../id_rsa"));
    assert_eq!(open.file, Some(Text::from("/home/dev/.ssh/id_rsa")));
    assert_eq!(open.flags, 2);
}

#[test]
fn path_read_again_at_exit_wins_over_the_fault() {
    let bytes = record(1, 2, -2, [0; 6], &[(1, 2, 0, 0, b""), (1, 0, 0, 0, b"/x")]);
    let Fact::Open(open) = event(&bytes).unwrap().fact else {
        panic!()
    };
    assert_eq!(open.path, Text::from("/x"));
}

#[test]
fn other_file_systems_get_their_mount_point() {
    let open = |device, name: &[u8]| {
        let bytes = record(
            1,
            2,
            3,
            [0; 6],
            &[(1, 0, 0, 0, b"x"), (6, 0, device, 0, name)],
        );
        let Fact::Open(open) = event(&bytes).unwrap().fact else {
            panic!()
        };
        open.file.unwrap()
    };
    assert_eq!(open(22, b"environ\x001\0"), Text::from("/proc/1/environ"));
    assert_eq!(open(99, b"memfd:x\0"), Text::from("<anonymous>/memfd:x"));
    assert_eq!(open(21, b""), Text::from("/"));
}

#[test]
fn exec_has_words_and_descriptors() {
    let bytes = record(
        1,
        59,
        0,
        [0; 6],
        &[
            (1, 0, 0, 0, b"./x"),
            (6, 0, 21, 0, b"x\0"),
            (7, 0, 21, 0, b"sh\0bin\0"),
            (8, 1, 0, 5000, b"sh\0-c\0abc"),
            (9, 0, 21, 0, b"tmp\0"),
        ],
    );
    let Fact::Exec(exec) = event(&bytes).unwrap().fact else {
        panic!()
    };
    assert_eq!(exec.interpreter, Some(Text::from("/bin/sh")));
    assert_eq!(exec.cwd, Some(Text::from("/tmp")));
    assert_eq!(exec.argv.len(), 3);
    assert_eq!(
        exec.argv[2],
        Text::Cut {
            bytes: b"abc".as_slice().into(),
            length: 3 + 5000 - 9
        }
    );
    use belljar_event::Descriptor::*;
    assert_eq!(exec.stdio, [NetSocket, UnixSocket, File]);
}

#[test]
fn addresses() {
    let connect = |sockaddr: &[u8]| {
        let bytes = record(1, 42, -111, [4, 0, 0, 0, 0, 0], &[(3, 0, 0, 0, sockaddr)]);
        let Fact::Connect(connect) = event(&bytes).unwrap().fact else {
            panic!()
        };
        connect.addr
    };
    assert_eq!(
        connect(&[2, 0, 1, 187, 198, 51, 100, 7, 0, 0]),
        Addr::Inet("198.51.100.7:443".parse().unwrap())
    );
    let mut mapped = vec![10, 0, 0, 80, 0, 0, 0, 0];
    mapped.extend(
        "::ffff:198.51.100.7"
            .parse::<std::net::Ipv6Addr>()
            .unwrap()
            .octets(),
    );
    assert_eq!(
        connect(&mapped),
        Addr::Inet("198.51.100.7:80".parse().unwrap())
    );
    assert_eq!(
        connect(b"\x01\0/run/x.sock\0junk"),
        Addr::Unix(Text::from("/run/x.sock"))
    );
    assert_eq!(connect(&[17, 0, 1]), Addr::Other(17));
    assert_eq!(connect(&[2]), Addr::Unreadable);
}

#[test]
fn ends_of_processes() {
    let exit = |code| {
        let Fact::Exit(exit) = event(&record(3, 0, code, [0; 6], &[])).unwrap().fact else {
            panic!()
        };
        exit.status
    };
    assert_eq!(exit(0x300), Status::Code(3));
    assert_eq!(exit(9), Status::Signal(9));
    assert_eq!(exit(0x80 | 11), Status::Signal(11));
}

#[test]
fn endpoints_match_the_kernel_structure() {
    assert_eq!(size_of::<super::skel::types::call_desc>(), 6);
    let bytes = abi::endpoint("198.51.100.7:443".parse().unwrap());
    let mut origin = bytes.to_vec();
    origin.extend(10u32.to_ne_bytes());
    origin.extend(11u32.to_ne_bytes());
    assert_eq!(
        abi::origin(&origin),
        Some(("198.51.100.7:443".parse().unwrap(), 10, 11))
    );
    assert_eq!(abi::origin(&origin[..20]), None);
}

proptest::proptest! {
    #[test]
    fn arbitrary_records_never_panic(mut bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..900), kind in 1u8..5, call in 0u16..450, count in 0u8..14) {
        if bytes.len() > DATA_AT {
            bytes[8..12].copy_from_slice(&u32::from(kind).to_ne_bytes());
            bytes[12..16].copy_from_slice(&u32::from(call).to_ne_bytes());
            bytes[96..100].copy_from_slice(&u32::from(count).to_ne_bytes());
        }
        if let Ok(record) = Record::parse(&bytes) {
            let _ = decode::event(&record, &mounts(), &NoNames);
        }
    }
}

#[test]
fn record_layout_matches_the_skeleton() {
    use super::skel::types;
    assert_eq!(std::mem::offset_of!(types::record, data), DATA_AT);
    assert_eq!(size_of::<types::segment>(), 16);
    assert_eq!(size_of::<types::endpoint>(), abi::ENDPOINT_LEN);
    assert_eq!(size_of::<types::origin>(), abi::ORIGIN_LEN);
}

#[test]
fn messages_signals_and_identities() {
    let of = |call, args, segments: &[(u16, u16, u32, u32, &[u8])]| {
        event(&record(1, call, -1, args, segments)).unwrap().fact
    };
    let to = [2, 0, 1, 187, 198, 51, 100, 7];
    let Fact::Send(send) = of(46, [5, 0, 0, 0, 0, 70], &[(3, 0, 0, 8, &to)]) else {
        panic!()
    };
    assert_eq!((send.fd, send.bytes), (5, 70));
    assert_eq!(send.addr, Addr::Inet("198.51.100.7:443".parse().unwrap()));
    let Fact::Signal(signal) = of(62, [(-5i64).cast_unsigned(), 9, 0, 0, 0, 0], &[]) else {
        panic!()
    };
    assert_eq!((signal.target, signal.signal), (-5, 9));
    let ids = |call| {
        let Fact::Identity(identity) = of(call, [u64::MAX, 7 << 32, 3, 0, 0, 0], &[]) else {
            panic!()
        };
        identity.ids
    };
    assert_eq!(ids(105), [0xffff_ffff, 0, 0]);
    assert_eq!(ids(117), [0xffff_ffff, 0, 3]);
    assert_eq!(ids(126), [u64::MAX, 7 << 32, 3]);
}

#[test]
fn descriptors_handed_on() {
    let segments: &[(u16, u16, u32, u32, &[u8])] =
        &[(1, 0, 0, 0, b"./x"), (11, 0, 0, 0, &[3, 1, 17, 5, 9])];
    let Fact::Exec(exec) = event(&record(1, 59, 0, [0; 6], segments)).unwrap().fact else {
        panic!()
    };
    use belljar_event::Descriptor::*;
    assert_eq!(exec.inherited, [(3, File), (17, NetSocket)]);
}

#[test]
fn totals_of_a_file() {
    let bytes = record(4, 0, 0, [10, 20, 0, 0, 0, 0], &[(6, 0, 21, 0, b"a\0tmp\0")]);
    let Fact::Transfer(moved) = event(&bytes).unwrap().fact else {
        panic!()
    };
    assert_eq!(moved.file, Text::from("/tmp/a"));
    assert_eq!((moved.read, moved.written), (10, 20));
}

#[test]
fn classes_have_the_kernel_programs_numbers() {
    let header = include_str!("../../bpf/observe.h");
    let list = header.split("enum class_ {").nth(1).unwrap();
    let number = |name: &str| {
        let list = list.split("};").next().unwrap();
        let names = list.split('\n').filter(|line| line.contains("CLASS_"));
        names
            .map(str::trim_start)
            .position(|line| line.split([',', ' ']).next() == Some(name))
            .unwrap()
    };
    use belljar_event::Class;
    assert_eq!(number("CLASS_NONE"), 0);
    for (name, class) in [
        ("CLASS_EXEC", Class::Exec),
        ("CLASS_GUARD_REFUSED", Class::GuardRefused),
        ("CLASS_MESSAGE", Class::Message),
        ("CLASS_SIGNAL", Class::Signal),
        ("CLASS_IDENTITY", Class::Identity),
    ] {
        assert_eq!(
            number(name),
            usize::from(super::loaded::class(class)),
            "{name}"
        );
    }
    assert_eq!(
        number("CLASS_TRANSFER"),
        usize::from(super::loaded::CLASS_TRANSFER)
    );
}

/// A record with the word of a refusal in it.
fn refused(kind: u32, word: u32, segments: &[(u16, u16, u32, u32, &[u8])]) -> Vec<u8> {
    let mut bytes = record(kind, 82, -13, [0; 6], segments);
    let at = 8 + 8 + 16 + 8 + 48 + 12 + 4;
    bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
    bytes
}

#[test]
fn a_denial_names_its_line_and_its_object() {
    use belljar_event::wire::{KernelLine, Place};
    use belljar_event::{Action, Op};
    let line = KernelLine {
        by: "p:1".into(),
        action: Action::Deny,
        ops: Op::Write.bit(),
        places: vec![Place::Path(b"/home/b".to_vec())],
    };
    let lines = crate::enforce::Lines::new(vec![line], 0, mounts(), 7).unwrap();
    let both: &[(u16, u16, u32, u32, &[u8])] =
        &[(6, 0, 21, 0, b"a\0home\0"), (10, 0, 21, 0, b"b\0home\0")];
    let denied = |kind, word, segments| {
        let bytes = refused(kind, word, segments);
        let record = Record::parse(&bytes).unwrap();
        let Fact::Denied(denied) = decode::denied(&record, &mounts(), &lines).unwrap().fact else {
            panic!()
        };
        assert_eq!((denied.by.as_str(), denied.op), ("p:1", Op::Write));
        denied.path
    };
    let word = 1 | (Op::Write.index() as u32) << 16 | 1 << 24;
    assert_eq!(denied(1, word, both), Some(Text::from("/home/a")));
    // The call's second object.
    assert_eq!(denied(1, word | 1 << 31, both), Some(Text::from("/home/b")));
    // In a call that is not observed: no event but the denial.
    let alone = &both[..1];
    assert_eq!(denied(5, word, alone), Some(Text::from("/home/a")));
    assert_eq!(event(&refused(5, word, alone)), None);
}

#[test]
fn a_call_that_a_signal_broke_off_was_not_refused() {
    for (result, flags) in [(-512, 1_u32), (-516, 0)] {
        let mut bytes = record(1, 257, result, [0; 6], &[(1, 0, 0, 0, b"/x")]);
        let at = 8 + 8 + 16 + 8 + 48;
        bytes[at..at + 4].copy_from_slice(&flags.to_ne_bytes());
        assert_eq!(event(&bytes).unwrap().outcome, Outcome::Returned(-4));
    }
}
