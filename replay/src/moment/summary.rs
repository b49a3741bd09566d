//! An event in one escaped line, and what a finding about it is filed under.
//!
//! Owns: the words. Must not: let a byte of the guest through unescaped.

use belljar_event::{
    Action, Addr, Call, Dial, End, Fact, Held, NameAnswer, Outcome, Scope, Status, Step, Text, Who,
    refused_by,
};

use super::Moment;
use crate::cond::{Field, Subject, Value};
use crate::escape;
use crate::session::Wants;

pub(super) const DGRAM: u16 = 2;
/// Longest summary and subject, in characters.
const MAX_LINE: usize = 240;
/// Longest single text in a summary, in bytes, before it is escaped.
const MAX_TEXT: usize = 512;
/// Arguments of a command in a summary.
const MAX_ARGS: usize = 16;

/// The word for an action.
pub(crate) fn action(action: Action) -> &'static str {
    match action {
        Action::Allow => "allow",
        Action::Deny => "deny",
        Action::Ask => "ask",
        Action::Kill => "kill",
    }
}

/// Who decided.
pub(crate) fn who(who: Who) -> &'static str {
    match who {
        Who::Policy => "policy",
        Who::Person => "person",
        Who::Earlier => "earlier answer",
        Who::Nobody => "nobody there",
        Who::Timer => "timer",
        Who::Gone => "process gone",
    }
}

/// What an answer holds for, escaped.
pub(crate) fn scope(scope: &Scope) -> String {
    match scope {
        Scope::Once => "once".to_owned(),
        Scope::Tree(root) => format!("process tree {root}"),
        Scope::Run => "this run".to_owned(),
        Scope::Saved(line) => format!("saved: {}", short(line.as_bytes())),
    }
}

/// `exit 0`, `signal 9`.
pub(crate) fn status(status: Status) -> String {
    match status {
        Status::Code(code) => format!("exit {code}"),
        Status::Signal(signal) => format!("signal {signal}"),
    }
}

/// How a run ended, escaped.
pub(crate) fn end(end: &End) -> String {
    match end {
        End::Finished(how) => format!("finished, {}", status(*how)),
        End::Interrupted => "interrupted by the user".to_owned(),
        End::TimedOut => "stopped by the time limit".to_owned(),
        End::GuestLost(why) => format!("guest lost: {}", escape::string(why)),
        End::Failed(why) => format!("failed: {}", escape::string(why)),
        End::Stopped(why) => format!("stopped: {}", escape::string(why)),
    }
}

pub(super) fn is_symlink(call: Call) -> bool {
    matches!(call.name(), "symlink" | "symlinkat")
}

/// The beginning of bytes, escaped.
fn short(bytes: &[u8]) -> String {
    match bytes.get(..MAX_TEXT) {
        Some(head) if bytes.len() > MAX_TEXT => format!("{}…", escape::bytes(head)),
        _ => escape::bytes(bytes),
    }
}

fn text(raw: &Text) -> String {
    match raw {
        Text::Unreadable => "<unreadable>".to_owned(),
        Text::Whole(bytes) => short(bytes),
        Text::Cut { bytes, .. } => format!("{}…", short(bytes).trim_end_matches('…')),
    }
}

/// What a hold is about, escaped.
pub(crate) fn object(held: &Held) -> String {
    let mut line = match (&held.path, &held.target) {
        (_, Some(target)) => short(target.to_string().as_bytes()),
        (Some(path), None) => text(path),
        (None, None) => String::new(),
    };
    if let Some(other) = &held.other {
        let word = if held.argv.is_empty() { "to" } else { "under" };
        line.push_str(&format!(" {word} {}", text(other)));
    }
    line
}

/// A command line, escaped and bounded.
pub(crate) fn command(argv: &[Text]) -> String {
    let mut line = argv
        .iter()
        .take(MAX_ARGS)
        .map(text)
        .collect::<Vec<_>>()
        .join(" ");
    if argv.len() > MAX_ARGS {
        line.push_str(" …");
    }
    escape::clip(&line, MAX_LINE)
}

fn address(addr: &Addr) -> String {
    match addr {
        Addr::Inet(addr) => addr.to_string(),
        Addr::Unix(path) => format!("unix:{}", text(path)),
        Addr::Other(family) => format!("address family {family}"),
        Addr::Unreadable => "<unreadable address>".to_owned(),
    }
}

impl Moment<'_> {
    /// What happened, in one escaped line.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut line = self.deed();
        match (self.event.outcome, self.result()) {
            (Outcome::Refused(_), Some(result)) => {
                line.push_str(&format!(" → refused by the call filter ({result})"))
            }
            (_, Some(result)) if result == "SUCCESS" => line.push_str(" → ok"),
            (_, Some(result)) => line.push_str(&format!(" → {result}")),
            (_, None) => {}
        }
        escape::clip(&line, MAX_LINE)
    }

    fn deed(&self) -> String {
        let kind = self.event_type();
        match &self.event.fact {
            Fact::Exec(exec) => format!("{kind} {}: {}", self.first_path(), command(&exec.argv)),
            Fact::Open(open) => {
                let wants = Wants::of(open);
                let what = match (wants.create, wants.write, wants.read, wants.directory) {
                    (true, ..) => "to create",
                    (_, true, true, _) => "to read and write",
                    (_, true, ..) => "to write",
                    (.., true) => "as folder",
                    (_, _, true, _) => "to read",
                    _ => "as path",
                };
                format!("{kind} {} {what}", self.first_path())
            }
            Fact::Change(change) if is_symlink(change.call) => {
                format!("{kind} {} -> {}", self.second_path(), text(&change.path))
            }
            Fact::Change(change) if change.other.is_some() => {
                format!("{kind} {} to {}", self.first_path(), self.second_path())
            }
            Fact::Change(_) | Fact::Look(_) => format!("{kind} {}", self.first_path()),
            Fact::Guard(guard) => match &guard.path {
                Some(path) => format!("{kind} {}", text(path)),
                None => kind.to_owned(),
            },
            _ => self.deed_elsewhere(kind),
        }
    }

    fn deed_elsewhere(&self, kind: &'static str) -> String {
        match &self.event.fact {
            Fact::Fork(fork) => format!("fork: new process {}", fork.child),
            Fact::Exit(exit) => format!("ended: {}", status(exit.status)),
            Fact::Connect(connect) => match &connect.name {
                Some(name) => format!(
                    "connect to {} at {}",
                    short(name.as_bytes()),
                    address(&connect.addr)
                ),
                None => format!("connect to {}", address(&connect.addr)),
            },
            Fact::Send(send) => format!("{kind} {} bytes to {}", send.bytes, address(&send.addr)),
            Fact::Bind(bind) => format!("bind {}", address(&bind.addr)),
            Fact::Socket(socket) => {
                format!(
                    "socket family {} type {} protocol {}",
                    socket.family, socket.kind, socket.protocol
                )
            }
            Fact::Dup(dup) => format!("{kind} {} to {} ({:?})", dup.from, dup.to, dup.what),
            Fact::Name(name) => {
                let answer = match name.answer {
                    NameAnswer::Synthetic(_) => "answered with a stand-in",
                    NameAnswer::Refused => "refused",
                    NameAnswer::NoData => "no data",
                };
                let by = short(name.by.as_bytes());
                format!(
                    "name {} asked, type {}: {answer} by {by}",
                    text(&name.name),
                    name.kind
                )
            }
            Fact::FlowAsked(_)
            | Fact::Decision(_)
            | Fact::FlowOpened(_)
            | Fact::FlowClosed(_)
            | Fact::CanarySeen(_) => self.flow_deed(),
            Fact::Denied(_)
            | Fact::Held(_)
            | Fact::Question(_)
            | Fact::Answer(_)
            | Fact::Killed(_)
            | Fact::Freeze(_) => self.held_deed(kind),
            _ => self.deed_of_run(kind),
        }
    }

    fn held_deed(&self, kind: &'static str) -> String {
        match &self.event.fact {
            Fact::Denied(denied) => {
                let path = denied.path.as_ref().map_or_else(String::new, text);
                let why = if denied.action == Action::Ask {
                    " (it needed an answer)"
                } else {
                    ""
                };
                format!(
                    "denied: {} {path} by {}{why}",
                    denied.op.name(),
                    short(denied.by.as_bytes())
                )
            }
            Fact::Held(held) => {
                format!("hold {}: {} {}", held.hold, held.op.name(), object(held))
            }
            Fact::Question(question) => format!(
                "question about hold {} by {}",
                question.hold,
                short(question.by.as_bytes())
            ),
            Fact::Answer(answer) => format!(
                "answer to hold {}: {} by {} ({}), {}",
                answer.hold,
                action(answer.action),
                short(answer.by.as_bytes()),
                who(answer.who),
                scope(&answer.scope)
            ),
            Fact::Killed(killed) => format!(
                "killed: process tree {} ({} processes) by {}",
                killed.root,
                killed.count,
                short(killed.by.as_bytes())
            ),
            Fact::Freeze(freeze) => match freeze.frozen {
                true => "frozen: the machine stands still".to_owned(),
                false => "the machine goes on".to_owned(),
            },
            _ => kind.to_owned(),
        }
    }

    fn flow_deed(&self) -> String {
        let target = match (&self.event.fact, self.flow()) {
            (Fact::FlowAsked(asked), _) => short(asked.target.to_string().as_bytes()),
            (_, Some(flow)) => short(flow.target.to_string().as_bytes()),
            (_, None) => "an unknown flow".to_owned(),
        };
        match &self.event.fact {
            Fact::Decision(decision) => {
                let by = short(decision.by.as_bytes());
                match decision.action {
                    Action::Deny | Action::Kill => format!("{target}: {}", refused_by(&by)),
                    other => format!("{target}: {} by {by}", action(other)),
                }
            }
            Fact::FlowOpened(opened) => match &opened.how {
                Dial::Connected(addr) => format!("{target}: connected at {addr}"),
                Dial::Refused { addr, range } => {
                    let by = self.flow().map(|flow| flow.by.as_ref());
                    let by = by.filter(|by| by.ends_with(range.as_str()));
                    let by = short(by.unwrap_or(range).as_bytes());
                    format!("{target}: {addr} {}", refused_by(&by))
                }
                Dial::Failed(why) => format!("{target}: not reached, {}", short(why.as_bytes())),
            },
            Fact::FlowClosed(closed) => {
                let why = closed.why.as_ref().map_or_else(String::new, |why| {
                    format!(", ended: {}", short(why.as_bytes()))
                });
                format!(
                    "{target}: closed, {} bytes out, {} bytes in{why}",
                    closed.sent, closed.received
                )
            }
            Fact::CanarySeen(seen) => format!(
                "{target}: canary of the {} decoy, {}, at byte {}{}",
                short(seen.kind.as_bytes()),
                short(seen.encoding.as_bytes()),
                seen.at,
                if seen.cut { ": cut" } else { "" }
            ),
            _ => format!("{target}: flow asked for"),
        }
    }

    fn deed_of_run(&self, kind: &'static str) -> String {
        match &self.event.fact {
            Fact::Phase(phase) => match &phase.step {
                Step::Begin { argv, .. } => {
                    format!(
                        "phase {} begins: {}",
                        short(phase.name.as_bytes()),
                        command(argv)
                    )
                }
                Step::End(how) => format!(
                    "phase {} ends: {}",
                    short(phase.name.as_bytes()),
                    status(*how)
                ),
            },
            Fact::Installed(installed) => format!(
                "{} install scripts in {} packages",
                installed.scripts.len(),
                installed.packages
            ),
            Fact::Lost(lost) => format!(
                "{} events lost: {}",
                lost.count,
                short(lost.place.as_bytes())
            ),
            Fact::Ended(ended) => escape::clip(&end(&ended.how), MAX_LINE),
            Fact::Output(output) => format!("{} bytes to the terminal", output.bytes.len()),
            Fact::Transfer(moved) => format!(
                "{} bytes read from {} and {} written",
                moved.read,
                text(&moved.file),
                moved.written
            ),
            Fact::Signal(signal) => {
                format!("{kind}: signal {} to {}", signal.signal, signal.target)
            }
            Fact::LimitReached(reached) => format!(
                "limit reached: {} ({} {})",
                short(reached.what.as_bytes()),
                reached.limit,
                short(reached.unit.as_bytes())
            ),
            Fact::TlsHello(hello) => format!(
                "TLS for {}{}",
                hello
                    .name
                    .as_ref()
                    .map_or_else(|| "no name".to_owned(), text),
                if hello.encrypted {
                    ", another one encrypted inside"
                } else {
                    ""
                }
            ),
            Fact::HttpRequest(request) => format!(
                "HTTP {} {} at {}",
                text(&request.method),
                text(&request.target),
                request
                    .host
                    .as_ref()
                    .map_or_else(|| "no host".to_owned(), text)
            ),
            Fact::Machine(machine) => format!(
                "machine {} ({})",
                short(machine.hypervisor.as_bytes()),
                short(machine.accelerator.as_bytes())
            ),
            Fact::Armed(armed) => {
                let held = armed.checks.iter().filter(|check| check.held).count();
                format!("armed: {held} of {} checks held", armed.checks.len())
            }
            Fact::Copied(copied) => {
                format!(
                    "{} files copied in, {} left out",
                    copied.files, copied.left_out_total
                )
            }
            Fact::Decoys(decoys) => format!("{} decoys laid out", decoys.decoys.len()),
            Fact::Policy(_) => "policy in force".to_owned(),
            Fact::Listen(listen) => format!("listen on descriptor {}", listen.fd),
            Fact::Accept(accept) => format!("{kind} on descriptor {}", accept.fd),
            _ => kind.to_owned(),
        }
    }

    fn first_path(&self) -> String {
        self.paths
            .first
            .as_ref()
            .map_or_else(|| "<unreadable>".to_owned(), |place| short(&place.bytes))
    }

    fn second_path(&self) -> String {
        self.paths
            .second
            .as_ref()
            .map_or_else(|| "<unreadable>".to_owned(), |place| short(&place.bytes))
    }

    /// A field's value for people, escaped; what is not known says so.
    #[must_use]
    pub fn shown(&self, field: Field) -> String {
        escape::clip(&shown(&self.value(field)), MAX_LINE)
    }
}

fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Absent => "-".to_owned(),
        Value::Unknown => "<unknown>".to_owned(),
        Value::Bool(is) => is.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Bytes(bytes) => short(bytes),
        Value::Cut(bytes) => format!("{}…", short(bytes).trim_end_matches('…')),
        Value::Ip(ip) => ip.to_string(),
        Value::List(values) => values.iter().map(shown).collect::<Vec<_>>().join(" ← "),
    }
}
