//! Rules that look beyond one event: each form where it holds and where it does not.

use std::sync::Arc;

use belljar_replay::rules::RuleSet;
use belljar_replay::session::Session;
use belljar_replay::verdict;

use crate::tape::{MS, Tape};

const SECRET: &str = "evt.type = openat and fs.path.name startswith /home/dev/.ssh/";
const CONNECTS: &str = "evt.type = connect";

fn rules(pattern: &str) -> Arc<RuleSet> {
    let text = format!(
        "id: T-1\ntitle: t\nwhy: w\nseverity: high\nattack: [T1059]\nsince: '0.1'\n\
         message: seen by %proc.pid\nsubject: it\nadvice: a\n{pattern}\n"
    );
    let sources = [("t.yaml".to_owned(), text)];
    Arc::new(RuleSet::load(&sources).unwrap_or_else(|errors| panic!("{errors}")))
}

fn sequence(by: &str, ordered: bool) -> Arc<RuleSet> {
    rules(&format!(
        "sequence:\n  by: {by}\n  within: 1s\n  ordered: {ordered}\n  steps:\n    - {SECRET}\n    - {CONNECTS}"
    ))
}

/// The session, folded in one go and from a copy at every event.
fn fold(rules: &Arc<RuleSet>, tape: &Tape) -> Session {
    let recorded = tape.record();
    let mut session = Session::new(Arc::clone(rules));
    let mut copied = Session::new(Arc::clone(rules));
    for entry in &recorded.entries {
        session.push(entry);
        let mut next = copied.clone();
        next.push(entry);
        copied = next;
    }
    let told = |session: &Session| {
        let found = session.findings().iter();
        found
            .map(|f| (f.seqs.clone(), f.process, f.message.clone(), f.count))
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&session), told(&copied));
    session
}

/// How often the rule fired, with the events of the first finding.
fn fired(rules: &Arc<RuleSet>, tape: &Tape) -> (u64, Vec<u64>) {
    let session = fold(rules, tape);
    let count = session.findings().iter().map(|finding| finding.count).sum();
    let first = session.findings().front();
    (
        count,
        first.map(|first| first.seqs.clone()).unwrap_or_default(),
    )
}

fn tape() -> Tape {
    let mut tape = Tape::booted();
    tape.begin("install", &["npm"], 100);
    tape.exec(100, "/usr/bin/npm", &["npm"]);
    for child in [101, 102] {
        tape.fork(100, child);
        tape.exec(child, "/usr/bin/node", &["node"]);
    }
    tape
}

const KEY: &str = "/home/dev/.ssh/id_rsa";
const OUT: &str = "198.51.100.7:443";

#[test]
fn a_sequence_holds_in_order_in_time_in_one_process() {
    let by = sequence("process", true);
    let mut hit = tape();
    hit.read(101, KEY)
        .read(101, "/etc/hosts")
        .connect_refused(101, OUT);
    let begun = hit.events.len() as u64;
    assert_eq!(fired(&by, &hit), (1, vec![begun - 3, begun - 1]));

    let mut backwards = tape();
    backwards.connect_refused(101, OUT).read(101, KEY);
    assert_eq!(fired(&by, &backwards).0, 0);
    assert_eq!(fired(&sequence("process", false), &backwards).0, 1);

    let mut late = tape();
    late.read(101, KEY);
    late.at += 1001 * MS;
    late.connect_refused(101, OUT);
    assert_eq!(fired(&by, &late).0, 0);
    assert_eq!(fired(&sequence("process", false), &late).0, 0);

    // The latest beginning counts, not the first.
    late.read(101, KEY);
    late.connect_refused(101, OUT);
    assert_eq!(fired(&by, &late).0, 1);
}

#[test]
fn a_sequence_is_tied_by_what_it_says() {
    let mut apart = tape();
    apart.read(101, KEY).connect_refused(102, OUT);
    for (by, times) in [("process", 0), ("tree", 0), ("run", 1)] {
        assert_eq!(fired(&sequence(by, true), &apart).0, times, "{by}");
    }
    let mut below = tape();
    below
        .fork(101, 103)
        .read(103, KEY)
        .connect_refused(101, OUT);
    for (by, times) in [("process", 0), ("tree", 1), ("run", 1), ("user.uid", 1)] {
        assert_eq!(fired(&sequence(by, true), &below).0, times, "{by}");
    }
}

fn count(by: &str, distinct: &str, condition: &str) -> Arc<RuleSet> {
    rules(&format!(
        "condition: {condition}\ncount:\n  by: {by}\n  within: 1s\n  at_least: 3\n{distinct}"
    ))
}

#[test]
fn a_count_holds_for_so_many_in_time() {
    let opens = "evt.type = openat";
    let by = count("process", "", opens);
    let mut two = tape();
    two.read(101, KEY).read(101, KEY).read(102, KEY);
    assert_eq!(fired(&by, &two).0, 0);
    assert_eq!(fired(&count("run", "", opens), &two).0, 1);
    assert_eq!(fired(&count("path", "", opens), &two).0, 1);
    two.read(101, KEY);
    assert_eq!(fired(&by, &two).0, 1);

    let mut slow = tape();
    for _ in 0..5 {
        slow.read(101, KEY);
        slow.at += 501 * MS;
    }
    assert_eq!(fired(&by, &slow).0, 0);
}

#[test]
fn a_count_of_values_counts_each_once() {
    let distinct = "  distinct: fs.path.name";
    let by = count("tree", distinct, "evt.type = openat");
    let mut same = tape();
    for _ in 0..9 {
        same.read(101, KEY).read(101, "/etc/hosts");
    }
    assert_eq!(fired(&by, &same).0, 0);
    same.read(101, "/etc/passwd");
    assert_eq!(fired(&by, &same).0, 1);

    let by = count("destination", "  distinct: fd.sport", CONNECTS);
    let mut ports = tape();
    for port in 1..=3 {
        ports.connect_refused(101, &format!("198.51.100.7:{port}"));
        ports.connect_refused(101, &format!("198.51.100.{port}:80"));
    }
    assert_eq!(fired(&by, &ports).0, 1);
}

fn absence() -> Arc<RuleSet> {
    rules(&format!(
        "condition: {SECRET}\nabsence:\n  by: process\n  within: 1s\n  of: {CONNECTS}"
    ))
}

#[test]
fn an_absence_holds_when_the_time_is_over() {
    let by = absence();
    let mut followed = tape();
    followed.read(101, KEY).connect_refused(101, OUT);
    followed.at += 2000 * MS;
    followed.read(102, "/etc/hosts");
    assert_eq!(fired(&by, &followed).0, 0);

    let mut alone = tape();
    alone.read(101, KEY).connect_refused(102, OUT);
    let seq = alone.events.len() as u64 - 2;
    assert_eq!(fired(&by, &alone).0, 0, "the time is not over");
    alone.at += 2000 * MS;
    alone.read(102, "/etc/hosts");
    let session = fold(&by, &alone);
    let finding = session.findings().front().unwrap();
    assert_eq!(finding.seqs, [seq]);
    assert_eq!(&*finding.message, "seen by 101");

    // What follows too late does not undo it.
    let mut late = tape();
    late.read(101, KEY);
    late.at += 1001 * MS;
    late.connect_refused(101, OUT);
    assert_eq!(fired(&by, &late).0, 1);
}

#[test]
fn what_does_not_fit_is_said() {
    let by =
        rules("condition: evt.type = openat\ncount:\n  by: path\n  within: 1h\n  at_least: 200");
    let mut many = tape();
    for number in 0..4096 {
        many.read(101, &format!("/tmp/{number}"));
    }
    let limit = |session: &Session| {
        let judgement = verdict::judge(session, None);
        format!("{judgement:?}").contains("limit reached: T-1 had 1 more")
    };
    assert!(!limit(&fold_once(&by, &many)));
    many.read(101, "/tmp/one-more");
    assert!(limit(&fold_once(&by, &many)));
}

fn fold_once(rules: &Arc<RuleSet>, tape: &Tape) -> Session {
    let mut session = Session::new(Arc::clone(rules));
    for entry in &tape.record().entries {
        session.push(entry);
    }
    session
}

#[test]
fn patterns_that_say_nothing_are_refused() {
    let text = |pattern: &str| {
        format!(
            "id: T-1\ntitle: t\nwhy: w\nseverity: high\nattack: []\nsince: '0.1'\n\
             message: m\nadvice: a\n{pattern}\n"
        )
    };
    for (pattern, message) in [
        (
            "sequence:\n  by: process\n  within: 1s\n  steps: [path.decoy]",
            "2 to 16 steps",
        ),
        (
            "condition: path.decoy\ncount:\n  by: process\n  within: 1s\n  at_least: 1",
            "from 2 to",
        ),
        (
            "condition: path.decoy\ncount:\n  by: nobody\n  within: 1s\n  at_least: 2",
            "ties nothing",
        ),
        (
            "condition: path.decoy\ncount:\n  by: fd.nam\n  within: 1s\n  at_least: 2",
            "did you mean `fd.name`?",
        ),
        (
            "condition: path.decoy\ncount:\n  by: run\n  within: 2d\n  at_least: 2",
            "a window like",
        ),
        (
            "condition: path.decoy\nsequence:\n  by: run\n  within: 1s\n  steps: [path.decoy, path.decoy]",
            "a rule has",
        ),
        ("", "a rule has"),
    ] {
        let sources = [("t.yaml".to_owned(), text(pattern))];
        let errors = RuleSet::load(&sources).unwrap_err().to_string();
        assert!(errors.contains(message), "{pattern}: {errors}");
    }
}
