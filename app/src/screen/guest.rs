//! What the person does to the guest without being asked.
//!
//! Owns: the machine that stands still while somebody looks, and the process
//! tree that is about to be ended.
//! Must not: know a key, or act; the run does, with what is asked for here.

use super::keys::Action;
use super::model::{Effect, Model, Pane};
use super::player::Motion;
use super::rows::RowKey;
use super::text::safe_text;
use super::update::toast;

/// A process tree that ends once it is said a second time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Doomed {
    pub(super) pid: u32,
    pub(super) name: String,
}

/// Stops the machine, or lets it go on.
pub(super) fn freeze(model: &mut Model) -> Vec<Effect> {
    let frozen = model.player.tip().is_frozen();
    let text = match frozen {
        true => "the guest goes on",
        false => "the guest stands still: no time passes in it",
    };
    toast(model, text);
    vec![Effect::Freeze(!frozen)]
}

/// Asks whether the selected process must end.
pub(super) fn doom(model: &mut Model) {
    if !(model.is_live() && model.is_open()) {
        toast(model, "a recording's processes have ended already");
        return;
    }
    let selected = model.list(Pane::Processes).map_or(0, |list| list.index);
    let key = match model.rows.key(Pane::Processes, selected) {
        Some(RowKey::Process(key)) => *key,
        _ => return,
    };
    match model.player.tip().process(key) {
        Some(process) if process.ended.is_none() => {
            model.doomed = Some(Doomed {
                pid: process.pid,
                name: safe_text(&process.name),
            });
        }
        _ => toast(model, "it has ended already"),
    }
}

/// The second word on it.
pub(super) fn sentence(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(doomed) = model.doomed.take() else {
        return Vec::new();
    };
    if action != Action::KillNow {
        return Vec::new();
    }
    toast(model, format!("ending {} and all below it", doomed.name));
    if model.player.motion() == Motion::Paused {
        toast(model, "it ends now; the view stands at an earlier moment");
    }
    vec![Effect::Kill(doomed.pid)]
}
