//! The images that there are.
//!
//! Owns: listing, finding by name, removing. Must not: make any.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use super::manifest::Manifest;
use super::{Image, ImageError, SHORTEST, cache, images};

/// One image in the cache.
#[derive(Debug)]
pub struct Listed {
    /// Its digest.
    pub digest: String,
    /// Bytes of all its files.
    pub bytes: u64,
    /// When it was made.
    pub made: Option<SystemTime>,
    /// What the user calls it, even where it is damaged.
    pub name: Option<String>,
    /// The image, or what is wrong with it.
    pub image: Result<Image, String>,
}

/// Every image in the cache, newest first.
///
/// # Errors
/// The cache is there but cannot be read.
pub fn list(cache_dir: &Path) -> Result<Vec<Listed>, ImageError> {
    let images = images(cache_dir);
    if !images.is_dir() {
        return Ok(Vec::new());
    }
    let mut out = Vec::new();
    for (digest, path) in cache::entries(&images)? {
        if !cache::is_digest(&digest) {
            continue;
        }
        let image = match Manifest::load(&path, &digest) {
            Ok(Some(image)) => Ok(image),
            Ok(None) => Err("has no manifest".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        out.push(Listed {
            bytes: size(&path),
            name: Manifest::name(&path),
            made: fs::metadata(&path).and_then(|data| data.modified()).ok(),
            digest,
            image,
        });
    }
    out.sort_by(|a, b| b.made.cmp(&a.made).then_with(|| a.digest.cmp(&b.digest)));
    Ok(out)
}

/// The image with this name, or whose digest begins so.
///
/// # Errors
/// There is none, there are several, or it is damaged.
pub fn named(cache_dir: &Path, name: &str) -> Result<Image, ImageError> {
    let one = find(list(cache_dir)?, name)?;
    let folder = images(cache_dir).join(&one.digest);
    match one.image {
        Ok(image) => Ok(image),
        // Looked at again for what is wrong with it.
        Err(why) => {
            Manifest::load(&folder, &one.digest)?.ok_or(ImageError::Manifest { path: folder, why })
        }
    }
}

/// Removes the image with this name or digest; answers its digest.
///
/// # Errors
/// There is none, there are several, or it cannot be removed.
pub fn remove(cache_dir: &Path, name: &str) -> Result<String, ImageError> {
    let images = images(cache_dir);
    let one = find(list(cache_dir)?, name)?;
    let _lock = cache::Lock::take(&images, &mut |_| ())?;
    cache::remove_image(&images, &one.digest)?;
    Ok(one.digest)
}

/// Removes what nobody named and none of `current` is, and what was never
/// finished; answers the digests.
///
/// # Errors
/// The cache cannot be read or written.
pub fn remove_unused(cache_dir: &Path, current: &[String]) -> Result<Vec<String>, ImageError> {
    let images = images(cache_dir);
    let mut gone = Vec::new();
    if !images.is_dir() {
        return Ok(gone);
    }
    let _lock = cache::Lock::take(&images, &mut |_| ())?;
    cache::remove_partials(&images)?;
    for one in list(cache_dir)? {
        let named = one.image.as_ref().is_ok_and(|image| image.name.is_some());
        if !named && !current.contains(&one.digest) {
            cache::remove_image(&images, &one.digest)?;
            gone.push(one.digest);
        }
    }
    Ok(gone)
}

fn find(all: Vec<Listed>, name: &str) -> Result<Listed, ImageError> {
    let digits = name.len() >= SHORTEST && name.bytes().all(|c| c.is_ascii_hexdigit());
    let is_it = |one: &Listed| {
        one.name.as_deref() == Some(name) || (digits && one.digest.starts_with(name))
    };
    let mut found: Vec<_> = all.into_iter().filter(is_it).collect();
    match (found.pop(), found.len()) {
        (Some(one), 0) => Ok(one),
        (one, others) => Err(ImageError::Unknown {
            name: name.to_owned(),
            count: others + usize::from(one.is_some()),
        }),
    }
}

/// Bytes of an image's files: its folder and the one of its modules.
fn size(folder: &Path) -> u64 {
    let files = |folder: &Path| -> u64 {
        fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.metadata().ok())
            .filter(|data| data.is_file())
            .map(|data| data.len())
            .sum()
    };
    files(folder).saturating_add(files(&folder.join(super::manifest::MODULES)))
}
