//! What the tests with machines need: an image, a guest, and a look at processes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use belljar_vmm::image::{self, Clients, Host, Image, Recipe};
use belljar_vmm::{MachineChoice, Spec};
use libtest_mimic::Failed;

/// Set in the process that is started to be killed.
pub(crate) const HELPER: &str = "BELLJAR_TEST_HELPER";

/// Which machine to test, by the name that a user types; QEMU if it is not set.
pub(crate) const MACHINE: &str = "BELLJAR_TEST_MACHINE";
/// The test guest, compiled already.
pub(crate) const INIT: &str = "BELLJAR_TEST_INIT";

/// An image with the test guest in place of the agent.
#[derive(Clone, Debug)]
pub(crate) struct Kit {
    pub(crate) image: Image,
    initramfs: PathBuf,
    machine: MachineChoice,
    init: Vec<u8>,
    _dir: Arc<tempfile::TempDir>,
}

impl Kit {
    /// Everything that is needed, or what is missing.
    pub(crate) fn find() -> Result<Self, String> {
        let machine = match std::env::var(MACHINE) {
            Ok(name) => name.parse().map_err(|error| format!("{error}"))?,
            Err(_) => MachineChoice::Qemu,
        };
        let hypervisor = match machine {
            MachineChoice::CloudHypervisor => "cloud-hypervisor",
            _ => "qemu-system-x86_64",
        };
        let ready = std::env::var_os(INIT);
        let needed = [Some(hypervisor), ready.is_none().then_some("cc")];
        for program in needed.into_iter().flatten() {
            Command::new(program)
                .arg("--version")
                .output()
                .map_err(|error| format!("{program}: {error}"))?;
        }
        let image = find_image()?;
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let agent = match ready {
            Some(file) => std::fs::read(file).map_err(|error| error.to_string())?,
            None => compile(dir.path())?,
        };
        let initramfs = image::initramfs(&image, &agent, dir.path()).map_err(|e| e.to_string())?;
        Ok(Self {
            image,
            initramfs,
            machine,
            init: agent,
            _dir: Arc::new(dir),
        })
    }

    /// True if the tests run under cloud-hypervisor.
    pub(crate) fn other(&self) -> bool {
        self.machine == MachineChoice::CloudHypervisor
    }

    /// This program in an outer guest, with cloud-hypervisor as the machine.
    pub(crate) fn nested(&self) -> std::io::Result<Output> {
        let files = tempfile::tempdir()?;
        let at = |name: &str| files.path().join(name);
        std::fs::copy(&self.image.kernel, at("vmlinuz"))?;
        std::fs::create_dir(at("modules"))?;
        for module in &self.image.modules {
            let name = module.file_name().unwrap_or_default();
            std::fs::copy(module, at("modules").join(name))?;
        }
        // The test guest mounts no root, and a large one would lie in memory twice.
        std::fs::write(at("root.erofs"), vec![0; 1 << 20])?;
        std::fs::write(at("init"), &self.init)?;
        Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/nested/run.sh"))
            .arg(std::env::current_exe()?)
            .env("NESTED_FILES", files.path())
            .env("NESTED_SECONDS", "900")
            .env(MACHINE, "cloud-hypervisor")
            .env(INIT, "/files/init")
            .env("BELLJAR_TEST_IMAGE", "/files")
            .output()
    }

    /// A small machine.
    pub(crate) fn spec(&self) -> Spec {
        let mut spec = Spec::new(&self.image.kernel, &self.initramfs, &self.image.root);
        spec.machine = self.machine;
        spec.allow_degraded = true;
        spec.memory_mib = 512;
        spec
    }
}

fn find_image() -> Result<Image, String> {
    if let Some(dir) = std::env::var_os("BELLJAR_TEST_IMAGE") {
        return image_in(Path::new(&dir));
    }
    let home = std::env::var_os("HOME").ok_or("no HOME, and no BELLJAR_TEST_IMAGE")?;
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map_or_else(|| Path::new(&home).join(".cache"), PathBuf::from)
        .join("belljar");
    match image::cached(&cache, &Recipe::debian(Host::detect())) {
        Ok(Some(image)) => Ok(image),
        Ok(None) => Err("no guest image is cached, and BELLJAR_TEST_IMAGE is not set".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// A folder with a kernel, a root and modules that was not made by belljar.
fn image_in(dir: &Path) -> Result<Image, String> {
    let list = std::fs::read_dir(dir.join("modules"))
        .map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut modules: Vec<_> = list
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .collect();
    modules.sort();
    Ok(Image {
        dir: dir.into(),
        root: dir.join("root.erofs"),
        kernel: dir.join("vmlinuz"),
        modules,
        kernel_release: String::new(),
        kernel_digest: String::new(),
        root_digest: String::new(),
        digest: String::new(),
        clients: Clients::default(),
        name: None,
        source: None,
    })
}

/// The test guest's `/init`.
fn compile(dir: &Path) -> Result<Vec<u8>, String> {
    let out = dir.join("init");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vm/guest.c");
    let status = Command::new("cc")
        .args(["-static", "-Os", "-w", "-o"])
        .args([&out, &source])
        .status()
        .map_err(|error| format!("cc: {error}"))?;
    if !status.success() {
        return Err("the test guest does not compile as a static program".into());
    }
    std::fs::read(&out).map_err(|error| error.to_string())
}

/// Runs on a runtime of its own, which is gone afterwards.
pub(crate) fn block<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}

/// True if there is such a process, and it is no corpse.
pub(crate) fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    !stat.is_empty() && !matches!(state, Some('Z' | 'X'))
}

/// The descriptor that a process was told of on its command line behind `words`,
/// one argument or two.
pub(crate) fn told_of(pid: u32, words: &str) -> Result<i32, Failed> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline"))?;
    let line = String::from_utf8(line)?.replace('\0', " ");
    let (_, rest) = line
        .split_once(words)
        .ok_or_else(|| format!("no {words:?} in {line}"))?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
    Ok(digits.unwrap_or_default().parse()?)
}

/// Closes a socket of another process for good, from outside.
pub(crate) fn shut(pid: u32, fd: i32) -> Result<(), Failed> {
    use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
    let pid = Pid::from_raw(i32::try_from(pid)?).ok_or("no process")?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let socket = pidfd_getfd(&process, fd, PidfdGetfdFlags::empty())?;
    Ok(rustix::net::shutdown(&socket, rustix::net::Shutdown::Both)?)
}

/// Sends a signal.
pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) -> Result<(), Failed> {
    use rustix::process::{Pid, kill_process};
    let pid = Pid::from_raw(i32::try_from(pid)?).ok_or("no process")?;
    Ok(kill_process(pid, signal)?)
}

/// Waits until it is gone.
pub(crate) fn stopped(pid: u32, most: Duration) -> bool {
    let start = Instant::now();
    while alive(pid) {
        if start.elapsed() > most {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Descriptors that this process has open, with those that the first runtime
/// opens for good.
pub(crate) fn open_files() -> usize {
    block(async {});
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// Every path directly in a folder.
pub(crate) fn files_below(dir: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    entries
        .map(|entry| entry.path().display().to_string())
        .collect()
}
