use belljar_event::{
    Action, Answer, Call, Decision, Decoy, Decoys, Denied, End, Event, Exec, Fact, FlowAsked, Held,
    Op, Open, Outcome, Scope, Status, Target, Text, Who,
};
use belljar_recorder::{Start, Writer};

use super::*;

const THIEF: &[u8] = include_bytes!("../../../fixtures/traces/npm-credential-thief.bjt");
const BENIGN: &[u8] = include_bytes!("../../../fixtures/traces/npm-benign.bjt");

fn under(trace: &[u8], policy: &Policy, all: bool) -> WhatIf {
    let mut reader = Reader::open(trace).unwrap();
    what_if(&mut reader, &RuleSet::builtin(), policy, all).unwrap()
}

/// The policy that a trace was recorded under.
fn own(trace: &[u8]) -> Policy {
    let mut entries = Reader::open(trace).unwrap().map(Result::unwrap);
    entries
        .find_map(|entry| match &entry.event().fact {
            Fact::Policy(policy) => Some(Policy::parse("own", &policy.source).unwrap()),
            _ => None,
        })
        .unwrap()
}

/// Lines in front of nothing.
fn lines(lines: &[(&str, &str)]) -> Policy {
    let line = |(action, condition): &(&str, &str)| {
        format!("[[rule]]\naction = \"{action}\"\ncondition = \"{condition}\"\n")
    };
    let text: String = lines.iter().map(line).collect();
    Policy::parse("other", &text).unwrap()
}

#[test]
fn a_run_never_differs_from_its_own_policy() {
    for trace in [THIEF, BENIGN] {
        let told = under(trace, &own(trace), false);
        assert!(told.asked > 100, "{told:?}");
        assert_eq!(
            (told.same, &told.rows),
            (told.asked, &Vec::new()),
            "{told:?}"
        );
        let listed = under(trace, &own(trace), true);
        let counted: u64 = listed.rows.iter().map(|row| row.count).sum();
        assert_eq!(counted + listed.beyond, told.asked);
    }
}

#[test]
fn what_was_lured_is_denied_by_the_preset() {
    let told = under(THIEF, &Policy::preset("default").unwrap(), false);
    assert!(told.would_deny > 0 && told.denies(), "{told:?}");
    let row = told
        .rows
        .iter()
        .find(|row| row.object.ends_with("/.ssh/id_rsa"))
        .unwrap();
    assert_eq!(
        (row.op, row.ended, row.now.action),
        ("read", Ended::Allowed, "deny")
    );
    assert_eq!(row.now.by, "default:decoys");
    assert!(
        told.limits
            .iter()
            .any(|limit| limit.contains("might not have"))
    );
    let page = told.to_table(100);
    assert!(
        page.contains("would have denied what the run allowed"),
        "{page}"
    );
    assert!(
        page.contains("deny by default:decoys: credentials"),
        "{page}"
    );
}

#[test]
fn registries_of_the_run_stay_allowed() {
    let told = under(BENIGN, &Policy::preset("strict").unwrap(), true);
    assert!(
        !told.rows.iter().any(|row| row.op == "lookup"
            && row.now.action == "deny"
            && row.recorded.action == "allow"),
        "{told:?}"
    );
}

#[test]
fn programs_and_homes_are_asked_about_by_path() {
    let told = under(
        BENIGN,
        &lines(&[("deny", "evt.op = exec and fd.name startswith /usr/bin/")]),
        false,
    );
    assert!(
        told.rows
            .iter()
            .any(|row| row.op == "exec" && row.now.by == "other:1"),
        "{told:?}"
    );
    let told = under(
        THIEF,
        &lines(&[("kill", "evt.op = read and fd.name startswith ~/.ssh/")]),
        false,
    );
    assert!(
        told.rows
            .iter()
            .any(|row| row.now.action == "kill" && row.object.contains("/.ssh/")),
        "{told:?}"
    );
}

/// A trace of these, behind a policy and decoys.
fn trace(facts: Vec<(Outcome, Fact)>) -> Vec<u8> {
    let policy = Policy::preset("default")
        .unwrap()
        .at_home("/home/u")
        .unwrap();
    let policy = belljar_event::Policy {
        source: policy.source().into(),
        digest: policy.digest(),
    };
    let decoys = Decoys {
        decoys: vec![Decoy {
            path: "/home/u/.ssh/id_rsa".into(),
            kind: "ssh key".into(),
            canary: String::new(),
        }],
    };
    let mut bytes = Vec::new();
    let mut writer = Writer::create(&mut bytes, Start::default()).unwrap();
    let begin = [
        (Outcome::None, policy.into()),
        (Outcome::None, decoys.into()),
    ];
    for ((outcome, fact), at) in begin.into_iter().chain(facts).zip(1..) {
        let (pid, tid) = (7, 7);
        writer
            .append(Event {
                at,
                pid,
                tid,
                outcome,
                fact,
            })
            .unwrap();
    }
    writer.finish(End::Finished(Status::Code(0))).unwrap();
    bytes
}

fn call(name: &str) -> Call {
    let row = belljar_event::CALLS.iter().find(|row| row.name == name);
    Call(row.unwrap().number)
}

fn target() -> Target {
    Target::Name {
        name: "files.example".into(),
        port: 443,
    }
}

fn exec(path: &str) -> Fact {
    Exec {
        call: call("execve"),
        parent: 1,
        path: path.into(),
        file: Some(path.into()),
        interpreter: None,
        argv: vec![Text::new(path)],
        argv_bytes: 0,
        cwd: None,
        uid: 1000,
        stdio: [belljar_event::Descriptor::Device; 3],
        unlinked: false,
        content: None,
        inherited: Vec::new(),
    }
    .into()
}

fn held(hold: u64, path: Option<&str>, to: Option<Target>) -> Fact {
    Held {
        hold,
        op: if to.is_some() { Op::Connect } else { Op::Exec },
        call: call(if to.is_some() { "connect" } else { "execve" }),
        path: path.map(Text::new),
        other: None,
        target: to,
        argv: Vec::new(),
    }
    .into()
}

fn answer(hold: u64, action: Action) -> Fact {
    Answer {
        hold,
        action,
        who: Who::Person,
        by: "default:egress".into(),
        scope: Scope::Once,
        waited: 1,
    }
    .into()
}

#[test]
fn one_connect_is_one_question_and_an_answer_is_what_came_of_it() {
    let flow = FlowAsked {
        flow: 1,
        target: target(),
    };
    let decision = Decision {
        flow: 1,
        action: Action::Allow,
        by: "answer:1".into(),
    };
    let bytes = trace(vec![
        (Outcome::None, held(1, None, Some(target()))),
        (Outcome::None, answer(1, Action::Allow)),
        (Outcome::None, flow.into()),
        (Outcome::None, decision.into()),
    ]);
    let told = under(
        &bytes,
        &lines(&[("deny", "net.name = files.example")]),
        false,
    );
    assert_eq!((told.asked, told.would_deny), (1, 1), "{told:?}");
    assert_eq!(told.rows[0].recorded.by, "default:egress");
    let told = under(
        &bytes,
        &lines(&[("allow", "net.name = files.example")]),
        false,
    );
    assert_eq!((told.would_deny, told.otherwise), (0, 1), "{told:?}");
}

#[test]
fn what_was_held_is_asked_about_once_and_what_failed_not_at_all() {
    let bytes = trace(vec![
        (Outcome::None, held(1, Some("/tmp/.x/tool"), None)),
        (Outcome::None, answer(1, Action::Allow)),
        (Outcome::Returned(0), exec("/tmp/.x/tool")),
        (Outcome::Returned(0), exec("/tmp/tool")),
        (Outcome::Returned(-2), exec("/tmp/missing")),
    ]);
    let told = under(
        &bytes,
        &lines(&[("deny", "evt.op = exec and fd.name startswith /tmp/")]),
        false,
    );
    assert_eq!(
        (told.asked, told.would_deny, told.failed),
        (2, 2, 1),
        "{told:?}"
    );
}

#[test]
fn what_was_denied_would_be_allowed_and_what_follows_is_unknown() {
    let open = Open {
        call: call("openat"),
        path: "/home/u/.ssh/id_rsa".into(),
        base: None,
        file: Some("/home/u/.ssh/id_rsa".into()),
        flags: 0,
        mode: 0,
    };
    let denied = Denied {
        op: Op::Read,
        path: Some("/home/u/.ssh/id_rsa".into()),
        action: Action::Deny,
        by: "default:decoys".into(),
    };
    let bytes = trace(vec![
        (Outcome::Returned(-13), open.into()),
        (Outcome::None, denied.into()),
    ]);
    let told = under(&bytes, &Policy::preset("observe").unwrap(), false);
    assert_eq!(
        (told.asked, told.would_allow, told.denies()),
        (1, 1, false),
        "{told:?}"
    );
    assert_eq!(told.rows[0].ended, Ended::Refused);
    assert!(
        told.limits
            .iter()
            .any(|limit| limit.contains("would have followed"))
    );
}

#[test]
fn hostile_numbers_and_no_policy_at_all_do_no_harm() {
    let flow = |flow| -> (Outcome, Fact) {
        (
            Outcome::None,
            FlowAsked {
                flow,
                target: target(),
            }
            .into(),
        )
    };
    let bytes = trace(vec![flow(1), flow(1), flow(1)]);
    let told = under(&bytes, &lines(&[("allow", "net.name exists")]), false);
    assert_eq!(
        (told.asked, told.rows[0].ended),
        (3, Ended::Open),
        "{told:?}"
    );
    let mut empty = Vec::new();
    let mut writer = Writer::create(&mut empty, Start::default()).unwrap();
    writer.finish(End::Interrupted).unwrap();
    let told = under(&empty, &lines(&[]), false);
    assert_eq!((told.asked, told.limits.len()), (0, 1));
}
