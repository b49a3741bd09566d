//! The two lines that are always there: is it safe so far, is it enforced and
//! recorded, what was lost.

use belljar_event::End;
use belljar_recorder::Integrity;
use ratatui::layout::Rect;

use super::paint::{Paint, Spans};
use crate::screen::model::{Mode, Model};
use crate::screen::player::Motion;
use crate::screen::rows::ended;
use crate::screen::text::{clock, cut, grouped, safe_str, safe_text, width};
use crate::screen::theme::Role;
use crate::screen::verdict;

pub(super) fn draw(model: &Model, paint: &mut Paint<'_>) {
    let area = model.layout.header;
    let first = Rect {
        height: area.height.min(1),
        ..area
    };
    let second = Rect {
        y: area.y + 1,
        ..first
    };
    paint.both_ends(first, &what(model), &recording(model, area.width));
    let full = (standing(model, false), machine(model, false));
    let taken: usize = [&full.0, &full.1]
        .into_iter()
        .flatten()
        .map(|(_, text)| width(text))
        .sum();
    let (left, right) = match taken < usize::from(area.width) {
        true => full,
        false => (standing(model, true), machine(model, true)),
    };
    paint.both_ends(second, &left, &right);
}

/// `waiting: building the guest image · 12 s`
pub(super) fn stage(text: &str, waited: u64) -> String {
    let seconds = waited / 1_000_000_000;
    if seconds == 0 {
        safe_str(text)
    } else {
        format!("{} · {seconds} s", safe_str(text))
    }
}

fn what(model: &Model) -> Spans {
    let start = &model.setup.start;
    let words: Vec<String> = start.command.iter().take(64).map(safe_text).collect();
    let mut spans = vec![
        (Role::Accent, " belljar  ".to_owned()),
        (Role::Strong, cut(&safe_str(&start.label), 48).into_owned()),
    ];
    if !words.is_empty() {
        spans.push((Role::Muted, " · ".to_owned()));
        spans.push((Role::Text, words.join(" ")));
    }
    spans
}

/// Mode, time, rate and loss: what must never be cut stands at the right.
fn recording(model: &Model, room: u16) -> Spans {
    let gap = || (Role::Text, "  ".to_owned());
    let mut spans = state(model, room);
    let (first, last) = model.player.range();
    let now = clock(model.now().saturating_sub(first));
    let time = match model.setup.mode {
        Mode::Replay if room >= 60 => format!("{now}/{}", clock(last.saturating_sub(first))),
        _ => now,
    };
    spans.extend([gap(), (Role::Strong, time)]);
    if room >= 110 {
        let (here, all) = (model.player.position() as u64, model.player.len() as u64);
        let text = match here == all {
            true => format!("#{}", grouped(all)),
            false => format!("#{}/{}", grouped(here), grouped(all)),
        };
        spans.extend([gap(), (Role::Muted, text)]);
    }
    if room >= 100 && !model.facts.over {
        spans.extend([
            gap(),
            (Role::Muted, format!("{} ev/s", grouped(model.facts.rate))),
        ]);
    }
    let lost = model.facts.lost;
    let role = if lost == 0 { Role::Muted } else { Role::Danger };
    let glyph = if lost == 0 { "" } else { "✗ " };
    spans.extend([gap(), (role, format!("{glyph}lost {} ", grouped(lost)))]);
    spans
}

/// `● rec`, `❚❚ 1,204 behind`, `▶ replay 4×` …
fn state(model: &Model, room: u16) -> Spans {
    let behind = model.player.len() - model.player.position();
    let mut spans: Spans = Vec::new();
    match (model.setup.mode, &model.ended) {
        (_, _) if model.failure.is_some() => spans.push((Role::Danger, "✗ failed".into())),
        (Mode::Live, None) if model.player.len() == 0 => {
            spans.push((Role::Muted, "○ not recording yet".into()))
        }
        (Mode::Live, None) => spans.push((Role::Recording, "● rec".into())),
        (Mode::Live, Some(Integrity::Complete { .. })) => {
            spans.push((Role::Good, "✓ recorded".into()))
        }
        (Mode::Replay, Some(Integrity::Complete { .. })) => {
            spans.push((Role::Good, "✓ verified".into()))
        }
        (Mode::Replay, None) if model.setup.follow => {
            spans.push((Role::Recording, "● tailing".into()))
        }
        (Mode::Replay, None) => spans.push((Role::Muted, "reading …".into())),
        (_, Some(Integrity::Cut { .. })) => spans.push((Role::Danger, "✗ cut".into())),
    }
    if model.is_live() && model.is_open() && model.player.tip().is_frozen() {
        spans.extend([
            (Role::Text, "  ".to_owned()),
            (Role::Warning, "❚❚ GUEST FROZEN".to_owned()),
        ]);
    }
    let speed = model.player.speed();
    let unusual = match model.player.is_normal_speed() {
        true => String::new(),
        false => format!(" {speed}"),
    };
    let (role, text) = match (model.player.motion(), model.setup.mode) {
        (Motion::Following, _) => return spans,
        // The timeline says it too.
        _ if room < 60 => return spans,
        (Motion::Playing, _) => (Role::Accent, format!("▶ playing {speed}")),
        (Motion::Paused, Mode::Live) if behind > 0 => {
            (Role::Toast, format!("❚❚ {} behind", grouped(behind as u64)))
        }
        (Motion::Paused, Mode::Live) if model.is_open() => (Role::Toast, "❚❚ view paused".into()),
        (Motion::Paused, Mode::Live) => return spans,
        (Motion::Paused, Mode::Replay) => (Role::Toast, format!("❚❚ paused{unusual}")),
    };
    spans.extend([(Role::Text, "  ".to_owned()), (role, text)]);
    spans
}

fn standing(model: &Model, narrow: bool) -> Spans {
    let gap = || (Role::Text, "  ".to_owned());
    let facts = &model.facts;
    let mark = verdict::standing(facts.verdict, facts.over);
    let mut spans = vec![(mark.role, format!(" {} {}", mark.glyph, mark.word))];
    // Whoever looks at the past must not miss what has happened since.
    if let (Some(newest), Some(shown)) = (facts.newest, facts.verdict)
        && newest != shown
        && model.is_live()
    {
        let mark = verdict::standing(Some(newest), model.ended.is_some());
        spans.extend([
            gap(),
            (mark.role, format!("now {} {}", mark.glyph, mark.word)),
        ]);
    }
    let found = facts.counts.findings;
    if found > 0 {
        let word = if found == 1 { "finding" } else { "findings" };
        spans.extend([gap(), (Role::Text, format!("{} {word}", grouped(found)))]);
    }
    spans.extend([gap(), armed(model, narrow)]);
    if let Some((text, waited)) = &model.stage {
        spans.extend([gap(), (Role::Toast, stage(text, *waited))]);
    } else if let Some(how) = &facts.ended {
        let (role, text) = ending(how);
        spans.extend([gap(), (role, text)]);
    } else if let Some(Integrity::Cut { why, .. }) = &model.ended {
        spans.extend([gap(), (Role::Danger, format!("no end: {}", safe_str(why)))]);
    } else if let Some(phase) = &facts.phase {
        spans.extend([
            gap(),
            (Role::Muted, "phase ".to_owned()),
            (Role::Text, phase.clone()),
        ]);
    }
    spans
}

fn armed(model: &Model, narrow: bool) -> (Role, String) {
    let over = model.facts.over;
    match model.facts.armed {
        Some(true) if narrow => (Role::Good, "◆ enforced".into()),
        Some(true) => (Role::Good, "◆ enforced (self-test held)".into()),
        Some(false) => (Role::Danger, "◇ NOT ARMED".into()),
        None if over => (Role::Danger, "◇ NOT ARMED".into()),
        None => (Role::Muted, "◇ not armed yet".into()),
    }
}

/// How the run ended, in a few words.
fn ending(how: &End) -> (Role, String) {
    match how {
        End::Finished(status) => (Role::Text, format!("finished, {}", ended(*status))),
        End::Interrupted => (Role::Warning, "interrupted".into()),
        End::TimedOut => (Role::Warning, "time limit".into()),
        End::GuestLost(why) => (Role::Danger, format!("guest lost: {}", safe_str(why))),
        End::Stopped(why) => (Role::Warning, format!("stopped: {}", safe_str(why))),
        End::Failed(why) => (Role::Danger, format!("failed: {}", safe_str(why))),
    }
}

fn machine(model: &Model, narrow: bool) -> Spans {
    let mut spans: Spans = Vec::new();
    let Some(machine) = &model.facts.machine else {
        return spans;
    };
    if !narrow {
        let text = format!(
            "{} · {}",
            safe_str(&machine.hypervisor),
            safe_str(&machine.accelerator)
        );
        spans.push((Role::Muted, text));
    }
    if machine.degraded {
        spans.push((Role::Text, "  ".into()));
        spans.push((
            Role::Degraded,
            if narrow {
                "! DEGRADED"
            } else {
                "! DEGRADED: no security boundary"
            }
            .into(),
        ));
    }
    spans.push((Role::Text, " ".into()));
    spans
}
