//! Names of images in a registry.
//!
//! Owns: [`Reference`] and its grammar, that of the OCI distribution protocol.
//! Must not: guess a registry: the user names it.

use std::fmt;
use std::net::IpAddr;

use super::super::ImageError;

/// What stands in front of a name.
const SCHEMES: &[&str] = &["docker://", "oci://"];
const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;

/// `HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    host: String,
    repository: String,
    tag: String,
    digest: Option<String>,
}

impl Reference {
    /// The reference that `text` is; `None` if it is a file's name.
    ///
    /// # Errors
    /// It is meant as one, and is none.
    pub fn of(text: &str) -> Option<Result<Self, ImageError>> {
        let name = SCHEMES
            .iter()
            .find_map(|scheme| text.strip_prefix(scheme))?;
        Some(parse(name).map_err(|why| ImageError::Recipe {
            field: "reference",
            value: text.to_owned(),
            why,
        }))
    }

    /// Scheme and host. Only a registry on this very machine is spoken to without TLS.
    pub(super) fn origin(&self) -> String {
        let scheme = if self.is_local() { "http" } else { "https" };
        format!("{scheme}://{}", self.host)
    }

    /// Whether the registry is this machine's.
    pub(super) fn is_local(&self) -> bool {
        is_local(&self.host)
    }

    pub(super) fn repository(&self) -> &str {
        &self.repository
    }

    /// What to ask for: the digest, where there is one.
    pub(super) fn wanted(&self) -> &str {
        self.digest.as_deref().unwrap_or(&self.tag)
    }

    /// The digest that the answer must have.
    pub(super) fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.host, self.repository)?;
        match &self.digest {
            Some(digest) => write!(out, "@{digest}"),
            None => write!(out, ":{}", self.tag),
        }
    }
}

/// Whether `HOST[:PORT]` is this machine.
pub(super) fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

fn parse(text: &str) -> Result<Reference, &'static str> {
    let (host, rest) = text
        .split_once('/')
        .filter(|(host, _)| host.contains(['.', ':']) || *host == "localhost")
        .ok_or("names no registry: docker://HOST/REPOSITORY:TAG")?;
    if !is_host(host) {
        return Err("has a host that is none (and no user name stands in it)");
    }
    let (rest, digest) = match rest.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (rest, None),
    };
    let (repository, tag) = rest.split_once(':').unwrap_or((rest, "latest"));
    if repository.len() > MAX_REPOSITORY || !repository.split('/').all(is_component) {
        return Err("has a repository that is none: lower-case words with / between them");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if tag.is_empty()
        || tag.len() > MAX_TAG
        || tag.starts_with(['.', '-'])
        || !tag.chars().all(plain)
    {
        return Err("has a tag that is none");
    }
    let sha256 = |digest: &str| {
        digest.strip_prefix("sha256:").is_some_and(|hex| {
            hex.len() == 64 && hex.bytes().all(|c| b"0123456789abcdef".contains(&c))
        })
    };
    if digest.is_some_and(|digest| !sha256(digest)) {
        return Err("has a digest that is none: sha256: and 64 digits");
    }
    Ok(Reference {
        host: host.to_owned(),
        repository: repository.to_owned(),
        tag: tag.to_owned(),
        digest: digest.map(str::to_owned),
    })
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            let whole = address.parse::<std::net::Ipv6Addr>().is_ok();
            return whole && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port));
        }
        None => host
            .split_once(':')
            .map_or((host, None), |(name, port)| (name, Some(port))),
    };
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'.';
    !name.is_empty()
        && name.len() <= 253
        && name.bytes().all(plain)
        && !name.starts_with(['-', '.'])
        && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|c| c.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Lower-case letters and digits with `.`, `_` or `-` within.
fn is_component(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.starts_with(plain)
        && name.ends_with(plain)
        && name.chars().all(|c| plain(c) || "._-".contains(c))
        && !name.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        Some(Reference::of(text)?.map_or_else(|_| "refused".into(), |one| one.to_string()))
    }

    #[test]
    fn references_are_read_or_refused() {
        let hex = "0".repeat(64);
        assert_eq!(read("root.tar"), None);
        assert_eq!(read("dir/docker.tar"), None);
        for (text, name) in [
            ("docker://r.example/a/b:1.2", "r.example/a/b:1.2"),
            ("oci://r.example:5000/a", "r.example:5000/a:latest"),
            ("oci://localhost/a-b_c", "localhost/a-b_c:latest"),
            (
                "docker://[2001:db8::1]:5000/x",
                "[2001:db8::1]:5000/x:latest",
            ),
        ] {
            assert_eq!(read(text).as_deref(), Some(name), "{text}");
        }
        let pinned = format!("docker://r.example/a:1@sha256:{hex}");
        assert_eq!(
            read(&pinned),
            Some(format!("r.example/a@sha256:{hex}")),
            "the digest counts"
        );
        for text in [
            "docker://a",
            "docker://a/b",
            "docker://user:password@r.example/a",
            "docker://r.example/",
            "docker://r.example/../a",
            "docker://r.example/a/../b",
            "docker://r.example/A",
            "docker://r.example/a//b",
            "docker://r.example/a:",
            "docker://r.example/a:x/y",
            "docker://r.example/a?x",
            "docker://r.example:0/a",
            "docker://r.example:99999/a",
            "docker://r.example/a@sha256:12",
            "docker://r.example/a@md5:12",
            "docker://[r.example]/a",
        ] {
            assert_eq!(read(text).as_deref(), Some("refused"), "{text}");
        }
    }

    #[test]
    fn only_this_machine_goes_without_tls() {
        let origin = |text: &str| Reference::of(text).unwrap().unwrap().origin();
        assert_eq!(origin("oci://localhost:1/a"), "http://localhost:1");
        assert_eq!(origin("oci://127.0.0.9/a"), "http://127.0.0.9");
        assert_eq!(origin("oci://[::1]:5/a"), "http://[::1]:5");
        for host in ["localhost.example", "r.example", "127.example", "10.0.0.1"] {
            assert!(origin(&format!("oci://{host}/a")).starts_with("https://"));
        }
    }
}
