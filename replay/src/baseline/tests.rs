use super::*;

fn argv(line: &str) -> Vec<Text> {
    line.split(' ').map(Text::new).collect()
}

#[test]
fn what_ran_chooses() {
    let all = Baselines::builtin();
    let chosen = |line: &str| {
        all.choose("install", &argv(line))
            .map(|one| one.name.as_str())
    };
    for (line, name) in [
        ("npm install left-pad", Some("npm-install")),
        ("/usr/bin/npm ci", Some("npm-install")),
        ("yarn add x", Some("npm-install")),
        ("npx cowsay", Some("npx")),
        ("pip3 install x", Some("python-pip-install")),
        ("pip3.11 --quiet install x", Some("python-pip-install")),
        (
            "/usr/bin/python3 -m pip install x",
            Some("python-pip-install"),
        ),
        ("python3.11 x.py", Some("python-script")),
        ("node app.js", Some("node-script")),
        ("env A=1 wget https://host.example/x", Some("curl-wget")),
        ("make all", None),
        ("npm publish", None),
    ] {
        assert_eq!(chosen(line), name, "{line}");
    }
    let shell = [
        Text::new("sh"),
        Text::new("-c"),
        Text::new("CI=1 npm ci && npm test"),
    ];
    assert_eq!(
        all.choose("run", &shell).map(|one| one.name.as_str()),
        Some("npm-install")
    );
    assert!(all.choose("scripts", &argv("npm install x")).is_none());
    assert!(
        Baselines::none()
            .choose("install", &argv("npm install x"))
            .is_none()
    );
    let forced = Baselines::named("curl-wget").unwrap();
    assert_eq!(
        forced.choose("run", &argv("make")).unwrap().name,
        "curl-wget"
    );
    assert!(Baselines::named("no-such").is_none());
}

#[test]
fn places_mean_what_they_say() {
    for (text, path, covered) in [
        ("**", "/x", true),
        ("/tmp/pip-**", "/tmp/pip-a/b", true),
        ("/tmp/pip-**", "/tmp/x", false),
        ("~/.cache/**", "/home/dev/.cache/a", true),
        ("~/.cache/**", "/root/.cache/a", true),
        ("~/.cache/**", "/srv/.cache/a", false),
        ("**/node_modules/**", "/a/node_modules/b", true),
        ("**/package.json", "/a/package.json", true),
        ("~/.wget-hsts", "/home/dev/.wget-hsts", true),
        ("~/.wget-hsts", "/home/dev/.wget-hsts2", false),
        ("/etc/x", "/etc/x", true),
    ] {
        assert_eq!(
            Place::parse(text).unwrap().covers(path.as_bytes()),
            covered,
            "{text} {path}"
        );
    }
    assert!(Place::parse("/a/*/b").is_err());
}

#[test]
fn a_file_says_what_is_wrong() {
    let good = "baselines: [{name: x, programs: [npm], expects: {flows: 0, names: 0, files: 0, processes: 0, seconds: [0, 9]}, files: [], runs: []}]";
    let loaded = Baselines::load("b.yaml", good).unwrap();
    assert!(loaded.choose("install", &argv("make")).unwrap().learned);
    assert!(loaded.digest().is_some());
    for (text, says) in [
        ("baselines: []", "1 to"),
        ("x: 1", "x"),
        (
            &good.replace("files: []", "files: ['/a*b']"),
            "write /folder/**",
        ),
    ] {
        let error = Baselines::load("b.yaml", text).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}
