use std::sync::Arc;

use belljar_recorder::Reader;

use super::{Learned, Learner, Object, Trace};
use crate::moment::Moment;
use crate::policy::{Case, Deed, Policy, Question};
use crate::rules::RuleSet;
use crate::session::Session;

const THIEF: &[u8] = include_bytes!("../../../../fixtures/traces/npm-credential-thief.bjt");
const BENIGN: &[u8] = include_bytes!("../../../../fixtures/traces/npm-benign.bjt");

fn learned(traces: &[(&str, &[u8])]) -> Learned {
    let mut learner = Learner::default();
    for (label, trace) in traces {
        let mut reader = Reader::open(*trace).unwrap();
        learner
            .trace(label, &mut reader, &RuleSet::builtin())
            .unwrap();
    }
    learner.finish().unwrap()
}

/// What the policy does not allow of what a trace did.
fn denied(policy: &Policy, trace: &[u8]) -> (Vec<Object>, u64) {
    let rules: Arc<RuleSet> = RuleSet::builtin();
    let mut session = Session::new(rules);
    let mut known = Trace::default();
    let (mut all, mut asked) = (Vec::new(), 0);
    let mut home = None;
    for entry in Reader::open(trace).unwrap() {
        let entry = entry.unwrap();
        session.push(&entry);
        if let belljar_event::Fact::Decoys(decoys) = &entry.event().fact {
            let path = decoys.decoys[0].path.lossy().into_owned();
            home = super::home_of(&path);
            known.home = home.clone();
        }
        let moment = Moment::new(&session, &entry);
        let Some(deed) = Deed::of(&moment) else {
            continue;
        };
        let policy = match &home {
            Some(home) => policy.at_home(home).unwrap(),
            None => policy.clone(),
        };
        for (object, _) in known.objects(&deed) {
            asked += 1;
            if !policy.decide(&deed).is_allowed() {
                all.push(object);
            }
        }
    }
    (all, asked)
}

#[test]
fn it_allows_what_the_traces_did_but_what_is_listed() {
    let both: &[(&str, &[u8])] = &[("thief.bjt", THIEF), ("benign.bjt", BENIGN)];
    let learned = learned(both);
    for (label, trace) in both {
        let (denied, asked) = denied(&learned.policy, trace);
        assert!(asked > 100, "{label}: {asked}");
        for object in denied {
            let listed = learned.not.iter().any(|not| not.object == object);
            assert!(
                listed,
                "{label}: {object:?} is denied and not listed\n{}",
                learned.text
            );
        }
    }
    learned
        .policy
        .at_home("/home/u")
        .unwrap()
        .enforced(&[])
        .unwrap();
    // The least: something that no trace did is denied.
    let deny = |op: &str, object: &str| {
        let case = Case::parse(op, object, "~").unwrap_or_else(|_| unreachable!());
        !learned.policy.decide(&case).is_allowed()
    };
    assert!(deny("connect", "other.example:443") && deny("write", "/etc/passwd"));
}

#[test]
fn decoys_and_findings_are_listed_and_never_allowed() {
    let learned = learned(&[("thief.bjt", THIEF)]);
    let decoys: Vec<_> = learned
        .not
        .iter()
        .filter(|not| not.why.contains("a decoy"))
        .collect();
    assert_eq!(decoys.len(), 6, "{:?}", learned.not);
    assert!(
        decoys
            .iter()
            .all(|not| not.events.starts_with("thief.bjt #"))
    );
    assert!(learned.not.iter().any(|not| not.why.contains("finding ")));
    let policy = learned.policy;
    let loose = policy
        .lines()
        .iter()
        .filter(|line| line.action == belljar_event::Action::Allow);
    for line in loose {
        assert!(!line.condition.source().contains("decoy"), "{line:?}");
        assert!(line.reason.is_some(), "{line:?}");
    }
    let evil = policy.lookup(&Question::lookup("exfil.example"));
    assert!(!evil.is_allowed(), "{evil:?}");
}

#[test]
fn the_order_of_the_traces_does_not_matter() {
    let one = learned(&[("a.bjt", THIEF), ("b.bjt", BENIGN)]);
    let other = learned(&[("b.bjt", BENIGN), ("a.bjt", THIEF)]);
    assert_eq!(one.text, other.text);
    assert_eq!(one.not, other.not);
}

#[test]
fn nothing_is_learned_from_nothing() {
    let learned = Learner::default().finish().unwrap();
    assert!(learned.not.is_empty());
    let case = Case::parse("connect", "a.example:443", "/home/u").unwrap();
    assert!(!learned.policy.decide(&case).is_allowed());
}
