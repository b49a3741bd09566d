//! Whole screens as text, and styles once a theme.

use belljar_recorder::Integrity;
use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;

use super::{feed, live, model, press, replay, story, typed};
use crate::screen::model::{Failure, Mode, Model, Msg};
use crate::screen::render::{render_at as render, render_text};
use crate::screen::theme::THEMES;
use crate::screen::update::update;

macro_rules! golden {
    ($name:literal, $text:expr) => {
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!($name, $text);
        });
    };
}

/// At every size that there is a picture of.
fn all(model: &Model) -> String {
    let sizes = [(80, 24), (120, 40), (200, 60)];
    let texts = sizes.map(|(columns, rows)| render_text(model, columns, rows));
    texts.join("\n")
}

#[test]
fn booting() {
    let mut model = model(Mode::Live, "dark");
    update(&mut model, Msg::Stage("booting the machine".into()));
    update(
        &mut model,
        Msg::Tick {
            elapsed: 3_100_000_000,
        },
    );
    golden!("booting", all(&model));
}

#[test]
fn live_with_hostile_names() {
    golden!("live", all(&live(story::unfinished())));
}

#[test]
fn replay_at_the_end() {
    golden!("replay", all(&replay()));
}

#[test]
fn every_pane_alone() {
    let mut model = replay();
    let mut out = String::new();
    for _ in 0..7 {
        out.push_str(&render_text(&model, 80, 24));
        press(&mut model, &[KeyCode::Tab]);
    }
    golden!("panes", out);
}

/// Each pane alone, at the sizes where more of a row has room.
#[test]
fn every_pane_zoomed() {
    let mut model = replay();
    typed(&mut model, "z");
    for (columns, rows) in [(120, 40), (200, 60)] {
        let mut out = String::new();
        for _ in 0..7 {
            out.push_str(&render_text(&model, columns, rows));
            press(&mut model, &[KeyCode::Tab]);
        }
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("panes-{columns}"), out);
        });
    }
}

/// Programs that were made in the run or hide, and what TLS clients said.
#[test]
fn what_a_hidden_program_did() {
    let golden = story::hidden();
    let mut model = live(golden);
    update(&mut model, Msg::Resize(200, 60));
    let whole = all(&model);
    press(&mut model, &[KeyCode::Tab, KeyCode::Tab]);
    typed(&mut model, "z");
    let network = all(&model);
    press(&mut model, &[KeyCode::Enter]);
    golden!(
        "hidden",
        format!("{whole}\n{network}\n{}", render_text(&model, 100, 30))
    );
}

#[test]
fn detail_of_every_kind() {
    let mut model = replay();
    update(&mut model, Msg::Resize(100, 34));
    let mut out = String::new();
    for down in [2, 1, 1, 0] {
        typed(&mut model, &"j".repeat(down));
        press(&mut model, &[KeyCode::Enter]);
        out.push_str(&render_text(&model, 100, 34));
        press(&mut model, &[KeyCode::Esc, KeyCode::Tab]);
    }
    golden!("details", out);
}

#[test]
fn help_and_verdict() {
    let mut model = replay();
    typed(&mut model, "?");
    let help = render_text(&model, 80, 24);
    press(&mut model, &[KeyCode::Esc]);
    typed(&mut model, "v");
    golden!("overlays", format!("{help}\n{}", all(&model)));
}

#[test]
fn detail_stands_beside_the_panes_where_there_is_room() {
    let mut model = replay();
    press(
        &mut model,
        &[KeyCode::Tab, KeyCode::Tab, KeyCode::Tab, KeyCode::Enter],
    );
    golden!("beside", render_text(&model, 190, 36));
}

#[test]
fn paused_behind_a_run_that_goes_on() {
    let mut entries = story::unfinished();
    let later = entries.split_off(entries.len() / 2);
    let mut model = live(entries);
    typed(&mut model, " ");
    feed(&mut model, later);
    golden!("behind", render_text(&model, 120, 30));
}

#[test]
fn a_cut_trace_and_a_failure() {
    let mut model = model(Mode::Replay, "dark");
    feed(&mut model, story::unfinished());
    update(
        &mut model,
        Msg::SourceEnded(Integrity::Cut {
            entries: 180,
            byte: 5000,
            why: "block 2 is cut".into(),
        }),
    );
    press(&mut model, &[KeyCode::End]);
    update(
        &mut model,
        Msg::Tick {
            elapsed: 10_000_000_000,
        },
    );
    let cut = render_text(&model, 120, 30);
    let hints = vec![
        "run `belljar doctor`".to_owned(),
        "or pass --allow-degraded".to_owned(),
    ];
    update(
        &mut model,
        Msg::Failed(Failure {
            what: "the guest is gone: \x1b[2J".into(),
            hints,
        }),
    );
    golden!("failed", format!("{cut}\n{}", render_text(&model, 80, 24)));
}

#[test]
fn a_filter_that_is_typed_and_one_that_is_set() {
    let mut model = replay();
    typed(&mut model, "/evt.type = open and fd.nmae contains .ssh");
    let typing = all(&model);
    press(&mut model, &[KeyCode::Enter]);
    let refused = render_text(&model, 80, 24);
    press(&mut model, &[KeyCode::Esc]);
    typed(&mut model, "/evt.type = openat and fd.name contains .ssh");
    press(&mut model, &[KeyCode::Enter]);
    golden!("filter", format!("{typing}\n{refused}\n{}", all(&model)));
}

#[test]
fn a_terminal_with_colours_and_tricks() {
    let mut story = story::Story::new();
    story::boot(&mut story);
    story.say("\x1b[1;31mred\x1b[0m plain \x1b[42;30mon green\x1b[0m \\ \x1b[7minverse\x1b[0m\r\n");
    story.say("progress 10%\rprogress 95%\x1b[K\r\n");
    story.say("\x1b]0;title\x07\x1b]52;c;ZXZpbA==\x07\u{202e}reversed \u{200b}hidden\r\n");
    story.say("\x1b[8m\x1b[30;40mblack on black\x1b[0m \u{65e5}\u{672c}\r\nabc\x1b[3Dxyz\r\n");
    let mut model = live(story.record(None).0);
    typed(&mut model, "o");
    golden!(
        "terminal",
        format!("{}\n{}", all(&model), styles(&render(&model, 80, 12)))
    );
}

#[test]
fn small_screens() {
    let model = replay();
    let sizes = [(60, 16), (40, 10), (24, 6), (20, 5), (5, 1)];
    let all: Vec<String> = sizes
        .iter()
        .map(|(w, h)| render_text(&model, *w, *h))
        .collect();
    golden!("small", all.join("\n"));
}

/// What another policy would have decided: listed, marked, stepped through.
#[test]
fn another_policy_beside_a_recording() {
    use belljar_replay::what_if::{Ended, Row, Said, WhatIf};
    let mut model = replay();
    typed(&mut model, ")");
    assert!(
        model
            .toast
            .as_ref()
            .unwrap()
            .text
            .contains("no other policy")
    );
    typed(&mut model, "P");
    assert!(render_text(&model, 80, 24).contains("No other policy was asked"));
    press(&mut model, &[KeyCode::Esc]);
    let said = |action, by: &str| Said {
        action,
        by: by.to_owned(),
        reason: (action == "deny").then(|| "credentials are not for installs".to_owned()),
    };
    let row = |seq, object: &str, ended, recorded, now| Row {
        seq,
        count: 1,
        op: "read",
        object: object.to_owned(),
        program: "node".to_owned(),
        recorded: said(recorded, "default:1"),
        ended,
        now: said(now, "strict:decoys"),
    };
    let told = WhatIf {
        policy: "strict\u{202e}".to_owned(),
        digest: String::new(),
        recorded: None,
        asked: 90,
        same: 87,
        would_deny: 1,
        would_ask: 1,
        would_allow: 1,
        otherwise: 0,
        failed: 0,
        rows: vec![
            row(
                160,
                "/home/dev/.ssh/id_ed25519",
                Ended::Allowed,
                "allow",
                "deny",
            ),
            row(
                163,
                "/home/dev/.aws/credentials",
                Ended::Allowed,
                "allow",
                "ask",
            ),
            row(170, "/etc/shadow", Ended::Refused, "deny", "allow"),
        ],
        beyond: 0,
        limits: vec!["3 events were lost".to_owned()],
    };
    update(&mut model, Msg::Other(Box::new(told)));
    let mut out = render_text(&model, 120, 40);
    typed(&mut model, "P");
    out.push_str(&all(&model));
    press(&mut model, &[KeyCode::Esc, KeyCode::Home]);
    for (keys, at) in [(")", 160), (")", 163), (")", 170), (")", 170), ("(", 163)] {
        typed(&mut model, keys);
        assert_eq!(model.newest_shown(), at, "{keys}");
    }
    typed(&mut model, "e");
    out.push_str(&render_text(&model, 120, 40));
    press(&mut model, &[KeyCode::Enter]);
    out.push_str(&render_text(&model, 120, 40));
    golden!("other", out);
}

#[test]
fn drawing_twice_is_equal() {
    for mut model in [replay(), live(story::unfinished()), live(story::hidden())] {
        for keys in ["", "z", "z?", "v", "e", "ez:", "w", "/evt.ty"] {
            typed(&mut model, keys);
            for (columns, rows) in [(80, 24), (120, 40), (200, 60), (20, 5)] {
                let first = render(&model, columns, rows);
                assert_eq!(first, render(&model, columns, rows), "{keys}");
            }
            press(&mut model, &[KeyCode::Esc]);
        }
    }
}

/// Each row as runs of equal style.
fn styles(cells: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..cells.area.height {
        let mut runs: Vec<(u16, String)> = Vec::new();
        for x in 0..cells.area.width {
            let cell = &cells[(x, y)];
            let style = format!("{:?} {:?} {:?}", cell.fg, cell.bg, cell.modifier);
            match runs.last_mut() {
                Some((count, last)) if *last == style => *count += 1,
                _ => runs.push((1, style)),
            }
        }
        let runs: Vec<String> = runs
            .iter()
            .map(|(count, style)| format!("{count}×{style}"))
            .collect();
        out.push_str(&format!("{y:2}: {}\n", runs.join(" | ")));
    }
    out
}

#[test]
fn styles_of_every_theme() {
    for (theme, _) in THEMES {
        let mut model = model(Mode::Live, theme);
        feed(&mut model, story::unfinished());
        let cells = render(&model, 100, 24);
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("theme-{theme}"), styles(&cells));
        });
    }
}
