//! Rules that are changed while a trace is on the screen.

use std::sync::Arc;

use belljar_recorder::{Entry, Integrity};
use belljar_replay::rules::RuleSet;
use crossterm::event::KeyCode;

use super::{feed, press, story, typed};
use crate::screen::model::{Mode, Model, Msg, Setup};
use crate::screen::render::render_text;
use crate::screen::rules::Reload;
use crate::screen::theme::Theme;
use crate::screen::update::update;

/// A rule that every connection breaks, of this severity.
fn rules(severity: &str) -> Arc<RuleSet> {
    let text = format!(
        "id: X1-NET-001\ntitle: Any connection\nwhy: A test.\nseverity: {severity}\nattack: []\n\
         since: 0.1.0\ncondition: evt.type = connect\nmessage: It connects.\nadvice: Look.\n"
    );
    let loaded = RuleSet::load(&[("x.yaml".to_owned(), text)]);
    Arc::new(loaded.unwrap_or_else(|errors| panic!("{errors}")))
}

fn watched(entries: Vec<Entry>, end: Integrity) -> Model {
    let theme = Theme::named("dark").unwrap();
    let mut model = Model::new(Setup {
        watched: true,
        ..Setup::new(Mode::Replay, story::start(), rules("low"), theme)
    });
    feed(&mut model, entries);
    update(&mut model, Msg::SourceEnded(end));
    model
}

fn theft() -> (Vec<Entry>, Integrity) {
    let (entries, done) = story::theft();
    let receipt = done.receipt;
    (entries, Integrity::Complete { receipt })
}

fn settle(model: &mut Model) {
    for _ in 0..50 {
        update(model, Msg::Tick { elapsed: 1 });
    }
}

#[test]
fn the_moment_stays_and_the_verdict_is_that_of_the_new_rules() {
    let (entries, end) = theft();
    let mut model = watched(entries, end);
    press(&mut model, &[KeyCode::End]);
    typed(&mut model, ",,");
    let position = model.player.position();
    let before = model.facts.verdict;
    update(&mut model, Msg::Rules(Reload::Good(rules("critical"))));
    // Nothing is half judged: what is shown is of the old rules until all is folded.
    assert_eq!(model.facts.verdict, before);
    settle(&mut model);
    assert_eq!(model.player.position(), position);
    assert_ne!(model.facts.verdict, before);
    assert_eq!(model.setup.rules.digest(), rules("critical").digest());
    // What is folded again is what would have been folded from the start.
    let mut fresh = Model::new(Setup::new(
        Mode::Replay,
        story::start(),
        rules("critical"),
        Theme::named("dark").unwrap(),
    ));
    let (entries, end) = theft();
    feed(&mut fresh, entries);
    update(&mut fresh, Msg::SourceEnded(end));
    press(&mut fresh, &[KeyCode::End]);
    typed(&mut fresh, ",,");
    assert_eq!(fresh.facts.verdict, model.facts.verdict);
    let seen = |model: &Model| format!("{:?}", model.player.session().findings());
    assert_eq!(seen(&fresh), seen(&model));
    press(&mut model, &[KeyCode::Home, KeyCode::End]);
    press(&mut fresh, &[KeyCode::Home, KeyCode::End]);
    assert_eq!(seen(&fresh), seen(&model));
}

#[test]
fn entries_that_come_meanwhile_are_judged_by_the_new_rules_too() {
    let (mut entries, end) = theft();
    let later = entries.split_off(entries.len() / 2);
    let theme = Theme::named("dark").unwrap();
    let mut model = Model::new(Setup {
        watched: true,
        follow: true,
        ..Setup::new(Mode::Replay, story::start(), rules("low"), theme)
    });
    feed(&mut model, entries);
    update(&mut model, Msg::Rules(Reload::Good(rules("critical"))));
    update(&mut model, Msg::Entries(later));
    update(&mut model, Msg::SourceEnded(end));
    settle(&mut model);
    assert_eq!(model.player.position(), model.player.len());
    assert!(
        model
            .player
            .tip()
            .findings()
            .iter()
            .all(|one| one.rule.severity.name() == "critical")
    );
    assert!(!model.player.tip().findings().is_empty());
}

#[test]
fn a_broken_file_is_told_and_the_last_good_rules_stay() {
    let (entries, end) = theft();
    let mut model = watched(entries, end);
    press(&mut model, &[KeyCode::End]);
    let mut out = render_text(&model, 80, 24) + &render_text(&model, 120, 12);
    let before = model.facts.verdict;
    let why = "mine.yaml:3:14: there is no field fd.nmae; did you mean fd.name?\x1b[2J".to_owned();
    update(&mut model, Msg::Rules(Reload::Bad(why)));
    settle(&mut model);
    assert_eq!(model.facts.verdict, before);
    for (columns, rows) in [(80, 24), (120, 40), (200, 60)] {
        out.push_str(&render_text(&model, columns, rows));
    }
    update(&mut model, Msg::Rules(Reload::Good(rules("critical"))));
    settle(&mut model);
    update(
        &mut model,
        Msg::Tick {
            elapsed: 95_000_000_000,
        },
    );
    out.push_str(&render_text(&model, 120, 12));
    assert!(!out.contains('\x1b'));
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("rules", out);
    });
}
