//! A small registry of images on this machine, for tests here and in the machine's crate.
//!
//! Speaks what the distribution protocol asks of one that is pulled from: tokens,
//! indexes, manifests, blobs, redirections. What it answers can be spoilt.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

/// What comes back for a request.
#[derive(Clone)]
pub enum Reply {
    /// Status, further header lines, body.
    Whole(u16, String, Vec<u8>),
    /// Zeros without end, whatever was announced.
    Endless,
    /// The first half of this, and then silence.
    Half(Vec<u8>),
}

impl Reply {
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::Whole(200, String::new(), body.into())
    }

    pub fn redirect(to: &str) -> Self {
        Self::Whole(307, format!("Location: {to}\r\n"), Vec::new())
    }
}

pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

/// An image: every path of its registry and what stands there.
pub struct Image {
    pub paths: BTreeMap<String, Reply>,
    pub manifest: String,
    pub layers: Vec<String>,
}

impl Image {
    /// Of layers, each packed and plain, as `NAME:TAG` behind an index of two machines.
    pub fn new(name: &str, tag: &str, layers: &[(Vec<u8>, Vec<u8>)]) -> Self {
        let mut paths = BTreeMap::new();
        let mut blob = |bytes: &[u8]| {
            let digest = digest(bytes);
            paths.insert(format!("/v2/{name}/blobs/{digest}"), Reply::ok(bytes));
            serde_json::json!({ "digest": digest, "size": bytes.len() })
        };
        let rows: Vec<_> = layers.iter().map(|(packed, _)| blob(packed)).collect();
        let ids: Vec<_> = layers.iter().map(|(_, plain)| digest(plain)).collect();
        let config = serde_json::json!({
            "architecture": "amd64", "os": "linux",
            "rootfs": { "type": "layers", "diff_ids": ids },
        });
        let config = blob(config.to_string().as_bytes());
        let manifest = serde_json::json!({
            "schemaVersion": 2, "config": config, "layers": rows,
        })
        .to_string();
        let index = serde_json::json!({ "schemaVersion": 2, "manifests": [
            { "digest": digest(b"another machine's"), "size": 17,
              "platform": { "architecture": "s390x", "os": "linux" } },
            { "digest": digest(manifest.as_bytes()), "size": manifest.len(),
              "platform": { "architecture": "amd64", "os": "linux" } },
        ]})
        .to_string();
        let manifest_path = format!("/v2/{name}/manifests/{}", digest(manifest.as_bytes()));
        paths.insert(manifest_path.clone(), Reply::ok(manifest));
        paths.insert(format!("/v2/{name}/manifests/{tag}"), Reply::ok(index));
        let layers = layers.iter().map(|(packed, _)| digest(packed));
        Self {
            paths,
            manifest: manifest_path,
            layers: layers
                .map(|one| format!("/v2/{name}/blobs/{one}"))
                .collect(),
        }
    }
}

/// A registry that lives as long as the test.
pub struct Registry {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    /// Serves these paths; with `guarded`, only to who fetched a token.
    pub fn serve(paths: BTreeMap<String, Reply>, guarded: bool) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::new((paths, address, guarded, Arc::clone(&asked)));
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    let (paths, address, guarded, asked) = &*shared;
                    // Whoever hangs up in the middle has a reason.
                    let _ = answer(stream, paths, *address, *guarded, asked);
                });
            }
        });
        Ok(Self { address, asked })
    }

    /// Every path that was asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked
            .lock()
            .map(|list| list.clone())
            .unwrap_or_default()
    }
}

const TOKEN: &str = "sesame";

fn answer(
    mut stream: TcpStream,
    paths: &BTreeMap<String, Reply>,
    address: SocketAddr,
    guarded: bool,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut token = false;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        token |= line.eq_ignore_ascii_case(&format!("authorization: Bearer {TOKEN}"));
    }
    if let Ok(mut list) = asked.lock() {
        list.push(path.clone());
    }
    let reply = if path.starts_with("/token?") {
        let right = path.contains("service=small") && path.contains("repository%3A");
        let body = format!("{{\"token\":\"{TOKEN}\"}}");
        Reply::Whole(if right { 200 } else { 400 }, String::new(), body.into())
    } else if guarded && path.starts_with("/v2/") && !token {
        let challenge = format!(
            "WWW-Authenticate: Bearer realm=\"http://{address}/token\",service=\"small\"\r\n"
        );
        Reply::Whole(401, challenge, Vec::new())
    } else {
        let missing = Reply::Whole(404, String::new(), b"{}".to_vec());
        paths.get(&path).cloned().unwrap_or(missing)
    };
    match reply {
        Reply::Whole(status, headers, body) => {
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status} x\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
            )?;
            stream.write_all(&body)
        }
        Reply::Endless => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[0; 65_536])?;
            }
        }
        Reply::Half(body) => {
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
            )?;
            stream.write_all(body.get(..length / 2).unwrap_or_default())?;
            // Until the other side has gone.
            stream.read_until_closed()
        }
    }
}

trait Closed {
    fn read_until_closed(&mut self) -> std::io::Result<()>;
}

impl Closed for TcpStream {
    fn read_until_closed(&mut self) -> std::io::Result<()> {
        std::io::copy(self, &mut std::io::sink()).map(drop)
    }
}
