//! A condition as alternatives of operations and objects.
//!
//! Owns: what of a condition the kernel can tell, and which fields are known
//! before a call is made. Must not: know lines or actions.

use belljar_event::Op;
use belljar_event::wire::Place;

use super::place::{is_name, is_path};
use crate::cond::{Condition, Field, Shape, nearest, shape, shown};

/// Most alternatives that a condition is taken apart into.
const MAX_CLAUSES: usize = 256;
const ALL_OPS: u16 = 0xff;

/// One alternative of a condition.
#[derive(Clone, Debug)]
pub(super) struct Clause {
    /// Bits of the operations.
    pub(super) ops: u16,
    /// `None`: every object.
    pub(super) places: Option<Vec<Place>>,
    /// Nothing was left out: the kernel's answer is the condition's.
    pub(super) exact: bool,
    /// It speaks of the network.
    pub(super) net: bool,
}

const EVERYTHING: Clause = Clause {
    ops: ALL_OPS,
    places: None,
    exact: true,
    net: false,
};

impl Clause {
    /// The operations on files.
    pub(super) fn files(&self) -> u16 {
        if self.net {
            0
        } else {
            self.ops & !Op::Connect.bit()
        }
    }
}

type Result<T> = std::result::Result<T, String>;

/// The alternatives of a condition, or why it cannot be enforced.
pub(super) fn of(condition: &Condition, decoys: &[Vec<u8>]) -> Result<Vec<Clause>> {
    known(condition)?;
    let shape = shape(condition.source()).map_err(|error| error.to_string())?;
    named(&shape)?;
    let clauses = clauses(&shape, decoys)?;
    if clauses.is_empty() {
        return Err("it can never hold: no operation has everything that it asks for".to_owned());
    }
    Ok(clauses)
}

/// Everything that it asks for is known before a call is made.
fn known(condition: &Condition) -> Result<()> {
    let mut missing = None;
    condition.fields(&mut |field| {
        if unusable(field) {
            missing = Some(field);
        }
    });
    match missing {
        None => Ok(()),
        Some(field) => Err(format!(
            "`{field}` cannot be enforced: it is not known before a call is made; a policy can \
             ask for evt.op, proc.*, user.uid, thread.tid, fd.name, fd.filename, path.*, \
             net.name, net.domain, net.direct, fd.rip, fd.sport, dns.name and phase.name"
        )),
    }
}

/// Every operation has a name that there is.
fn named(shape: &Shape) -> Result<()> {
    match shape {
        Shape::Any(all) | Shape::All(all) => all.iter().try_for_each(named),
        Shape::Not(inner) => named(inner),
        Shape::Name => Ok(()),
        Shape::Test {
            field: Field::EvtOp,
            op: "=" | "!=" | "in",
            operands,
        } => match operands.iter().find(|name| Op::named(name).is_none()) {
            None => Ok(()),
            Some(name) => {
                let near = nearest(name, Op::ALL.into_iter().map(Op::name));
                let near = near.map_or_else(String::new, |op| format!("; did you mean `{op}`?"));
                Err(format!(
                    "no operation is called `{}`{near}",
                    shown(name, 40)
                ))
            }
        },
        Shape::Test { .. } => Ok(()),
    }
}

/// Fields of what has happened, which no question has.
fn unusable(field: Field) -> bool {
    use Field::{
        DnsLabelEntropy, DnsLabels, DnsLongestLabel, DnsRefused, EvtOp, FdNum, FsPathWritten,
        NetAction, NetBy, NetRefused, NetSite,
    };
    match field {
        EvtOp => false,
        FdNum | FsPathWritten | NetRefused | NetAction | NetBy | NetSite | DnsRefused
        | DnsLabels | DnsLongestLabel | DnsLabelEntropy => true,
        field => ["evt.", "canary."]
            .iter()
            .any(|family| field.name().starts_with(family)),
    }
}

fn clauses(shape: &Shape, decoys: &[Vec<u8>]) -> Result<Vec<Clause>> {
    let many = || format!("more than {MAX_CLAUSES} alternatives");
    let all = match shape {
        Shape::Any(shapes) => {
            let mut all = Vec::new();
            for shape in shapes {
                all.extend(clauses(shape, decoys)?);
                if all.len() > MAX_CLAUSES {
                    return Err(many());
                }
            }
            all
        }
        Shape::All(shapes) => {
            let mut all = vec![EVERYTHING];
            for shape in shapes {
                let more = clauses(shape, decoys)?;
                if all.len() * more.len() > MAX_CLAUSES {
                    return Err(many());
                }
                let pairs = all
                    .iter()
                    .flat_map(|one| more.iter().map(move |other| both(one, other)));
                all = pairs.collect();
            }
            all
        }
        Shape::Not(inner) => vec![without(inner)],
        Shape::Name => vec![unknown()],
        Shape::Test {
            field,
            op,
            operands,
        } => vec![test(*field, op, operands, decoys)?],
    };
    Ok(all.into_iter().filter(|clause| clause.ops != 0).collect())
}

fn unknown() -> Clause {
    Clause {
        exact: false,
        ..EVERYTHING
    }
}

/// What `not` leaves: the kernel can tell operations apart, not the rest.
fn without(inner: &Shape) -> Clause {
    let Shape::Test {
        field: Field::EvtOp,
        op: "=" | "in",
        operands,
    } = inner
    else {
        return unknown();
    };
    Clause {
        ops: ALL_OPS & !ops(operands),
        ..EVERYTHING
    }
}

fn ops(names: &[String]) -> u16 {
    names
        .iter()
        .filter_map(|name| Op::named(name))
        .fold(0, |bits, op| bits | op.bit())
}

fn both(one: &Clause, other: &Clause) -> Clause {
    let (places, exact) = match (&one.places, &other.places) {
        (places, None) | (None, places) => (places.clone(), true),
        // An object in both: the narrower is not known, so the first and a look by the host.
        (Some(places), Some(_)) => (Some(places.clone()), false),
    };
    Clause {
        ops: one.ops & other.ops,
        places,
        exact: exact && one.exact && other.exact,
        net: one.net || other.net,
    }
}

fn test(field: Field, op: &str, operands: &[String], decoys: &[Vec<u8>]) -> Result<Clause> {
    let placed = |places: Vec<Place>| Clause {
        ops: ALL_OPS & !Op::Connect.bit(),
        places: Some(places),
        ..EVERYTHING
    };
    Ok(match (field, op) {
        (Field::EvtOp, "=" | "in") => Clause {
            ops: ops(operands),
            ..EVERYTHING
        },
        (Field::EvtOp, "!=") => Clause {
            ops: ALL_OPS & !ops(operands),
            ..EVERYTHING
        },
        (Field::FdName | Field::FsPathName, "=" | "in")
            if operands.iter().all(|path| path.starts_with('/')) =>
        {
            placed(paths(operands, Place::Path)?)
        }
        (Field::FdName | Field::FsPathName, "startswith")
            if operands
                .iter()
                .all(|path| path.starts_with('/') && path.ends_with('/')) =>
        {
            let folders: Vec<_> = operands
                .iter()
                .map(|path| match path.strip_suffix('/').unwrap_or(path) {
                    "" => "/".to_owned(),
                    folder => folder.to_owned(),
                })
                .collect();
            placed(paths(&folders, Place::Below)?)
        }
        (Field::FdFilename, "=" | "in") => placed(names(operands)?),
        (Field::PathDecoy, "=") if operands.iter().all(|value| value == "true") => {
            placed(decoys.iter().cloned().map(Place::Path).collect())
        }
        (field, _) if is_net(field) => Clause {
            ops: Op::Connect.bit(),
            net: true,
            ..EVERYTHING
        },
        // These no connect has; a path is no address.
        (field, _) if is_file(field) => Clause {
            ops: ALL_OPS & !Op::Connect.bit(),
            ..unknown()
        },
        _ => unknown(),
    })
}

fn paths(operands: &[String], make: fn(Vec<u8>) -> Place) -> Result<Vec<Place>> {
    let path = |path: &String| {
        if is_path(path.as_bytes()) {
            return Ok(make(path.clone().into_bytes()));
        }
        Err(format!(
            "`{}` is no path as the kernel has them: absolute, without `.`, `..` and empty parts",
            shown(path, 80)
        ))
    };
    operands.iter().map(path).collect()
}

fn names(operands: &[String]) -> Result<Vec<Place>> {
    let name = |name: &String| {
        if is_name(name.as_bytes()) {
            return Ok(Place::Name(name.clone().into_bytes()));
        }
        Err(format!("`{}` is no file's name", shown(name, 80)))
    };
    operands.iter().map(name).collect()
}

/// Fields that only flows, connects and lookups have.
fn is_net(field: Field) -> bool {
    matches!(
        field,
        Field::FdSport | Field::FdRip | Field::FdSip | Field::FdL4proto
    ) || ["net.", "dns."]
        .iter()
        .any(|family| field.name().starts_with(family))
}

/// Fields that only files have.
fn is_file(field: Field) -> bool {
    matches!(field, Field::FdFilename | Field::FdDirectory)
        || ["path.", "fs.path."]
            .iter()
            .any(|family| field.name().starts_with(family))
}
