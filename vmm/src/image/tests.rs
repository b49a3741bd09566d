use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::cache::{Lock, Partial};
use super::cpio::{Member, Node, archive};
use super::*;

const DIGEST: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn recipe() -> Recipe {
    Recipe::debian(Host::default())
}

/// A finished image's folder with small files.
fn finished(images: &Path, digest: &str) -> PathBuf {
    let folder = images.join(digest);
    fs::create_dir_all(folder.join("modules")).unwrap();
    fs::write(folder.join("root.erofs"), "root").unwrap();
    fs::write(folder.join("vmlinuz"), "kernel").unwrap();
    for name in ["00-base.ko", "01-top.ko"] {
        fs::write(folder.join("modules").join(name), name).unwrap();
    }
    let facts = manifest::Facts {
        recipe: digest.to_owned(),
        kernel_release: "6.1.0-1-cloud-amd64".to_owned(),
        modules: vec!["00-base.ko".to_owned(), "01-top.ko".to_owned()],
        clients: Clients {
            npm_registry: Some("https://npm.example/".to_owned()),
            pip_index: Some("http://pip.example:8080/simple".to_owned()),
            pip_files: Some("http://pip.example:8080/files/a.whl".to_owned()),
        },
        packages: vec!["bash 5.2".to_owned()],
        name: None,
        source: None,
    };
    Manifest::describe(&folder, facts)
        .unwrap()
        .write(&folder)
        .unwrap();
    folder
}

mod caches;
mod cpio_writer;
mod hosts;
mod manifests;
mod recipes;
mod subordinate_ids;
mod tool_runs;
