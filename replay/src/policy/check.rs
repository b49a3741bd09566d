//! What there is to say about a policy before it is used.
//!
//! Owns: for each line who enforces it, or why nobody can, and whether an
//! earlier line leaves it nothing to decide. Must not: decide about events.

use belljar_event::Action;

use super::cover::covers;
use super::{Enforcer, Line, Policy, PolicyError};
use crate::cond::{Shape, shape};

/// A line, looked at.
#[derive(Clone, Debug)]
pub struct Checked<'p> {
    /// The line.
    pub line: &'p Line,
    /// It only restricts.
    pub restricts: bool,
    /// Who enforces it; or why nobody can.
    pub by: Result<Vec<Enforcer>, PolicyError>,
    /// An earlier line that decides wherever this one could.
    pub covered: Option<Covered<'p>>,
}

/// Why a line can never decide.
#[derive(Clone, Debug)]
pub struct Covered<'p> {
    /// The earlier line.
    pub by: &'p Line,
    /// Only where a value is not known this one still decides.
    pub but_unknown: bool,
}

impl Policy {
    /// Looks at every line; those that restrict come first. `decoys` are the
    /// paths that `path.decoy` stands for.
    ///
    /// # Errors
    /// If the policy as a whole is more than the guest can hold.
    pub fn checked(&self, decoys: &[Vec<u8>]) -> Result<Vec<Checked<'_>>, PolicyError> {
        let mut all: Vec<Checked<'_>> = Vec::new();
        let shapes: Vec<(bool, &Line, Option<Shape>)> = self
            .in_order()
            .map(|(guard, line)| (guard, line, shape(line.condition.source()).ok()))
            .collect();
        for (at, (restricts, line, shape)) in shapes.iter().enumerate() {
            let by = Self::enforceable(line, decoys).map(|()| Vec::new());
            let earlier = shapes.get(..at).unwrap_or_default();
            let covered = shape
                .as_ref()
                .filter(|_| !restricts)
                .and_then(|shape| covered(earlier, shape, line.action));
            all.push(Checked {
                line,
                restricts: *restricts,
                by,
                covered,
            });
        }
        // What the others are to the guest, as if those that are wrong were not there.
        let good = |lines: &[Line], all: &[Checked<'_>]| {
            let wrong = |line: &Line| {
                all.iter()
                    .any(|row| row.by.is_err() && row.line.id == line.id)
            };
            lines.iter().filter(|line| !wrong(line)).cloned().collect()
        };
        let rest = Self::build(
            self.name.clone(),
            good(&self.lines, &all),
            good(&self.guards, &all),
        )?;
        let mut enforced = rest.enforced(decoys)?.by.into_iter();
        for checked in all.iter_mut().filter(|checked| checked.by.is_ok()) {
            checked.by = Ok(enforced.next().map(|(_, by)| by).unwrap_or_default());
        }
        Ok(all)
    }
}

fn covered<'p>(
    earlier: &[(bool, &'p Line, Option<Shape>)],
    narrow: &Shape,
    action: Action,
) -> Option<Covered<'p>> {
    let mut found = None;
    for (restricts, line, wide) in earlier {
        let hides = wide.as_ref().is_some_and(|wide| covers(wide, narrow));
        if *restricts || !hides {
            continue;
        }
        // What allows holds only where it is certain; any other line also where it may.
        let but_unknown = line.action == Action::Allow && action != Action::Allow;
        if !but_unknown {
            return Some(Covered {
                by: line,
                but_unknown,
            });
        }
        found = found.or(Some(Covered {
            by: line,
            but_unknown,
        }));
    }
    found
}

#[cfg(test)]
mod tests;
