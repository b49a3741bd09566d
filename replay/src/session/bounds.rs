//! Events and rules made to cost much cost no more than this: steps and rows are
//! counted, no time.

use belljar_event::{Call, Descriptor, Exec, Exit, Fork, Open, Status, Text};
use belljar_recorder::Writer;

use super::*;
use crate::steps;

/// Steps that one event may take, whatever it is and whatever the rules are that
/// come with belljar.
const MOST: u64 = 400_000;
/// Longest command line that is looked at.
const CMDLINE: u64 = 32 << 10;
/// Events that are written, folded and forgotten at a time.
const BATCH: u64 = 4096;

fn start() -> Start {
    Start {
        engine: "0.1.0".into(),
        label: "bounds".into(),
        command: vec!["npm".into()],
        image: "a".repeat(64),
        kernel: "6.1.0".into(),
        rules: "b".repeat(64),
        redacted: Vec::new(),
    }
}

fn event(at: u64, pid: u32, fact: Fact) -> Event {
    Event {
        at: at * 1_000_000,
        pid,
        tid: pid,
        outcome: Outcome::Returned(0),
        fact,
    }
}

fn exec(at: u64, pid: u32, argv: &[&[u8]]) -> Event {
    let exec = Exec {
        call: Call(59),
        parent: 999,
        path: Text::new(b"/usr/bin/dash"),
        file: Some(Text::new(b"/usr/bin/dash")),
        interpreter: None,
        argv: argv.iter().map(Text::new).collect(),
        argv_bytes: argv.iter().map(|arg| arg.len() as u64 + 1).sum(),
        cwd: Some(Text::new(b"/tmp")),
        uid: 1000,
        stdio: [Descriptor::Device; 3],
        unlinked: false,
        content: None,
        inherited: Vec::new(),
    };
    event(at, pid, Fact::Exec(exec))
}

fn open(at: u64, pid: u32, path: &str) -> Event {
    let open = Open {
        call: Call(257),
        file: Some(Text::new(path)),
        path: Text::new(path),
        base: None,
        flags: 0o101,
        mode: 0o644,
    };
    event(at, pid, Fact::Open(open))
}

/// What folding came to.
struct Folded {
    session: Session,
    /// Of all events, and of the one that took most.
    steps: u64,
    most: u64,
    events: u64,
}

/// Folds and judges, a batch of events at a time.
fn fold(rules: &Arc<RuleSet>, events: impl Iterator<Item = Event>) -> Folded {
    let mut writer = Writer::create(std::io::sink(), start()).unwrap();
    let mut folded = Folded {
        session: Session::new(Arc::clone(rules)),
        steps: 0,
        most: 0,
        events: 0,
    };
    // What the rules are made into when the first event of a type comes.
    steps::taken();
    let mut push = |entries: Vec<Entry>| {
        for entry in &entries {
            folded.session.push(entry);
            let steps = steps::taken();
            folded.steps += steps;
            folded.most = folded.most.max(steps);
            folded.events += 1;
        }
    };
    for event in events {
        writer.append(event).unwrap();
        if writer.events().is_multiple_of(BATCH) {
            push(writer.flush().unwrap());
        }
    }
    push(writer.flush().unwrap());
    folded
}

fn foreign(text: String) -> Arc<RuleSet> {
    let loaded = RuleSet::load_all(false, &[("bombs.yaml".to_owned(), text)]).unwrap();
    assert!(loaded.checked.iter().all(|one| one.status.is_evaluable()));
    loaded.rules
}

/// A rule of Falco's form.
fn rule(name: &str, condition: &str) -> String {
    format!(
        "- rule: {name}\n  desc: x\n  condition: {condition}\n  output: x\n  priority: WARNING\n"
    )
}

#[test]
fn arguments_of_64_kib_are_looked_at_a_few_times() {
    let rules = RuleSet::builtin();
    let long = vec![b'a'; 64 << 10];
    // What a pattern could try again and again.
    let mixed = b"aa=b;".repeat(13_000);
    let execs = |argument: &[u8]| {
        let argument = argument.to_vec();
        (0..50).map(move |at| exec(at, 1_000, &[b"sh", b"-c", &argument]))
    };
    let asking: String = (0..20)
        .map(|at| {
            let condition = format!("evt.type = execve and proc.cmdline contains word{at}");
            rule(&format!("asks {at}"), &condition)
        })
        .collect();
    let asking = foreign(asking);
    for argument in [&long, &mixed] {
        // Few rules ask for arguments, and those only where the program fits.
        let folded = fold(&rules, execs(argument));
        assert!(
            folded.steps > 50 && folded.most <= 64 * CMDLINE,
            "{} steps",
            folded.most
        );
        // Each comparison reads it once, as far as it is kept.
        let folded = fold(&asking, execs(argument));
        assert!(folded.most >= CMDLINE, "{} steps", folded.most);
        assert!(folded.most <= 24 * CMDLINE, "{} steps", folded.most);
    }
}

#[test]
fn a_hundred_thousand_children_cost_what_a_hundred_do() {
    let rules = RuleSet::builtin();
    let children = |count: u64| {
        (0..count).flat_map(|at| {
            let child = 1_000 + u32::try_from(at).unwrap();
            let status = Status::Code(0);
            [
                event(at, 999, Fact::Fork(Fork { child })),
                event(at, child, Fact::Exit(Exit { status })),
            ]
        })
    };
    let few = fold(&rules, children(100));
    let many = fold(&rules, children(100_000));
    assert_eq!(many.events, 200_000);
    assert!(few.steps > 100);
    let of_one = |folded: &Folded| folded.steps / folded.events;
    assert!(
        of_one(&many) <= of_one(&few) + 8,
        "{} and {}",
        of_one(&many),
        of_one(&few)
    );
    assert!(many.most <= few.most + 8, "{} and {}", many.most, few.most);
    assert!(many.session.processes.len() <= 1 << 17);
}

#[test]
fn a_long_line_of_ancestors_is_cut() {
    let rules = RuleSet::builtin();
    let line = (0..2_000u32).flat_map(|at| {
        let (pid, child) = (1_000 + at, 1_001 + at);
        [
            event(at.into(), pid, Fact::Fork(Fork { child })),
            exec(at.into(), child, &[b"sh", b"-c", b"true"]),
            open(at.into(), child, "/home/user/project/a"),
        ]
    });
    let folded = fold(&rules, line);
    assert!((100..=MOST).contains(&folded.most), "{} steps", folded.most);
}

#[test]
fn patterns_that_backtrack_elsewhere_read_a_path_once() {
    let path = format!("/tmp/{}", "a".repeat(4_000));
    let bombs = [
        rule(
            "nested repetition",
            "evt.type = openat and fd.name regex \"(a+)+(a|aa)*(.*a){10}b\"",
        ),
        rule(
            "many wildcards",
            "evt.type = openat and fd.name glob \"*a*a*a*a*a*a*a*a*a*a*b\"",
        ),
        rule(
            "alternatives",
            "evt.type = openat and fd.name regex \"(.*|.*a|a.*)*(x|y)\"",
        ),
    ];
    let folded = fold(
        &foreign(bombs.concat()),
        (0..200).map(|at| open(at, 1_000, &path)),
    );
    let length = path.len() as u64;
    assert!(
        folded.most <= (bombs.len() as u64 + 4) * length,
        "{} steps",
        folded.most
    );
    // Its program would not fit: no rule file takes the memory of a machine.
    let large = rule(
        "too large",
        "evt.type = openat and fd.name regex \"((a{100}){100}){100}\"",
    );
    let loaded = RuleSet::load_all(false, &[("large.yaml".to_owned(), large)]);
    let evaluable =
        loaded.is_ok_and(|loaded| loaded.checked.iter().any(|one| one.status.is_evaluable()));
    assert!(!evaluable);
}

#[test]
fn rules_that_grow_are_refused_or_bounded() {
    // Each macro is the one before, twice: a million comparisons if written out.
    let mut macros =
        String::from("- macro: m0\n  condition: (fd.name contains x0 or fd.name contains y0)\n");
    for at in 1..20 {
        let above = at - 1;
        macros.push_str(&format!(
            "- macro: m{at}\n  condition: (m{above} and m{above})\n"
        ));
    }
    macros.push_str(&rule("doubled", "evt.type = openat and m19"));
    let loaded = RuleSet::load_all(false, &[("deep.yaml".to_owned(), macros)]);
    let evaluable =
        loaded.is_ok_and(|loaded| loaded.checked.iter().any(|one| one.status.is_evaluable()));
    assert!(!evaluable, "a million comparisons are no rule");
    // As large a list as there may be, in as many rules as share an index.
    let items: Vec<_> = (0..16_000).map(|at| format!("/srv/{at}/file")).collect();
    let mut lists = format!("- list: many\n  items: [{}]\n", items.join(", "));
    for at in 0..20 {
        lists.push_str(&rule(
            &format!("list {at}"),
            &format!("evt.type = openat and fd.name in (many) and fd.num > {at}"),
        ));
    }
    let folded = fold(
        &foreign(lists),
        (0..200).map(|at| open(at, 1_000, "/srv/15999/other")),
    );
    assert!(folded.most <= 2_000, "{} steps", folded.most);
}

#[test]
fn many_sequences_keep_no_more_than_there_is_room_for() {
    let text = |at: u32| {
        format!(
            "id: L4-TEST-{at:03}\ntitle: t\nwhy: w\nseverity: low\nattack: [T1059.004]\nsince: 0.1.0\n\
             sequence:\n  by: path\n  within: 24h\n  steps:\n    - evt.type = openat\n    - evt.type = execve\n\
             message: m\nadvice: a\n"
        )
    };
    let sources: Vec<_> = (1..=32)
        .map(|at| (format!("{at}.yaml"), text(at)))
        .collect();
    let rules = Arc::new(RuleSet::load(&sources).unwrap());
    // Every path begins a sequence of every rule, and none goes on.
    let paths = (0..5_000).map(|at| open(at, 1_000, &format!("/srv/{at}")));
    let folded = fold(&rules, paths);
    assert_eq!(folded.session.windows.len(), 1 << 16);
    let left_out: u64 = folded.session.windows.full().map(|(_, count)| count).sum();
    assert_eq!(left_out, 32 * 5_000 - (1 << 16));
    assert!(folded.most <= 10_000, "{} steps", folded.most);
}

/// Rows of every table that grows with the events.
fn rows(session: &Session) -> [usize; 4] {
    [
        session.files.len(),
        session.processes.len(),
        session.findings.list.len(),
        session.windows.len(),
    ]
}

/// New paths and new processes for ever: what is kept stops growing.
fn flood(events: u64) -> impl Iterator<Item = Event> {
    let last = u32::try_from(events / 4).unwrap();
    (0..last).flat_map(|round| {
        let (at, pid) = (u64::from(round), 1_000 + round % 30_000);
        let status = Status::Code(0);
        [
            event(at, 999, Fact::Fork(Fork { child: pid })),
            open(
                at,
                pid,
                &format!("/home/user/project/node_modules/p{round}/index.js"),
            ),
            open(at, pid, &format!("/home/user/.ssh/id_{round}")),
            event(at, pid, Fact::Exit(Exit { status })),
        ]
    })
}

fn flooded(events: u64) {
    let folded = fold(&RuleSet::builtin(), flood(events));
    let [files, processes, findings, windows] = rows(&folded.session);
    assert!(files <= 400_000, "{files} files");
    assert!(processes <= 1 << 17, "{processes} processes");
    assert!(findings <= 10_000, "{findings} findings");
    assert!(windows <= 1 << 16, "{windows} patterns");
    assert!(folded.most <= MOST, "{} steps", folded.most);
    assert!(
        folded.steps / folded.events <= 5_000,
        "{} steps an event",
        folded.steps / folded.events
    );
}

#[test]
fn a_flood_of_events_is_kept_in_bounded_tables() {
    flooded(20_000);
}

#[test]
#[ignore = "minutes without optimisation: cargo test --release -p belljar-replay -- --ignored a_million"]
fn a_million_events_are_kept_in_bounded_tables() {
    flooded(2_000_000);
}
