//! Detail of one row: from a finding to the very events, from a process, file or
//! destination to what it did.

use std::collections::BTreeSet;

use belljar_event::{Fact, Text, refused_by};
use belljar_recorder::{Entry, Taken};
use belljar_replay::moment::Moment;
use belljar_replay::report::jsonl;
use belljar_replay::session::{DestinationState, Finding, ProcessRow, Session};

use super::page::Page;
use serde_json::Value;

use crate::screen::model::Model;
use crate::screen::player::Player;
use crate::screen::rows::{RowKey, command, ended, host, short_path};
use crate::screen::text::{bytes, clock, cut, grouped, safe_str, safe_text, span};
use crate::screen::theme::Role;
use crate::screen::verdict;

/// Events listed at most.
const EVENTS: usize = 200;
/// Entries looked at before the playhead to find them: not more than stay at hand
/// unpacked, since this is done for each picture.
const SEARCH: usize = 30_000;

/// Title and content of a row's detail.
pub(super) fn detail(model: &Model, key: &RowKey, page: &mut Page) -> String {
    let session = model.player.session();
    match key {
        RowKey::Finding(number) => {
            match session
                .findings()
                .iter()
                .find(|finding| finding.number == *number)
            {
                Some(finding) => finding_detail(model, finding, page),
                None => page.line(
                    Role::Muted,
                    "Not yet: this finding comes later in the recording.",
                ),
            }
            "finding".to_owned()
        }
        RowKey::Process(key) | RowKey::Finished(key) => {
            match session.process(*key) {
                Some(row) => process_detail(model, session, &row, page),
                None => page.line(
                    Role::Muted,
                    "Not yet: this process starts later in the recording.",
                ),
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
        RowKey::Event(seq) => {
            event_detail(model, session, *seq, page);
            "event".to_owned()
        }
        RowKey::Name(name) => {
            name_detail(model, session, name, page);
            "name".to_owned()
        }
    }
}

/// Everything that was recorded of an event.
fn event_detail(model: &Model, session: &Session, seq: u64, page: &mut Page) {
    let found = model
        .player
        .index_of(seq)
        .and_then(|at| model.player.entry(at));
    let Some(entry) = found else {
        page.line(Role::Muted, "This event is not known any more.");
        return;
    };
    let moment = Moment::new(session, &entry);
    page.line(Role::Strong, &moment.summary());
    page.gap();
    let since = entry.at().saturating_sub(model.player.range().0);
    page.pair("at", Role::Text, &clock(since));
    if let Some(key) = moment.process_key() {
        page.pair("by", Role::Text, &session.lineage(key).join(" ← "));
    }
    if let Some(row) = model.otherwise(seq) {
        page.heading("Under another policy");
        super::other::decisions(row, page);
    }
    page.heading("As it was recorded");
    let Value::Object(fields) = jsonl::value(&entry) else {
        return;
    };
    for (name, value) in fields.iter().take(64) {
        // Long values are cut here; `belljar report --format jsonl` has all of them.
        let text = jsonl::guarded(&value.to_string());
        page.pair(name, Role::Text, &cut(&text, 2000));
    }
}

fn finding_detail(model: &Model, finding: &Finding, page: &mut Page) {
    let first = model.player.range().0;
    let rule = &finding.rule;
    let severity = verdict::severity(rule.severity);
    page.lines.push(vec![
        (
            severity.role,
            format!("{} {}  ", severity.glyph, severity.word),
        ),
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
        page.event(
            evidence.seq,
            evidence.at.saturating_sub(first),
            &evidence.summary,
        );
    }
    let shown = finding.evidence.len().min(EVENTS) as u64;
    if finding.count > shown && shown > 0 {
        page.line(
            Role::Muted,
            &format!("and {} more", grouped(finding.count - shown)),
        );
    }
}

fn process_detail(model: &Model, session: &Session, row: &ProcessRow, page: &mut Page) {
    let first = model.player.range().0;
    page.line(Role::Strong, &command(row));
    page.gap();
    page.pair("pid", Role::Text, &row.pid.to_string());
    if let Some(exe) = &row.exe {
        page.pair(
            "program",
            Role::Text,
            &short_path(exe.bytes(), model.home.as_deref()),
        );
    }
    for (is, origin, text) in [
        (row.dropped, verdict::DROPPED, "made during the run"),
        (
            row.hidden,
            verdict::HIDDEN,
            "in a hidden place, or without a name any more",
        ),
    ] {
        if is {
            let text = format!("{} {}: {text}", origin.glyph, origin.word);
            page.pair("", origin.role, &text);
        }
    }
    let words: Vec<String> = row.argv.iter().take(200).map(quote).collect();
    page.pair("arguments", Role::Text, &words.join(" "));
    page.pair(
        "started",
        Role::Text,
        &clock(row.started.saturating_sub(first)),
    );
    match row.ended {
        None => page.pair("state", Role::Good, "running"),
        Some((at, status)) => {
            let how = status.map_or("ended".to_owned(), ended);
            let after = span(at.saturating_sub(row.started));
            page.pair("state", Role::Muted, &format!("{how} after {after}"));
        }
    }
    page.pair("who", Role::Text, &session.lineage(row.key).join(" ← "));
    let about: Vec<&Finding> = session
        .findings()
        .iter()
        .filter(|finding| finding.process == Some(row.key))
        .collect();
    if !about.is_empty() {
        page.heading("Findings");
        for finding in about.into_iter().take(EVENTS) {
            let severity = verdict::severity(finding.rule.severity);
            let text = format!(
                "{} {}  {}",
                severity.glyph,
                safe_str(&finding.rule.id),
                finding.message
            );
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
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{text}'")
    }
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
        text.bytes()
            .strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
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
    if let Some(row) = rows
        .iter()
        .find(|row| *row.name == *name && row.port == port)
    {
        let refused = matches!(
            row.state,
            DestinationState::Denied | DestinationState::Range
        );
        if refused {
            page.pair("state", Role::Text, &refused_by(&safe_str(&row.by)));
        } else {
            page.pair("state", Role::Text, row.state.word());
            page.pair("decided by", Role::Text, &safe_str(&row.by));
        }
        let how = if row.direct {
            "by address, no name was looked up"
        } else {
            "by name"
        };
        page.pair("reached", Role::Text, how);
        let said = model.pulse.said(name, port, model.newest_shown());
        if !said.is_empty() {
            page.pair("tls name", Role::Text, &said.join(" "));
        }
        let programs: Vec<String> = row.programs.iter().take(32).map(safe_text).collect();
        page.pair("programs", Role::Text, &programs.join(" "));
        page.pair(
            "flows",
            Role::Text,
            &format!("{} ({} open)", grouped(row.flows), row.open),
        );
        page.pair("refused", Role::Text, &grouped(row.refused));
        page.pair("sent", Role::Text, &bytes(row.sent));
        page.pair("received", Role::Text, &bytes(row.received));
    }
    let mut flows = BTreeSet::new();
    let end = model.player.position();
    for index in end.saturating_sub(SEARCH)..end {
        let entry = model.player.entry(index);
        if let Some(Fact::FlowAsked(asked)) = entry.as_deref().map(|entry| &entry.event().fact) {
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
        Fact::TlsHello(fact) => flows.contains(&fact.flow),
        Fact::HttpRequest(fact) => flows.contains(&fact.flow),
        Fact::CanarySeen(fact) => flows.contains(&fact.flow),
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
        if row.refused > 0 {
            page.pair("state", Role::Text, &refused_by(&safe_str(&row.by)));
        } else {
            page.pair("decided by", Role::Text, &safe_str(&row.by));
        }
        if let Some(key) = row.process {
            page.pair("first by", Role::Text, &session.lineage(key).join(" ← "));
        }
    }
    events(
        model,
        page,
        &|entry| matches!(&entry.event().fact, Fact::Name(fact) if fact.name.bytes() == name),
    );
}

/// The newest events before the playhead that fulfil `about`.
fn events(model: &Model, page: &mut Page, about: &dyn Fn(&Entry) -> bool) {
    let player: &Player = &model.player;
    let first = player.range().0;
    let end = player.position();
    let mut found: Vec<Taken<'_>> = (end.saturating_sub(SEARCH)..end)
        .rev()
        .filter_map(|index| player.entry(index))
        .filter(|entry| about(entry))
        .take(EVENTS)
        .collect();
    found.reverse();
    page.heading("The events, the newest last");
    if found.is_empty() {
        let text = match end > SEARCH {
            true => format!(
                "none among the {} before the playhead",
                grouped(SEARCH as u64)
            ),
            false => "none before the playhead".to_owned(),
        };
        page.line(Role::Muted, &text);
    }
    for entry in found {
        let text = Moment::new(player.session(), &entry).summary();
        page.event(entry.seq(), entry.at().saturating_sub(first), &text);
    }
}
