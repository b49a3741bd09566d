//! Where credentials live: one table, for rules (`path.credential`) and rows.
//!
//! Owns: [`kind`], which says what sort of credential belongs at a path.
//! Must not: care whether the file exists; an attempt is evidence too.

use std::sync::LazyLock;

use super::path::{base_name, folder};

/// How a row of the table is compared.
#[derive(Clone, Copy)]
enum Where {
    /// This very path below a home folder.
    Home(&'static str),
    /// Anything in this folder below a home folder.
    HomeIn(&'static str),
    /// A browser's secret files in this folder below a home folder.
    Browser(&'static str),
    /// This very path.
    Root(&'static str),
    /// Anything in this folder.
    RootIn(&'static str),
    /// Files of this name anywhere but in installed packages.
    Named(&'static str),
}
use Where::{Browser, Home, HomeIn, Named, Root, RootIn};

/// What each place holds. First match wins.
const PLACES: &[(Where, &str)] = &[
    (HomeIn(".ssh"), "ssh key"),
    (HomeIn(".aws"), "aws credentials"),
    (HomeIn(".azure"), "azure credentials"),
    (HomeIn(".gcp"), "gcloud credentials"),
    (HomeIn(".config/gcloud"), "gcloud credentials"),
    (HomeIn(".oci"), "oracle cloud credentials"),
    (Home(".kube/config"), "kubernetes credentials"),
    (Home(".docker/config.json"), "docker registry token"),
    (
        Home(".config/containers/auth.json"),
        "container registry token",
    ),
    (Home(".npmrc"), "npm token"),
    (Home(".yarnrc.yml"), "yarn token"),
    (Home(".pypirc"), "pypi token"),
    (Home(".gem/credentials"), "rubygems token"),
    (Home(".cargo/credentials"), "cargo token"),
    (Home(".cargo/credentials.toml"), "cargo token"),
    (Home(".composer/auth.json"), "composer token"),
    (Home(".config/composer/auth.json"), "composer token"),
    (Home(".m2/settings.xml"), "maven credentials"),
    (Home(".gradle/gradle.properties"), "gradle credentials"),
    (Home(".netrc"), "netrc password"),
    (Home(".config/git/credentials"), "git credentials"),
    (Home(".config/gh/hosts.yml"), "github token"),
    (Home(".config/hub"), "github token"),
    (Home(".config/glab-cli/config.yml"), "gitlab token"),
    (Home(".vault-token"), "vault token"),
    (
        Home(".terraform.d/credentials.tfrc.json"),
        "terraform token",
    ),
    (Home(".terraformrc"), "terraform token"),
    (Home(".config/doctl/config.yaml"), "digitalocean token"),
    (
        Home(".config/rclone/rclone.conf"),
        "cloud storage credentials",
    ),
    (Home(".s3cfg"), "cloud storage credentials"),
    (Home(".boto"), "cloud storage credentials"),
    (Home(".fly/config.yml"), "fly token"),
    (Home(".claude/.credentials.json"), "coding agent token"),
    (Home(".codex/auth.json"), "coding agent token"),
    (Home(".pgpass"), "database password"),
    (Home(".my.cnf"), "database password"),
    (HomeIn(".gnupg"), "gpg key"),
    (HomeIn(".password-store"), "password store"),
    (HomeIn(".local/share/keyrings"), "keyring"),
    (HomeIn("Library/Keychains"), "keyring"),
    (HomeIn(".config/keepassxc"), "password store"),
    (HomeIn(".config/Bitwarden"), "password store"),
    (Browser(".mozilla"), "browser store"),
    (Browser(".thunderbird"), "mail store"),
    (Browser(".config/google-chrome"), "browser store"),
    (Browser(".config/chromium"), "browser store"),
    (Browser(".config/BraveSoftware"), "browser store"),
    (Browser(".config/microsoft-edge"), "browser store"),
    (Browser(".config/vivaldi"), "browser store"),
    (Browser(".config/opera"), "browser store"),
    (HomeIn(".config/Slack"), "chat token"),
    (HomeIn(".config/discord"), "chat token"),
    (HomeIn(".local/share/TelegramDesktop"), "chat token"),
    (HomeIn(".bitcoin"), "wallet"),
    (HomeIn(".ethereum/keystore"), "wallet"),
    (HomeIn(".electrum"), "wallet"),
    (HomeIn(".config/Exodus"), "wallet"),
    (HomeIn(".config/atomic"), "wallet"),
    (HomeIn(".config/solana"), "wallet"),
    (HomeIn("Monero/wallets"), "wallet"),
    (Home(".bash_history"), "shell history"),
    (Home(".zsh_history"), "shell history"),
    (Home(".node_repl_history"), "shell history"),
    (Home(".python_history"), "shell history"),
    (Home(".psql_history"), "shell history"),
    (Root("/etc/shadow"), "password hashes"),
    (Root("/etc/shadow-"), "password hashes"),
    (Root("/etc/gshadow"), "password hashes"),
    (Root("/etc/sudoers"), "sudo rules"),
    (RootIn("/etc/sudoers.d"), "sudo rules"),
    (RootIn("/etc/ssl/private"), "tls key"),
    (RootIn("/var/run/secrets"), "service account token"),
    (RootIn("/run/secrets"), "service account token"),
    (Named("id_rsa"), "ssh key"),
    (Named("id_dsa"), "ssh key"),
    (Named("id_ecdsa"), "ssh key"),
    (Named("id_ed25519"), "ssh key"),
    (Named(".git-credentials"), "git credentials"),
    (Named("wallet.dat"), "wallet"),
];

/// The secret files of a browser profile.
const STORES: &[&[u8]] = &[
    b"Cookies",
    b"Login Data",
    b"Web Data",
    b"Local State",
    b"cookies.sqlite",
    b"key4.db",
    b"logins.json",
];

/// Names in credential folders that are no secret.
fn is_public(name: &[u8]) -> bool {
    name.ends_with(b".pub")
        || name.starts_with(b"known_hosts")
        || matches!(name, b"authorized_keys" | b"config.d")
}

/// Names with which projects ship an example of `.env`.
const ENV_EXAMPLES: &[&[u8]] = &[b"example", b"sample", b"template", b"dist", b"defaults"];

/// `.env`, `.env.local`, `.env.production`, but no example of one.
fn is_env(name: &[u8]) -> bool {
    match name.strip_prefix(b".env") {
        Some(b"") => true,
        Some([b'.', rest @ ..]) => !ENV_EXAMPLES.contains(&rest),
        _ => false,
    }
}

/// Folders of installed packages, which ship sample settings: unpacking them is no theft.
const PACKAGES: &[&[u8]] = &[
    b"node_modules",
    b"site-packages",
    b"dist-packages",
    b"_cacache",
];

fn is_packaged(path: &[u8]) -> bool {
    folder(path)
        .split(|byte| *byte == b'/')
        .any(|part| PACKAGES.contains(&part))
}

/// The part of a path below somebody's home folder.
fn below_home(path: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = path.strip_prefix(b"/root/") {
        return Some(rest);
    }
    let rest = path.strip_prefix(b"/home/")?;
    let user = rest.iter().position(|byte| *byte == b'/')?;
    rest.get(user.checked_add(1)?..)
}

fn is_in(path: &[u8], folder: &str) -> bool {
    path.strip_prefix(folder.as_bytes())
        .is_some_and(|rest| rest.len() > 1 && rest.first() == Some(&b'/'))
}

/// How the places of the table begin: most paths are like none of them.
struct Beginnings {
    /// First letters below a home folder.
    home: [bool; 256],
    /// First letters below the root.
    root: [bool; 256],
    names: Vec<&'static [u8]>,
}

static BEGINNINGS: LazyLock<Beginnings> = LazyLock::new(|| {
    let mut all = Beginnings {
        home: [false; 256],
        root: [false; 256],
        names: Vec::new(),
    };
    for (place, _) in PLACES {
        let (letters, text) = match place {
            Home(text) | HomeIn(text) | Browser(text) => (&mut all.home, *text),
            Root(text) | RootIn(text) => (&mut all.root, text.trim_start_matches('/')),
            Named(text) => {
                all.names.push(text.as_bytes());
                continue;
            }
        };
        let letter = text.bytes().next().map(usize::from);
        if let Some(known) = letter.and_then(|letter| letters.get_mut(letter)) {
            *known = true;
        }
    }
    all
});

impl Beginnings {
    fn may_have(&self, path: &[u8], home: Option<&[u8]>, name: &[u8]) -> bool {
        let begins = |known: &[bool; 256], text: Option<&[u8]>| {
            let letter = text.and_then(|text| text.first());
            letter.is_some_and(|letter| known.get(usize::from(*letter)) == Some(&true))
        };
        begins(&self.home, home)
            || begins(&self.root, path.strip_prefix(b"/"))
            || self.names.contains(&name)
    }
}

/// What sort of credential belongs at this normalised path, if any.
#[must_use]
pub fn kind(path: &[u8]) -> Option<&'static str> {
    let name = base_name(path);
    if is_env(name) {
        return (!is_packaged(path)).then_some("environment file");
    }
    if is_public(name) {
        return None;
    }
    let home = below_home(path);
    if !BEGINNINGS.may_have(path, home, name) {
        return None;
    }
    let matches = |place: Where| match place {
        Home(exact) => home == Some(exact.as_bytes()),
        // An ssh configuration names hosts, but opens none of them.
        HomeIn(".ssh") if name == b"config" => false,
        HomeIn(folder) => home.is_some_and(|rest| is_in(rest, folder)),
        Browser(folder) => STORES.contains(&name) && home.is_some_and(|rest| is_in(rest, folder)),
        Root(exact) => path == exact.as_bytes(),
        RootIn(folder) => is_in(path, folder),
        Named(exact) => name == exact.as_bytes() && !is_packaged(path),
    };
    PLACES
        .iter()
        .find(|(place, _)| matches(*place))
        .map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::kind;

    #[test]
    fn credentials_are_known_in_any_home() {
        for (path, expected) in [
            ("/root/.ssh/id_rsa", Some("ssh key")),
            ("/home/dev/.ssh/id_ed25519", Some("ssh key")),
            ("/tmp/backup/id_rsa", Some("ssh key")),
            ("/home/dev/.aws/credentials", Some("aws credentials")),
            ("/home/dev/.npmrc", Some("npm token")),
            ("/srv/app/.env", Some("environment file")),
            ("/srv/app/.env.production", Some("environment file")),
            ("/etc/shadow", Some("password hashes")),
            ("/home/dev/.config/solana/id.json", Some("wallet")),
            (
                "/home/dev/.mozilla/firefox/x.default/key4.db",
                Some("browser store"),
            ),
        ] {
            assert_eq!(kind(path.as_bytes()), expected, "{path}");
        }
    }

    #[test]
    fn neighbours_are_not() {
        for path in [
            "/home/dev/.ssh",
            "/home/dev/.ssh/known_hosts",
            "/home/dev/.ssh/config",
            "/home/dev/.ssh/id_rsa.pub",
            "/home/dev/project/.npmrc",
            "/srv/app/.env.example",
            "/srv/app/node_modules/x/.env",
            "/srv/app/.environment",
            "/home/dev/.mozilla/firefox/x.default/prefs.js",
            "/etc/shadowy",
            "/home/.ssh",
            "/etc/passwd",
            "/usr/lib/node_modules/npm/.npmrc",
            "",
        ] {
            assert_eq!(kind(path.as_bytes()), None, "{path}");
        }
    }
}
