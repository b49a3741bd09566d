use crate::policy::{Enforcer, Policy, Source, Syntax};

fn rule(action: &str, condition: &str) -> String {
    format!("[[rule]]\naction = '{action}'\ncondition = '''{condition}'''\n")
}

fn read(text: &str) -> Policy {
    Policy::read(&Source {
        name: "p",
        file: "dir/p.toml",
        text,
        syntax: Syntax::Toml,
    })
    .unwrap()
}

#[test]
fn each_line_has_its_enforcer_or_its_error() {
    let text = rule("deny", "evt.op = write and fd.name = /a")
        + &rule("ask", "evt.op = exec and path.dropped")
        + &rule("deny", "net.direct")
        + &rule("deny", "evt.op = read and proc.name = x");
    let policy = read(&text);
    let checked = policy.checked(&[]).unwrap();
    let error = checked[3].by.as_ref().unwrap_err().to_string();
    assert!(error.starts_with("dir/p.toml:12:16: line `p:4`"), "{error}");
    assert_eq!(checked[1].by.as_ref().unwrap(), &[Enforcer::Hold]);
    let good = read(&text.replace("evt.op = read and proc", "evt.op = exec and proc"));
    let by: Vec<_> = good
        .checked(&[])
        .unwrap()
        .into_iter()
        .map(|checked| checked.by.unwrap())
        .collect();
    assert_eq!(
        by,
        [
            vec![Enforcer::Kernel],
            vec![Enforcer::Hold],
            vec![Enforcer::Host],
            vec![Enforcer::Hold]
        ]
    );
}

#[test]
fn lines_that_can_never_decide_are_named() {
    let covered = |lines: &[(&str, &str)]| {
        let text: String = lines
            .iter()
            .map(|(action, condition)| rule(action, condition))
            .collect();
        let policy = read(&text);
        let checked = policy.checked(&[]).unwrap();
        checked
            .last()
            .and_then(|checked| checked.covered.as_ref())
            .map(|covered| (covered.by.id.clone(), covered.but_unknown))
    };
    let hit = |unknown| Some(("p:1".to_owned(), unknown));
    for (wide, narrow, expected) in [
        (("deny", "net.direct"), ("ask", "net.direct"), hit(false)),
        (("deny", "net.direct"), ("ask", " net.direct  "), hit(false)),
        (("allow", "net.direct"), ("allow", "net.direct"), hit(false)),
        (("allow", "net.direct"), ("deny", "net.direct"), hit(true)),
        (
            ("deny", "net.name in (a.example, b.example)"),
            ("allow", "net.name = B.example"),
            hit(false),
        ),
        (
            ("deny", "net.name exists"),
            ("allow", "net.name = a.example and fd.sport = 1"),
            hit(false),
        ),
        (
            ("deny", "evt.op = exec and fd.name startswith /tmp/"),
            ("ask", "fd.name = /tmp/x and evt.op = exec"),
            hit(false),
        ),
        (
            ("deny", "evt.op in (exec, write)"),
            ("ask", "evt.op = exec and not path.dropped"),
            hit(false),
        ),
        (
            ("deny", "net.direct or net.name exists"),
            ("ask", "net.name = a.example"),
            hit(false),
        ),
        (
            ("deny", "evt.op = exec and not path.dropped"),
            ("ask", "evt.op = exec and not (path.dropped or path.hidden)"),
            hit(false),
        ),
        (
            ("deny", "net.name = a.example"),
            ("ask", "net.name exists"),
            None,
        ),
        (
            ("deny", "net.domain = a.example"),
            ("ask", "net.domain in (a.example)"),
            None,
        ),
        (
            ("deny", "net.domain in (a.example)"),
            ("ask", "net.domain = a.example"),
            hit(false),
        ),
        (
            ("deny", "evt.op = exec and fd.name startswith /tmp/"),
            ("ask", "evt.op = exec and fd.name startswith /tm"),
            None,
        ),
        (("deny", "fd.sport = 1"), ("ask", "fd.sport = 2"), None),
        (
            ("deny", "evt.op = exec and not path.dropped"),
            ("ask", "evt.op = exec and not path.hidden"),
            None,
        ),
    ] {
        assert_eq!(covered(&[wide, narrow]), expected, "{wide:?} {narrow:?}");
    }
}

#[test]
fn yaml_says_the_same_with_its_places() {
    let yaml = "# mine\nname: p\nrule:\n  - id: a\n    action: deny\n    condition: net.direct\n    reason: no\n  - action: ask\n    condition: >\n      net.name exists\n      and fd.sport = 443\n";
    fn source(text: &str) -> Source<'_> {
        Source {
            name: "p",
            file: "p.yaml",
            text,
            syntax: Syntax::of("p.yaml"),
        }
    }
    let policy = Policy::read(&source(yaml)).unwrap();
    let toml = "name = 'p'\n[[rule]]\nid = 'a'\naction = 'deny'\ncondition = 'net.direct'\nreason = 'no'\n[[rule]]\naction = 'ask'\ncondition = \"\"\"net.name exists and fd.sport = 443\"\"\"\n";
    assert_eq!(policy.lines().len(), 2);
    assert_eq!(policy.lines()[0].id, "p:a");
    assert_eq!(
        read(toml).lines()[1].condition.source(),
        policy.lines()[1].condition.source()
    );
    for (from, to, at, part) in [
        ("net.direct", "net.dirct", "6:16", "did you mean"),
        ("fd.sport", "fd.spot", "11:11", "did you mean"),
        ("action: deny", "action: dney", "5:13", "dney"),
        ("reason:", "raeson:", "7:5", "raeson"),
        ("id: a", "id: &x a", "4:12", "anchors"),
    ] {
        let text = yaml.replace(from, to);
        let error = Policy::read(&source(&text)).expect_err(to).to_string();
        assert!(error.starts_with(&format!("p.yaml:{at}:")), "{to}: {error}");
        assert!(error.contains(part), "{to}: {error}");
    }
    // All that is wrong is said.
    let text = yaml
        .replace("net.direct", "net.dirct")
        .replace("fd.sport", "fd.spot");
    assert_eq!(Policy::read_all(&source(&text)).unwrap_err().len(), 2);
}
