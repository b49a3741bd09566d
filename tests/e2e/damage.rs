//! What is done to a hypervisor and to an image from outside: sockets are closed, a
//! process is stopped, files are cut in half, before a run and while it goes on.
//! What is said of it, and that nothing is left.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use libtest_mimic::Trial;

use crate::faults::{Bench, kinds};
use crate::support::*;

pub fn tests() -> Vec<Trial> {
    vec![
        test(
            "faults::a_hypervisor_that_falls_silent",
            &[Need::Guest],
            silent,
        ),
        test("faults::an_image_that_is_cut", &[Need::Guest], cut_image),
    ]
}

/// What is done to a hypervisor from outside while its payload runs, and what must
/// be said of it.
type Silence = (&'static str, fn(u32) -> Result, &'static [&'static str]);

const SILENCES: &[Silence] = &[
    (
        "its control socket closed",
        |pid| shut(pid, "socket,id=qmp,fd="),
        &["the hypervisor closed its control socket"],
    ),
    (
        "its end of the channel closed",
        |pid| shut(pid, "socket,id=channel,fd="),
        &["channel"],
    ),
    (
        "stopped by a signal",
        |pid| {
            signal(pid, "STOP");
            Ok(())
        },
        &["the guest's agent has said nothing for 60 s"],
    ),
];

fn silent() -> Result {
    for (what, silence, says) in SILENCES {
        let script = "while :; do ls / > /dev/null; sleep 0.2; done";
        let mut bench = Bench::start("t.bjt", &[], &["sh", "-c", script])?;
        bench.wait(what, |bench| kinds(&bench.trace(), "exec") > 0)?;
        silence(bench.hypervisor.unwrap_or_default())?;
        let ended = bench.end()?;
        ended.broke(what, says)?;
        check(kinds(&ended.trace, "exec") > 0, || {
            format!("{what}: nothing was recorded")
        })?;
    }
    Ok(())
}

/// Closes a socket of the hypervisor from outside: its number follows `words` on
/// the command line.
fn shut(pid: u32, words: &str) -> Result {
    use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
    let line = text(&fs::read(format!("/proc/{pid}/cmdline"))?);
    let number = line
        .split_once(words)
        .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next())
        .ok_or_else(|| format!("no {words:?} in {line}"))?;
    let pid = Pid::from_raw(i32::try_from(pid)?).ok_or("no process")?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let socket = pidfd_getfd(&process, number.parse()?, PidfdGetfdFlags::empty())?;
    Ok(rustix::net::shutdown(&socket, rustix::net::Shutdown::Both)?)
}

/// What of an image is cut in half before a run, and what must be said of it.
const CUTS: &[(&str, &[&str])] = &[
    (
        "root.erofs",
        &["manifest.json says that root.erofs has", "remove the image"],
    ),
    (
        "vmlinuz",
        &["manifest.json says that vmlinuz has", "remove the image"],
    ),
];

/// A small image in a cache of its own, so that nobody else's is harmed.
fn cut_image() -> Result {
    let dir = tempfile::tempdir()?;
    let cache = dir.path().join("cache");
    let archive = crate::image::tarball(dir.path())?;
    let kernel = crate::image::kernel(dir.path())?;
    let mut import = belljar(["image", "import", "--name", "small"]);
    import
        .args(&kernel)
        .arg(&archive)
        .env("XDG_CACHE_HOME", &cache);
    let import = output(&mut import)?;
    check(code(&import) == 0, || text(&import.stderr))?;
    let image = cache
        .join("belljar/images")
        .join(text(&import.stdout).trim());
    let project = dir.path().join("project");
    fs::create_dir(&project)?;
    let trace = dir.path().join("t.bjt");
    let started = |options: &[&str], script: &str| {
        let small = ["--cold", "--image", "small"];
        let rest = [&small, options, &["--", "sh", "-c", script]].concat();
        let mut command = run(&project, &trace, &rest);
        command.env("XDG_CACHE_HOME", &cache);
        command
    };
    for (name, says) in CUTS {
        let file = image.join(name);
        let whole = fs::read(&file)?;
        fs::write(&file, whole.get(..whole.len() / 2).unwrap_or_default())?;
        let done = output(&mut started(&[], "echo no"))?;
        fs::write(&file, whole)?;
        let said = text(&done.stderr);
        check(code(&done) == 3, || {
            format!("{name}: {}: {said}", code(&done))
        })?;
        for word in *says {
            check(said.contains(word), || {
                format!("{name}: no {word:?} in {said}")
            })?;
        }
        check(!trace.exists(), || format!("{name}: there is a trace"))?;
    }
    // A kernel from elsewhere.
    let [_, file, _, modules] = &kernel;
    let whole = fs::read(file)?;
    fs::write(file, whole.get(..whole.len() / 2).unwrap_or_default())?;
    let options = ["--kernel", file.as_str(), "--modules", modules];
    let done = output(&mut started(&options, "echo no"))?;
    let said = text(&done.stderr);
    check(code(&done) == 3 && said.contains("is cut off"), || {
        said.clone()
    })?;
    // An initramfs is made anew.
    let fine = output(&mut started(&[], "exit 7"))?;
    check(json(&fine)?["ran"]["end"] == "finished, exit 7", || {
        text(&fine.stderr)
    })?;
    for entry in fs::read_dir(cache.join("belljar/initramfs"))? {
        let path = entry?.path();
        let whole = fs::metadata(&path)?.len();
        fs::OpenOptions::new()
            .write(true)
            .open(&path)?
            .set_len(whole / 2)?;
    }
    let fine = output(&mut started(&[], "exit 8"))?;
    check(json(&fine)?["ran"]["end"] == "finished, exit 8", || {
        text(&fine.stderr)
    })?;
    cut_under_way(
        &image.join("root.erofs"),
        started(&["--timeout", "60s"], "while :; do :; done"),
        &trace,
    )
}

/// The root image is cut while a guest runs from it.
fn cut_under_way(root: &Path, mut command: std::process::Command, trace: &Path) -> Result {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let pid = child.id();
    let mut machine = None;
    let up = wait_until("the payload", LONG, || {
        machine = machine.or_else(|| hypervisor(pid));
        kinds(trace, "exec") > 0 || !alive(pid)
    });
    let whole = fs::metadata(root)?.len();
    fs::OpenOptions::new()
        .write(true)
        .open(root)?
        .set_len(whole / 2)?;
    let done = finish(child)?;
    up?;
    gone(
        &[Some(pid), machine]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>(),
    )?;
    let said = text(&done.stderr);
    let told = format!(
        "was changed while the guest ran from it ({whole} bytes before, {} after)",
        whole / 2
    );
    check(code(&done) == 3 && said.contains(&told), || {
        format!("{}: {said}", code(&done))
    })?;
    let report = json(&done)?;
    check(report["verdict"] != "SAFE", || {
        report["reasons"].to_string()
    })?;
    let verified = output(belljar(["verify"]).arg(trace))?;
    check(code(&verified) == 0, || text(&verified.stdout))
}
