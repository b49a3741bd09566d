//! Palette, zoom, mouse, one process alone, bookmarks, completion, copying.

use crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Rect;

use super::{ctrl, live, press, replay, story, typed};
use crate::screen::layout::inner;
use crate::screen::marks::Mark;
use crate::screen::model::{Effect, Model, Msg, Pane};
use crate::screen::player::Motion;
use crate::screen::render::render_text;
use crate::screen::rows::RowKey;
use crate::screen::update::update;
use crate::screen::view::strip;

macro_rules! golden {
    ($name:literal, $text:expr) => {
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!($name, $text);
        });
    };
}

fn all(model: &Model) -> String {
    let sizes = [(80, 24), (120, 40), (200, 60)];
    let texts: Vec<_> = sizes
        .iter()
        .map(|(w, h)| render_text(model, *w, *h))
        .collect();
    texts.join("\n")
}

fn mouse(model: &mut Model, kind: MouseEventKind, (column, row): (u16, u16)) {
    update(
        model,
        Msg::Mouse(MouseEvent {
            kind,
            column,
            row,
            modifiers: KeyModifiers::NONE,
        }),
    );
}

const DOWN: MouseEventKind = MouseEventKind::Down(MouseButton::Left);
const DRAG: MouseEventKind = MouseEventKind::Drag(MouseButton::Left);
const UP: MouseEventKind = MouseEventKind::Up(MouseButton::Left);

fn wide() -> Model {
    let mut model = replay();
    update(&mut model, Msg::Resize(120, 40));
    model
}

fn pane(model: &Model, pane: Pane) -> Rect {
    model.layout.pane(pane).unwrap()
}

#[test]
fn a_command_is_found_by_a_few_letters() {
    let mut model = replay();
    typed(&mut model, ":nxtfnd");
    golden!("palette", all(&model));
    press(&mut model, &[KeyCode::Home]);
    let first = model.palette.as_ref().unwrap().lines.first().unwrap();
    assert_eq!(first.text, "Next finding");
    press(&mut model, &[KeyCode::Esc]);
    assert!(model.palette.is_none());
    press(&mut model, &[KeyCode::Home]);
    ctrl(&mut model, 'p');
    typed(&mut model, "next finding");
    press(&mut model, &[KeyCode::Enter]);
    assert!(model.palette.is_none() && model.player.position() > 0);
    // The short name is enough, and its beginning too.
    typed(&mut model, ":zo");
    let first = model.palette.as_ref().unwrap().lines.first().unwrap();
    assert_eq!(first.text, "This pane alone, and back");
    press(&mut model, &[KeyCode::Esc]);
    // What fits nothing does nothing.
    typed(&mut model, ":qqqqqqq");
    assert!(press(&mut model, &[KeyCode::Enter]).is_empty());
    assert!(model.palette.is_none());
}

#[test]
fn every_key_of_a_pane_is_in_the_palette() {
    use crate::screen::keys::{Action, in_scopes, pane_scopes};
    let mut model = replay();
    for pane in Pane::ALL {
        model.focus = pane;
        typed(&mut model, ":");
        let open = model.palette.take().unwrap();
        for binding in in_scopes(pane_scopes(pane)) {
            let there = open.lines.iter().any(|line| line.text == binding.help);
            let apart = [Action::Tenth, Action::Palette].contains(&binding.action);
            assert_eq!(there, !apart, "{binding:?}");
        }
    }
}

#[test]
fn a_pane_alone() {
    let mut model = wide();
    press(&mut model, &[KeyCode::Tab]);
    typed(&mut model, "z");
    golden!("zoom", all(&model));
    assert_eq!(model.layout.panes.len(), 1);
    typed(&mut model, "z");
    assert!(model.layout.panes.len() > 1);
}

#[test]
fn clicks_choose_panes_and_rows() {
    let mut model = wide();
    let files = inner(pane(&model, Pane::Files));
    mouse(&mut model, DOWN, (files.x + 3, files.y + 2));
    assert_eq!(model.focus, Pane::Files);
    assert_eq!(model.list(Pane::Files).unwrap().index, 2);
    assert!(model.overlay.is_none());
    mouse(&mut model, DOWN, (files.x + 3, files.y + 2));
    assert!(model.overlay.is_some(), "a second click opens");
    mouse(&mut model, DOWN, (0, 0));
    assert!(model.overlay.is_none(), "a click beside it closes");
    // Behind the last row there is nothing.
    let network = inner(pane(&model, Pane::Network));
    mouse(&mut model, DOWN, (network.x, network.bottom() - 2));
    assert_eq!(
        (model.focus, model.overlay.is_some()),
        (Pane::Network, false)
    );
    // Names of panes, where one stands alone.
    update(&mut model, Msg::Resize(80, 24));
    let row = render_text(&model, 80, 24)
        .lines()
        .nth(2)
        .unwrap()
        .to_owned();
    let at = u16::try_from(row.find("findings").unwrap()).unwrap();
    mouse(&mut model, DOWN, (at + 2, 2));
    assert_eq!(model.focus, Pane::Findings);
}

#[test]
fn the_wheel_scrolls_what_is_below_it() {
    let mut model = wide();
    let processes = pane(&model, Pane::Processes);
    press(&mut model, &[KeyCode::Tab]);
    mouse(
        &mut model,
        MouseEventKind::ScrollDown,
        (processes.x + 2, processes.y + 2),
    );
    assert_eq!(model.focus, Pane::Files);
    assert_eq!(model.list(Pane::Processes).unwrap().index, 3);
    assert_eq!(model.list(Pane::Files).unwrap().index, 0);
    typed(&mut model, "?");
    mouse(&mut model, MouseEventKind::ScrollDown, (60, 20));
    assert_eq!(model.overlay.as_ref().unwrap().offset, 3);
}

#[test]
fn dividers_and_the_playhead_are_dragged() {
    let mut model = wide();
    let files = pane(&model, Pane::Files);
    mouse(&mut model, DOWN, (files.x, files.y + 3));
    mouse(&mut model, DRAG, (60, files.y + 3));
    assert_eq!(pane(&model, Pane::Files).x, 60);
    mouse(&mut model, DRAG, (119, files.y + 3));
    let panes = &model.layout.panes;
    assert!(panes.iter().all(|(_, rect)| rect.width >= 16), "{panes:?}");
    mouse(&mut model, DRAG, (50, files.y + 3));
    mouse(&mut model, UP, (50, files.y + 3));
    let findings = pane(&model, Pane::Findings);
    mouse(&mut model, DOWN, (10, findings.y));
    mouse(&mut model, DRAG, (10, 15));
    mouse(&mut model, UP, (10, 15));
    assert_eq!(pane(&model, Pane::Findings).y, 15);
    golden!("dividers", render_text(&model, 120, 40));
    let strip = strip(&model);
    mouse(&mut model, DOWN, (strip.x, strip.y));
    assert_eq!(model.player.now(), model.player.range().0);
    assert_eq!(model.player.motion(), Motion::Paused);
    mouse(&mut model, DRAG, (strip.right() + 5, strip.y));
    assert_eq!(model.player.now(), model.player.range().1);
    mouse(&mut model, UP, (0, 0));
    mouse(&mut model, DRAG, (strip.x, strip.y));
    assert_eq!(model.player.now(), model.player.range().1, "let go of");
}

#[test]
fn a_click_never_answers_or_leaves() {
    let mut model = live(story::unfinished());
    update(&mut model, Msg::Resize(120, 40));
    typed(&mut model, "q");
    assert!(model.leaving);
    for y in 0..40 {
        mouse(&mut model, DOWN, (40, y));
    }
    assert!(model.leaving && model.focus == Pane::Processes);
}

/// The row of the process whose words begin so.
fn choose(model: &mut Model, words: &str) {
    typed(model, "g");
    let lines = &model.rows.processes;
    let at = lines
        .iter()
        .position(|line| line.label().starts_with(words));
    typed(model, &"j".repeat(at.unwrap_or_else(|| panic!("{words}"))));
}

#[test]
fn files_and_network_of_one_process() {
    let mut model = wide();
    let (files, network) = (model.rows.files.clone(), model.rows.network.clone());
    choose(&mut model, "node postinstall.js");
    typed(&mut model, "f");
    golden!("only", all(&model));
    let of_it = model.rows.files.clone();
    assert!(!of_it.is_empty() && of_it.len() < files.len());
    // Decoys are decoys whoever reads them.
    assert!(
        of_it.iter().any(|line| line.label.contains(".ssh")),
        "{of_it:?}"
    );
    // Another one is chosen: they follow.
    choose(&mut model, "npm install");
    assert!(model.rows.files.len() > of_it.len());
    // To another moment: they follow.
    press(&mut model, &[KeyCode::Home]);
    assert!(model.rows.files.is_empty());
    press(&mut model, &[KeyCode::End]);
    assert!(model.rows.files.len() > of_it.len());
    typed(&mut model, "f");
    assert_eq!((&model.rows.files, &model.rows.network), (&files, &network));
}

#[test]
fn the_list_of_events_is_of_one_process_too() {
    let mut model = wide();
    let total = |model: &Model| model.rows.events_total;
    let every = total(&model);
    choose(&mut model, "node postinstall.js");
    typed(&mut model, "f");
    typed(&mut model, "e");
    let of_it = total(&model);
    assert!(of_it > 5 && of_it < every / 4, "{of_it} of {every}");
    let shown = render_text(&model, 120, 40);
    let title = format!("events {of_it} of {every} · of node postinstall.js (pid 311)");
    assert!(shown.contains(&title), "{shown}");
    let others = |line: &crate::screen::rows::EventLine| line.process.starts_with("npm");
    assert!(!model.rows.events.iter().any(others));
    // With a filter on top only what both leave, and n goes through just that.
    typed(&mut model, "/evt.type = connect");
    press(&mut model, &[KeyCode::Enter]);
    assert_eq!(total(&model), 3);
    press(&mut model, &[KeyCode::Home]);
    assert_eq!(total(&model), 0);
    for count in 1..=3 {
        typed(&mut model, "n");
        assert_eq!(total(&model), count);
    }
    typed(&mut model, "n");
    assert!(
        model
            .toast
            .as_ref()
            .unwrap()
            .text
            .contains("no match after")
    );
    press(&mut model, &[KeyCode::Esc, KeyCode::End]);
    assert_eq!(total(&model), of_it);
    // Whose events, the filter's alone, and all again.
    typed(&mut model, "f");
    assert_eq!(total(&model), every);
}

/// Entries that come later are found as well, and a child that is started then.
#[test]
fn events_of_one_process_go_on_as_the_run_does() {
    let mut entries = story::unfinished();
    let later = entries.split_off(entries.len() - 12);
    let mut model = live(entries);
    update(&mut model, Msg::Resize(120, 40));
    choose(&mut model, "node postinstall.js");
    typed(&mut model, "fe");
    let before = model.rows.events_total;
    super::feed(&mut model, later);
    assert!(model.rows.events_total > before);
    assert!(
        model
            .rows
            .events
            .iter()
            .any(|line| line.process.contains("evil") || line.process.contains("gpj"))
    );
}

#[test]
fn every_row_leads_to_its_moment() {
    for pane in [
        Pane::Processes,
        Pane::Files,
        Pane::Network,
        Pane::Findings,
        Pane::Events,
    ] {
        let mut model = wide();
        model.focus = pane;
        typed(&mut model, "jj");
        let key = (pane != Pane::Events).then(|| model.list(pane).unwrap().key.clone().unwrap());
        typed(&mut model, "m");
        let here = model.player.position();
        assert!(here > 0, "{pane:?}");
        assert_eq!(model.player.motion(), Motion::Paused);
        // One event earlier it is not there yet; of a file the newest event is meant.
        let Some(key) = key.filter(|_| pane != Pane::Files) else {
            continue;
        };
        let there = |model: &Model| {
            (0..model.rows.len(pane)).any(|at| model.rows.key(pane, at) == Some(&key))
        };
        assert!(there(&model), "{key:?}");
        typed(&mut model, ",");
        assert!(!there(&model), "{key:?}");
    }
}

#[test]
fn dividers_are_moved_by_keys() {
    let mut model = wide();
    let width = |model: &Model, which| pane(model, which).width;
    let before = width(&model, Pane::Processes);
    typed(&mut model, "LL");
    assert_eq!(width(&model, Pane::Processes), before + 8);
    typed(&mut model, "H");
    assert_eq!(width(&model, Pane::Processes), before + 4);
    press(&mut model, &[KeyCode::Tab, KeyCode::Tab]);
    let network = width(&model, Pane::Network);
    typed(&mut model, "L");
    assert!(width(&model, Pane::Network) > network);
    let height = pane(&model, Pane::Network).height;
    typed(&mut model, "^");
    assert_eq!(pane(&model, Pane::Network).height, height + 2);
    typed(&mut model, "__");
    assert_eq!(pane(&model, Pane::Network).height, height - 2);
    press(&mut model, &[KeyCode::Tab]);
    let findings = pane(&model, Pane::Findings).height;
    typed(&mut model, "^");
    assert_eq!(pane(&model, Pane::Findings).height, findings + 2);
    // As far as it goes, and no further; and nothing where a pane stands alone.
    typed(&mut model, &"^".repeat(60));
    assert!(pane(&model, Pane::Network).height >= 5);
    typed(&mut model, "L");
    assert!(model.toast.is_some(), "one pane alone is below");
    update(&mut model, Msg::Resize(80, 24));
    typed(&mut model, "L");
    assert!(model.toast.is_some());
}

#[test]
fn what_is_pasted_is_text_or_nothing() {
    let mut model = wide();
    let before = model.player.position();
    let pasted = |model: &mut Model, text: &str| update(model, Msg::Paste(text.to_owned()));
    assert!(pasted(&mut model, "q0v?\r\u{3}").is_empty());
    assert_eq!(
        (model.player.position(), model.overlay.is_some()),
        (before, false)
    );
    typed(&mut model, "/");
    pasted(&mut model, "evt.type =\n connect\u{202e}\u{1b}");
    assert_eq!(model.prompt.as_ref().unwrap().text(), "evt.type =  connect");
    assert!(model.filter.is_none(), "a line's end applies nothing");
    pasted(&mut model, &"x".repeat(100_000));
    assert!(model.prompt.as_ref().unwrap().text().len() <= 4096);
    press(&mut model, &[KeyCode::Esc]);
    typed(&mut model, ":");
    pasted(&mut model, "next finding\r");
    assert!(model.palette.is_some());
    press(&mut model, &[KeyCode::Enter]);
    assert!(model.palette.is_none());
}

#[test]
fn who_stands_still_while_a_run_goes_on_is_told_to_freeze_it() {
    let mut model = live(story::unfinished());
    assert!(ctrl(&mut model, 'z').is_empty());
    assert!(
        model
            .toast
            .as_ref()
            .unwrap()
            .text
            .contains("freeze the guest first")
    );
    assert_eq!(ctrl(&mut replay(), 'z'), [Effect::Suspend]);
}

#[test]
fn bookmarks_are_set_noted_found_and_removed() {
    let mut model = wide();
    typed(&mut model, "4");
    let here = model.player.position();
    let effects = typed(&mut model, "b");
    let [Effect::Marks(marks)] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    let seq = marks.first().unwrap().seq;
    press(&mut model, &[KeyCode::End]);
    let effects = typed(&mut model, "Bthe end (so to say)");
    assert!(effects.is_empty());
    let effects = press(&mut model, &[KeyCode::Enter]);
    let [Effect::Marks(marks)] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    let notes: Vec<_> = marks.iter().map(|mark| mark.note.as_str()).collect();
    assert_eq!(notes, ["", "the end (so to say)"]);
    typed(&mut model, "{");
    assert_eq!(model.player.position(), here);
    typed(&mut model, "e");
    let shown = all(&model);
    golden!("bookmarks", shown);
    typed(&mut model, "}");
    assert_eq!(model.player.position(), model.player.len());
    // Found in the palette, too.
    typed(&mut model, &format!(":#{seq}"));
    press(&mut model, &[KeyCode::Enter]);
    assert_eq!(model.player.position(), here);
    typed(&mut model, "eb");
    assert_eq!(model.marks.len(), 1);
}

#[test]
fn a_note_of_somebody_else_is_escaped() {
    let mut model = wide();
    model.marks = vec![Mark {
        seq: 3,
        note: "\x1b]52;c;ZXZpbA==\x07\u{202e}x".to_owned(),
    }];
    typed(&mut model, "{");
    assert!(!render_text(&model, 120, 40).contains(['\x1b', '\u{202e}']));
    typed(&mut model, ":");
    assert!(!render_text(&model, 120, 40).contains(['\x1b', '\u{202e}']));
}

fn choices(model: &mut Model, text: &str) -> Vec<String> {
    typed(model, "/");
    ctrl(model, 'u');
    typed(model, text);
    let found = model.prompt.as_ref().unwrap().choices().to_vec();
    press(model, &[KeyCode::Esc]);
    found
}

#[test]
fn fields_and_values_are_completed() {
    let mut model = wide();
    assert_eq!(choices(&mut model, "evt.ty"), ["evt.type"]);
    assert_eq!(
        choices(&mut model, "evt.type = opena"),
        ["openat", "openat2"]
    );
    assert_eq!(
        choices(&mut model, "evt.type in (connect, unlinka"),
        ["unlinkat"]
    );
    assert_eq!(choices(&mut model, "not (proc.name=nod"), ["node"]);
    assert_eq!(choices(&mut model, "proc.name != \"nod"), ["node"]);
    assert!(choices(&mut model, "fd.name contains /").len() > 3);
    assert!(choices(&mut model, "fd.name startswith zzzz").is_empty());
    assert!(choices(&mut model, "evt.time < 1").is_empty());
    typed(&mut model, "/proc.name = n");
    golden!("completion", all(&model));
    typed(&mut model, "p");
    press(&mut model, &[KeyCode::Tab]);
    assert_eq!(model.prompt.as_ref().unwrap().text(), "proc.name = npm");
}

#[test]
fn whatever_is_completed_is_a_condition() {
    let mut model = live(story::unfinished());
    let mut seen = 0;
    for field in [
        "fd.name",
        "proc.name",
        "proc.exepath",
        "net.name",
        "fd.filename",
        "evt.type",
    ] {
        for value in choices(&mut model, &format!("{field} = ")) {
            let text = format!("{field} = {value}");
            let names = model.setup.rules.names();
            let parsed = belljar_replay::cond::Condition::parse(&text, names);
            assert!(parsed.is_ok(), "{text}");
            seen += 1;
        }
    }
    assert!(seen > 100);
}

#[test]
fn filters_are_saved_and_found_again() {
    let mut model = wide();
    typed(&mut model, "/evt.type = connect");
    let effects = ctrl(&mut model, 's');
    let saved = Effect::Filters(vec!["evt.type = connect".to_owned()]);
    assert_eq!(effects, [saved]);
    ctrl(&mut model, 'u');
    // What is no condition is not saved.
    typed(&mut model, "evt.tpye = x");
    assert!(ctrl(&mut model, 's').is_empty());
    ctrl(&mut model, 'u');
    press(&mut model, &[KeyCode::Up]);
    assert_eq!(model.prompt.as_ref().unwrap().text(), "evt.type = connect");
    press(&mut model, &[KeyCode::Esc]);
    typed(&mut model, ":filter connect");
    press(&mut model, &[KeyCode::Enter]);
    assert_eq!(
        model.filter.as_ref().unwrap().source(),
        "evt.type = connect"
    );
    typed(&mut model, "/");
    assert_eq!(ctrl(&mut model, 's'), [Effect::Filters(Vec::new())]);
}

#[test]
fn what_is_copied_does_nothing_where_it_is_pasted() {
    let mut story = story::Story::new();
    story::boot(&mut story);
    let mut model = replay();
    typed(&mut model, "v");
    let effects = typed(&mut model, "y");
    let [Effect::Copy(text)] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert!(text.lines().all(|line| line.starts_with('#')), "{text}");
    press(&mut model, &[KeyCode::Esc]);
    choose(&mut model, "node postinstall.js");
    let effects = typed(&mut model, "y");
    assert_eq!(effects, [Effect::Copy("'node postinstall.js'".to_owned())]);
    let line = model.rows.processes.get_mut(0).unwrap();
    let crate::screen::rows::StandsFor::Process { row, .. } = &mut line.stands_for else {
        panic!("{line:?}");
    };
    row.name = belljar_event::Text::new("a'; rm -rf ~ #$(x)`y`");
    row.argv = [].into();
    typed(&mut model, "");
    if let Some(list) = model.lists.get_mut(0) {
        list.index = 0;
    }
    let effects = typed(&mut model, "y");
    let quoted = r"'a'\''; rm -rf ~ #$(x)`y`'";
    assert_eq!(effects, [Effect::Copy(quoted.to_owned())]);
}

#[test]
fn a_list_that_was_scrolled_says_that_it_does_not_follow() {
    let mut model = live(story::unfinished());
    update(&mut model, Msg::Resize(120, 40));
    typed(&mut model, "ekk");
    assert!(render_text(&model, 120, 40).contains("held, G follows"));
    typed(&mut model, "G");
    assert!(!render_text(&model, 120, 40).contains("held, G"));
    assert!(!matches!(
        model.list(Pane::Events).unwrap().key,
        Some(RowKey::Event(_))
    ));
}
