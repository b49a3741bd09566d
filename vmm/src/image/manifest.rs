//! What an image's folder says about itself.
//!
//! Owns: `manifest.json` (written last, so a folder with one is whole), the
//! checks on reading it back, and [`Clients`]. Must not: trust the file: it
//! names no path, and what it says is held against the folder.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::recipe::url_problem;
use super::{Image, ImageError};

const FILE: &str = "manifest.json";
const MAX_MANIFEST: u64 = 1 << 20;
const MAX_MODULES: usize = 200;
const VERSION: u32 = 1;
pub(super) const ROOT: &str = "root.erofs";
pub(super) const KERNEL: &str = "vmlinuz";
pub(super) const MODULES: &str = "modules";
/// What an image's folder holds besides the manifest.
pub(super) const FILES: &[&str] = &[ROOT, KERNEL, MODULES];

/// What the package managers in an image are configured to talk to, as they
/// said themselves when it was built.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clients {
    /// `npm config get registry`.
    pub npm_registry: Option<String>,
    /// pip's index.
    pub pip_index: Option<String>,
    /// A file that the index named: indexes may keep files on another host.
    pub pip_files: Option<String>,
}

/// A host and port that a client in the image needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `npm` or `pip`.
    pub client: &'static str,
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Clients {
    /// Hosts and ports, without repetitions, in a fixed order.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let mut out: Vec<Endpoint> = Vec::new();
        for (client, url) in self.urls() {
            if let Some((host, port)) = url.as_deref().and_then(authority) {
                let endpoint = Endpoint { client, host, port };
                if !out.contains(&endpoint) {
                    out.push(endpoint);
                }
            }
        }
        out
    }

    fn urls(&self) -> [(&'static str, &Option<String>); 3] {
        [
            ("npm", &self.npm_registry),
            ("pip", &self.pip_index),
            ("pip", &self.pip_files),
        ]
    }

    fn problem(&self) -> Option<&'static str> {
        self.urls()
            .into_iter()
            .filter_map(|(_, url)| url.as_deref())
            .find_map(url_problem)
    }
}

/// Host and port of an address.
fn authority(url: &str) -> Option<(String, u16)> {
    let (rest, default) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (rest, 443),
        (_, Some(rest)) => (rest, 80),
        _ => return None,
    };
    let place = rest.split(['/', '?', '#']).next()?;
    // An IPv6 address stands in brackets and has colons of its own.
    let (host, port) = match place
        .strip_prefix('[')
        .and_then(|inner| inner.split_once(']'))
    {
        Some((address, tail)) => (address, tail.strip_prefix(':')),
        None => place
            .split_once(':')
            .map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(default), |port| port.parse().ok())?;
    (!host.is_empty()).then(|| (host.to_ascii_lowercase(), port))
}

/// A file of the image: enough to notice a cut or swapped one without reading it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    bytes: u64,
    blake3: String,
}

/// The file's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    version: u32,
    recipe: String,
    kernel_release: String,
    root: Part,
    kernel: Part,
    /// File names in load order.
    modules: Vec<String>,
    clients: Clients,
    /// `name version`, as the image's package database has them.
    packages: Vec<String>,
    /// What the user calls it; such an image is never removed by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What it was made from, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
}

/// What the build found out.
pub(super) struct Facts {
    pub(super) recipe: String,
    pub(super) kernel_release: String,
    pub(super) modules: Vec<String>,
    pub(super) clients: Clients,
    pub(super) packages: Vec<String>,
    pub(super) name: Option<String>,
    pub(super) source: Option<String>,
}

impl Manifest {
    /// Describes the finished files in `folder`.
    pub(super) fn describe(folder: &Path, facts: Facts) -> Result<Self, ImageError> {
        Ok(Self {
            version: VERSION,
            recipe: facts.recipe,
            kernel_release: facts.kernel_release,
            root: part(&folder.join(ROOT))?,
            kernel: part(&folder.join(KERNEL))?,
            modules: facts.modules,
            clients: facts.clients,
            packages: facts.packages,
            name: facts.name,
            source: facts.source,
        })
    }

    /// Writes it to disk for good; everything else in `folder` comes first.
    pub(super) fn write(&self, folder: &Path) -> Result<(), ImageError> {
        let path = folder.join(FILE);
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|error| ImageError::cache("write", &path, error.into()))?;
        text.push(b'\n');
        File::create(&path)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
            .map_err(|source| ImageError::cache("write", &path, source))
    }

    /// The image in `folder`. `Ok(None)`: there is none. An error says what is
    /// wrong with what is there.
    pub(super) fn load(folder: &Path, digest: &str) -> Result<Option<Image>, ImageError> {
        let path = folder.join(FILE);
        let fault = |why: String| ImageError::Manifest {
            path: path.clone(),
            why,
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ImageError::cache("read", &path, source)),
        };
        let mut text = Vec::new();
        file.take(MAX_MANIFEST + 1)
            .read_to_end(&mut text)
            .map_err(|source| ImageError::cache("read", &path, source))?;
        if u64::try_from(text.len()).map_or(true, |length| length > MAX_MANIFEST) {
            return Err(fault("is larger than 1 MiB".to_owned()));
        }
        let manifest: Self =
            serde_json::from_slice(&text).map_err(|error| fault(error.to_string()))?;
        manifest.check(folder, digest).map_err(fault)?;
        Ok(Some(manifest.image(folder)))
    }

    /// What the user calls the image in `folder`, whatever is wrong with it.
    pub(super) fn name(folder: &Path) -> Option<String> {
        let file = File::open(folder.join(FILE)).ok()?;
        let manifest: Self = serde_json::from_reader(file.take(MAX_MANIFEST)).ok()?;
        manifest.name.filter(|name| is_name(name))
    }

    fn check(&self, folder: &Path, digest: &str) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!("has version {}, not {VERSION}", self.version));
        }
        if self.recipe != digest {
            return Err("is of another recipe".to_owned());
        }
        if !is_name(&self.kernel_release) {
            return Err("names no kernel release".to_owned());
        }
        for (name, part) in [(ROOT, &self.root), (KERNEL, &self.kernel)] {
            let there = fs::metadata(folder.join(name)).map(|data| data.len());
            if there.as_ref().ok() != Some(&part.bytes) {
                return Err(format!(
                    "says that {name} has {} bytes, which it has not",
                    part.bytes
                ));
            }
            if part.blake3.len() != 64 || !part.blake3.bytes().all(|c| c.is_ascii_hexdigit()) {
                return Err(format!("has no digest of {name}"));
            }
        }
        // None at all: a kernel may have everything built in.
        if self.modules.len() > MAX_MODULES {
            return Err(format!("names {} modules", self.modules.len()));
        }
        for name in &self.modules {
            if !is_name(name) || !folder.join(MODULES).join(name).is_file() {
                return Err("names a module that is not there".to_owned());
            }
        }
        if self.name.as_deref().is_some_and(|name| !is_name(name)) {
            return Err("has a name that is none".to_owned());
        }
        self.clients
            .problem()
            .map_or(Ok(()), |why| Err(format!("names a registry that {why}")))
    }

    fn image(self, folder: &Path) -> Image {
        let modules = folder.join(MODULES);
        Image {
            dir: folder.to_owned(),
            root: folder.join(ROOT),
            kernel: folder.join(KERNEL),
            modules: self.modules.iter().map(|name| modules.join(name)).collect(),
            kernel_release: self.kernel_release,
            kernel_digest: self.kernel.blake3,
            root_digest: self.root.blake3,
            digest: self.recipe,
            clients: self.clients,
            name: self.name,
            source: self.source,
        }
    }
}

/// A plain file name that leads nowhere else.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    (1..=128).contains(&name.len()) && name.chars().all(plain) && !name.starts_with('.')
}

fn part(path: &Path) -> Result<Part, ImageError> {
    let describe = || -> io::Result<Part> {
        let file = File::open(path)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(&file)?;
        // The rename that publishes the folder must not overtake its content.
        file.sync_all()?;
        Ok(Part {
            bytes: file.metadata()?.len(),
            blake3: hasher.finalize().to_hex().to_string(),
        })
    };
    describe().map_err(|source| ImageError::cache("read", path, source))
}
