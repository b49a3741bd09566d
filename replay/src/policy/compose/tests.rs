use belljar_event::Op;
use proptest::prelude::*;

use crate::policy::tests::placed;
use crate::policy::{
    Action, Case, Decided, Enforced, Policy, Question, Source, Syntax, strictness,
};

const HOME: &str = "/home/u";

fn decoys() -> Vec<Vec<u8>> {
    vec![b"/home/u/.ssh/id_rsa".to_vec()]
}

fn file<'a>(text: &'a str) -> Source<'a> {
    Source {
        name: "repository",
        file: "p/.belljar.toml",
        text,
        syntax: Syntax::Toml,
    }
}

fn rule(action: &str, condition: &str) -> String {
    format!("[[rule]]\naction = '{action}'\ncondition = '''{condition}'''\n")
}

#[test]
fn a_repository_cannot_allow() {
    let preset = Policy::preset("default").unwrap();
    for (text, line, column, part) in [
        (
            rule("deny", "net.direct") + &rule("allow", "net.name exists"),
            5,
            10,
            "only tighten",
        ),
        (
            "name = 'x'\n".to_owned() + &rule("deny", "net.direct"),
            1,
            8,
            "has no name",
        ),
        (
            "[[rule]]\nid = 'default:egress'\naction = 'deny'\ncondition = 'net.direct'".to_owned(),
            2,
            6,
            "origin",
        ),
        (rule("deny", "net.dirct"), 3, 16, "did you mean"),
        (
            "[[restrict]]\naction = 'allow'\ncondition = 'net.direct'".to_owned(),
            2,
            10,
            "only tighten",
        ),
    ] {
        let error = preset.restricted(&file(&text)).unwrap_err();
        let (name, l, c, message) = placed(&error);
        assert_eq!((name, l, c), ("p/.belljar.toml", line, column), "{error}");
        assert!(message.contains(part), "{error}");
    }
    let loose = "[[restrict]]\naction = 'allow'\ncondition = 'net.direct'";
    assert!(Policy::parse("p", loose).is_err());
}

#[test]
fn the_stricter_answer_counts_wherever_it_stands() {
    let base = rule("allow", "net.name = a.example")
        + &rule("deny", "net.name = b.example")
        + &rule("kill", "evt.op = exec and fd.name = /tmp/k")
        + &rule("ask", "net.name exists");
    let base = Policy::parse("base", &base).unwrap();
    let text = rule("ask", "net.name exists")
        + &rule("deny", "net.name in (c.example, k.example)")
        + &rule("deny", "evt.op = exec and fd.name startswith /tmp/");
    let policy = base.restricted(&file(&text)).unwrap();
    let case = |op: &str, object: &str| Case::parse(op, object, HOME).unwrap();
    for (op, object, action, by) in [
        ("connect", "a.example:1", Action::Ask, "repository:1"),
        ("connect", "b.example:1", Action::Deny, "base:2"),
        ("connect", "c.example:1", Action::Deny, "repository:2"),
        ("connect", "d.example:1", Action::Ask, "base:4"),
        ("exec", "/tmp/k", Action::Kill, "base:3"),
        ("exec", "/tmp/x", Action::Deny, "repository:3"),
        ("exec", "/opt/x", Action::Allow, "built-in"),
    ] {
        let decided = policy.decide(&case(op, object));
        assert_eq!(
            (decided.action, decided.by.as_str()),
            (action, by),
            "{op} {object}"
        );
    }
    // What the user allows is tightened too, and so is a line that is saved later.
    let wide = policy
        .with_line("saved:1", "allow evt.op = connect")
        .unwrap();
    assert_eq!(
        wide.decide(&case("connect", "c.example:1")).action,
        Action::Deny
    );
    // A lookup is refused only where it is certain.
    let lookup = |name: &str| policy.lookup(&Question::lookup(name)).action;
    assert_eq!(lookup("a.example"), Action::Ask);
    assert_eq!(lookup("c.example"), Action::Deny);
    let narrow = base
        .restricted(&file(&rule("deny", "fd.sport = 80")))
        .unwrap();
    assert_eq!(
        narrow.lookup(&Question::lookup("a.example")).action,
        Action::Allow
    );
    // The trace keeps all of it.
    let again = Policy::parse("trace", policy.source()).unwrap();
    assert_eq!(again, policy);
    assert_eq!(again.restrictions().len(), 3);
}

#[test]
fn the_kernel_never_hides_a_line_that_kills() {
    let base = Policy::parse("base", &rule("kill", "evt.op = exec and fd.name = /tmp/k")).unwrap();
    let text = rule(
        "deny",
        "evt.op in (exec, write) and fd.name startswith /tmp/",
    );
    let enforced = base
        .restricted(&file(&text))
        .unwrap()
        .enforced(&[])
        .unwrap();
    let first = enforced.about(Op::Exec, b"/tmp/k").unwrap();
    assert_eq!(first.action, Action::Ask);
    let write = enforced.about(Op::Write, b"/tmp/k").unwrap();
    assert_eq!(write.action, Action::Deny);
}

#[test]
fn policies_stand_behind_each_other() {
    let own = Policy::parse("user", &rule("deny", "net.name = a.example")).unwrap();
    let all = Policy::preset("default").unwrap().led_by(&own).unwrap();
    assert_eq!(
        (all.lines()[0].id.as_str(), all.name()),
        ("user:1", "default")
    );
    assert!(
        all.led_by(&own)
            .unwrap_err()
            .to_string()
            .contains("this id")
    );
    assert!(Policy::profile("node").is_ok() && Policy::profile("perl").is_err());
    for name in crate::policy::PROFILES {
        let profile = Policy::profile(name).unwrap();
        for preset in crate::policy::PRESETS {
            let all = Policy::preset(preset).unwrap().led_by(&profile).unwrap();
            all.at_home(HOME).unwrap().enforced(&decoys()).unwrap();
            assert!(profile.lines().iter().all(|line| line.reason.is_some()));
        }
    }
}

/// Conditions that can be enforced, wide and narrow ones, of all enforcers.
const CONDITIONS: &[&str] = &[
    "evt.op = exec",
    "evt.op = write",
    "evt.op in (read, write) and path.decoy",
    "evt.op = exec and fd.name startswith /tmp/",
    "evt.op = exec and fd.name in (/tmp/a, /usr/bin/sh)",
    "evt.op = exec and path.dropped",
    "evt.op = exec and path.hidden and fd.name startswith /tmp/",
    "evt.op = exec and proc.name = npm",
    "evt.op in (exec, connect) and proc.name = npm",
    "fd.filename in (a, id_rsa)",
    "evt.op = read and fd.name startswith /home/",
    "evt.op != connect and fd.name startswith /tmp/b/",
    "not evt.op in (read, write) and evt.op != connect",
    "evt.op in (unlink, rename, link, chmod)",
    "net.name exists",
    "net.name = a.example",
    "net.domain in (example)",
    "net.direct",
    "net.direct and fd.rip in (198.51.100.0/24)",
    "fd.sport = 443",
    "evt.op = connect and phase.name = install",
    "evt.op = connect",
];

prop_compose! {
    fn lines()(rows in prop::collection::vec((0..4usize, 0..CONDITIONS.len()), 0..7)) -> Vec<(Action, &'static str)> {
        let action = |at| [Action::Allow, Action::Ask, Action::Deny, Action::Kill][at];
        rows.into_iter().map(|(at, condition)| (action(at), CONDITIONS[condition])).collect()
    }
}

fn written(lines: &[(Action, &str)], allows: bool) -> String {
    let kept = lines
        .iter()
        .filter(|line| allows || line.0 != Action::Allow);
    kept.map(|(action, condition)| rule(crate::moment::action(*action), condition))
        .collect()
}

prop_compose! {
    pub(in crate::policy) fn cases()(
        op in 0..8usize,
        object in prop::sample::select(vec![
            "/tmp/a", "/tmp/.x/a", "/tmp/b/c", "/usr/bin/sh", "/home/u/.ssh/id_rsa", "/home/u/a", "/etc/passwd",
        ]),
        target in prop::sample::select(vec![
            "a.example:443", "b.example:80", "198.51.100.7:443", "[2001:db8::1]:1",
        ]),
        program in prop::option::of(prop::sample::select(vec!["/usr/bin/npm", "/usr/bin/node"])),
        dropped in any::<Option<bool>>(),
        phase in prop::option::of(prop::sample::select(vec!["install", "run"])),
        two in any::<bool>(),
    ) -> Case {
        let op = Op::ALL[op];
        let object = if op == Op::Connect { target } else { object };
        let decoy = (object == "/home/u/.ssh/id_rsa").then(|| "ssh key".to_owned());
        let other = matches!(op, Op::Rename | Op::Link | Op::Exec) && two;
        Case {
            other: other.then(|| "/usr/bin/sh".to_owned()),
            program: program.map(str::to_owned),
            phase: phase.map(str::to_owned),
            dropped,
            decoy,
            ..Case::parse(op.name(), object, HOME).unwrap()
        }
    }
}

/// What the running system comes to: written anew, from the kernel's lines alone.
/// `yes`: a person allows whatever is asked.
fn reference(
    policy: &Policy,
    enforced: &Enforced,
    case: &Case,
    yes: bool,
) -> (Action, &'static str) {
    let strictest = |all: Vec<Decided>| {
        let action = all.into_iter().map(|decided| decided.action);
        action.max_by_key(|action| strictness(*action)).unwrap()
    };
    if case.op == Op::Connect {
        let held = enforced.held & Op::Connect.bit() != 0;
        let who = if held { "hold" } else { "host" };
        return (policy.decide(case).action, who);
    }
    let mut objects = vec![case.clone()];
    objects.extend(case.of_other());
    let first = |op: Op, object: &Case| {
        let path = object.path.as_deref().unwrap().to_owned();
        let name = path.rsplit('/').next().unwrap().to_owned();
        let line = enforced.lines.iter().find(|line| {
            use belljar_event::wire::Place;
            let at = |place: &Place| match place {
                Place::Path(p) => p == path.as_bytes(),
                Place::Name(n) => n == name.as_bytes(),
                Place::Below(f) => {
                    let folder = String::from_utf8(f.clone()).unwrap();
                    path == folder || folder == "/" || path.starts_with(&format!("{folder}/"))
                }
            };
            line.ops & op.bit() != 0 && (line.places.is_empty() || line.places.iter().any(at))
        });
        line.map(|line| line.action)
    };
    let held = objects
        .iter()
        .any(|o| first(case.op, o) == Some(Action::Ask));
    if held {
        let said = strictest(objects.iter().map(|object| policy.decide(object)).collect());
        if said != Action::Allow && !(yes && said == Action::Ask) {
            return (said, "hold");
        }
    }
    use Op::{Chmod, Exec, Link, Read, Rename, Unlink, Write};
    for (at, object) in objects.iter().enumerate() {
        let (deny, leak): (Vec<Op>, Vec<Op>) = match (case.op, at) {
            (Rename, 0) => (vec![Rename, Write, Exec, Read], vec![Read]),
            (Rename, _) => (vec![Rename, Write, Exec, Read], vec![Write]),
            (Link, 0) => (vec![Link, Read, Write, Exec], vec![Read, Write]),
            (Link, _) => (vec![Link, Write], vec![Write]),
            (Unlink, _) => (vec![Unlink, Write], vec![]),
            (Chmod, _) => (vec![Chmod, Write], vec![]),
            (op, _) => (vec![op], vec![]),
        };
        let approved = first(case.op, object) == Some(Action::Ask);
        let refuses = deny
            .iter()
            .any(|op| first(*op, object) == Some(Action::Deny))
            || leak
                .iter()
                .any(|op| first(*op, object) == Some(Action::Ask) && !approved);
        if refuses {
            return (Action::Deny, "kernel");
        }
    }
    (Action::Allow, if held { "hold" } else { "kernel" })
}

proptest! {
    /// Whatever a repository's file says, nothing is weaker than without it: neither what
    /// is decided, nor what the guest's kernel does by itself.
    #[test]
    fn a_repository_only_tightens(base in lines(), own in lines(), case in cases()) {
        let base = Policy::parse("base", &written(&base, true)).unwrap();
        let text = written(&own, false);
        let tight = base.restricted(&file(&text)).unwrap();
        let (before, after) = (base.decide(&case), tight.decide(&case));
        prop_assert!(strictness(after.action) >= strictness(before.action));
        prop_assert!(!after.literal || before.literal);
        if let Some(name) = case.target.as_ref().and_then(|target| target.name()) {
            let lookup = |policy: &Policy| policy.lookup(&Question::lookup(name)).action;
            prop_assert!(strictness(lookup(&tight)) >= strictness(lookup(&base)));
        }
        if let (Ok(was), Ok(is)) = (base.enforced(&decoys()), tight.enforced(&decoys())) {
            // Neither with nobody there, nor with a person who allows what is asked.
            for yes in [false, true] {
                let end = |policy: &Policy, enforced: &Enforced| {
                    match reference(policy, enforced, &case, yes).0 {
                        Action::Ask if !yes => Action::Deny,
                        action => action,
                    }
                };
                let (was, is) = (end(&base, &was), end(&tight, &is));
                // Where a yes would lift another line, a restriction denies what is killed for.
                let denied = is == Action::Deny && matches!(case.op, Op::Rename | Op::Link);
                prop_assert!(strictness(is) >= strictness(was) || denied, "{is:?} {was:?}");
            }
        }
        let again = Policy::parse("trace", tight.source()).unwrap();
        prop_assert_eq!(again.decide(&case), after);
    }

    /// `explain` says what the running system does.
    #[test]
    fn explain_says_what_happens(base in lines(), own in lines(), case in cases()) {
        let base = Policy::parse("base", &written(&base, true)).unwrap();
        let text = written(&own, false);
        let policy = base.restricted(&file(&text)).unwrap();
        let Ok(enforced) = policy.enforced(&decoys()) else {
            prop_assert!(policy.explain(&case, &decoys()).is_err());
            return Ok(());
        };
        let explained = policy.explain(&case, &decoys()).unwrap();
        let told = (explained.decided.action, explained.settled.name());
        prop_assert_eq!(told, reference(&policy, &enforced, &case, false), "{:?}", explained);
        // Where the kernel is alone with the very operation, it says what the lines say.
        let alone = explained.settled.name() == "kernel" && explained.implied.is_none();
        if alone && case.other.is_none() && !explained.decided.by.starts_with("built-in:") {
            let decided = policy.decide(&case);
            // What the kernel denies by itself no restriction asks about or kills for.
            let more = explained.decided.by.starts_with("repository:")
                || decided.by.starts_with("repository:");
            let denied = explained.decided.action == Action::Deny;
            prop_assert!(explained.decided.action == decided.action || more && denied);
            // Of two lines that deny the kernel meets the restriction first.
            prop_assert!(!own.is_empty() || explained.decided.by == decided.by);
        }
        let shown = explained.weighed.iter().find(|w| w.line.id == explained.decided.by);
        prop_assert!(shown.is_some() || explained.decided.by.starts_with("built-in"));
    }
}
