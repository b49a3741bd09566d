//! What was held, asked and answered, in the report's numbers and words.

use belljar_event::*;
use belljar_replay::policy::{Action, Policy as Lines};
use belljar_replay::report::DecisionCounts;

use crate::tape::Tape;

fn held(hold: u64) -> Held {
    Held {
        hold,
        op: Op::Exec,
        call: Call(59),
        path: Some("/tmp/.x/tool".into()),
        other: None,
        target: None,
        argv: vec!["tool".into()],
    }
}

/// A hold and how it ended; `asked`: a person saw it.
fn hold(tape: &mut Tape, number: u64, asked: bool, action: Action, who: Who) {
    tape.add(20, Outcome::None, held(number));
    if asked {
        let by = "default:hidden".into();
        tape.add(20, Outcome::None, Question { hold: number, by });
    }
    let answer = Answer {
        hold: number,
        action,
        who,
        by: "default:hidden".into(),
        scope: Scope::Once,
        waited: 5,
    };
    tape.add(20, Outcome::None, answer);
}

fn told() -> Tape {
    let mut tape = Tape::booted();
    let lines = Lines::preset("default").unwrap();
    tape.host(Policy {
        source: lines.source().into(),
        digest: lines.digest(),
    });
    tape.begin("run", &["sh"], 20);
    hold(&mut tape, 1, true, Action::Allow, Who::Person);
    hold(&mut tape, 2, true, Action::Deny, Who::Person);
    hold(&mut tape, 3, true, Action::Deny, Who::Gone);
    hold(&mut tape, 4, false, Action::Allow, Who::Earlier);
    hold(&mut tape, 5, false, Action::Deny, Who::Nobody);
    hold(&mut tape, 6, false, Action::Deny, Who::Policy);
    for _ in 0..4 {
        let denied = Denied {
            op: Op::Read,
            path: Some("/home/dev/.ssh/id_rsa".into()),
            action: Action::Deny,
            by: "default:decoys".into(),
        };
        tape.add(20, Outcome::None, denied);
    }
    let killed = Killed {
        root: 20,
        count: 2,
        by: "person".into(),
    };
    tape.add(20, Outcome::None, killed);
    // One line asks and nobody is there; the other would not have asked.
    tape.name(20, "files.example", NameAnswer::Refused, "default:egress");
    tape.name(
        20,
        "metadata.google.internal",
        NameAnswer::Refused,
        "default:metadata",
    );
    tape.flow(20, 1, "other.example", 443);
    tape.decide(1, Action::Deny, "default:egress");
    tape
}

#[test]
fn each_is_counted_once() {
    let counted = told().report().decisions;
    let expected = DecisionCounts {
        held: 6,
        by_policy: 1,
        asked: 3,
        allowed: 1,
        refused: 2,
        by_person: 2,
        by_earlier: 1,
        nobody: 3,
        timed_out: 0,
        gone: 1,
        denied: 4,
        killed: 1,
    };
    assert_eq!(counted, expected);
}

#[test]
fn the_table_says_it_in_words() {
    let table = told().report().to_table(400);
    let line = table.lines().find(|line| line.contains("decisions"));
    assert_eq!(
        line.map(str::trim),
        Some(
            "decisions      3 questions, 1 allowed, 2 denied; 1 call settled by an earlier answer; \
             1 call held and settled by policy; 4 calls denied by policy; \
             nobody was there to ask for 3; gone before an answer: 1; 1 process tree ended"
        )
    );
    let quiet = Tape::booted().report();
    assert_eq!(quiet.decisions, DecisionCounts::default());
    assert!(!quiet.to_table(100).contains("decisions"));
}

#[test]
fn answers_to_nothing_count_no_question() {
    let mut tape = Tape::booted();
    let answer = Answer {
        hold: 9,
        action: Action::Allow,
        who: Who::Person,
        by: "x".into(),
        scope: Scope::Run,
        waited: 0,
    };
    tape.add(20, Outcome::None, answer.clone());
    tape.add(20, Outcome::None, answer);
    let counted = tape.report().decisions;
    assert_eq!(
        (counted.asked, counted.allowed, counted.by_person),
        (0, 0, 2)
    );
}
