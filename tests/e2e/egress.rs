//! Flows that are allowed, hostile, and really go somewhere: upstream servers
//! in a network namespace of their own, behind a link that the test makes.
//!
//! One guest makes all the flows; each test looks at one part of what came of it.

mod negatives;

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::support::*;

pub fn tests() -> Vec<Trial> {
    const NEEDS: &[Need] = &[Need::Guest, Need::Namespaces, Need::OpenSsl];
    let mut tests = negatives::tests(NEEDS);
    tests.extend([
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
            "egress::a_real_tls_handshake_goes_through_the_sniffer",
            NEEDS,
            real_tls,
        ),
        test(
            "egress::a_flow_that_brings_too_much_is_broken_off",
            NEEDS,
            limit_in,
        ),
        test(
            "egress::a_refusal_has_the_same_words_everywhere",
            NEEDS,
            words,
        ),
        test(
            "egress::other_ports_and_names_are_refused_by_their_line",
            NEEDS,
            denied,
        ),
    ]);
    tests
}

/// Two namespaces with a link between them: the run in one, the servers in the
/// other, so that their addresses are not the host's own. Names resolve from a
/// hosts file of the test's own.
const STAGE: &str = include_str!("egress/stage.sh");

/// Logs what each connection brings: one file a connection, `PORT-NUMBER`.
const SERVER: &str = include_str!("egress/server.py");

/// What the guest does: a line `STEP RESULT` for each flow.
const PAYLOAD: &str = include_str!("egress/payload.py");

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
    let payload = [PAYLOAD, negatives::PAYLOAD].concat();
    std::fs::write(project.join("payload.py"), payload)?;
    std::fs::write(dir.join("server.py"), SERVER)?;
    certificate(dir)?;
    std::fs::copy(dir.join("cert.pem"), project.join("authority.txt"))?;
    let mut options = vec!["--no-registries", "--flow-limit-out", "1"];
    options.extend(["--flow-limit-in", "2"]);
    for allow in [
        "upload.example:443",
        "upload.example:80",
        "upload.example:25",
        "upload.example:9000",
        "upload.example:9001",
        "upload.example:8443",
        "single.example:443",
        "[2001:db8::7]:444",
    ]
    .iter()
    .chain(negatives::ALLOWED)
    {
        options.extend(["--allow", allow]);
    }
    options.extend(["--", "python3", "payload.py"]);
    let inner = run(&project, &trace, &options);
    let live = output(&mut apart(STAGE, dir, &[], &inner))?;
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

/// A key and a certificate of its own for the real TLS server.
fn certificate(dir: &Path) -> Result {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256"])
        .args(["-subj", "/CN=upload.example"])
        .args(["-addext", "subjectAltName=DNS:upload.example"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(dir)
        .output()?;
    check(made.status.success(), || text(&made.stderr))
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
    of.seen("tls-spoof", &["ConnectionResetError"])
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
        of.seen(step, &["ConnectionResetError"])?;
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

fn limit_in() -> Result {
    let of = evidence()?;
    of.seen("limit-in", &["ConnectionResetError"])?;
    let got: usize = of
        .saw("limit-in")
        .trim_start_matches('(')
        .split(',')
        .next()
        .and_then(|count| count.parse().ok())
        .ok_or("no count")?;
    check(got <= 2 << 20, || format!("{got} bytes arrived"))?;
    of.why("limit of 2097152 bytes")?;
    check(
        of.facts("limit").any(|fact| fact["limit"] == 2 << 20),
        || "no limit was recorded".into(),
    )?;
    let reached = of.report["limits"].to_string();
    check(reached.contains("2097152"), || reached.clone())
}

/// Not only a hello: a handshake with a certificate that the guest checks.
fn real_tls() -> Result {
    let of = evidence()?;
    of.seen("tls-real", &["('TLSv1.3', b'heard in secret')"])?;
    let log = of.log(8443);
    check(log == [b"the secret part".to_vec()], || format!("{log:?}"))?;
    let flow = of
        .facts("flow")
        .find(|fact| fact["target"].to_string().contains("8443"))
        .map(|fact| fact["flow"].clone());
    let hello = of
        .facts("tls")
        .find(|fact| Some(&fact["flow"]) == flow.as_ref());
    check(
        hello.is_some_and(|fact| fact["name"] == "upload.example"),
        || format!("{flow:?}: {hello:?}"),
    )
}

/// In the JSON report, in the table, and in what the payload's resolver is told.
fn words() -> Result {
    const WORDS: &str = "refused by default:egress";
    let of = evidence()?;
    let rows = |key: &str| of.report[key].to_string();
    check(rows("refused").contains(WORDS), || rows("refused"))?;
    check(rows("names").contains(WORDS), || rows("names"))?;
    of.seen("dns", &["(3, b'refused by default:egress')"])?;
    let told = output(belljar(["report"]).arg(of.dir.path().join("t.bjt")))?;
    let table = text(&told.stdout);
    for (destination, words) in [
        ("upload.example:8080", WORDS),
        ("single.example:80", WORDS),
        ("other.example", WORDS),
        ("198.51.100.7:443", "refused by guest"),
        ("upload.example:443", "refused by allow:1/tls-name"),
    ] {
        let row = |line: &&str| line.contains(destination) && line.contains(words);
        check(table.lines().any(|line| row(&line)), || {
            format!("no row with {destination} and {words}:\n{table}")
        })?;
    }
    Ok(())
}

fn denied() -> Result {
    let of = evidence()?;
    check(of.log(8080).is_empty(), || format!("{:?}", of.log(8080)))?;
    of.refused("upload.example:8080", "default:egress")?;
    of.seen("port", &["ConnectionResetError", "ConnectionRefusedError"])?;
    // A name that may be reached at another port is no better.
    of.refused("single.example:80", "default:egress")?;
    of.seen("other-port", &["ConnectionResetError"])?;
    of.seen("v6-other", &["ConnectionRefusedError"])?;
    of.refused("[2001:db8::7]:445", "guest")?;
    of.seen("name", &["gaierror"])?;
    let names = of.report["names"]["refused"].to_string();
    check(
        names.contains("other.example") && names.contains("default:egress"),
        || names.clone(),
    )
}
