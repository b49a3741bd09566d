use crate::rules::{By, Form, LoadedRules, RuleSet, Status};

fn load(text: &str) -> LoadedRules {
    RuleSet::load_all(false, &[("r.yml".to_owned(), text.to_owned())]).unwrap()
}

fn rule(source: &str, detection: &str) -> String {
    let indented = detection.replace('\n', "\n    ");
    format!(
        "title: T\nid: i\nauthor: A. Uthor\nlevel: high\ntags: [attack.t1059.004, attack.execution]\n\
         logsource:\n    product: linux\n    {source}\ndetection:\n    {indented}\n"
    )
}

fn condition(source: &str, detection: &str) -> String {
    let text = rule(source, detection);
    let loaded = load(&text);
    let found = loaded.rules.rule("sigma:i");
    let found = found.unwrap_or_else(|| panic!("{:?}\n{text}", loaded.checked));
    found.condition.source().to_owned()
}

fn process(detection: &str) -> String {
    let text = condition("category: process_creation", detection);
    let guard = "evt.type in (execve, execveat) and evt.failed = false and ";
    text.strip_prefix(guard).unwrap_or(&text).to_owned()
}

#[test]
fn detections_become_conditions() {
    for (detection, expected) in [
        (
            "s:\n    Image|endswith: ['/Curl', '/wget']\n    CommandLine|contains|all: [a, b]\ncondition: s",
            r#"((tolower(proc.exeline) contains "a" and tolower(proc.exeline) contains "b") and (tolower(proc.exepath) endswith "/curl" or tolower(proc.exepath) endswith "/wget"))"#,
        ),
        (
            "s:\n    - Image: /bin/sh\n    - CommandLine: 'x*y'\nf_1:\n    User: root\ncondition: s and not 1 of f_*",
            r#"((tolower(proc.exepath) = "/bin/sh" or proc.exeline iglob "x*y") and not tolower(user.name) = "root")"#,
        ),
        (
            "s:\n    CommandLine|base64offset|contains: /bin/sh\ncondition: s",
            r#"(proc.exeline contains "L2Jpbi9za" or proc.exeline contains "9iaW4vc2" or proc.exeline contains "vYmluL3No")"#,
        ),
        (
            "s:\n    CommandLine|re: '-D\\s'\ncondition: s",
            r#"proc.exeline regex ".*(?:-D\\s).*""#,
        ),
        (
            "s:\n    CommandLine|cased: Ab\n    CurrentDirectory: null\ncondition: s",
            r#"(proc.exeline = "Ab" and not proc.cwd exists)"#,
        ),
        (
            "s:\n    ProcessId|gte: 7\n    LogonId: 0\ncondition: s",
            "(user.loginuid = 0 and proc.pid >= 7)",
        ),
        (
            "s:\n    Image|fieldref: ParentImage\ncondition: s",
            "tolower(proc.exepath) = tolower(proc.pexepath)",
        ),
        (
            "a:\n    Image: a\nb:\n    Image: b\n_c:\n    Image: c\ncondition: all of them",
            r#"(tolower(proc.exepath) = "a" and tolower(proc.exepath) = "b")"#,
        ),
        (
            "k: [evil, 'b*d']\ncondition: k",
            r#"(tolower(proc.exeline) contains "evil" or proc.exeline iglob "*b*d*")"#,
        ),
    ] {
        let found = process(detection);
        let bare = expected
            .strip_prefix('(')
            .and_then(|text| text.strip_suffix(')'))
            .unwrap_or(expected);
        assert!(
            found == expected || found == bare,
            "{detection}\n{found}\n{expected}"
        );
    }
}

#[test]
fn a_rule_of_auditd_is_asked_about_each_record() {
    let text = condition(
        "service: auditd",
        "s:\n    type: SYSCALL\n    SYSCALL: socket\n    a0: 26\ncondition: s",
    );
    assert_eq!(
        text,
        "evt.failed exists and (evt.type = \"socket\" and evt.arg[0] = 38)"
    );
    let text = condition(
        "service: auditd",
        "s:\n    type: execve\n    a0: cp\nt:\n    name: /etc/shadow\ncondition: 1 of *",
    );
    assert!(text.contains("tolower(proc.argv[0]) = \"cp\""), "{text}");
    assert!(
        text.contains("tolower(fs.path.name) = \"/etc/shadow\""),
        "{text}"
    );
    assert!(
        text.contains("tolower(fs.path.target) = \"/etc/shadow\""),
        "{text}"
    );
}

#[test]
fn what_is_missing_is_named() {
    let status =
        |source: &str, detection: &str| load(&rule(source, detection)).checked[0].status.clone();
    let missing = |source: &str, detection: &str| match status(source, detection) {
        Status::Missing(what) => what.join(", "),
        other => panic!("{other:?}"),
    };
    let process = "category: process_creation";
    assert_eq!(
        missing("service: cron", "s: [x]\ncondition: s"),
        "the log of `cron`"
    );
    assert_eq!(
        missing(process, "s:\n    Hashes: x\n    Nothing: y\ncondition: s"),
        "field `Hashes`, field `Nothing`"
    );
    assert_eq!(
        missing(process, "s:\n    Image|expand: '%x%'\ncondition: s"),
        "modifier `expand`"
    );
    assert!(
        missing(process, "s:\n    Image: x\ncondition: s | count() > 3").contains("correlation")
    );
    assert!(missing(process, "s:\n    Image|re: '(?<!a)b'\ncondition: s").contains("pattern"));
    assert_eq!(
        missing("service: auditd", "s:\n    type: USER_AUTH\ncondition: s"),
        "records of type `USER_AUTH`"
    );
    assert_eq!(
        missing("service: auditd", "s:\n    SYSCALL: mmap\ncondition: s"),
        "calls of `mmap`"
    );
    let wrong = status(process, "sel:\n    Image: x\ncondition: sel and sell");
    let Status::Wrong {
        line,
        column,
        message,
    } = wrong
    else {
        panic!("{wrong:?}");
    };
    assert_eq!((line, column), (12, 24), "{message}");
    assert!(message.contains("did you mean `sel`?"), "{message}");
}

const CORRELATED: &str = "title: A
name: a
logsource: {category: process_creation, product: linux}
detection: {s: {Image: /bin/a}, condition: s}
---
title: B
name: b
logsource: {category: process_creation, product: linux}
detection: {s: {Image: /bin/b}, condition: s}
---
title: Both
id: both
correlation:
    type: TYPE
    rules: [a, b]
    group-by: [ParentImage]
    timespan: 5m
";

#[test]
fn correlations_become_patterns() {
    let temporal = load(&CORRELATED.replace("TYPE", "temporal"));
    let rule = temporal.rules.rule("sigma:both").unwrap();
    let beyond = rule.beyond.as_ref().unwrap();
    assert_eq!(beyond.form, Form::Sequence { ordered: false });
    assert_eq!(beyond.within, 300_000_000_000);
    assert!(matches!(&beyond.by, By::Fields(fields) if fields.len() == 1));
    // The parts say nothing by themselves.
    assert_eq!(temporal.rules.rules().len(), 1);
    let generate = CORRELATED.replace("TYPE", "temporal_ordered") + "    generate: true\n";
    assert_eq!(load(&generate).rules.rules().len(), 3);

    let count =
        CORRELATED.replace("TYPE", "value_count") + "    condition: {gte: 3, field: CommandLine}\n";
    let count = load(&count);
    let beyond = count
        .rules
        .rule("sigma:both")
        .unwrap()
        .beyond
        .as_ref()
        .unwrap();
    assert!(matches!(&beyond.form, Form::Count { at_least: 3, distinct } if distinct.len() == 1));

    for (more, why) in [
        ("    condition: {lt: 3}\n", "`lt`"),
        ("    condition: {gte: 1000000}\n", "counts above"),
        (
            "    condition: {gte: 2}\n    aliases: {x: {a: Image}}\n",
            "aliases",
        ),
    ] {
        let loaded = load(&(CORRELATED.replace("TYPE", "event_count") + more));
        let status = &loaded.checked[2].status;
        assert!(
            matches!(status, Status::Missing(what) if what[0].contains(why)),
            "{status:?}"
        );
    }
}
