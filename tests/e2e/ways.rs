//! Every way in: packages by name, a Python project, a repository, phases.

use libtest_mimic::Trial;
use serde_json::Value;

use crate::support::*;

pub fn tests() -> Vec<Trial> {
    vec![
        test("ways::wrong_names_and_addresses", &[], wrong),
        test(
            "ways::npm_package_with_a_script_is_named_and_allowed",
            &[Need::Guest, Need::Registry],
            npm_package,
        ),
        test(
            "ways::python_project_installs_imports_and_runs",
            &[Need::Guest, Need::Registry],
            python_project,
        ),
        test(
            "ways::python_thief_is_malicious",
            &[Need::Guest, Need::Registry],
            python_thief,
        ),
        test(
            "ways::phases_stop_at_the_first_failure",
            &[Need::Guest],
            phases,
        ),
        test(
            "ways::repository_is_cloned_with_its_host_allowed_for_that",
            &[Need::Guest, Need::Namespaces],
            repository,
        ),
    ]
}

/// Refused with exit 2 and a hint, before anything boots.
fn wrong() -> Result {
    let cases: &[&[&str]] = &[
        &["npm", "--", "--global"],
        &["npm", "a b"],
        &["npm", "../a"],
        &["pip", "six ; id"],
        &["pip", "https://a.example/x.whl"],
        &["run", "git@git.example:a/b.git"],
        &["run", "ssh://git.example/a"],
        &["run", "https://me:secret@git.example/a"],
        &["run", ".", "--phase", "install"],
        &["run", ".", "--phase", "clone=x"],
        &["run", "/nowhere/at/all"],
    ];
    for case in cases {
        let refused = output(&mut belljar(*case))?;
        let said = text(&refused.stderr);
        check(code(&refused) == 2 && said.starts_with("belljar: "), || {
            format!("{case:?}: exit {}, {said}", code(&refused))
        })?;
        check(
            said.contains("hint:") || case.contains(&"/nowhere/at/all"),
            || format!("{case:?}: {said}"),
        )?;
    }
    Ok(())
}

/// Name and status of each phase.
fn ran(report: &Value) -> Vec<(String, String)> {
    let rows = report["phases"].as_array().cloned().unwrap_or_default();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |row: &Value| (word(&row["name"]), word(&row["status"]));
    rows.iter().map(row).collect()
}

fn expect_phases(report: &Value, want: &[(&str, &str)]) -> Result {
    let got = ran(report);
    let same = got.len() == want.len()
        && got
            .iter()
            .zip(want)
            .all(|(g, w)| g.0 == w.0 && g.1.contains(w.1));
    check(same, || format!("phases {got:?}, want {want:?}"))
}

/// The live table; `report` prints the same of the trace, below the report too.
fn npm_package() -> Result {
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("t.bjt");
    let mut command = belljar(["npm", "core-js-pure@3.38.0", "--headless", "-o"]);
    let live = output(command.arg(&trace))?;
    let said = text(&live.stdout);
    check(code(&live) == 0 && said.starts_with("SAFE"), || {
        format!("{said}{}", text(&live.stderr))
    })?;
    for expected in [
        "core-js-pure@3.38.0  postinstall: node",
        "\"allowScripts\": { \"core-js-pure@3.38.0\": true }",
        "npm approve-scripts core-js-pure",
    ] {
        check(said.contains(expected), || said.clone())?;
    }
    let replayed = output(belljar(["report"]).arg(&trace))?;
    check(said.starts_with(&text(&replayed.stdout)), || {
        format!("live:\n{said}\nreplayed:\n{}", text(&replayed.stdout))
    })?;
    let report = json(&output(
        belljar(["report", "--format", "json"]).arg(&trace),
    )?)?;
    expect_phases(
        &report,
        &[
            ("install", "exit 0"),
            ("scripts", "exit 0"),
            ("import", "exit 0"),
        ],
    )
}

fn python_project() -> Result {
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("t.bjt");
    let live = output(&mut run(&repo("fixtures/packages/pip-benign"), &trace, &[]))?;
    let report = json(&live)?;
    check(report["verdict"] == "SAFE" && code(&live) == 0, || {
        format!("{} {}", report["verdict"], report["reasons"])
    })?;
    expect_phases(
        &report,
        &[
            ("install", "exit 0"),
            ("modules", "exit 0"),
            ("import", "exit 0"),
            ("run", "exit 0"),
        ],
    )?;
    let import = report["phases"][2]["command"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    check(import.contains("import padded, six"), || import)?;
    let printed = terminal(&events(&trace)?);
    check(printed.contains("......padded"), || printed.clone())
}

fn python_thief() -> Result {
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("t.bjt");
    let project = repo("fixtures/packages/pip-credential-thief");
    let live = output(&mut run(&project, &trace, &[]))?;
    let report = json(&live)?;
    check(report["verdict"] == "MALICIOUS" && code(&live) == 1, || {
        format!("{} {}", report["verdict"], report["reasons"])
    })?;
    let findings = report["findings"].to_string();
    for expected in [
        ".ssh/id_ed25519",
        ".aws/credentials",
        "198.51.100.7:443",
        "metrics.requests-py.example",
    ] {
        check(findings.contains(expected), || {
            format!("findings do not name {expected}: {findings}")
        })?;
    }
    Ok(())
}

fn phases() -> Result {
    let dir = tempfile::tempdir()?;
    let (trace, project) = (dir.path().join("t.bjt"), dir.path().join("project"));
    std::fs::create_dir(&project)?;
    let options = [
        "--phase",
        "one=sh -c 'echo first > made; sleep 100 &'",
        "--phase",
        "two=cat made && exit 7",
        "--phase",
        "three=echo never",
    ];
    let live = output(&mut run(&project, &trace, &options))?;
    let report = json(&live)?;
    expect_phases(&report, &[("one", "exit 0"), ("two", "exit 7")])?;
    check(report["ran"]["end"].to_string().contains("exit 7"), || {
        report["ran"].to_string()
    })?;
    let events = events(&trace)?;
    let printed = terminal(&events);
    check(
        printed.contains("first") && !printed.contains("never"),
        || printed.clone(),
    )
}

/// A real git server in a network of its own: one that only serves files, at an
/// address for documentation. Its name is known from a private /etc/hosts.
fn repository() -> Result {
    const SCRIPT: &str = r#"set -e
dir=$1; shift
git() { command git -c user.name=t -c user.email=t@git.example -c init.defaultBranch=main "$@"; }
mkdir "$dir/work" "$dir/www"
cd "$dir/work"
git init -q
printf '{"name":"cloned","version":"1.0.0","scripts":{"postinstall":"sh ./after.sh"}}' > package.json
printf 'echo from the branch\n' > after.sh
git add .
git commit -q -m one
git tag v1
# After the clone its host is out of reach again.
printf 'git ls-remote http://git.example/team/tool.git || echo the host is closed\n' > after.sh
git commit -q -a -m two
git clone -q --bare . "$dir/www/team/tool.git"
git --git-dir "$dir/www/team/tool.git" update-server-info
cp /etc/hosts "$dir/hosts"
echo '198.51.100.7 git.example' >> "$dir/hosts"
mount --bind "$dir/hosts" /etc/hosts
ip link set lo up
mkfifo "$dir/hold"
unshare -n sh -c 'echo $$ > "$1/pid"; read -r go < "$1/hold"
ip addr add 198.51.100.7/31 dev bj1; ip link set bj1 up; ip link set lo up
exec python3 -m http.server -d "$1/www" -b 198.51.100.7 80' sh "$dir" > "$dir/server.log" 2>&1 &
server=$!
while [ ! -s "$dir/pid" ]; do sleep 0.1; done
ip link add bj0 type veth peer name bj1
ip link set bj1 netns "$(cat "$dir/pid")"
ip addr add 198.51.100.6/31 dev bj0
ip link set bj0 up
echo go > "$dir/hold"
while ! python3 -c 'import socket; socket.create_connection(("198.51.100.7", 80), 1)' 2>/dev/null; do sleep 0.2; done
status=0
"$@" || status=$?
kill "$(cat "$dir/pid")"
wait $server || true
exit $status"#;
    let dir = tempfile::tempdir()?;
    let trace = dir.path().join("t.bjt");
    let mut inner = belljar([
        "run",
        "--headless",
        "--format",
        "json",
        "--no-registries",
        "-o",
    ]);
    inner.arg(&trace).arg("http://git.example/team/tool.git");
    let mut outer = std::process::Command::new("unshare");
    outer
        .args(["-n", "-m", "sh", "-c", SCRIPT, "sh"])
        .arg(dir.path())
        .arg(inner.get_program())
        .args(inner.get_args())
        .env("NO_COLOR", "1")
        .env("BELLJAR_ALLOW_DEGRADED", "1")
        .stdin(std::process::Stdio::null());
    let live = output(&mut outer)?;
    let report = json(&live)?;
    let events = events(&trace)?;
    let printed = terminal(&events);
    expect_phases(
        &report,
        &[
            ("clone", "exit 0"),
            ("marks", "exit 0"),
            ("install", "exit 0"),
        ],
    )
    .map_err(|error| format!("{error:?}; printed: {printed}"))?;
    let allowed = report["allowed"].to_string();
    check(
        allowed.contains("git.example:80") && allowed.contains("clone:git"),
        || allowed.clone(),
    )?;
    // The script of the install asked for the same host, and was refused.
    let refused = report["names"]["refused"].to_string();
    check(refused.contains("git.example"), || {
        format!("{refused}; printed: {printed}")
    })
}
