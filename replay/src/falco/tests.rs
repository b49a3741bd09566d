use crate::rules::{LoadedRules, RuleSet, Severity, Status};

fn load(texts: &[&str]) -> LoadedRules {
    let sources: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| (format!("{at}.yaml"), (*text).to_owned()))
        .collect();
    RuleSet::load_all(false, &sources).unwrap()
}

const BASE: &str = "
- required_engine_version: 0.57.0
- list: shells
  items: [sh, bash]
- list: programs
  items: [shells, node, 80]
- macro: started
  condition: evt.type in (execve, execveat)
- macro: shell_started
  condition: (started and proc.name in (shells))
- rule: A shell, started
  desc: what it says
  condition: shell_started
  output: shell %proc.name %not.here %container.id (100%)
  priority: WARNING
  tags: [host, T1059.004, mitre_execution]
";

fn condition(loaded: &LoadedRules, id: &str) -> String {
    loaded.rules.rule(id).unwrap().condition.spelled_out()
}

#[test]
fn a_file_becomes_rules() {
    let loaded = load(&[BASE]);
    let rule = loaded.rules.rule("falco:a-shell-started").unwrap();
    assert_eq!(rule.severity, Severity::Medium);
    assert_eq!(rule.attack, ["T1059.004"]);
    assert_eq!(rule.why, "what it says");
    assert_eq!(
        rule.message.source(),
        "shell %proc.name %not.here %container.id (100%)"
    );
    assert_eq!(
        rule.condition.spelled_out(),
        "(((evt.type in (execve, execveat)) and proc.name in (shells)))"
    );
    assert_eq!(
        rule.condition.event_types().unwrap(),
        ["execve", "execveat"]
    );
}

#[test]
fn later_items_override_and_extend() {
    let more = "
- macro: started
  condition: or evt.type = fork
  override: {condition: append}
- list: shells
  items: [zsh]
  append: true
- rule: A shell, started
  condition: and proc.pname = node
  priority: CRITICAL
  override: {condition: append, priority: replace}
";
    let loaded = load(&[BASE, more]);
    let rule = loaded.rules.rule("falco:a-shell-started").unwrap();
    assert_eq!(rule.severity, Severity::Critical);
    let text = condition(&loaded, "falco:a-shell-started");
    assert!(text.contains("evt.type = fork"), "{text}");
    assert!(text.ends_with("and proc.pname = node"), "{text}");

    let off = "- rule: A shell, started\n  enabled: false\n";
    let loaded = load(&[BASE, off]);
    assert!(loaded.rules.rules().is_empty());
    assert!(!loaded.checked[0].enabled);
    assert!(loaded.checked[0].status.is_evaluable());

    let nothing = "- rule: Nobody knows it\n  enabled: false\n";
    let loaded = load(&[BASE, nothing]);
    let Status::Wrong { line, message, .. } = &loaded.checked[0].status else {
        panic!("{:?}", loaded.checked);
    };
    assert_eq!((*line, message.contains("does not exist")), (1, true));
}

#[test]
fn exceptions_are_taken_out() {
    let excepted = BASE.to_owned()
        + "  exceptions:
    - name: two
      fields: [proc.name, proc.pname]
      comps: [=, in]
      values:
        - [bash, [node, \"my node\"]]
        - [sh, npm]
    - name: one
      fields: proc.pname
      values: [make, cmake]
    - name: none yet
      fields: [proc.name]
";
    let more = "
- rule: A shell, started
  append: true
  exceptions:
    - name: one
      values: [ninja]
";
    let loaded = load(&[&excepted, more]);
    let text = condition(&loaded, "falco:a-shell-started");
    for part in [
        "(proc.name = bash and proc.pname in (node, \"my node\"))",
        "(proc.name = sh and proc.pname in (npm))",
        "(proc.pname in (make, cmake, ninja))",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(text.contains(") and not ("), "{text}");
}

#[test]
fn what_is_missing_is_named() {
    let rules = "
- rule: Two fields
  condition: evt.type = execve and proc.env contains X and fd.cip exists
  output: x
- rule: Other events
  condition: ka.verb = create
  source: k8s_audit
  output: x
- rule: Calls that are not recorded
  condition: evt.type in (mmap, mprotect)
  output: x
- rule: Never here, so nothing is missing
  condition: container.id != host and proc.env exists and evt.type = execve
  output: x
- rule: Wrong
  desc: >
    many words
  condition: >
    evt.type = execve
    and proc.name startwith x
  output: x
- rule: Through a macro
  condition: nonsense
  output: x
- macro: nonsense
  condition: evt.type = execve and or
";
    let loaded = load(&[rules]);
    let status = |at: usize| &loaded.checked[at].status;
    let missing = |at: usize| match status(at) {
        Status::Missing(what) => what.join(", "),
        other => panic!("{other:?}"),
    };
    assert_eq!(missing(0), "fd.cip, proc.env");
    assert_eq!(missing(1), "events of `k8s_audit`");
    assert_eq!(missing(2), "calls of `mmap`, calls of `mprotect`");
    assert!(status(3).is_evaluable());
    let Status::Wrong {
        line,
        column,
        message,
    } = status(4)
    else {
        panic!("{:?}", status(4));
    };
    assert_eq!((*line, *column), (20, 19), "{message}");
    assert!(message.contains("did you mean `startswith`?"), "{message}");
    let Status::Wrong { message, .. } = status(5) else {
        panic!("{:?}", status(5));
    };
    assert!(message.contains("macro `nonsense`"), "{message}");
}

#[test]
fn a_macro_that_names_itself_is_an_error_and_no_loop() {
    let rules = "
- macro: a
  condition: b and a
- macro: b
  condition: a
- list: c
  items: [c, d]
- rule: R
  condition: a and evt.type in (execve) and proc.name in (c)
  output: x
";
    let loaded = load(&[rules]);
    assert!(!loaded.checked[0].status.is_evaluable());
}
