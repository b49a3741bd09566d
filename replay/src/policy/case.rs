//! What a policy is asked about, where there is no guest: a case that somebody
//! describes, and a recorded event as if its call had been held.
//!
//! Owns: [`Case`], [`Deed`], the [`Subject`]s of both.
//! Must not: decide.

use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;

use belljar_event::{Op, Target};

use crate::cond::{Field, Subject, Value};
use crate::moment::{Moment, is_hidden};
use crate::session::credential;
use crate::session::path::{base_name, folder};

/// Somebody wants to do something. What is not said of it is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What.
    pub op: Op,
    /// With which file; for renames and links the old name.
    pub path: Option<String>,
    /// The new name, or the interpreter of a script.
    pub other: Option<String>,
    /// Where to.
    pub target: Option<Target>,
    /// The program that does it: a path, or only its name.
    pub program: Option<String>,
    /// Its arguments, joined by spaces.
    pub args: Option<String>,
    /// The programs above it, the nearest first. `None`: not known.
    pub parents: Option<Vec<String>>,
    /// The phase of the run.
    pub phase: Option<String>,
    /// Its user.
    pub uid: Option<u32>,
    /// The file came into being during the run.
    pub dropped: Option<bool>,
    /// What the decoy at this path pretends to be.
    pub decoy: Option<String>,
}

/// A case that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaseError {
    /// Not an operation.
    #[error(
        "no operation is called `{0}`; there are: read, write, exec, connect, unlink, rename, link, chmod"
    )]
    Op(String),
    /// Not a path.
    #[error("`{0}` is no absolute path; `~/` stands for the payload's home")]
    Path(String),
    /// Not a destination.
    #[error("`{0}` is no destination: write NAME:PORT, IP:PORT or [IPv6]:PORT")]
    Target(String),
}

impl Case {
    /// A case of `op` and `object` as they are typed: `connect files.example:443`,
    /// `exec /tmp/x`, `read ~/.ssh/id_rsa`.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn parse(op: &str, object: &str, home: &str) -> Result<Self, CaseError> {
        let op = Op::named(op).ok_or_else(|| CaseError::Op(shown(op)))?;
        let (path, target) = if op == Op::Connect {
            (None, Some(target(object)?))
        } else {
            (Some(full_path(object, home)?), None)
        };
        Ok(Self {
            op,
            path,
            other: None,
            target,
            program: None,
            args: None,
            parents: None,
            phase: None,
            uid: None,
            dropped: None,
            decoy: None,
        })
    }

    /// The object, for people.
    #[must_use]
    pub fn object(&self) -> String {
        match (&self.path, &self.target) {
            (Some(path), _) => path.clone(),
            (None, Some(target)) => target.to_string(),
            (None, None) => String::new(),
        }
    }

    /// The same about the second object: both must be allowed.
    #[must_use]
    pub fn of_other(&self) -> Option<Self> {
        let path = self.other.clone()?;
        Some(Self {
            path: Some(path),
            ..self.clone()
        })
    }

    fn file(&self, field: Field, path: &str) -> Value<'_> {
        let bytes = path.as_bytes();
        match field {
            Field::FdName => path.to_owned().into(),
            Field::FdDirectory => Value::Bytes(folder(bytes).to_vec().into()),
            Field::FdFilename => Value::Bytes(base_name(bytes).to_vec().into()),
            Field::FdType => Value::str("file"),
            Field::FdTypechar => Value::str("f"),
            Field::FsPathName => path.to_owned().into(),
            Field::FsPathSource if self.other.is_some() => path.to_owned().into(),
            Field::FsPathTarget => self.other.as_deref().into(),
            Field::PathDecoy => self.decoy.is_some().into(),
            Field::PathDecoyKind => self.decoy.as_deref().into(),
            Field::PathDropped => self.dropped.map_or(Value::Unknown, Value::Bool),
            Field::PathHidden => {
                let other = self.other.as_ref().is_some_and(|o| is_hidden(o.as_bytes()));
                (is_hidden(bytes) || other).into()
            }
            Field::PathCredential => credential::kind(bytes).is_some().into(),
            _ => Value::Absent,
        }
    }

    fn net(&self, field: Field, target: &Target) -> Value<'_> {
        let ip = target.ip().map(|ip| ip.to_canonical());
        match field {
            Field::NetName | Field::NetDomain => target.name().map(str::to_owned).into(),
            Field::NetDirect => target.name().is_none().into(),
            Field::FdName => target.to_string().into(),
            Field::FdSport => target.port().into(),
            Field::FdL4proto => Value::str("tcp"),
            // By name, the address is known only once the host has resolved it.
            Field::FdRip | Field::FdSip => ip.map_or(Value::Unknown, Value::Ip),
            Field::FdType => ip.map_or(Value::Unknown, |ip| Value::str(family(ip).0)),
            Field::FdTypechar => ip.map_or(Value::Unknown, |ip| Value::str(family(ip).1)),
            _ => Value::Absent,
        }
    }

    fn process(&self, field: Field) -> Value<'_> {
        let named = |program: &Option<String>| -> Value<'_> {
            program.as_ref().map_or(Value::Unknown, |program| {
                Value::Bytes(base_name(program.as_bytes()).to_vec().into())
            })
        };
        let path = |program: Option<&String>| match program.filter(|p| p.starts_with('/')) {
            Some(program) => program.clone().into(),
            None => Value::Unknown,
        };
        let above = |up: usize| match &self.parents {
            None => (true, None),
            Some(all) => (false, up.checked_sub(1).and_then(|at| all.get(at))),
        };
        let name_above = |up: usize| match above(up) {
            (true, _) => Value::Unknown,
            (false, parent) => parent
                .map(|parent| String::from_utf8_lossy(base_name(parent.as_bytes())).into_owned())
                .into(),
        };
        match field {
            Field::ProcName | Field::ProcAnameAt(0) => named(&self.program),
            Field::ProcExePath | Field::ProcAexePathAt(0) => path(self.program.as_ref()),
            Field::ProcArgs => self.args.clone().map_or(Value::Unknown, Into::into),
            Field::ProcCmdline | Field::ProcAcmdlineAt(0) => match (&self.program, &self.args) {
                (Some(program), Some(args)) => {
                    let name = String::from_utf8_lossy(base_name(program.as_bytes()));
                    format!("{name} {args}").trim_end().to_owned().into()
                }
                _ => Value::Unknown,
            },
            Field::ProcPname => name_above(1),
            Field::ProcAnameAt(up) => name_above(up.into()),
            Field::ProcPexePath => match above(1) {
                (false, None) => Value::Absent,
                (_, parent) => path(parent),
            },
            Field::ProcAexePathAt(up) => match above(up.into()) {
                (false, None) => Value::Absent,
                (_, parent) => path(parent),
            },
            Field::ProcAname | Field::ProcAexePath => match &self.parents {
                None => Value::Unknown,
                Some(all) => Value::List(
                    all.iter()
                        .map(|parent| match field {
                            Field::ProcAname => {
                                Value::Bytes(base_name(parent.as_bytes()).to_vec().into())
                            }
                            _ => path(Some(parent)),
                        })
                        .collect(),
                ),
            },
            Field::UserUid => self.uid.map_or(Value::Unknown, Value::from),
            Field::PhaseName => self.phase.clone().map_or(Value::Unknown, Into::into),
            _ => Value::Unknown,
        }
    }
}

impl Subject for Case {
    fn value(&self, field: Field) -> Value<'_> {
        let family = |names: &[&str]| names.iter().any(|of| field.name().starts_with(of));
        match (field, &self.path, &self.target) {
            (Field::EvtOp, _, _) => Value::str(self.op.name()),
            // Whoever asks.
            _ if family(&["proc.", "user.", "phase.", "thread."]) => self.process(field),
            (_, Some(path), _) => self.file(field, path),
            (_, None, Some(target)) => self.net(field, target),
            (_, None, None) => Value::Absent,
        }
    }
}

fn family(ip: IpAddr) -> (&'static str, &'static str) {
    match ip {
        IpAddr::V4(_) => ("ipv4", "4"),
        IpAddr::V6(_) => ("ipv6", "6"),
    }
}

fn shown(text: &str) -> String {
    text.escape_debug().take(80).collect()
}

/// A destination as it is typed.
fn target(text: &str) -> Result<Target, CaseError> {
    let failed = || CaseError::Target(shown(text));
    if let Ok(addr) = text.parse::<SocketAddr>() {
        let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        return Ok(Target::Direct(addr));
    }
    let (name, port) = text.rsplit_once(':').ok_or_else(failed)?;
    let port = port
        .parse()
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(failed)?;
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.is_empty() || !name.chars().all(good) || name.parse::<IpAddr>().is_ok() {
        return Err(failed());
    }
    Ok(Target::Name { name, port })
}

/// A path as it is typed.
pub(super) fn full_path(text: &str, home: &str) -> Result<String, CaseError> {
    let full = match text.strip_prefix("~/") {
        Some(rest) => format!("{home}/{rest}"),
        None if text == "~" => home.to_owned(),
        None => text.to_owned(),
    };
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    let memory = full.starts_with("<anonymous>/");
    let good = full
        .strip_prefix('/')
        .is_some_and(|rest| rest.is_empty() || rest.split('/').all(plain));
    if good || memory {
        Ok(full)
    } else {
        Err(CaseError::Path(shown(text)))
    }
}

/// A recorded event as if its call had been held: what the policy of a run was
/// asked, or would have been.
#[derive(Clone)]
pub struct Deed<'m, 'a> {
    moment: &'m Moment<'a>,
    op: Op,
}

impl<'m, 'a> Deed<'m, 'a> {
    /// `None` if the event is nothing that a policy decides about.
    #[must_use]
    pub fn of(moment: &'m Moment<'a>) -> Option<Self> {
        let op = moment.op()?;
        Some(Self { moment, op })
    }

    /// What is done.
    #[must_use]
    pub fn op(&self) -> Op {
        self.op
    }
}

impl Subject for Deed<'_, '_> {
    fn value(&self, field: Field) -> Value<'_> {
        // Of an exec or a change `fd.*` says nothing once it has happened; of a
        // held call it is the first path.
        let first = || match self.moment.value(Field::FsPathName) {
            Value::Absent => self.moment.value(field),
            value => value,
        };
        let part = |of: fn(&[u8]) -> &[u8]| match first() {
            Value::Bytes(bytes) => Value::Bytes(of(&bytes).to_vec().into()),
            Value::Cut(_) => Value::Unknown,
            other => other,
        };
        match field {
            Field::EvtOp => Value::str(self.op.name()),
            _ if self.op == Op::Connect => self.moment.value(field),
            Field::FdName => first(),
            Field::FdDirectory => part(folder),
            Field::FdFilename => part(base_name),
            Field::FdType => Value::str("file"),
            Field::FdTypechar => Value::str("f"),
            field => self.moment.value(field),
        }
    }

    fn each(&self, field: Field, visit: &mut dyn FnMut(&Value<'_>) -> ControlFlow<()>) {
        match field {
            Field::EvtOp
            | Field::FdName
            | Field::FdDirectory
            | Field::FdFilename
            | Field::FdType
            | Field::FdTypechar => {
                let _ = visit(&self.value(field));
            }
            field => self.moment.each(field, visit),
        }
    }
}
