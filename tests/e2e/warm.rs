//! Machines that go on from one that has booted: as good as booted ones, and no two
//! alike in anything that should be a run's own.

use std::collections::BTreeSet;
use std::path::Path;

use libtest_mimic::Trial;

use crate::support::{
    Need, Result, belljar, check, code, events, json, output, run, same_when_replayed, terminal,
    test, text,
};

pub fn tests() -> Vec<Trial> {
    vec![
        test(
            "warm::no_two_runs_share_what_is_their_own",
            &[Need::Guest],
            their_own,
        ),
        test("warm::cold_is_cold", &[Need::Guest], cold),
    ]
}

/// Prints what must differ, the time, and whether the channel's family can be had.
const SCRIPT: &str = r#"
cat /proc/sys/kernel/random/uuid
cat /proc/sys/kernel/random/boot_id
head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'; echo
python3 - <<'PY'
import os, socket, time
print(os.urandom(16).hex())
print(socket.gethostname(), os.environ.get("USER", ""))
print("clock", time.time())
try:
    socket.socket(40, socket.SOCK_STREAM)
    print("vsock open")
except OSError:
    print("vsock refused")
PY
"#;

/// Lines of [`SCRIPT`] that may be the same in no two runs.
const UNIQUE: usize = 4;

fn their_own() -> Result {
    let dir = tempfile::tempdir()?;
    let project = dir.path().join("project");
    std::fs::create_dir(&project)?;
    std::fs::write(project.join("look.sh"), SCRIPT)?;
    let mut seen = BTreeSet::new();
    let mut woken = 0;
    for number in 0..3 {
        let trace = dir.path().join(format!("{number}.bjt"));
        let live = output(&mut run(&project, &trace, &["--", "sh", "look.sh"]))?;
        let ended = now();
        let report = json(&live)?;
        check(report["ran"]["end"] == "finished, exit 0", || {
            format!("{}\n{}", report["ran"], text(&live.stderr))
        })?;
        woken += usize::from(text(&live.stderr).contains("going on with a machine"));
        let events = events(&trace)?;
        let printed = terminal(&events);
        let lines: Vec<&str> = printed.lines().map(str::trim).collect();
        for line in lines.iter().take(UNIQUE) {
            check(line.len() >= 24 && seen.insert((*line).to_owned()), || {
                format!("twice or nothing: {line:?} in {printed}")
            })?;
        }
        check(printed.contains("vsock refused"), || printed.clone())?;
        let clock = lines.iter().find_map(|line| line.strip_prefix("clock "));
        let clock: f64 = clock.unwrap_or_default().parse()?;
        check((ended - clock).abs() < 60.0, || {
            format!("the guest's clock: {clock}, here {ended}")
        })?;
        for canary in canaries(&trace)? {
            check(seen.insert(canary.clone()), || {
                format!("a canary that was there before: {canary}")
            })?;
        }
        same_when_replayed(&live, &trace)?;
    }
    // The first may have booted; whoever ran before may have left a base.
    check(woken >= 2, || format!("{woken} of 3 went on from a base"))
}

fn now() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// The canaries that a run laid out, as the trace has them.
pub fn canaries(trace: &Path) -> Result<Vec<String>> {
    let all = events(trace)?;
    let decoys = all.iter().find(|event| event["kind"] == "decoys");
    let decoys = decoys.ok_or("no decoys in the trace")?;
    let rows = decoys["fact"]["decoys"].as_array().cloned();
    let rows = rows.or_else(|| decoys["fact"].as_array().cloned());
    let found: Vec<String> = rows
        .unwrap_or_default()
        .iter()
        .filter_map(|row| Some(row["canary"].as_str()?.to_owned()))
        .collect();
    check(found.len() > 10, || format!("{decoys}"))?;
    Ok(found)
}

fn cold() -> Result {
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("t.bjt");
    let live = output(&mut run(dir.path(), &trace, &["--cold", "--", "true"]))?;
    check(code(&live) == 0, || text(&live.stderr))?;
    check(!text(&live.stderr).contains("going on"), || {
        text(&live.stderr)
    })?;
    let help = output(&mut belljar(["run", "--help"]))?;
    check(text(&help.stdout).contains("--cold"), || text(&help.stdout))
}
