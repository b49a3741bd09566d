//! What machine to boot: plain data, checked before anything starts.
//!
//! Owns: the fields, their limits, and a message with a way out for each
//! problem. Must not: start anything, or read more than file metadata.

use std::path::{Path, PathBuf};
use std::str::FromStr;

// Fewest and most virtual processors.
const CPUS: (u32, u32) = (1, 64);
// Least and most memory in MiB.
const MEMORY_MIB: (u32, u32) = (256, 262_144);
// Most bytes of additional kernel command line (x86 takes 2,048 in all).
const CMDLINE_EXTRA: usize = 1024;

/// How the guest's instructions are executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MachineChoice {
    /// cloud-hypervisor where it is there and KVM works, else QEMU.
    #[default]
    Auto,
    /// cloud-hypervisor, or an error.
    CloudHypervisor,
    /// QEMU with KVM where that works, else with software emulation if that was
    /// consented to.
    Qemu,
    /// QEMU with KVM, or an error.
    Kvm,
    /// QEMU with software emulation, which needs consent.
    Tcg,
}

impl MachineChoice {
    /// Every choice with the name that a user types.
    pub const ALL: &[(Self, &str)] = &[
        (Self::Auto, "auto"),
        (Self::CloudHypervisor, "cloud-hypervisor"),
        (Self::Qemu, "qemu"),
        (Self::Kvm, "kvm"),
        (Self::Tcg, "tcg"),
    ];
}

impl std::fmt::Display for MachineChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = Self::ALL
            .iter()
            .find(|(choice, _)| choice == self)
            .map_or("auto", |(_, n)| n);
        f.write_str(name)
    }
}

impl FromStr for MachineChoice {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        Self::ALL
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(choice, _)| *choice)
            .ok_or_else(|| SpecError::Machine {
                asked: text.chars().take(40).collect(),
            })
    }
}

/// A machine to boot. See [`Spec::validate`] for the limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// How to execute it.
    pub machine: MachineChoice,
    /// Linux kernel (bzImage).
    pub kernel: PathBuf,
    /// Initramfs with the agent as `/init`.
    pub initramfs: PathBuf,
    /// Read-only root file system image, the first disk.
    pub root: PathBuf,
    /// Virtual processors.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Consent to software emulation, which is no security boundary.
    pub allow_degraded: bool,
    /// Words added to the kernel command line.
    pub cmdline_extra: String,
    /// The QEMU binary; found in `PATH` if not given.
    pub hypervisor: Option<PathBuf>,
    /// The cloud-hypervisor binary; found in `PATH` if not given.
    pub cloud_hypervisor: Option<PathBuf>,
    /// Where machines that have booted are kept, to go on from; without it each
    /// one boots.
    pub warm: Option<PathBuf>,
}

impl Spec {
    /// Two processors, 2 GiB, automatic machine, no consent to emulation.
    #[must_use]
    pub fn new(kernel: &Path, initramfs: &Path, root: &Path) -> Self {
        Self {
            machine: MachineChoice::Auto,
            kernel: kernel.into(),
            initramfs: initramfs.into(),
            root: root.into(),
            cpus: 2,
            memory_mib: 2048,
            allow_degraded: false,
            cmdline_extra: String::new(),
            hypervisor: None,
            cloud_hypervisor: None,
            warm: None,
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// The first problem found.
    pub fn validate(&self) -> Result<(), SpecError> {
        for (what, path) in self.files() {
            check_file(what, path)?;
        }
        let (least, most) = CPUS;
        if !(least..=most).contains(&self.cpus) {
            return Err(SpecError::Cpus {
                asked: self.cpus,
                least,
                most,
            });
        }
        let (least, most) = MEMORY_MIB;
        if !(least..=most).contains(&self.memory_mib) {
            return Err(SpecError::Memory {
                asked: self.memory_mib,
                least,
                most,
            });
        }
        check_cmdline(&self.cmdline_extra)
    }

    /// The files that the machine reads, with what each is.
    pub(crate) fn files(&self) -> [(&'static str, &Path); 3] {
        [
            ("kernel", &self.kernel),
            ("initramfs", &self.initramfs),
            ("root image", &self.root),
        ]
    }
}

fn check_file(what: &'static str, path: &Path) -> Result<(), SpecError> {
    let subject = || path.to_path_buf();
    let meta = std::fs::metadata(path).map_err(|source| SpecError::Missing {
        what,
        path: subject(),
        source,
    })?;
    if !meta.is_file() {
        return Err(SpecError::NotAFile {
            what,
            path: subject(),
        });
    }
    if meta.len() == 0 {
        return Err(SpecError::Empty {
            what,
            path: subject(),
        });
    }
    Ok(())
}

fn check_cmdline(extra: &str) -> Result<(), SpecError> {
    if extra.len() > CMDLINE_EXTRA {
        return Err(SpecError::CmdlineLong {
            length: extra.len(),
            most: CMDLINE_EXTRA,
        });
    }
    match extra.chars().find(|c| !matches!(c, ' '..='~')) {
        Some(found) => Err(SpecError::CmdlineCharacter { found }),
        None => Ok(()),
    }
}

/// Why a [`Spec`] cannot be booted.
#[derive(Debug, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "each field is the subject that the message names"
)]
pub enum SpecError {
    /// A file is missing or cannot be looked at.
    #[error("{what} {} cannot be read: {source}", path.display())]
    Missing {
        what: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    /// A directory or device stands where a file must.
    #[error("{what} {} is not a regular file", path.display())]
    NotAFile { what: &'static str, path: PathBuf },
    /// An empty file.
    #[error("{what} {} is empty", path.display())]
    Empty { what: &'static str, path: PathBuf },
    /// Too few or too many processors.
    #[error("{asked} processors asked for, {least} to {most} are possible")]
    Cpus { asked: u32, least: u32, most: u32 },
    /// Too little or too much memory.
    #[error("{asked} MiB of memory asked for, {least} to {most} are possible")]
    Memory { asked: u32, least: u32, most: u32 },
    /// The additional kernel command line is too long.
    #[error("additional kernel command line has {length} bytes, at most {most} are possible")]
    CmdlineLong { length: usize, most: usize },
    /// The additional kernel command line is not plain ASCII.
    #[error("additional kernel command line contains {found:?}")]
    CmdlineCharacter { found: char },
    /// No machine of that name.
    #[error("no machine is called {asked:?}")]
    Machine { asked: String },
}

impl SpecError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Missing { what, .. } | Self::NotAFile { what, .. } | Self::Empty { what, .. } => {
                format!(
                    "name an existing {what}, or delete the cached guest image to have it built again"
                )
            }
            Self::Cpus { least, most, .. } => format!("ask for {least} to {most} processors"),
            Self::Memory { least, most, .. } => format!("ask for {least} to {most} MiB"),
            Self::CmdlineLong { most, .. } => format!("keep it within {most} bytes"),
            Self::CmdlineCharacter { .. } => "use printable ASCII only".into(),
            Self::Machine { .. } => {
                let names: Vec<_> = MachineChoice::ALL.iter().map(|(_, name)| *name).collect();
                format!("choose one of: {}", names.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests;
