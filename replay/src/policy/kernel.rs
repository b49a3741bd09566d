//! Which part of a policy the guest's kernel enforces by itself, and what is held.
//!
//! Owns: [`Enforced`]: each line as the kernel takes it, or who decides it
//! otherwise. Must not: decide anything about an event.
//!
//! The kernel can tell the operation and the object: a path, everything below a
//! folder (`startswith /folder/`, the folder included), a file name, a decoy.
//! A line that says more is decided by holding the call and asking the host;
//! about reading, that would hold every open, so such a line is refused.

use belljar_event::wire::{KernelLine, Place};
use belljar_event::{Action, Op};

use super::{Policy, PolicyError};
use crate::cond::{Field, Shape, shape};

/// Most alternatives that a condition is taken apart into.
const MAX_CLAUSES: usize = 256;

/// Who enforces a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Enforcer {
    /// The guest's kernel, by itself.
    Kernel,
    /// The host, while the call is held.
    Hold,
    /// The host, when the flow or lookup reaches it.
    Host,
}

/// A policy, divided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enforced {
    /// What the kernel gets.
    pub lines: Vec<KernelLine>,
    /// Bits of the ops that are held.
    pub held: u16,
    /// Who enforces each of the policy's lines.
    pub by: Vec<(String, Vec<Enforcer>)>,
}

/// One alternative of a condition.
#[derive(Clone, Debug)]
struct Clause {
    ops: u16,
    /// `None`: every object.
    places: Option<Vec<Place>>,
    /// Nothing was left out: the kernel's answer is the condition's.
    exact: bool,
    /// It speaks of the network.
    net: bool,
}

const ALL_OPS: u16 = 0xff;
const EVERYTHING: Clause = Clause {
    ops: ALL_OPS,
    places: None,
    exact: true,
    net: false,
};

impl Policy {
    /// Divides the policy. `decoys` are the paths that `path.decoy` stands for.
    ///
    /// # Errors
    /// If a line cannot be enforced.
    pub fn enforced(&self, decoys: &[Vec<u8>]) -> Result<Enforced, PolicyError> {
        let mut enforced = Enforced::default();
        for line in self.lines() {
            let failed = |message: String| PolicyError::Line {
                id: line.id.clone(),
                message,
            };
            let shape =
                shape(line.condition.source()).map_err(|error| failed(error.to_string()))?;
            let clauses = clauses(&shape, decoys)
                .ok_or_else(|| failed(format!("more than {MAX_CLAUSES} alternatives")))?;
            let mut by = Vec::new();
            for clause in clauses {
                by.push(
                    enforced
                        .take(&line.id, line.action, clause)
                        .map_err(failed)?,
                );
            }
            by.sort_unstable();
            by.dedup();
            enforced.by.push((line.id.clone(), by));
        }
        Ok(enforced)
    }
}

impl Enforced {
    fn take(&mut self, by: &str, action: Action, clause: Clause) -> Result<Enforcer, String> {
        let connect = clause.ops & Op::Connect.bit();
        if clause.net || clause.ops == Op::Connect.bit() {
            if matches!(action, Action::Ask | Action::Kill) {
                self.held |= connect;
            }
            return Ok(if self.held & connect == 0 {
                Enforcer::Host
            } else {
                Enforcer::Hold
            });
        }
        let ops = clause.ops & !Op::Connect.bit();
        let plain = clause.exact && matches!(action, Action::Allow | Action::Deny);
        if !plain && !clause.exact && ops & Op::Read.bit() != 0 {
            let what = if ops == Op::Read.bit() {
                "reading"
            } else {
                "reading among others"
            };
            return Err(format!(
                "about {what}, only paths, names and decoys can be enforced in the guest's \
                 kernel; say which operation is meant (evt.op = exec) or compare only fd.name, \
                 fd.filename and path.decoy"
            ));
        }
        let action = if plain { action } else { Action::Ask };
        if !plain {
            self.held |= ops;
        }
        if clause
            .places
            .as_ref()
            .is_none_or(|places| !places.is_empty())
        {
            self.lines.push(KernelLine {
                by: by.to_owned(),
                action,
                ops,
                places: clause.places.unwrap_or_default(),
            });
        }
        Ok(if plain {
            Enforcer::Kernel
        } else {
            Enforcer::Hold
        })
    }
}

/// Its alternatives; `None` if there are too many.
fn clauses(shape: &Shape, decoys: &[Vec<u8>]) -> Option<Vec<Clause>> {
    let all = match shape {
        Shape::Any(shapes) => {
            let mut all = Vec::new();
            for shape in shapes {
                all.extend(clauses(shape, decoys)?);
                if all.len() > MAX_CLAUSES {
                    return None;
                }
            }
            all
        }
        Shape::All(shapes) => {
            let mut all = vec![EVERYTHING];
            for shape in shapes {
                let more = clauses(shape, decoys)?;
                if all.len() * more.len() > MAX_CLAUSES {
                    return None;
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
        } => vec![test(*field, op, operands, decoys)],
    };
    Some(all.into_iter().filter(|clause| clause.ops != 0).collect())
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

fn test(field: Field, op: &str, operands: &[String], decoys: &[Vec<u8>]) -> Clause {
    let placed = |places: Vec<Place>| Clause {
        ops: ALL_OPS & !Op::Connect.bit(),
        places: Some(places),
        ..EVERYTHING
    };
    let bytes = |make: fn(Vec<u8>) -> Place| {
        operands
            .iter()
            .map(move |text| make(text.clone().into_bytes()))
    };
    match (field, op) {
        (Field::EvtOp, "=" | "in") => Clause {
            ops: ops(operands),
            ..EVERYTHING
        },
        (Field::FdName | Field::FsPathName, "=" | "in")
            if operands.iter().all(|path| path.starts_with('/')) =>
        {
            placed(bytes(Place::Path).collect())
        }
        (Field::FdName | Field::FsPathName, "startswith")
            if operands
                .iter()
                .all(|path| path.starts_with('/') && path.ends_with('/')) =>
        {
            let folder = |path: &String| {
                let trimmed = path.trim_end_matches('/');
                let folder = if trimmed.is_empty() { "/" } else { trimmed };
                Place::Below(folder.as_bytes().to_vec())
            };
            placed(operands.iter().map(folder).collect())
        }
        (Field::FdFilename, "=" | "in") => placed(bytes(Place::Name).collect()),
        (Field::PathDecoy, "=") if operands.iter().all(|value| value == "true") => {
            placed(decoys.iter().cloned().map(Place::Path).collect())
        }
        (field, _) if is_net(field) => Clause {
            ops: Op::Connect.bit(),
            net: true,
            ..EVERYTHING
        },
        _ => unknown(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(lines: &[(&str, &str)]) -> Policy {
        let mut text = String::from("name = \"p\"\n");
        for (action, condition) in lines {
            text.push_str(&format!(
                "[[rule]]\naction = \"{action}\"\ncondition = \"{condition}\"\n"
            ));
        }
        Policy::parse("p", &text).unwrap()
    }

    fn divided(lines: &[(&str, &str)]) -> Enforced {
        policy(lines)
            .enforced(&[b"/home/u/.npmrc".to_vec()])
            .unwrap()
    }

    #[test]
    fn paths_names_and_decoys_go_to_the_kernel() {
        let enforced = divided(&[
            ("deny", "evt.op in (read, write) and path.decoy"),
            ("deny", "evt.op = write and fd.name startswith /etc/"),
            ("allow", "evt.op = exec and fd.name in (/bin/sh, /bin/ls)"),
            ("deny", "fd.filename = id_rsa"),
        ]);
        assert_eq!(enforced.held, 0);
        let by: Vec<_> = enforced.by.iter().map(|(_, by)| by.as_slice()).collect();
        assert_eq!(by, vec![&[Enforcer::Kernel][..]; 4]);
        let [decoys, etc, exec, name] = enforced.lines.as_slice() else {
            panic!("{:?}", enforced.lines)
        };
        assert_eq!(decoys.places, [Place::Path(b"/home/u/.npmrc".to_vec())]);
        assert_eq!(decoys.ops, Op::Read.bit() | Op::Write.bit());
        assert_eq!(etc.places, [Place::Below(b"/etc".to_vec())]);
        assert_eq!(exec.places.len(), 2);
        assert_eq!(name.ops, ALL_OPS & !Op::Connect.bit());
    }

    #[test]
    fn what_the_kernel_cannot_tell_is_held() {
        let enforced = divided(&[
            ("ask", "evt.op = exec and path.dropped"),
            ("ask", "net.name exists"),
            ("deny", "net.direct"),
        ]);
        assert_eq!(enforced.held, Op::Exec.bit() | Op::Connect.bit());
        assert_eq!(enforced.lines.len(), 1);
        assert_eq!(enforced.lines[0].action, Action::Ask);
        assert!(enforced.lines[0].places.is_empty());
    }

    #[test]
    fn what_cannot_be_enforced_is_refused() {
        for condition in [
            "proc.name = curl",
            "evt.op = read and proc.name = curl",
            "fd.name contains secret",
        ] {
            let error = policy(&[("deny", condition)]).enforced(&[]).unwrap_err();
            assert!(error.to_string().contains("read"), "{error}");
        }
    }

    #[test]
    fn alternatives_are_bounded() {
        let any = vec!["fd.name = /a"; 20].join(" or ");
        let condition = format!("({any}) and ({any})");
        assert!(policy(&[("deny", &condition)]).enforced(&[]).is_err());
    }
}
