use std::ffi::OsString;

use belljar_event::Status;
use belljar_replay::policy::Allow;
use belljar_replay::verdict::Verdict;

use super::*;
use crate::error::AppError;
use crate::exit::Exit;

#[test]
fn names_of_packages() {
    for good in [
        "is-number",
        "left-pad@1.3.0",
        "@types/node",
        "@types/node@^20",
        "JSONStream@>=1",
        "a@next",
    ] {
        assert!(package::npm(good).is_ok(), "{good}");
    }
    assert_eq!(package::npm("@a/b@1").unwrap().name, "@a/b");
    for bad in [
        "",
        "-g",
        "--global",
        "@",
        "@a",
        "@/b",
        "@a/",
        "a/b",
        "../a",
        ".a",
        "a b",
        "a@",
        "a@1 b",
        "a@-g",
        "a@npm:b",
        "a@file:..",
        "https://a.example/x.tgz",
        "git+ssh://a.example/x",
        "a\n",
        "a\u{202e}",
    ] {
        let error = package::npm(bad).unwrap_err();
        assert_eq!(error.exit(), Exit::Usage, "{bad}");
        assert!(error.present().contains("hint:"), "{bad}");
    }
    for good in [
        "six",
        "requests==2.32.0",
        "uvicorn[standard]>=0.30,<1",
        "zope.interface",
        "a[b,c-d]",
        "a!=1.*",
        "a==1!2+local",
    ] {
        assert!(package::pip(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "-r",
        "--index-url=x",
        "./six",
        "six ==1",
        "six==",
        "six=1",
        "six==-1",
        "six[",
        "six[]",
        "six[-a]",
        "six@https://a.example",
        "six;python_version>'3'",
        "six-",
        "_six",
    ] {
        assert!(package::pip(bad).is_err(), "{bad}");
    }
}

#[test]
fn addresses_of_repositories() {
    let parse = |text: &str| git::parse(text).unwrap();
    let repository = parse("https://git.example/team/tool.git#v1.0").unwrap();
    assert_eq!(repository.url, "https://git.example/team/tool.git");
    assert_eq!(repository.reference.as_deref(), Some("v1.0"));
    assert_eq!(
        repository.host,
        Allow::Host("git.example".into(), Some(443))
    );
    assert_eq!(repository.label, "tool");
    let odd = parse("http://198.51.100.7:8080/r").unwrap();
    assert_eq!(
        odd.host,
        Allow::Address("198.51.100.7:8080".parse().unwrap())
    );
    let literal = parse("https://[2001:db8::1]/r").unwrap();
    assert_eq!(
        literal.host,
        Allow::Address("[2001:db8::1]:443".parse().unwrap())
    );
    for folder in [".", "./a:b", "/tmp/x", "a/b@c:d", "x"] {
        assert!(git::parse(folder).is_none(), "{folder}");
    }
    for (bad, why) in [
        (
            "git@git.example:team/tool.git",
            "no key goes into the guest",
        ),
        ("ssh://git@git.example/tool", "no key goes into the guest"),
        ("git://git.example/tool", "https or http only"),
        ("file:///etc", "https or http only"),
        ("https://user:secret@git.example/tool", "login"),
        ("https://git.example", "names no repository"),
        ("https://git.example/a?b", "names no repository"),
        ("https://*.example/tool", "star"),
        ("https://git.example/a#--upload-pack=x", "branch"),
        ("https://git.example/a#a..b", "branch"),
        ("https://git.example/a#", "branch"),
        ("https://git.example/a b", "spaces"),
        ("https://-x/a b", "spaces"),
    ] {
        let error = parse(bad).unwrap_err();
        let said = error.present();
        assert!(
            said.contains(why) && said.contains("hint:"),
            "{bad}: {said}"
        );
        assert_eq!(error.exit(), Exit::Usage);
    }
}

#[test]
fn phases_as_typed() {
    let texts = |texts: &[&str]| -> Vec<String> { texts.iter().map(|t| (*t).to_owned()).collect() };
    let steps = phase::parse_all(&texts(&["install=npm ci", "run=FOO=1 node x.js"])).unwrap();
    let argv: Vec<&[OsString]> = steps.iter().map(|s| s.argv.as_slice()).collect();
    assert_eq!(argv[0], ["npm", "ci"]);
    assert_eq!(argv[1], ["sh", "-c", "FOO=1 node x.js"]);
    for bad in [
        "install",
        "=x",
        "a=",
        "a= ",
        "A=x",
        "clone=x",
        "scripts=x",
        "a b=x",
    ] {
        assert!(phase::parse_all(&texts(&[bad])).is_err(), "{bad}");
    }
    assert!(phase::parse_all(&texts(&["a=x", "a=y"])).is_err());
}

fn names(script: &mut script::Script, status: &[Status]) -> Vec<String> {
    let said = transcript::Transcript::default();
    let mut names = Vec::new();
    for status in status {
        let Some(launch) = script.next() else { break };
        names.push(launch.phase);
        script.ended(*status, &said);
    }
    names
}

#[test]
fn the_first_failure_ends_a_run_unless_it_is_to_go_on() {
    let steps = || {
        let names = ["a", phase::SCRIPTS, "b", "c"];
        names
            .iter()
            .map(|name| phase::Step::new(name, ["x"]))
            .collect()
    };
    let (fine, wrong) = (Status::Code(0), Status::Code(7));
    let mut script = script::Script::new(steps(), false);
    assert_eq!(
        names(&mut script, &[fine, wrong, wrong, fine]),
        ["a", "scripts", "b"]
    );
    assert_eq!(script.status(), wrong);
    let mut script = script::Script::new(steps(), true);
    assert_eq!(names(&mut script, &[fine, wrong, wrong, fine]).len(), 4);
    assert_eq!(script.status(), wrong);
    let mut script = script::Script::new(steps(), false);
    assert_eq!(names(&mut script, &[fine, wrong, fine, fine]).len(), 4);
    assert_eq!(script.status(), fine);
}

#[test]
fn answers_are_capped_and_lies_stay_text() {
    let found = answer::modules(
        b"noise\r\n{\"modules\":[[\"_own\",true],[\"own\",true],[\"b;import os\",true],[\"dep\",false]],\"run\":\"-x\"}\r\n",
    )
    .unwrap();
    assert_eq!(found.imports, ["own", "dep"]);
    assert_eq!(found.run, None);
    for junk in [
        &b""[..],
        b"{",
        b"{}",
        b"[1]",
        b"\xff\xfe{\x00",
        b"{\"modules\":{}}",
    ] {
        assert_eq!(answer::modules(junk), None);
        assert_eq!(answer::scripts(junk), None);
    }
    let many = (0..500)
        .map(|n| format!("[\"m{n}\",true]"))
        .collect::<Vec<_>>()
        .join(",");
    let many = format!("{{\"modules\":[{many}],\"run\":null}}");
    assert_eq!(answer::modules(many.as_bytes()).unwrap().imports.len(), 40);
    let marks = answer::marks(b"setup.py\r\n/etc/passwd\r\n");
    assert_eq!(marks.len(), 1);
}

#[test]
fn the_allow_line_has_plain_names_only() {
    let said = |name: &str, verdict| {
        let output = serde_json::json!({
            "packages": 3, "more": 0,
            "scripts": [{"name": name, "version": "1.0.0", "scripts": {"postinstall": "node \u{1b}[2Jx"}}],
        });
        notes::of_scripts(output.to_string().as_bytes(), verdict)
    };
    let fine = said("core-js", Verdict::Safe);
    assert!(
        fine.contains("\"allowScripts\": { \"core-js@1.0.0\": true }"),
        "{fine}"
    );
    assert!(fine.contains("npm approve-scripts core-js"), "{fine}");
    assert!(!fine.contains('\u{1b}'), "{fine}");
    for (name, verdict) in [
        ("core-js", Verdict::Warning),
        ("x\": true, \"evil", Verdict::Safe),
    ] {
        let text = said(name, verdict);
        assert!(
            !text.contains("allowScripts") && text.contains("no line"),
            "{text}"
        );
    }
}

#[test]
fn errors_name_what_was_typed() {
    let AppError::Usage { message, .. } = package::npm("--global").unwrap_err() else {
        panic!("no usage error");
    };
    assert!(message.contains("--global"));
}

#[test]
fn ecosystems() {
    let dir = tempfile::tempdir().unwrap();
    let steps = || {
        let steps = ecosystem::default_steps(&ecosystem::marks(dir.path()));
        let lines = steps
            .iter()
            .map(|step| (step.name.clone(), step.argv.clone()));
        lines.collect::<Vec<_>>()
    };
    assert_eq!(steps(), []);
    std::fs::write(dir.path().join("requirements.txt"), "").unwrap();
    let first = |steps: Vec<(String, Vec<std::ffi::OsString>)>| steps.into_iter().next().unwrap();
    assert_eq!(
        first(steps()).1,
        ["pip", "install", "-r", "requirements.txt"]
    );
    std::fs::write(dir.path().join("setup.py"), "").unwrap();
    assert_eq!(first(steps()).1, ["pip", "install", "."]);
    assert_eq!(steps().get(1).unwrap().0, "modules");
    std::fs::write(dir.path().join("package.json"), "{}").unwrap();
    assert_eq!(
        first(steps()),
        ("install".into(), vec!["npm".into(), "install".into()])
    );
    assert_eq!(
        ecosystem::of_program("/usr/bin/npm".as_ref()),
        Some(ecosystem::Ecosystem::Node)
    );
    assert_eq!(ecosystem::of_program("make".as_ref()), None);
}
