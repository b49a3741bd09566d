//! The terminal screen: one model, a pure update, a pure view, one key table.
//!
//! Owns: everything a person sees and every key, in live runs and in replays,
//! which are the same here. Must not: record, judge or enforce; it shows
//! entries that were recorded, folded by `belljar_replay`'s session.
//!
//! ```text
//! source ─Msg─▶ update(&mut Model) ─▶ Effects          view(&Model) ─▶ cells
//! ```
//! Only `run` has a terminal and a clock. A comparison of two traces (`diff`) is
//! another model with the same driver, key table, roles and painting.

mod act;
mod complete;
mod density;
mod diff;
mod events;
mod guest;
mod keys;
mod layout;
mod marks;
mod model;
mod mouse;
mod only;
mod other;
mod overlay;
mod palette;
mod player;
mod prompt;
mod pulse;
mod question;
mod render;
mod rows;
mod rules;
mod run;
mod setup;
mod terminal;
mod text;
mod theme;
mod update;
mod verdict;
mod view;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use diff::{Diff, Found, Side, Wanted};
pub(crate) use marks::{MAX_MARKS, MAX_NOTE, Mark};
pub(crate) use model::{Effect, Failure, Mode, Model, Msg, Setup, TOGETHER};
pub(crate) use render::{press, render};
pub(crate) use rules::Reload;
pub(crate) use run::{Options, run};
pub(crate) use text::width;
pub(crate) use theme::{THEMES, Theme};
pub(crate) use update::{finish, update};
