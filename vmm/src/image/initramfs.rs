//! The first file system of a guest: the agent and the modules that it loads.
//!
//! Owns: which members it has and its place in the cache. Must not: know the
//! agent beyond its bytes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::cpio::{Member, Node, archive};
use super::{Image, ImageError, cache};

/// Kept: the newest, for a second belljar with another agent.
const KEPT: usize = 4;
const FOLDERS: &[&str] = &["dev", "mnt", "modules", "proc", "run", "sys"];

/// Puts `agent` and the image's modules into an archive in `cache_dir` and says
/// where it is. Equal content gives the same file.
///
/// # Errors
/// A module cannot be read, or the cache cannot be written.
pub fn initramfs(image: &Image, agent: &[u8], cache_dir: &Path) -> Result<PathBuf, ImageError> {
    let folder = cache_dir.join("initramfs");
    fs::create_dir_all(&folder).map_err(|source| ImageError::cache("create", &folder, source))?;
    let content = content(image, agent)?;
    let name = format!("{}.cpio", blake3::hash(&content).to_hex());
    let path = folder.join(&name);
    // The whole file is compared: it is small, and a damaged one must not boot.
    if fs::read(&path).is_ok_and(|there| there == content) {
        return Ok(path);
    }
    let written = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(&folder)
        .and_then(|mut file| {
            file.write_all(&content)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)
        });
    written.map_err(|source| ImageError::cache("write", &path, source))?;
    cache::prune(&folder, KEPT, &name, &|name| name.ends_with(".cpio"))?;
    Ok(path)
}

/// The archive's bytes.
fn content(image: &Image, agent: &[u8]) -> Result<Vec<u8>, ImageError> {
    let mut modules = Vec::new();
    for path in &image.modules {
        let bytes = fs::read(path).map_err(|source| ImageError::cache("read", path, source))?;
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        modules.push((format!("modules/{name}"), bytes));
    }
    let folder = |path| Member {
        path,
        mode: 0o755,
        node: Node::Folder,
    };
    let mut members: Vec<Member<'_>> = FOLDERS.iter().copied().map(folder).collect();
    // The kernel opens it for init before anything can be mounted on /dev.
    let console = Node::Device { major: 5, minor: 1 };
    members.push(Member {
        path: "dev/console",
        mode: 0o600,
        node: console,
    });
    members.push(Member {
        path: "init",
        mode: 0o755,
        node: Node::File(agent),
    });
    members.extend(modules.iter().map(|(path, bytes)| Member {
        path,
        mode: 0o644,
        node: Node::File(bytes),
    }));
    archive(&members).ok_or_else(|| ImageError::module("initramfs", "is larger than 4 GiB"))
}
