//! Runs that go their way: the thief, its benign twin, a real install.

use libtest_mimic::Trial;
use serde_json::Value;

use crate::support::*;

pub fn tests() -> Vec<Trial> {
    vec![
        test(
            "run::thief_is_malicious_with_all_its_reasons",
            &[Need::Guest],
            thief,
        ),
        test("run::benign_twin_is_safe", &[Need::Guest], benign),
        test(
            "run::npm_install_express_is_safe",
            &[Need::Guest, Need::Registry],
            express,
        ),
        test(
            "run::allowed_upload_is_relayed_and_counted",
            &[Need::Guest, Need::Namespaces],
            allowed_upload,
        ),
        test(
            "run::secrets_of_the_project_stay_out",
            &[Need::Guest],
            left_out,
        ),
        test(
            "run::a_payload_may_close_its_terminal_and_come_back",
            &[Need::Guest],
            closed_terminal,
        ),
    ]
}

/// Nobody has the far end for a moment, which is no hang-up.
fn closed_terminal() -> Result {
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("t.bjt");
    let script = "echo one; exec 0</dev/null >/dev/null 2>&1; sleep 1; echo two >/dev/tty; exit 7";
    let live = output(&mut run(dir.path(), &trace, &["--", "sh", "-c", script]))?;
    let report = json(&live)?;
    check(report["ran"]["end"] == "finished, exit 7", || {
        report["ran"].to_string()
    })?;
    let printed = terminal(&events(&trace)?);
    check(printed == "one\r\ntwo\r\n", || format!("{printed:?}"))
}

fn thief() -> Result {
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("t.bjt");
    let live = output(&mut run(
        &repo("fixtures/packages/npm-credential-thief"),
        &trace,
        &[],
    ))?;
    let report = json(&live)?;
    check(code(&live) == 1, || format!("exit {}", code(&live)))?;
    check(report["verdict"] == "MALICIOUS", || {
        format!("verdict {}", report["verdict"])
    })?;
    let findings = report["findings"].to_string();
    for expected in [
        ".ssh/id_ed25519",
        ".aws/credentials",
        "198.51.100.7:443",
        "telemetry.left-padded.example",
        "postinstall.js",
        "npm",
    ] {
        check(findings.contains(expected), || {
            format!("findings do not name {expected}: {findings}")
        })?;
    }
    check(report["lost"]["events"] == 0, || {
        format!("lost: {}", report["lost"])
    })?;
    same_when_replayed(&live, &trace)
}

fn benign() -> Result {
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("t.bjt");
    let live = output(&mut run(&repo("fixtures/packages/npm-benign"), &trace, &[]))?;
    let report = json(&live)?;
    check(report["verdict"] == "SAFE" && code(&live) == 0, || {
        format!("{}", report["reasons"])
    })?;
    let events = events(&trace)?;
    let printed = terminal(&events);
    check(printed.contains("up to date"), || printed.clone())?;
    let wrote = |event: &Value| {
        event["fact"]["file"]
            .as_str()
            .is_some_and(|file| file.ends_with("/build-info.json"))
    };
    check(events.iter().any(wrote), || {
        "the postinstall script did not run".into()
    })?;
    // An ordinary program is not said to try what it does not try.
    let invented = |event: &&Value| event["type"] == "x32_syscall";
    check(events.iter().find(invented).is_none(), || {
        "an x32 call was invented".into()
    })?;
    same_when_replayed(&live, &trace)
}

fn express() -> Result {
    let dir = tempfile::tempdir()?;
    let (trace, project) = (dir.path().join("t.bjt"), dir.path().join("empty"));
    std::fs::create_dir(&project)?;
    let live = output(&mut run(
        &project,
        &trace,
        &["--", "npm", "install", "express"],
    ))?;
    let report = json(&live)?;
    check(report["verdict"] == "SAFE" && code(&live) == 0, || {
        format!("{} {}", report["verdict"], report["reasons"])
    })?;
    let printed = terminal(&events(&trace)?);
    let added = printed
        .split("added ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .and_then(|n| n.parse::<u32>().ok());
    check(added.is_some_and(|count| count >= 60), || {
        format!("npm said: {printed}")
    })?;
    let destinations = report["allowed"].as_array().cloned().unwrap_or_default();
    let by_name = |row: &Value| {
        row["direct"] == false
            && row["received"]
                .as_u64()
                .is_some_and(|bytes| bytes > 100_000)
    };
    check(destinations.iter().any(by_name), || {
        format!("flows: {destinations:?}")
    })?;
    check(
        report["refused"].as_array().is_some_and(Vec::is_empty),
        || format!("refused: {}", report["refused"]),
    )?;
    same_when_replayed(&live, &trace)
}

/// A hostile flow that was allowed, to a real upstream in a namespace made for it.
fn allowed_upload() -> Result {
    const SCRIPT: &str = r#"set -e
ip link set lo up
ip addr add 198.51.100.7/32 dev lo
python3 - "$1" <<'PY' &
import socket, sys
server = socket.socket(); server.bind(("198.51.100.7", 443)); server.listen(4)
open(sys.argv[1] + "/ready", "w").close()
while True:
    conn, _ = server.accept()
    while chunk := conn.recv(65536):
        with open(sys.argv[1] + "/loot", "ab", 0) as loot: loot.write(chunk)
    conn.close()
PY
server=$!
while [ ! -e "$1/ready" ]; do sleep 0.1; done
status=0
shift
"$@" || status=$?
sleep 1
kill $server
exit $status"#;
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("t.bjt");
    let inner = run(
        &repo("fixtures/packages/npm-credential-thief"),
        &trace,
        &["--no-registries", "--allow", "198.51.100.7:443"],
    );
    let mut outer = std::process::Command::new("unshare");
    outer
        .args(["-n", "sh", "-c", SCRIPT, "sh"])
        .arg(dir.path())
        .arg(inner.get_program())
        .args(inner.get_args());
    outer
        .env("NO_COLOR", "1")
        .env("BELLJAR_ALLOW_DEGRADED", "1")
        .stdin(std::process::Stdio::null());
    let live = output(&mut outer)?;
    let report = json(&live)?;
    check(report["verdict"] == "MALICIOUS", || {
        format!("{}", report["verdict"])
    })?;
    let loot = std::fs::read(dir.path().join("loot")).unwrap_or_default();
    let rows = report["allowed"].as_array().cloned().unwrap_or_default();
    let row = rows
        .iter()
        .find(|row| row["destination"] == "198.51.100.7:443");
    let sent = row.and_then(|row| row["sent"].as_u64());
    check(!loot.is_empty() && sent == Some(loot.len() as u64), || {
        format!("upstream got {} bytes, report says {rows:?}", loot.len())
    })
}

fn left_out() -> Result {
    let dir = tempfile::tempdir()?;
    let (trace, project) = (dir.path().join("t.bjt"), dir.path().join("project"));
    std::fs::create_dir(&project)?;
    for (name, content) in [
        (".env", "TOKEN=real"),
        ("kept.txt", "kept"),
        ("x.pem", "key"),
        (".gitignore", "*.tmp\n"),
        ("a.tmp", "x"),
    ] {
        std::fs::write(project.join(name), content)?;
    }
    let live = output(&mut run(
        &project,
        &trace,
        &["--", "sh", "-c", "ls -A; cat kept.txt"],
    ))?;
    let report = json(&live)?;
    let printed = terminal(&events(&trace)?);
    check(
        printed.contains("kept") && !printed.contains(".env") && !printed.contains("a.tmp"),
        || printed.clone(),
    )?;
    let copied = report["copied"].to_string();
    check(
        [".env", "x.pem", "a.tmp"]
            .iter()
            .all(|name| copied.contains(name)),
        || copied.clone(),
    )?;
    check(report["verdict"] == "SAFE", || {
        format!("{}", report["reasons"])
    })
}
