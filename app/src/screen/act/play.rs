//! Moving the playhead.
//!
//! Owns: play and pause, leaps, steps, findings. Must not: know a key.

use crate::screen::events;
use crate::screen::keys::Action;
use crate::screen::model::{Model, Pane};
use crate::screen::player::{Motion, SECOND};
use crate::screen::rows::RowKey;
use crate::screen::text::clock;
use crate::screen::update::toast;

/// How far the arrows go.
const LEAP: u64 = 5 * SECOND;

pub(super) fn play(model: &mut Model, action: Action, digit: Option<u32>) {
    let now = model.player.now();
    match action {
        Action::PlayPause => play_or_pause(model),
        Action::Freeze => play_or_pause(model),
        Action::Back => leap(model, now.saturating_sub(LEAP)),
        Action::Forward => leap(model, now.saturating_add(LEAP)),
        Action::StepBack => step(model, model.player.position().saturating_sub(1)),
        Action::StepForward => step(model, model.player.position() + 1),
        Action::PreviousFinding => jump(model, false),
        Action::NextFinding => jump(model, true),
        Action::Tenth => {
            let tenth = u64::from(digit.unwrap_or(0));
            let (first, last) = model.player.range();
            leap(model, first + (last - first) / 10 * tenth);
        }
        Action::Slower | Action::Faster => {
            model.player.change_speed(action == Action::Faster);
            let speed = model.player.speed();
            toast(model, format!("speed {speed}"));
        }
        Action::Start => {
            model.player.seek(0);
            if model.player.motion() == Motion::Following {
                model.player.set_motion(Motion::Paused);
            }
        }
        Action::Follow => follow(model),
        _ => {}
    }
}

/// To the end; where more comes, along with it.
fn follow(model: &mut Model) {
    model.player.set_motion(if model.is_open() {
        Motion::Following
    } else {
        Motion::Paused
    });
    model.player.go_to_end();
}

fn play_or_pause(model: &mut Model) {
    let at_end = model.player.position() == model.player.len();
    match model.player.motion() {
        Motion::Following | Motion::Playing => model.player.set_motion(Motion::Paused),
        Motion::Paused if at_end && model.is_open() => follow(model),
        Motion::Paused => {
            if at_end {
                // Nothing is left to play: from the start again.
                model.player.seek(0);
            }
            model.player.set_motion(Motion::Playing);
        }
    }
}

/// To a time; whoever goes back no longer follows.
pub(in crate::screen) fn leap(model: &mut Model, time: u64) {
    if model.player.motion() == Motion::Following {
        model.player.set_motion(Motion::Paused);
    }
    model.player.seek_time(time);
}

fn step(model: &mut Model, position: usize) {
    let limit = model.player.len();
    model.player.set_motion(Motion::Paused);
    if position > limit {
        toast(model, "this is the newest event");
    }
    model.player.seek(position);
}

/// To the moment of what is selected, which then is the newest that is shown.
pub(super) fn go_there(model: &mut Model) {
    let index = match (model.focus, selected(model)) {
        (Pane::Events, _) => events::selected(model),
        (_, Some(key)) => moment(model, &key),
        (_, None) => None,
    };
    let Some(index) = index else {
        toast(model, "nothing here has a moment");
        return;
    };
    let key = selected(model);
    model.player.set_motion(Motion::Paused);
    model.player.seek(index + 1);
    if let Some(RowKey::Finding(number)) = key {
        on_to(model, number);
    }
    if model.focus == Pane::Events {
        model.event = None;
        return;
    }
    let since = model.player.now().saturating_sub(model.player.range().0);
    let seq = model.newest_shown();
    toast(
        model,
        format!("event #{seq} at {}; e shows it", clock(since)),
    );
}

/// A finding may stand on several events, and be one only with the last of them.
fn on_to(model: &mut Model, number: u64) {
    /// Events that are tried.
    const TRIED: usize = 16;
    let found = |model: &Model| {
        let mut all = model.player.session().findings().iter();
        all.any(|finding| finding.number == number)
    };
    let mut all = model.player.tip().findings().iter();
    let finding = all.find(|finding| finding.number == number);
    let seqs: Vec<u64> = finding
        .into_iter()
        .flat_map(|finding| finding.seqs.iter().skip(1).take(TRIED).copied())
        .collect();
    for seq in seqs {
        model.player.arrive();
        if found(model) {
            return;
        }
        if let Some(index) = model.player.index_of(seq) {
            model.player.seek(index + 1);
        }
    }
}

fn selected(model: &Model) -> Option<RowKey> {
    let list = model.list(model.focus)?;
    model.rows.key(model.focus, list.index).cloned()
}

/// The entry that a row began with, or of a file the newest about it.
fn moment(model: &Model, key: &RowKey) -> Option<usize> {
    // What is selected is shown, and so it is known at the playhead.
    let session = model.player.session();
    let seq = match key {
        RowKey::Finding(number) => {
            let mut all = session.findings().iter();
            *all.find(|one| one.number == *number)?.seqs.first()?
        }
        RowKey::Destination(name, port) => {
            let rows = session.destinations();
            let mut rows = rows.iter();
            rows.find(|row| *row.name == **name && row.port == *port)?
                .first_seq
        }
        RowKey::Name(name) => {
            let rows = session.names();
            rows.iter().find(|row| row.name.bytes() == name)?.first_seq
        }
        RowKey::Path(path) | RowKey::Float(path) => session.file(path)?.last_seq,
        RowKey::Event(seq) => *seq,
        RowKey::Process(key) | RowKey::Finished(key) => {
            return model.player.since(session.process(*key)?.started);
        }
    };
    model.player.index_of(seq)
}

/// To the moment right behind a finding's first event.
fn jump(model: &mut Model, forward: bool) {
    let here = model.player.position();
    // By sequence number: where an event stands is only looked up for the one that
    // is gone to, since that unpacks what lies around it.
    let mut moments: Vec<(u64, u64)> = model
        .player
        .tip()
        .findings()
        .iter()
        .filter_map(|finding| Some((*finding.seqs.first()?, finding.number)))
        .collect();
    moments.sort_unstable();
    let seq_at = |index: usize| model.player.entry(index).map(|entry| entry.seq());
    let stands = |(seq, number): &(u64, u64)| {
        let index = model.player.index_of(*seq)?;
        Some((index + 1, *number))
    };
    let found = match forward {
        true => seq_at(here).and_then(|next| {
            let after = moments.partition_point(|(seq, _)| *seq < next);
            moments.iter().skip(after).find_map(stands)
        }),
        false => here.checked_sub(2).and_then(seq_at).and_then(|last| {
            let before = moments.partition_point(|(seq, _)| *seq <= last);
            moments.iter().take(before).rev().find_map(stands)
        }),
    };
    let Some((position, number)) = found else {
        let text = if forward {
            "no finding after this moment"
        } else {
            "no finding before this moment"
        };
        toast(model, text);
        return;
    };
    model.player.set_motion(Motion::Paused);
    model.player.seek(position);
    if let Some(list) = model.lists.get_mut(Pane::Findings as usize) {
        list.key = Some(RowKey::Finding(number));
    }
    let since = model.player.now().saturating_sub(model.player.range().0);
    toast(
        model,
        format!("finding {number} of {} at {}", moments.len(), clock(since)),
    );
}
