use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::cond::{Field, Truth, Value};

struct Fixed(BTreeMap<Field, Value<'static>>);

impl Subject for Fixed {
    fn value(&self, field: Field) -> Value<'_> {
        self.0.get(&field).cloned().unwrap_or(Value::Absent)
    }
}

const RULE: &str = "\
id: L4-TEST-001
title: Test
why: because
severity: high
attack: [T1059.004]
since: 0.1.0
condition: >
  evt.type in (open, openat)
  and fd.name startswith /etc/
message: \"%proc.name opened %fd.name.\"
advice: do not
";

fn load(sources: &[(&str, &str)]) -> Result<RuleSet, RuleErrors> {
    let owned: Vec<_> = sources
        .iter()
        .map(|(file, text)| ((*file).to_owned(), (*text).to_owned()))
        .collect();
    RuleSet::load(&owned)
}

/// The first error of a rule that differs from the good one by this replacement.
fn broken(from: &str, to: &str) -> RuleError {
    let text = RULE.replace(from, to);
    assert_ne!(text, RULE, "{from} is not in the sample");
    load(&[("rules/test.yaml", &text)])
        .expect_err(to)
        .0
        .remove(0)
}

#[test]
fn builtin_rules_load_and_say_everything() {
    let set = RuleSet::builtin();
    assert!(set.rules().len() >= 5);
    assert!(set.rules().is_sorted_by(|a, b| a.id < b.id));
    for rule in set.rules() {
        assert_eq!(set.rule(&rule.id).unwrap().id, rule.id);
        assert!(!rule.attack.is_empty(), "{}", rule.id);
        assert!(
            rule.condition.event_types().is_some(),
            "{} is asked about every event",
            rule.id
        );
    }
    assert!(set.rule("L4-NO-001").is_none());
}

#[test]
fn every_rule_file_is_built_in() {
    let mut files = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/rules")).unwrap() {
        files.insert(entry.unwrap().file_name().into_string().unwrap());
    }
    let built: std::collections::BTreeSet<_> =
        BUILTIN.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(files, built);
    for rule in RuleSet::builtin().rules() {
        assert!(
            built.contains(&format!("{}.yaml", rule.id)),
            "{} is not in a file of its name",
            rule.id
        );
    }
}

#[test]
fn a_rule_is_loaded_and_asked() {
    let set = load(&[("test.yaml", RULE)]).unwrap();
    let rule = set.rule("L4-TEST-001").unwrap();
    assert_eq!(
        (rule.severity, rule.title.as_str(), rule.why.as_str()),
        (Severity::High, "Test", "because")
    );
    let mut subject = Fixed(BTreeMap::from([
        (Field::EvtType, Value::str("openat")),
        (Field::FdName, Value::str("/etc/shadow")),
        (Field::ProcName, Value::str("cat")),
    ]));
    let fired = |subject: &Fixed, kind: &str| {
        let mut fired = Vec::new();
        set.judge(subject, kind, &mut |rule| {
            fired.push(rule.message_for(subject))
        });
        fired
    };
    assert_eq!(fired(&subject, "openat"), ["cat opened /etc/shadow."]);
    // A type that nobody knows: every rule is asked.
    assert_eq!(fired(&subject, "new kind"), ["cat opened /etc/shadow."]);
    assert!(fired(&subject, "connect").is_empty());
    subject.0.insert(Field::FdName, Value::Unknown);
    assert_eq!(rule.condition.matches(&subject), Truth::Maybe);
    assert!(
        fired(&subject, "openat").is_empty(),
        "what is not certain is no finding"
    );
}

#[test]
fn errors_have_file_line_and_column() {
    for (from, to, line, column, part) in [
        (
            "fd.name starts",
            "fd.nam starts",
            9,
            7,
            "did you mean `fd.name`",
        ),
        (
            "(open, openat)",
            "(open, opnat)",
            8,
            22,
            "did you mean `openat`",
        ),
        (
            "(open, openat)",
            "(open, openat",
            9,
            3,
            "expected `,` or `)`",
        ),
        ("  and fd", "  and\n\n  fd", 10, 3, ""),
        ("/etc/\n", "/etc/ and\n", 9, 35, "found the end"),
        ("%fd.name.", "%fd.nam.", 10, 29, "did you mean `%fd.name`"),
        ("%fd.name.", "50% of it", 10, 31, "written `%%`"),
        ("severity: high", "severity: hihg", 4, 11, "hihg"),
        ("title: Test", "title: ''", 2, 8, "`title` is empty"),
        ("T1059.004", "T59", 5, 9, "no ATT&CK technique"),
        ("L4-TEST-001", "l4 test", 1, 5, "no rule id"),
        (
            "advice: do not\n",
            "advise: do not\n",
            11,
            1,
            "unknown field",
        ),
        ("advice: do not\n", "", 0, 0, "missing field `advice`"),
        ("title: Test", "title: [", 0, 0, ""),
    ] {
        let text = RULE.replace(from, to);
        let Err(errors) = load(&[("rules/test.yaml", &text)]) else {
            assert_eq!(part, "", "{to} was accepted");
            continue;
        };
        let error = &errors.0[0];
        assert_eq!(error.file, "rules/test.yaml");
        assert!(error.message.contains(part), "{to}: {error}");
        assert!(error.line >= 1 && error.column >= 1, "{error}");
        if line > 0 {
            assert_eq!((error.line, error.column), (line, column), "{to}: {error}");
        }
    }
    let error = broken("fd.name starts", "fd.nam starts");
    assert_eq!(
        error.to_string(),
        "rules/test.yaml:9:7: unknown field `fd.nam`; did you mean `fd.name`?"
    );
}

#[test]
fn places_are_found_in_every_kind_of_scalar() {
    for (scalar, line, column) in [
        ("condition: opens and\n  fd.nam = x", 8, 3),
        ("condition: 'fd.nam = x'", 7, 13),
        ("condition: \"evt.type = open and fd.nam = x\"", 7, 33),
        (
            "condition: |\n    evt.type = open and\n    fd.nam = x\n",
            9,
            5,
        ),
        ("condition: >-\n  evt.type = open\n  and (fd.nam = x)", 9, 8),
    ] {
        let start = RULE.find("condition").unwrap();
        let end = RULE.find("message").unwrap();
        let text = format!("{}{scalar}\n{}", &RULE[..start], &RULE[end..])
            .replace("opens", "evt.type = open");
        let errors = load(&[("a.yaml", &text)]).unwrap_err();
        assert_eq!(
            (errors.0[0].line, errors.0[0].column),
            (line, column),
            "{scalar}: {errors}"
        );
    }
}

#[test]
fn all_files_are_reported_not_only_the_first() {
    let errors = load(&[
        ("b.yaml", &RULE.replace("high", "huge")),
        (
            "a.yaml",
            &RULE
                .replace("do not", "''")
                .replace("fd.name starts", "fd.nme starts"),
        ),
        (
            "names.yaml",
            "lists:\n  - list: a-b\n    items: []\nmacros:\n  - macro: m\n    condition: nothing\n",
        ),
    ])
    .unwrap_err();
    let places: Vec<_> = errors
        .0
        .iter()
        .map(|e| (e.file.as_str(), e.line, e.column))
        .collect();
    assert_eq!(places.len(), 5, "{errors}");
    assert_eq!(
        &places[..2],
        [("names.yaml", 2, 11), ("names.yaml", 6, 16)],
        "{errors}"
    );
    assert_eq!(places[4].0, "b.yaml");
    let twice = load(&[("a.yaml", RULE), ("b.yaml", RULE)]).unwrap_err();
    assert_eq!(
        twice.to_string(),
        "b.yaml:1:5: rule `L4-TEST-001` also stands in a.yaml"
    );
}

#[test]
fn names_are_shared_by_all_files() {
    let names = "lists:\n  - list: files\n    items: [/etc/shadow, '\"/etc/a b\"']\nmacros:\n  - macro: secret\n    condition: fd.name in (files)\n";
    let start = RULE.find("  evt.type").unwrap();
    let end = RULE.find("message").unwrap();
    let text = format!("{}  secret\n{}", &RULE[..start], &RULE[end..]);
    let set = load(&[("a.yaml", &text), ("some/where/names.yaml", names)]).unwrap();
    let subject = Fixed(BTreeMap::from([(Field::FdName, Value::str("/etc/a b"))]));
    assert!(set.rules()[0].condition.matches(&subject).is_yes());
    assert!(
        Condition::parse("secret", set.names())
            .unwrap()
            .matches(&subject)
            .is_yes()
    );
}

#[test]
fn the_digest_follows_the_texts_only() {
    let other = RULE.replace("L4-TEST-001", "L4-TEST-002");
    let set = load(&[("a.yaml", RULE), ("b.yaml", &other)]).unwrap();
    assert_eq!(
        set.digest(),
        load(&[("z.yaml", RULE), ("b.yaml", &other)])
            .unwrap()
            .digest()
    );
    assert_ne!(set.digest(), load(&[("a.yaml", RULE)]).unwrap().digest());
    let louder = RULE.replace("high", "critical");
    assert_ne!(
        load(&[("a.yaml", RULE)]).unwrap().digest(),
        load(&[("a.yaml", &louder)]).unwrap().digest()
    );
    // Where one text ends and the next begins is part of the digest.
    assert_ne!(
        load(&[("names.yaml", "lists: []")]).unwrap().digest(),
        load(&[]).unwrap().digest()
    );
}

#[test]
fn templates_render() {
    let subject = Fixed(BTreeMap::from([
        (Field::ProcName, Value::str("node")),
        (Field::ProcAnameAt(2), Value::str("npm")),
        (
            Field::ProcAname,
            Value::List(vec!["sh".into(), "npm".into()]),
        ),
        (Field::FdName, Value::bytes(b"/a\xff\x00b")),
        (Field::ProcCmdline, Value::Cut(b"node -e"[..].into())),
        (Field::ProcArgs, Value::from("x".repeat(10_000))),
        (Field::FdSport, Value::Int(443)),
        (Field::NetName, Value::Unknown),
    ]));
    for (template, expected) in [
        ("%proc.name", "node"),
        ("%proc.name.", "node."),
        ("%proc.name,%fd.sport%%", "node,443%"),
        ("by %proc.aname[2] of %proc.aname", "by npm of sh, npm"),
        ("%fd.name", "/a\\xff\0b"),
        ("%proc.cmdline", "node -e…"),
        ("%net.name/%proc.pname", "<unknown>/<NA>"),
        ("%proc.name[1]", "node[1]"),
        ("", ""),
    ] {
        let template_ =
            Template::parse(template).unwrap_or_else(|(at, e)| panic!("{template}: {at} {e}"));
        assert_eq!(template_.render(&subject), expected, "{template}");
        assert_eq!(template_.source(), template);
    }
    let long = Template::parse("%proc.args").unwrap().render(&subject);
    assert_eq!(long.len(), 512 + "…".len());
    for bad in ["%", "% x", "%proc.nme", "%proc.aname[99]", "%evt.arg"] {
        assert!(Template::parse(bad).is_err(), "{bad}");
    }
    assert!(Template::parse(&"%fd.name ".repeat(100)).is_err());
}

fn soon<T>(what: &str, f: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let out = f();
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{what} took {:?}",
        start.elapsed()
    );
    out
}

#[test]
fn hostile_yaml_is_bounded() {
    let mut bomb = String::from("a: &a [x,x,x,x,x,x,x,x,x]\n");
    for level in 1..10u8 {
        let (this, before) = (char::from(b'a' + level), char::from(b'a' + level - 1));
        bomb.push_str(&format!("{this}: &{this} [*{before},*{before},*{before},*{before},*{before},*{before},*{before}]\n"));
    }
    for (what, text) in [
        ("alias bomb", bomb),
        (
            "alias in a rule",
            RULE.replace("why: because", "why: &a because")
                .replace("advice: do not", "advice: *a"),
        ),
        ("depth", "[".repeat(100_000)),
        (
            "depth of a map",
            (0..2_000)
                .map(|level| format!("{}a:\n", " ".repeat(level % 60)))
                .collect(),
        ),
        (
            "many nodes",
            format!("attack: [{}]", "T1059,".repeat(15_000)),
        ),
        ("size", RULE.to_owned() + &"#".repeat(1 << 20)),
        ("documents", RULE.to_owned() + "---\n" + RULE),
        ("duplicate key", RULE.to_owned() + "title: other\n"),
        ("merge", format!("<<: {{title: x}}\n{RULE}")),
        ("bytes", "\u{0}\u{1}\u{feff}: x".into()),
        ("nothing", String::new()),
        ("list", "- a\n- b\n".into()),
    ] {
        let errors = soon(what, || load(&[("bad.yaml", &text)])).expect_err(what);
        assert!(
            errors.to_string().len() < 1_000,
            "{what}: {}",
            errors.to_string().len()
        );
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        let _ = load(&[("a.yaml", &text), ("names.yaml", &text)]);
        let _ = Template::parse(&text);
    }

    #[test]
    fn damaged_rules_never_panic(at in 0usize..300, remove in 0usize..20, insert in "[\\PC]{0,4}|[\n:%>|'\"&*-]{0,4}") {
        let mut text: Vec<char> = RULE.chars().collect();
        let at = at.min(text.len());
        let end = (at + remove).min(text.len());
        text.splice(at..end, insert.chars());
        let text: String = text.into_iter().collect();
        if let Err(errors) = load(&[("a.yaml", &text)]) {
            for error in &errors.0 {
                prop_assert!(error.line >= 1 && error.line <= text.lines().count() + 1, "{error}");
            }
        }
    }
}
