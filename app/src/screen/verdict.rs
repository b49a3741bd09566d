//! Word, glyph and role of every state that is judged: never colour alone.

use belljar_replay::rules::Severity;
use belljar_replay::session::DestinationState;
use belljar_replay::verdict::Verdict;

use super::rows::{FileMark, NetworkState};
use super::theme::Role;

/// How a state is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) glyph: &'static str,
    pub(super) word: &'static str,
    pub(super) role: Role,
}

const fn mark(glyph: &'static str, word: &'static str, role: Role) -> Mark {
    Mark { glyph, word, role }
}

/// The verdict. While the run goes on, nothing found is not yet safe.
pub(super) fn standing(level: Option<Verdict>, over: bool) -> Mark {
    match (level, over) {
        (None, _) => mark("·", "WAITING", Role::Muted),
        (Some(Verdict::Safe), true) => mark("✓", "SAFE", Role::Good),
        (Some(Verdict::Safe), false) => mark("✓", "NOTHING FOUND SO FAR", Role::Good),
        (Some(Verdict::Warning), _) => mark("▲", "WARNING", Role::Warning),
        (Some(Verdict::Malicious), _) => mark("✗", "MALICIOUS", Role::Danger),
    }
}

/// A rule's severity.
pub(super) fn severity(severity: Severity) -> Mark {
    match severity {
        Severity::Info => mark("·", "INFO", Role::Muted),
        Severity::Low => mark("△", "LOW", Role::Notice),
        Severity::Medium => mark("▲", "MEDIUM", Role::Notice),
        Severity::High => mark("▲", "HIGH", Role::Warning),
        Severity::Critical => mark("✗", "CRITICAL", Role::Danger),
    }
}

/// How a destination stands.
pub(super) fn network(state: NetworkState) -> Mark {
    match state {
        NetworkState::Flow(DestinationState::Asked) => mark("?", "asked", Role::Warning),
        NetworkState::Flow(DestinationState::Allowed) => mark("✓", "allowed", Role::Good),
        NetworkState::Flow(DestinationState::Open) => mark("●", "open", Role::Good),
        NetworkState::Flow(DestinationState::Failed) => mark("○", "failed", Role::Muted),
        NetworkState::Flow(DestinationState::Denied) => mark("✗", "refused", Role::Denied),
        NetworkState::Flow(DestinationState::Range) => mark("✗", "refused", Role::Denied),
        NetworkState::NameRefused => mark("✗", "refused", Role::Denied),
        NetworkState::NameOnly => mark("·", "name", Role::Muted),
    }
}

/// A program that was made during the run.
pub(super) const DROPPED: Mark = mark("↓", "dropped", Role::Warning);
/// A program in a hidden place, or without a name.
pub(super) const HIDDEN: Mark = mark("◌", "hidden", Role::Warning);

/// Why a file is unusual.
pub(super) fn file(why: &FileMark) -> Mark {
    match why {
        FileMark::None => mark(" ", "", Role::Text),
        FileMark::Missing => mark("·", "missing", Role::Faint),
        FileMark::Denied => mark("✗", "denied", Role::Denied),
        FileMark::Credential(_) => mark("▲", "credential", Role::Warning),
        FileMark::Decoy(_) => mark("▲", "decoy", Role::Decoy),
    }
}
