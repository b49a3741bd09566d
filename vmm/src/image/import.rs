//! Images from somebody else's archive.
//!
//! Owns: [`import`]: an archive's tree packed read-only, beside a kernel and its
//! modules from a cached image or from files. Needs neither root nor a user
//! namespace: nothing in the archive is run, and everything becomes root's.
//! Must not: fetch anything; believe the archive (`tree`, `archive`).

mod archive;
mod tree;

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::build::{put_modules, remove_scaffold};
use super::manifest::{Clients, Facts, KERNEL, MODULES, Manifest, ROOT, is_name};
use super::recipe::FLAVOURS;
use super::tools::{Run, TOOLS, require, search_path};
use super::{Image, ImageError, Stage, cache, images, modules};

use archive::Bad;
use tree::{Caps, Tree};

/// Caps of one import, on the unpacked tree.
const CAPS: Caps = Caps {
    bytes: 16 << 30,
    entries: 2_000_000,
};
/// What the guest mounts over, and what programs take for granted.
const FOLDERS: &[&str] = &[
    "dev", "etc", "home", "proc", "root", "run", "sys", "tmp", "var",
];
/// Largest kernel.
const MAX_KERNEL: u64 = 256 << 20;

/// Where an imported image's kernel comes from: an archive has none.
#[derive(Clone, Copy, Debug)]
pub enum Kernel<'a> {
    /// That of another image.
    Image(&'a Image),
    /// A kernel and the folder of its modules (`/lib/modules/RELEASE`).
    Files {
        /// The kernel.
        kernel: &'a Path,
        /// The folder.
        modules: &'a Path,
        /// The modules to take, with what they need.
        wanted: &'a [String],
    },
}

/// Makes an image named `name` of `file`: a root file system as tar, or an OCI or
/// Docker image archive; plain, gzip or zstd. Another image of this name goes.
///
/// # Errors
/// The archive or the kernel is refused, mkfs.erofs is missing, or the cache
/// cannot be used.
pub fn import(
    cache_dir: &Path,
    file: &Path,
    name: &str,
    kernel: Kernel<'_>,
    tell: &mut dyn FnMut(&str),
) -> Result<Image, ImageError> {
    let refused = |why| ImageError::Recipe {
        field: "image name",
        value: name.to_owned(),
        why,
    };
    if !is_name(name) || !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return Err(refused("must be a letter, then letters, digits or . _ + -"));
    }
    if FLAVOURS.iter().any(|(flavour, _)| flavour.name() == name) {
        return Err(refused("is a flavour of belljar's own image"));
    }
    if name.len() >= super::SHORTEST && name.bytes().all(|c| c.is_ascii_hexdigit()) {
        return Err(refused("reads like a digest"));
    }
    let mkfs = TOOLS.iter().filter(|tool| tool.program == "mkfs.erofs");
    let mkfs: Vec<_> = mkfs.copied().collect();
    require(&mkfs, &search_path())?;
    let bad = |bad: Bad| ImageError::Archive {
        path: file.to_owned(),
        why: bad.to_string(),
    };
    tell("reading the archive");
    let content = digest_of(file)?;
    let images = images(cache_dir);
    fs::create_dir_all(&images).map_err(|source| ImageError::cache("create", &images, source))?;
    let lock = cache::Lock::take(&images, &mut |line| tell(&line))?;
    let partial = cache::Partial::create(&images, "import", &lock)?;
    let folder = partial.path();
    tell("unpacking");
    let (tree, source) = unpack(file, folder).map_err(bad)?;
    tell("packing the root file system");
    pack(&tree, &folder.join(ROOT))?;
    // Before the folder is tidied by those who may find other modes in it.
    open_up(&folder.join(UNPACKED)).and_then(|()| open_up(&folder.join(LAYERS)))?;
    let (kernel_release, modules) = put_kernel(kernel, folder)?;
    let kernel_digest = digest_of(&folder.join(KERNEL))?;
    let digest = blake3::hash(
        format!("belljar import 1\n{name}\n{content}\n{kernel_digest}\n{kernel_release}\n")
            .as_bytes(),
    )
    .to_hex()
    .to_string();
    remove_scaffold(folder)?;
    let facts = Facts {
        recipe: digest.clone(),
        kernel_release,
        modules,
        clients: Clients::default(),
        packages: Vec::new(),
        name: Some(name.to_owned()),
        source: Some(source),
    };
    tell("writing to disk");
    Manifest::describe(folder, facts)?.write(folder)?;
    let target = images.join(&digest);
    partial.publish(&target)?;
    for other in super::list(cache_dir)? {
        let same = other
            .image
            .as_ref()
            .ok()
            .and_then(|image| image.name.as_deref())
            == Some(name);
        if same && other.digest != digest {
            cache::remove_image(&images, &other.digest)?;
        }
    }
    Manifest::load(&target, &digest)?
        .ok_or_else(|| ImageError::cache("find", &target, io::ErrorKind::NotFound.into()))
}

const UNPACKED: &str = "unpacked";
const LAYERS: &str = "layers";

/// The tree of the image, and in words what the archive was.
fn unpack(file: &Path, folder: &Path) -> Result<(PathBuf, String), Bad> {
    let path = folder.join(UNPACKED);
    let mut outer = Tree::create(path.clone(), CAPS)?;
    let limit = CAPS.bytes.saturating_mul(2);
    outer.layer(archive::plain(file)?.take(limit), false)?;
    let (root, mut path, what) = match archive::layers(&mut outer)? {
        None => (outer, path, "root file system".to_owned()),
        Some(layers) => {
            let path = folder.join(LAYERS);
            let mut root = Tree::create(path.clone(), CAPS)?;
            for layer in &layers {
                archive::unpack(&mut root, layer, CAPS.bytes)?;
            }
            (root, path, format!("image of {} layers", layers.len()))
        }
    };
    let skipped = root.finish(FOLDERS)?;
    let what = match skipped {
        0 => what,
        some => format!("{what}, {some} devices and the like left out"),
    };
    path.push("");
    Ok((path, what))
}

/// Writes the tree as erofs, everything root's.
fn pack(tree: &Path, to: &Path) -> Result<(), ImageError> {
    let words = [to, tree].map(|path| path.to_string_lossy().into_owned());
    let mut arguments: Vec<String> = ["--quiet", "--preserve-mtime", "-x-1", "--all-root"]
        .map(str::to_owned)
        .to_vec();
    // What is mounted over anyway.
    arguments.push("--exclude-regex=^(proc|sys|dev|run|tmp)/.*".to_owned());
    arguments.extend(words);
    let run = Run {
        program: "mkfs.erofs",
        arguments,
        temporary: None,
        contained: false,
    };
    run.run(&search_path(), &mut |_| Stage::Pack)
}

/// Makes folders removable that their archive made read-only.
fn open_up(root: &Path) -> Result<(), ImageError> {
    use std::os::unix::fs::PermissionsExt;
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let fault = |source| ImageError::cache("open up", &folder, source);
        let Ok(data) = fs::symlink_metadata(&folder) else {
            continue;
        };
        let mode = data.permissions().mode() | 0o700;
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).map_err(fault)?;
        for entry in fs::read_dir(&folder).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            if entry.file_type().map_err(fault)?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(())
}

/// Kernel and modules into `folder`; answers the release and the modules' names.
fn put_kernel(kernel: Kernel<'_>, folder: &Path) -> Result<(String, Vec<String>), ImageError> {
    let to = folder.join(KERNEL);
    let shelf = folder.join(MODULES);
    fs::create_dir(&shelf).map_err(|source| ImageError::cache("create", &shelf, source))?;
    let copy = |from: &Path, to: &Path| {
        fs::copy(from, to)
            .map(|_| ())
            .map_err(|source| ImageError::cache("copy", from, source))
    };
    match kernel {
        Kernel::Image(image) => {
            copy(&image.kernel, &to)?;
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
        Kernel::Files {
            kernel,
            modules: from,
            wanted,
        } => {
            let large = fs::metadata(kernel)
                .map_err(|source| ImageError::cache("read", kernel, source))?
                .len()
                > MAX_KERNEL;
            if large {
                return Err(ImageError::module("kernel", "is larger than 256 MiB"));
            }
            copy(kernel, &to)?;
            let release = release(&to)
                .or_else(|| Some(from.file_name()?.to_str()?.to_owned()))
                .filter(|name| is_name(name))
                .ok_or_else(|| ImageError::module("kernel", "names no release"))?;
            let names = put_modules(&modules::in_load_order(from, wanted)?, &shelf)?;
            Ok((release, names))
        }
    }
}

/// The release that a bzImage states in its header.
fn release(kernel: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(kernel)
        .ok()?
        .take(1 << 16)
        .read_to_end(&mut bytes)
        .ok()?;
    if bytes.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let at: [u8; 2] = bytes.get(0x20e..0x210)?.try_into().ok()?;
    let text = bytes.get(usize::from(u16::from_le_bytes(at)).checked_add(0x200)?..)?;
    let word = text.split(|byte| *byte == b' ' || *byte == 0).next()?;
    String::from_utf8(word.to_vec()).ok()
}

/// blake3 of a file, in hex.
fn digest_of(path: &Path) -> Result<String, ImageError> {
    let hash = || {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(path)?)?;
        Ok(hasher.finalize().to_hex().to_string())
    };
    hash().map_err(|source| ImageError::cache("read", path, source))
}
