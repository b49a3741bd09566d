//! What is in an archive: a root file system, or an image's layers.
//!
//! Owns: compression by content, the OCI layout (`index.json`) and Docker's
//! (`manifest.json`), digests of what they name. Must not: fetch anything, or
//! use a byte whose digest does not hold.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::tree::{Fault, Tree};

/// Largest index, manifest or configuration.
pub(super) const MAX_JSON: u64 = 4 << 20;
/// Most layers.
pub(super) const MAX_LAYERS: usize = 256;
/// Indexes within indexes.
pub(super) const MAX_INDEXES: usize = 3;
/// What the archives call this machine.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") {
    "arm64"
} else {
    "amd64"
};

/// Why an archive is no image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Bad {
    #[error(transparent)]
    Tree(#[from] Fault),
    #[error("{0}")]
    Layout(String),
}

impl From<io::Error> for Bad {
    fn from(error: io::Error) -> Self {
        Self::Tree(Fault::Io(error))
    }
}

pub(super) fn layout(what: impl Into<String>) -> Bad {
    Bad::Layout(what.into())
}

/// One layer, oldest first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) path: PathBuf,
    /// sha256 of what it unpacks to, in hex.
    content: Option<String>,
}

/// What names a blob.
#[derive(Deserialize)]
pub(super) struct Descriptor {
    pub(super) digest: String,
    /// Its length, which only a pull needs.
    #[serde(default)]
    pub(super) size: Option<u64>,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Deserialize)]
pub(super) struct Platform {
    architecture: String,
    os: String,
}

/// An index or a manifest: which one, its fields tell.
#[derive(Deserialize)]
pub(super) struct Document {
    #[serde(default)]
    pub(super) manifests: Vec<Descriptor>,
    #[serde(default)]
    pub(super) config: Option<Descriptor>,
    #[serde(default)]
    pub(super) layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Saved {
    #[serde(rename = "Config")]
    config: String,
    #[serde(rename = "Layers")]
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    architecture: Option<String>,
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

/// Plain bytes of a file that may be compressed with gzip or zstd.
pub(crate) fn plain(path: &Path) -> io::Result<Box<dyn Read>> {
    let mut file = BufReader::with_capacity(1 << 16, File::open(path)?);
    let start = file.fill_buf()?;
    Ok(if start.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::bufread::MultiGzDecoder::new(file))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut decoder = zstd::Decoder::with_buffer(file)?;
        // 128 MiB of window at most.
        decoder.window_log_max(27)?;
        Box::new(decoder)
    } else {
        Box::new(file)
    })
}

/// The layers of an unpacked image archive; `None` if it is a root file system.
pub(crate) fn layers(archive: &mut Tree) -> Result<Option<Vec<Layer>>, Bad> {
    if archive.existing(b"oci-layout")?.is_some() {
        return oci(archive).map(Some);
    }
    match archive.existing(b"manifest.json")? {
        Some(path) => saved(archive, &path).map(Some),
        None => Ok(None),
    }
}

fn oci(archive: &mut Tree) -> Result<Vec<Layer>, Bad> {
    let index = archive
        .existing(b"index.json")?
        .ok_or_else(|| layout("has no index.json"))?;
    let mut document: Document = json(&index)?;
    for _ in 0..MAX_INDEXES {
        if document.manifests.is_empty() {
            break;
        }
        let chosen = choose(&document.manifests)?;
        document = json(&blob(archive, &chosen.digest)?)?;
    }
    let config = document
        .config
        .ok_or_else(|| layout("names no manifest of an image"))?;
    let config: Config = json(&blob(archive, &config.digest)?)?;
    let mut paths = Vec::new();
    for layer in document.layers.iter().take(MAX_LAYERS + 1) {
        paths.push(blob(archive, &layer.digest)?);
    }
    with_content(paths, config)
}

/// The manifest for this machine.
pub(super) fn choose(manifests: &[Descriptor]) -> Result<&Descriptor, Bad> {
    let fits = |one: &&Descriptor| {
        one.platform
            .as_ref()
            .is_none_or(|there| there.os == "linux" && there.architecture == ARCHITECTURE)
    };
    let mut fitting = manifests.iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(layout("holds several images: save one")),
        (None, _) => Err(layout(format!("holds no image for linux/{ARCHITECTURE}"))),
    }
}

/// What `docker save` wrote before it wrote the OCI layout as well.
fn saved(archive: &mut Tree, manifest: &Path) -> Result<Vec<Layer>, Bad> {
    let images: Vec<Saved> = json(manifest)?;
    let [image] = images.as_slice() else {
        return Err(layout(format!("holds {} images: save one", images.len())));
    };
    let missing = |name: &str| layout(format!("lacks {name:?}"));
    let config = archive
        .existing(image.config.as_bytes())?
        .ok_or_else(|| missing(&image.config))?;
    let config: Config = json(&config)?;
    let mut paths = Vec::new();
    for name in image.layers.iter().take(MAX_LAYERS + 1) {
        paths.push(
            archive
                .existing(name.as_bytes())?
                .ok_or_else(|| missing(name))?,
        );
    }
    with_content(paths, config)
}

fn with_content(paths: Vec<PathBuf>, config: Config) -> Result<Vec<Layer>, Bad> {
    if let Some(other) = config.architecture.filter(|name| name != ARCHITECTURE) {
        return Err(layout(format!("is for {other:?}, not {ARCHITECTURE}")));
    }
    if paths.is_empty() || paths.len() > MAX_LAYERS || paths.len() != config.rootfs.diff_ids.len() {
        return Err(layout(format!(
            "has {} layers and {} digests for them",
            paths.len(),
            config.rootfs.diff_ids.len()
        )));
    }
    paths
        .into_iter()
        .zip(&config.rootfs.diff_ids)
        .map(|(path, id)| {
            let content = Some(sha256_of(id)?.to_owned());
            Ok(Layer { path, content })
        })
        .collect()
}

/// The 64 digits of `sha256:…`.
pub(super) fn sha256_of(digest: &str) -> Result<&str, Bad> {
    digest
        .strip_prefix("sha256:")
        .filter(|hex| hex.len() == 64 && hex.bytes().all(|c| c.is_ascii_hexdigit()))
        .ok_or_else(|| layout(format!("names {digest:?}, which is no sha256 digest")))
}

/// A blob whose content has the digest that it is named by.
fn blob(archive: &mut Tree, digest: &str) -> Result<PathBuf, Bad> {
    let hex = sha256_of(digest)?.to_ascii_lowercase();
    let path = archive
        .existing(format!("blobs/sha256/{hex}").as_bytes())?
        .ok_or_else(|| layout(format!("lacks the blob {digest}")))?;
    let mut hashing = Hashing::new(File::open(&path)?);
    io::copy(&mut hashing, &mut io::sink())?;
    if hashing.hex() != hex {
        return Err(layout(format!("has another content for the blob {digest}")));
    }
    Ok(path)
}

fn json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T, Bad> {
    let mut text = Vec::new();
    File::open(path)?
        .take(MAX_JSON + 1)
        .read_to_end(&mut text)?;
    if text.len() as u64 > MAX_JSON {
        return Err(layout("has a manifest larger than 4 MiB"));
    }
    serde_json::from_slice(&text).map_err(|error| layout(format!("has a bad manifest: {error}")))
}

/// Unpacks one layer over `tree` and holds it against its digest.
pub(crate) fn unpack(tree: &mut Tree, layer: &Layer, cap: u64) -> Result<(), Bad> {
    // Headers and padding come on top of the files; a bomb of them ends here too.
    let limit = cap.saturating_mul(2);
    let mut hashing = Hashing::new(plain(&layer.path)?.take(limit));
    tree.layer(&mut hashing, true)?;
    // What follows the last member belongs to the digest.
    io::copy(&mut hashing, &mut io::sink())?;
    match &layer.content {
        Some(content) if !content.eq_ignore_ascii_case(&hashing.hex()) => Err(layout(format!(
            "has a layer whose content is not sha256:{content}"
        ))),
        _ => Ok(()),
    }
}

/// Hashes what is read through it.
struct Hashing<R> {
    from: R,
    hash: Sha256,
}

impl<R: Read> Hashing<R> {
    fn new(from: R) -> Self {
        Self {
            from,
            hash: Sha256::new(),
        }
    }

    fn hex(self) -> String {
        let digest = self.hash.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let took = self.from.read(into)?;
        self.hash.update(into.get(..took).unwrap_or_default());
        Ok(took)
    }
}
