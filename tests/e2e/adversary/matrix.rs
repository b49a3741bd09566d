//! The capability matrix, row by row, under the default policy: what code in the
//! guest may reach, what it is told, and what is recorded of it.

use libtest_mimic::Trial;
use serde_json::Value;

use crate::support::*;

pub fn tests() -> Vec<Trial> {
    vec![test(
        "adversary::the_capability_matrix_holds",
        &[Need::Guest],
        matrix,
    )]
}

const PAYLOAD: &str = include_str!("matrix.py");

/// What must be in the trace.
#[derive(Clone, Copy, Debug)]
enum Seen {
    /// An open of a path with this end, whatever came of it.
    Open,
    /// A denial by this line of what has this path.
    Denied(&'static str),
    /// An answer by this line.
    Answered(&'static str),
    /// A refused lookup of this name.
    Refused(&'static str),
    /// A flow was decided so, by this line.
    Flow(&'static str, &'static str),
    /// A refused connect to this address.
    Connect(&'static str),
    /// A program with this word among its arguments, its start and its end.
    Spawn(&'static str),
    /// Nothing: there is no event for it.
    Nothing,
}

const DECOY: Seen = Seen::Denied("default:decoys");
/// It is not there, or a decoy is, which nobody may read.
const NEVER: &[&str] = &["ENOENT", "EACCES"];
const DENIED: &[&str] = &["EACCES"];
const DONE: &[&str] = &["OK"];

/// Row, allowed answers, what is recorded.
#[rustfmt::skip]
const ROWS: &[(&str, &[&str], Seen)] = &[
    // Host files: none is there but the copied project, without credentials.
    ("host-file", &["ENOENT"], Seen::Open),
    ("host-environment", DONE, Seen::Nothing),
    ("project-file", DONE, Seen::Open),
    ("project-env", NEVER, Seen::Open),
    // Keys, keychains, logins: decoys, which the default policy denies.
    ("home:.ssh/id_rsa", DENIED, DECOY),
    ("home:.ssh/id_ed25519", DENIED, DECOY),
    ("home:.local/share/keyrings/login.keyring", DENIED, DECOY),
    ("home:.config/google-chrome/Default/Login-Data", DENIED, DECOY),
    ("home:.aws/credentials", DENIED, DECOY),
    ("home:.config/gcloud/application_default_credentials.json", DENIED, DECOY),
    ("home:.docker/config.json", DENIED, DECOY),
    ("home:.kube/config", DENIED, DECOY),
    ("home:.git-credentials", DENIED, DECOY),
    ("home:.pypirc", DENIED, DECOY),
    ("home:.config/solana/id.json", DENIED, DECOY),
    ("home:.azure/accessTokens.json", NEVER, Seen::Open),
    ("home:.azure/msal_token_cache.json", NEVER, Seen::Open),
    ("home:.gcp/credentials.json", NEVER, Seen::Open),
    ("home:.env", NEVER, Seen::Open),
    // Clients read these by themselves; a registry's address may stand there, no login.
    ("home:.npmrc", &["ENOENT", "OK"], Seen::Open),
    ("home:.netrc", NEVER, Seen::Open),
    ("shadow", DENIED, Seen::Open),
    ("disk", &["ENOENT"], Seen::Open),
    // Outbound: denied, but for what is allowed.
    ("name-not-allowed", &["NONAME"], Seen::Refused("denied.example")),
    ("name-allowed", DONE, Seen::Flow("allow", "allow:1")),
    ("name-allowed-other-port", DONE, Seen::Flow("deny", "default:egress")),
    ("address", &["ECONNREFUSED"], Seen::Connect("198.51.100.9:443")),
    ("metadata", &["ECONNREFUSED"], Seen::Connect("169.254.169.254:80")),
    // Programs.
    ("spawn", DONE, Seen::Spawn("spawned-with-this")),
    ("system-program", DONE, Seen::Spawn("/usr/bin/true")),
    ("hidden-program", DENIED, Seen::Answered("default:hidden")),
    ("done", DONE, Seen::Nothing),
];

fn matrix() -> Result {
    let dir = tempfile::tempdir()?;
    let (trace, project) = (dir.path().join("t.bjt"), dir.path().join("p"));
    std::fs::create_dir(&project)?;
    std::fs::write(project.join("matrix.py"), PAYLOAD)?;
    std::fs::write(project.join("ordinary.txt"), "nothing special")?;
    for secret in [project.join(".env"), dir.path().join("host-secret")] {
        std::fs::write(secret, "TOKEN=real-secret")?;
    }
    let host_file = dir
        .path()
        .join("host-secret")
        .to_string_lossy()
        .into_owned();
    let words = ["--allow", "allowed.example:443", "--no-registries"];
    let words = [&words[..], &["--", "python3", "matrix.py", &host_file]].concat();
    let mut run = run(&project, &trace, &words);
    let report = json(&output(run.env("HOST_TOKEN", "real-secret"))?)?;
    let events = events(&trace)?;
    let printed = terminal(&events);
    let mut wrong = Vec::new();
    for (name, answers, seen) in ROWS {
        let start = format!("ROW {name} ");
        let told = printed
            .lines()
            .find_map(|line| line.trim().strip_prefix(&start));
        if !told.is_some_and(|told| answers.contains(&told)) {
            wrong.push(format!("{name}: {told:?}, not {answers:?}"));
        }
        let path = name.strip_prefix("home:").unwrap_or(match *name {
            "host-file" => "host-secret",
            "project-file" => "ordinary.txt",
            "project-env" => ".env",
            "disk" => "/dev/vda",
            name => name,
        });
        if !events.iter().any(|event| is(event, path, *seen)) && !matches!(seen, Seen::Nothing) {
            wrong.push(format!("{name}: no event for {seen:?}"));
        }
    }
    check(wrong.is_empty(), || {
        format!("{}\nall:\n{printed}", wrong.join("\n"))
    })?;
    check(report["verdict"] == "MALICIOUS", || {
        format!("{}", report["reasons"])
    })?;
    let (started, ended) = (count(&events, "fork"), count(&events, "exit"));
    check(started > 3 && ended > started, || {
        format!("{started} forks and {ended} exits")
    })
}

fn count(events: &[Value], kind: &str) -> usize {
    events.iter().filter(|event| event["kind"] == kind).count()
}

fn is(event: &Value, path: &str, seen: Seen) -> bool {
    let (kind, fact) = (event["kind"].as_str().unwrap_or_default(), &event["fact"]);
    let ends = |key: &str| {
        let text = fact[key].as_str().unwrap_or_default().replace(' ', "-");
        text.ends_with(path)
    };
    match seen {
        Seen::Open => kind == "open" && ends("path"),
        Seen::Denied(by) => kind == "denied" && fact["by"] == by && ends("path"),
        Seen::Answered(by) => kind == "answer" && fact["by"] == by && fact["action"] == "deny",
        Seen::Refused(name) => {
            kind == "dns" && fact["name"] == name && fact.to_string().contains("refused")
        }
        Seen::Flow(action, by) => {
            kind == "decision" && fact["action"] == action && fact["by"] == by
        }
        Seen::Connect(addr) => kind == "connect" && fact["addr"] == addr && event["result"] == -111,
        Seen::Spawn(word) => {
            kind == "exec"
                && fact["argv"]
                    .as_array()
                    .is_some_and(|all| all.iter().any(|w| w == word))
        }
        Seen::Nothing => false,
    }
}
