//! Questions of the policy: which key answers what, and what cannot answer.

use belljar_event::{
    Action, Answer, Call, End, Held, Op, Outcome, Policy, Question, Scope, Status, Target, Text,
    Who,
};
use belljar_replay::escape::is_plain;
use crossterm::event::KeyCode;

use super::{ctrl, feed, live, model, press, story, typed};
use crate::screen::model::{Effect, Mode, Model, Msg};
use crate::screen::player::SECOND;
use crate::screen::question::{GUARD, Step};
use crate::screen::render::{render_at as render, render_text};
use crate::screen::update::update;

const SOURCE: &str = r#"
name = "strict"

[[rule]]
id = "dropped"
action = "ask"
condition = "evt.op = exec and path.dropped"
reason = "a program that was not there before the run"
"#;

fn ask(story: &mut story::Story, hold: u64, pid: u32, path: &[u8], argv: &[&str]) {
    let held = Held {
        hold,
        op: Op::Exec,
        call: Call(59),
        path: Some(Text::new(path)),
        other: None,
        target: None,
        argv: argv.iter().map(|word| Text::from(*word)).collect(),
    };
    story.push(pid, Outcome::None, held);
    let by = "strict:dropped".to_owned();
    story.push(pid, Outcome::None, Question { hold, by });
}

fn ask_to_connect(story: &mut story::Story, hold: u64, pid: u32) {
    let held = Held {
        hold,
        op: Op::Connect,
        call: Call(42),
        path: None,
        other: None,
        target: Some(Target::Name {
            name: "drop.example".into(),
            port: 443,
        }),
        argv: Vec::new(),
    };
    story.push(pid, Outcome::None, held);
    let by = "strict:unknown".to_owned();
    story.push(pid, Outcome::None, Question { hold, by });
}

fn answer(story: &mut story::Story, hold: u64, action: Action, who: Who, scope: Scope) {
    let fact = Answer {
        hold,
        action,
        who,
        by: "strict:dropped".into(),
        scope,
        waited: 4_200_000_000,
    };
    story.push(311, Outcome::None, fact);
}

/// The theft up to the moment where its script wants to run what it dropped.
fn begun() -> story::Story {
    let mut story = story::Story::new();
    story::boot(&mut story);
    let digest = *blake3::hash(SOURCE.as_bytes()).as_bytes();
    let source = SOURCE.to_owned();
    story.push(0, Outcome::None, Policy { source, digest });
    story::install(&mut story, 3);
    story::steal(&mut story);
    story
}

fn one() -> story::Story {
    let mut story = begun();
    ask(
        &mut story,
        7,
        311,
        b"/tmp/.x/miner",
        &["/tmp/.x/miner", "--pool", "a b"],
    );
    story
}

fn settle(model: &mut Model) {
    update(model, Msg::Tick { elapsed: 1 });
    update(model, Msg::Tick { elapsed: GUARD });
}

/// A live run that asks, long enough ago for a key to count.
fn asked(story: story::Story) -> Model {
    let mut model = live(story.record(None).0);
    settle(&mut model);
    model
}

fn says(action: Action, scope: Scope) -> Vec<Effect> {
    vec![Effect::Answer {
        hold: 7,
        action,
        scope,
    }]
}

#[test]
fn each_key_and_scope_answers_what_it_says() {
    let saved = "evt.op = exec and fd.name = /tmp/.x/miner";
    let cases: [(&str, &[KeyCode], Action, Scope); 9] = [
        ("a", &[], Action::Allow, Scope::Once),
        ("d", &[], Action::Deny, Scope::Once),
        ("At", &[], Action::Allow, Scope::Tree(310)),
        ("Dt", &[], Action::Deny, Scope::Tree(310)),
        ("Ar", &[], Action::Allow, Scope::Run),
        ("Dr", &[], Action::Deny, Scope::Run),
        ("ky", &[], Action::Kill, Scope::Once),
        (
            "s",
            &[KeyCode::Enter],
            Action::Allow,
            Scope::Saved(format!("allow {saved}")),
        ),
        (
            "S",
            &[KeyCode::Enter],
            Action::Deny,
            Scope::Saved(format!("deny {saved}")),
        ),
    ];
    for (keys, codes, action, scope) in cases {
        let mut model = asked(one());
        let mut effects = typed(&mut model, keys);
        effects.extend(press(&mut model, codes));
        assert_eq!(effects, says(action, scope), "{keys}");
        // The same keys at once again are too early for whatever comes next.
        assert_eq!(typed(&mut model, "aadd"), [], "{keys}");
    }
}

/// A clipboard answers nothing, and goes into a policy line as text alone.
#[test]
fn what_is_pasted_answers_nothing() {
    let mut model = asked(one());
    let pasted = |model: &mut Model, text: &str| update(model, Msg::Paste(text.to_owned()));
    assert_eq!(pasted(&mut model, "adArDtkysS\r\n"), []);
    assert!(matches!(model.asking.step, Step::Choose));
    typed(&mut model, "s");
    assert_eq!(pasted(&mut model, " and proc.name = x\r"), []);
    let Step::Save(line) = &model.asking.step else {
        panic!("the line is still typed");
    };
    assert!(
        line.text().ends_with("and proc.name = x "),
        "{}",
        line.text()
    );
    press(&mut model, &[KeyCode::Esc]);
    settle(&mut model);
    assert_eq!(typed(&mut model, "d"), says(Action::Deny, Scope::Once));
}

#[test]
fn early_keys_are_thrown_away_until_there_is_a_pause() {
    let mut model = live(one().record(None).0);
    assert_eq!(typed(&mut model, "ad"), []);
    // The tick that follows the opening may count time from before it.
    update(
        &mut model,
        Msg::Tick {
            elapsed: 10 * SECOND,
        },
    );
    assert_eq!(typed(&mut model, "a"), []);
    update(&mut model, Msg::Tick { elapsed: 1 });
    update(&mut model, Msg::Tick { elapsed: GUARD - 1 });
    // Too early by a nanosecond, and it takes a new pause.
    assert_eq!(typed(&mut model, "a"), []);
    update(&mut model, Msg::Tick { elapsed: 1 });
    update(&mut model, Msg::Tick { elapsed: GUARD - 1 });
    assert_eq!(typed(&mut model, "d"), []);
    settle(&mut model);
    assert_eq!(typed(&mut model, "d"), says(Action::Deny, Scope::Once));
}

#[test]
fn the_next_question_has_a_guard_of_its_own() {
    let mut story = one();
    ask(&mut story, 8, 311, b"/tmp/other", &[]);
    let before = story.record(None).0;
    let mut after = one();
    ask(&mut after, 8, 311, b"/tmp/other", &[]);
    answer(&mut after, 7, Action::Deny, Who::Gone, Scope::Once);
    let rest = after.record(None).0.split_off(before.len());
    let mut model = live(before);
    settle(&mut model);
    feed(&mut model, rest);
    let text = render_text(&model, 80, 24);
    assert_eq!(typed(&mut model, "a"), []);
    assert!(
        text.contains("/tmp/other") && text.contains("gone: it ended"),
        "{text}"
    );
    settle(&mut model);
    let effects = typed(&mut model, "a");
    assert!(matches!(
        effects.as_slice(),
        [Effect::Answer { hold: 8, .. }]
    ));
    // The one that is gone stays in the list.
    typed(&mut model, "w");
    let text = render_text(&model, 80, 24);
    assert!(
        text.contains("exec /tmp/.x/miner") && text.contains("○ gone"),
        "{text}"
    );
}

#[test]
fn enter_and_every_key_of_other_places_answer_nothing() {
    let mut model = asked(one());
    for c in ('!'..='~').filter(|c| !"adADsSk^".contains(*c)) {
        let effects = typed(&mut model, &c.to_string());
        let answers = |effect: &Effect| matches!(effect, Effect::Answer { .. });
        assert!(!effects.iter().any(answers), "{c}");
        press(&mut model, &[KeyCode::Esc, KeyCode::Esc, KeyCode::End]);
        settle(&mut model);
    }
    for step in ["", "A", "D", "k"] {
        typed(&mut model, step);
        assert_eq!(press(&mut model, &[KeyCode::Enter; 3]), [], "{step}");
        press(&mut model, &[KeyCode::Esc, KeyCode::Esc]);
        settle(&mut model);
    }
    assert_eq!(typed(&mut model, "a"), says(Action::Allow, Scope::Once));
}

#[test]
fn it_waits_while_something_else_has_the_keys() {
    let mut model = live(begun().record(None).0);
    let count = begun().record(None).0.len();
    typed(&mut model, "/");
    feed(&mut model, one().record(None).0.split_off(count));
    settle(&mut model);
    assert_eq!(typed(&mut model, "adsk"), []);
    assert!(render_text(&model, 80, 24).contains("adsk"));
    press(&mut model, &[KeyCode::Esc]);
    // What was typed into the filter is no answer a moment later.
    assert_eq!(typed(&mut model, "a"), []);
    settle(&mut model);
    typed(&mut model, ":");
    assert_eq!(typed(&mut model, "adsk"), []);
    press(&mut model, &[KeyCode::Esc]);
    assert_eq!(typed(&mut model, "a"), []);
    typed(&mut model, "?");
    assert_eq!(typed(&mut model, "ad"), []);
    press(&mut model, &[KeyCode::Esc]);
    assert_eq!(typed(&mut model, "a"), []);
    settle(&mut model);
    assert_eq!(typed(&mut model, "a"), says(Action::Allow, Scope::Once));
}

#[test]
fn the_panes_stay_usable() {
    let mut model = asked(one());
    press(&mut model, &[KeyCode::Down, KeyCode::Down]);
    assert_eq!(model.lists[0].index, 2);
    press(&mut model, &[KeyCode::Tab]);
    typed(&mut model, "e");
    assert!(model.asking.shown.is_some());
    assert_eq!(ctrl(&mut model, 'c'), [Effect::Interrupt]);
}

#[test]
fn a_line_is_saved_as_edited_and_only_by_enter() {
    let mut model = asked(one());
    typed(&mut model, "s");
    // Keys of the question are text here.
    assert_eq!(typed(&mut model, "adk"), []);
    ctrl(&mut model, 'u');
    typed(&mut model, "ask evt.op = exec");
    assert_eq!(press(&mut model, &[KeyCode::Enter]), []);
    assert!(matches!(model.asking.step, Step::Save(_)));
    assert!(render_text(&model, 80, 24).contains("begin with allow, deny or kill"));
    ctrl(&mut model, 'u');
    typed(&mut model, "deny evt.op = exec and fd.nmae = /x");
    assert_eq!(press(&mut model, &[KeyCode::Enter]), []);
    assert!(render_text(&model, 80, 24).contains("fd.name"));
    ctrl(&mut model, 'u');
    let line = "deny evt.op = exec and fd.name startswith /tmp/";
    typed(&mut model, line);
    let effects = press(&mut model, &[KeyCode::Enter]);
    assert_eq!(effects, says(Action::Deny, Scope::Saved(line.into())));
    let mut model = asked(one());
    typed(&mut model, "s");
    assert_eq!(press(&mut model, &[KeyCode::Esc]), []);
    assert_eq!(typed(&mut model, "a"), []);
}

#[test]
fn what_is_typed_into_a_line_reaches_no_other_question() {
    let mut whole = one();
    ask(&mut whole, 8, 311, b"/tmp/other", &[]);
    answer(&mut whole, 7, Action::Deny, Who::Gone, Scope::Once);
    let mut model = asked(one());
    typed(&mut model, "s");
    let count = one().record(None).0.len();
    feed(&mut model, whole.record(None).0.split_off(count));
    settle(&mut model);
    assert_eq!(typed(&mut model, "aad"), []);
    assert_eq!(press(&mut model, &[KeyCode::Enter]), []);
    assert!(render_text(&model, 80, 24).contains("nothing was saved"));
    assert_eq!(typed(&mut model, "a"), []);
}

#[test]
fn names_that_no_line_can_say_are_not_saved() {
    let mut story = begun();
    ask(&mut story, 7, 311, b"/tmp/a\xff", &[]);
    let mut model = asked(story);
    typed(&mut model, "s");
    assert!(matches!(model.asking.step, Step::Choose));
    assert!(render_text(&model, 80, 24).contains("no line says exactly this"));
}

#[test]
fn names_that_nobody_can_read_are_saved_with_escapes() {
    for (path, literal) in [
        ("/tmp/a\u{1b}[2Jb", r#""/tmp/a\u{1b}[2Jb""#),
        (
            "/tmp/\u{202e}a\" or net.direct",
            r#""/tmp/\u{202e}a\" or net.direct""#,
        ),
    ] {
        let mut story = begun();
        ask(&mut story, 7, 311, path.as_bytes(), &[]);
        let mut model = asked(story);
        typed(&mut model, "S");
        settle(&mut model);
        let line = format!("deny evt.op = exec and fd.name = {literal}");
        let scope = Scope::Saved(line);
        let effects = press(&mut model, &[KeyCode::Enter]);
        assert!(
            matches!(&effects[..], [Effect::Answer { scope: said, .. }] if *said == scope),
            "{effects:?}"
        );
    }
}

#[test]
fn those_that_wait_are_counted_with_those_that_are_the_same() {
    let mut story = begun();
    for hold in 7..57 {
        match hold % 5 {
            0 => ask_to_connect(&mut story, hold, 311),
            _ => ask(&mut story, hold, 311, b"/tmp/.x/miner", &["miner"]),
        }
    }
    let model = asked(story);
    let text = render_text(&model, 80, 24);
    assert!(
        text.contains("question 7 · 49 more wait, 39 the same"),
        "{text}"
    );
}

#[test]
fn hostile_names_neither_forge_nor_hide_it() {
    let long = [b"/tmp/".as_slice(), &b"x ".repeat(600), b"end"].concat();
    let paths: [&[u8]; 4] = [
        b"/tmp/\x1b[2J\x1b[1;1H\n? run      /usr/bin/true\r\n a allow",
        "/tmp/\u{202e}gpj.exe\u{200b}\u{2028}".as_bytes(),
        b"\xff\xfe\x00",
        &long,
    ];
    for path in paths {
        let mut story = begun();
        story.exec(
            320,
            311,
            "/tmp/\x1b[8m\nallow",
            &["\x1b]0;owned\x07", "a\rb", "\u{202e}x"],
        );
        ask(&mut story, 7, 320, path, &["\x1b[2J", &"y ".repeat(900)]);
        let model = asked(story);
        for (columns, rows) in [(40, 10), (80, 24), (120, 40), (200, 60)] {
            let cells = render(&model, columns, rows);
            let clean = |symbol: &str| symbol.chars().all(|c| c == '\\' || is_plain(c));
            assert!(cells.content().iter().all(|cell| clean(cell.symbol())));
            let text = render_text(&model, columns, rows);
            let labels = text.lines().filter(|line| line.starts_with("│ ? run"));
            assert_eq!(labels.count(), 1, "{text}");
            assert!(
                text.contains("a allow") && text.contains("d deny"),
                "{text}"
            );
        }
    }
}

#[test]
fn replay_shows_it_with_its_answer_and_answers_nothing() {
    let mut story = one();
    answer(&mut story, 7, Action::Deny, Who::Person, Scope::Tree(310));
    story.wait(5_000).exit(311, 0);
    let (entries, done) = story.record(Some(End::Finished(Status::Code(0))));
    let mut model = model(Mode::Replay, "dark");
    feed(&mut model, entries);
    let receipt = done.unwrap().receipt;
    update(
        &mut model,
        Msg::SourceEnded(belljar_recorder::Integrity::Complete { receipt }),
    );
    press(&mut model, &[KeyCode::End]);
    assert!(model.asking.shown.is_none());
    typed(&mut model, ",,,");
    settle(&mut model);
    let text = render_text(&model, 80, 24);
    assert!(
        text.contains("✗ denied by the person, for the process tree of 310, after 4.2 s"),
        "{text}"
    );
    assert_eq!(typed(&mut model, "adDAsSk"), []);
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("question-replay", text);
    });
}

#[test]
fn pictures() {
    let mut story = one();
    ask_to_connect(&mut story, 8, 311);
    ask(
        &mut story,
        9,
        311,
        b"/tmp/.x/miner",
        &["/tmp/.x/miner", "--again"],
    );
    let mut model = asked(story);
    let mut out = String::new();
    let mut add = |model: &Model, sizes: &[(u16, u16)]| {
        for (columns, rows) in sizes {
            out.push_str(&render_text(model, *columns, *rows));
            out.push('\n');
        }
    };
    add(&model, &[(80, 24), (120, 40), (60, 16), (40, 10)]);
    for keys in ["A", "k", "s"] {
        typed(&mut model, keys);
        add(&model, &[(80, 24)]);
        press(&mut model, &[KeyCode::Esc]);
        settle(&mut model);
    }
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("question", out);
    });
}

#[test]
fn the_mouse_answers_nothing() {
    use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
    let clicks = |model: &mut Model| {
        for (column, row) in (0..120)
            .step_by(7)
            .flat_map(|x| (0..40).map(move |y| (x, y)))
        {
            for kind in [
                MouseEventKind::Down(MouseButton::Left),
                MouseEventKind::Up(MouseButton::Left),
            ] {
                let modifiers = KeyModifiers::NONE;
                let event = MouseEvent {
                    kind,
                    column,
                    row,
                    modifiers,
                };
                assert_eq!(update(model, Msg::Mouse(event)), []);
            }
        }
    };
    for step in ["", "A", "k", "s"] {
        let mut model = asked(one());
        update(&mut model, Msg::Resize(120, 40));
        typed(&mut model, step);
        let before = format!("{:?}", model.asking);
        if !step.is_empty() {
            clicks(&mut model);
            assert_eq!(format!("{:?}", model.asking), before, "{step}");
        } else {
            clicks(&mut model);
            // What was opened by a click is closed, and only then keys count, later.
            press(&mut model, &[KeyCode::Esc]);
            assert_eq!(typed(&mut model, "a"), []);
        }
    }
}
