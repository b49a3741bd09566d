use belljar_event::wire::Place;
use belljar_event::{Action, Op};

use super::{Enforced, Enforcer};
use crate::policy::{Policy, PolicyError};

fn policy(lines: &[(&str, &str)]) -> Policy {
    let mut text = String::from("name = \"p\"\n");
    for (action, condition) in lines {
        text.push_str(&format!(
            "[[rule]]\naction = \"{action}\"\ncondition = \"{condition}\"\n"
        ));
    }
    Policy::parse("p", &text).unwrap()
}

fn divided(lines: &[(&str, &str)]) -> Enforced {
    policy(lines)
        .enforced(&[b"/home/u/.npmrc".to_vec()])
        .unwrap()
}

#[test]
fn paths_names_and_decoys_go_to_the_kernel() {
    let enforced = divided(&[
        ("deny", "evt.op in (read, write) and path.decoy"),
        ("deny", "evt.op = write and fd.name startswith /etc/"),
        ("allow", "evt.op = exec and fd.name in (/bin/sh, /bin/ls)"),
        ("deny", "fd.filename in (id_rsa, sh)"),
    ]);
    assert_eq!(enforced.held, 0);
    let by: Vec<_> = enforced.by.iter().map(|(_, by)| by.as_slice()).collect();
    assert_eq!(by, vec![&[Enforcer::Kernel][..]; 4]);
    let [decoys, etc, exec, name] = enforced.lines.as_slice() else {
        panic!("{:?}", enforced.lines)
    };
    assert_eq!(decoys.places, [Place::Path(b"/home/u/.npmrc".to_vec())]);
    assert_eq!(decoys.ops, Op::Read.bit() | Op::Write.bit());
    assert_eq!(etc.places, [Place::Below(b"/etc".to_vec())]);
    assert_eq!(exec.places.len(), 2);
    assert_eq!(name.ops, 0xff & !Op::Connect.bit());
}

#[test]
fn what_the_kernel_cannot_tell_is_held() {
    let enforced = divided(&[
        ("ask", "evt.op = exec and path.dropped"),
        ("ask", "net.name exists"),
        ("deny", "net.direct"),
    ]);
    assert_eq!(enforced.held, Op::Exec.bit() | Op::Connect.bit());
    assert_eq!(enforced.lines.len(), 1);
    assert_eq!(enforced.lines[0].action, Action::Ask);
    assert!(enforced.lines[0].places.is_empty());
}

#[test]
fn what_cannot_be_enforced_is_refused() {
    for condition in [
        "proc.name = curl",
        "evt.op = read and proc.name = curl",
        "fd.name contains secret",
    ] {
        let error = policy(&[("deny", condition)]).enforced(&[]).unwrap_err();
        assert!(error.to_string().contains("read"), "{error}");
    }
}

#[test]
fn alternatives_are_bounded() {
    let any = vec!["fd.name = /a"; 20].join(" or ");
    let condition = format!("({any}) and ({any})");
    assert!(policy(&[("deny", &condition)]).enforced(&[]).is_err());
}

#[test]
fn what_is_not_known_before_a_call_is_refused_with_its_place() {
    for (condition, part) in [
        ("evt.op = exec and evt.type = execve", "evt.type"),
        ("evt.op = write and evt.failed", "evt.failed"),
        ("fs.path.written startswith /etc/", "fs.path.written"),
        ("net.by exists", "net.by"),
        ("evt.op = exce", "did you mean `exec`"),
        ("evt.op = connect and fd.filename = x", "can never hold"),
        (
            "evt.op = write and fd.name = /a/../b",
            "no path as the kernel",
        ),
        ("fd.filename = a/b", "no file's name"),
        ("evt.op = write and fd.name startswith /a//", "no path"),
    ] {
        let policy = policy(&[("allow", "net.direct"), ("deny", condition)]);
        let error = policy.enforced(&[]).unwrap_err();
        let PolicyError::Text {
            name,
            line,
            column,
            message,
            ..
        } = &error
        else {
            panic!("{error}")
        };
        assert_eq!((name.as_str(), *line, *column), ("p", 7, 14), "{error}");
        assert!(message.contains(part), "{condition}: {error}");
    }
}

#[test]
fn an_allow_that_changes_nothing_is_not_sent() {
    let allow = (
        "allow",
        "evt.op = write and fd.name startswith /home/u/.cache/pip/",
    );
    let enforced = divided(&[
        allow,
        ("deny", "evt.op in (read, write) and path.decoy"),
        ("deny", "evt.op = exec and fd.name startswith /home/"),
    ]);
    assert_eq!(enforced.lines.len(), 2);
    assert_eq!(enforced.by[0].1, [Enforcer::Kernel]);
    // One that stands in front of something wider is.
    let enforced = divided(&[allow, ("deny", "evt.op = write")]);
    assert_eq!(enforced.lines.len(), 2);
    let enforced = divided(&[
        (
            "allow",
            "evt.op in (exec, write) and fd.name startswith /usr/",
        ),
        ("deny", "evt.op = exec and fd.filename = curl"),
    ]);
    assert_eq!(enforced.lines[0].ops, Op::Exec.bit());
}

#[test]
fn every_connect_line_is_held_if_one_asks() {
    let by = |lines: &[(&str, &str)]| divided(lines).by.remove(0).1;
    assert_eq!(by(&[("deny", "net.direct")]), [Enforcer::Host]);
    let lines = [("deny", "net.direct"), ("ask", "net.name exists")];
    assert_eq!(by(&lines), [Enforcer::Hold]);
    let both = [("ask", "evt.op in (exec, connect) and proc.name = curl")];
    let enforced = divided(&both);
    assert_eq!(enforced.held, Op::Exec.bit() | Op::Connect.bit());
}

#[test]
fn a_policy_that_the_kernel_cannot_hold_is_refused() {
    let paths: Vec<_> = (0..1100).map(|n| format!("/a/{n}")).collect();
    let condition = format!("evt.op = write and fd.name in ({})", paths.join(", "));
    let error = policy(&[("deny", &condition)]).enforced(&[]).unwrap_err();
    assert!(error.to_string().contains("1024 paths"), "{error}");
    let lines: Vec<(&str, &str)> = vec![("deny", "evt.op = write"); 1001];
    let error = policy(&lines).enforced(&[]).unwrap_err();
    assert!(error.to_string().contains("1000 lines"), "{error}");
}

#[test]
fn a_line_about_a_connect_concerns_its_lookup() {
    let line = "evt.op = connect and net.name = a.example and fd.sport = 443";
    let policy = policy(&[("allow", line), ("deny", "evt.op = connect")]);
    let lookup = |name| policy.lookup(&crate::policy::Question::lookup(name)).action;
    assert_eq!(lookup("a.example"), Action::Allow);
    assert_eq!(lookup("b.example"), Action::Deny);
}
