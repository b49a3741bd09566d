//! Policy in the guest's kernel: what the default policy denies is denied by
//! every way there, what it asks about is refused where nobody can be asked,
//! and an attacker who races the check wins nothing.

use libtest_mimic::Trial;
use serde_json::Value;

use crate::support::{Need, Result, check, events, json, output, run, terminal, test};

pub fn tests() -> Vec<Trial> {
    vec![
        test(
            "policy::default_denies_every_way_to_a_decoy",
            &[Need::Guest],
            denies,
        ),
        test("policy::races_win_nothing", &[Need::Guest], races),
        test("policy::a_lure_lets_decoys_be_read", &[Need::Guest], lure),
        test(
            "policy::a_killed_tree_takes_along_who_left_it",
            &[Need::Guest],
            killed_tree,
        ),
        test(
            "policy::what_cannot_be_enforced_is_refused",
            &[],
            refused_when_loaded,
        ),
    ]
}

const PAYLOAD: &str = include_str!("policy/payload.py");
const RACE: &str = include_str!("policy/race.c");

/// Each step and what it must be answered.
const STEPS: &[(&str, &str)] = &[
    ("read", "EACCES"),
    ("read-relative", "EACCES"),
    ("read-by-link", "EACCES"),
    ("read-by-folder", "EACCES"),
    ("read-by-magic", "EACCES"),
    ("read-write", "EACCES"),
    ("write", "EACCES"),
    ("truncate", "EACCES"),
    ("link", "EACCES"),
    ("rename", "EACCES"),
    ("rename-folder", "EACCES"),
    ("replace", "EACCES"),
    ("unlink", "EACCES"),
    ("chmod", "EACCES"),
    ("stat", "OK"),
    ("ordinary", "OK"),
    ("exec-plain", "OK"),
    ("exec-hidden", "EACCES"),
    ("exec-shm", "EACCES"),
    ("exec-memory", "EACCES"),
    ("exec-interpreter", "EACCES"),
    ("exec-link", "EACCES"),
    ("exec-moved", "OK"),
    ("exec-missing", "ENOENT"),
    ("exec-system", "OK"),
    ("done", "OK"),
];

fn denies() -> Result {
    let dir = tempfile::tempdir()?;
    let (trace, project) = (dir.path().join("t.bjt"), dir.path().join("p"));
    std::fs::create_dir(&project)?;
    std::fs::write(project.join("payload.py"), PAYLOAD)?;
    let words = ["--", "python3", "payload.py"];
    let report = json(&output(&mut run(&project, &trace, &words))?)?;
    let events = events(&trace)?;
    let printed = terminal(&events);
    for (name, expected) in STEPS {
        let line = format!("STEP {name} {expected}");
        check(printed.lines().any(|said| said.trim() == line), || {
            format!("not `{line}`; all:\n{printed}")
        })?;
    }
    check(report["verdict"] == "MALICIOUS", || {
        format!("{}", report["reasons"])
    })?;
    let told = |what: &str, test: &dyn Fn(&Value) -> bool| {
        check(events.iter().any(test), || format!("not recorded: {what}"))
    };
    told("a denial with its line", &|event| {
        event["kind"] == "denied"
            && event["fact"]["by"] == "default:decoys"
            && event["fact"]["path"]
                .as_str()
                .is_some_and(|path| path.ends_with("/.ssh/id_rsa"))
    })?;
    for by in ["default:hidden", "default:shared-memory", "default:memory"] {
        told(&format!("nobody was there for {by}"), &|event| {
            event["kind"] == "answer"
                && event["fact"]["by"] == by
                && event["fact"]["action"] == "deny"
                && event["fact"]["who"] == "nobody there"
        })?;
    }
    told("the hold of the interpreter", &|event| {
        event["kind"] == "hold"
            && event["fact"]["path"] == "/tmp/script"
            && event["fact"]["other"] == "/tmp/.cache-x/tool"
    })
}

fn races() -> Result {
    let dir = tempfile::tempdir()?;
    let (trace, project) = (dir.path().join("t.bjt"), dir.path().join("p"));
    std::fs::create_dir(&project)?;
    std::fs::write(project.join("race.c"), RACE)?;
    // Two statically linked programs: one ends with 0, the other with 7.
    let script = "mkdir -p /tmp/plain /tmp/.hid; \
        echo 'int main(){return 0;}' > a.c; echo 'int main(){return 7;}' > b.c; \
        gcc -O1 -o /tmp/plain/a a.c && gcc -O1 -o /tmp/.hid/b b.c && \
        gcc -O1 -w -pthread -o /tmp/race race.c && /tmp/race 300";
    let words = ["--", "sh", "-c", script];
    json(&output(&mut run(&project, &trace, &words))?)?;
    let printed = terminal(&events(&trace)?);
    let told = printed
        .lines()
        .find(|line| line.trim().starts_with("WON "))
        .ok_or_else(|| format!("no result:\n{printed}"))?
        .trim()
        .to_owned();
    let ran: u32 = told
        .rsplit(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    check(told.starts_with("WON 0 OF 300") && ran > 0, || told.clone())
}

fn lure() -> Result {
    let dir = tempfile::tempdir()?;
    let (trace, project) = (dir.path().join("t.bjt"), dir.path().join("p"));
    std::fs::create_dir(&project)?;
    let script = "cat ~/.aws/credentials > /dev/null && echo was-read; \
        echo x > ~/.aws/credentials || echo not-written";
    let words = ["--lure", "--", "sh", "-c", script];
    let report = json(&output(&mut run(&project, &trace, &words))?)?;
    let printed = terminal(&events(&trace)?);
    check(
        printed.contains("was-read") && printed.contains("not-written"),
        || printed.clone(),
    )?;
    check(report["verdict"] == "MALICIOUS", || {
        format!("{}", report["reasons"])
    })
}

/// A process that has given up its parent, and with a session of its own.
fn killed_tree() -> Result {
    let dir = tempfile::tempdir()?;
    let (trace, project) = (dir.path().join("t.bjt"), dir.path().join("p"));
    std::fs::create_dir(&project)?;
    let tree = "cp /bin/sleep /tmp/keeper; (setsid /tmp/keeper 100 &); sleep 1; \
        echo x > /tmp/forbidden; echo still-there; sleep 100\n";
    std::fs::write(project.join("tree.sh"), tree)?;
    let policy = dir.path().join("kills.toml");
    std::fs::write(
        &policy,
        "[[rule]]\nid = \"no\"\naction = \"kill\"\ncondition = \"evt.op = write and fs.path.name = /tmp/forbidden\"\n",
    )?;
    let script = "(setsid sleep 50 &); sh tree.sh; sleep 4; \
        grep -lx keeper /proc/[0-9]*/comm || echo none-left; \
        grep -lx sleep /proc/[0-9]*/comm > /dev/null && echo other-lives";
    let policy = policy.to_str().ok_or("a path that is no text")?;
    let words = ["--policy", policy, "--", "sh", "-c", script];
    json(&output(&mut run(&project, &trace, &words))?)?;
    let events = events(&trace)?;
    let printed = terminal(&events);
    check(
        printed.contains("none-left")
            && printed.contains("other-lives")
            && !printed.contains("still-there"),
        || printed.clone(),
    )?;
    let kills = events.iter().filter(|event| event["kind"] == "killed");
    let mut by: Vec<_> = kills.map(|event| event["fact"]["by"].to_string()).collect();
    by.sort();
    // Whoever has not ended when it is looked at again is ended again.
    by.dedup();
    check(by == ["\"lineage\"", "\"policy\""], || format!("{by:?}"))
}

fn refused_when_loaded() -> Result {
    let dir = tempfile::tempdir()?;
    let policy = dir.path().join("mine.toml");
    std::fs::write(
        &policy,
        "[[rule]]\naction = \"deny\"\ncondition = \"evt.op = read and proc.name = curl\"\n",
    )?;
    let trace = dir.path().join("t.bjt");
    let words = [
        "--policy",
        policy.to_str().ok_or("a path that is no text")?,
        "--",
        "true",
    ];
    let done = output(&mut run(dir.path(), &trace, &words))?;
    let said = crate::support::text(&done.stderr);
    check(
        done.status.code() == Some(2) && said.contains("mine:1") && said.contains("reading"),
        || format!("{:?}: {said}", done.status),
    )
}
