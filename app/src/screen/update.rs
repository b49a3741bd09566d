//! Every change of the model, as a pure function of model and message.
//!
//! Owns: what messages do to the model. Keys are in [`super::act`].
//! Must not: read a clock, touch a terminal or draw. The size comes with a
//! resize, time with a tick.

use belljar_event::{Decoys, Fact};
use belljar_recorder::{Entry, Integrity};

use super::act;
use super::events;
use super::layout::{Layout, Wish, inner};
use super::model::{Effect, List, Model, Msg, Pane, Toast};
use super::mouse;
use super::only;
use super::other;
use super::overlay::{self, Kind, Overlay};
use super::player::{Motion, SECOND};
use super::question;
use super::rows::{Made, Moment, RowKey};
use super::rules;
use super::text::safe_str;

/// With so many files more, the rows are computed one tick later.
const FILES_PER_TICK: u64 = 20_000;

/// Applies a message; returns what the owner of the screen has to do.
pub(crate) fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    match msg {
        Msg::Key(event) => {
            let mut effects = act::key(model, &event);
            effects.extend(question::heard(model));
            question::hold_back(model);
            refresh(model);
            return effects;
        }
        Msg::Mouse(event) => {
            mouse::mouse(model, event);
            let effects = question::heard(model);
            question::hold_back(model);
            refresh(model);
            return effects.into_iter().collect();
        }
        Msg::Paste(text) => {
            act::paste(model, &text);
            refresh(model);
        }
        Msg::Resize(columns, rows) => {
            relayout(model, columns, rows);
            refresh(model);
        }
        Msg::Tick { elapsed } => tick(model, elapsed),
        Msg::Entries(entries) => take(model, entries),
        Msg::Stage(text) => {
            model.stage = (!text.is_empty()).then_some((text, 0));
            model.revision += 1;
        }
        Msg::Rules(reload) => rules::reloaded(model, reload),
        Msg::Notice(text) => toast(model, safe_str(&text)),
        Msg::Other(told) => other::told(model, told),
        // Of another screen.
        Msg::Sides(_) | Msg::Found(_) => {}
        Msg::SourceEnded(end) => {
            ended(model, end);
            refresh(model);
        }
        Msg::Failed(failure) => {
            model.failure = Some(failure);
            model.overlay = Some(Overlay::new(Kind::Failure));
            model.leaving = false;
            model.stage = None;
            if model.player.motion() == Motion::Following {
                model.player.set_motion(Motion::Paused);
            }
            refresh(model);
        }
    }
    Vec::new()
}

/// Does a piece of what is left to do between two pictures; true if there is more.
pub(super) fn go_on(model: &mut Model) -> bool {
    if model.player.is_on_its_way() {
        if model.player.go_on() {
            refresh(model);
        }
    } else if model.player.is_behind() {
        model.stale |= model.player.play_on();
    } else if model.player.rejudged().is_some() {
        rules::go_on(model);
    }
    let player = &model.player;
    player.is_on_its_way() || player.is_behind() || player.rejudged().is_some()
}

/// Does all that is left to do, for whoever makes pictures and has time.
pub(crate) fn finish(model: &mut Model) {
    while go_on(model) {}
    if model.stale {
        refresh(model);
    }
}

fn take(model: &mut Model, entries: Vec<Entry>) {
    model.asking.learn(&entries);
    for (index, entry) in (model.player.len()..).zip(&entries) {
        model.density.add(entry.at());
        model.pulse.add(entry);
        if let Fact::Output(_) = &entry.event().fact {
            model.terminal.has_output_at(index, entry);
        }
        if let Fact::Decoys(Decoys { decoys }) = &entry.event().fact {
            let paths = decoys.iter().take(1000).map(|decoy| decoy.path.bytes());
            model.home = home_of(paths).or(model.home.take());
        }
    }
    if !entries.is_empty() {
        model.stale = true;
        model.quiet = 0;
    }
    model.player.append(entries);
    start_at(model, false);
}

/// To the moment that was asked for, once the recording reaches it.
fn start_at(model: &mut Model, ended: bool) {
    let (first, last) = model.player.range();
    if let Some(at) = model.setup.at
        && (ended || last.saturating_sub(first) >= at)
    {
        model.setup.at = None;
        model.player.set_motion(Motion::Paused);
        model.player.seek_time(first.saturating_add(at));
    }
}

/// The home folder that most decoys lie in: `/root` or `/home/NAME`.
fn home_of<'a>(paths: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut homes: std::collections::BTreeMap<&[u8], usize> = Default::default();
    for path in paths {
        let names = path.strip_prefix(b"/home/");
        let home = match names.and_then(|rest| rest.iter().position(|byte| *byte == b'/')) {
            Some(length @ 1..) => path.get(..b"/home/".len() + length),
            _ => path.starts_with(b"/root/").then_some(b"/root".as_slice()),
        };
        if let Some(home) = home {
            *homes.entry(home).or_default() += 1;
        }
    }
    homes
        .into_iter()
        .max_by_key(|(_, count)| *count)
        .map(|(home, _)| home.to_vec())
}

fn tick(model: &mut Model, elapsed: u64) {
    let mut changed = model.player.is_on_its_way() && model.player.go_on();
    changed |= model.player.tick(elapsed);
    if model.player.motion() == Motion::Playing && model.player.position() == model.player.len() {
        // Caught up with the run, or at the end of the trace.
        match (model.is_open(), model.is_live()) {
            (true, _) if model.is_growing() => model.player.set_motion(Motion::Following),
            (false, _) => model.player.set_motion(Motion::Paused),
            (true, _) => {}
        }
        changed = true;
    }
    if model.is_live() && model.is_open() && model.player.len() > 0 {
        let before = model.quiet / SECOND;
        // No time passes in a guest that stands still.
        if !model.stands_still() {
            model.quiet = model.quiet.saturating_add(elapsed);
        }
        changed |= before != model.quiet / SECOND;
    }
    if let Some((_, waited)) = &mut model.stage {
        let before = *waited / SECOND;
        *waited = waited.saturating_add(elapsed);
        changed |= before != *waited / SECOND;
    }
    if let Some(toast) = &mut model.toast {
        toast.left = toast.left.saturating_sub(elapsed);
        if toast.left == 0 {
            model.toast = None;
            changed = true;
        }
    }
    changed |= question::tick(model, elapsed);
    changed |= rules::tick(model, elapsed);
    if events::search(model) {
        model.revision += 1;
    }
    // Large tables take their time to be laid out; every few ticks is often enough.
    model.skipped += 1;
    model.stale |= changed;
    if model.stale && model.skipped > model.facts.counts.files / FILES_PER_TICK {
        refresh(model);
    }
}

fn ended(model: &mut Model, end: Integrity) {
    start_at(model, true);
    if model.player.motion() == Motion::Following {
        model.player.set_motion(Motion::Paused);
    }
    if !end.is_complete() {
        toast(model, "the trace ends too early: its good part is shown");
    }
    model.stage = None;
    model.interrupted = false;
    // Who was asked whether to stop the run is told why nobody asks any more; the
    // verdict that has just come about stays to be read.
    if std::mem::take(&mut model.leaving) {
        toast(model, "the run has ended by itself; q leaves");
    }
    model.quiet = 0;
    model.ended = Some(end);
}

/// Shows a message for a few seconds.
pub(super) fn toast(model: &mut Model, text: impl Into<String>) {
    model.toast = Some(Toast {
        text: text.into(),
        left: 4 * SECOND,
    });
    model.revision += 1;
}

/// Places everything anew, after a resize or when focus or overlay changed.
pub(super) fn relayout(model: &mut Model, columns: u16, rows: u16) {
    let shown = if model.focus == Pane::Timeline {
        model.back
    } else {
        model.focus
    };
    let wish = Wish {
        shown,
        side: model.overlay.is_some(),
        asked: question::height(model, columns),
        rules: model.watched.is_some(),
        zoomed: model.zoomed,
        dividers: model.dividers,
    };
    model.layout = Layout::new(columns, rows, wish);
}

/// Computes everything that is shown from the session at the playhead.
pub(super) fn refresh(model: &mut Model) {
    question::refresh(model);
    let area = model.layout.area;
    relayout(model, area.width, area.height);
    model.facts.renew(&model.player, model.ended.as_ref());
    let moment = Moment {
        now: model.now(),
        over: model.facts.over,
        keep: selected_process(model),
    };
    let followed = only::keep_up(model);
    model.rows.renew(&Made {
        session: model.player.session(),
        fold: model.player.fold(),
        part: model
            .only
            .as_ref()
            .map(|only| (only.session(), only.made())),
        moment,
        home: model.home.as_deref(),
        folds: &model.folds,
    });
    let caught_up = model.terminal.catch_up(&model.player);
    // Lines that nobody sees are not made.
    if let Some(rect) = model.layout.pane(Pane::Output) {
        // One cell stands free at the left.
        let room = usize::from(inner(rect).width).saturating_sub(1);
        model.rows.output = model.terminal.lines(room);
    }
    settle(model);
    if let Some(mut open) = model.overlay.take() {
        (open.title, open.lines) = overlay::content(model, &open.kind);
        let rows = usize::from(inner(model.layout.overlay).height);
        open.offset = open.offset.min(open.lines.len().saturating_sub(rows));
        model.overlay = Some(open);
    }
    model.stale = !caught_up || !followed;
    model.skipped = 0;
    model.revision += 1;
}

fn selected_process(model: &Model) -> Option<u64> {
    match model.list(Pane::Processes)?.key {
        Some(RowKey::Process(key)) => Some(key),
        _ => None,
    }
}

/// Finds each selection again; the selected row stays where it was on the screen.
fn settle(model: &mut Model) {
    let mut lists = std::mem::take(&mut model.lists);
    for (list, pane) in lists.iter_mut().zip(Pane::ALL) {
        let rows = model.layout.rows_of(pane);
        let len = model.rows.len(pane);
        if pane == Pane::Events {
            continue;
        }
        if let Some(key) = &list.key {
            let found = (0..len)
                .find(|at| model.rows.key(pane, *at) == Some(key))
                .or_else(|| model.rows.above(pane, key));
            let index = found.unwrap_or(list.index.min(len.saturating_sub(1)));
            list.offset = (list.offset + index).saturating_sub(list.index);
            list.index = index;
        } else {
            (list.index, list.offset) = (0, 0);
        }
        window(list, len, rows);
    }
    model.lists = lists;
    let offset = model.list(Pane::Findings).map_or(0, |list| list.offset);
    let rows = model.layout.rows_of(Pane::Findings);
    let session = model.player.session();
    model
        .rows
        .look(session, model.home.as_deref(), offset, rows);
    events::settle(model);
    let rows = model.layout.rows_of(Pane::Output);
    let last = model.rows.output.len().saturating_sub(rows);
    if !model.output.held || model.output.offset >= last {
        model.output.offset = last;
        model.output.held = false;
    }
}

/// Keeps the selected row in the window and the window full.
pub(super) fn window(list: &mut List, len: usize, rows: usize) {
    list.index = list.index.min(len.saturating_sub(1));
    let last = len.saturating_sub(rows.max(1));
    let lowest = (list.index + 1).saturating_sub(rows.max(1));
    list.offset = list
        .offset
        .clamp(lowest, list.index.max(lowest))
        .min(last.max(lowest));
}
