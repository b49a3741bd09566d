//! Images from somebody else's archive or registry.
//!
//! Owns: [`import`]: an image's tree packed read-only, beside a kernel and its
//! modules from a cached image or from files. Needs neither root nor a user
//! namespace: nothing in the archive is run, and everything becomes root's.
//! Must not: believe the archive (`tree`, `archive`) or the registry (`registry`).

mod archive;
mod reference;
mod registry;
mod tree;

#[cfg(test)]
mod tests;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

pub use reference::Reference;

use super::build::remove_scaffold;
use super::flavour::FLAVOURS;
use super::kernel::{Kernel, digest_of, put};
use super::manifest::{Clients, Facts, KERNEL, Manifest, ROOT, is_name};
use super::tools::{Run, TOOLS, require, search_path};
use super::{Image, ImageError, Stage, cache, images};

use archive::Bad;
use registry::Patience;
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

/// What an image is made of.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A root file system as tar, or an OCI or Docker image archive; plain, gzip
    /// or zstd.
    Archive(&'a Path),
    /// An image in a registry, which is asked without a login.
    Registry {
        /// Which.
        reference: &'a Reference,
        /// Certificate roots in PEM that its TLS may rest on; without any, the
        /// public ones.
        roots: Option<&'a str>,
    },
}

impl Source<'_> {
    fn bad(&self, bad: &Bad) -> ImageError {
        ImageError::Archive {
            what: match self {
                Self::Archive(file) => file.display().to_string(),
                Self::Registry { reference, .. } => reference.to_string(),
            },
            why: bad.to_string(),
        }
    }
}

/// Makes an image named `name` of `source`. Another image of this name goes.
///
/// # Errors
/// The source or the kernel is refused, mkfs.erofs is missing, or the cache
/// cannot be used.
pub fn import(
    cache_dir: &Path,
    source: Source<'_>,
    name: &str,
    kernel: Kernel<'_>,
    tell: &mut dyn FnMut(&str),
) -> Result<Image, ImageError> {
    check_name(name)?;
    let mkfs = TOOLS.iter().filter(|tool| tool.program == "mkfs.erofs");
    let mkfs: Vec<_> = mkfs.copied().collect();
    require(&mkfs, &search_path())?;
    let images = images(cache_dir);
    fs::create_dir_all(&images).map_err(|source| ImageError::cache("create", &images, source))?;
    let lock = cache::Lock::take(&images, &mut |line| tell(&line))?;
    let partial = cache::Partial::create(&images, "import", &lock)?;
    let folder = partial.path();
    let taken = take_in(source, folder, tell)?;
    let (kernel_release, modules) = put(kernel, folder)?;
    let kernel_digest = digest_of(&folder.join(KERNEL))?;
    let content = &taken.content;
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
        source: Some(taken.what),
    };
    tell("writing to disk");
    Manifest::describe(folder, facts)?.write(folder)?;
    let target = images.join(&digest);
    partial.publish(&target)?;
    replace_others(cache_dir, name, &digest)?;
    Manifest::load(&target, &digest)?
        .ok_or_else(|| ImageError::cache("find", &target, std::io::ErrorKind::NotFound.into()))
}

fn check_name(name: &str) -> Result<(), ImageError> {
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
    Ok(())
}

/// What a source turned out to be.
struct Taken {
    /// Digest of all of it.
    content: String,
    /// In words.
    what: String,
}

/// The source's root file system, packed, in `folder`.
fn take_in(
    source: Source<'_>,
    folder: &Path,
    tell: &mut dyn FnMut(&str),
) -> Result<Taken, ImageError> {
    let bad = |bad: Bad| source.bad(&bad);
    let mut outer = Tree::create(folder.join(UNPACKED), CAPS).map_err(|fault| bad(fault.into()))?;
    let (content, from) = match source {
        Source::Archive(file) => {
            tell("reading the archive");
            let content = digest_of(file)?;
            tell("unpacking");
            read_archive(file, &mut outer).map_err(bad)?;
            (content, String::new())
        }
        Source::Registry { reference, roots } => {
            let asked = (roots, Patience::default());
            let below = folder.join(UNPACKED);
            let digest = registry::pull(reference, &below, CAPS.bytes, asked, tell).map_err(bad)?;
            let from = format!(" {reference}");
            tell("unpacking");
            (digest, from)
        }
    };
    let (tree, what) = unpack(outer, folder).map_err(bad)?;
    tell("packing the root file system");
    pack(&tree, &folder.join(ROOT))?;
    // Before the folder is tidied by those who may find other modes in it.
    open_up(&folder.join(UNPACKED)).and_then(|()| open_up(&folder.join(LAYERS)))?;
    Ok(Taken {
        content,
        what: format!("{what}{from}"),
    })
}

/// A name means one image: the newest.
fn replace_others(cache_dir: &Path, name: &str, digest: &str) -> Result<(), ImageError> {
    for other in super::list(cache_dir)? {
        let image = other.image.as_ref().ok();
        let same = image.and_then(|image| image.name.as_deref()) == Some(name);
        if same && other.digest != digest {
            cache::remove_image(&images(cache_dir), &other.digest)?;
        }
    }
    Ok(())
}

const UNPACKED: &str = "unpacked";
const LAYERS: &str = "layers";

fn read_archive(file: &Path, outer: &mut Tree) -> Result<(), Bad> {
    let limit = CAPS.bytes.saturating_mul(2);
    Ok(outer.layer(archive::plain(file)?.take(limit), false)?)
}

/// The tree of the image, and in words what it was.
fn unpack(mut outer: Tree, folder: &Path) -> Result<(PathBuf, String), Bad> {
    let (root, mut path, what) = match archive::layers(&mut outer)? {
        None => (outer, folder.join(UNPACKED), "root file system".to_owned()),
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
