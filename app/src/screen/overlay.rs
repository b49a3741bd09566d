//! What opens over the panes: detail of a row, reasons of the verdict, help.
//!
//! Owns: the content of overlays as lines with roles, wrapped to the width.
//! Must not: draw them.

use std::collections::BTreeSet;

use belljar_event::{Fact, Text};
use belljar_recorder::Entry;
use belljar_replay::moment::Moment;
use belljar_replay::session::{Finding, ProcessRow, Session};
use belljar_replay::verdict::Reason;

use super::keys;
use super::layout::inner;
use super::model::{Model, Pane};
use super::player::Player;
use super::rows::{RowKey, command, ended, host, short_path};
use super::text::{bytes, clock, grouped, safe_str, safe_text, span, wrap};
use super::theme::Role;
use super::verdict;

/// Events listed at most.
const EVENTS: usize = 200;
/// Entries looked at before the playhead to find them.
const SEARCH: usize = 200_000;

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
        Self { kind, title: String::new(), lines: Vec::new(), offset: 0 }
    }

    /// What is shown, as text.
    pub(super) fn text(&self) -> String {
        let line = |spans: &Vec<Span>| spans.iter().map(|(_, text)| text.as_str()).collect::<String>();
        self.lines.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// Title and lines of an overlay, as the model stands.
pub(super) fn content(model: &Model, kind: &Kind) -> (String, Vec<Vec<Span>>) {
    let width = usize::from(inner(model.layout.overlay).width).saturating_sub(2);
    let mut page = Page { width: width.max(8), lines: Vec::new() };
    let title = match kind {
        Kind::Help => help(model, &mut page),
        Kind::Verdict => reasons(model, &mut page),
        Kind::Failure => failure(model, &mut page),
        Kind::Detail(key) => detail(model, key, &mut page),
    };
    (title, page.lines)
}

/// Lines being written.
struct Page {
    width: usize,
    lines: Vec<Vec<Span>>,
}

impl Page {
    fn line(&mut self, role: Role, text: &str) {
        for line in wrap(text, self.width) {
            self.lines.push(vec![(role, line)]);
        }
    }

    /// Text that was written in paragraphs: its own line ends do not count.
    fn prose(&mut self, role: Role, text: &str) {
        for (at, paragraph) in text.trim().split("\n\n").take(100).enumerate() {
            if at > 0 {
                self.gap();
            }
            let words: Vec<&str> = paragraph.split_ascii_whitespace().collect();
            self.line(role, &safe_str(&words.join(" ")));
        }
    }

    fn gap(&mut self) {
        self.lines.push(Vec::new());
    }

    fn heading(&mut self, text: &str) {
        if !self.lines.is_empty() {
            self.gap();
        }
        self.line(Role::Title, text);
    }

    /// A label and what belongs to it, wrapped behind it.
    fn pair(&mut self, label: &str, role: Role, text: &str) {
        const LABEL: usize = 12;
        let room = self.width.saturating_sub(LABEL).max(8);
        for (at, line) in wrap(text, room).into_iter().enumerate() {
            let head = if at == 0 { label } else { "" };
            self.lines.push(vec![(Role::Muted, format!("{head:<LABEL$}")), (role, line)]);
        }
    }

    /// Time, then what happened.
    fn event(&mut self, seq: u64, since: u64, text: &str) {
        let head = format!("{:>9}  #{seq:<7} ", clock(since));
        let room = self.width.saturating_sub(head.chars().count()).max(8);
        for (at, line) in wrap(text, room).into_iter().enumerate() {
            let head = if at == 0 { head.clone() } else { " ".repeat(head.chars().count()) };
            self.lines.push(vec![(Role::Muted, head), (Role::Text, line)]);
        }
    }
}

fn help(model: &Model, page: &mut Page) -> String {
    use keys::Scope;
    page.line(Role::Text, "Every key, by where it holds. The footer shows those of the pane that has the keys.");
    for (scope, title) in [
        (Scope::Global, "Everywhere"),
        (Scope::Rows, "Processes, files, network, findings"),
        (Scope::Tree, "Processes and files"),
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
    page.heading("Marks");
    for (mark, text) in [
        ("▲ ✗", "a finding: warning, danger"),
        ("◆ ◇", "enforcement: armed, not armed"),
        ("●", "recording; at the right of the timeline: following"),
        ("w r", "writes and reads of a file or below a folder"),
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
    page.line(Role::Muted, "What was recorded until then stays: close this to look at it.");
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
    page.line(standing.role, &format!("{} {}", standing.glyph, standing.word));
    page.gap();
    if model.facts.judgement.reasons.is_empty() {
        page.line(Role::Text, "No finding, and nothing is missing.");
    }
    for reason in model.facts.judgement.reasons.iter().take(EVENTS) {
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
            match session.findings().iter().find(|finding| finding.number == *number) {
                Some(finding) => format!("{}: {}", safe_str(&finding.rule.id), finding.message),
                None => format!("finding {number}"),
            }
        }
        Reason::Together { numbers } => {
            let numbers: Vec<String> = numbers.iter().take(16).map(u64::to_string).collect();
            format!("findings {} come from one branch of the process tree", numbers.join(", "))
        }
        Reason::More { count, .. } => format!("{} findings more than are kept", grouped(*count)),
        Reason::Incomplete { what } => format!("not whole: {}", safe_str(what)),
    };
    (weight.role, format!("{} {text}", weight.glyph))
}

fn detail(model: &Model, key: &RowKey, page: &mut Page) -> String {
    let session = model.player.session();
    match key {
        RowKey::Finding(number) => {
            match session.findings().iter().find(|finding| finding.number == *number) {
                Some(finding) => finding_detail(model, finding, page),
                None => page.line(Role::Muted, "Not yet: this finding comes later in the recording."),
            }
            "finding".to_owned()
        }
        RowKey::Process(key) | RowKey::Finished(key) => {
            match session.process(*key) {
                Some(row) => process_detail(model, session, &row, page),
                None => page.line(Role::Muted, "Not yet: this process starts later in the recording."),
            }
            "process".to_owned()
        }
        RowKey::Path(path) | RowKey::Float(path) => {
            file_detail(model, session, path, page);
            "file".to_owned()
        }
        RowKey::Destination(name, port) => {
            destination_detail(model, session, name, *port, page);
            "destination".to_owned()
        }
        RowKey::Name(name) => {
            name_detail(model, session, name, page);
            "name".to_owned()
        }
    }
}

fn finding_detail(model: &Model, finding: &Finding, page: &mut Page) {
    let first = model.player.range().0;
    let rule = &finding.rule;
    let severity = verdict::severity(rule.severity);
    page.lines.push(vec![
        (severity.role, format!("{} {}  ", severity.glyph, severity.word)),
        (Role::Accent, format!("{}  ", safe_str(&rule.id))),
    ]);
    page.line(Role::Strong, &safe_str(&rule.title));
    page.gap();
    page.line(Role::Text, &finding.message);
    page.gap();
    page.pair("when", Role::Text, &clock(finding.at.saturating_sub(first)));
    page.pair("times", Role::Text, &grouped(finding.count));
    page.pair("about", Role::Text, &finding.subject);
    page.pair("who", Role::Text, &finding.lineage.join(" ← "));
    page.heading("Why");
    page.prose(Role::Text, &rule.why);
    page.heading("What to do");
    page.prose(Role::Text, &rule.advice);
    page.heading("The events");
    for evidence in finding.evidence.iter().take(EVENTS) {
        page.event(evidence.seq, evidence.at.saturating_sub(first), &evidence.summary);
    }
    let shown = finding.evidence.len().min(EVENTS) as u64;
    if finding.count > shown && shown > 0 {
        page.line(Role::Muted, &format!("and {} more", grouped(finding.count - shown)));
    }
}

fn process_detail(model: &Model, session: &Session, row: &ProcessRow, page: &mut Page) {
    let first = model.player.range().0;
    page.line(Role::Strong, &command(row));
    page.gap();
    page.pair("pid", Role::Text, &row.pid.to_string());
    if let Some(exe) = &row.exe {
        page.pair("program", Role::Text, &short_path(exe.bytes(), model.home.as_deref()));
    }
    let words: Vec<String> = row.argv.iter().take(200).map(|word| quote(word)).collect();
    page.pair("arguments", Role::Text, &words.join(" "));
    page.pair("started", Role::Text, &clock(row.started.saturating_sub(first)));
    match row.ended {
        None => page.pair("state", Role::Good, "running"),
        Some((at, status)) => {
            let how = status.map_or("ended".to_owned(), ended);
            let after = span(at.saturating_sub(row.started));
            page.pair("state", Role::Muted, &format!("{how} after {after}"));
        }
    }
    page.pair("who", Role::Text, &session.lineage(row.key).join(" ← "));
    let about: Vec<&Finding> =
        session.findings().iter().filter(|finding| finding.process == Some(row.key)).collect();
    if !about.is_empty() {
        page.heading("Findings");
        for finding in about.into_iter().take(EVENTS) {
            let severity = verdict::severity(finding.rule.severity);
            let text = format!("{} {}  {}", severity.glyph, safe_str(&finding.rule.id), finding.message);
            page.line(severity.role, &text);
        }
    }
    let until = row.ended.map_or(u64::MAX, |(at, _)| at);
    events(model, page, &|entry| {
        entry.event().pid == row.pid && (row.started..=until).contains(&entry.at())
    });
}

/// A word of a command, quoted where a shell would need it.
fn quote(word: &Text) -> String {
    let text = safe_text(word);
    let plain = |c: char| c.is_alphanumeric() || "-_./:=@,+%^".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{text}'") }
}

fn file_detail(model: &Model, session: &Session, path: &[u8], page: &mut Page) {
    page.line(Role::Strong, &short_path(path, model.home.as_deref()));
    page.gap();
    if let Some(row) = session.file(path) {
        if let Some(kind) = &row.decoy {
            page.pair("decoy", Role::Decoy, &safe_str(kind));
        }
        if let Some(kind) = row.credential {
            page.pair("credential", Role::Warning, kind);
        }
        for (label, number) in [
            ("reads", row.reads),
            ("writes", row.writes),
            ("created", row.creates),
            ("removed", row.deletes),
            ("denied", row.denied),
            ("failed", row.failed),
        ] {
            page.pair(label, Role::Text, &grouped(number));
        }
        if let Some(key) = row.last_process {
            page.pair("last by", Role::Text, &session.lineage(key).join(" ← "));
        }
    }
    events(model, page, &|entry| names_path(entry, path));
}

/// True if the event is about this path, or about something below it.
fn names_path(entry: &Entry, path: &[u8]) -> bool {
    let is = |text: &Text| {
        text.bytes().strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    };
    match &entry.event().fact {
        Fact::Open(open) => is(open.file.as_ref().unwrap_or(&open.path)),
        Fact::Change(change) => is(&change.path) || change.other.as_ref().is_some_and(is),
        Fact::Look(look) => is(&look.path),
        Fact::Exec(exec) => is(exec.file.as_ref().unwrap_or(&exec.path)),
        _ => false,
    }
}

fn destination_detail(model: &Model, session: &Session, name: &str, port: u16, page: &mut Page) {
    page.line(Role::Strong, &host(name, port));
    page.gap();
    let rows = session.destinations();
    if let Some(row) = rows.iter().find(|row| *row.name == *name && row.port == port) {
        page.pair("state", Role::Text, row.state.word());
        page.pair("decided by", Role::Text, &safe_str(&row.by));
        let how = if row.direct { "by address, no name was looked up" } else { "by name" };
        page.pair("reached", Role::Text, how);
        let programs: Vec<String> = row.programs.iter().take(32).map(safe_text).collect();
        page.pair("programs", Role::Text, &programs.join(" "));
        page.pair("flows", Role::Text, &format!("{} ({} open)", grouped(row.flows), row.open));
        page.pair("refused", Role::Text, &grouped(row.refused));
        page.pair("sent", Role::Text, &bytes(row.sent));
        page.pair("received", Role::Text, &bytes(row.received));
    }
    let mut flows = BTreeSet::new();
    let end = model.player.position();
    for index in end.saturating_sub(SEARCH)..end {
        if let Some(Fact::FlowAsked(asked)) = model.player.entry(index).map(|e| &e.event().fact) {
            let target = &asked.target;
            let same = target.name().map_or_else(
                || target.ip().is_some_and(|ip| ip.to_string() == name),
                |known| known == name,
            );
            if same && target.port() == port {
                flows.insert(asked.flow);
            }
        }
    }
    events(model, page, &|entry| match &entry.event().fact {
        Fact::FlowAsked(fact) => flows.contains(&fact.flow),
        Fact::Decision(fact) => flows.contains(&fact.flow),
        Fact::FlowOpened(fact) => flows.contains(&fact.flow),
        Fact::FlowClosed(fact) => flows.contains(&fact.flow),
        Fact::Name(fact) => fact.name.bytes() == name.as_bytes(),
        Fact::Connect(fact) => connects(fact, name, port),
        _ => false,
    });
}

fn connects(fact: &belljar_event::Connect, name: &str, port: u16) -> bool {
    match (&fact.name, &fact.addr) {
        (Some(known), belljar_event::Addr::Inet(addr)) => known == name && addr.port() == port,
        (None, belljar_event::Addr::Inet(addr)) => {
            addr.ip().to_string() == name && addr.port() == port
        }
        _ => false,
    }
}

fn name_detail(model: &Model, session: &Session, name: &[u8], page: &mut Page) {
    let rows = session.names();
    if let Some(row) = rows.iter().find(|row| row.name.bytes() == name) {
        page.line(Role::Strong, &safe_text(&row.name));
        page.gap();
        page.pair("asked", Role::Text, &grouped(row.asked));
        page.pair("refused", Role::Text, &grouped(row.refused));
        page.pair("decided by", Role::Text, &safe_str(&row.by));
        if let Some(key) = row.process {
            page.pair("first by", Role::Text, &session.lineage(key).join(" ← "));
        }
    }
    events(model, page, &|entry| {
        matches!(&entry.event().fact, Fact::Name(fact) if fact.name.bytes() == name)
    });
}

/// The newest events before the playhead that fulfil `about`.
fn events(model: &Model, page: &mut Page, about: &dyn Fn(&Entry) -> bool) {
    let player: &Player = &model.player;
    let first = player.range().0;
    let end = player.position();
    let mut found: Vec<&Entry> = (end.saturating_sub(SEARCH)..end)
        .rev()
        .filter_map(|index| player.entry(index))
        .filter(|entry| about(entry))
        .take(EVENTS)
        .collect();
    found.reverse();
    page.heading("The events, the newest last");
    if found.is_empty() {
        page.line(Role::Muted, "none before the playhead");
    }
    for entry in found {
        let text = Moment::new(player.session(), entry).summary();
        page.event(entry.seq(), entry.at().saturating_sub(first), &text);
    }
}

/// What Enter opens for the selected row of a pane.
pub(super) fn of_selection(model: &Model, pane: Pane) -> Option<Kind> {
    let list = model.list(pane)?;
    let key = model.rows.key(pane, list.index)?.clone();
    Some(Kind::Detail(key))
}
