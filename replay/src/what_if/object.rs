//! What a policy is asked about in an event: its files, one at a time.
//!
//! Owns: which files those are, and which answer counts. Must not: fold anything.

use belljar_event::{Event, Fact};

use crate::moment::Moment;
use crate::policy::{Decided, Object, Policy};
use crate::session::Paths;

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
        .map(|path| policy.decide(&Object::new(moment, path)));
    each.reduce(Decided::stricter)
        .unwrap_or_else(|| policy.decide(moment))
}
