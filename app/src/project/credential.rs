//! File names that hold the user's own secrets. They stay on the host.

/// Exact names, and prefixes or suffixes where marked with `*`.
const NAMES: &[&str] = &[
    ".env",
    ".env.*",
    ".envrc",
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    ".pypirc",
    ".netrc",
    "_netrc",
    ".git-credentials",
    ".dockercfg",
    ".htpasswd",
    ".pgpass",
    ".my.cnf",
    "credentials",
    "credentials.json",
    "service-account*.json",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "*.kdbx",
    "*.ovpn",
    "*.tfstate",
    "terraform.tfvars",
    "*.auto.tfvars",
    "secrets.yml",
    "secrets.yaml",
    "secrets.json",
];

/// Folders of which nothing goes in.
const FOLDERS: &[&str] = &[".ssh", ".aws", ".gnupg", ".kube", ".docker", ".azure"];

/// Templates are meant to be shared.
const TEMPLATES: &[&str] = &[".env.example", ".env.sample", ".env.template", ".env.dist"];

/// True for a name that looks like a secret.
pub(super) fn is_credential(name: &[u8], folder: bool) -> bool {
    let lower = name.to_ascii_lowercase();
    if folder {
        return FOLDERS.iter().any(|folder| folder.as_bytes() == lower);
    }
    if TEMPLATES
        .iter()
        .any(|template| template.as_bytes() == lower)
    {
        return false;
    }
    NAMES
        .iter()
        .any(|pattern| matches(pattern.as_bytes(), &lower))
}

/// At most one `*`.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.iter().position(|byte| *byte == b'*') {
        None => pattern == name,
        Some(star) => {
            let (head, tail) = (pattern.get(..star), pattern.get(star + 1..));
            let (head, tail) = (head.unwrap_or_default(), tail.unwrap_or_default());
            name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
        }
    }
}
