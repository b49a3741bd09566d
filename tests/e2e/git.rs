//! Repositories: cloned in the guest from real git servers over HTTP, one that
//! only serves files and one that speaks git's own protocol, in a network
//! namespace that the test makes.

use std::path::Path;
use std::process::{Command, Output};

use libtest_mimic::Trial;

use crate::support::*;

pub fn tests() -> Vec<Trial> {
    const NEEDS: &[Need] = &[Need::Guest, Need::Namespaces, Need::GitServer];
    vec![
        test(
            "git::host_of_a_repository_is_allowed_for_the_clone_only",
            NEEDS,
            files_only,
        ),
        test("git::tag_over_the_smart_protocol", NEEDS, tag),
        test("git::branch_of_a_server_of_files", NEEDS, branch),
        test("git::commit_over_the_smart_protocol", NEEDS, commit),
        test(
            "git::reference_that_is_not_there_is_an_error",
            NEEDS,
            no_reference,
        ),
    ]
}

/// A tag on the first commit, a branch beside, and what the default branch has.
const MAKE: &str = r#"set -e
git() { command git -c user.name=t -c user.email=t@git.example -c init.defaultBranch=main "$@"; }
mkdir "$1/work" "$1/www"
cd "$1/work"
git init -q
printf '{"name":"cloned","version":"1.0.0","scripts":{"postinstall":"sh ./after.sh"}}' > package.json
printf 'echo from the first\n' > after.sh
git add .
git commit -q -m one
git tag v1
git checkout -q -b side
printf 'echo from the side\n' > after.sh
git commit -q -a -m side
git checkout -q main
# After the clone its host is out of reach again.
printf 'git ls-remote http://git.example/team/tool.git || echo the host is closed\n' > after.sh
git commit -q -a -m two
git clone -q --bare . "$1/www/team/tool.git"
git --git-dir "$1/www/team/tool.git" update-server-info
git rev-parse v1"#;

/// Makes the repository; returns its first commit.
fn make(dir: &Path) -> Result<String> {
    let made = Command::new("sh")
        .args(["-c", MAKE, "sh"])
        .arg(dir)
        .output()?;
    check(made.status.success(), || text(&made.stderr))?;
    Ok(text(&made.stdout).trim().to_owned())
}

/// Runs belljar on the repository as served in this mode; `rest` is the command.
fn run_on(dir: &Path, mode: &str, reference: &str, rest: &[&str]) -> Result<Output> {
    std::fs::write(dir.join("server.py"), include_str!("git/server.py"))?;
    let mut inner = belljar(["run", "--headless", "--format", "json"]);
    inner.args(["--no-registries", "-o"]).arg(dir.join("t.bjt"));
    inner.arg(format!("http://git.example/team/tool.git{reference}"));
    inner.args(rest);
    output(&mut apart(
        include_str!("git/stage.sh"),
        dir,
        &[mode],
        &inner,
    ))
}

fn files_only() -> Result {
    let kept = tempfile::tempdir()?;
    let dir = kept.path();
    make(dir)?;
    let live = run_on(dir, "dumb", "", &[])?;
    let report = json(&live)?;
    let printed = terminal(&events(&dir.join("t.bjt"))?);
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

/// What the file says in a clone of this reference.
fn cloned(mode: &str, reference: impl FnOnce(&str) -> String, says: &str) -> Result {
    let kept = tempfile::tempdir()?;
    let dir = kept.path();
    let first = make(dir)?;
    let live = run_on(dir, mode, &reference(&first), &["--", "cat", "after.sh"])?;
    let report = json(&live)?;
    let events = events(&dir.join("t.bjt"))?;
    let printed = terminal(&events);
    expect_phases(&report, &[("clone", "exit 0"), ("run", "exit 0")])
        .map_err(|error| format!("{error:?}; printed: {printed}"))?;
    check(printed.contains(says), || printed.clone())?;
    check(report["verdict"] == "SAFE" && code(&live) == 0, || {
        report["reasons"].to_string()
    })?;
    let posts = events
        .iter()
        .filter(|event| event["kind"] == "http" && event["fact"]["method"] == "POST");
    let smart = posts.count() > 0;
    check(smart == (mode == "smart"), || {
        format!("a server of the other sort was asked: smart is {smart}")
    })
}

fn tag() -> Result {
    cloned("smart", |_| "#v1".to_owned(), "from the first")
}

fn branch() -> Result {
    cloned("dumb", |_| "#side".to_owned(), "from the side")
}

fn commit() -> Result {
    cloned("smart", |first| format!("#{first}"), "from the first")
}

fn no_reference() -> Result {
    let kept = tempfile::tempdir()?;
    let dir = kept.path();
    make(dir)?;
    let live = run_on(dir, "smart", "#v9", &["--", "cat", "after.sh"])?;
    let said = text(&live.stderr);
    check(
        code(&live) == 2 && said.contains("no branch, tag or commit v9"),
        || format!("exit {}, {said}", code(&live)),
    )?;
    expect_phases(&json(&live)?, &[("clone", "exit 65")])?;
    // Its trace says the same.
    let told = output(belljar(["report"]).arg(dir.join("t.bjt")))?;
    let said = text(&told.stderr);
    check(
        code(&told) == 2 && said.contains("no branch, tag or commit v9"),
        || format!("exit {}, {said}", code(&told)),
    )
}
