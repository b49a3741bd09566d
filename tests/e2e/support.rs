//! What the tests share: starting belljar, reading its reports, looking at processes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use libtest_mimic::{Completion, Failed, Trial};
use serde_json::Value;

pub type Result<T = ()> = std::result::Result<T, Failed>;

/// A guest may take this long on a loaded machine without KVM.
pub const LONG: Duration = Duration::from_secs(600);

/// Something that a test needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A guest can be booted.
    Guest,
    /// The npm registry answers.
    Registry,
    /// Network namespaces can be made.
    Namespaces,
    /// Images can be built.
    Build,
    /// This is root, who can become somebody else.
    Root,
    /// Keys and certificates can be made.
    OpenSsl,
    /// git can serve.
    GitServer,
    /// A cloud-hypervisor is found.
    CloudHypervisor,
    /// asciinema reads casts.
    Asciinema,
    /// A browser without a window.
    Browser,
}

/// A test that is ignored, with the reason, where something is missing.
pub fn test(name: &str, needs: &'static [Need], run: fn() -> Result) -> Trial {
    Trial::ignorable_test(name, move || {
        if let Some(reason) = needs.iter().find_map(|need| missing(*need)) {
            return Ok(Completion::ignored_with(reason));
        }
        run().map(|()| Completion::Completed)
    })
}

pub fn missing(need: Need) -> Option<String> {
    static GUEST: LazyLock<Option<String>> = LazyLock::new(guest_missing);
    match need {
        Need::Guest => GUEST.clone(),
        Need::Build => lacks(|part| {
            let needed = ["mmdebstrap", "mkfs.erofs", "dpkg-deb", "subordinate ids"];
            needed.iter().any(|name| part["part"] == *name) && part["state"] != "found"
        }),
        Need::CloudHypervisor => {
            lacks(|part| part["part"] == "cloud-hypervisor" && part["state"] != "found")
        }
        Need::Root => (!rustix::process::geteuid().is_root())
            .then(|| "not root: all the other tests run as an ordinary user already".into()),
        Need::Registry => registry_missing(),
        Need::OpenSsl => {
            let made = Command::new("openssl").arg("version").output();
            (!made.is_ok_and(|out| out.status.success())).then(|| "openssl is missing".into())
        }
        Need::GitServer => {
            let told = Command::new("git").arg("--exec-path").output();
            let folder = told.map(|out| text(&out.stdout)).unwrap_or_default();
            let backend = Path::new(folder.trim()).join("git-http-backend");
            (!backend.exists()).then(|| "git http-backend is missing".into())
        }
        Need::Asciinema => asciinema()
            .is_none()
            .then(|| "asciinema is missing: ./dev readers installs it".into()),
        Need::Browser => browser()
            .is_none()
            .then(|| "chromium is missing: ./dev readers installs it".into()),
        Need::Namespaces => {
            let made = Command::new("unshare").args(["-n", "ip", "link"]).output();
            (!made.is_ok_and(|out| out.status.success()))
                .then(|| "network namespaces need root and iproute2".into())
        }
    }
}

/// asciinema, of this machine or as `./dev readers` installs it.
pub fn asciinema() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    // Where ./dev keeps what it builds.
    let ours = cache
        .or_else(home)
        .map(|cache| cache.join("belljar-dev/bin/asciinema"));
    let tools = [Some(PathBuf::from("asciinema")), ours];
    tools.into_iter().flatten().find(runs)
}

/// A browser that can go without a window.
pub fn browser() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names.into_iter().map(PathBuf::from).find(runs)
}

fn runs(program: &PathBuf) -> bool {
    let told = Command::new(program).arg("--version").output();
    told.is_ok_and(|out| out.status.success())
}

fn guest_missing() -> Option<String> {
    if std::env::var_os("BELLJAR_E2E").is_some_and(|value| value == "off") {
        return Some("BELLJAR_E2E=off".into());
    }
    lacks(|part| part["state"] == "missing")
}

/// The first part that the doctor finds lacking in this sense.
fn lacks(lacking: impl Fn(&Value) -> bool) -> Option<String> {
    let doctor = Command::new(BELLJAR)
        .args(["doctor", "--format", "json"])
        .output()
        .ok()?;
    let parts: Value = serde_json::from_slice(&doctor.stdout).ok()?;
    let lacks = parts.as_array()?.iter().find(|part| lacking(part))?;
    Some(format!(
        "{}: {}",
        lacks["part"].as_str()?,
        lacks["found"].as_str()?
    ))
}

/// Asked of the client that is configured here; no host is named.
fn registry_missing() -> Option<String> {
    let answer = Command::new("npm").args(["ping"]).output();
    match answer {
        Ok(output) if output.status.success() => None,
        Ok(_) => Some("the npm registry does not answer".into()),
        // Without npm on the host the guest must find out by itself.
        Err(_) => None,
    }
}

pub const BELLJAR: &str = env!("CARGO_BIN_EXE_belljar");

/// A file or folder of the repository.
pub fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The tool, with a home of its own for what it writes, and the user's cache.
pub fn belljar<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(args: I) -> Command {
    let mut command = Command::new(BELLJAR);
    command
        .args(args)
        .stdin(Stdio::null())
        .env("NO_COLOR", "1")
        // Nobody's own policy lines.
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .env("BELLJAR_ALLOW_DEGRADED", "1");
    command
}

/// Runs a project headless; the trace goes to `trace`.
pub fn run(project: &Path, trace: &Path, rest: &[&str]) -> Command {
    let mut command = belljar(["run", "--headless", "--format", "json", "-o"]);
    command.arg(trace);
    let (options, argv) = match rest.iter().position(|word| *word == "--") {
        Some(at) => rest.split_at(at),
        None => (rest, [].as_slice()),
    };
    // Most tests want to see a hostile run to its end.
    if !options.contains(&"--on-malicious") {
        command.args(["--on-malicious", "continue"]);
    }
    command.args(options).arg(project).args(argv);
    command
}

/// `inner` in network and mount namespaces of its own, which the shell script
/// `stage` makes ready: its arguments are the folder, `more`, and the command.
pub fn apart(stage: &str, dir: &Path, more: &[&str], inner: &Command) -> Command {
    let mut outer = Command::new("unshare");
    outer
        .args(["-nm", "sh", "-c", stage, "sh"])
        .arg(dir)
        .args(more)
        .arg(inner.get_program())
        .args(inner.get_args())
        .env("NO_COLOR", "1")
        .env("BELLJAR_ALLOW_DEGRADED", "1")
        .stdin(Stdio::null());
    outer
}

/// Waits for the end, not for ever.
pub fn output(command: &mut Command) -> Result<Output> {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    finish(child)
}

pub fn finish(child: Child) -> Result<Output> {
    let pid = child.id();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || drop(sender.send(child.wait_with_output())));
    if let Ok(output) = receiver.recv_timeout(LONG) {
        return Ok(output?);
    }
    // What it hangs on must be told by the one failure that is seen: where its
    // threads are, whom it waits for, and what it says when it is asked to end.
    let waits = hangs_on(pid);
    signal(pid, "TERM");
    let said = receiver.recv_timeout(Duration::from_secs(30));
    signal(pid, "KILL");
    let said = match said {
        Ok(Ok(output)) => format!("{}{}", text(&output.stdout), text(&output.stderr)),
        _ => "nothing, and did not end by TERM".into(),
    };
    Err(format!("belljar (pid {pid}) did not end within {LONG:?}\n{waits}\nit said: {said}").into())
}

/// Command, threads and children of a process that does not end.
fn hangs_on(pid: u32) -> String {
    let read = |path: PathBuf| {
        let bytes = std::fs::read(path).unwrap_or_default();
        text(&bytes).replace('\0', " ").trim().to_owned()
    };
    let of = |pid: &str, file: &str| read(Path::new("/proc").join(pid).join(file));
    let mut lines = vec![of(&pid.to_string(), "cmdline")];
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    for task in tasks.into_iter().flatten().flatten() {
        let at = |file: &str| read(task.path().join(file));
        lines.push(format!(
            "thread {}: {} {}",
            at("comm"),
            at("wchan"),
            at("syscall")
        ));
        for child in at("children").split_whitespace() {
            let command: String = of(child, "cmdline").chars().take(200).collect();
            lines.push(format!("child {child}: {} {command}", of(child, "wchan")));
        }
    }
    lines.join("\n")
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn json(output: &Output) -> Result<Value> {
    serde_json::from_slice(&output.stdout).map_err(|e| {
        format!(
            "no report ({e}); exit {}, stderr:\n{}",
            code(output),
            text(&output.stderr)
        )
        .into()
    })
}

/// Every event of a trace, as JSON objects.
pub fn events(trace: &Path) -> Result<Vec<Value>> {
    let listed = output(belljar(["report", "--format", "jsonl"]).arg(trace))?;
    let lines = text(&listed.stdout);
    let lines = lines
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    // The report behind them has no number.
    Ok(lines
        .filter(|event: &Value| event["seq"].is_u64())
        .collect())
}

/// What the payload wrote to its terminal.
pub fn terminal(events: &[Value]) -> String {
    let parts = events.iter().filter(|event| event["kind"] == "output");
    parts.filter_map(|event| event["fact"].as_str()).collect()
}

#[track_caller]
pub fn check(condition: bool, what: impl FnOnce() -> String) -> Result {
    if condition {
        Ok(())
    } else {
        Err(what().into())
    }
}

/// The report of the trace is the live one, byte for byte, and verify agrees.
pub fn same_when_replayed(live: &Output, trace: &Path) -> Result {
    let replayed = output(belljar(["report", "--format", "json"]).arg(trace))?;
    check(replayed.stdout == live.stdout, || {
        format!(
            "live and replayed report differ:\n{}\n{}",
            text(&live.stdout),
            text(&replayed.stdout)
        )
    })?;
    check(code(&replayed) == code(live), || {
        "exit codes of run and report differ".into()
    })?;
    let verified = output(belljar(["verify"]).arg(trace))?;
    check(code(&verified) == 0, || {
        format!("verify: {}", text(&verified.stdout))
    })
}

/// Name and status of each phase.
fn ran(report: &Value) -> Vec<(String, String)> {
    let rows = report["phases"].as_array().cloned().unwrap_or_default();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |row: &Value| (word(&row["name"]), word(&row["status"]));
    rows.iter().map(row).collect()
}

/// These phases and no others, ended so.
pub fn expect_phases(report: &Value, want: &[(&str, &str)]) -> Result {
    let got = ran(report);
    let same = got.len() == want.len()
        && got
            .iter()
            .zip(want)
            .all(|(g, w)| g.0 == w.0 && g.1.contains(w.1));
    check(same, || format!("phases {got:?}, want {want:?}"))
}

pub fn signal(pid: u32, name: &str) {
    let _ = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status();
}

/// Processes whose parent is `pid` (by name), from /proc.
pub fn children(pid: u32) -> Vec<(u32, String)> {
    let Ok(all) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    all.flatten()
        .filter_map(|entry| {
            let child: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let (head, tail) = stat.rsplit_once(')')?;
            let parent: u32 = tail.split_whitespace().nth(1)?.parse().ok()?;
            let name = head.split_once('(')?.1.to_owned();
            (parent == pid).then_some((child, name))
        })
        .collect()
}

pub fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie is dead and waits for its parent.
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// The hypervisor that belljar started.
pub fn hypervisor(belljar: u32) -> Option<u32> {
    children(belljar)
        .into_iter()
        .find(|(_, name)| name.starts_with("qemu"))
        .map(|(pid, _)| pid)
}

pub fn wait_until(what: &str, limit: Duration, mut done: impl FnMut() -> bool) -> Result {
    let start = Instant::now();
    while !done() {
        if start.elapsed() > limit {
            return Err(format!("{what}: not after {limit:?}").into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// A run whose payload has started: the child, and its hypervisor's pid.
pub struct Started {
    pub child: Child,
    pub hypervisor: u32,
}

/// Starts a payload that goes on until it is stopped, and waits until the
/// trace has grown past the start of the payload.
pub fn start_endless(project: &Path, trace: &Path, options: &[&str]) -> Result<Started> {
    let script = "while :; do ls / > /dev/null; sleep 0.2; done";
    let mut rest = options.to_vec();
    rest.extend(["--", "sh", "-c", script]);
    let mut child = run(project, trace, &rest)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let pid = child.id();
    let mut found = None;
    let began = wait_until("the payload's start", LONG, || {
        // Looked for early: with a fault on its way it may be gone by then. The
        // newest: a first one may only have tried whether a machine runs at all.
        found = hypervisor(pid).or(found);
        child.try_wait().ok().flatten().is_some()
            || events(trace).is_ok_and(|events| events.iter().any(|event| event["kind"] == "exec"))
    });
    match (began, found) {
        (Ok(()), Some(hypervisor)) => Ok(Started { child, hypervisor }),
        (began, _) => {
            signal(pid, "KILL");
            let output = finish(child)?;
            Err(format!(
                "no running guest ({began:?}), stderr:\n{}",
                text(&output.stderr)
            )
            .into())
        }
    }
}

/// Nothing of a run is left: none of these processes.
pub fn gone(pids: &[u32]) -> Result {
    wait_until("the end of all processes", Duration::from_secs(60), || {
        !pids.iter().any(|pid| alive(*pid))
    })
}

/// A figure for whoever reads the tests' output.
#[expect(
    clippy::print_stdout,
    reason = "a test of time or memory tells what it measured"
)]
pub fn tell(figure: &str) {
    println!("{figure}");
}
