//! Images from a registry: the pulling half of the OCI distribution protocol.
//!
//! Owns: the requests, the anonymous token, and the blobs' way into a folder of
//! the OCI layout, which is then read as one from an archive is. Must not: send
//! a credential, take a byte beyond what was announced, or keep one whose digest
//! does not hold.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use ureq::http::{Response, StatusCode};
use ureq::tls::{PemItem, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::archive::{
    Bad, Descriptor, Document, MAX_INDEXES, MAX_JSON, MAX_LAYERS, choose, layout, sha256_of,
};
use super::reference::{Reference, is_local};

/// What a manifest may be.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";
const BLOBS: &str = "application/octet-stream";
const MAX_REDIRECTS: u32 = 5;
const MAX_TOKEN: u64 = 64 << 10;
/// Progress is told this often.
const STEP: u64 = 16 << 20;

/// What an answer other than "here it is" means.
const REFUSALS: &[(u16, &str)] = &[
    (
        401,
        "wants a login; belljar pulls what anybody may: save it with your own client and import the archive",
    ),
    (
        403,
        "forbids it; belljar pulls what anybody may: save it with your own client and import the archive",
    ),
    (404, "has no such image"),
    (429, "has had too many requests; try again later"),
];

/// How long one silence may last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience(pub(super) Duration);

impl Default for Patience {
    fn default() -> Self {
        Self(Duration::from_secs(60))
    }
}

/// Fetches an image into `folder`, as an OCI layout; answers its digest.
/// `cap` bounds all its layers together.
pub(super) fn pull(
    reference: &Reference,
    folder: &Path,
    cap: u64,
    (roots, patience): (Option<&str>, Patience),
    tell: &mut dyn FnMut(&str),
) -> Result<String, Bad> {
    let blobs = folder.join("blobs").join("sha256");
    fs::create_dir_all(&blobs)?;
    let mut registry = Registry::new(reference, roots, patience);
    tell(&format!("asking {} for its manifest", reference.origin()));
    let (digest, text) = registry.image(reference)?;
    fs::write(blobs.join(sha256_of(&digest)?), &text)?;
    let manifest: Document = document(&text)?;
    let config = manifest
        .config
        .ok_or_else(|| layout("names no manifest of an image"))?;
    registry.blob(&config, &blobs, MAX_JSON, &mut |_| ())?;
    let count = manifest.layers.len();
    if count > MAX_LAYERS {
        return Err(layout(format!("has {count} layers")));
    }
    let all = manifest.layers.iter().try_fold(0_u64, |sum, layer| {
        sum.checked_add(layer.size?).filter(|sum| *sum <= cap)
    });
    let all = all.ok_or_else(|| {
        layout(format!(
            "has layers without a size, or of more than {cap} bytes"
        ))
    })?;
    tell(&format!("{count} layers, {}", size(all)));
    for (number, layer) in manifest.layers.iter().enumerate() {
        let mut told = 0_u64;
        let mut progress = |done: u64| {
            if done >= told.saturating_add(STEP) || Some(done) == layer.size {
                told = done;
                tell(&format!(
                    "layer {} of {count}: {} of {}",
                    number + 1,
                    size(done),
                    size(layer.size.unwrap_or_default())
                ));
            }
        };
        registry.blob(layer, &blobs, cap, &mut progress)?;
    }
    let index = serde_json::json!({
        "schemaVersion": 2, "manifests": [{ "digest": digest, "size": text.len() }],
    });
    fs::write(folder.join("index.json"), index.to_string())?;
    fs::write(
        folder.join("oci-layout"),
        "{\"imageLayoutVersion\":\"1.0.0\"}",
    )?;
    Ok(digest)
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{} MiB", bytes >> 20),
    }
}

fn document(text: &[u8]) -> Result<Document, Bad> {
    serde_json::from_slice(text).map_err(|error| layout(format!("has a bad manifest: {error}")))
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

struct Registry {
    agent: Agent,
    /// `https://HOST/v2/REPOSITORY`.
    base: String,
    repository: String,
    local: bool,
    token: Option<String>,
}

impl Registry {
    fn new(reference: &Reference, roots: Option<&str>, patience: Patience) -> Self {
        let local = reference.is_local();
        let wait = Some(patience.0);
        let config = Agent::config_builder()
            .https_only(!local)
            .max_redirects(MAX_REDIRECTS)
            .http_status_as_error(false)
            .timeout_resolve(wait)
            .timeout_connect(wait)
            .timeout_recv_response(wait)
            .timeout_per_read(wait)
            .user_agent("belljar")
            .tls_config(TlsConfig::builder().root_certs(certificates(roots)).build());
        Self {
            agent: config.build().new_agent(),
            base: format!("{}/v2/{}", reference.origin(), reference.repository()),
            repository: reference.repository().to_owned(),
            local,
            token: None,
        }
    }

    /// The manifest of the image for this machine, its digest first.
    fn image(&mut self, reference: &Reference) -> Result<(String, Vec<u8>), Bad> {
        let (mut digest, mut text) = self.manifest(reference.wanted(), reference.digest())?;
        for _ in 0..MAX_INDEXES {
            let index = document(&text)?;
            if index.manifests.is_empty() {
                return Ok((digest, text));
            }
            let chosen = choose(&index.manifests)?;
            (digest, text) = self.manifest(&chosen.digest, Some(&chosen.digest))?;
        }
        Ok((digest, text))
    }

    fn manifest(&mut self, name: &str, digest: Option<&str>) -> Result<(String, Vec<u8>), Bad> {
        if let Some(digest) = digest {
            sha256_of(digest)?;
        }
        let mut answer = self.get(&format!("{}/manifests/{name}", self.base), MANIFESTS)?;
        let text = bounded(&mut answer, MAX_JSON)?
            .ok_or_else(|| layout("has a manifest larger than 4 MiB"))?;
        let found = sha256(&text);
        match digest {
            Some(digest) if !digest.eq_ignore_ascii_case(&found) => Err(layout(format!(
                "has another content for the manifest {digest}"
            ))),
            _ => Ok((found, text)),
        }
    }

    /// One blob into `folder`, unless it is there.
    fn blob(
        &mut self,
        blob: &Descriptor,
        folder: &Path,
        cap: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Bad> {
        let hex = sha256_of(&blob.digest)?.to_ascii_lowercase();
        let path = folder.join(&hex);
        // Two layers may be the same.
        if path.exists() {
            return Ok(());
        }
        let announced = blob.size.filter(|size| *size <= cap);
        let announced = announced.ok_or_else(|| {
            layout(format!(
                "announces no size up to {cap} bytes for {}",
                blob.digest
            ))
        })?;
        let mut answer = self.get(&format!("{}/blobs/sha256:{hex}", self.base), BLOBS)?;
        // One byte more shows that there is more.
        let mut from = answer
            .body_mut()
            .as_reader()
            .take(announced.saturating_add(1));
        let mut file = File::create_new(&path)?;
        let mut hash = Sha256::new();
        let mut chunk = vec![0; 1 << 16];
        let mut done = 0_u64;
        loop {
            let took = from.read(&mut chunk).map_err(broken)?;
            let bytes = chunk.get(..took).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            file.write_all(bytes)?;
            hash.update(bytes);
            done = done.saturating_add(took as u64);
            progress(done);
        }
        if done != announced {
            let what = if done < announced { "fewer" } else { "more" };
            return Err(layout(format!(
                "sends {what} bytes than the {announced} announced for {}",
                blob.digest
            )));
        }
        let found: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        if found != hex {
            return Err(layout(format!("has another content for {}", blob.digest)));
        }
        Ok(())
    }

    /// An answer, with a token where the registry asks for one.
    fn get(&mut self, url: &str, accept: &str) -> Result<Response<Body>, Bad> {
        let mut asked = false;
        loop {
            let mut request = self.agent.get(url).header("Accept", accept);
            if let Some(token) = &self.token {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            let answer = request.call().map_err(failed)?;
            let challenge = answer.headers().get("www-authenticate");
            let challenge = challenge.and_then(|text| text.to_str().ok());
            match (answer.status(), challenge) {
                (StatusCode::OK, _) => return Ok(answer),
                // Tokens are for minutes: one that ran out is asked for again.
                (StatusCode::UNAUTHORIZED, Some(challenge)) if !asked => {
                    asked = true;
                    self.token = Some(self.authorize(challenge)?);
                }
                (status, _) => return Err(refused(status)),
            }
        }
    }

    /// The token that anybody gets.
    fn authorize(&self, challenge: &str) -> Result<String, Bad> {
        let words = challenge
            .strip_prefix("Bearer ")
            .ok_or_else(|| refused(StatusCode::UNAUTHORIZED))?;
        let realm =
            parameter(words, "realm").ok_or_else(|| layout("names nobody who gives tokens"))?;
        let plain = realm.strip_prefix("http://").map(|rest| {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            self.local && is_local(host)
        });
        if !plain.unwrap_or_else(|| realm.starts_with("https://")) {
            return Err(layout("wants a token from an address without TLS"));
        }
        let scope = parameter(words, "scope")
            .unwrap_or_else(|| format!("repository:{}:pull", self.repository));
        let mut request = self.agent.get(realm).query("scope", scope);
        if let Some(service) = parameter(words, "service") {
            request = request.query("service", service);
        }
        let mut answer = request.call().map_err(failed)?;
        if answer.status() != StatusCode::OK {
            return Err(refused(answer.status()));
        }
        let text =
            bounded(&mut answer, MAX_TOKEN)?.ok_or_else(|| layout("has too long a token"))?;
        let token: Token = serde_json::from_slice(&text)
            .map_err(|error| layout(format!("has a bad token: {error}")))?;
        token
            .token
            .or(token.access_token)
            .filter(|token| !token.is_empty() && token.bytes().all(|c| c.is_ascii_graphic()))
            .ok_or_else(|| layout("gives no token"))
    }
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
}

/// `name="value"` in a challenge.
fn parameter(words: &str, name: &str) -> Option<String> {
    let mut rest = words;
    // Each round takes one parameter off.
    loop {
        let (key, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.trim_matches([' ', ',']).eq_ignore_ascii_case(name) {
            return Some(value.to_owned());
        }
        rest = after;
    }
}

/// A body of at most `cap` bytes; `None` if it is longer.
fn bounded(answer: &mut Response<Body>, cap: u64) -> Result<Option<Vec<u8>>, Bad> {
    let mut bytes = Vec::new();
    let body = answer.body_mut().as_reader();
    body.take(cap + 1).read_to_end(&mut bytes).map_err(broken)?;
    Ok((bytes.len() as u64 <= cap).then_some(bytes))
}

fn failed(error: ureq::Error) -> Bad {
    layout(match error {
        ureq::Error::TooManyRedirects => {
            format!("is behind more than {MAX_REDIRECTS} redirections")
        }
        ureq::Error::RequireHttpsOnly(_) => "leads to an address without TLS".to_owned(),
        ureq::Error::HostNotFound => {
            "is at a registry whose name is not known here (no network?)".to_owned()
        }
        other => format!("cannot be asked for (is there a network?): {other}"),
    })
}

fn broken(error: io::Error) -> Bad {
    layout(format!("broke off: {error}"))
}

fn refused(status: StatusCode) -> Bad {
    let row = REFUSALS.iter().find(|row| row.0 == status.as_u16());
    layout(match row {
        Some((_, what)) => format!("is not to be had: the registry {what}"),
        None => format!(
            "is not to be had: the registry answered {}",
            status.as_u16()
        ),
    })
}

/// This machine's certificate roots, else those that the client brings.
fn certificates(pem: Option<&str>) -> RootCerts {
    let items = pem.map(|pem| ureq::tls::parse_pem(pem.as_bytes()));
    let roots: Vec<_> = items
        .into_iter()
        .flatten()
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(one)) => Some(one),
            _ => None,
        })
        .collect();
    if roots.is_empty() {
        RootCerts::WebPki
    } else {
        RootCerts::new_with_certs(&roots)
    }
}

#[cfg(test)]
mod tests;
