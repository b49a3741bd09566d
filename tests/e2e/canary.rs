//! What stands in a decoy is seen on its way out: in flows, in names, in
//! arguments; and it does not get out unless `--lure` says that it may.
//!
//! One guest is lured, another may read decoys by its policy and no more; each
//! test looks at one part of what came of it.

use std::sync::LazyLock;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::support::*;

pub fn tests() -> Vec<Trial> {
    const NEEDS: &[Need] = &[Need::Guest, Need::Namespaces];
    vec![
        test("canary::every_form_is_seen_leaving", NEEDS, seen),
        test("canary::a_lured_decoy_arrives", NEEDS, arrives),
        test("canary::without_a_lure_the_flow_is_cut", NEEDS, cut),
        test("canary::nothing_of_it_arrives", NEEDS, nothing_arrives),
        test("canary::names_that_spell_it_are_refused", NEEDS, names),
        test(
            "canary::arguments_that_carry_it_are_found",
            NEEDS,
            arguments,
        ),
        test("canary::what_is_innocent_goes_through", NEEDS, innocent),
        test("canary::replay_finds_the_same", NEEDS, replayed),
        test(
            "canary::whoever_walks_the_home_is_refused_every_decoy",
            &[Need::Guest],
            walked,
        ),
    ]
}

/// Namespaces and names: see `egress`.
const STAGE: &str = include_str!("egress/stage.sh");
const SERVER: &str = include_str!("canary/server.py");
const PAYLOAD: &str = include_str!("canary/payload.py");

/// Each flow of the payload, and how its canary is written.
const FLOWS: &[(&str, &str)] = &[
    ("plain", "plain"),
    ("base64", "base64"),
    ("hex", "hex"),
    ("percent", "percent"),
    ("split", "plain"),
    ("http", "plain"),
];

struct Evidence {
    dir: tempfile::TempDir,
    live: std::process::Output,
    report: Value,
    events: Vec<Value>,
    printed: String,
}

type Staged = LazyLock<std::result::Result<Evidence, String>>;
static LURED: Staged = LazyLock::new(|| stage(&["--lure"]).map_err(why));
/// Files are only watched, so decoys can be read; nobody said that they may leave.
static WATCHED: Staged = LazyLock::new(|| stage(&["--policy", "observe"]).map_err(why));

fn why(failed: libtest_mimic::Failed) -> String {
    failed.message().unwrap_or("?").to_owned()
}

fn of(staged: &'static Staged) -> Result<&'static Evidence> {
    staged.as_ref().map_err(|why| why.as_str().into())
}

fn stage(options: &[&str]) -> Result<Evidence> {
    let kept = tempfile::tempdir()?;
    let dir = kept.path();
    let (trace, project) = (dir.join("t.bjt"), dir.join("project"));
    std::fs::create_dir(&project)?;
    std::fs::write(project.join("payload.py"), PAYLOAD)?;
    std::fs::write(dir.join("server.py"), SERVER)?;
    let mut words = options.to_vec();
    words.extend(["--no-registries", "--allow", "upload.example"]);
    words.extend(["--allow", "*.upload.example"]);
    words.extend(["--", "python3", "payload.py"]);
    let inner = run(&project, &trace, &words);
    let live = output(&mut apart(STAGE, dir, &[], &inner))?;
    let report = json(&live)?;
    let events = events(&trace)?;
    let printed = terminal(&events);
    check(printed.contains("STEP done OK"), || printed.clone())?;
    Ok(Evidence {
        dir: kept,
        live,
        report,
        events,
        printed,
    })
}

impl Evidence {
    fn facts<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        let of_kind = self
            .events
            .iter()
            .filter(move |event| event["kind"] == kind);
        of_kind.map(|event| &event["fact"])
    }

    /// What the connection of this step brought the server.
    fn log(&self, step: &str) -> Vec<u8> {
        let logs = (1..)
            .map_while(|number| std::fs::read(self.dir.path().join(format!("log/{number}"))).ok());
        let start = match step {
            "http" => "POST /http".to_owned(),
            step => format!("\0{step}\n"),
        };
        logs.into_iter()
            .find(|log| log.starts_with(start.as_bytes()))
            .unwrap_or_default()
    }

    fn saw(&self, step: &str) -> &str {
        let start = format!("STEP {step} ");
        let line = self
            .printed
            .lines()
            .find_map(|line| line.strip_prefix(&start));
        line.unwrap_or("(nothing)").trim_end()
    }

    /// The canary of the decoy that the payload reads.
    fn canary(&self) -> Result<String> {
        let decoys = self
            .facts("decoys")
            .next()
            .map(|fact| fact["decoys"].clone());
        let all = decoys
            .as_ref()
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        all.iter()
            .find(|decoy| {
                decoy["path"]
                    .as_str()
                    .is_some_and(|path| path.ends_with("/.aws/credentials"))
            })
            .and_then(|decoy| decoy["canary"].as_str())
            .map(str::to_owned)
            .ok_or_else(|| "no canary".into())
    }

    fn messages(&self, rule: &str) -> Vec<String> {
        let all = self.report["findings"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let of_rule = all.iter().filter(|finding| finding["rule"] == rule);
        of_rule
            .map(|finding| finding["message"].to_string())
            .collect()
    }
}

fn seen() -> Result {
    for staged in [&LURED, &WATCHED] {
        let of = of(staged)?;
        let told: Vec<_> = of
            .facts("canary")
            .map(|fact| fact["encoding"].clone())
            .collect();
        let expected: Vec<_> = FLOWS.iter().map(|(_, encoding)| *encoding).collect();
        check(told == expected, || format!("{told:?}; {}", of.printed))?;
        let all_aws = of
            .facts("canary")
            .all(|fact| fact["kind"] == "cloud credentials");
        check(all_aws, || "another decoy".into())?;
        let messages = of.messages("L4-HONEY-004");
        check(
            messages.iter().any(|m| {
                m.contains("/.aws/credentials (cloud credentials, plain) to upload.example:9000")
            }),
            || format!("{messages:?}"),
        )?;
        check(of.report["verdict"] == "MALICIOUS", || {
            of.report["reasons"].to_string()
        })?;
    }
    Ok(())
}

fn arrives() -> Result {
    let of = of(&LURED)?;
    let canary = of.canary()?;
    for step in ["plain", "split", "http"] {
        let log = text(&of.log(step));
        check(log.contains(&canary), || format!("{step}: {log:?}"))?;
    }
    check(of.saw("split") == "b'ok'", || of.printed.clone())?;
    check(of.facts("canary").all(|fact| fact["cut"] == false), || {
        "cut".into()
    })
}

fn cut() -> Result {
    let of = of(&WATCHED)?;
    for (step, encoding) in FLOWS {
        // An end of file or a reset, but no answer.
        let saw = of.saw(step);
        check(saw.contains("Error") || saw == "b''", || {
            format!("{step} saw {saw}")
        })?;
        let why = format!("the canary of a decoy was leaving (cloud credentials, {encoding})");
        check(
            of.facts("flow_closed")
                .any(|fact| fact["why"] == why.as_str()),
            || why.clone(),
        )?;
    }
    let cut = of
        .facts("decision")
        .filter(|fact| fact["by"] == "allow:1/canary" && fact["action"] == "deny");
    let cut = cut.count();
    check(cut == FLOWS.len(), || format!("{cut} were cut"))?;
    // Recorded before it was decided.
    let at = |kind: &str| of.events.iter().position(|event| event["kind"] == kind);
    let decided = of
        .events
        .iter()
        .position(|event| event["fact"]["by"] == "allow:1/canary");
    check(at("canary") < decided, || {
        "decided before it was recorded".into()
    })
}

fn nothing_arrives() -> Result {
    let of = of(&WATCHED)?;
    let canary = of.canary()?;
    let logs =
        (1..).map_while(|number| std::fs::read(of.dir.path().join(format!("log/{number}"))).ok());
    let logs: Vec<_> = logs.collect();
    check(logs.len() > FLOWS.len(), || {
        format!("{} connections", logs.len())
    })?;
    // Of what came split, less than a quarter was through before it was recognised.
    let quarter = canary.get(..10).unwrap_or(&canary).to_owned();
    for log in logs {
        let log = text(&log);
        let hex: String = quarter.bytes().map(|byte| format!("{byte:02X}")).collect();
        check(!log.contains(&quarter) && !log.contains(&hex), || {
            log.clone()
        })?;
    }
    Ok(())
}

fn names() -> Result {
    for staged in [&LURED, &WATCHED] {
        let of = of(staged)?;
        let canary = of.canary()?;
        for step in ["name", "name-hex"] {
            check(of.saw(step).starts_with("gaierror"), || {
                format!("{step}: {}", of.saw(step))
            })?;
        }
        let refused: Vec<_> = of
            .facts("dns")
            .filter(|fact| fact["by"] == "allow:2/canary" && fact["answer"] == "refused")
            .filter_map(|fact| fact["name"].as_str())
            .collect();
        let starts = canary.to_ascii_lowercase();
        let starts = starts.get(..30).unwrap_or(&starts);
        check(refused.iter().any(|name| name.starts_with(starts)), || {
            format!("{refused:?}")
        })?;
        let messages = of.messages("L4-HONEY-004-NAME");
        check(
            messages
                .iter()
                .any(|m| m.contains("(cloud credentials, plain)")),
            || format!("{messages:?}"),
        )?;
        for encoding in ["plain", "hex"] {
            let filter = format!("canary.where = name and canary.encoding = {encoding}");
            let words = ["events", "--count", "--filter", &filter];
            let found = output(belljar(words).arg(of.dir.path().join("t.bjt")))?;
            let found = text(&found.stdout);
            check(found.trim() != "0" && !found.is_empty(), || {
                format!("{encoding}: {found}")
            })?;
        }
    }
    Ok(())
}

fn arguments() -> Result {
    let messages = of(&LURED)?.messages("L4-HONEY-004-ARG");
    check(
        messages
            .iter()
            .any(|m| m.contains("printf was started with the decoy") && m.contains("plain")),
        || format!("{messages:?}"),
    )
}

fn innocent() -> Result {
    for staged in [&LURED, &WATCHED] {
        let of = of(staged)?;
        check(
            of.saw("innocent") == "b'ok'" && of.log("innocent").len() > 1600,
            || of.printed.clone(),
        )?;
        check(of.saw("name-innocent") == "1", || of.printed.clone())?;
    }
    Ok(())
}

fn replayed() -> Result {
    for staged in [&LURED, &WATCHED] {
        let of = of(staged)?;
        same_when_replayed(&of.live, &of.dir.path().join("t.bjt"))?;
    }
    // The default policy would not have let any of it be read.
    let trace = of(&LURED)?.dir.path().join("t.bjt");
    let asked = output(belljar(["replay", "--policy", "default", "--format", "json"]).arg(trace))?;
    let told = json(&asked)?;
    let rows = told["rows"].as_array().cloned().unwrap_or_default();
    let denied = rows.iter().any(|row| {
        row["now"]["by"] == "default:decoys"
            && row["ended"] == "allowed"
            && row["object"]
                .as_str()
                .is_some_and(|path| path.ends_with("/.aws/credentials"))
    });
    check(denied && code(&asked) == 1, || {
        format!("exit {}: {told}", code(&asked))
    })
}

/// Opens every file of the home: one line each.
const WALK: &str = "\
import errno, os
for folder, _, names in os.walk(os.path.expanduser('~')):
    for name in names:
        path = os.path.join(folder, name)
        try: open(path, 'rb').close(); said = 'OK'
        except OSError as e: said = errno.errorcode[e.errno]
        print('FILE', said, path, flush=True)
";

/// Row by row: what stands where credentials would be is denied, and nothing else in the home.
fn walked() -> Result {
    let dir = tempfile::tempdir()?;
    let (trace, project) = (dir.path().join("t.bjt"), dir.path().join("p"));
    std::fs::create_dir(&project)?;
    std::fs::write(project.join("walk.py"), WALK)?;
    let report = json(&output(&mut run(
        &project,
        &trace,
        &["--no-registries", "--", "python3", "walk.py"],
    ))?)?;
    let events = events(&trace)?;
    let printed = terminal(&events);
    let fact = events.iter().find(|event| event["kind"] == "decoys");
    let decoys = fact
        .and_then(|event| event["fact"]["decoys"].as_array().cloned())
        .unwrap_or_default();
    let decoys: Vec<_> = decoys
        .iter()
        .filter_map(|decoy| decoy["path"].as_str())
        .collect();
    for part in [
        "/.ssh/id_ed25519",
        "/.aws/",
        "/.gcp/",
        "/.azure/",
        "/.env",
        "/keyrings/",
        "/.mozilla/",
        "/wallets/",
    ] {
        check(decoys.iter().any(|path| path.contains(part)), || {
            format!("no decoy {part}: {decoys:?}")
        })?;
    }
    let mut denied: Vec<_> = printed
        .lines()
        .filter_map(|line| line.trim().strip_prefix("FILE EACCES "))
        .collect();
    let mut expected = decoys.clone();
    denied.sort_unstable();
    expected.sort_unstable();
    check(denied == expected, || {
        format!("{denied:?}, not {expected:?}")
    })?;
    check(
        printed.contains("FILE OK ") && printed.contains("walk.py"),
        || printed.clone(),
    )?;
    let count = report["decisions"]["denied"].as_u64().unwrap_or(0);
    check(count == decoys.len() as u64, || {
        format!("{count} denials counted")
    })
}
