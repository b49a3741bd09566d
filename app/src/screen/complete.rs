//! What may stand behind a field's operator: values that the trace has.
//!
//! Owns: which field takes its values from where, and how a value is written.
//! Must not: change the line; the prompt does.

use std::collections::BTreeSet;

use belljar_replay::cond::{FIELDS, event_types};
use belljar_replay::escape::quoted;
use belljar_replay::session::Session;

/// Values offered at most.
const MOST: usize = 200;
/// Rows of a table that are looked at.
const ROWS: usize = 20_000;

type Values = BTreeSet<Vec<u8>>;

/// Takes the values of one kind out of a session.
type Fill = fn(&Session, &mut Values);

/// The fields that have values of a kind, by the head of their names, and the values.
const SOURCES: &[(&[&str], Fill)] = &[
    (&["evt.type"], calls),
    (&["evt.op"], ops),
    (
        &["proc.name", "proc.pname", "proc.aname", "proc.sname"],
        programs,
    ),
    (
        &["proc.exe", "proc.exepath", "proc.pexe", "proc.aexe"],
        executables,
    ),
    (&["fd.name", "fs.path"], paths),
    (&["fd.filename"], file_names),
    (&["net.name", "dns.name", "fd.sip.name"], names),
    (&["phase.name"], phases),
];

fn calls(_: &Session, out: &mut Values) {
    out.extend(event_types().map(|name| name.as_bytes().to_vec()));
}

fn ops(_: &Session, out: &mut Values) {
    let names = [
        "read", "write", "exec", "connect", "unlink", "rename", "link", "chmod",
    ];
    out.extend(names.map(|name| name.as_bytes().to_vec()));
}

fn programs(session: &Session, out: &mut Values) {
    out.extend(
        session
            .processes()
            .iter()
            .take(ROWS)
            .map(|row| row.name.bytes().to_vec()),
    );
}

fn executables(session: &Session, out: &mut Values) {
    let rows = session.processes();
    let exes = rows.iter().take(ROWS).filter_map(|row| row.exe.as_ref());
    out.extend(exes.map(|exe| exe.bytes().to_vec()));
}

fn paths(session: &Session, out: &mut Values) {
    out.extend(
        session
            .file_rows(0, ROWS)
            .iter()
            .map(|row| row.path.to_vec()),
    );
}

fn file_names(session: &Session, out: &mut Values) {
    let rows = session.file_rows(0, ROWS);
    let last = rows
        .iter()
        .filter_map(|row| row.path.rsplit(|byte| *byte == b'/').next());
    out.extend(last.map(<[u8]>::to_vec));
}

fn names(session: &Session, out: &mut Values) {
    out.extend(
        session
            .destinations()
            .iter()
            .map(|row| row.name.as_bytes().to_vec()),
    );
    out.extend(session.names().iter().map(|row| row.name.bytes().to_vec()));
}

fn phases(session: &Session, out: &mut Values) {
    out.extend(
        session
            .phases()
            .iter()
            .map(|row| row.name.clone().into_bytes()),
    );
}

/// What is typed of a value: the field before it, where it begins, and what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Begun<'a> {
    field: &'a str,
    /// Byte offset in the line, an opening quote included.
    pub(super) from: usize,
    text: &'a str,
}

/// The value that the end of `head` is part of, if it is one.
pub(super) fn begun(head: &str) -> Option<Begun<'_>> {
    let quotes: Vec<usize> = head.match_indices('"').map(|(at, _)| at).collect();
    let from = match quotes.len() % 2 {
        1 => quotes.last().copied()?,
        _ => {
            let part = |c: char| !c.is_whitespace() && !"(),=<>\"".contains(c);
            head.trim_end_matches(part).len()
        }
    };
    let text = head.get(from..)?.trim_start_matches('"');
    let mut before = head.get(..from)?.trim_end();
    // In a list what counts is what stands before it.
    if before.ends_with(['(', ',']) {
        let open = before.rfind('(')?;
        before = before.get(..open)?.trim_end();
    }
    let bare = before.trim_end_matches(['=', '!', '<', '>']);
    let field = if bare.len() < before.len() {
        bare.trim_end()
    } else {
        // An operator that is a word, with a space behind it.
        let (rest, word) = before.rsplit_once(char::is_whitespace)?;
        let known = !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase());
        rest.trim_end().get(..).filter(|_| known)?
    };
    let start = field.rfind(|c: char| c.is_whitespace() || "(,".contains(c));
    let field = field
        .get(start.map_or(0, |at| at + 1)..)?
        .trim_end_matches(')');
    let known = FIELDS
        .iter()
        .any(|info| Some(info.name) == field.split('[').next());
    known.then_some(Begun { field, from, text })
}

/// Values that begin so, as they are written in a condition.
pub(super) fn values(session: &Session, begun: Begun<'_>) -> Vec<String> {
    let source = SOURCES.iter().find(|(fields, _)| {
        let mut heads = fields.iter();
        heads.any(|head| begun.field.starts_with(head))
    });
    let Some((_, fill)) = source else {
        return Vec::new();
    };
    let mut all = Values::new();
    fill(session, &mut all);
    all.retain(|value| !value.is_empty() && value.starts_with(begun.text.as_bytes()));
    all.iter().take(MOST).map(|value| quoted(value)).collect()
}
