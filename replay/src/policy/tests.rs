use std::net::{IpAddr, SocketAddr};

use belljar_event::Target;
use proptest::prelude::*;

use super::*;
use crate::cond::{Field, Value};

/// File, line, column and message of an error in a text.
pub(super) fn placed(error: &PolicyError) -> (&str, usize, usize, &str) {
    match error {
        PolicyError::Text {
            name,
            line,
            column,
            message,
        } => (name, *line, *column, message),
        other => panic!("{other}"),
    }
}

fn name(name: &str, port: u16) -> Target {
    Target::Name {
        name: name.into(),
        port,
    }
}

fn direct(address: &str) -> Target {
    Target::Direct(address.parse().unwrap())
}

fn flow(policy: &Policy, target: &Target) -> (Action, String) {
    let decided = policy.decide(&Question::flow(target));
    (decided.action, decided.by)
}

fn lookup(policy: &Policy, name: &str) -> (Action, String) {
    let decided = policy.lookup(&Question::lookup(name));
    (decided.action, decided.by)
}

fn composed(allows: &[&str]) -> Policy {
    let registries = [
        ("npm".to_owned(), "registry.host.example".to_owned(), 443),
        ("pip".to_owned(), "index.host.example".to_owned(), 443),
        ("pip".to_owned(), "files.host.example".to_owned(), 443),
    ];
    let allows: Vec<_> = allows
        .iter()
        .map(|allow| Allow::parse(allow).unwrap())
        .collect();
    Policy::compose(&Policy::preset("default").unwrap(), &registries, &allows).unwrap()
}

#[test]
fn the_default_lets_nothing_out() {
    let policy = Policy::preset("default").unwrap();
    let deny = |by: &str| (Action::Deny, by.to_owned());
    let asks = (Action::Ask, "default:egress".to_owned());
    assert_eq!(lookup(&policy, "evil.example"), asks.clone());
    assert_eq!(flow(&policy, &name("evil.example", 443)), asks.clone());
    assert_eq!(
        flow(&policy, &direct("198.51.100.7:443")),
        deny("default:direct")
    );
    assert_eq!(
        flow(&policy, &direct("169.254.169.254:80")),
        deny("default:metadata")
    );
    assert_eq!(
        flow(&policy, &direct("[::ffff:169.254.169.254]:80")),
        deny("default:metadata")
    );
    for address in [
        "10.0.0.1:80",
        "127.0.0.1:80",
        "[::1]:80",
        "[fe80::1]:80",
        "224.0.0.1:80",
        "100.64.0.1:1",
        "0.0.0.0:1",
        "[fc00::1]:1",
    ] {
        assert_eq!(
            flow(&policy, &direct(address)),
            deny("default:private"),
            "{address}"
        );
    }
    assert_eq!(
        flow(&policy, &direct("[2001:db8::1]:443")),
        deny("default:direct")
    );
    assert!(policy.direct().is_empty());
    assert!(Policy::preset("defualt").is_err());
}

#[test]
fn registries_and_allows_stand_in_front() {
    let policy = composed(&[
        "Api.Host.example",
        "*.cdn.example:443",
        "198.51.100.7:8080",
        "[2001:db8::1]:53",
    ]);
    let allow = |by: &str| (Action::Allow, by.to_owned());
    let deny = |by: &str| (Action::Deny, by.to_owned());
    let asks = (Action::Ask, "default:egress".to_owned());
    for (target, expected) in [
        (name("registry.host.example", 443), allow("registry:npm")),
        (name("REGISTRY.host.example", 443), allow("registry:npm")),
        (name("registry.host.example", 80), asks.clone()),
        (name("files.host.example", 443), allow("registry:pip-3")),
        (name("index.host.example", 443), allow("registry:pip")),
        (name("host.example", 443), asks.clone()),
        (
            name("registry.host.example.evil.example", 443),
            asks.clone(),
        ),
        (name("xregistry.host.example", 443), asks.clone()),
        (name("api.host.example", 9), allow("allow:1")),
        (name("a.cdn.example", 443), allow("allow:2")),
        (name("a.b.cdn.example", 443), allow("allow:2")),
        (name("cdn.example", 443), asks.clone()),
        (name("evilcdn.example", 443), asks.clone()),
        (name("a.cdn.example", 80), asks.clone()),
        (direct("198.51.100.7:8080"), allow("allow:3")),
        (direct("[::ffff:198.51.100.7]:8080"), allow("allow:3")),
        (direct("198.51.100.7:80"), deny("default:direct")),
        (direct("198.51.100.8:8080"), deny("default:direct")),
        (direct("[2001:db8::1]:53"), allow("allow:4")),
        (name("198.51.100.7", 8080), asks.clone()),
    ] {
        assert_eq!(flow(&policy, &target), expected, "{target}");
    }
    assert_eq!(
        policy.direct(),
        ["198.51.100.7:8080", "[2001:db8::1]:53"].map(|a| a.parse::<SocketAddr>().unwrap())
    );
    assert!(
        policy
            .decide(&Question::flow(&direct("198.51.100.7:8080")))
            .literal
    );
    assert!(
        !policy
            .decide(&Question::flow(&name("api.host.example", 1)))
            .literal
    );
}

#[test]
fn a_name_is_known_if_some_port_may_be_reached() {
    let policy = composed(&["*.cdn.example:443", "198.51.100.7:8080"]);
    assert_eq!(
        lookup(&policy, "registry.host.example"),
        (Action::Allow, "registry:npm".into())
    );
    assert_eq!(
        lookup(&policy, "a.cdn.example"),
        (Action::Allow, "allow:1".into())
    );
    assert_eq!(
        lookup(&policy, "cdn.example"),
        (Action::Ask, "default:egress".into())
    );
    assert_eq!(
        lookup(&policy, "evil.example"),
        (Action::Ask, "default:egress".into())
    );
    assert_eq!(
        lookup(&policy, "metadata.google.internal"),
        (Action::Deny, "default:metadata".into())
    );
    assert_eq!(lookup(&policy, ""), (Action::Ask, "default:egress".into()));
}

#[test]
fn undecided_lines_count_against_the_guest() {
    let policy = |action: &str| {
        let text = format!(
            "[[rule]]\naction = '{action}'\ncondition = 'proc.name = node'\n[[rule]]\naction = 'allow'\ncondition = 'net.name exists'\n"
        );
        Policy::parse("test", &text).unwrap()
    };
    struct Nobody;
    impl Subject for Nobody {
        fn value(&self, _: Field) -> Value<'_> {
            Value::Unknown
        }
    }
    let target = name("a.example", 443);
    let question = Question::flow(&target).by(&Nobody);
    for (action, decided, known) in [
        ("deny", (Action::Deny, "test:1"), (Action::Allow, "test:2")),
        ("kill", (Action::Kill, "test:1"), (Action::Allow, "test:2")),
        ("ask", (Action::Ask, "test:1"), (Action::Ask, "test:1")),
        (
            "allow",
            (Action::Allow, "test:2"),
            (Action::Allow, "test:1"),
        ),
    ] {
        let policy = policy(action);
        let got = policy.decide(&question);
        assert_eq!((got.action, got.by.as_str()), decided, "decide {action}");
        let got = policy.lookup(&Question::lookup("a.example").by(&Nobody));
        assert_eq!((got.action, got.by.as_str()), known, "lookup {action}");
    }
    // Without a process its fields are absent: such lines do not concern it.
    assert_eq!(policy("deny").decide(&Question::flow(&target)).by, "test:2");
}

#[test]
fn the_first_line_wins_and_is_explained() {
    let policy = Policy::parse(
        "mine",
        "[[rule]]\nid = 'odd'\naction = 'deny'\ncondition = 'fd.sport != 443'\nreason = 'only https'\n\
         [[rule]]\naction = 'ask'\ncondition = 'net.domain in (host.example)'\n\
         [[rule]]\naction = 'kill'\ncondition = 'net.direct'\n",
    )
    .unwrap();
    assert_eq!(
        flow(&policy, &name("host.example", 80)),
        (Action::Deny, "mine:odd".into())
    );
    assert_eq!(
        flow(&policy, &name("a.host.example", 443)),
        (Action::Ask, "mine:2".into())
    );
    assert_eq!(
        flow(&policy, &direct("198.51.100.7:443")),
        (Action::Kill, "mine:3".into())
    );
    assert_eq!(
        flow(&policy, &name("other.example", 443)),
        (Action::Deny, BUILT_IN.into())
    );
    // The line that may deny does not hide the one that may ask.
    assert_eq!(
        lookup(&policy, "host.example"),
        (Action::Ask, "mine:2".into())
    );
    let case = Case::parse("connect", "a.host.example:443", "/home/user").unwrap();
    let explained = policy.explain(&case, &[]).unwrap();
    let steps: Vec<_> = explained
        .weighed
        .iter()
        .map(|weighed| (weighed.line.id.as_str(), weighed.truth))
        .collect();
    assert_eq!(steps, [("mine:odd", Truth::No), ("mine:2", Truth::Yes)]);
    assert_eq!(
        policy.line("mine:odd").unwrap().reason.as_deref(),
        Some("only https")
    );
    let other = Case::parse("connect", "other.example:443", "/home/user").unwrap();
    let explained = policy.explain(&other, &[]).unwrap();
    assert_eq!(explained.weighed.len(), 3);
    assert_eq!(explained.settled, Settled::Hold);
}

/// A second name leaves what is said about the first one's place.
#[test]
fn what_is_ruled_has_one_name() {
    let lines = "[[rule]]\naction = 'ask'\ncondition = \"evt.op = read and fd.name = /srv/asked\"\n\
                 [[rule]]\naction = 'deny'\ncondition = \"evt.op = exec and fd.name = /srv/barred\"\n";
    let mine = Policy::parse("mine", lines).unwrap();
    for (policy, path, action) in [
        (&mine, "/srv/asked", Action::Deny),
        (&mine, "/srv/barred", Action::Deny),
        (&mine, "/srv/other", Action::Allow),
        // Every program has to be asked about here: git links what it fetches.
        (&composed(&[]), "/srv/.git/objects/aa", Action::Allow),
    ] {
        let case = Case::parse("link", path, "/home/user").unwrap();
        assert_eq!(
            policy.explain(&case, &[]).unwrap().decided.action,
            action,
            "{path}"
        );
    }
}

#[test]
fn the_text_loads_back_to_the_same_policy() {
    let policy = composed(&["a.example", "198.51.100.7:8080", "*.b.example:80"]);
    let again = Policy::parse("trace", policy.source()).unwrap();
    assert_eq!(again, policy);
    assert_eq!(again.source(), policy.source());
    assert_eq!(again.digest(), policy.digest());
    assert_eq!(again.direct(), policy.direct());
    assert_eq!(again.name(), "default");
    let ids = |policy: &Policy| {
        policy
            .lines()
            .iter()
            .map(|line| line.id.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&again), ids(&policy));
    assert_eq!(
        &ids(&policy)[..5],
        [
            "allow:1",
            "allow:2",
            "allow:3",
            "registry:npm",
            "registry:pip"
        ]
    );
    assert_ne!(composed(&[]).digest(), policy.digest());
    // Odd characters survive.
    let odd = "[[rule]]\naction = 'deny'\ncondition = \"\"\"\nproc.args contains 'a\\\\\"b\\u0007é'\n and fd.name regex \"\\\\.js\"\"\"\"\nreason = \"a\\nb\\u001b\"\n";
    let odd = Policy::parse("odd", odd).unwrap();
    assert_eq!(Policy::parse("x", odd.source()).unwrap(), odd);
}

#[test]
fn errors_have_line_and_column() {
    let good =
        "name = \"p\"\n[[rule]]\nid = \"x\"\naction = \"deny\"\ncondition = \"net.direct\"\n";
    Policy::parse("p.toml", good).unwrap();
    for (from, to, line, column, part) in [
        (
            "net.direct",
            "net.dirct",
            5,
            14,
            "did you mean `net.direct`",
        ),
        (
            "\"net.direct\"",
            "\"\"\"\n  net.direct\n  and fd.nam = 'x'\"\"\"",
            7,
            7,
            "did you mean `fd.name`",
        ),
        ("net.direct", "shells", 5, 14, "unknown macro"),
        ("\"deny\"", "\"dney\"", 4, 10, "dney"),
        ("id =", "idd =", 3, 1, "idd"),
        ("\"x\"", "\"a b\"", 3, 6, "an id has"),
        ("\"p\"", "\"P!\"", 1, 8, "a policy's name"),
        (
            "id = \"x\"",
            "literal = \"198.51.100.7:1\"",
            4,
            10,
            "lines that allow",
        ),
        ("condition = \"net.direct\"", "", 2, 1, "condition"),
        ("[[rule]]", "[[rule]", 2, 1, ""),
        ("\"x\"", "\"x\"\naction = \"allow\"", 5, 1, "duplicate"),
    ] {
        let text = good.replace(from, to);
        let error = Policy::parse("p.toml", &text).expect_err(to);
        let (name, l, c, message) = placed(&error);
        assert_eq!(name, "p.toml");
        assert!(message.contains(part), "{to}: {error}");
        if !part.is_empty() {
            assert_eq!((l, c), (line, column), "{to}: {error}");
        }
    }
    let twice =
        good.to_owned() + "[[rule]]\nid = \"x\"\naction = \"deny\"\ncondition = \"net.direct\"\n";
    assert!(
        Policy::parse("p", &twice)
            .unwrap_err()
            .to_string()
            .contains("two lines have this id")
    );
}

#[test]
fn allows_are_parsed() {
    for (text, expected) in [
        ("host.example", "host.example"),
        (" HOST.Example. ", "host.example"),
        ("host.example:8443", "host.example:8443"),
        ("localhost:3000", "localhost:3000"),
        ("*.host.example", "*.host.example"),
        ("*.host.example:443", "*.host.example:443"),
        ("198.51.100.7:443", "198.51.100.7:443"),
        ("[2001:db8::1]:443", "[2001:db8::1]:443"),
        ("[::ffff:198.51.100.7]:443", "198.51.100.7:443"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("a_b.example", "a_b.example"),
    ] {
        let allow: Allow = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(allow.to_string(), expected);
        assert_eq!(Allow::parse(expected).unwrap(), allow);
        let policy = Policy::compose(&Policy::preset("default").unwrap(), &[], &[allow]).unwrap();
        assert_eq!(policy.lines()[0].id, "allow:1");
    }
    for (text, part) in [
        ("", "nothing is named"),
        ("https://host.example", "without scheme"),
        ("host.example/path", "without scheme"),
        ("198.51.100.7", "needs its port, as in 198.51.100.7:443"),
        ("2001:db8::1", "needs its port, as in [2001:db8::1]:443"),
        ("[2001:db8::1]", "needs its port"),
        ("2001:db8::1::443", "labels"),
        ("host.example:0", "`0` is no port"),
        ("host.example:65536", "is no port"),
        ("host.example:+80", "is no port"),
        ("host.example:", "`` is no port"),
        ("198.51.100.7:http", "is no port"),
        ("*", "a star can only"),
        ("*.", "1 to 253"),
        ("a.*.example", "a star can only"),
        ("host..example", "labels"),
        (".example", "labels"),
        ("bücher.example", "xn--"),
        ("a b.example", "labels"),
        ("host.example and not x", "labels"),
        ("2130706433", "looks like a number"),
        ("0x7f.1:80", "looks like a number"),
        ("127.1", "looks like a number"),
        ("a.0x7f", "looks like a number"),
    ] {
        let error = Allow::parse(text).expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    assert!(Allow::parse(&"a".repeat(64)).is_err());
    assert!(Allow::parse(&vec!["a"; 200].join(".")).is_err());
}

#[test]
fn a_registry_may_be_an_address() {
    let preset = Policy::preset("default").unwrap();
    let registries = [("npm".to_owned(), "10.1.2.3".to_owned(), 4873)];
    let policy = Policy::compose(&preset, &registries, &[]).unwrap();
    assert_eq!(
        flow(&policy, &direct("10.1.2.3:4873")),
        (Action::Allow, "registry:npm".into())
    );
    assert_eq!(
        policy.direct(),
        [SocketAddr::new("10.1.2.3".parse::<IpAddr>().unwrap(), 4873)]
    );
    let bad = [("npm".to_owned(), "a = b or net.direct".to_owned(), 1)];
    assert!(Policy::compose(&preset, &bad, &[]).is_err());
    let odd = [("N P\nM".to_owned(), "a.example".to_owned(), 1)];
    assert_eq!(
        Policy::compose(&preset, &odd, &[]).unwrap().lines()[0].id,
        "registry:n-p-m"
    );
}

#[test]
fn hostile_policies_are_bounded() {
    let line = "[[rule]]\naction = 'deny'\ncondition = 'net.direct'\n";
    let pattern = "[[rule]]\naction = 'deny'\ncondition = 'fd.name regex \"a{500}\"'\n";
    let start = std::time::Instant::now();
    for (text, part) in [
        (line.repeat(2_000), "more than 1024 lines"),
        (pattern.repeat(200), "more than 128 patterns"),
        ("#".repeat(1 << 20), "longer than"),
        (format!("x = {}", "[".repeat(60_000)), ""),
        (format!("{}x = 1", "a.".repeat(60_000)), ""),
    ] {
        let error = Policy::parse("p", &text).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        assert!(error.len() < 2_000, "{part}: {}", error.len());
    }
    assert!(
        start.elapsed() < std::time::Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        let _ = Policy::parse("p", &text);
        let _ = Allow::parse(&text);
    }

    #[test]
    fn damaged_policies_never_panic(at in 0usize..2_000, remove in 0usize..20, insert in "[\\PC]{0,4}|[\n\"'=#]{0,4}") {
        let mut text: Vec<char> = preset_text("default").unwrap().chars().collect();
        let at = at.min(text.len());
        let end = (at + remove).min(text.len());
        text.splice(at..end, insert.chars());
        let text: String = text.into_iter().collect();
        if let Ok(policy) = Policy::parse("p", &text) {
            prop_assert_eq!(Policy::parse("q", policy.source()).unwrap(), policy);
        }
    }

    /// Whatever a user writes behind `--allow`, nothing but it is allowed.
    #[test]
    fn an_allow_lets_out_only_what_it_names(text in "[a-z*.:0-9]{1,20}", host in "[a-z]{1,3}(\\.[a-z]{1,3}){0,2}", port in 1u16..) {
        let Ok(allow) = Allow::parse(&text) else { return Ok(()) };
        let policy = Policy::compose(&Policy::preset("default").unwrap(), &[], std::slice::from_ref(&allow)).unwrap();
        let expected = match &allow {
            Allow::Host(name, p) => *name == host && p.is_none_or(|p| p == port),
            Allow::Below(name, p) => host.ends_with(&format!(".{name}")) && p.is_none_or(|p| p == port),
            Allow::Address(_) => false,
        };
        prop_assert_eq!(policy.decide(&Question::flow(&name(&host, port))).is_allowed(), expected);
        if expected {
            prop_assert!(policy.lookup(&Question::lookup(&host)).is_allowed());
        }
    }
}
