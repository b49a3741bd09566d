//! Decoy credentials: files that stand where a thief looks, each with a canary
//! unique to the run.
//!
//! Owns: which files, what they look like. Must not: lay them out (the agent
//! does), or use a path that ordinary clients read on their own: npm reads
//! `~/.npmrc`, pip `~/.netrc` and `~/.config/pip`, git `~/.gitconfig`, so no
//! decoy stands there. Libraries that look for a `.env` go up from the program
//! through its parents, so none stands in the home itself: it stands in another
//! project's folder, where only a search leads.

use belljar_event::wire::DecoyFile;
use belljar_event::{Decoy, Decoys, Text};

/// Letters that all the imitated formats allow.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789AB";

/// One kind of decoy. In the template `{c}` is the canary and `{r}` other random letters.
struct Kind {
    path: &'static str,
    kind: &'static str,
    mode: u32,
    template: &'static str,
}

const KINDS: &[Kind] = &[
    Kind {
        path: ".ssh/id_ed25519",
        kind: "ssh key",
        mode: 0o600,
        template: "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n{c}{r}\n{r}{r}\n-----END OPENSSH PRIVATE KEY-----\n",
    },
    Kind {
        path: ".ssh/id_rsa",
        kind: "ssh key",
        mode: 0o600,
        template: "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAABFwAAAAdzc2gtcn\n{c}{r}\n{r}{r}\n{r}{r}\n-----END OPENSSH PRIVATE KEY-----\n",
    },
    Kind {
        path: ".aws/credentials",
        kind: "cloud credentials",
        mode: 0o600,
        template: "[default]\naws_access_key_id = AKIA{a}\naws_secret_access_key = {c}\n",
    },
    Kind {
        path: ".config/gcloud/application_default_credentials.json",
        kind: "cloud credentials",
        mode: 0o600,
        template: "{\n  \"client_id\": \"{r}.apps.example\",\n  \"client_secret\": \"{r}\",\n  \"refresh_token\": \"1//{c}\",\n  \"type\": \"authorized_user\"\n}\n",
    },
    Kind {
        path: ".gcp/service-account.json",
        kind: "cloud credentials",
        mode: 0o600,
        template: "{\n  \"type\": \"service_account\",\n  \"project_id\": \"billing-prod\",\n  \"private_key_id\": \"{r}\",\n  \"private_key\": \"-----BEGIN PRIVATE KEY-----\\n{c}{r}\\n{r}{r}\\n-----END PRIVATE KEY-----\\n\",\n  \"client_email\": \"deploy@billing-prod.example\"\n}\n",
    },
    Kind {
        path: ".azure/msal_token_cache.json",
        kind: "cloud credentials",
        mode: 0o600,
        template: "{\"RefreshToken\": {\"{r}\": {\"credential_type\": \"RefreshToken\", \"secret\": \"0.A{c}{r}\", \"environment\": \"login.example\", \"client_id\": \"{r}\"}}}\n",
    },
    Kind {
        path: "work/billing/.env",
        kind: "environment file",
        mode: 0o600,
        template: "NODE_ENV=production\nDATABASE_URL=postgres://billing:{r}@db.billing.example:5432/billing\nSTRIPE_SECRET_KEY=sk_live_{c}\nSESSION_SECRET={r}\n",
    },
    Kind {
        path: ".docker/config.json",
        kind: "container registry login",
        mode: 0o600,
        template: "{\n\t\"auths\": {\n\t\t\"containers.example\": {\n\t\t\t\"auth\": \"{c}\"\n\t\t}\n\t}\n}\n",
    },
    Kind {
        path: ".kube/config",
        kind: "cluster credentials",
        mode: 0o600,
        template: "apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n    server: https://cluster.example:6443\n  name: main\nusers:\n- name: admin\n  user:\n    token: {c}\n",
    },
    Kind {
        path: ".git-credentials",
        kind: "git credentials",
        mode: 0o600,
        template: "https://deploy:{c}@git.example\n",
    },
    Kind {
        path: ".config/gh/hosts.yml",
        kind: "forge token",
        mode: 0o600,
        template: "git.example:\n    user: deploy\n    oauth_token: gho_{c}\n    git_protocol: https\n",
    },
    Kind {
        path: ".pypirc",
        kind: "package index token",
        mode: 0o600,
        template: "[distutils]\nindex-servers = pypi\n\n[pypi]\nusername = __token__\npassword = pypi-{c}\n",
    },
    Kind {
        path: ".config/solana/id.json",
        kind: "wallet",
        mode: 0o600,
        template: "[\"{c}\",\"{r}\"]\n",
    },
    Kind {
        path: ".electrum/wallets/default_wallet",
        kind: "wallet",
        mode: 0o600,
        template: "{\n    \"keystore\": {\n        \"type\": \"bip32\",\n        \"xprv\": \"xprv9s21ZrQH143K{c}{r}{r}\"\n    },\n    \"use_encryption\": false,\n    \"wallet_type\": \"standard\"\n}\n",
    },
    Kind {
        path: ".config/google-chrome/Default/Login Data",
        kind: "browser store",
        mode: 0o600,
        template: "SQLite format 3\0{r}{c}{r}\n",
    },
    Kind {
        path: ".mozilla/firefox/k3x9w1ab.default-release/logins.json",
        kind: "browser store",
        mode: 0o600,
        template: "{\"nextId\":2,\"logins\":[{\"id\":1,\"hostname\":\"https://bank.example\",\"encryptedUsername\":\"{r}\",\"encryptedPassword\":\"{c}\",\"encType\":1}],\"version\":3}\n",
    },
    Kind {
        path: ".local/share/keyrings/login.keyring",
        kind: "keychain",
        mode: 0o600,
        template: "GnomeKeyring\n\r\0\n{r}{c}{r}\n",
    },
];

/// Where each stands in the home, and what it pretends to be.
pub(crate) fn places() -> impl Iterator<Item = (&'static str, &'static str)> {
    KINDS.iter().map(|kind| (kind.path, kind.kind))
}

/// The decoys of one run.
#[derive(Debug)]
pub(crate) struct Laid {
    /// For the agent.
    pub(crate) files: Vec<DecoyFile>,
    canaries: Vec<String>,
}

impl Laid {
    /// What the trace says of them, once the home folder is known.
    pub(crate) fn facts(&self, home: &str) -> Decoys {
        let decoy = |(kind, canary): (&Kind, &String)| Decoy {
            path: Text::new(format!("{home}/{}", kind.path)),
            kind: kind.kind.into(),
            canary: canary.clone(),
        };
        Decoys {
            decoys: KINDS.iter().zip(&self.canaries).map(decoy).collect(),
        }
    }
}

/// Makes every decoy, with its canary, out of random bytes.
pub(crate) fn make(mut random: impl FnMut() -> u8) -> Laid {
    let mut laid = Laid {
        files: Vec::new(),
        canaries: Vec::new(),
    };
    for kind in KINDS {
        let canary = letters(&mut random, 40);
        let content = kind
            .template
            .replace("{c}", &canary)
            .replace("{a}", &letters(&mut random, 16).to_ascii_uppercase())
            .split("{r}")
            .map(str::to_owned)
            .reduce(|head, tail| head + &letters(&mut random, 30) + &tail)
            .unwrap_or_default()
            .into_bytes();
        laid.files.push(DecoyFile {
            path: kind.path.into(),
            mode: kind.mode,
            content,
        });
        laid.canaries.push(canary);
    }
    laid
}

fn letters(random: &mut impl FnMut() -> u8, count: usize) -> String {
    (0..count)
        .filter_map(|_| ALPHABET.get(usize::from(random() & 63)))
        .map(|byte| char::from(*byte))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_holds_its_own_canary_and_no_placeholder() {
        let mut state = 1u32;
        let random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let laid = make(random);
        let decoys = laid.facts("/home/mira");
        assert_eq!(laid.files.len(), decoys.decoys.len());
        for (file, decoy) in laid.files.iter().zip(&decoys.decoys) {
            let content = String::from_utf8_lossy(&file.content);
            assert!(content.contains(&decoy.canary), "{}", file.path);
            for placeholder in ["{c}", "{r}", "{a}"] {
                assert!(!content.contains(placeholder), "{}", file.path);
            }
            assert_eq!(decoy.path, Text::new(format!("/home/mira/{}", file.path)));
            let others = decoys
                .decoys
                .iter()
                .filter(|other| content.contains(&other.canary));
            assert_eq!(others.count(), 1);
        }
    }
}
