//! Fifty questions at once: grouped by program and object, each answered exactly
//! once, none lost, none asked again; and one whose asker ends meanwhile.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::Value;

use crate::screen::{RECORDED, SOON, Terminal};
use crate::support::*;

pub fn tests() -> Vec<Trial> {
    vec![test(
        "adversary::fifty_questions_are_answered_once_each",
        &[Need::Guest],
        fifty,
    )]
}

const PAYLOAD: &str = include_str!("questions.py");
/// One for the destination that forty want, one for each program.
const ANSWERS: usize = 11;

fn fifty() -> Result {
    let dir = tempfile::tempdir()?;
    let project = dir.path().join("p");
    std::fs::create_dir(&project)?;
    std::fs::write(project.join("asks.py"), PAYLOAD)?;
    let trace = dir.path().join("t.bjt");
    let kept = trace.to_string_lossy().into_owned();
    // Time goes on, so that all of them come to ask.
    let words = [
        "run",
        "--no-registries",
        "--while-asking",
        "run",
        "-o",
        &kept,
    ];
    let words = [&words[..], &["--phase", "run=python3 asks.py"]].concat();
    let mut terminal = Terminal::start(&words, &project)?;
    terminal.shows("? question", LONG)?;
    // Let the others catch up.
    std::thread::sleep(Duration::from_secs(10));
    let since = Instant::now();
    while by_person(&events(&trace).unwrap_or_default()) < ANSWERS {
        check(since.elapsed() < LONG, || terminal.contents())?;
        // Denied for the run, whatever is asked.
        // The doomed one is nobody's to answer.
        if terminal.contents().contains("/tmp/.q/doomed") {
            break;
        }
        for key in ["D", "r"] {
            terminal.press(key)?;
            std::thread::sleep(Duration::from_millis(1200));
        }
    }
    terminal.shows(RECORDED, LONG)?;
    terminal.press("q")?;
    let (_, restored) = terminal.end(SOON)?;
    check(restored, || "the terminal was not given back".into())?;
    let events = events(&trace)?;
    let printed = crate::support::terminal(&events);
    for line in [
        "ANSWERED connects 111 40",
        "ANSWERED programs 13 10",
        "AGAIN 111",
        "DOOMED -9",
    ] {
        check(printed.contains(line), || {
            format!("not `{line}`; all:\n{printed}")
        })?;
    }
    answered(&events)
}

fn answer_of<'a>(events: &'a [Value], hold: &'a Value) -> impl Iterator<Item = &'a Value> {
    events
        .iter()
        .filter(move |event| event["kind"] == "answer" && event["fact"]["hold"] == *hold)
}

fn by_person(events: &[Value]) -> usize {
    let person = |event: &&Value| event["kind"] == "answer" && event["fact"]["who"] == "person";
    events.iter().filter(person).count()
}

/// What the trace says of the questions.
fn answered(events: &[Value]) -> Result {
    check(by_person(events) == ANSWERS, || {
        format!("{} answers by the person", by_person(events))
    })?;
    let of_kind = |kind: &'static str| events.iter().filter(move |event| event["kind"] == kind);
    let mut by_object: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for hold in of_kind("hold") {
        let fact = &hold["fact"];
        let answers: Vec<_> = answer_of(events, &fact["hold"]).collect();
        check(answers.len() == 1, || {
            format!("{fact} has {} answers", answers.len())
        })?;
        let object = if fact["target"].is_null() {
            fact["path"].as_str().unwrap_or_default().to_owned()
        } else {
            fact["target"].to_string()
        };
        let who = answers
            .iter()
            .filter_map(|answer| answer["fact"]["who"].as_str());
        by_object.entry(object).or_default().extend(who);
    }
    let count = |object: &str, who: &str| {
        let of = by_object.iter().filter(|(key, _)| key.contains(object));
        of.flat_map(|(_, whos)| whos)
            .filter(|other| **other == who)
            .count()
    };
    // One answer for the group: forty at once, and the one that came later.
    check(
        count("one.example", "person") == 1 && count("one.example", "earlier answer") == 40,
        || format!("{by_object:?}"),
    )?;
    for program in 0..10 {
        let path = format!("/tmp/.q/p{program}");
        check(count(&path, "person") == 1, || {
            format!("{path}: {by_object:?}")
        })?;
    }
    check(
        by_object
            .get("/tmp/.q/doomed")
            .is_some_and(|whos| whos == &["process gone"]),
        || format!("the doomed one: {by_object:?}"),
    )?;
    // Nobody was asked again after the answer for the run.
    let answered = events
        .iter()
        .position(|event| event["kind"] == "answer" && event["fact"]["who"] == "earlier answer");
    let asks = |event: &Value| {
        event["kind"] == "question"
            && of_kind("hold").any(|hold| {
                hold["fact"]["hold"] == event["fact"]["hold"]
                    && hold["fact"]["target"].to_string().contains("one.example")
            })
    };
    let again = events.iter().skip(answered.unwrap_or(0)).any(asks);
    check(answered.is_some() && !again, || {
        "asked again after the answer".into()
    })
}
