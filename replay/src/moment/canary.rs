//! Values of the canary's fields.
//!
//! Owns: in which events a decoy's content is looked for: in what a flow brings
//! (the host saw it and said so), in names, in arguments. Must not: decide anything.
//!
//! Names and arguments stand in the trace, so what is in them is found when it
//! is judged. Of arguments that were cut, what is there is looked at.

use belljar_event::{Fact, Target, Text};

use super::Moment;
use crate::canary::{Canaries, Seen};
use crate::cond::{Field, Value};

/// A canary in an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting<'a> {
    place: &'static str,
    kind: &'a str,
    encoding: &'a str,
    path: Option<&'a Text>,
}

impl<'a> Moment<'a> {
    pub(super) fn canary_value(&self, field: Field) -> Value<'_> {
        let Some(sighting) = self.canary.get_or_init(|| self.sighting()) else {
            return Value::Absent;
        };
        match field {
            Field::CanaryKind => Value::str(sighting.kind),
            Field::CanaryWhere => Value::str(sighting.place),
            Field::CanaryEncoding => Value::str(sighting.encoding),
            Field::CanaryPath => sighting.path.into(),
            _ => Value::Absent,
        }
    }

    fn sighting(&self) -> Option<Sighting<'a>> {
        let canaries = self.session.canaries();
        let (place, seen) = match &self.event.fact {
            Fact::CanarySeen(seen) => {
                return Some(Sighting {
                    place: "flow",
                    kind: &seen.kind,
                    encoding: &seen.encoding,
                    path: canaries.decoy(seen.decoy).map(|decoy| &decoy.path),
                });
            }
            Fact::Name(name) => ("name", canaries.find_in_name(name.name.bytes())?),
            Fact::FlowAsked(asked) => match &asked.target {
                Target::Name { name, .. } => ("name", canaries.find_in_name(name.as_bytes())?),
                Target::Direct(_) => return None,
            },
            Fact::Exec(exec) => ("argument", in_words(canaries, &exec.argv)?),
            Fact::Held(held) => ("argument", in_words(canaries, &held.argv)?),
            _ => return None,
        };
        let decoy = canaries.decoy(seen.decoy)?;
        Some(Sighting {
            place,
            kind: &decoy.kind,
            encoding: seen.encoding.name(),
            path: Some(&decoy.path),
        })
    }
}

fn in_words(canaries: &Canaries, words: &[Text]) -> Option<Seen> {
    words.iter().find_map(|word| canaries.find(word.bytes()))
}
