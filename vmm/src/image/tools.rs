//! The programs that a build needs, and running them.
//!
//! Owns: finding tools and saying how to get them; running one with its output
//! watched, its last lines kept, and nothing of it left when this process dies.
//! Must not: know what is built.

use std::collections::VecDeque;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{ImageError, Stage};

/// A program and the Debian package that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
}

/// Gives a tool mounts and processes of its own, which end with this process
/// even if that is killed: the tool's tree has the host's own folders mounted.
const CONTAINED: &[&str] = &[
    "setpriv",
    "--pdeathsig=KILL",
    "unshare",
    "--mount",
    "--propagation=private",
    "--pid",
    "--fork",
    "--mount-proc",
    "--kill-child=KILL",
];
/// The same for an ordinary user, who has no such means.
const GUARD: &str = include_str!("guard.sh");

/// What a build by root needs besides.
pub(crate) const ROOT_TOOLS: &[Tool] = &[
    Tool {
        program: "setpriv",
        package: "util-linux",
    },
    Tool {
        program: "unshare",
        package: "util-linux",
    },
];
/// What every build needs.
pub(crate) const TOOLS: &[Tool] = &[
    Tool {
        program: "mmdebstrap",
        package: "mmdebstrap",
    },
    Tool {
        program: "mkfs.erofs",
        package: "erofs-utils",
    },
    Tool {
        program: "dpkg-deb",
        package: "dpkg",
    },
    Tool {
        program: "tar",
        package: "tar",
    },
];
/// What an ordinary user's build needs besides.
pub(crate) const USER_TOOLS: &[Tool] = &[
    Tool {
        program: "newuidmap",
        package: "uidmap",
    },
    Tool {
        program: "newgidmap",
        package: "uidmap",
    },
];

/// Lines of a failed tool's output that go into the error.
const TAIL: usize = 20;
/// A line is cut here.
const MAX_LINE: u64 = 2_000;
/// System folders that an ordinary user's PATH may lack.
const SYSTEM: &[&str] = &["/usr/local/sbin", "/usr/sbin", "/sbin"];
/// Settings that decide how the network is reached, and nothing else, are
/// handed on: what a build makes must not depend on the caller's environment.
const HANDED_ON: &[&str] = &[
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
];

/// The folders in which programs are looked for.
pub(crate) fn search_path() -> Vec<PathBuf> {
    let own = env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    let mut out: Vec<PathBuf> = env::split_paths(&own)
        .filter(|path| path.is_absolute())
        .collect();
    for folder in SYSTEM.iter().map(PathBuf::from) {
        if !out.contains(&folder) {
            out.push(folder);
        }
    }
    out
}

/// Where a program is.
pub(crate) fn find(program: &str, path: &[PathBuf]) -> Option<PathBuf> {
    path.iter().map(|folder| folder.join(program)).find(|file| {
        fs::metadata(file)
            .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    })
}

/// The line that installs `tools`.
pub(crate) fn install_line(tools: &[Tool]) -> String {
    let mut packages: Vec<&str> = tools.iter().map(|tool| tool.package).collect();
    packages.sort_unstable();
    packages.dedup();
    format!("sudo apt-get install {}", packages.join(" "))
}

/// Everything that is missing, in one error.
pub(super) fn require(tools: &[Tool], path: &[PathBuf]) -> Result<(), ImageError> {
    let missing: Vec<Tool> = tools
        .iter()
        .filter(|tool| find(tool.program, path).is_none())
        .copied()
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(ImageError::Missing {
        programs: missing.iter().map(|tool| tool.program).collect(),
        hint: install_line(&missing),
    })
}

/// One run of a tool.
pub(super) struct Run<'a> {
    pub(super) program: &'static str,
    pub(super) arguments: Vec<String>,
    /// Its folder for temporary files; `None` leaves the system's.
    pub(super) temporary: Option<&'a Path>,
    /// Gets mounts and processes of its own, which vanish with it. Needs root.
    pub(super) contained: bool,
}

impl Run<'_> {
    /// Runs it. `watch` hears each line and names the stage for the error.
    pub(super) fn run(
        self,
        path: &[PathBuf],
        watch: &mut dyn FnMut(&str) -> Stage,
    ) -> Result<(), ImageError> {
        let mut tail = VecDeque::new();
        let mut stage = watch("");
        let status = self.spawn(path, &mut |line| {
            stage = watch(line);
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(line.to_owned());
        });
        let (how, output) = match status {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => (status.to_string(), Vec::from(tail)),
            Err(error) => (format!("cannot be run: {error}"), Vec::from(tail)),
        };
        let hint = hint(&output);
        Err(ImageError::Failed {
            stage,
            program: self.program,
            status: how,
            output,
            hint,
        })
    }

    fn spawn(
        &self,
        path: &[PathBuf],
        line: &mut dyn FnMut(&str),
    ) -> io::Result<std::process::ExitStatus> {
        let (reader, writer) = io::pipe()?;
        let mut child = {
            let mut command = self.command(path)?;
            command
                .stdin(Stdio::piped())
                .stdout(writer.try_clone()?)
                .stderr(writer);
            // The command holds the pipe's other end; dropped here, so that the
            // reader sees the end when the tool is done.
            command.spawn()?
        };
        // Held until the tool is done: its end tells the guard to stop it.
        let _alive = child.stdin.take();
        let read = lines(reader, line);
        let status = child.wait()?;
        read.map(|()| status)
    }

    fn command(&self, path: &[PathBuf]) -> io::Result<Command> {
        let guard: &[&str] = if self.contained {
            CONTAINED
        } else {
            &["sh", "-c", GUARD, "sh"]
        };
        let mut words: Vec<String> = guard.iter().map(|word| (*word).to_owned()).collect();
        words.push(self.program.to_owned());
        words.extend(self.arguments.iter().cloned());
        let mut words = words.into_iter();
        let first = words.next().unwrap_or_default();
        let program = find(&first, path).ok_or(io::ErrorKind::NotFound)?;
        let mut command = Command::new(program);
        command
            .args(words)
            // A group of its own, so that the guard can tell it as a whole.
            .process_group(0)
            .env_clear()
            .env("LANG", "C.UTF-8")
            .current_dir("/");
        command.env("PATH", env::join_paths(path).map_err(io::Error::other)?);
        for name in HANDED_ON.iter().chain(&["HOME", "USER", "LOGNAME"]) {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Some(folder) = self.temporary {
            command.env("TMPDIR", folder);
        }
        Ok(command)
    }
}

/// Reads lines of bounded length; what would move a terminal's cursor is blanked.
pub(super) fn lines(from: impl Read, line: &mut dyn FnMut(&str)) -> io::Result<()> {
    let mut from = BufReader::new(from);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        // A longer line arrives as several.
        if from.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&bytes);
        let last = text.trim_end().rsplit('\r').next().unwrap_or_default();
        let plain: String = last
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if !plain.trim().is_empty() {
            line(plain.trim_end());
        }
    }
}

/// What a known complaint means.
const COMPLAINTS: &[(&str, &str)] = &[
    (
        "No space left on device",
        "free some space: a build needs about 3 GB in the cache folder and in /tmp",
    ),
    (
        "Temporary failure resolving",
        "no network: the first build fetches packages, later runs need none",
    ),
    (
        "Could not resolve host",
        "no network: the first build fetches packages, later runs need none",
    ),
    (
        "NO_PUBKEY",
        "this system lacks Debian's archive keys: sudo apt-get install debian-archive-keyring",
    ),
    (
        "no configured default keyring",
        "this system lacks Debian's archive keys: sudo apt-get install debian-archive-keyring",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "an authority of this network is unknown: add it to the system's certificate bundle (update-ca-certificates)",
    ),
    (
        "No matching distribution found",
        "pip's index does not offer node as a wheel: point pip at one which does (pip config set global.index-url URL)",
    ),
    (
        "newuidmap",
        "give your user subordinate ids: `belljar doctor` has the line for it",
    ),
    (
        "unprivileged_userns_clone",
        "this system forbids user namespaces to ordinary users: run the first build as root",
    ),
];

fn hint(output: &[String]) -> Option<&'static str> {
    let met = |words: &str| output.iter().any(|line| line.contains(words));
    COMPLAINTS
        .iter()
        .find(|(words, _)| met(words))
        .map(|(_, hint)| *hint)
}
