//! Going through a trace for the events that a condition holds for.
//!
//! Owns: what of a trace must be decoded and folded to answer a condition
//! exactly: nothing but the events themselves, or processes and network, or all.
//! Must not: judge, or print.

use std::io::Read;
use std::sync::Arc;

use belljar_event::{CALLS, Call, Class};
use belljar_recorder::{Glance, Kinds, ReadError, Reader};

use crate::cond::{Condition, Field, Truth, Types};
use crate::moment::Moment;
use crate::rules::RuleSet;
use crate::session::Session;

/// Kinds that change nothing in a session but the files: open, change, look,
/// transfer, output.
const ABOUT_FILES: [u16; 5] = [32, 33, 34, 35, 96];

/// How much of a session a condition hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// What the event itself says.
    Event,
    /// Processes, flows, phases.
    Processes,
    /// Files too.
    All,
}

impl Need {
    fn of(field: Field) -> Self {
        use Field::{
            EvtArgSetid, PathCredential, PathDecoy, PathDecoyKind, PathDropped, ProcExeDropped,
            ProcTreeCredentialKinds, ProcTreeCredentialPaths, ThreadTid,
        };
        match field {
            EvtArgSetid
            | PathCredential
            | PathDecoy
            | PathDecoyKind
            | PathDropped
            | ProcExeDropped
            | ProcTreeCredentialKinds
            | ProcTreeCredentialPaths => Self::All,
            ThreadTid => Self::Event,
            field
                if ["evt.", "fs.path."]
                    .iter()
                    .any(|of| field.name().starts_with(of)) =>
            {
                Self::Event
            }
            _ => Self::Processes,
        }
    }
}

/// Calls `found` for every event for which the condition holds or may hold, in
/// the session that has folded it and nothing after it. `told`: the session must
/// name processes, because somebody will ask it to.
///
/// # Errors
/// If the source fails. Damage is no error: see [`Reader::integrity`].
pub fn search<R: Read>(
    reader: &mut Reader<R>,
    rules: &Arc<RuleSet>,
    condition: Option<&Condition>,
    told: bool,
    found: &mut dyn FnMut(&Moment<'_>, Truth) -> bool,
) -> Result<(), ReadError> {
    let mut need = if told { Need::Processes } else { Need::Event };
    if let Some(condition) = condition {
        condition.fields(&mut |field| need = need.max(Need::of(field)));
    }
    let may = |kind: u16| condition.is_none_or(|condition| may_hold(condition.types(), kind));
    let wanted = Kinds::of(|kind| match need {
        Need::Event => may(kind),
        Need::Processes => may(kind) || !ABOUT_FILES.contains(&kind),
        Need::All => true,
    });
    let mut session = Session::new(Arc::clone(rules)).with_start(reader.start());
    while let Some(glance) = reader.glance(wanted) {
        let entry = match glance? {
            Glance::Entry(entry) => entry,
            Glance::Passed { seq, at, pid, tid } => {
                if need > Need::Event {
                    session.passed(seq, at, pid, tid);
                }
                continue;
            }
        };
        if need > Need::Event {
            session.follow(&entry);
        }
        if !may(entry.event().fact.kind()) {
            continue;
        }
        let moment = Moment::new(&session, &entry);
        let truth = condition.map_or(Truth::Yes, |condition| condition.matches(&moment));
        if truth != Truth::No && !found(&moment, truth) {
            break;
        }
    }
    Ok(())
}

/// Whether an event of this kind can be of one of these types.
fn may_hold(types: &Types, kind: u16) -> bool {
    let has_call = |of: &dyn Fn(Class) -> bool| {
        let mut calls = CALLS.iter().enumerate();
        types.has(Types::of_call(Call(u16::MAX)))
            || calls.any(|(at, row)| of(row.class) && types.has(at))
    };
    match kind {
        16 => has_call(&|class| class == Class::Exec),
        32 => has_call(&|class| class == Class::Open),
        33 => has_call(&|class| class == Class::Change),
        34 => has_call(&|class| class == Class::Look),
        53 => has_call(&|class| matches!(class, Class::Send | Class::Message)),
        54 => has_call(&|class| class == Class::Dup),
        // Any call can be one that the filter refused.
        64 => has_call(&|_| true),
        65 => has_call(&|class| class == Class::Signal),
        66 => has_call(&|class| class == Class::Identity),
        kind => types.has(Types::of_kind(kind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THIEF: &[u8] = include_bytes!("../../fixtures/traces/npm-credential-thief.bjt");

    /// What a search that decodes and folds everything finds.
    fn plainly(condition: &Condition) -> Vec<(u64, Truth)> {
        let mut session = Session::new(RuleSet::builtin());
        let mut found = Vec::new();
        for entry in Reader::open(THIEF).unwrap() {
            let entry = entry.unwrap();
            session.push(&entry);
            let truth = condition.matches(&Moment::new(&session, &entry));
            if truth != Truth::No {
                found.push((entry.seq(), truth));
            }
        }
        found
    }

    #[test]
    fn what_is_passed_over_changes_no_answer() {
        let rules = RuleSet::builtin();
        for (source, least) in [
            ("evt.type = openat and fs.path.name startswith /home/", 10),
            ("evt.type = connect", 1),
            ("evt.type = fork and proc.name = node", 1),
            ("evt.failed", 10),
            ("path.decoy", 1),
            ("proc.aname = npm and evt.type in (open, openat, dns)", 0),
            ("thread.tid > 0 and not evt.type = openat", 10),
            ("phase.name = install", 10),
            ("net.refused or dns.refused", 1),
            ("canary.kind exists or evt.type = decoys", 1),
            ("evt.num < 3", 3),
        ] {
            let condition = Condition::parse(source, rules.names()).unwrap();
            for told in [false, true] {
                let mut reader = Reader::open(THIEF).unwrap();
                let mut found = Vec::new();
                search(
                    &mut reader,
                    &rules,
                    Some(&condition),
                    told,
                    &mut |moment, truth| {
                        found.push((moment.seq(), truth));
                        true
                    },
                )
                .unwrap();
                assert!(reader.integrity().is_complete(), "{source}");
                assert_eq!(found, plainly(&condition), "{source}");
                assert!(found.len() >= least, "{source}: {}", found.len());
            }
        }
    }

    #[test]
    fn a_kind_has_its_types_and_no_others() {
        let rules = RuleSet::builtin();
        let types = |source: &str| {
            let condition = Condition::parse(source, rules.names()).unwrap();
            let kinds = belljar_event::KINDS.iter().map(|row| row.0);
            let kinds: Vec<_> = kinds
                .filter(|kind| may_hold(condition.types(), *kind))
                .collect();
            kinds
        };
        assert_eq!(types("evt.type in (openat, unlink)")[..2], [32, 33]);
        assert!(!types("evt.type = openat").contains(&34));
        assert_eq!(types("evt.type = connect and proc.name = x"), [49, 64]);
        assert_eq!(types("proc.name = x").len(), belljar_event::KINDS.len());
    }
}
