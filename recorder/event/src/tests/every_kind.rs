//! Every kind of event, with any content, through codec and channel.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::any as make;
use crate::wire::*;
use crate::*;

#[test]
fn every_kind_has_a_strategy() {
    let mut runner = TestRunner::deterministic();
    let made: BTreeSet<u16> = make::rows()
        .iter()
        .map(|row| row.new_tree(&mut runner).unwrap().current().kind())
        .collect();
    let kinds: BTreeSet<u16> = KINDS.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(made, kinds);
    assert_eq!(make::rows().len(), KINDS.len());
}

/// Comes back as it was; cut anywhere, it is refused.
fn round<T: Encode + Decode<()> + PartialEq + std::fmt::Debug>(
    value: &T,
    cut: &prop::sample::Index,
) -> Result<(), TestCaseError> {
    let bytes = encode(value).unwrap();
    let back = decode::<T>(&bytes).unwrap();
    prop_assert_eq!(&back, value);
    prop_assert_eq!(encode(&back).unwrap(), &bytes[..]);
    let short = bytes.get(..cut.index(bytes.len())).unwrap();
    prop_assert!(decode::<T>(short).is_err());
    let mut long = bytes;
    long.push(0);
    prop_assert!(matches!(decode::<T>(&long), Err(CodecError::Trailing(1))));
    Ok(())
}

fn line() -> impl Strategy<Value = String> {
    proptest::string::string_regex("\\PC{0,40}").unwrap()
}

fn blob() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..200)
}

fn setup() -> impl Strategy<Value = Setup> {
    let decoy = (line(), any::<u32>(), blob()).prop_map(|(path, mode, content)| DecoyFile {
        path,
        mode,
        content,
    });
    let direct = (any::<std::net::IpAddr>(), any::<u16>()).prop_map(Into::into);
    let words = (line(), line());
    let place = prop_oneof![
        blob().prop_map(Place::Path),
        blob().prop_map(Place::Below),
        blob().prop_map(Place::Name),
    ];
    let ruled = (line(), any::<u16>(), vec(place, 0..4)).prop_map(|(by, ops, places)| KernelLine {
        by,
        action: Action::Deny,
        ops,
        places,
    });
    let lists = (vec(decoy, 0..5), vec(direct, 0..5), vec(ruled, 0..4));
    let numbers = (any::<u64>(), any::<[u8; 32]>(), any::<u32>(), any::<u32>());
    (words, lists, numbers, any::<bool>()).prop_map(|(words, lists, numbers, observe)| Setup {
        unix_nanos: numbers.0,
        entropy: numbers.1,
        hostname: words.0,
        user: words.1,
        decoys: lists.0,
        direct: lists.1,
        pids: numbers.2,
        event_rate: numbers.3 ^ numbers.2,
        disk_mib: numbers.3,
        observe,
        lines: lists.2,
        held: numbers.2 as u16,
    })
}

fn launch() -> impl Strategy<Value = Launch> {
    (
        line(),
        vec(blob(), 0..5),
        vec((line(), line()), 0..5),
        any::<u16>(),
        any::<u16>(),
    )
        .prop_map(|(phase, argv, env, rows, columns)| Launch {
            phase,
            argv,
            env,
            rows,
            columns,
        })
}

fn to_agent() -> impl Strategy<Value = ToAgent> {
    prop_oneof![
        setup().prop_map(|setup| ToAgent::Setup(Box::new(setup))),
        launch().prop_map(ToAgent::Start),
        (any::<u64>(), any::<bool>(), line()).prop_map(|(id, allowed, by)| ToAgent::Name {
            id,
            allowed,
            by
        }),
        (any::<u64>(), 0..3_u8).prop_map(|(id, verdict)| ToAgent::Decided {
            id,
            verdict: match verdict {
                0 => Verdict::Allow,
                1 => Verdict::Deny,
                _ => Verdict::Kill,
            },
        }),
        (any::<u32>(), line()).prop_map(|(pid, by)| ToAgent::Kill { pid, by }),
        any::<u64>().prop_map(|unix_nanos| ToAgent::Clock { unix_nanos }),
        Just(ToAgent::Stop),
    ]
}

fn hold() -> impl Strategy<Value = Hold> {
    let numbers = (any::<u64>(), any::<u64>(), any::<u32>(), any::<u32>());
    let words = (of(blob()), of(blob()), vec(blob(), 0..4));
    (numbers, make::op(), words, of(make::target())).prop_map(|(numbers, op, words, target)| Hold {
        id: numbers.0,
        at: numbers.1,
        pid: numbers.2,
        tid: numbers.3,
        op,
        call: Call(59),
        path: words.0.map(Text::new),
        other: words.1.map(Text::new),
        target,
        argv: words.2.into_iter().map(Text::new).collect(),
    })
}

fn from_agent() -> impl Strategy<Value = FromAgent> {
    let ready = (any::<u64>(), line(), line(), make::armed());
    let asked = (
        any::<u64>(),
        any::<u64>(),
        any::<u32>(),
        blob(),
        any::<u16>(),
        make::answer(),
    );
    prop_oneof![
        ready.prop_map(|(now, home, project, armed)| FromAgent::Ready {
            now,
            home,
            project,
            armed
        }),
        make::one_of_each().prop_map(FromAgent::Events),
        asked.prop_map(
            |(id, at, pid, name, kind, answer)| FromAgent::NameQuestion {
                id,
                at,
                pid,
                name: Text::new(name),
                kind,
                answer
            }
        ),
        hold().prop_map(|hold| FromAgent::Hold(Box::new(hold))),
        any::<u64>().prop_map(|id| FromAgent::Unheld { id }),
        any::<u8>().prop_map(|code| FromAgent::Exited(Status::Code(code))),
        line().prop_map(FromAgent::Failed),
    ]
}

fn stream_kind() -> impl Strategy<Value = StreamKind> {
    let flow = (any::<u64>(), any::<u32>(), any::<u32>(), make::target());
    prop_oneof![
        Just(StreamKind::Control),
        Just(StreamKind::Upload),
        flow.prop_map(|(at, pid, tid, target)| StreamKind::Flow(FlowRequest {
            at,
            pid,
            tid,
            target
        })),
    ]
}

fn reply() -> impl Strategy<Value = FlowReply> {
    prop_oneof![
        Just(FlowReply::Connected),
        line().prop_map(|by| FlowReply::Refused { by }),
        Just(FlowReply::Failed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn events_of_every_kind_come_back(events in make::one_of_each(), cut: prop::sample::Index) {
        for event in &events {
            round(event, &cut)?;
            let kind = event.fact.kind();
            let bytes = encode_fact(event).unwrap();
            prop_assert_eq!(decode_fact(kind, &bytes), Ok(Some(event.clone())));
            // What is cut is refused, not filled up.
            prop_assert!(decode_fact(kind, &bytes[..cut.index(bytes.len())]).is_err());
        }
    }

    #[test]
    fn messages_of_every_kind_come_back(
        to in to_agent(),
        from in from_agent(),
        stream in stream_kind(),
        reply in reply(),
        error in of(line()),
        cut: prop::sample::Index,
    ) {
        round(&to, &cut)?;
        round(&from, &cut)?;
        round(&stream, &cut)?;
        round(&reply, &cut)?;
        round(&Uploaded { error }, &cut)?;
    }

    #[test]
    fn bytes_turned_over_never_panic(
        events in make::one_of_each(),
        at: prop::sample::Index,
        with in 1u8..,
    ) {
        for event in &events {
            let mut bytes = encode(event).unwrap();
            let place = at.index(bytes.len());
            bytes[place] ^= with;
            // Another event or an error; and an event that encodes again.
            if let Ok(other) = decode::<Event>(&bytes) {
                prop_assert_eq!(decode(&encode(&other).unwrap()), Ok(other));
            }
        }
    }
}
