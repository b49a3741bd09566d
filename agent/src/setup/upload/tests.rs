use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use tar::{Builder, Header};

use super::*;

/// A fresh folder of the test's own, gone afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("belljar-upload-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(path.join("in")).unwrap();
        Self(path)
    }

    fn folder(&self) -> Folder {
        let id = std::fs::metadata(&self.0).unwrap().uid();
        Folder::open(&self.0.join("in"), id).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn header(kind: EntryType, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size as u64);
    header.set_mode(0o6755);
    header.set_mtime(1_600_000_000);
    header
}

fn file(archive: &mut Builder<Vec<u8>>, path: &str, content: &str) {
    let mut header = header(EntryType::Regular, content.len());
    // Past the builder's own checks.
    header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
    header.set_cksum();
    archive.append(&header, content.as_bytes()).unwrap();
}

fn link(archive: &mut Builder<Vec<u8>>, kind: EntryType, path: &str, target: &str) {
    let mut header = header(kind, 0);
    header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
    header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target.as_bytes());
    header.set_cksum();
    archive.append(&header, io::empty()).unwrap();
}

fn archive(fill: impl FnOnce(&mut Builder<Vec<u8>>)) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    fill(&mut builder);
    builder.into_inner().unwrap()
}

#[test]
fn files_arrive_with_mode_and_time_but_no_set_uid() {
    let scratch = Scratch::new("plain");
    let bytes = archive(|a| {
        file(a, "a/b/run.sh", "echo");
        link(a, EntryType::Symlink, "a/link", "b/../b/run.sh");
    });
    let done = unpack(&scratch.folder(), bytes.as_slice(), 100).unwrap();
    assert_eq!(
        done,
        Unpacked {
            made: 2,
            skipped: 0
        }
    );
    let meta = std::fs::metadata(scratch.0.join("in/a/link")).unwrap();
    assert_eq!(
        (meta.permissions().mode() & 0o7777, meta.mtime()),
        (0o755, 1_600_000_000)
    );
}

#[test]
fn paths_that_lead_out_end_the_upload() {
    for path in ["../evil", "/evil", "a/../../evil", "a/.."] {
        let scratch = Scratch::new("out");
        let bytes = archive(|a| file(a, path, "x"));
        // An absolute path loses its slash at most.
        let result = unpack(&scratch.folder(), bytes.as_slice(), 100);
        assert!(
            !scratch.0.join("evil").exists() && !Path::new("/evil").exists(),
            "{path}"
        );
        assert!(result.is_err(), "{path}");
    }
}

#[test]
fn links_and_devices_that_lead_out_are_skipped() {
    let scratch = Scratch::new("links");
    let bytes = archive(|a| {
        link(a, EntryType::Symlink, "one", "/etc/passwd");
        link(a, EntryType::Symlink, "d/two", "../../out");
        link(a, EntryType::Link, "three", "/etc/passwd");
        link(a, EntryType::Char, "null", "");
        link(a, EntryType::Fifo, "pipe", "");
    });
    let done = unpack(&scratch.folder(), bytes.as_slice(), 100).unwrap();
    assert_eq!(
        done,
        Unpacked {
            made: 0,
            skipped: 5
        }
    );
}

#[test]
fn nothing_is_written_through_a_link() {
    let scratch = Scratch::new("through");
    std::fs::create_dir(scratch.0.join("out")).unwrap();
    std::os::unix::fs::symlink("../out", scratch.0.join("in/door")).unwrap();
    let bytes = archive(|a| file(a, "door/evil", "x"));
    assert!(unpack(&scratch.folder(), bytes.as_slice(), 100).is_err());
    assert!(!scratch.0.join("out/evil").exists());
    // A file in a link's place replaces the link, not what it points to.
    std::fs::write(scratch.0.join("victim"), "whole").unwrap();
    std::os::unix::fs::symlink("../victim", scratch.0.join("in/name")).unwrap();
    let bytes = archive(|a| file(a, "name", "new"));
    unpack(&scratch.folder(), bytes.as_slice(), 100).unwrap();
    assert_eq!(
        std::fs::read_to_string(scratch.0.join("victim")).unwrap(),
        "whole"
    );
}

#[test]
fn the_budget_is_kept() {
    let scratch = Scratch::new("budget");
    let bytes = archive(|a| {
        file(a, "one", "12345");
        file(a, "two", "12345");
    });
    assert!(unpack(&scratch.folder(), bytes.as_slice(), 9).is_err());
    assert!(!scratch.0.join("in/two").exists());
}
