//! One entry as one line of JSON, for programs.
//!
//! Owns: the names of the fields. Must not: lose bytes, or let through a
//! character that a terminal obeys: what is hidden is written as `\uXXXX`,
//! which is the same string to a JSON parser.

use belljar_event::{
    Addr, Decoy, Dial, End, Event, Fact, NameAnswer, Outcome, Status, Step, Target, Text,
};
use belljar_recorder::Entry;
use serde_json::{Map, Value, json};

use crate::escape::is_plain;
use crate::hex;
use crate::moment;
use crate::rules::event_type;

/// The entry as a line, without a newline at the end.
#[must_use]
pub fn line(entry: &Entry) -> String {
    line_of(entry.seq(), entry.event())
}

/// As [`line()`], of an event whose number is known.
#[must_use]
pub fn line_of(seq: u64, event: &Event) -> String {
    guarded(&value_of(seq, event).to_string())
}

/// JSON text with every hidden character as an escape. In JSON, such characters
/// stand inside strings only, but for line ends, which stand between its parts only.
#[must_use]
pub fn guarded(json: &str) -> String {
    let stays = |c: char| c == '\\' || c == '\n' || is_plain(c);
    if json.chars().all(stays) {
        return json.to_owned();
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if stays(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

/// The entry as an object: number, time, type, process, result, and the kind's own fields.
#[must_use]
pub fn value(entry: &Entry) -> Value {
    value_of(entry.seq(), entry.event())
}

fn value_of(seq: u64, event: &Event) -> Value {
    let mut object = Map::new();
    object.insert("seq".into(), seq.into());
    object.insert("at".into(), event.at.into());
    object.insert("type".into(), event_type(event).into());
    object.insert("kind".into(), event.fact.kind_name().into());
    if event.pid != 0 {
        object.insert("pid".into(), event.pid.into());
        object.insert("tid".into(), event.tid.into());
    }
    match event.outcome {
        Outcome::None => {}
        Outcome::Returned(value) => {
            object.insert("result".into(), value.into());
        }
        Outcome::Refused(value) => {
            object.insert("result".into(), value.into());
            object.insert("refused".into(), true.into());
        }
        Outcome::Died => {
            object.insert("died".into(), true.into());
        }
    }
    object.insert("fact".into(), fact(&event.fact));
    Value::Object(object)
}

/// A string if it is whole and UTF-8; else an object that says what is missing.
fn text(text: &Text) -> Value {
    let readable = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => json!({ "text": text }),
        Err(_) => json!({ "text": String::from_utf8_lossy(bytes), "hex": hex(bytes) }),
    };
    match text {
        Text::Unreadable => json!({ "unreadable": true }),
        Text::Whole(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => readable(bytes),
        },
        Text::Cut { bytes, length } => {
            let mut value = readable(bytes);
            if let Value::Object(object) = &mut value {
                object.insert("length".into(), (*length).into());
            }
            value
        }
    }
}

fn maybe(value: Option<&Text>) -> Value {
    value.map_or(Value::Null, text)
}

fn texts(values: &[Text]) -> Value {
    values.iter().map(text).collect()
}

fn addr(addr: &Addr) -> Value {
    match addr {
        Addr::Inet(addr) => addr.to_string().into(),
        Addr::Unix(path) => json!({ "unix": text(path) }),
        Addr::Other(family) => json!({ "family": family }),
        Addr::Unreadable => json!({ "unreadable": true }),
    }
}

fn target(target: &Target) -> Value {
    match target {
        Target::Name { name, port } => json!({ "name": name, "port": port }),
        Target::Direct(addr) => json!({ "ip": addr.ip().to_string(), "port": addr.port() }),
    }
}

fn status(status: Status) -> Value {
    match status {
        Status::Code(code) => json!({ "code": code }),
        Status::Signal(signal) => json!({ "signal": signal }),
    }
}

fn end(end: &End) -> Value {
    match end {
        End::Finished(how) => json!({ "finished": status(*how) }),
        End::Interrupted => "interrupted".into(),
        End::TimedOut => "timed out".into(),
        End::GuestLost(why) => json!({ "guest lost": why }),
        End::Failed(why) => json!({ "failed": why }),
        End::Stopped(why) => json!({ "stopped": why }),
    }
}

fn decoy(decoy: &Decoy) -> Value {
    json!({ "path": text(&decoy.path), "kind": decoy.kind, "canary": decoy.canary })
}

fn fact(fact: &Fact) -> Value {
    match fact {
        Fact::Exec(exec) => json!({
            "path": text(&exec.path),
            "file": maybe(exec.file.as_ref()),
            "interpreter": maybe(exec.interpreter.as_ref()),
            "argv": texts(&exec.argv),
            "argv_bytes": exec.argv_bytes,
            "cwd": maybe(exec.cwd.as_ref()),
            "parent": exec.parent,
            "uid": exec.uid,
            "stdio": exec.stdio.map(moment::descriptor),
            "unlinked": exec.unlinked,
            "content": exec.content.map(|digest| hex(&digest)),
            "inherited": exec
                .inherited
                .iter()
                .map(|(fd, what)| json!({ "fd": fd, "what": moment::descriptor(*what) }))
                .collect::<Vec<_>>(),
        }),
        Fact::Fork(fork) => json!({ "child": fork.child }),
        Fact::Exit(exit) => status(exit.status),
        Fact::Open(open) => json!({
            "path": text(&open.path),
            "base": maybe(open.base.as_ref()),
            "file": maybe(open.file.as_ref()),
            "flags": moment::open_flags(open.flags),
            "mode": open.mode,
        }),
        Fact::Change(change) => json!({
            "path": text(&change.path),
            "base": maybe(change.base.as_ref()),
            "other": maybe(change.other.as_ref()),
            "other_base": maybe(change.other_base.as_ref()),
            "value": change.value,
            "file": maybe(change.file.as_ref()),
            "other_file": maybe(change.other_file.as_ref()),
        }),
        Fact::Look(look) => json!({ "path": text(&look.path), "base": maybe(look.base.as_ref()) }),
        Fact::Guard(guard) => json!({ "path": maybe(guard.path.as_ref()), "args": guard.args }),
        Fact::Output(output) => text(&Text::new(&output.bytes)),
        Fact::Transfer(moved) => {
            json!({ "file": text(&moved.file), "read": moved.read, "written": moved.written })
        }
        Fact::Signal(signal) => json!({ "target": signal.target, "signal": signal.signal }),
        Fact::Identity(identity) => json!({ "ids": identity.ids }),
        other => of_network(other)
            .or_else(|| of_holds(other))
            .or_else(|| of_run(other))
            .unwrap_or(Value::Null),
    }
}

fn of_network(fact: &Fact) -> Option<Value> {
    Some(match fact {
        Fact::Socket(socket) => {
            json!({ "family": socket.family, "type": socket.kind, "protocol": socket.protocol })
        }
        Fact::Connect(connect) => {
            json!({ "fd": connect.fd, "addr": addr(&connect.addr), "name": connect.name })
        }
        Fact::Bind(bind) => json!({ "fd": bind.fd, "addr": addr(&bind.addr) }),
        Fact::Listen(listen) => json!({ "fd": listen.fd }),
        Fact::Accept(accept) => json!({ "fd": accept.fd }),
        Fact::Send(send) => json!({ "fd": send.fd, "addr": addr(&send.addr), "bytes": send.bytes }),
        Fact::Dup(dup) => {
            json!({ "from": dup.from, "to": dup.to, "what": moment::descriptor(dup.what) })
        }
        Fact::Name(name) => json!({
            "name": text(&name.name),
            "record": name.kind,
            "answer": match name.answer {
                NameAnswer::Synthetic(ip) => json!({ "synthetic": ip.to_string() }),
                NameAnswer::Refused => "refused".into(),
                NameAnswer::NoData => "no data".into(),
            },
            "by": name.by,
        }),
        Fact::FlowAsked(asked) => json!({ "flow": asked.flow, "target": target(&asked.target) }),
        Fact::Decision(decision) => {
            json!({ "flow": decision.flow, "action": moment::action(decision.action), "by": decision.by })
        }
        Fact::FlowOpened(opened) => json!({
            "flow": opened.flow,
            "how": match &opened.how {
                Dial::Connected(addr) => json!({ "connected": addr.to_string() }),
                Dial::Refused { addr, range } => json!({ "refused": addr.to_string(), "range": range }),
                Dial::Failed(why) => json!({ "failed": why }),
            },
        }),
        Fact::FlowClosed(closed) => {
            json!({
                "flow": closed.flow,
                "sent": closed.sent,
                "received": closed.received,
                "why": closed.why,
            })
        }
        Fact::TlsHello(hello) => json!({
            "flow": hello.flow,
            "name": maybe(hello.name.as_ref()),
            "alpn": texts(&hello.alpn),
            "encrypted": hello.encrypted,
        }),
        Fact::CanarySeen(seen) => json!({
            "flow": seen.flow,
            "decoy": seen.decoy,
            "kind": seen.kind,
            "encoding": seen.encoding,
            "at": seen.at,
            "cut": seen.cut,
        }),
        Fact::HttpRequest(request) => json!({
            "flow": request.flow,
            "method": text(&request.method),
            "target": text(&request.target),
            "host": maybe(request.host.as_ref()),
        }),
        _ => return None,
    })
}

fn of_holds(fact: &Fact) -> Option<Value> {
    Some(match fact {
        Fact::Denied(denied) => json!({
            "op": denied.op.name(),
            "path": maybe(denied.path.as_ref()),
            "action": moment::action(denied.action),
            "by": denied.by,
        }),
        Fact::Held(held) => json!({
            "hold": held.hold,
            "op": held.op.name(),
            "call": held.call.name(),
            "path": maybe(held.path.as_ref()),
            "other": maybe(held.other.as_ref()),
            "target": held.target.as_ref().map(target),
            "argv": texts(&held.argv),
        }),
        Fact::Question(question) => json!({ "hold": question.hold, "by": question.by }),
        Fact::Answer(answer) => json!({
            "hold": answer.hold,
            "action": moment::action(answer.action),
            "who": moment::who(answer.who),
            "by": answer.by,
            "scope": moment::scope(&answer.scope),
            "waited": answer.waited,
        }),
        Fact::Killed(killed) => {
            json!({ "root": killed.root, "count": killed.count, "by": killed.by })
        }
        Fact::Freeze(freeze) => json!({ "frozen": freeze.frozen }),
        _ => return None,
    })
}

fn of_run(fact: &Fact) -> Option<Value> {
    Some(match fact {
        Fact::LimitReached(reached) => {
            json!({ "what": reached.what, "limit": reached.limit, "unit": reached.unit })
        }
        Fact::Sample(sample) => json!({
            "cpu_us": sample.cpu_us,
            "memory": sample.memory,
            "tasks": sample.tasks,
            "disk": sample.disk,
        }),
        Fact::Policy(policy) => json!({ "source": policy.source, "digest": hex(&policy.digest) }),
        Fact::Decoys(decoys) => {
            json!({ "decoys": decoys.decoys.iter().map(decoy).collect::<Vec<_>>() })
        }
        Fact::Machine(machine) => json!({
            "hypervisor": machine.hypervisor,
            "accelerator": machine.accelerator,
            "degraded": machine.degraded,
            "cpus": machine.cpus,
            "memory_mib": machine.memory_mib,
        }),
        Fact::Armed(armed) => {
            let check =
                |check: &belljar_event::Check| json!({ "name": check.name, "held": check.held });
            json!({ "kernel": armed.kernel, "checks": armed.checks.iter().map(check).collect::<Vec<_>>() })
        }
        Fact::Copied(copied) => {
            let left = |left: &belljar_event::LeftOut| json!({ "path": text(&left.path), "why": left.why });
            json!({
                "files": copied.files,
                "bytes": copied.bytes,
                "left_out": copied.left_out.iter().map(left).collect::<Vec<_>>(),
                "left_out_total": copied.left_out_total,
            })
        }
        Fact::Phase(phase) => match &phase.step {
            Step::Begin { argv, pid } => {
                json!({ "name": phase.name, "begin": texts(argv), "pid": pid })
            }
            Step::End(how) => json!({ "name": phase.name, "end": status(*how) }),
        },
        Fact::Installed(installed) => json!({
            "client": installed.client,
            "answered": installed.answered,
            "packages": installed.packages,
            "scripts": installed.scripts.iter().map(install_script).collect::<Vec<_>>(),
            "more": installed.more,
        }),
        Fact::Lost(lost) => json!({ "count": lost.count, "place": lost.place }),
        Fact::Ended(ended) => end(&ended.how),
        _ => return None,
    })
}

fn install_script(script: &belljar_event::InstallScript) -> Value {
    json!({
        "package": text(&script.package),
        "version": maybe(script.version.as_ref()),
        "script": script.script,
        "command": text(&script.command),
        "ran": script.ran,
    })
}
