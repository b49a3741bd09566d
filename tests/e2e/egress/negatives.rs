//! What must never leave, though a line allows the name that is said first: names
//! that lead inside, requests that mean another host, relays, names in labels.

use libtest_mimic::Trial;

use super::{Evidence, contains, evidence};
use crate::support::*;

/// Allowed on top of what the other tests allow; their lines are the ninth and on.
pub const ALLOWED: &[&str] = &[
    "upload.example:81",
    "upload.example:4443",
    "inner.example:81",
    "self.example:81",
    "loop.example:81",
    "mixed.example:81",
    "meta.example:81",
];
/// The steps, behind those of the other tests.
pub const PAYLOAD: &str = include_str!("negatives.py");

pub fn tests(needs: &'static [Need]) -> Vec<Trial> {
    vec![
        test(
            "egress::a_name_that_leads_inside_is_refused",
            needs,
            leads_inside,
        ),
        test(
            "egress::a_request_that_means_another_host_never_leaves",
            needs,
            other_hosts,
        ),
        test(
            "egress::hellos_without_an_honest_name_are_told_apart",
            needs,
            hellos,
        ),
        test(
            "egress::labels_below_an_allowed_name_carry_nothing",
            needs,
            labels,
        ),
    ]
}

/// Each name, the first address that is refused, and its range.
const INSIDE: &[(&str, &str, &str)] = &[
    ("inner", "10.11.12.13", "private"),
    ("self", "198.51.100.1", "own address"),
    ("loop", "127.0.0.1", "loopback"),
    ("mixed", "10.11.12.13", "private"),
    ("meta", "169.254.169.254", "cloud metadata"),
];

fn leads_inside() -> Result {
    let of = evidence()?;
    for (name, addr, range) in INSIDE {
        of.seen(&format!("leads-{name}"), &["ConnectionResetError"])?;
        of.refused(&format!("{name}.example:81"), range)?;
        let told = of.facts("flow_opened").any(|fact| {
            let how = fact["how"].to_string();
            how.contains(addr) && how.contains(range)
        });
        check(told, || {
            let all: Vec<_> = of.facts("flow_opened").collect();
            format!("{name} was not refused for {addr} ({range}): {all:?}")
        })?;
    }
    // Who listens at these addresses has heard nothing, not even a connection.
    check(!of.dir.path().join("own-heard").exists(), || {
        "somebody came to this host".into()
    })
}

const OTHER: &[&str] = &[
    "connect-relay",
    "connect-relay-hidden",
    "connect-then-other",
    "absolute-form",
    "two-hosts",
    "split-host",
    "smuggled-body",
    "h2-in-the-clear",
    "control-name",
];

fn other_hosts() -> Result {
    let of = evidence()?;
    let log = of.log(81);
    for step in OTHER {
        of.seen(step, &["ConnectionResetError"])?;
    }
    check(log.len() == OTHER.len(), || format!("{log:?}"))?;
    for part in ["other.example", "PRI *", "evil", "smuggled"] {
        check(!contains(&log, part), || format!("{part} left: {log:?}"))?;
    }
    refused_as(of, "upload.example:81", "allow:9/http-host")?;
    of.why("HTTP/2 in the clear")
}

fn refused_as(of: &Evidence, destination: &str, line: &str) -> Result {
    of.refused(destination, line)?;
    let denials = of.facts("decision").filter(|fact| fact["by"] == line);
    let (denied, flows) = (denials.count(), OTHER.len());
    check(line.ends_with("tls-name") || denied == flows, || {
        format!("{denied} of {flows} were refused by {line}")
    })
}

fn hellos() -> Result {
    let of = evidence()?;
    for step in ["tls-control-name", "tls-encrypted-name"] {
        of.seen(step, &["ConnectionResetError"])?;
    }
    of.why("TLS name is encrypted")?;
    // What a terminal would obey is told in letters.
    of.why(r"TLS name \\u{1b}[2J")?;
    refused_as(of, "upload.example:4443", "allow:10/tls-name")?;
    // One without a name differs from none: it passes, and is recorded as such.
    let log = of.log(4443);
    let nameless = of.facts("tls").any(|fact| fact["name"].is_null());
    let heard = log.iter().filter(|bytes| !bytes.is_empty()).count();
    check(nameless && log.len() == 3 && heard == 1, || {
        format!("{heard} of {} were heard; {nameless}", log.len())
    })
}

fn labels() -> Result {
    let of = evidence()?;
    of.seen("labels", &["gaierror"])?;
    let names = of.report["names"]["refused"].to_string();
    check(
        names.contains("c2VjcmV0.upload.example") || names.contains("c2vjcmv0.upload.example"),
        || names.clone(),
    )
}
