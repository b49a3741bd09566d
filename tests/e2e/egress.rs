//! Flows that are allowed, hostile, and really go somewhere: upstream servers
//! in a network namespace of their own, behind a link that the test makes.
//!
//! One guest makes all the flows; each test looks at one part of what came of it.

use std::process::{Command, Stdio};
use std::sync::LazyLock;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::support::*;

pub fn tests() -> Vec<Trial> {
    const NEEDS: &[Need] = &[Need::Guest, Need::Namespaces];
    vec![
        test(
            "egress::allowed_flows_are_relayed_and_recorded",
            NEEDS,
            allowed,
        ),
        test(
            "egress::a_tls_name_that_differs_never_leaves",
            NEEDS,
            tls_spoof,
        ),
        test(
            "egress::an_http_host_that_differs_never_leaves",
            NEEDS,
            http_spoof,
        ),
        test(
            "egress::a_bare_address_behind_an_allowed_name_is_refused",
            NEEDS,
            bare_address,
        ),
        test("egress::an_ipv6_literal_goes_end_to_end", NEEDS, ipv6),
        test(
            "egress::a_flow_over_its_limit_is_closed_and_never_safe",
            NEEDS,
            limit,
        ),
        test(
            "egress::other_ports_and_names_are_refused_by_their_line",
            NEEDS,
            denied,
        ),
    ]
}

/// Two namespaces with a link between them: the run in one, the servers in the
/// other, so that their addresses are not the host's own. Names resolve from a
/// hosts file of the test's own.
const STAGE: &str = r#"set -e
dir=$1; shift
ip link set lo up
unshare -n sleep 900 &
peer=$!
trap 'kill $peer $server 2>/dev/null' EXIT
while [ "$(readlink /proc/$peer/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
ip link add up0 type veth peer name up1 netns $peer
ip addr add 198.51.100.1/24 dev up0
ip -6 addr add 2001:db8::1/64 dev up0 nodad
ip link set up0 up
nsenter -t $peer -n sh -c 'ip link set lo up; ip addr add 198.51.100.7/24 dev up1
ip -6 addr add 2001:db8::7/64 dev up1 nodad; ip link set up1 up'
printf '127.0.0.1 localhost\n198.51.100.7 upload.example other.example\n' > "$dir/hosts"
: > "$dir/resolv.conf"
mount --bind "$dir/hosts" /etc/hosts
if [ -e /etc/resolv.conf ]; then mount --bind "$dir/resolv.conf" /etc/resolv.conf; fi
nsenter -t $peer -n python3 "$dir/server.py" "$dir" &
server=$!
while [ ! -e "$dir/ready" ]; do sleep 0.1; done
status=0
"$@" || status=$?
exit $status"#;

/// Logs what each connection brings: one file a connection, `PORT-NUMBER`.
const SERVER: &str = r#"
import os, socket, sys, threading
dir = sys.argv[1]
os.mkdir(dir + "/log")
def serve(conn, path):
    with open(path, "wb", buffering=0) as log:
        try:
            while chunk := conn.recv(65536):
                log.write(chunk)
                if chunk.endswith(b"\r\n\r\n"):
                    conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                elif chunk.startswith(b"bye"):
                    break
        except OSError: pass
    conn.close()
def listen(family, ip, port):
    server = socket.socket(family); server.bind((ip, port)); server.listen(16)
    number = 0
    while True:
        conn, _ = server.accept()
        number += 1
        if port == 25: conn.sendall(b"220 hello\r\n")
        threading.Thread(target=serve, args=(conn, f"{dir}/log/{port}-{number}"), daemon=True).start()
for family, ip, port in [(socket.AF_INET, "198.51.100.7", p) for p in (25, 80, 443, 8080, 9000)] + [(socket.AF_INET6, "2001:db8::7", 444)]:
    threading.Thread(target=listen, args=(family, ip, port), daemon=True).start()
open(dir + "/ready", "w").close()
threading.Event().wait()
"#;

/// What the guest does: a line `STEP RESULT` for each flow.
const PAYLOAD: &str = r#"
import socket, ssl
def step(name):
    def run(f):
        try: result = f()
        except BaseException as e: result = type(e).__name__ + " " + str(getattr(e, "errno", ""))
        print("STEP", name, result, flush=True)
    return run
def dial(host, port):
    s = socket.create_connection((host, port), timeout=20); return s
def tls(name, patience):
    context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
    s = dial("upload.example", 443); s.settimeout(patience)
    context.wrap_socket(s, server_hostname=name)
def http(*hosts):
    s = dial("upload.example", 80); got = []
    for host in hosts:
        s.sendall(f"GET /loot HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()); got.append(s.recv(100)[-2:])
    return got
@step("tls-good")
def _(): return tls("upload.example", 2)
@step("tls-spoof")
def _(): return tls("other.example", 60)
@step("http-good")
def _(): return http("upload.example", "UPLOAD.example:80")
@step("http-spoof")
def _(): return http("other.example")
@step("http-later")
def _(): return http("upload.example", "other.example")
@step("server-first")
def _():
    s = dial("upload.example", 25); greeting = s.recv(100); s.sendall(b"bye\r\n"); return greeting
@step("bare")
def _(): return dial("198.51.100.7", 443)
@step("v6")
def _():
    s = dial("2001:db8::7", 444); s.sendall(b"\0six"); s.shutdown(socket.SHUT_WR); return s.recv(10)
@step("port")
def _():
    s = dial("upload.example", 8080); s.sendall(b"\0no"); return s.recv(10)
@step("name")
def _(): return dial("other.example", 443)
@step("limit")
def _():
    s = dial("upload.example", 9000)
    for _ in range(64): s.sendall(b"\0" * 65536)
    return s.recv(10)
"#;

struct Evidence {
    dir: tempfile::TempDir,
    report: Value,
    events: Vec<Value>,
    printed: String,
}

static STAGED: LazyLock<std::result::Result<Evidence, String>> =
    LazyLock::new(|| stage().map_err(|failed| failed.message().unwrap_or("?").to_owned()));

fn evidence() -> Result<&'static Evidence> {
    STAGED.as_ref().map_err(|why| why.as_str().into())
}

fn stage() -> Result<Evidence> {
    let kept = tempfile::tempdir()?;
    let dir = kept.path();
    let (trace, project) = (dir.join("t.bjt"), dir.join("project"));
    std::fs::create_dir(&project)?;
    std::fs::write(project.join("payload.py"), PAYLOAD)?;
    std::fs::write(dir.join("server.py"), SERVER)?;
    let mut options = vec!["--no-registries", "--flow-limit", "1"];
    for allow in [
        "upload.example:443",
        "upload.example:80",
        "upload.example:25",
        "upload.example:9000",
        "[2001:db8::7]:444",
    ] {
        options.extend(["--allow", allow]);
    }
    options.extend(["--", "python3", "payload.py"]);
    let inner = run(&project, &trace, &options);
    let mut outer = Command::new("unshare");
    outer
        .args(["-nm", "sh", "-c", STAGE, "sh"])
        .arg(dir)
        .arg(inner.get_program())
        .args(inner.get_args())
        .env("NO_COLOR", "1")
        .env("BELLJAR_ALLOW_DEGRADED", "1")
        .stdin(Stdio::null());
    let live = output(&mut outer)?;
    let report = json(&live)?;
    let events = events(&trace)?;
    let printed = terminal(&events);
    Ok(Evidence {
        dir: kept,
        report,
        events,
        printed,
    })
}

impl Evidence {
    /// What each connection to this port brought, in order.
    fn log(&self, port: u16) -> Vec<Vec<u8>> {
        (1..)
            .map_while(|number| {
                std::fs::read(self.dir.path().join(format!("log/{port}-{number}"))).ok()
            })
            .collect()
    }

    /// What the guest saw.
    fn saw(&self, step: &str) -> &str {
        let start = format!("STEP {step} ");
        let line = self
            .printed
            .lines()
            .find_map(|line| line.strip_prefix(&start));
        line.unwrap_or("(nothing)").trim_end()
    }

    fn facts<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        let of_kind = self
            .events
            .iter()
            .filter(move |event| event["kind"] == kind);
        of_kind.map(|event| &event["fact"])
    }

    /// The refused row of this destination names this check.
    fn refused(&self, destination: &str, by: &str) -> Result {
        let rows = self.report["refused"].to_string();
        let row = self.report["refused"]
            .as_array()
            .and_then(|rows| rows.iter().find(|row| row["destination"] == destination));
        check(
            row.is_some_and(|row| row["by"].to_string().contains(by)),
            || format!("{destination} is not refused by {by}: {rows}"),
        )
    }

    fn why(&self, part: &str) -> Result {
        let whys: Vec<_> = self.facts("flow_closed").map(|fact| &fact["why"]).collect();
        check(
            whys.iter().any(|why| why.to_string().contains(part)),
            || format!("no flow was closed because of {part}: {whys:?}"),
        )
    }

    fn seen(&self, step: &str, expected: &[&str]) -> Result {
        let saw = self.saw(step);
        check(expected.iter().any(|part| saw.contains(part)), || {
            format!("{step}: the guest saw {saw}; all: {}", self.printed)
        })
    }
}

fn contains(log: &[Vec<u8>], part: &str) -> bool {
    log.iter()
        .any(|bytes| bytes.windows(part.len()).any(|at| at == part.as_bytes()))
}

fn allowed() -> Result {
    let of = evidence()?;
    let tls = of.log(443);
    check(contains(&tls, "upload.example"), || format!("{tls:?}"))?;
    check(of.log(80).iter().any(|bytes| bytes.len() > 60), || {
        "no requests".into()
    })?;
    of.seen("http-good", &["[b'ok', b'ok']"])?;
    of.seen("server-first", &["220 hello"])?;
    let hello = of.facts("tls").any(|fact| fact["name"] == "upload.example");
    let request = of
        .facts("http")
        .any(|fact| fact["host"] == "UPLOAD.example:80" && fact["target"] == "/loot");
    check(hello && request, || "what was said is not recorded".into())
}

fn tls_spoof() -> Result {
    let of = evidence()?;
    let log = of.log(443);
    // It was connected to, and heard nothing.
    check(log.len() == 2 && !contains(&log, "other.example"), || {
        format!("{log:?}")
    })?;
    check(log.iter().any(Vec::is_empty), || format!("{log:?}"))?;
    of.why("TLS name other.example differs from the allowed name")?;
    of.refused("upload.example:443", "allow:1/tls-name")?;
    let findings = of.report["findings"].to_string();
    check(findings.contains("allow:1/tls-name"), || findings.clone())?;
    of.seen(
        "tls-spoof",
        &[
            "ConnectionResetError",
            "SSLEOFError",
            "BrokenPipeError",
            "SSLZeroReturnError",
        ],
    )
}

fn http_spoof() -> Result {
    let of = evidence()?;
    let log = of.log(80);
    check(log.len() == 3 && !contains(&log, "other.example"), || {
        format!("{log:?}")
    })?;
    of.why("HTTP host other.example differs from the allowed name")?;
    of.refused("upload.example:80", "allow:2/http-host")?;
    for step in ["http-spoof", "http-later"] {
        of.seen(step, &["ConnectionResetError", "[b'']", "[b'ok', b'']"])?;
    }
    Ok(())
}

fn bare_address() -> Result {
    let of = evidence()?;
    of.seen("bare", &["ConnectionRefusedError", "PermissionError"])?;
    of.refused("198.51.100.7:443", "guest")
}

fn ipv6() -> Result {
    let of = evidence()?;
    check(of.log(444) == [b"\0six".to_vec()], || {
        format!("{:?}; the guest saw {}", of.log(444), of.saw("v6"))
    })
}

fn limit() -> Result {
    let of = evidence()?;
    let got: usize = of.log(9000).iter().map(Vec::len).sum();
    check(got > 0 && got <= 1 << 20, || format!("{got} bytes arrived"))?;
    of.why("limit of 1048576 bytes")?;
    check(
        of.facts("limit").any(|fact| fact["limit"] == 1 << 20),
        || "no limit was recorded".into(),
    )?;
    let reasons = of.report["reasons"].to_string();
    check(reasons.contains("limit of flow bytes"), || reasons.clone())?;
    check(of.report["verdict"] != "SAFE", || reasons.clone())
}

fn denied() -> Result {
    let of = evidence()?;
    check(of.log(8080).is_empty(), || format!("{:?}", of.log(8080)))?;
    of.refused("upload.example:8080", "default:egress")?;
    of.seen("port", &["ConnectionResetError", "ConnectionRefusedError"])?;
    of.seen("name", &["gaierror"])?;
    let names = of.report["names"]["refused"].to_string();
    check(
        names.contains("other.example") && names.contains("default:egress"),
        || names.clone(),
    )
}
