//! Which kernel a guest boots: the image's own, this machine's, or any other.
//!
//! Owns: finding a kernel and its modules on this machine, checking that they
//! belong together, and their place in the cache ([`with_kernel`]). Must not:
//! change an image, or load anything.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::build::put_modules;
use super::manifest::{KERNEL, MODULES, is_name};
use super::modules::{self, Module};
use super::recipe::ESSENTIAL;
use super::{Image, ImageError, Recipe, cache};

/// Largest kernel.
const MAX_KERNEL: u64 = 256 << 20;
/// Kernels kept that did not come with an image.
const KEPT: usize = 4;
/// Where distributions put the kernel that runs, `{}` being its release.
const SHELVES: &[&str] = &[
    "boot/vmlinuz-{}",
    "lib/modules/{}/vmlinuz",
    "usr/lib/modules/{}/vmlinuz",
    "boot/kernel-{}",
];
/// And its modules.
const TREES: &[&str] = &["lib/modules/{}", "usr/lib/modules/{}"];

/// Where an imported image's kernel comes from: an archive has none.
#[derive(Clone, Copy, Debug)]
pub enum Kernel<'a> {
    /// That of another image.
    Image(&'a Image),
    /// Files of this machine.
    Files(&'a KernelFiles),
}

/// A kernel on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelFiles {
    /// The kernel.
    pub kernel: PathBuf,
    /// The folder of its modules (`/lib/modules/RELEASE`).
    pub modules: PathBuf,
}

impl KernelFiles {
    /// The kernel that this machine runs.
    ///
    /// # Errors
    /// Its file or its modules are not here, as in most containers.
    pub fn host() -> Result<Self, ImageError> {
        let uname = rustix::system::uname();
        Self::of_release(Path::new("/"), &uname.release().to_string_lossy())
    }

    /// The kernel of this release below `root`.
    pub(super) fn of_release(root: &Path, release: &str) -> Result<Self, ImageError> {
        let found = |shelves: &[&str], what: &'static str| {
            let places = shelves.iter().map(|shelf| shelf.replace("{}", release));
            let places: Vec<PathBuf> = places.map(|place| root.join(place)).collect();
            let there = places.iter().find(|place| place.exists()).cloned();
            there.ok_or_else(|| {
                let places: Vec<_> = places.iter().map(|place| place.display()).collect();
                let list = places.iter().map(ToString::to_string).collect::<Vec<_>>();
                ImageError::NoHostKernel {
                    release: release.to_owned(),
                    what,
                    places: list.join(", "),
                }
            })
        };
        if !is_name(release) {
            return Err(ImageError::module(release, "is no kernel release"));
        }
        Ok(Self {
            kernel: found(SHELVES, "kernel")?,
            modules: found(TREES, "modules")?,
        })
    }

    /// This kernel, with the modules of its release here unless others are named.
    ///
    /// # Errors
    /// The file is no kernel, or there are no modules for it.
    pub fn at(kernel: &Path, modules: Option<&Path>) -> Result<Self, ImageError> {
        let release = release_of(kernel)?;
        let own = || {
            let places = TREES.iter().map(|shelf| shelf.replace("{}", &release));
            let mut places = places.map(|place| Path::new("/").join(place));
            places.find(|place| place.is_dir())
        };
        let modules = modules.map(Path::to_owned).or_else(own).ok_or_else(|| {
            ImageError::module(
                &release,
                "is a kernel whose modules are not under /lib/modules: name their folder (--modules DIR)",
            )
        })?;
        Ok(Self {
            kernel: kernel.to_owned(),
            modules,
        })
    }

    /// Release and modules, which must belong together.
    fn read(&self) -> Result<(String, Vec<Module>), ImageError> {
        let release = release_of(&self.kernel)?;
        let wanted = Recipe::needed_modules();
        let modules = modules::in_load_order_of(&self.modules, &wanted, ESSENTIAL)?;
        for module in &modules {
            match module.release() {
                Some(other) if other != release => {
                    let why = format!("is of kernel {other}, not {release}");
                    return Err(ImageError::module(&module.name, why));
                }
                _ => {}
            }
        }
        Ok((release, modules))
    }
}

/// `image` with another kernel, which is kept in the cache beside the images.
///
/// # Errors
/// The kernel is refused, or the cache cannot be written.
pub fn with_kernel(
    cache_dir: &Path,
    image: Image,
    files: &KernelFiles,
) -> Result<Image, ImageError> {
    let (release, modules) = files.read()?;
    let kernel_digest = digest_of(&files.kernel)?;
    let mut hash = blake3::Hasher::new();
    hash.update(kernel_digest.as_bytes());
    for module in &modules {
        hash.update(blake3::hash(&module.content).as_bytes());
        hash.update(module.name.as_bytes());
    }
    let digest = hash.finalize().to_hex().to_string();
    let shelf = cache_dir.join("kernels");
    fs::create_dir_all(&shelf).map_err(|source| ImageError::cache("create", &shelf, source))?;
    let lock = cache::Lock::take(&shelf, &mut |_| ())?;
    let folder = shelf.join(&digest);
    let names: Vec<String> = file_names(&modules).collect();
    if !whole(&folder, &kernel_digest, &modules) {
        let partial = cache::Partial::create(&shelf, &digest, &lock)?;
        write(files, &modules, partial.path())?;
        partial.publish(&folder)?;
        cache::prune(&shelf, KEPT, &digest, &cache::is_digest)?;
    }
    let below = folder.join(MODULES);
    Ok(Image {
        kernel: folder.join(KERNEL),
        modules: names.iter().map(|name| below.join(name)).collect(),
        kernel_release: release,
        kernel_digest,
        ..image
    })
}

/// Whether a folder of the cache holds just this.
fn whole(folder: &Path, kernel: &str, modules: &[Module]) -> bool {
    digest_of(&folder.join(KERNEL)).is_ok_and(|digest| digest == kernel)
        && file_names(modules).zip(modules).all(|(name, module)| {
            fs::read(folder.join(MODULES).join(name)).is_ok_and(|there| there == module.content)
        })
}

pub(super) fn file_names(modules: &[Module]) -> impl Iterator<Item = String> {
    let numbered = modules.iter().enumerate();
    numbered.map(|(number, module)| format!("{number:02}-{}.ko", module.name))
}

fn write(files: &KernelFiles, modules: &[Module], folder: &Path) -> Result<(), ImageError> {
    let to = folder.join(KERNEL);
    copy(&files.kernel, &to)?;
    let shelf = folder.join(MODULES);
    fs::create_dir(&shelf).map_err(|source| ImageError::cache("create", &shelf, source))?;
    put_modules(modules, &shelf).map(drop)
}

/// Kernel and modules into `folder`; answers the release and the modules' names.
pub(super) fn put(kernel: Kernel<'_>, folder: &Path) -> Result<(String, Vec<String>), ImageError> {
    match kernel {
        Kernel::Image(image) => {
            copy(&image.kernel, &folder.join(KERNEL))?;
            let shelf = folder.join(MODULES);
            fs::create_dir(&shelf).map_err(|source| ImageError::cache("create", &shelf, source))?;
            let mut names = Vec::new();
            for module in &image.modules {
                let name = module.file_name().and_then(|name| name.to_str());
                let name =
                    name.ok_or_else(|| ImageError::module("kernel module", "has no name"))?;
                copy(module, &shelf.join(name))?;
                names.push(name.to_owned());
            }
            Ok((image.kernel_release.clone(), names))
        }
        Kernel::Files(files) => {
            let (release, modules) = files.read()?;
            write(files, &modules, folder)?;
            Ok((release, file_names(&modules).collect()))
        }
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), ImageError> {
    let mut source = File::open(from).map_err(|e| ImageError::cache("read", from, e))?;
    // Not the mode of the original: a host's kernel may be closed to others.
    File::create(to)
        .and_then(|mut file| {
            std::io::copy(&mut source, &mut file)?;
            file.sync_all()
        })
        .map_err(|e| ImageError::cache("copy", from, e))
}

/// The release that a kernel states in its header.
pub(super) fn release_of(kernel: &Path) -> Result<String, ImageError> {
    let file = File::open(kernel).map_err(|source| ImageError::cache("read", kernel, source))?;
    let size = file.metadata().map(|data| data.len());
    let size = size.map_err(|source| ImageError::cache("read", kernel, source))?;
    let name = kernel.display().to_string();
    if size > MAX_KERNEL {
        return Err(ImageError::module(&name, "is larger than 256 MiB"));
    }
    let mut bytes = Vec::new();
    file.take(1 << 16)
        .read_to_end(&mut bytes)
        .map_err(|source| ImageError::cache("read", kernel, source))?;
    if needed(&bytes).is_some_and(|needed| size < needed) {
        let why = format!("is cut off: its header tells of more than its {size} bytes");
        return Err(ImageError::module(&name, why));
    }
    stated(&bytes)
        .filter(|release| is_name(release))
        .ok_or_else(|| ImageError::module(&name, "is no kernel that a machine can boot (bzImage)"))
}

/// See the kernel's boot protocol: `HdrS`, and where the version text is.
fn stated(bytes: &[u8]) -> Option<String> {
    if bytes.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let at: [u8; 2] = bytes.get(0x20e..0x210)?.try_into().ok()?;
    let text = bytes.get(usize::from(u16::from_le_bytes(at)).checked_add(0x200)?..)?;
    let word = text.split(|byte| *byte == b' ' || *byte == 0).next()?;
    String::from_utf8(word.to_vec()).ok()
}

/// How many bytes a kernel has by its header: sectors of set-up, and paragraphs of
/// the rest. Where a boot loader meets a shorter one, the machine just stands still.
fn needed(bytes: &[u8]) -> Option<u64> {
    if bytes.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let sectors = match bytes.get(0x1f1)? {
        // So that the oldest kernels mean the same.
        0 => 4,
        sectors => u64::from(*sectors),
    };
    let paragraphs = u32::from_le_bytes(bytes.get(0x1f4..0x1f8)?.try_into().ok()?);
    Some((sectors + 1) * 512 + u64::from(paragraphs) * 16)
}

/// blake3 of a file, in hex.
pub(super) fn digest_of(path: &Path) -> Result<String, ImageError> {
    let hash = || {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(path)?)?;
        Ok(hasher.finalize().to_hex().to_string())
    };
    hash().map_err(|source| ImageError::cache("read", path, source))
}

#[cfg(test)]
mod tests;
