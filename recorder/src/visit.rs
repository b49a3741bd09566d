//! Every piece of text and every address in a trace, in one walk.
//!
//! Owns: which field of which fact is text, and what sort. No struct is taken
//! apart with `..`, so a new kind or field does not compile until somebody has
//! said here whether it can hold a secret.
//! Must not: know what is done with what it finds.

use std::net::{IpAddr, SocketAddr};

use belljar_event::{
    Accept, Addr, Answer, Armed, Bind, CanarySeen, Change, Check, Connect, Copied, Decision, Decoy,
    Decoys, Denied, Dial, Dup, End, Ended, Exec, Exit, Fact, FlowAsked, FlowClosed, FlowOpened,
    Fork, Freeze, Guard, Held, HttpRequest, Identity, InstallScript, Installed, Killed, LeftOut,
    LimitReached, Listen, Look, Lost, Machine, Name, NameAnswer, Open, Output, Phase, Policy,
    Question, Sample, Scope, Send, Signal, Socket, Step, Target, Text, TlsHello, Transfer,
};

use crate::Start;

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A path, all of it.
    Path,
    /// A host name, all of it.
    Name,
    /// Anything: an argument, a word of belljar's own, a policy.
    Words,
}

/// Who is shown everything, and may change it.
pub trait Visit {
    /// Bytes of the guest.
    fn text(&mut self, role: Role, text: &mut Text);
    /// A string of the host's.
    fn string(&mut self, role: Role, text: &mut String);
    /// A path, and the folder that it starts from if it is relative.
    fn placed(&mut self, path: &mut Text, base: Option<&mut Text>);
    /// What the payload printed: one piece of a longer stream.
    fn output(&mut self, bytes: &mut Box<[u8]>);
    /// An address.
    fn address(&mut self, ip: &mut IpAddr);
}

/// Shows a start record.
pub fn visit_start(start: &mut Start, v: &mut dyn Visit) {
    let Start {
        engine,
        label,
        command,
        image,
        kernel,
        rules,
        redacted,
    } = start;
    for text in [engine, label, image, kernel, rules] {
        v.string(Role::Words, text);
    }
    texts(command, v);
    for pattern in redacted {
        v.string(Role::Words, pattern);
    }
}

/// Shows a fact. What depends on its texts is brought up to date: a policy's
/// digest (unless it was wrong before), the length of an exec's arguments.
pub fn visit_fact(fact: &mut Fact, v: &mut dyn Visit) {
    match fact {
        Fact::Policy(_)
        | Fact::Decoys(_)
        | Fact::Machine(_)
        | Fact::Armed(_)
        | Fact::Copied(_)
        | Fact::Phase(_)
        | Fact::Lost(_)
        | Fact::Ended(_)
        | Fact::LimitReached(_)
        | Fact::Sample(_)
        | Fact::Installed(_) => life(fact, v),
        Fact::Exec(exec) => executed(exec, v),
        Fact::Fork(Fork { child: _ }) | Fact::Exit(Exit { status: _ }) => {}
        Fact::Open(_)
        | Fact::Change(_)
        | Fact::Look(_)
        | Fact::Transfer(_)
        | Fact::Guard(_)
        | Fact::Signal(_)
        | Fact::Identity(_)
        | Fact::Dup(_) => files(fact, v),
        Fact::Socket(_)
        | Fact::Connect(_)
        | Fact::Bind(_)
        | Fact::Listen(_)
        | Fact::Accept(_)
        | Fact::Send(_) => sockets(fact, v),
        Fact::Name(_)
        | Fact::FlowAsked(_)
        | Fact::Decision(_)
        | Fact::FlowOpened(_)
        | Fact::FlowClosed(_)
        | Fact::TlsHello(_)
        | Fact::HttpRequest(_)
        | Fact::CanarySeen(_) => flows(fact, v),
        Fact::Denied(_)
        | Fact::Held(_)
        | Fact::Question(_)
        | Fact::Answer(_)
        | Fact::Killed(_)
        | Fact::Freeze(_) => holds(fact, v),
        Fact::Output(Output { bytes }) => v.output(bytes),
    }
}

fn holds(fact: &mut Fact, v: &mut dyn Visit) {
    match fact {
        Fact::Denied(Denied {
            op: _,
            path,
            action: _,
            by,
        }) => {
            whole(path, v);
            v.string(Role::Words, by);
        }
        Fact::Held(Held {
            hold: _,
            op: _,
            call: _,
            path,
            other,
            target,
            argv,
        }) => {
            whole(path, v);
            whole(other, v);
            match target {
                Some(Target::Name { name, port: _ }) => v.string(Role::Name, name),
                Some(Target::Direct(addr)) => inet(addr, v),
                None => {}
            }
            texts(argv, v);
        }
        Fact::Question(Question { hold: _, by }) => v.string(Role::Words, by),
        Fact::Answer(Answer {
            hold: _,
            action: _,
            who: _,
            by,
            scope,
            waited: _,
        }) => {
            v.string(Role::Words, by);
            match scope {
                Scope::Saved(line) => v.string(Role::Words, line),
                Scope::Once | Scope::Tree(_) | Scope::Run => {}
            }
        }
        Fact::Killed(Killed {
            root: _,
            count: _,
            by,
        }) => v.string(Role::Words, by),
        Fact::Freeze(Freeze { frozen: _ }) => {}
        _ => {}
    }
}

fn life(fact: &mut Fact, v: &mut dyn Visit) {
    match fact {
        Fact::Policy(Policy { source, digest }) => {
            let agreed = blake3::hash(source.as_bytes()) == *digest;
            v.string(Role::Words, source);
            if agreed {
                *digest = *blake3::hash(source.as_bytes()).as_bytes();
            }
        }
        Fact::Decoys(Decoys { decoys }) => {
            for Decoy { path, kind, canary } in decoys {
                v.placed(path, None);
                v.string(Role::Words, kind);
                v.string(Role::Words, canary);
            }
        }
        Fact::Machine(Machine {
            hypervisor,
            accelerator,
            degraded: _,
            cpus: _,
            memory_mib: _,
        }) => {
            v.string(Role::Words, hypervisor);
            v.string(Role::Words, accelerator);
        }
        Fact::Armed(Armed { kernel, checks }) => {
            v.string(Role::Words, kernel);
            for Check { name, held: _ } in checks {
                v.string(Role::Words, name);
            }
        }
        Fact::Copied(Copied {
            files: _,
            bytes: _,
            left_out,
            left_out_total: _,
        }) => {
            for LeftOut { path, why } in left_out {
                v.placed(path, None);
                v.string(Role::Words, why);
            }
        }
        Fact::Phase(Phase { name, step }) => {
            v.string(Role::Words, name);
            match step {
                Step::Begin { argv, pid: _ } => texts(argv, v),
                Step::End(_) => {}
            }
        }
        Fact::Lost(Lost { count: _, place }) => v.string(Role::Words, place),
        Fact::Ended(Ended { how }) => visit_end(how, v),
        Fact::LimitReached(LimitReached {
            what,
            limit: _,
            unit,
        }) => {
            v.string(Role::Words, what);
            v.string(Role::Words, unit);
        }
        Fact::Sample(Sample {
            cpu_us: _,
            memory: _,
            tasks: _,
            disk: _,
        }) => {}
        Fact::Installed(Installed {
            client,
            answered: _,
            packages: _,
            scripts,
            more: _,
        }) => {
            v.string(Role::Words, client);
            for script in scripts {
                install_script(script, v);
            }
        }
        _ => {}
    }
}

fn install_script(script: &mut InstallScript, v: &mut dyn Visit) {
    let InstallScript {
        package,
        version,
        script,
        command,
        ran: _,
    } = script;
    v.text(Role::Words, package);
    if let Some(version) = version {
        v.text(Role::Words, version);
    }
    v.string(Role::Words, script);
    v.text(Role::Words, command);
}

/// Shows how a run ended.
pub fn visit_end(end: &mut End, v: &mut dyn Visit) {
    match end {
        End::Finished(_) | End::Interrupted | End::TimedOut => {}
        End::GuestLost(why) | End::Failed(why) | End::Stopped(why) => v.string(Role::Words, why),
    }
}

fn executed(exec: &mut Exec, v: &mut dyn Visit) {
    let Exec {
        call: _,
        parent: _,
        path,
        file,
        interpreter,
        argv,
        argv_bytes,
        cwd,
        uid: _,
        stdio: _,
        unlinked: _,
        content: _,
        inherited: _,
    } = exec;
    v.placed(path, cwd.as_mut());
    for file in [file, interpreter].into_iter().flatten() {
        v.placed(file, None);
    }
    let length = |argv: &[Text]| -> u64 { argv.iter().map(|arg| arg.bytes().len() as u64).sum() };
    let before = length(argv);
    texts(argv, v);
    // What was cut stays cut, and what was whole stays whole.
    *argv_bytes = argv_bytes
        .saturating_sub(before)
        .saturating_add(length(argv));
}

fn files(fact: &mut Fact, v: &mut dyn Visit) {
    match fact {
        Fact::Open(Open {
            call: _,
            path,
            base,
            file,
            flags: _,
            mode: _,
        }) => {
            v.placed(path, base.as_mut());
            whole(file, v);
        }
        Fact::Change(Change {
            call: _,
            path,
            base,
            other,
            other_base,
            value: _,
            file,
            other_file,
        }) => {
            v.placed(path, base.as_mut());
            match (other, other_base) {
                (Some(other), base) => v.placed(other, base.as_mut()),
                (None, base) => whole(base, v),
            }
            whole(file, v);
            whole(other_file, v);
        }
        Fact::Look(Look {
            call: _,
            path,
            base,
        }) => v.placed(path, base.as_mut()),
        Fact::Transfer(Transfer {
            file,
            read: _,
            written: _,
        }) => v.placed(file, None),
        Fact::Guard(Guard {
            call: _,
            path,
            args: _,
        }) => whole(path, v),
        Fact::Signal(Signal {
            call: _,
            target: _,
            signal: _,
        })
        | Fact::Identity(Identity { call: _, ids: _ })
        | Fact::Dup(Dup {
            call: _,
            from: _,
            to: _,
            what: _,
        }) => {}
        _ => {}
    }
}

fn sockets(fact: &mut Fact, v: &mut dyn Visit) {
    match fact {
        Fact::Connect(Connect { fd: _, addr, name }) => {
            socket_address(addr, v);
            if let Some(name) = name {
                v.string(Role::Name, name);
            }
        }
        Fact::Bind(Bind { fd: _, addr })
        | Fact::Send(Send {
            call: _,
            fd: _,
            addr,
            bytes: _,
        }) => socket_address(addr, v),
        Fact::Socket(Socket {
            family: _,
            kind: _,
            protocol: _,
        })
        | Fact::Listen(Listen { fd: _ })
        | Fact::Accept(Accept { fd: _ }) => {}
        _ => {}
    }
}

fn flows(fact: &mut Fact, v: &mut dyn Visit) {
    match fact {
        Fact::Name(Name {
            name,
            kind: _,
            answer,
            by,
        }) => {
            v.text(Role::Name, name);
            v.string(Role::Words, by);
            match answer {
                // The stub's own stand-in: it says nothing of the name.
                NameAnswer::Synthetic(_) | NameAnswer::Refused | NameAnswer::NoData => {}
            }
        }
        Fact::FlowAsked(FlowAsked { flow: _, target }) => match target {
            Target::Name { name, port: _ } => v.string(Role::Name, name),
            Target::Direct(addr) => inet(addr, v),
        },
        Fact::Decision(Decision {
            flow: _,
            action: _,
            by,
        }) => v.string(Role::Words, by),
        Fact::FlowOpened(FlowOpened { flow: _, how }) => match how {
            Dial::Connected(addr) => inet(addr, v),
            Dial::Refused { addr, range } => {
                inet(addr, v);
                v.string(Role::Words, range);
            }
            Dial::Failed(why) => v.string(Role::Words, why),
        },
        Fact::FlowClosed(FlowClosed {
            flow: _,
            sent: _,
            received: _,
            why,
        }) => {
            why.iter_mut().for_each(|why| v.string(Role::Words, why));
        }
        Fact::TlsHello(TlsHello {
            flow: _,
            name,
            alpn,
            encrypted: _,
        }) => {
            if let Some(name) = name {
                v.text(Role::Name, name);
            }
            texts(alpn, v);
        }
        Fact::CanarySeen(CanarySeen {
            flow: _,
            decoy: _,
            kind,
            encoding,
            at: _,
            cut: _,
        }) => {
            v.string(Role::Words, kind);
            v.string(Role::Words, encoding);
        }
        Fact::HttpRequest(HttpRequest {
            flow: _,
            method,
            target,
            host,
        }) => {
            v.text(Role::Words, method);
            v.text(Role::Words, target);
            if let Some(host) = host {
                v.text(Role::Words, host);
            }
        }
        _ => {}
    }
}

fn texts(texts: &mut [Text], v: &mut dyn Visit) {
    for text in texts {
        v.text(Role::Words, text);
    }
}

fn whole(path: &mut Option<Text>, v: &mut dyn Visit) {
    if let Some(path) = path {
        v.placed(path, None);
    }
}

fn socket_address(addr: &mut Addr, v: &mut dyn Visit) {
    match addr {
        Addr::Inet(addr) => inet(addr, v),
        Addr::Unix(path) => v.text(Role::Path, path),
        Addr::Other(_) | Addr::Unreadable => {}
    }
}

fn inet(addr: &mut SocketAddr, v: &mut dyn Visit) {
    let mut ip = addr.ip();
    v.address(&mut ip);
    if ip != addr.ip() {
        addr.set_ip(ip);
    }
}
