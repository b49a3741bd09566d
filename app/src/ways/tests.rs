use std::ffi::OsString;

use belljar_event::{Call, Descriptor, Event, Exec, Fact, Open, Outcome, Status, Text};
use belljar_replay::policy::Allow;
use belljar_replay::report::{InstallScriptReport, InstalledReport};
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

fn allow_line(name: &str, scripts: usize, more: u64, verdict: Verdict) -> String {
    let script = InstallScriptReport {
        package: name.to_owned(),
        version: Some("1.0.0".to_owned()),
        script: "postinstall".to_owned(),
        command: "node x".to_owned(),
        ran: true,
    };
    let installed = InstalledReport {
        client: "npm".to_owned(),
        answered: true,
        packages: 3,
        scripts: vec![script; scripts],
        more,
    };
    let mut out = String::new();
    notes::allow(&mut out, &installed, verdict);
    out
}

#[test]
fn the_allow_line_has_plain_names_only_and_needs_scripts() {
    let fine = allow_line("core-js", 2, 0, Verdict::Safe);
    assert!(
        fine.contains("\"allowScripts\": { \"core-js@1.0.0\": true }"),
        "{fine}"
    );
    assert!(fine.ends_with("npm approve-scripts core-js\n"), "{fine}");
    assert_eq!(allow_line("core-js", 0, 0, Verdict::Safe), "");
    for (name, more, verdict) in [
        ("core-js", 0, Verdict::Warning),
        ("core-js", 1, Verdict::Safe),
        ("x\": true, \"evil", 0, Verdict::Safe),
    ] {
        let text = allow_line(name, 1, more, verdict);
        assert!(
            !text.contains("allowScripts") && text.contains("No line"),
            "{text}"
        );
    }
}

fn exec(pid: u32, folder: &str, argv: &[&str]) -> Event {
    let fact = Exec {
        call: Call(59),
        parent: 1,
        path: "/bin/x".into(),
        file: None,
        interpreter: None,
        argv: argv.iter().map(|word| Text::new(word.as_bytes())).collect(),
        argv_bytes: 0,
        cwd: Some(Text::new(folder.as_bytes())),
        uid: 1000,
        stdio: [Descriptor::Device; 3],
        unlinked: false,
        content: None,
        inherited: vec![],
    };
    event(pid, fact.into())
}

fn open(pid: u32, path: &str) -> Event {
    let fact = Open {
        call: Call(257),
        path: Text::new(path.as_bytes()),
        base: None,
        file: None,
        flags: 0,
        mode: 0,
    };
    event(pid, fact.into())
}

fn event(pid: u32, fact: Fact) -> Event {
    Event {
        at: 0,
        pid,
        tid: pid,
        outcome: Outcome::Returned(3),
        fact,
    }
}

#[test]
fn a_script_ran_if_a_shell_ran_it_in_its_package() {
    let mut seen = seen::Seen::default();
    let folder = "/home/dev/project/node_modules/esbuild";
    seen.push(&exec(7, folder, &["sh", "-c", "node install.js"]));
    assert!(seen.ran("esbuild", "node install.js", false));
    assert!(seen.ran("esbuild", "node inst", true), "an answer was cut");
    for (package, command) in [
        ("esbuild", "node inst"),
        ("build", "node install.js"),
        ("esbuild", "node other.js"),
    ] {
        assert!(!seen.ran(package, command, false), "{package} {command}");
    }
    let mut failed = exec(7, "/a/node_modules/x", &["sh", "-c", "id"]);
    failed.outcome = Outcome::Returned(-2);
    seen.push(&failed);
    assert!(!seen.ran("x", "id", false));
}

#[test]
fn a_build_is_told_by_what_it_opens() {
    let mut seen = seen::Seen::default();
    let caller = "/x/pyproject_hooks/_in_process/_in_process.py";
    let unpacked = "/tmp/pip-install-ab12/padded_0f0f0f";
    for (pid, folder, step) in [
        (7, "/home/dev/project", "get_requires_for_build_wheel"),
        (8, "/home/dev/project", "build_wheel"),
        (9, unpacked, "build_wheel"),
    ] {
        seen.push(&exec(pid, folder, &["python3", caller, step, "/tmp/y"]));
    }
    seen.push(&open(
        8,
        "/tmp/e/setuptools/__pycache__/build_meta.cpython-311.pyc",
    ));
    seen.push(&open(9, "/tmp/e/hatchling/build.py"));
    seen.push(&open(9, &format!("{unpacked}/setup.py")));
    // Not by a builder.
    seen.push(&open(10, "/home/dev/project/setup.py"));
    seen.push(&exec(
        11,
        "/old/six",
        &["python3", "-c", "# <pip-setuptools-caller>", "bdist_wheel"],
    ));
    let (rows, beyond) = seen.builds();
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let (package, command) = (row.package.lossy(), row.command.lossy());
            format!("{package} {}: {command}", row.script)
        })
        .collect();
    assert_eq!(beyond, 0);
    assert_eq!(
        rows,
        [
            "project setuptools.build_meta: build_wheel, get_requires_for_build_wheel",
            "six setup.py: bdist_wheel",
            "padded hatchling.build, setup.py: build_wheel",
        ]
    );
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
