//! The guest's image: kernel, modules and a read-only root, built on first use.
//!
//! Owns: what an image is, making sure that there is one ([`ensure`]), and the
//! first file system of a guest ([`initramfs`]). Must not: boot anything, print
//! anything, or know a registry or a mirror by name.

mod build;
mod cache;
mod cpio;
mod flavour;
mod host;
mod import;
mod initramfs;
mod kernel;
mod list;
mod manifest;
mod modules;
mod recipe;
pub(crate) mod subids;
pub(crate) mod tools;

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use flavour::Flavour;
pub use host::Host;
pub use import::{Reference, Source, import};
pub use initramfs::initramfs;
pub use kernel::{Kernel, KernelFiles, with_kernel};
pub use list::{Listed, list, named, remove, remove_unused};
pub use manifest::{Clients, Endpoint};
pub use recipe::Recipe;

use manifest::Manifest;

/// A whole image in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its folder.
    pub dir: PathBuf,
    /// Read-only root file system (erofs).
    pub root: PathBuf,
    /// The kernel.
    pub kernel: PathBuf,
    /// Kernel modules in load order.
    pub modules: Vec<PathBuf>,
    /// `uname -r` of the kernel.
    pub kernel_release: String,
    /// blake3 of the kernel file.
    pub kernel_digest: String,
    /// blake3 of the root file system.
    pub root_digest: String,
    /// Digest of the recipe it was made from.
    pub digest: String,
    /// What the package managers in it talk to.
    pub clients: Clients,
    /// What the user calls it, if it was imported.
    pub name: Option<String>,
    /// What it was made from, in words.
    pub source: Option<String>,
}

/// Fewest digits of a digest that name an image.
const SHORTEST: usize = 6;

/// Where a build is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Another process builds; this one waits for it.
    Waiting,
    /// Debian's packages are fetched.
    Packages,
    /// They are unpacked and set up.
    Install,
    /// The host's roots and mirrors go in.
    Certificates,
    /// The kernel's package is fetched.
    Kernel,
    /// node and npm are fetched.
    Node,
    /// The clients are asked what they talk to.
    Clients,
    /// What no guest needs goes out.
    Tidy,
    /// The read-only root is written.
    Pack,
    /// The kernel's modules are chosen and ordered.
    Modules,
    /// Everything is written to disk and moved into place.
    Publish,
}

/// Stages in order: the mark in the tools' output that starts one, and its name.
/// mmdebstrap has its own lines; the hooks write the others.
const STAGES: &[(Stage, &str, &str)] = &[
    (
        Stage::Packages,
        "I: automatically chosen mode",
        "fetch packages",
    ),
    (Stage::Install, "I: extracting archives", "install packages"),
    (
        Stage::Certificates,
        "belljar-stage: certificates",
        "set up certificates",
    ),
    (Stage::Kernel, "belljar-stage: kernel", "fetch kernel"),
    (Stage::Node, "belljar-stage: node", "fetch node and npm"),
    (
        Stage::Clients,
        "belljar-stage: clients",
        "ask clients for their registries",
    ),
    (Stage::Tidy, "belljar-stage: tidy", "tidy up"),
    (Stage::Pack, "belljar-stage: pack", "pack root file system"),
    (Stage::Modules, "", "choose kernel modules"),
    (Stage::Publish, "", "publish image"),
];

impl Stage {
    /// What happens, in a few words.
    #[must_use]
    pub fn name(self) -> &'static str {
        let row = STAGES.iter().find(|row| row.0 == self);
        row.map_or("wait for another build", |row| row.2)
    }

    /// Its place, counted from 1; 0 while waiting.
    #[must_use]
    pub fn number(self) -> usize {
        STAGES
            .iter()
            .position(|row| row.0 == self)
            .map_or(0, |place| place.saturating_add(1))
    }

    /// How many stages there are.
    #[must_use]
    pub const fn count() -> usize {
        STAGES.len()
    }

    /// The stage after a line of output: a mark moves on, never back.
    fn after(self, line: &str) -> Self {
        let mut marks = STAGES.iter().filter(|row| !row.1.is_empty());
        marks
            .find(|row| line.starts_with(row.1))
            .map_or(self, |row| self.max(row.0))
    }
}

/// A step of a build, for somebody who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Where the build is.
    pub stage: Stage,
    /// The tool's latest line, without control characters.
    pub line: String,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A recipe asks for something that cannot be.
    #[error("{field} {value:?} {why}")]
    Recipe {
        /// What is wrong.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Programs are missing on this machine.
    #[error("building the guest image needs {}, not found here; to get it: {hint}", .programs.join(", "))]
    Missing {
        /// Their names.
        programs: Vec<&'static str>,
        /// The line that installs them.
        hint: String,
    },
    /// This user may not build.
    #[error("building the guest image as an ordinary user: {why}; to change it: {hint}")]
    Unprivileged {
        /// What is missing.
        why: String,
        /// The line that helps.
        hint: String,
    },
    /// A tool failed.
    #[error(
        "building the guest image: {}: {program}: {status}{}{}",
        .stage.name(),
        indented(.output),
        .hint.map(|hint| format!("\nhint: {hint}")).unwrap_or_default()
    )]
    Failed {
        /// During which stage.
        stage: Stage,
        /// Which tool.
        program: &'static str,
        /// How it ended.
        status: String,
        /// Its last lines.
        output: Vec<String>,
        /// What to do, where the output says it.
        hint: Option<&'static str>,
    },
    /// The cache folder cannot be used.
    #[error("cannot {operation} {}: {source}", .path.display())]
    Cache {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// What was to be imported is no image.
    #[error("cannot import {what}: it {why}")]
    Archive {
        /// The archive, or the image in a registry.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// No image, or more than one, is called so.
    #[error("{count} images are called {name:?}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// How many there are.
        count: usize,
    },
    /// A cached image is damaged.
    #[error("image manifest {} {why}", .path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// This machine's own kernel is not here.
    #[error("this machine runs kernel {release}, but its {what} is not here (looked for {places})")]
    NoHostKernel {
        /// `uname -r`.
        release: String,
        /// What is missing of it.
        what: &'static str,
        /// Where it was looked for.
        places: String,
    },
    /// A kernel or a module cannot be used.
    #[error("kernel or module {name} {why}")]
    Module {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A client in the image gave no usable answer.
    #[error("the image's own tools answered {answer:?} when asked for {question}")]
    Answer {
        /// What was asked.
        question: &'static str,
        /// What came back.
        answer: String,
    },
}

impl ImageError {
    /// What to do about it, where this error does not say so itself.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Recipe { .. } | Self::Archive { .. } | Self::Missing { .. } => None,
            Self::Unprivileged { .. } => Some(
                "or build it as root once and copy the folder of the image; `belljar doctor` lists all parts",
            ),
            Self::NoHostKernel { .. } => Some(
                "leave --kernel away to boot the image's own, or name files: --kernel FILE --modules DIR",
            ),
            Self::Module { .. } => {
                Some("--kernel FILE wants a bzImage, --modules DIR its /lib/modules/RELEASE")
            }
            Self::Unknown { .. } => Some("`belljar image list` shows the names"),
            Self::Manifest { .. } => {
                Some("remove the image (belljar image rm NAME), and import or build it again")
            }
            _ => Some("`belljar doctor` lists what is missing and how to get it"),
        }
    }

    fn cache(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Cache {
            operation,
            path: path.to_owned(),
            source,
        }
    }

    fn module(name: &str, why: impl Into<String>) -> Self {
        Self::Module {
            name: name.to_owned(),
            why: why.into(),
        }
    }
}

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n    {line}")).collect()
}

/// The image of `recipe`: from the cache, else built, which takes minutes and
/// the network. `progress` hears about it.
///
/// # Errors
/// The recipe is refused, a tool is missing or fails, or the cache cannot be used.
pub fn ensure(
    cache_dir: &Path,
    recipe: &Recipe,
    progress: &mut dyn FnMut(Progress),
) -> Result<Image, ImageError> {
    recipe.validate()?;
    if let Some(image) = cached(cache_dir, recipe)? {
        return Ok(image);
    }
    build::preflight()?;
    let digest = recipe.digest();
    let images = images(cache_dir);
    fs::create_dir_all(&images).map_err(|source| ImageError::cache("create", &images, source))?;
    let lock = cache::Lock::take(&images, &mut |line| {
        progress(Progress {
            stage: Stage::Waiting,
            line,
        });
    })?;
    // Whoever was awaited may have built this very image.
    if let Some(image) = cached(cache_dir, recipe)? {
        return Ok(image);
    }
    let target = images.join(&digest);
    let partial = cache::Partial::create(&images, &digest, &lock)?;
    build::build(recipe, &digest, partial.path(), progress)?;
    partial.publish(&target)?;
    let kept = list::list(cache_dir)?;
    cache::prune_images(&images, &digest, &|name| {
        let this = kept.iter().find(|one| one.digest == name);
        this.and_then(|one| one.image.as_ref().ok()?.name.as_ref())
            .is_some()
    })?;
    Manifest::load(&target, &digest)?
        .ok_or_else(|| ImageError::cache("find", &target, io::ErrorKind::NotFound.into()))
}

/// The image of `recipe` if it is in the cache. A damaged one counts as absent
/// and is replaced by the next build.
///
/// # Errors
/// The cache is there but cannot be read.
pub fn cached(cache_dir: &Path, recipe: &Recipe) -> Result<Option<Image>, ImageError> {
    let digest = recipe.digest();
    match Manifest::load(&images(cache_dir).join(&digest), &digest) {
        Err(ImageError::Manifest { .. }) => Ok(None),
        other => other,
    }
}

fn images(cache_dir: &Path) -> PathBuf {
    cache_dir.join("images")
}
