//! What this machine has and lacks for running guests.
//!
//! Owns: the list of parts, what was found of each, and how to get it: plain
//! data. Must not: change or install anything, boot a guest (the caller hands
//! in what [`crate::probe`] found), or print.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::boot;
use crate::cloud_hypervisor::PROGRAM;
use crate::image::tools::{TOOLS, Tool, USER_TOOLS, find, install_line, search_path};
use crate::image::{self, KernelFiles, Recipe, subids};
use crate::probe::Probe;

/// A build in progress and its result need about this much.
const BUILD_BYTES: u64 = 3 << 30;
/// Most bytes of a tool's version text that are looked at.
const MAX_VERSION: usize = 4_096;
const QEMU: Tool = Tool {
    program: "qemu-system-x86_64",
    package: "qemu-system-x86",
};

/// What a part's absence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There and usable.
    Found,
    /// Missing, and only wanted by who asks for it.
    Optional,
    /// Missing or limited, but runs are possible.
    Limited,
    /// Missing, and without it nothing runs.
    Missing,
}

/// One part of what runs need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Short name.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// There or not.
    pub state: State,
    /// What was found, or what is wrong.
    pub found: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What the caller has found out, or was told.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What the probe of KVM said.
    pub kvm: &'a Probe,
    /// What the one without KVM said, if it was asked.
    pub emulation: Option<&'a Probe>,
    /// The program to use for cloud-hypervisor; found in `PATH` if not given.
    pub cloud_hypervisor: Option<&'a Path>,
}

/// Looks at everything.
#[must_use]
pub fn examine(cache_dir: &Path, recipe: &Recipe, asked: &Asked<'_>) -> Vec<Part> {
    let kvm = asked.kvm;
    let cached = image::cached(cache_dir, recipe);
    // With an image there, what is only needed to build one is no obstacle.
    let absent = if matches!(cached, Ok(Some(_))) {
        State::Limited
    } else {
        State::Missing
    };
    let path = search_path();
    let program = |name, purpose, tool: Tool, state| -> Part {
        match find(tool.program, &path) {
            Some(file) => found(name, purpose, version(&file)),
            None => Part {
                name,
                purpose,
                state,
                found: format!("{} is not installed", tool.program),
                hint: Some(install_line(&[tool])),
            },
        }
    };
    let other = cloud_hypervisor(asked.cloud_hypervisor);
    // With KVM the other one does it alone; nobody else emulates.
    let without = if other.state == State::Found && *kvm == Probe::Usable {
        State::Optional
    } else {
        State::Missing
    };
    let by = match find(QEMU.program, &path) {
        Some(_) => "QEMU",
        None => PROGRAM,
    };
    let mut parts = vec![
        program("qemu", "runs the guest", QEMU, without),
        other,
        device(),
        acceleration(kvm, by),
        walls(),
    ];
    parts.extend(asked.emulation.map(emulated));
    let build = "builds the guest image on first use";
    parts.extend(
        TOOLS
            .iter()
            .map(|tool| program(tool.program, build, *tool, absent)),
    );
    if !rustix::process::geteuid().is_root() {
        let user = "builds the guest image as an ordinary user";
        parts.extend(
            USER_TOOLS
                .iter()
                .map(|tool| program(tool.program, user, *tool, absent)),
        );
        parts.push(subordinate_ids(user, absent));
    }
    parts.push(archive_keys(absent));
    parts.push(guest_kernel(&cached));
    parts.push(host_kernel(KernelFiles::host()));
    parts.push(image_part(cached));
    parts.push(space("disk space", cache_dir, absent));
    if !rustix::process::geteuid().is_root() {
        // An ordinary user's tree grows where other user ids may write.
        parts.push(space("space in /tmp", Path::new("/tmp"), absent));
    }
    parts.extend(recipe.host.notes.iter().map(|note| Part {
        name: "registry",
        purpose: "lets package managers in the guest use this machine's mirrors",
        state: State::Limited,
        found: note.clone(),
        hint: Some("configure the address without credentials, or accept the default".to_owned()),
    }));
    parts
}

fn found(name: &'static str, purpose: &'static str, what: String) -> Part {
    Part {
        name,
        purpose,
        state: State::Found,
        found: what,
        hint: None,
    }
}

/// The first line of what a program says of itself; its path if it says nothing.
fn version(program: &Path) -> String {
    let path = program.display().to_string();
    // These two know no such option.
    let flag = match program.file_name().and_then(OsStr::to_str) {
        Some("mkfs.erofs") => "-V",
        Some("newuidmap" | "newgidmap") => return path,
        _ => "--version",
    };
    let said = Command::new(program)
        .arg(flag)
        .stdin(Stdio::null())
        .output();
    let text = said.map(|out| {
        if out.stdout.is_empty() {
            out.stderr
        } else {
            out.stdout
        }
    });
    let text = text.unwrap_or_default();
    let text = String::from_utf8_lossy(text.get(..MAX_VERSION).unwrap_or(&text)).into_owned();
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| line.contains(|c: char| c.is_ascii_digit()));
    match line {
        Some(line) if line.len() < 120 && !line.chars().any(char::is_control) => line.to_owned(),
        _ => path,
    }
}

/// What to do without KVM; `closed`: the device is there, but root's alone.
fn kvm_hint(closed: bool) -> String {
    let degraded =
        "software emulation works with --allow-degraded; it is slow and no security boundary";
    if closed {
        format!("sudo chgrp kvm /dev/kvm && sudo chmod 660 /dev/kvm; until then {degraded}")
    } else {
        degraded.to_owned()
    }
}

/// The release that belljar was tried with.
const TRIED: u32 = 53;

fn cloud_hypervisor(named: Option<&Path>) -> Part {
    let (name, purpose) = (
        PROGRAM,
        "runs the guest where KVM works, with less code than QEMU",
    );
    let part = |state, found: String, hint: &str| Part {
        name,
        purpose,
        state,
        found,
        hint: Some(hint.to_owned()),
    };
    let program = match boot::find(named.unwrap_or(Path::new(PROGRAM))) {
        Ok(program) => program,
        Err(error) => {
            let state = match named {
                Some(_) => State::Missing,
                None => State::Optional,
            };
            let hint = "take the release binary, compare its checksum with the release page, and \
                        put it into PATH or name it in BELLJAR_CLOUD_HYPERVISOR";
            return part(state, error.to_string(), hint);
        }
    };
    let version = version(&program);
    let major = version
        .split(|c: char| !c.is_ascii_digit())
        .find(|digits| !digits.is_empty())
        .and_then(|digits| digits.parse::<u32>().ok());
    match major {
        Some(TRIED..) => found(name, purpose, version),
        _ => part(
            State::Limited,
            format!("{version}, which belljar was not tried with"),
            "use release 53 or a later one; `--machine qemu` leaves it out",
        ),
    }
}

fn emulated(probe: &Probe) -> Part {
    let (name, purpose) = ("emulation", "runs guests where the processor may not");
    match probe {
        Probe::Usable => found(
            name,
            purpose,
            "a probe guest ran and answered; only with --allow-degraded".to_owned(),
        ),
        Probe::Unusable(why) => Part {
            name,
            purpose,
            state: State::Missing,
            found: why.clone(),
            hint: Some("install QEMU anew, and look what else keeps it from running".to_owned()),
        },
    }
}

fn guest_kernel(cached: &Result<Option<image::Image>, image::ImageError>) -> Part {
    let (name, purpose) = ("guest kernel", "is what a guest boots");
    match cached {
        Ok(Some(image)) => found(
            name,
            purpose,
            format!("{}, {} modules", image.kernel_release, image.modules.len()),
        ),
        _ => Part {
            name,
            purpose,
            state: State::Limited,
            found: "comes with the guest image".to_owned(),
            hint: Some("build the image, or name a kernel of your own (--kernel)".to_owned()),
        },
    }
}

fn host_kernel(files: Result<KernelFiles, image::ImageError>) -> Part {
    let (name, purpose) = ("host kernel", "can be booted in a guest too: --kernel host");
    match files {
        Ok(files) => found(name, purpose, files.kernel.display().to_string()),
        Err(error) => Part {
            name,
            purpose,
            state: State::Optional,
            found: error.to_string(),
            hint: error.hint().map(str::to_owned),
        },
    }
}

fn device() -> Part {
    let (name, purpose) = ("/dev/kvm", "lets the processor run the guest itself");
    match fs::OpenOptions::new().read(true).write(true).open(name) {
        Ok(_) => found(name, purpose, "opens".to_owned()),
        Err(error) => Part {
            name,
            purpose,
            state: State::Limited,
            found: error.to_string(),
            hint: Some(device_hint(&error, has_group(name)).to_owned()),
        },
    }
}

fn device_hint(error: &std::io::Error, own_group: bool) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied if own_group => {
            "sudo usermod --append --groups kvm \"$USER\", then log in again"
        }
        std::io::ErrorKind::PermissionDenied => {
            "root keeps it to itself: sudo chgrp kvm /dev/kvm && sudo chmod 660 /dev/kvm, \
             then sudo usermod --append --groups kvm \"$USER\" and log in again"
        }
        _ => "enable virtualisation in the firmware, or nested virtualisation for this machine",
    }
}

/// Whether a group of its own may open the device.
fn has_group(device: &str) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(device).is_ok_and(|data| data.gid() != 0 && data.mode() & 0o060 == 0o060)
}

/// `by`: which hypervisor ran the probe's guest.
fn acceleration(kvm: &Probe, by: &str) -> Part {
    let (name, purpose) = ("kvm", "makes the guest fast, and is the boundary around it");
    match kvm {
        Probe::Usable => found(
            name,
            purpose,
            format!("a probe guest under {by} ran and answered"),
        ),
        Probe::Unusable(why) => Part {
            name,
            purpose,
            state: State::Limited,
            found: why.clone(),
            hint: Some(kvm_hint(
                Path::new("/dev/kvm").exists() && !has_group("/dev/kvm"),
            )),
        },
    }
}

fn walls() -> Part {
    let name = "landlock";
    let purpose = "keeps a hypervisor that was taken over from your files";
    if crate::process::walls::there() {
        return found(name, purpose, "the kernel enforces it".to_owned());
    }
    Part {
        name,
        purpose,
        state: State::Optional,
        found: "this kernel does not have it, or has it switched off".to_owned(),
        hint: Some("boot with `landlock` in the list `lsm=` (Linux 5.13 or later)".to_owned()),
    }
}

fn subordinate_ids(purpose: &'static str, absent: State) -> Part {
    let name = "subordinate ids";
    match subids::check() {
        Ok(()) => found(
            name,
            purpose,
            "a large enough range of user and group ids".to_owned(),
        ),
        Err(image::ImageError::Unprivileged { why, hint }) => Part {
            name,
            purpose,
            state: absent,
            found: why,
            hint: Some(hint),
        },
        Err(other) => Part {
            name,
            purpose,
            state: absent,
            found: other.to_string(),
            hint: None,
        },
    }
}

fn archive_keys(absent: State) -> Part {
    let (name, purpose) = (
        "archive keys",
        "prove that packages in the image are Debian's",
    );
    let keys = Path::new("/usr/share/keyrings/debian-archive-keyring.gpg");
    if keys.is_file() {
        return found(name, purpose, keys.display().to_string());
    }
    let package = Tool {
        program: "",
        package: "debian-archive-keyring",
    };
    Part {
        name,
        purpose,
        state: absent,
        found: "Debian's archive keys are not installed".to_owned(),
        hint: Some(install_line(&[package])),
    }
}

fn image_part(cached: Result<Option<image::Image>, image::ImageError>) -> Part {
    let (name, purpose) = ("guest image", "is what untrusted code runs in");
    match cached {
        Ok(Some(image)) => {
            let digest = image.digest.get(..12).unwrap_or_default();
            found(
                name,
                purpose,
                format!("{digest}, kernel {}", image.kernel_release),
            )
        }
        Ok(None) => Part {
            name,
            purpose,
            state: State::Limited,
            found: "not built yet".to_owned(),
            hint: Some("the first run builds it: a few minutes, with network".to_owned()),
        },
        Err(error) => Part {
            name,
            purpose,
            state: State::Missing,
            found: error.to_string(),
            hint: Some("make the cache folder readable, or remove it".to_owned()),
        },
    }
}

fn space(name: &'static str, folder: &Path, absent: State) -> Part {
    let purpose = "holds the guest image, and its parts while it is built";
    // The folder may not exist yet; the nearest one above it is on the same disk.
    let there = folder
        .ancestors()
        .find(|path| path.is_dir())
        .unwrap_or(Path::new("/"));
    let free = rustix::fs::statvfs(there).map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize));
    match free {
        Ok(free) if free >= BUILD_BYTES => found(name, purpose, free_text(free, there)),
        Ok(free) => Part {
            name,
            purpose,
            state: absent,
            found: free_text(free, there),
            hint: Some("a build needs about 3 GiB, the finished image 0.6".to_owned()),
        },
        Err(error) => Part {
            name,
            purpose,
            state: State::Limited,
            found: format!("unknown: {error}"),
            hint: None,
        },
    }
}

fn free_text(free: u64, there: &Path) -> String {
    format!("{} MiB free in {}", free >> 20, there.display())
}

#[cfg(test)]
mod tests;
