//! The value of every field.
//!
//! Owns: `Subject for Moment`. Must not: allocate where it can borrow; this
//! is asked several times an event.

use std::net::IpAddr;
use std::ops::ControlFlow;

use belljar_event::{Addr, Call, Decoy, Descriptor, Fact, Op, Outcome, Target};

use super::{Marks, Moment, Peer, fields, foreign, summary};
use crate::cond::{Field, Subject, Value};
use crate::session::path::{base_name, folder};
use crate::session::{FileState, Program, Wants, credential};

/// S_ISUID and S_ISGID.
const SETID: u64 = 0o6000;
const NANOS_PER_MILLI: u64 = 1_000_000;

impl Subject for Moment<'_> {
    fn value(&self, field: Field) -> Value<'_> {
        match field {
            Field::EvtType => Value::str(self.event_type()),
            Field::EvtOp => self.op().map(|op| op.name()).into(),
            Field::EvtNum => self.seq.into(),
            Field::EvtRawTime => self.event.at.into(),
            Field::EvtRawRes | Field::EvtRes | Field::EvtFailed => self.result_value(field),
            Field::EvtIsOpenRead
            | Field::EvtIsOpenWrite
            | Field::EvtIsOpenCreate
            | Field::EvtArgFlags
            | Field::EvtArgMode
            | Field::EvtArgValue
            | Field::EvtArgAt(_) => self.argument(field),
            Field::EvtArgModeFlags
            | Field::EvtArgName
            | Field::EvtArgPath
            | Field::EvtArgFilename
            | Field::EvtArgTarget
            | Field::EvtArgLinkpath
            | Field::EvtArgOldpath
            | Field::EvtArgNewpath
            | Field::EvtArgUid
            | Field::EvtArgRequest
            | Field::EvtArgCmd
            | Field::EvtArgDomain
            | Field::EvtIsOpenExec
            | Field::FdNameraw
            | Field::FdConnected
            | Field::FdNameChanged => self.foreign(field),
            Field::EvtDir
            | Field::UserLoginuid
            | Field::UserLoginname
            | Field::ThreadCapEffective
            | Field::ThreadCapPermitted
            | Field::ThreadCapInheritable
            | Field::ContainerId
            | Field::ContainerName
            | Field::ContainerType
            | Field::ContainerNone => field.fixed().unwrap_or(Value::Absent),
            Field::EvtArgSetid => self.setid(),
            Field::ThreadTid => match self.event.tid {
                0 => Value::Absent,
                tid => tid.into(),
            },
            Field::FdNum
            | Field::FdName
            | Field::FdDirectory
            | Field::FdFilename
            | Field::FdType
            | Field::FdTypechar
            | Field::FdL4proto
            | Field::FdSport
            | Field::FdSockfamily
            | Field::FdRip
            | Field::FdSip => self.descriptor(field),
            Field::FsPathName
            | Field::FsPathSource
            | Field::FsPathTarget
            | Field::FsPathWritten
            | Field::PathDecoy
            | Field::PathDecoyKind
            | Field::PathDropped
            | Field::PathHidden
            | Field::PathCredential => self.path(field),
            Field::NetName
            | Field::NetDomain
            | Field::NetSite
            | Field::NetDirect
            | Field::NetRefused
            | Field::NetAction
            | Field::NetBy
            | Field::DnsName
            | Field::DnsLabels
            | Field::DnsLongestLabel
            | Field::DnsLabelEntropy
            | Field::DnsRefused => self.network(field),
            Field::CanaryKind | Field::CanaryWhere | Field::CanaryEncoding | Field::CanaryPath => {
                self.canary_value(field)
            }
            Field::PhaseName => self.phase(),
            Field::ExecName
            | Field::ExecCmdline
            | Field::ExitStatus
            | Field::ExitSignal
            | Field::SignalNumber
            | Field::SignalTarget
            | Field::RunEnd
            | Field::RunFailedCheck
            | Field::LimitWhat
            | Field::SampleCpuMs
            | Field::PathEntropy
            | Field::NetSent
            | Field::NetReceived
            | Field::TlsName
            | Field::HttpMethod
            | Field::HttpTarget
            | Field::HttpHost
            | Field::PhaseMs
            | Field::BaselineName
            | Field::BaselineLearned
            | Field::BaselineFlows
            | Field::BaselineProcesses
            | Field::BaselineOver
            | Field::BaselineDrift => self.more(field),
            _ => self.of_process(field),
        }
    }

    fn each(&self, field: Field, visit: &mut dyn FnMut(&Value<'_>) -> ControlFlow<()>) {
        let indexed = match field {
            Field::ProcAname => Field::ProcAnameAt(0),
            Field::ProcAcmdline => Field::ProcAcmdlineAt(0),
            Field::ProcAexePath => Field::ProcAexePathAt(0),
            Field::ProcAexe => Field::ProcAexeAt(0),
            Field::ProcApid => Field::ProcApidAt(0),
            _ => {
                let _ = visit(&self.value(field));
                return;
            }
        };
        let Some(key) = self.process_key() else {
            let _ = visit(&Value::Absent);
            return;
        };
        for (_, process) in self.session.processes.line(key).skip(1) {
            let value = match indexed {
                Field::ProcApidAt(_) => process.pid.into(),
                _ => process
                    .program
                    .as_deref()
                    .map_or(Value::Unknown, |p| of_program(p, indexed)),
            };
            if visit(&value).is_break() {
                return;
            }
        }
    }
}

impl Moment<'_> {
    fn result_value(&self, field: Field) -> Value<'_> {
        let outcome = self.event.outcome;
        match (field, outcome) {
            (_, Outcome::None) => Value::Absent,
            (Field::EvtRes, _) => self.result().map(|name| name.into_owned()).into(),
            (_, Outcome::Died) => Value::Unknown,
            (Field::EvtFailed, _) => (!outcome.succeeded()).into(),
            _ => outcome.value().into(),
        }
    }

    fn argument(&self, field: Field) -> Value<'_> {
        match (&self.event.fact, field) {
            (Fact::Open(open), Field::EvtIsOpenRead) => Wants::of(open).read.into(),
            (Fact::Open(open), Field::EvtIsOpenWrite) => Wants::of(open).write.into(),
            (Fact::Open(open), Field::EvtIsOpenCreate) => Wants::of(open).create.into(),
            (Fact::Open(open), Field::EvtArgFlags) => fields::open_flags(open.flags).into(),
            (Fact::Open(open), Field::EvtArgMode) => open.mode.into(),
            (Fact::Change(change), Field::EvtArgMode) if has_mode(change.call) => {
                change.value.into()
            }
            (Fact::Change(change), Field::EvtArgValue) => change.value.into(),
            (Fact::Socket(socket), Field::EvtArgAt(0)) => socket.family.into(),
            (Fact::Socket(socket), Field::EvtArgAt(2)) => socket.protocol.into(),
            (Fact::Guard(guard), Field::EvtArgAt(at)) => {
                // Raw bits: a negative argument stays negative.
                guard
                    .args
                    .get(usize::from(at))
                    .map(|arg| Value::Int(arg.cast_signed()))
                    .unwrap_or(Value::Absent)
            }
            _ => Value::Absent,
        }
    }

    fn setid(&self) -> Value<'_> {
        let mode = match &self.event.fact {
            Fact::Open(open) if Wants::of(open).create => u64::from(open.mode),
            Fact::Change(change) if has_mode(change.call) => {
                // Folders hand their group on with that bit.
                if change.call.name().starts_with("mkdir") {
                    return false.into();
                }
                change.value
            }
            _ => return Value::Absent,
        };
        let folder = || {
            self.files()
                .any(|(_, row)| row.is_some_and(|row| row.folder))
        };
        (mode & SETID != 0 && !folder()).into()
    }

    fn of_process(&self, field: Field) -> Value<'_> {
        let Some(process) = self.process() else {
            return match field {
                Field::ProcPid if self.event.pid != 0 => self.event.pid.into(),
                _ => Value::Absent,
            };
        };
        match field {
            Field::ProcPid => process.pid.into(),
            Field::ProcPpid => match (&self.event.fact, self.ancestor(1)) {
                (Fact::Exec(exec), _) => exec.parent.into(),
                (_, Some(parent)) => parent.pid.into(),
                (_, None) => Value::Unknown,
            },
            Field::ProcStdioNet => {
                let at_exec = self
                    .program()
                    .is_some_and(|p| p.stdio.contains(&Descriptor::NetSocket));
                (at_exec || process.dup_net).into()
            }
            Field::ProcDetached | Field::ProcDetachedMs => self.detached(field),
            Field::ProcTreeCredentialPaths | Field::ProcTreeCredentialKinds => {
                let key = self.process_key().unwrap_or_default();
                let branch = self.session.processes.branch(key);
                let (paths, kinds) = self.session.sweeps.counts(branch);
                if field == Field::ProcTreeCredentialPaths {
                    paths.into()
                } else {
                    kinds.into()
                }
            }
            Field::ProcDuration => self.event.at.saturating_sub(process.started).into(),
            Field::ProcPname
            | Field::ProcPcmdline
            | Field::ProcPexePath
            | Field::ProcPexe
            | Field::ProcPexeLine => self.above(1, field),
            Field::ProcAexeAt(up)
            | Field::ProcAnameAt(up)
            | Field::ProcAcmdlineAt(up)
            | Field::ProcAexePathAt(up)
            | Field::ProcApidAt(up) => self.above(up.into(), field),
            Field::ProcAname
            | Field::ProcAcmdline
            | Field::ProcAexePath
            | Field::ProcAexe
            | Field::ProcApid => self.all_above(field),
            // Before its first exec the payload's first process is still the agent:
            // nothing of what the rules call a program.
            _ if process.payload && process.program.is_none() => Value::Absent,
            _ => self
                .program()
                .map_or(Value::Unknown, |program| of_program(program, field)),
        }
    }

    fn detached(&self, field: Field) -> Value<'_> {
        let since = self
            .process_key()
            .and_then(|key| self.session.processes.detached(key));
        match field {
            Field::ProcDetached => since.is_some().into(),
            _ => since
                .map(|at| self.event.at.saturating_sub(at) / NANOS_PER_MILLI)
                .into(),
        }
    }

    fn above(&self, generations: usize, field: Field) -> Value<'_> {
        match (self.ancestor(generations), field) {
            (None, _) => Value::Absent,
            (Some(process), Field::ProcApidAt(_)) => process.pid.into(),
            (Some(process), _) => process
                .program
                .as_deref()
                .map_or(Value::Unknown, |p| of_program(p, field)),
        }
    }

    fn all_above(&self, field: Field) -> Value<'_> {
        let mut all = Vec::new();
        self.each(field, &mut |value| {
            all.push(match value {
                Value::Bytes(bytes) => Value::Bytes(bytes.to_vec().into()),
                Value::Cut(bytes) => Value::Cut(bytes.to_vec().into()),
                Value::Int(number) => Value::Int(*number),
                _ => Value::Unknown,
            });
            ControlFlow::Continue(())
        });
        Value::List(all)
    }

    fn descriptor(&self, field: Field) -> Value<'_> {
        match &self.event.fact {
            Fact::Open(open) => self.file_descriptor(field, Wants::of(open).directory),
            Fact::Held(held) if held.path.is_some() => self.file_descriptor(field, false),
            Fact::Denied(denied) if denied.path.is_some() => self.file_descriptor(field, false),
            Fact::Listen(listen) if field == Field::FdNum => i64::from(listen.fd).into(),
            Fact::Accept(accept) if field == Field::FdNum => i64::from(accept.fd).into(),
            Fact::Dup(dup) if field == Field::FdNum => i64::from(dup.to).into(),
            Fact::Socket(socket) => match field {
                Field::FdNum => self.event.outcome.value().filter(|fd| *fd >= 0).into(),
                Field::FdL4proto => proto(Some(socket.kind)),
                Field::FdType | Field::FdTypechar => family(socket.family, field),
                _ => Value::Absent,
            },
            _ => match self.peer() {
                Some(Peer::Call {
                    addr, fd, outgoing, ..
                }) => self.socket_call(field, addr, fd, outgoing),
                Some(Peer::Flow(target, flow)) => {
                    flow_value(field, target, flow.and_then(|flow| flow.dialled))
                }
                None => Value::Absent,
            },
        }
    }

    fn file_descriptor(&self, field: Field, directory: bool) -> Value<'_> {
        match field {
            Field::FdNum => self.event.outcome.value().filter(|fd| *fd >= 0).into(),
            Field::FdName => self.place(0),
            Field::FdDirectory => self.part(folder),
            Field::FdFilename => self.part(base_name),
            Field::FdType => Value::str(if directory { "directory" } else { "file" }),
            Field::FdTypechar => Value::str(if directory { "d" } else { "f" }),
            _ => Value::Absent,
        }
    }

    fn socket_call(&self, field: Field, addr: &Addr, fd: i32, outgoing: bool) -> Value<'_> {
        match (field, addr) {
            (Field::FdNum, _) => i64::from(fd).into(),
            (Field::FdName, Addr::Unix(_)) => match self.peer() {
                Some(Peer::Call {
                    addr: Addr::Unix(path),
                    ..
                }) => path.into(),
                _ => Value::Unknown,
            },
            (Field::FdName, Addr::Inet(addr)) => addr.to_string().into(),
            (Field::FdType | Field::FdTypechar, Addr::Inet(addr)) => {
                family(if addr.is_ipv4() { 2 } else { 10 }, field)
            }
            (Field::FdSockfamily, Addr::Inet(_)) => Value::str("ip"),
            (Field::FdSockfamily, Addr::Unix(_)) => Value::str("unix"),
            (Field::FdType | Field::FdTypechar, Addr::Unix(_)) => family(1, field),
            (Field::FdL4proto, Addr::Inet(_)) => proto(self.socket(fd)),
            (Field::FdSport, Addr::Inet(addr)) => addr.port().into(),
            (Field::FdRip, Addr::Inet(addr)) if outgoing => addr.ip().to_canonical().into(),
            (Field::FdSip, Addr::Inet(addr)) => addr.ip().to_canonical().into(),
            (_, Addr::Unreadable) => Value::Unknown,
            _ => Value::Absent,
        }
    }

    /// The first or second path; unknown where the event has one that could not be read.
    pub(super) fn place(&self, number: usize) -> Value<'_> {
        let place = if number == 0 {
            &self.paths.first
        } else {
            &self.paths.second
        };
        match place {
            Some(place) if place.whole => Value::bytes(&place.bytes),
            Some(place) => Value::Cut(place.bytes.as_ref().into()),
            None => Value::Unknown,
        }
    }

    fn part(&self, of: fn(&[u8]) -> &[u8]) -> Value<'_> {
        match &self.paths.first {
            Some(place) if place.whole => Value::bytes(of(&place.bytes)),
            _ => Value::Unknown,
        }
    }

    fn path(&self, field: Field) -> Value<'_> {
        let (has_first, has_second) = match &self.event.fact {
            Fact::Open(_) | Fact::Look(_) | Fact::Exec(_) => (true, false),
            Fact::Guard(guard) => (guard.path.is_some(), false),
            Fact::Change(change) => (!summary::is_symlink(change.call), change.other.is_some()),
            Fact::Held(held) => (held.path.is_some(), held.other.is_some()),
            Fact::Denied(denied) => (denied.path.is_some(), false),
            _ => return Value::Absent,
        };
        match field {
            Field::FsPathName if has_first => self.place(0),
            Field::FsPathName if has_second => self.place(1),
            Field::FsPathSource if has_first && has_second => self.place(0),
            Field::FsPathTarget if has_second => self.place(1),
            Field::FsPathWritten => match &self.event.fact {
                Fact::Open(open) => match Wants::of(open) {
                    Wants {
                        write: false,
                        create: false,
                        ..
                    } => Value::Absent,
                    _ => self.place(0),
                },
                Fact::Change(_) if has_second => self.place(1),
                _ => Value::Absent,
            },
            Field::PathDecoy => self.marked(|marks| marks.decoy),
            Field::PathDecoyKind if !self.marks().decoy => Value::Absent,
            Field::PathDecoyKind => {
                let decoy = self
                    .files()
                    .find_map(|(place, row)| self.decoy(&place.bytes, row));
                decoy.map(|decoy| decoy.kind.as_str()).into()
            }
            Field::PathDropped => self.any_path(|path| self.session.files.made(path) == Some(true)),
            Field::PathHidden => self.any_path(is_hidden),
            Field::PathCredential => self.marked(|marks| marks.credential),
            _ => Value::Absent,
        }
    }

    /// What a policy would decide about it.
    pub(crate) fn op(&self) -> Option<Op> {
        Some(match &self.event.fact {
            Fact::Held(held) => held.op,
            Fact::Denied(denied) => denied.op,
            Fact::Exec(_) => Op::Exec,
            Fact::Open(open) => Op::of_open(open.flags),
            Fact::Change(change) => Op::of_call(change.call)?,
            Fact::Connect(_) | Fact::Send(_) | Fact::FlowAsked(_) => Op::Connect,
            _ => return None,
        })
    }

    fn any_path(&self, is: impl Fn(&[u8]) -> bool) -> Value<'_> {
        let places = [&self.paths.first, &self.paths.second];
        let mut known = places.into_iter().flatten();
        known.any(|place| is(&place.bytes)).into()
    }

    fn decoy<'v>(&'v self, path: &[u8], row: Option<&'v FileState>) -> Option<&'v Decoy> {
        match row {
            Some(row) => row.decoy.as_deref(),
            None => self.session.files.decoy(path),
        }
    }

    fn marks(&self) -> Marks {
        *self.marks.get_or_init(|| {
            let (mut decoy, mut credential, mut any, mut whole) = (false, false, false, true);
            for (place, row) in self.files() {
                decoy |= self.decoy(&place.bytes, row).is_some();
                credential |= match row {
                    Some(row) => row.credential.is_some(),
                    None => credential::kind(&place.bytes).is_some(),
                };
                any = true;
                whole &= place.whole;
            }
            Marks {
                decoy,
                credential,
                known: any && whole,
            }
        })
    }

    /// Not known where the end of a path, or the path, could not be read.
    fn marked(&self, is: impl Fn(Marks) -> bool) -> Value<'_> {
        let marks = self.marks();
        match (is(marks), marks.known) {
            (true, _) => true.into(),
            (false, true) => false.into(),
            (false, false) => Value::Unknown,
        }
    }

    fn phase(&self) -> Value<'_> {
        match &self.event.fact {
            Fact::Phase(phase) => phase.name.as_str().into(),
            _ => self.session.run.current().into(),
        }
    }
}

fn of_program(program: &Program, field: Field) -> Value<'_> {
    let line = |from: usize| {
        let bytes = program.cmdline.get(from..).unwrap_or_default();
        if program.whole {
            Value::bytes(bytes)
        } else {
            Value::Cut(bytes.into())
        }
    };
    let [stdin, stdout, stderr] = program.stdio;
    match field {
        Field::ProcName | Field::ProcPname | Field::ProcAnameAt(_) => (&program.name).into(),
        Field::ProcExe | Field::ProcPexe | Field::ProcAexeAt(_) => program.argv.first().into(),
        Field::ProcArgvAt(at) => match program.argv.get(usize::from(at)) {
            None if !program.whole => Value::Unknown,
            argument => argument.into(),
        },
        Field::ProcExeLine | Field::ProcPexeLine if program.whole => Value::bytes(&program.exeline),
        Field::ProcExeLine | Field::ProcPexeLine => Value::Cut(program.exeline.as_ref().into()),
        Field::ProcComm => (&program.comm).into(),
        Field::ProcIsExeFromMemfd => match &program.exe {
            Some(exe) => exe.bytes().starts_with(b"/memfd:").into(),
            None => Value::Unknown,
        },
        Field::ProcExePath | Field::ProcPexePath | Field::ProcAexePathAt(_) => {
            program.exe.as_ref().map_or(Value::Unknown, Value::text)
        }
        Field::ProcScript => program.script.as_ref().into(),
        Field::ProcCmdline | Field::ProcPcmdline | Field::ProcAcmdlineAt(_) => line(0),
        Field::ProcArgs => line(program.args_at),
        Field::ProcCwd => program.cwd.as_ref().map_or(Value::Unknown, Value::text),
        Field::ProcStdinType => Value::str(fields::descriptor(stdin)),
        Field::ProcStdoutType => Value::str(fields::descriptor(stdout)),
        Field::ProcStderrType => Value::str(fields::descriptor(stderr)),
        Field::ProcExeUnlinked => program.unlinked.into(),
        Field::ProcExeDropped => program.dropped.map_or(Value::Unknown, Value::Bool),
        Field::UserUid => program.uid.into(),
        Field::UserName => Value::str(foreign::user(program.uid)),
        _ => Value::Absent,
    }
}

fn flow_value(field: Field, target: &Target, dialled: Option<IpAddr>) -> Value<'static> {
    let ip = target.ip().or(dialled).map(|ip| ip.to_canonical());
    match field {
        Field::FdName => target.to_string().into(),
        Field::FdSport => target.port().into(),
        Field::FdL4proto => Value::str("tcp"),
        Field::FdSockfamily => Value::str("ip"),
        Field::FdRip | Field::FdSip => ip.map_or(Value::Unknown, Value::Ip),
        Field::FdType | Field::FdTypechar => match ip {
            Some(ip) => family(if ip.is_ipv4() { 2 } else { 10 }, field),
            None => Value::Unknown,
        },
        _ => Value::Absent,
    }
}

/// `fd.type` and `fd.typechar` of an AF_* number.
fn family(family: u16, field: Field) -> Value<'static> {
    let (name, letter) = match family {
        1 => ("unix", "u"),
        2 => ("ipv4", "4"),
        10 => ("ipv6", "6"),
        _ => return Value::Absent,
    };
    Value::str(if field == Field::FdType { name } else { letter })
}

fn proto(kind: Option<u16>) -> Value<'static> {
    match kind {
        Some(1) => Value::str("tcp"),
        Some(2) => Value::str("udp"),
        Some(_) => Value::Absent,
        None => Value::Unknown,
    }
}

pub(super) fn has_mode(call: Call) -> bool {
    ["chmod", "mkdir", "mknod", "fchmod"]
        .iter()
        .any(|stem| call.name().starts_with(stem))
}

/// A component that begins with a dot, where people and tools do not put such.
pub(crate) fn is_hidden(path: &[u8]) -> bool {
    // Few paths have one at all. Without an early end, so that many bytes are
    // looked at in one step.
    let pairs = path.iter().zip(path.get(1..).unwrap_or_default());
    let dotted = pairs.fold(path.first() == Some(&b'.'), |dotted, (one, next)| {
        dotted | ((*one == b'/') & (*next == b'.'))
    });
    dotted && has_hidden(path)
}

fn has_hidden(path: &[u8]) -> bool {
    let mut above: &[u8] = b"";
    path.split(|byte| *byte == b'/').any(|name| {
        let usual = name == b".bin" && above == b"node_modules";
        above = name;
        name.first() == Some(&b'.') && name.len() > 1 && !usual
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{has_hidden, is_hidden};

    proptest! {
        #[test]
        fn what_has_no_dot_behind_a_slash_is_not_hidden(
            path in "(/|\\.|a|node_modules/|\\.bin){0,8}",
        ) {
            prop_assert_eq!(is_hidden(path.as_bytes()), has_hidden(path.as_bytes()));
        }
    }
}
