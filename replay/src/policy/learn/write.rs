//! What was learned, as a policy's text.
//!
//! Owns: the lines, their order and their reasons. Must not: look at events.

use std::collections::{BTreeMap, BTreeSet};

use belljar_event::Op;

use super::tree::{Spot, folded};
use super::{Done, Events, Learned, Learner, NotLearned, Object, Refused};
use crate::escape::quoted;
use crate::policy::{Policy, PolicyError};

/// What may be written without being learned: the project and temporary files.
const FREE: &[&str] = &["~/project/", "/tmp/", "/var/tmp/"];
/// A folder stands for so many different children; fewer where there are too many lines.
const FOLDS: [usize; 4] = [8, 4, 2, 1];
/// Most lines about files.
const MAX_FILES: usize = 250;
/// Events that a reason names.
const NAMED: usize = 6;
/// Longest reason.
const MAX_REASON: usize = 300;

/// The operations that change something.
const CHANGES: [Op; 5] = [Op::Write, Op::Unlink, Op::Rename, Op::Link, Op::Chmod];

pub(super) fn policy(learner: Learner) -> Result<Learned, PolicyError> {
    let Learner {
        done,
        mut refused,
        traces,
        left_out,
    } = learner;
    refuse_lookups(&done, &mut refused);
    let mut out = Text::new(&traces);
    out.denials(&done, &refused);
    out.destinations(&done, &refused);
    out.programs(&done, &refused);
    out.files(&done, &refused);
    let text = out.text;
    Ok(Learned {
        policy: Policy::parse("learned", &text)?,
        text,
        not: not_learned(&done, &refused),
        left_out,
    })
}

/// A name of which something is refused is refused at every port; one that was connected
/// to needs no line for its lookup.
fn refuse_lookups(done: &BTreeMap<Object, Done>, refused: &mut BTreeMap<Object, Refused>) {
    let mut more = Vec::new();
    for (object, why) in refused.iter() {
        let Object::Lookup(name) = object else {
            continue;
        };
        let found = why.why.iter().any(|why| why.starts_with("finding "));
        for other in done.keys() {
            if matches!(other, Object::Name(known, _) if known == name) && found {
                more.push((other.clone(), why.clone()));
            }
        }
    }
    for (object, why) in more {
        let known = refused.entry(object).or_default();
        known.why.extend(why.why);
        known.events.join(&why.events);
    }
}

fn not_learned(
    done: &BTreeMap<Object, Done>,
    refused: &BTreeMap<Object, Refused>,
) -> Vec<NotLearned> {
    let connected = |name: &str| {
        let known = |object: &Object| matches!(object, Object::Name(known, _) if known == name);
        done.keys()
            .any(|object| known(object) && !refused.contains_key(object))
    };
    let mut all: Vec<_> = refused
        .iter()
        .filter(|(object, _)| !matches!(object, Object::Lookup(name) if connected(name)))
        .map(|(object, refused)| {
            let why: Vec<_> = refused.why.iter().map(String::as_str).collect();
            NotLearned {
                what: what(object),
                why: why.join("; "),
                events: named(&refused.events),
                object: object.clone(),
            }
        })
        .collect();
    let unnamed = done.iter().filter(|(object, _)| {
        matches!(object, Object::Unnamed(_)) && !refused.contains_key(*object)
    });
    all.extend(unnamed.map(|(object, done)| NotLearned {
        what: what(object),
        why: "its path is no text, so no line can name it".to_owned(),
        events: named(&done.events),
        object: object.clone(),
    }));
    all.sort_by(|one, other| one.object.cmp(&other.object));
    all
}

fn what(object: &Object) -> String {
    match object {
        Object::Name(name, port) => format!("connect {name}:{port}"),
        Object::Direct(to) => format!("connect {to}"),
        Object::Lookup(name) => format!("look up {name}"),
        Object::Exec(path) => format!("exec {path}"),
        Object::Read(path) => format!("read {path}"),
        Object::Write(path) => format!("write {path}"),
        Object::Unnamed(path) => format!("something with {path}"),
    }
}

/// `a.bjt #1, #2; b.bjt #7; 3 more`.
fn named(events: &Events) -> String {
    let mut by: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (trace, seq) in events.few.iter().take(NAMED) {
        by.entry(trace).or_default().push(format!("#{seq}"));
    }
    let shown: Vec<_> = by
        .iter()
        .map(|(trace, seqs)| format!("{trace} {}", seqs.join(", ")))
        .collect();
    let mut text = shown.join("; ");
    let more = events
        .count
        .saturating_sub(events.few.len().min(NAMED) as u64);
    if more > 0 {
        text.push_str(&format!("; {more} more"));
    }
    text
}

struct Text {
    text: String,
}

impl Text {
    fn new(traces: &BTreeSet<String>) -> Self {
        let traces: Vec<_> = traces.iter().map(|trace| plain(trace)).collect();
        let text = format!(
            "# The least that allows what these traces did: {}.\n\
             # Each line names the events that it stands for: look at them before you trust it.\n\
             name = \"learned\"\n",
            traces.join(", ")
        );
        Self { text }
    }

    fn heading(&mut self, text: &str) {
        self.text.push_str(&format!("\n# {text}\n"));
    }

    fn line(&mut self, id: &str, action: &str, condition: &str, reason: &str, literal: &str) {
        let string = |text: &str| toml_edit::Value::from(text).to_string().trim().to_owned();
        let reason: String = crate::escape::clip(reason, MAX_REASON);
        self.text.push_str(&format!(
            "\n[[rule]]\nid = {}\naction = {}\ncondition = {}\nreason = {}\n{literal}",
            string(id),
            string(action),
            string(condition),
            string(&plain(&reason)),
        ));
    }

    /// What is not learned, where a folder or the lack of a line would let it through.
    fn denials(&mut self, done: &BTreeMap<Object, Done>, refused: &BTreeMap<Object, Refused>) {
        self.heading("Never.");
        self.line(
            "decoys",
            "deny",
            "evt.op in (read, write) and path.decoy",
            "credentials are not learned",
            "",
        );
        let mut number = 0;
        for (object, refused) in refused {
            let (op, path) = match object {
                Object::Read(path) => ("evt.op = read", path),
                Object::Write(path) => ("evt.op in (write, unlink, rename, link, chmod)", path),
                Object::Exec(path) if !path.starts_with("/usr/") => ("evt.op = exec", path),
                _ => continue,
            };
            // The line about decoys says so already.
            let decoy = refused.why.contains("a decoy");
            if decoy || !is_plain_path(path) || !done.contains_key(object) {
                continue;
            }
            number += 1;
            let why: Vec<_> = refused.why.iter().map(String::as_str).collect();
            let reason = format!("{}: {}", why.join("; "), named(&refused.events));
            let condition = format!("{op} and fd.name = {}", path_word(path));
            self.line(&format!("not-{number}"), "deny", &condition, &reason, "");
        }
    }

    fn destinations(&mut self, done: &BTreeMap<Object, Done>, refused: &BTreeMap<Object, Refused>) {
        self.heading("Destinations. Where no line matches, nothing leaves.");
        let mut number = 0;
        for (object, done_so) in done
            .iter()
            .filter(|(object, _)| !refused.contains_key(*object))
        {
            let (condition, literal) = match object {
                Object::Name(name, port) => (
                    format!(
                        "net.name = {} and fd.sport = {port}",
                        quoted(name.as_bytes())
                    ),
                    String::new(),
                ),
                Object::Direct(to) => (
                    format!(
                        "net.direct and fd.rip = {} and fd.sport = {}",
                        to.ip(),
                        to.port()
                    ),
                    format!("literal = \"{to}\"\n"),
                ),
                Object::Lookup(name) if !connected(done, name) => (
                    format!("dns.name = {}", quoted(name.as_bytes())),
                    String::new(),
                ),
                _ => continue,
            };
            number += 1;
            let reason = named(&done_so.events);
            self.line(
                &format!("to-{number}"),
                "allow",
                &condition,
                &reason,
                &literal,
            );
        }
    }

    fn programs(&mut self, done: &BTreeMap<Object, Done>, refused: &BTreeMap<Object, Refused>) {
        self.heading(
            "Programs. What the image brought runs, and what was dropped and is named here.",
        );
        self.line(
            "system",
            "allow",
            "evt.op = exec and fd.name startswith /usr/",
            "the image's own programs, which nobody in the guest can change",
            "",
        );
        let mut number = 0;
        for (object, done) in done {
            let Object::Exec(path) = object else { continue };
            if path.starts_with("/usr/") || refused.contains_key(object) || !is_plain_path(path) {
                continue;
            }
            number += 1;
            let condition = format!("evt.op = exec and fd.name = {}", path_word(path));
            self.line(
                &format!("run-{number}"),
                "allow",
                &condition,
                &named(&done.events),
                "",
            );
        }
        self.line(
            "dropped",
            "deny",
            "evt.op = exec and path.dropped",
            "a program that was not there before the run, and that no trace ran",
            "",
        );
    }

    fn files(&mut self, done: &BTreeMap<Object, Done>, refused: &BTreeMap<Object, Refused>) {
        self.heading("Files. The project and temporary folders are free to change.");
        let all: Vec<_> = CHANGES.iter().map(|op| op.name()).collect();
        let all = all.join(", ");
        for (number, folder) in FREE.iter().enumerate() {
            let id = ["project", "temporary", "temporary-2"].get(number).copied();
            self.line(
                id.unwrap_or("free"),
                "allow",
                &format!("evt.op in ({all}) and fd.name startswith {folder}"),
                "its own folder, and temporary files, are free to change",
                "",
            );
        }
        for (number, (spot, done)) in spots(done, refused).iter().enumerate() {
            let object = match spot {
                Spot::Path(path) => format!("fd.name = {}", path_word(path)),
                Spot::Below(folder) => {
                    format!("fd.name startswith {}", path_word(&format!("{folder}/")))
                }
            };
            // What is renamed, linked or removed is looked at as if it were written, too.
            let ops: Vec<_> = CHANGES
                .iter()
                .filter(|op| **op == Op::Write || done.ops & op.bit() != 0)
                .map(|op| op.name())
                .collect();
            let condition = match ops.as_slice() {
                [op] => format!("evt.op = {op} and {object}"),
                ops => format!("evt.op in ({}) and {object}", ops.join(", ")),
            };
            let id = format!("change-{}", number + 1);
            self.line(&id, "allow", &condition, &named(&done.events), "");
        }
        self.line(
            "elsewhere",
            "deny",
            &format!("evt.op in ({all})"),
            "no trace changed anything here",
            "",
        );
    }
}

fn connected(done: &BTreeMap<Object, Done>, name: &str) -> bool {
    let known = |object: &Object| matches!(object, Object::Name(known, _) if known == name);
    done.keys().any(known)
}

/// What was changed outside the free folders, in as few spots as must be.
fn spots(
    done: &BTreeMap<Object, Done>,
    refused: &BTreeMap<Object, Refused>,
) -> BTreeMap<Spot, Done> {
    let never: BTreeSet<String> = refused
        .keys()
        .filter_map(|object| match object {
            Object::Write(path) | Object::Read(path) => Some(path.clone()),
            _ => None,
        })
        .collect();
    let mut last = BTreeMap::new();
    for most in FOLDS {
        let changed = done.iter().filter_map(|(object, done)| match object {
            Object::Write(path)
                if !refused.contains_key(object)
                    && is_plain_path(path)
                    && !FREE.iter().any(|free| path.starts_with(free)) =>
            {
                Some((path.as_str(), done))
            }
            _ => None,
        });
        last = folded(changed, &never, most);
        if last.len() <= MAX_FILES {
            break;
        }
    }
    last
}

/// A path that the guest's kernel can tell.
fn is_plain_path(path: &str) -> bool {
    let rest = path.strip_prefix("~/").or_else(|| path.strip_prefix('/'));
    let plain = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= 255;
    rest.is_some_and(|rest| rest.split('/').all(plain) && !rest.contains('\0'))
}

/// A path as a condition names it; `~/` stays the payload's home.
fn path_word(path: &str) -> String {
    match path.strip_prefix("~/") {
        None => quoted(path.as_bytes()),
        Some(rest) => {
            let word = quoted(format!("/{rest}").as_bytes());
            match word.strip_prefix("\"/") {
                Some(tail) => format!("\"~/{tail}"),
                None => format!("~{word}"),
            }
        }
    }
}

/// Without characters that a comment or a terminal cannot bear.
fn plain(text: &str) -> String {
    crate::escape::string(text)
}
