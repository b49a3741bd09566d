//! Sigma rules, held event by event against pySigma with its SQLite backend.
//!
//! Needs a Python with pySigma and pySigma-backend-sqlite, named by
//! `BELLJAR_SIGMA_PYTHON`, and the upstream rules.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

use belljar_replay::cond::{Field, Subject, Value};
use belljar_replay::moment::Moment;
use belljar_replay::rules::RuleSet;
use belljar_replay::session::Session;
use libtest_mimic::{Failed, Trial};
use serde_json::json;

const NAME: &str = "sigma_agrees_with_an_independent_engine";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/sigma_peer.py");

/// What the script is told of an event, under our names.
const FIELDS: &[&str] = &[
    "evt.type",
    "evt.failed",
    "evt.rawres",
    "evt.is_open_read",
    "evt.is_open_create",
    "proc.exepath",
    "proc.exeline",
    "proc.pexepath",
    "proc.pexeline",
    "proc.cwd",
    "proc.comm",
    "proc.pid",
    "proc.ppid",
    "user.name",
    "user.uid",
    "fs.path.name",
    "fs.path.target",
    "fs.path.written",
    "fd.typechar",
    "fd.rip",
    "fd.sport",
    "fd.l4proto",
    "net.name",
];

pub(crate) fn trial() -> Trial {
    let why = match std::env::var("BELLJAR_SIGMA_PYTHON") {
        Err(_) => Some("BELLJAR_SIGMA_PYTHON names no Python with pySigma".to_owned()),
        Ok(python) => {
            let import = "import sigma.backends.sqlite";
            let status = Command::new(&python).args(["-c", import]).status();
            let works = status.is_ok_and(|status| status.success());
            (!works).then(|| format!("{python} has no pySigma-backend-sqlite"))
        }
    };
    let folder = super::data("sigma-linux");
    let why =
        why.or_else(|| (!folder.is_dir()).then(|| format!("{} is not there", folder.display())));
    let trial = Trial::test(NAME, compare);
    match why {
        None => trial,
        Some(why) => {
            eprintln!("ignored {NAME}: {why}");
            trial.with_ignored_flag(true)
        }
    }
}

fn compare() -> Result<(), Failed> {
    let folder = super::data("sigma-linux");
    let sources = super::files(&folder);
    let loaded = RuleSet::load_all(false, &sources)?;
    let recorded = super::witness::tape(&sources).record();
    let mut session = Session::new(Arc::clone(&loaded.rules));
    let mut events = Vec::new();
    let mut matches: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for entry in &recorded.entries {
        session.follow(entry);
        let moment = Moment::new(&session, entry);
        events.push(told(&moment));
        loaded
            .rules
            .judge(&moment, moment.event_type(), &mut |rule| {
                matches
                    .entry(rule.id.clone())
                    .or_default()
                    .push(entry.seq());
            });
    }
    let evaluable = loaded
        .checked
        .iter()
        .filter(|one| one.status.is_evaluable());
    let evaluable: Vec<_> = evaluable.map(|one| one.id.clone()).collect();
    let file = std::env::temp_dir().join(format!("sigma-peer-{}.json", std::process::id()));
    let dump = json!({"events": events, "matches": matches, "evaluable": evaluable});
    std::fs::write(&file, dump.to_string())?;
    let python = std::env::var("BELLJAR_SIGMA_PYTHON")?;
    let output = Command::new(python)
        .args([SCRIPT.as_ref(), file.as_os_str(), folder.as_os_str()])
        .output()?;
    std::fs::remove_file(&file)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    eprintln!("{}", said.lines().last().unwrap_or_default());
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{said}\n{errors}").into())
}

fn told(moment: &Moment<'_>) -> serde_json::Value {
    let mut row = serde_json::Map::new();
    row.insert("seq".into(), moment.seq().into());
    for name in FIELDS {
        let field = Field::named(name, false).unwrap();
        let value = plain(moment.value(field));
        if !value.is_null() {
            row.insert((*name).into(), value);
        }
    }
    for at in 0..10u8 {
        let argument = plain(moment.value(Field::ProcArgvAt(at)));
        if !argument.is_null() {
            row.insert(format!("argv{at}"), argument);
        }
        let raw = plain(moment.value(Field::EvtArgAt(at)));
        if !raw.is_null() {
            row.insert(format!("arg{at}"), raw);
        }
    }
    row.into()
}

fn plain(value: Value<'_>) -> serde_json::Value {
    match value {
        Value::Bool(is) => is.into(),
        Value::Int(number) => number.into(),
        Value::Ip(ip) => ip.to_string().into(),
        Value::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
        _ => serde_json::Value::Null,
    }
}
