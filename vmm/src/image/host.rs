//! What an image takes over from the machine it is built on.
//!
//! Owns: finding the certificate roots and the registry mirrors of this
//! machine. Must not: carry a key, a password or a token into a guest.

use std::env;
use std::fs;
use std::path::PathBuf;

use super::recipe::url_problem;

/// Where systems keep their bundle of certificate roots.
const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Larger files are no certificate bundle or configuration of ours.
const MAX_FILE: u64 = 8 << 20;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// What the host lends an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Certificate roots in PEM, so that TLS works behind a company's authority.
    pub roots: Option<String>,
    /// npm's registry, where the host configures one.
    pub npm_registry: Option<String>,
    /// pip's index, where the host configures one.
    pub pip_index: Option<String>,
    /// What was found but not taken, and why, for the user to read.
    pub notes: Vec<String>,
}

impl Host {
    /// Reads this machine's configuration files. The clients themselves are not
    /// run: they may be absent, and this happens at every start.
    #[must_use]
    pub fn detect() -> Self {
        let roots = BUNDLES
            .iter()
            .find_map(|path| certificates(&read(PathBuf::from(path))?));
        let mut host = Self {
            roots,
            ..Self::default()
        };
        host.npm_registry = host.take(&NPM);
        host.pip_index = host.take(&PIP);
        host
    }

    /// The first setting found is the client's choice; a bad one is named, not replaced.
    fn take(&mut self, client: &Client) -> Option<String> {
        let from_environment = client.variables.iter().find_map(|name| env::var(name).ok());
        let value = from_environment
            .or_else(|| {
                let texts = (client.files)().into_iter().filter_map(read);
                texts.filter_map(|text| (client.setting)(&text)).next()
            })
            .filter(|value| !value.is_empty())?;
        match url_problem(&value) {
            None => Some(value),
            Some(why) => {
                // The value itself may hold a password: only the host is told.
                self.notes.push(format!(
                    "{} of this machine is not used: it {why}",
                    client.name
                ));
                None
            }
        }
    }
}

struct Client {
    name: &'static str,
    variables: &'static [&'static str],
    files: fn() -> Vec<PathBuf>,
    setting: fn(&str) -> Option<String>,
}

const NPM: Client = Client {
    name: "npm's registry",
    variables: &["npm_config_registry", "NPM_CONFIG_REGISTRY"],
    files: || {
        let mut files = Vec::new();
        files.extend(
            ["npm_config_userconfig", "NPM_CONFIG_USERCONFIG"]
                .into_iter()
                .filter_map(path),
        );
        files.extend(home(".npmrc"));
        files.extend(
            ["npm_config_globalconfig", "NPM_CONFIG_GLOBALCONFIG"]
                .into_iter()
                .filter_map(path),
        );
        files.extend(["/usr/local/etc/npmrc", "/usr/etc/npmrc", "/etc/npmrc"].map(PathBuf::from));
        files
    },
    setting: |text| setting(text, "registry", None),
};

const PIP: Client = Client {
    name: "pip's index",
    variables: &["PIP_INDEX_URL"],
    files: || {
        let mut files = Vec::new();
        files.extend(path("PIP_CONFIG_FILE"));
        files.extend(path("XDG_CONFIG_HOME").map(|folder| folder.join("pip/pip.conf")));
        files.extend(home(".config/pip/pip.conf"));
        files.extend(home(".pip/pip.conf"));
        files.extend(["/etc/xdg/pip/pip.conf", "/etc/pip.conf"].map(PathBuf::from));
        files
    },
    setting: |text| setting(text, "index-url", Some(&["global", "install"])),
};

fn path(variable: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn home(below: &str) -> Option<PathBuf> {
    path("HOME").map(|home| home.join(below))
}

fn read(path: PathBuf) -> Option<String> {
    let small = fs::metadata(&path).is_ok_and(|data| data.is_file() && data.len() <= MAX_FILE);
    if small {
        fs::read_to_string(path).ok()
    } else {
        None
    }
}

/// `key = value` in an ini text: at its top, or in one of `sections`.
pub(super) fn setting(text: &str, key: &str, sections: Option<&[&str]>) -> Option<String> {
    let mut within = sections.is_none();
    for line in text.lines().map(str::trim) {
        if let Some(section) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            within = sections.is_some_and(|names| names.contains(&section.trim()));
        } else if within
            && let Some((name, value)) = line.split_once('=')
            && name.trim() == key
        {
            return Some(value.trim().trim_matches(['"', '\'']).to_owned());
        }
    }
    None
}

/// Only the certificates of a bundle: a file that also holds a key must not
/// bring it into a guest.
pub(super) fn certificates(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let Some((body, after)) = after.split_once(END) else {
            break;
        };
        rest = after;
        if body
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/=\r\n".contains(&byte))
        {
            out.push_str(BEGIN);
            out.push_str(body);
            out.push_str(END);
            out.push('\n');
        }
    }
    (!out.is_empty()).then_some(out)
}
