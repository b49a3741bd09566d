//! What a policy is asked about in an event: its files, one at a time.
//!
//! Owns: which files those are, and which answer counts. Must not: fold anything.

use std::ops::ControlFlow;

use belljar_event::{Event, Fact};

use crate::cond::{Field, Subject, Value};
use crate::moment::Moment;
use crate::policy::{Decided, Policy, strictness};
use crate::session::Paths;
use crate::session::path::{base_name, folder};

/// The files that a policy decides about: of a script its interpreter too, of
/// calls with two names both. Empty where what is known is not whole.
pub(super) fn objects(event: &Event) -> Vec<Vec<u8>> {
    let paths = Paths::of(event);
    let interpreter = match &event.fact {
        Fact::Exec(exec) => exec.interpreter.as_ref().map(|path| path.bytes().to_vec()),
        _ => None,
    };
    let places = [paths.first, paths.second].into_iter().flatten();
    let known = places
        .filter(|place| place.whole)
        .map(|place| place.bytes.into_owned());
    known.chain(interpreter).collect()
}

/// Of two objects the stricter answer, as in a live run.
pub(super) fn decide(policy: &Policy, moment: &Moment<'_>, paths: &[Vec<u8>]) -> Decided {
    let each = paths
        .iter()
        .map(|path| policy.decide(&Object { moment, path }));
    each.reduce(|first, second| {
        if strictness(second.action) > strictness(first.action) {
            second
        } else {
            first
        }
    })
    .unwrap_or_else(|| policy.decide(moment))
}

/// An event as a policy is asked about it: with one of its files as the object.
struct Object<'a> {
    moment: &'a dyn Subject,
    path: &'a [u8],
}

impl Subject for Object<'_> {
    fn value(&self, field: Field) -> Value<'_> {
        match field {
            Field::FdName | Field::FsPathName => Value::bytes(self.path),
            Field::FdFilename => Value::bytes(base_name(self.path)),
            Field::FdDirectory => Value::bytes(folder(self.path)),
            field => self.moment.value(field),
        }
    }

    fn each(&self, field: Field, visit: &mut dyn FnMut(&Value<'_>) -> ControlFlow<()>) {
        self.moment.each(field, visit);
    }
}
