//! What opens over the panes: detail of a row, reasons of the verdict, help.
//!
//! Owns: the content of overlays as lines with roles, wrapped to the width.
//! Must not: draw them.

mod detail;
mod other;
pub(super) mod page;
mod question;

use belljar_replay::session::Session;
use belljar_replay::verdict::Reason;

use self::page::Page;
use super::events;
use super::keys;
use super::layout::inner;
use super::model::{Model, Pane};
use super::rows::RowKey;
use super::text::{bytes, grouped, safe_str};
use super::theme::Role;
use super::verdict;

/// Reasons listed at most.
const REASONS: usize = 200;

/// A piece of a line.
pub(super) type Span = (Role, String);

/// Which overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The key table.
    Help,
    /// The verdict's reasons.
    Verdict,
    /// What went wrong, and what to do.
    Failure,
    /// What was asked, and the answers.
    Questions,
    /// What another policy would have decided.
    Other,
    /// One row.
    Detail(RowKey),
}

/// An open overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Overlay {
    pub(super) kind: Kind,
    pub(super) title: String,
    pub(super) lines: Vec<Vec<Span>>,
    /// First line in the window.
    pub(super) offset: usize,
}

impl Overlay {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            title: String::new(),
            lines: Vec::new(),
            offset: 0,
        }
    }

    /// What is shown, as text.
    pub(super) fn text(&self) -> String {
        let line = |spans: &Vec<Span>| {
            spans
                .iter()
                .map(|(_, text)| text.as_str())
                .collect::<String>()
        };
        self.lines.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// Title and lines of an overlay, as the model stands.
pub(super) fn content(model: &Model, kind: &Kind) -> (String, Vec<Vec<Span>>) {
    let width = usize::from(inner(model.layout.overlay).width).saturating_sub(2);
    let mut page = Page {
        width: width.max(8),
        lines: Vec::new(),
    };
    let title = match kind {
        Kind::Help => help(model, &mut page),
        Kind::Verdict => reasons(model, &mut page),
        Kind::Failure => failure(model, &mut page),
        Kind::Questions => question::list(model, &mut page),
        Kind::Other => other::list(model, &mut page),
        Kind::Detail(key) => detail::detail(model, key, &mut page),
    };
    (title, page.lines)
}

fn help(model: &Model, page: &mut Page) -> String {
    use keys::Scope;
    page.line(
        Role::Text,
        "Every key, by where it holds. The footer shows those of the pane that has the keys.",
    );
    for (scope, title) in [
        (Scope::Global, "Everywhere"),
        (Scope::Rows, "Processes, files, network, findings, events"),
        (Scope::Tree, "Processes and files"),
        (Scope::Moments, "Rows that have a moment"),
        (Scope::Question, "While a question waits, in any pane"),
        (Scope::Reach, "After A or D"),
        (Scope::Kill, "After k"),
        (Scope::Save, "While a policy line is edited"),
        (Scope::Palette, "In the list of commands"),
        (Scope::Input, "While a filter or a note is typed"),
        (Scope::Edit, "In any line that is typed"),
        (Scope::Scroll, "Output and overlays"),
        (Scope::Timeline, "Timeline"),
        (Scope::Overlay, "Overlays"),
        (Scope::Leave, "When asked whether to leave"),
        (Scope::Always, "Always"),
    ] {
        page.heading(title);
        for binding in keys::in_scopes(&[scope]) {
            let names: Vec<String> = binding.presses.iter().map(|press| press.name()).collect();
            page.pair(&names.join(" "), Role::Text, binding.help);
        }
    }
    page.heading("Mouse");
    for (what, text) in [
        (
            "click",
            "choose a pane and a row; once more: open it; on the timeline: go there",
        ),
        ("wheel", "scroll what is below the pointer"),
        ("drag", "the line between two panes, or the playhead"),
        (
            "Shift",
            "with Shift held the terminal selects text, as without belljar",
        ),
    ] {
        page.pair(what, Role::Text, text);
    }
    page.heading("Marks");
    for (mark, text) in [
        ("▲ ✗", "a finding: warning, danger"),
        ("◆ ◇", "enforcement: armed, not armed"),
        ("●", "recording; at the right of the timeline: following"),
        (
            "↓ ◌",
            "a program that was made in the run; one in a hidden place or without a name",
        ),
        (
            "tls ✓ ≠",
            "what the client called the destination in TLS: the same, or something else",
        ),
        ("≈", "an event that the filter can neither affirm nor deny"),
        ("⚑", "a bookmark"),
        ("≠", "a decision that another policy makes otherwise"),
        (
            "w r c d",
            "writes and reads of a file or below a folder; where there is room, w without what was created and deleted, which is c and d",
        ),
    ] {
        page.pair(mark, Role::Text, text);
    }
    format!("help · theme {}", model.setup.theme.name())
}

/// An error printed under the alternate screen would be lost: it gets a pane.
fn failure(model: &Model, page: &mut Page) -> String {
    if let Some(failure) = &model.failure {
        page.prose(Role::Danger, &failure.what);
        page.gap();
        for hint in failure.hints.iter().take(40) {
            page.line(Role::Text, &safe_str(hint));
        }
        page.gap();
    }
    page.line(
        Role::Muted,
        "What was recorded until then stays: close this to look at it.",
    );
    "✗ stopped".to_owned()
}

fn reasons(model: &Model, page: &mut Page) -> String {
    let session = model.player.session();
    if model.failure.is_some() {
        failure(model, page);
        page.gap();
    }
    let overview = session.overview();
    let standing = verdict::standing(model.facts.verdict, model.facts.over);
    page.line(
        standing.role,
        &format!("{} {}", standing.glyph, standing.word),
    );
    page.gap();
    if model.facts.judgement.reasons.is_empty() {
        page.line(Role::Text, "No finding, and nothing is missing.");
    }
    for reason in model.facts.judgement.reasons.iter().take(REASONS) {
        let (role, text) = reason_line(session, reason);
        page.line(role, &text);
    }
    page.heading("In numbers");
    let counts = overview.counts;
    for (label, number) in [
        ("events", overview.events),
        ("lost", overview.lost),
        ("processes", counts.processes),
        ("killed", counts.killed),
        ("files", counts.files),
        ("decoys", counts.decoys_read),
        ("flows", counts.flows),
        ("refused", counts.refused),
        ("names", counts.names),
        ("findings", counts.findings),
    ] {
        page.pair(label, Role::Text, &grouped(number));
    }
    page.pair("sent", Role::Text, &bytes(counts.sent));
    page.pair("received", Role::Text, &bytes(counts.received));
    if let Some(digest) = &overview.policy_digest {
        page.pair("policy", Role::Muted, digest);
    }
    "verdict".to_owned()
}

/// A reason in words, with the finding that it stands on.
fn reason_line(session: &Session, reason: &Reason) -> (Role, String) {
    let weight = verdict::standing(Some(reason.weighs()), true);
    let text = match reason {
        Reason::Finding { number, .. } => {
            match session
                .findings()
                .iter()
                .find(|finding| finding.number == *number)
            {
                Some(finding) => format!("{}: {}", safe_str(&finding.rule.id), finding.message),
                None => format!("finding {number}"),
            }
        }
        Reason::Together { numbers } => {
            let numbers: Vec<String> = numbers.iter().take(16).map(u64::to_string).collect();
            format!(
                "findings {} come from one branch of the process tree",
                numbers.join(", ")
            )
        }
        Reason::More { count, .. } => format!("{} findings more than are kept", grouped(*count)),
        Reason::Incomplete { what } => format!("not whole: {}", safe_str(what)),
    };
    (weight.role, format!("{} {text}", weight.glyph))
}

/// What Enter opens for the selected row of a pane.
pub(super) fn of_selection(model: &Model, pane: Pane) -> Option<Kind> {
    if pane == Pane::Events {
        let entry = model.player.entry(events::selected(model)?)?;
        return Some(Kind::Detail(RowKey::Event(entry.seq())));
    }
    let list = model.list(pane)?;
    let key = model.rows.key(pane, list.index)?.clone();
    Some(Kind::Detail(key))
}
