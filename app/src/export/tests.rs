//! Films of a made-up run: what is in them, and that they are always the same.

mod readers;

use belljar_recorder::Integrity;
use belljar_replay::rules::RuleSet;
use crossterm::event::KeyCode;

use super::*;
use crate::screen::{Model, Msg, Theme, tests::story, update};

fn model() -> Model {
    themed("dark")
}

fn themed(theme: &str) -> Model {
    let (entries, done) = story::theft();
    let mut model = crate::screen::tests::model(crate::screen::Mode::Replay, theme);
    update(&mut model, Msg::Entries(entries));
    let receipt = done.receipt;
    update(
        &mut model,
        Msg::SourceEnded(Integrity::Complete { receipt }),
    );
    model
}

fn film(keys: &str) -> Film {
    Film {
        size: "100x30".parse().unwrap(),
        script: keys.parse().unwrap(),
        rate: 5,
        doublings: 0,
    }
}

fn dark() -> Theme {
    Theme::named("dark").unwrap()
}

#[test]
fn a_script_is_read_as_it_is_written() {
    let script: Script = "1.5s ] Enter 2s /ab Esc".parse().unwrap();
    let codes: Vec<_> = script
        .keys
        .iter()
        .map(|(at, key)| (at / 1_000_000, key.code))
        .collect();
    let c = KeyCode::Char;
    assert_eq!(
        codes,
        [
            (1500, c(']')),
            (1500, KeyCode::Enter),
            (3500, c('/')),
            (3500, c('a')),
            (3500, c('b')),
            (3500, KeyCode::Esc)
        ]
    );
    assert_eq!(script.end, 3_500_000_000);
    for wrong in ["1.2.3s", "99999s"] {
        assert!(wrong.parse::<Script>().is_err(), "{wrong}");
    }
    assert!("x".repeat(3000).parse::<Script>().is_err());
    // A word that ends in s is a word.
    assert_eq!("fs".parse::<Script>().unwrap().keys.len(), 2);
}

#[test]
fn sizes_have_bounds() {
    assert_eq!(
        "120x36".parse(),
        Ok(Size {
            columns: 120,
            rows: 36
        })
    );
    for wrong in ["", "120", "0x0", "19x5", "401x50", "-1x9", "1e2x9"] {
        assert!(wrong.parse::<Size>().is_err(), "{wrong}");
    }
}

#[test]
fn the_film_tells_the_run_and_ends() {
    let mut times = Vec::new();
    let (marks, end) = film("").play(model(), &mut |frame| times.push(frame.at));
    assert!(times.len() > 5, "{}", times.len());
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(end > *times.last().unwrap());
    let labels: Vec<_> = marks.iter().map(|mark| mark.label.as_str()).collect();
    assert!(labels.contains(&"phase install"), "{labels:?}");
    assert!(
        labels
            .iter()
            .any(|label| label.starts_with("L4-HONEY-001 ")),
        "{labels:?}"
    );
}

#[test]
fn the_cast_is_of_the_third_version_with_chapters() {
    let mut bytes = Vec::new();
    cast(&film(""), model(), "a run", &mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let mut lines = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let head = lines.next().unwrap();
    assert_eq!(
        (&head["version"], &head["term"]["cols"], &head["title"]),
        (&3.into(), &100.into(), &"a run".into())
    );
    let (mut nanos, mut last, mut chapters) = (0, String::new(), Vec::new());
    for line in lines {
        nanos += (line[0].as_f64().unwrap() * 1e3).round() as u64 * 1_000_000;
        last = line[1].as_str().unwrap().to_owned();
        if last == "m" {
            let label = line[2].as_str().unwrap().to_owned();
            chapters.push((nanos, label));
        }
    }
    assert_eq!(last, "x");
    let (marks, end) = film("").play(model(), &mut |_| {});
    let marks: Vec<_> = marks
        .into_iter()
        .map(|mark| (mark.at, mark.label))
        .collect();
    assert!(marks.len() > 2);
    assert_eq!((chapters, nanos), (marks, end));
}

#[test]
fn pictures_and_pages_are_well_formed_and_repeat() {
    let made = || {
        [
            still(&film("End"), model(), &dark(), "<a & b>"),
            animated(&film(""), model(), &dark(), "<a & b>"),
            html(&film(""), model(), &dark(), "</title><script>"),
        ]
    };
    let [one, moving, page] = made();
    assert_eq!([one.clone(), moving.clone(), page.clone()], made());
    for picture in [&one, &moving] {
        assert!(picture.contains("MALICIOUS") && picture.contains("&lt;a &amp; b&gt;"));
        for (open, close) in [("<g", "</g>"), ("<text ", "</text>"), ("<svg ", "</svg>")] {
            assert_eq!(
                picture.matches(open).count(),
                picture.matches(close).count(),
                "{open}"
            );
        }
    }
    assert!(moving.contains("@keyframes film"));
    // One for the data and one for the player, and no third from the title.
    assert_eq!(page.matches("<script").count(), 2);
    let data = page.split_once("type=\"application/json\">").unwrap().1;
    let data = data.split_once("</script>").unwrap().0;
    let film: serde_json::Value = serde_json::from_str(data).unwrap();
    let rows = film["rows"].as_array().unwrap().len() as u64;
    let frames = film["frames"].as_array().unwrap();
    assert!(frames.len() > 5);
    for frame in frames {
        let numbers = frame[1].as_array().unwrap();
        assert_eq!(numbers.len(), 30);
        assert!(numbers.iter().all(|number| number.as_u64().unwrap() < rows));
    }
}

#[test]
fn a_light_theme_has_a_light_page() {
    let light = Theme::named("light").unwrap();
    let picture = still(&film("End"), model(), &light, "x");
    assert!(picture.contains("fill=\"#fbfbf8\""), "{}", &picture[..600]);
}

/// `./dev pictures` makes it again.
#[test]
fn the_picture_in_the_readme_is_what_the_tool_makes() {
    let trace = &include_bytes!("../../../fixtures/traces/npm-credential-thief.bjt")[..];
    let reader = belljar_recorder::Reader::open(trace).unwrap();
    let shown = crate::commands::shown(reader, dark(), (None, None), RuleSet::builtin());
    let film = Film {
        size: "120x36".parse().unwrap(),
        rate: 10,
        ..film("End")
    };
    let made = still(&film, shown.model, &dark(), &shown.title);
    let kept = include_str!("../../../fixtures/pictures/screen.svg");
    assert!(made == kept, "it is stale: run ./dev pictures");
}
