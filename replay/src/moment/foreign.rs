//! Fields that only the rules of others ask for.
//!
//! Owns: calls' arguments under Falco's names, and the words it has for numbers.
//! Must not: give a value where Falco's field means something else.

use belljar_event::{Call, Fact};

use super::value::has_mode;
use super::{Moment, summary};
use crate::cond::{Field, Value};
use crate::session::Wants;

/// Users whose numbers are the same on every Debian.
const USERS: &[(u32, &str)] = &[
    (0, "root"),
    (1, "daemon"),
    (2, "bin"),
    (3, "sys"),
    (4, "sync"),
    (5, "games"),
    (6, "man"),
    (7, "lp"),
    (8, "mail"),
    (9, "news"),
    (10, "uucp"),
    (13, "proxy"),
    (33, "www-data"),
    (34, "backup"),
    (38, "list"),
    (39, "irc"),
    (42, "_apt"),
    (65534, "nobody"),
];

/// Mode bits, the highest first, as Falco names them.
const MODES: &[(u64, &str)] = &[
    (0o4000, "S_ISUID"),
    (0o2000, "S_ISGID"),
    (0o1000, "S_ISVTX"),
    (0o400, "S_IRUSR"),
    (0o200, "S_IWUSR"),
    (0o100, "S_IXUSR"),
    (0o040, "S_IRGRP"),
    (0o020, "S_IWGRP"),
    (0o010, "S_IXGRP"),
    (0o004, "S_IROTH"),
    (0o002, "S_IWOTH"),
    (0o001, "S_IXOTH"),
];

const REQUESTS: &[(u64, &str)] = &[
    (0, "PTRACE_TRACEME"),
    (1, "PTRACE_PEEKTEXT"),
    (2, "PTRACE_PEEKDATA"),
    (3, "PTRACE_PEEKUSR"),
    (4, "PTRACE_POKETEXT"),
    (5, "PTRACE_POKEDATA"),
    (6, "PTRACE_POKEUSR"),
    (7, "PTRACE_CONT"),
    (8, "PTRACE_KILL"),
    (9, "PTRACE_SINGLESTEP"),
    (12, "PTRACE_GETREGS"),
    (13, "PTRACE_SETREGS"),
    (14, "PTRACE_GETFPREGS"),
    (15, "PTRACE_SETFPREGS"),
    (16, "PTRACE_ATTACH"),
    (17, "PTRACE_DETACH"),
    (24, "PTRACE_SYSCALL"),
    (0x4200, "PTRACE_SETOPTIONS"),
    (0x4201, "PTRACE_GETEVENTMSG"),
    (0x4202, "PTRACE_GETSIGINFO"),
    (0x4203, "PTRACE_SETSIGINFO"),
    (0x4204, "PTRACE_GETREGSET"),
    (0x4205, "PTRACE_SETREGSET"),
    (0x4206, "PTRACE_SEIZE"),
    (0x4207, "PTRACE_INTERRUPT"),
    (0x4208, "PTRACE_LISTEN"),
];

const BPF: &[(u64, &str)] = &[
    (0, "BPF_MAP_CREATE"),
    (1, "BPF_MAP_LOOKUP_ELEM"),
    (2, "BPF_MAP_UPDATE_ELEM"),
    (3, "BPF_MAP_DELETE_ELEM"),
    (4, "BPF_MAP_GET_NEXT_KEY"),
    (5, "BPF_PROG_LOAD"),
    (6, "BPF_OBJ_PIN"),
    (7, "BPF_OBJ_GET"),
    (8, "BPF_PROG_ATTACH"),
    (9, "BPF_PROG_DETACH"),
    (10, "BPF_PROG_TEST_RUN"),
    (17, "BPF_RAW_TRACEPOINT_OPEN"),
    (18, "BPF_BTF_LOAD"),
    (28, "BPF_LINK_CREATE"),
];

const DOMAINS: &[(u64, &str)] = &[
    (1, "AF_UNIX"),
    (2, "AF_INET"),
    (10, "AF_INET6"),
    (16, "AF_NETLINK"),
    (17, "AF_PACKET"),
    (31, "AF_BLUETOOTH"),
    (38, "AF_ALG"),
    (40, "AF_VSOCK"),
    (44, "AF_XDP"),
];

/// The name of a user, as far as it is the same everywhere.
pub(super) fn user(uid: u32) -> &'static str {
    let row = USERS.iter().find(|(known, _)| *known == uid);
    row.map_or("<NA>", |(_, name)| name)
}

fn named(table: &[(u64, &'static str)], number: u64) -> Value<'static> {
    match table.iter().find(|(known, _)| *known == number) {
        Some((_, name)) => Value::str(name),
        None => number.to_string().into(),
    }
}

fn mode_flags(mode: u64) -> Value<'static> {
    let mut out = String::new();
    for (_, name) in MODES.iter().filter(|(bit, _)| mode & bit != 0) {
        if !out.is_empty() {
            out.push('|');
        }
        out.push_str(name);
    }
    out.into()
}

impl Moment<'_> {
    pub(super) fn foreign(&self, field: Field) -> Value<'_> {
        match field {
            Field::EvtArgModeFlags => self.mode().map(mode_flags).unwrap_or(Value::Absent),
            Field::EvtIsOpenExec => match &self.event.fact {
                Fact::Open(open) => (Wants::of(open).create && open.mode & 0o111 != 0).into(),
                _ => Value::Absent,
            },
            Field::FdNameraw => match &self.event.fact {
                Fact::Open(open) => (&open.path).into(),
                _ => Value::Absent,
            },
            Field::FdConnected | Field::FdNameChanged => match &self.event.fact {
                Fact::Send(_) => (field == Field::FdNameChanged).into(),
                Fact::Connect(_) => (field == Field::FdConnected).into(),
                _ => Value::Absent,
            },
            Field::EvtArgUid => match &self.event.fact {
                Fact::Identity(asked) if asked.call.name() == "setuid" => {
                    let name = |id: &u64| match u32::try_from(*id).map(user) {
                        Ok(name) if name != "<NA>" => Value::str(name),
                        _ => id.to_string().into(),
                    };
                    asked.ids.first().map_or(Value::Absent, name)
                }
                _ => Value::Absent,
            },
            Field::EvtArgRequest => self.guarded("ptrace", REQUESTS),
            Field::EvtArgCmd => self.guarded("bpf", BPF),
            Field::EvtArgDomain => match &self.event.fact {
                Fact::Socket(socket) => named(DOMAINS, socket.family.into()),
                _ => self.guarded("socket", DOMAINS),
            },
            _ => self.path_argument(field),
        }
    }

    fn mode(&self) -> Option<u64> {
        match &self.event.fact {
            Fact::Open(open) => Some(open.mode.into()),
            Fact::Change(change) if has_mode(change.call) => Some(change.value),
            _ => None,
        }
    }

    /// The first argument of this call, in words.
    fn guarded(&self, call: &str, table: &[(u64, &'static str)]) -> Value<'static> {
        match &self.event.fact {
            Fact::Guard(guard) if guard.call.name() == call => guard
                .args
                .first()
                .map_or(Value::Absent, |arg| named(table, *arg)),
            _ => Value::Absent,
        }
    }

    /// Paths under the names that Falco gives each call's arguments.
    fn path_argument(&self, field: Field) -> Value<'_> {
        let call = match &self.event.fact {
            Fact::Open(open) => open.call,
            Fact::Change(change) => change.call,
            Fact::Exec(exec) => exec.call,
            _ => return Value::Absent,
        };
        let is = |calls: &[&str]| calls.contains(&call.name());
        match field {
            Field::EvtArgName if is(&["open", "openat", "openat2", "creat", "unlinkat"]) => {
                self.place(0)
            }
            Field::EvtArgPath
                if is(&["mkdir", "mkdirat", "rmdir", "unlink", "mknod", "mknodat"]) =>
            {
                self.place(0)
            }
            Field::EvtArgFilename if is(&["chmod", "fchmodat", "execve", "execveat"]) => {
                self.place(0)
            }
            Field::EvtArgOldpath if moves(call) => self.place(0),
            Field::EvtArgNewpath if moves(call) => self.place(1),
            Field::EvtArgLinkpath if summary::is_symlink(call) => self.place(1),
            Field::EvtArgTarget if summary::is_symlink(call) => match &self.event.fact {
                Fact::Change(change) => (&change.path).into(),
                _ => Value::Absent,
            },
            _ => Value::Absent,
        }
    }
}

fn moves(call: Call) -> bool {
    call.name().starts_with("rename") || call.name().starts_with("link")
}
