//! Any event of any kind, for property tests here and in the trace's crate.
//!
//! One row a kind; a kind without a row fails `every_kind_has_a_strategy`.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::event::*;

fn bytes(most: usize) -> impl Strategy<Value = Box<[u8]>> {
    vec(any::<u8>(), 0..=most).prop_map(Into::into)
}

fn text() -> BoxedStrategy<Text> {
    prop_oneof![
        bytes(300).prop_map(Text::Whole),
        (bytes(99), any::<u64>()).prop_map(|(bytes, length)| Text::Cut { bytes, length }),
        Just(Text::Unreadable),
    ]
    .boxed()
}

fn string() -> BoxedStrategy<String> {
    proptest::string::string_regex("\\PC{0,40}")
        .unwrap()
        .boxed()
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        (0..CALLS.len()).prop_map(|at| Call(CALLS[at].number)),
        any::<u16>().prop_map(Call),
    ]
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        any::<u8>().prop_map(Status::Code),
        any::<u8>().prop_map(Status::Signal),
    ]
}

fn descriptor() -> impl Strategy<Value = Descriptor> {
    use Descriptor::*;
    proptest::sample::select(std::vec![
        Closed, File, Device, Pipe, UnixSocket, NetSocket, Other
    ])
}

fn socket() -> impl Strategy<Value = std::net::SocketAddr> {
    // Scope and flow label of an IPv6 address are no part of the codec.
    (any::<std::net::IpAddr>(), any::<u16>()).prop_map(Into::into)
}

fn addr() -> impl Strategy<Value = Addr> {
    prop_oneof![
        socket().prop_map(Addr::Inet),
        text().prop_map(Addr::Unix),
        any::<u16>().prop_map(Addr::Other),
        Just(Addr::Unreadable),
    ]
}

pub(super) fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        (string(), any::<u16>()).prop_map(|(name, port)| Target::Name { name, port }),
        socket().prop_map(Target::Direct),
    ]
}

pub(super) fn answer() -> impl Strategy<Value = NameAnswer> {
    prop_oneof![
        any::<std::net::Ipv4Addr>().prop_map(NameAnswer::Synthetic),
        Just(NameAnswer::Refused),
        Just(NameAnswer::NoData),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        status().prop_map(End::Finished),
        Just(End::Interrupted),
        Just(End::TimedOut),
        string().prop_map(End::GuestLost),
        string().prop_map(End::Failed),
        string().prop_map(End::Stopped),
    ]
}

fn dial() -> impl Strategy<Value = Dial> {
    prop_oneof![
        socket().prop_map(Dial::Connected),
        (socket(), string()).prop_map(|(addr, range)| Dial::Refused { addr, range }),
        string().prop_map(Dial::Failed),
    ]
}

pub(super) fn armed() -> impl Strategy<Value = Armed> {
    let check = (string(), any::<bool>()).prop_map(|(name, held)| Check { name, held });
    (string(), vec(check, 0..20)).prop_map(|(kernel, checks)| Armed { kernel, checks })
}

fn exec() -> impl Strategy<Value = Exec> {
    let paths = (text(), of(text()), of(text()), of(text()));
    let numbers = (call(), any::<u32>(), any::<u64>(), any::<u32>());
    let rest = (
        vec(text(), 0..6),
        [descriptor(), descriptor(), descriptor()],
        any::<bool>(),
        of(any::<[u8; 32]>()),
        vec((any::<i32>(), descriptor()), 0..16),
    );
    (paths, numbers, rest).prop_map(|(paths, numbers, rest)| {
        let (path, file, interpreter, cwd) = paths;
        let (call, parent, argv_bytes, uid) = numbers;
        let (argv, stdio, unlinked, content, inherited) = rest;
        Exec {
            call,
            parent,
            path,
            file,
            interpreter,
            argv,
            argv_bytes,
            cwd,
            uid,
            stdio,
            unlinked,
            content,
            inherited,
        }
    })
}

fn change() -> impl Strategy<Value = Change> {
    (
        call(),
        text(),
        of(text()),
        of(text()),
        of(text()),
        any::<u64>(),
        of(text()),
        of(text()),
    )
        .prop_map(
            |(call, path, base, other, other_base, value, file, other_file)| Change {
                call,
                path,
                base,
                other,
                other_base,
                value,
                file,
                other_file,
            },
        )
}

fn copied() -> impl Strategy<Value = Copied> {
    let out = (text(), string()).prop_map(|(path, why)| LeftOut { path, why });
    (any::<u64>(), any::<u64>(), vec(out, 0..6), any::<u64>()).prop_map(
        |(files, bytes, left_out, left_out_total)| Copied {
            files,
            bytes,
            left_out,
            left_out_total,
        },
    )
}

fn decoys() -> impl Strategy<Value = Decoys> {
    let decoy =
        (text(), string(), string()).prop_map(|(path, kind, canary)| Decoy { path, kind, canary });
    vec(decoy, 0..6).prop_map(|decoys| Decoys { decoys })
}

fn script() -> impl Strategy<Value = InstallScript> {
    (text(), of(text()), string(), text(), any::<bool>()).prop_map(
        |(package, version, script, command, ran)| InstallScript {
            package,
            version,
            script,
            command,
            ran,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (vec(text(), 0..6), any::<u32>()).prop_map(|(argv, pid)| Step::Begin { argv, pid }),
        status().prop_map(Step::End),
    ]
}

/// `row!(Kind { field: strategy, … })`: a strategy for a fact of that kind.
macro_rules! row {
    ($kind:ident { $($field:ident: $strategy:expr),+ $(,)? }) => {
        ($($strategy,)+)
            .prop_map(|($($field,)+)| Fact::from($kind { $($field),+ }))
            .boxed()
    };
}

fn rows_of_life() -> Vec<BoxedStrategy<Fact>> {
    std::vec![
        row!(Policy {
            source: string(),
            digest: any::<[u8; 32]>()
        }),
        decoys().prop_map(Fact::from).boxed(),
        row!(Machine {
            hypervisor: string(),
            accelerator: string(),
            degraded: any::<bool>(),
            cpus: any::<u32>(),
            memory_mib: any::<u32>(),
        }),
        armed().prop_map(Fact::from).boxed(),
        copied().prop_map(Fact::from).boxed(),
        row!(Phase {
            name: string(),
            step: step()
        }),
        row!(Lost {
            count: any::<u64>(),
            place: string()
        }),
        row!(Ended { how: end() }),
        row!(LimitReached {
            what: string(),
            limit: any::<u64>(),
            unit: string()
        }),
        row!(Decision {
            flow: any::<u64>(),
            action: action(),
            by: string()
        }),
        row!(Output { bytes: bytes(3000) }),
        row!(Sample {
            cpu_us: any::<u64>(),
            memory: any::<u64>(),
            tasks: any::<u32>(),
            disk: any::<u64>(),
        }),
        row!(Installed {
            client: string(),
            answered: any::<bool>(),
            packages: any::<u64>(),
            scripts: vec(script(), 0..6),
            more: any::<u64>(),
        }),
    ]
}

fn rows_of_processes() -> Vec<BoxedStrategy<Fact>> {
    std::vec![
        exec().prop_map(Fact::from).boxed(),
        row!(Fork {
            child: any::<u32>()
        }),
        row!(Exit { status: status() }),
        row!(Open {
            call: call(),
            path: text(),
            base: of(text()),
            file: of(text()),
            flags: any::<u32>(),
            mode: any::<u32>(),
        }),
        change().prop_map(Fact::from).boxed(),
        row!(Look {
            call: call(),
            path: text(),
            base: of(text())
        }),
        row!(Transfer {
            file: text(),
            read: any::<u64>(),
            written: any::<u64>()
        }),
        row!(Dup {
            call: call(),
            from: any::<i32>(),
            to: any::<i32>(),
            what: descriptor(),
        }),
        row!(Guard {
            call: call(),
            path: of(text()),
            args: any::<[u64; 4]>()
        }),
        row!(Signal {
            call: call(),
            target: any::<i32>(),
            signal: any::<i32>()
        }),
        row!(Identity {
            call: call(),
            ids: any::<[u64; 3]>()
        }),
    ]
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    proptest::sample::select(Op::ALL.to_vec())
}

fn action() -> impl Strategy<Value = Action> {
    proptest::sample::select(std::vec![
        Action::Allow,
        Action::Deny,
        Action::Ask,
        Action::Kill
    ])
}

fn rows_of_holds() -> Vec<BoxedStrategy<Fact>> {
    let scope = prop_oneof![
        Just(Scope::Once),
        any::<u32>().prop_map(Scope::Tree),
        Just(Scope::Run),
        string().prop_map(Scope::Saved),
    ];
    let who = proptest::sample::select(std::vec![
        Who::Policy,
        Who::Person,
        Who::Earlier,
        Who::Nobody,
        Who::Timer,
        Who::Gone
    ]);
    std::vec![
        row!(Denied {
            op: op(),
            path: of(text()),
            action: action(),
            by: string()
        }),
        row!(Held {
            hold: any::<u64>(),
            op: op(),
            call: call(),
            path: of(text()),
            other: of(text()),
            target: of(target()),
            argv: vec(text(), 0..4),
        }),
        row!(Question {
            hold: any::<u64>(),
            by: string()
        }),
        row!(Answer {
            hold: any::<u64>(),
            action: action(),
            who: who,
            by: string(),
            scope: scope,
            waited: any::<u64>(),
        }),
        row!(Killed {
            root: any::<u32>(),
            count: any::<u32>(),
            by: string()
        }),
        row!(Freeze {
            frozen: any::<bool>()
        }),
    ]
}

fn rows_of_network() -> Vec<BoxedStrategy<Fact>> {
    std::vec![
        row!(Socket {
            family: any::<u16>(),
            kind: any::<u16>(),
            protocol: any::<u16>()
        }),
        row!(Connect {
            fd: any::<i32>(),
            addr: addr(),
            name: of(string())
        }),
        row!(Bind {
            fd: any::<i32>(),
            addr: addr()
        }),
        row!(Listen { fd: any::<i32>() }),
        row!(Accept { fd: any::<i32>() }),
        row!(Send {
            call: call(),
            fd: any::<i32>(),
            addr: addr(),
            bytes: any::<u64>()
        }),
        row!(Name {
            name: text(),
            kind: any::<u16>(),
            answer: answer(),
            by: string()
        }),
        row!(FlowAsked {
            flow: any::<u64>(),
            target: target()
        }),
        row!(FlowOpened {
            flow: any::<u64>(),
            how: dial()
        }),
        row!(FlowClosed {
            flow: any::<u64>(),
            sent: any::<u64>(),
            received: any::<u64>(),
            why: of(string()),
        }),
        row!(TlsHello {
            flow: any::<u64>(),
            name: of(text()),
            alpn: vec(text(), 0..16),
            encrypted: any::<bool>(),
        }),
        row!(CanarySeen {
            flow: any::<u64>(),
            decoy: any::<u32>(),
            kind: string(),
            encoding: string(),
            at: any::<u64>(),
            cut: any::<bool>(),
        }),
        row!(HttpRequest {
            flow: any::<u64>(),
            method: text(),
            target: text(),
            host: of(text()),
        }),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::None),
        any::<i64>().prop_map(Outcome::Returned),
        any::<i64>().prop_map(Outcome::Refused),
        Just(Outcome::Died),
    ]
}

/// A strategy for each kind.
pub(super) fn rows() -> Vec<BoxedStrategy<Fact>> {
    let all = [
        rows_of_life(),
        rows_of_processes(),
        rows_of_holds(),
        rows_of_network(),
    ];
    all.into_iter().flatten().collect()
}

/// A whole event around a fact.
fn around(fact: impl Strategy<Value = Fact>) -> impl Strategy<Value = Event> {
    (any::<u64>(), any::<u32>(), any::<u32>(), outcome(), fact).prop_map(
        |(at, pid, tid, outcome, fact)| Event {
            at,
            pid,
            tid,
            outcome,
            fact,
        },
    )
}

/// One event of each kind, in the table's order.
pub(super) fn one_of_each() -> impl Strategy<Value = Vec<Event>> {
    rows().into_iter().map(around).collect::<Vec<_>>()
}
