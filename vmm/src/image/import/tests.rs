use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::archive::{Bad, layers, plain, unpack as unpack_layer};
use super::tree::{Caps, Fault, Tree};
use super::*;

const SMALL: Caps = Caps {
    bytes: 1 << 20,
    entries: 100,
};

/// Members: kind, name, link or content.
pub(super) type Member<'a> = (EntryType, &'a str, &'a str);
pub(super) const DIR: EntryType = EntryType::Directory;
pub(super) const FILE: EntryType = EntryType::Regular;
pub(super) const SYM: EntryType = EntryType::Symlink;
pub(super) const HARD: EntryType = EntryType::Link;

/// An archive with names as they are, which the library would not write.
pub(super) fn archive(members: &[Member<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, name, more) in members {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000);
        header.set_mode(if *kind == DIR { 0o755 } else { 0o644 });
        let mut content: &[u8] = b"";
        match *kind {
            FILE => content = more.as_bytes(),
            _ => header.as_old_mut().linkname[..more.len()].copy_from_slice(more.as_bytes()),
        }
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content).unwrap();
    }
    builder.into_inner().unwrap()
}

struct Place {
    dir: tempfile::TempDir,
    tree: Tree,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("outside")).unwrap();
        fs::write(dir.path().join("outside/kept"), "kept").unwrap();
        let tree = Tree::create(dir.path().join("tree"), SMALL).unwrap();
        Self { dir, tree }
    }

    fn lay(&mut self, members: &[Member<'_>]) -> Result<(), Fault> {
        self.tree.layer(archive(members).as_slice(), true)
    }

    fn text(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.dir.path().join("tree").join(name)).ok()
    }

    fn outside_is_untouched(&self) {
        let names: Vec<_> = fs::read_dir(self.dir.path().join("outside"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["kept"]);
        let kept = fs::read_to_string(self.dir.path().join("outside/kept")).unwrap();
        assert_eq!(kept, "kept");
    }
}

#[test]
fn layers_go_over_layers_and_whiteouts_remove() {
    let mut place = Place::new();
    place
        .lay(&[
            (DIR, "./etc", ""),
            (FILE, "etc/a", "1"),
            (FILE, "etc/b", "1"),
            (FILE, "var/lib/old", "1"),
            (FILE, "var/lib/deep/old", "1"),
            (SYM, "lib", "usr/lib"),
        ])
        .unwrap();
    place
        .lay(&[
            (FILE, "etc/a", "2"),
            (FILE, "etc/.wh.b", ""),
            (FILE, "etc/.wh.never-there", ""),
            (FILE, "var/lib/new", "2"),
            (FILE, "var/lib/deep/new", "2"),
            (FILE, "var/lib/.wh..wh..opq", ""),
            (FILE, "lib/through-a-link", "2"),
            (HARD, "etc/c", "etc/a"),
        ])
        .unwrap();
    let two = Some("2".to_owned());
    for name in [
        "etc/a",
        "etc/c",
        "var/lib/new",
        "var/lib/deep/new",
        "usr/lib/through-a-link",
    ] {
        assert_eq!(place.text(name), two, "{name}");
    }
    for name in ["etc/b", "etc/.wh.b", "var/lib/old", "var/lib/deep/old"] {
        assert_eq!(place.text(name), None, "{name}");
    }
}

#[test]
fn nothing_climbs_out() {
    for name in ["../outside/x", "a/../../outside/x", "/../outside/x"] {
        let mut place = Place::new();
        let fault = place.lay(&[(FILE, name, "x")]).unwrap_err();
        assert!(matches!(fault, Fault::Member { .. }), "{fault}");
        place.outside_is_untouched();
    }
    // An absolute name means the image's root.
    let mut place = Place::new();
    place.lay(&[(FILE, "/etc/x", "x")]).unwrap();
    assert_eq!(place.text("etc/x").as_deref(), Some("x"));
}

#[test]
fn links_lead_nowhere_outside() {
    let place = Place::new();
    let outside = place.dir.path().join("outside");
    let target = outside.to_str().unwrap().to_owned();
    if target.len() > 90 {
        return;
    }
    // Through a link to a folder: lands inside the tree.
    for link in [target.as_str(), "../outside", "../../../../outside"] {
        let mut place = Place::new();
        place
            .lay(&[
                (SYM, "way", link),
                (FILE, "way/x", "x"),
                (FILE, "way/.wh.kept", ""),
            ])
            .unwrap();
        place.outside_is_untouched();
    }
    // Over a link: the link is replaced, not what it leads to.
    let mut over = Place::new();
    let file = format!("{target}/kept");
    over.lay(&[(SYM, "x", &file), (FILE, "x", "mine")]).unwrap();
    assert_eq!(over.text("x").as_deref(), Some("mine"));
    place.outside_is_untouched();
    // Hard links, to a path and through a link.
    for hard in ["../outside/kept", file.as_str(), "way/kept"] {
        let mut place = Place::new();
        let fault = place.lay(&[(SYM, "way", &target), (HARD, "x", hard)]);
        assert!(fault.is_err(), "{hard}");
    }
    // Links that go round.
    let mut round = Place::new();
    let fault = round.lay(&[(SYM, "a", "b"), (SYM, "b", "a"), (FILE, "a/x", "x")]);
    assert!(matches!(fault, Err(Fault::Member { .. })));
    assert!(round.tree.existing(b"a").unwrap().is_none());
}

#[test]
fn devices_stay_out_and_modes_are_for_root() {
    let mut place = Place::new();
    place
        .lay(&[
            (EntryType::Char, "dev/mem", ""),
            (EntryType::Block, "sda", ""),
            (EntryType::Fifo, "pipe", ""),
            (DIR, "locked", ""),
            (FILE, "locked/x", "x"),
        ])
        .unwrap();
    let root = place.dir.path().join("tree");
    assert_eq!(place.tree.finish(&["proc", "tmp"]).unwrap(), 3);
    for name in ["dev/mem", "sda", "pipe"] {
        assert!(!root.join(name).exists(), "{name}");
    }
    let mode = |name: &str| fs::metadata(root.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(
        (mode("locked"), mode("locked/x"), mode("proc")),
        (0o755, 0o644, 0o755)
    );
}

#[test]
fn caps_hold() {
    let mut place = Place::new();
    let large = "x".repeat(600_000);
    let fault = place.lay(&[(FILE, "a", &large), (FILE, "b", &large)]);
    assert!(matches!(fault, Err(Fault::TooMuch(_))));
    let mut place = Place::new();
    let names: Vec<String> = (0..101).map(|number| format!("n{number}")).collect();
    let many: Vec<Member<'_>> = names.iter().map(|name| (FILE, name.as_str(), "")).collect();
    assert!(matches!(place.lay(&many), Err(Fault::TooMuch(_))));
    let mut place = Place::new();
    let deep = "a/".repeat(45);
    let mut deeper = vec![(SYM, "a", ".")];
    deeper.push((FILE, deep.as_str(), ""));
    assert!(place.lay(&deeper).is_err(), "too many links");
}

fn sha(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// An OCI archive of two layers, one gzip, one zstd; `change` may spoil a part.
fn oci(change: impl Fn(&str, Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let first = archive(&[(FILE, "etc/a", "1"), (FILE, "etc/b", "1")]);
    let second = archive(&[(FILE, "etc/.wh.b", ""), (FILE, "etc/c", "2")]);
    let packed = [
        gzip(&first),
        zstd::encode_all(second.as_slice(), 1).unwrap(),
    ];
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": [
            format!("sha256:{}", sha(&first)), format!("sha256:{}", sha(&second))] },
    })
    .to_string()
    .into_bytes();
    let named = |bytes: &[u8]| serde_json::json!({"digest": format!("sha256:{}", sha(bytes))});
    let manifest = serde_json::json!({
        "config": named(&config), "layers": [named(&packed[0]), named(&packed[1])],
    })
    .to_string()
    .into_bytes();
    let index = serde_json::json!({ "manifests": [
        { "digest": format!("sha256:{}", sha(b"other")),
          "platform": { "architecture": "s390x", "os": "linux" } },
        { "digest": format!("sha256:{}", sha(&manifest)),
          "platform": { "architecture": "amd64", "os": "linux" } },
    ]})
    .to_string()
    .into_bytes();
    let mut builder = Builder::new(Vec::new());
    let mut put = |name: &str, path: &str, bytes: &[u8]| {
        let bytes = change(name, bytes.to_vec());
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder
            .append_data(&mut header, path, bytes.as_slice())
            .unwrap();
    };
    put(
        "oci-layout",
        "oci-layout",
        b"{\"imageLayoutVersion\":\"1.0.0\"}",
    );
    put("index", "index.json", &index);
    for (name, bytes) in [
        ("manifest", &manifest),
        ("config", &config),
        ("first", &packed[0]),
        ("second", &packed[1]),
    ] {
        put(name, &format!("blobs/sha256/{}", sha(bytes)), bytes);
    }
    builder.into_inner().unwrap()
}

/// Unpacks an image archive as [`import`] does.
fn open(bytes: &[u8]) -> Result<(tempfile::TempDir, PathBuf), Bad> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("archive");
    fs::write(&file, bytes).unwrap();
    let mut outer = Tree::create(dir.path().join("outer"), SMALL)?;
    outer.layer(plain(&file)?, false)?;
    let root = dir.path().join("root");
    let mut tree = Tree::create(root.clone(), SMALL)?;
    for layer in layers(&mut outer)?.expect("an image archive") {
        unpack_layer(&mut tree, &layer, SMALL.bytes)?;
    }
    Ok((dir, root))
}

#[test]
fn oci_archives_are_unpacked_and_held_against_their_digests() {
    let (_dir, root) = open(&oci(|_, bytes| bytes)).unwrap();
    assert_eq!(fs::read_to_string(root.join("etc/a")).unwrap(), "1");
    assert_eq!(fs::read_to_string(root.join("etc/c")).unwrap(), "2");
    assert!(!root.join("etc/b").exists());

    for spoilt in ["manifest", "config", "first", "second"] {
        let bytes = oci(|name, mut bytes| {
            if name == spoilt {
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
            }
            bytes
        });
        let bad = open(&bytes).unwrap_err().to_string();
        assert!(bad.contains("another content"), "{spoilt}: {bad}");
    }
    let bad = open(&oci(|name, bytes| match name {
        "index" => String::from_utf8(bytes)
            .unwrap()
            .replace("amd64", "riscv64")
            .into_bytes(),
        _ => bytes,
    }));
    assert!(bad.unwrap_err().to_string().contains("no image for linux"));
}

#[test]
fn docker_archives_too() {
    let layer = archive(&[(FILE, "etc/a", "1")]);
    for right in [true, false] {
        let id = if right { sha(&layer) } else { sha(b"other") };
        let config = format!(r#"{{"rootfs":{{"diff_ids":["sha256:{id}"]}}}}"#);
        let bytes = archive_of(&[
            (
                "manifest.json",
                br#"[{"Config":"c.json","Layers":["x/layer.tar"]}]"#,
            ),
            ("c.json", config.as_bytes()),
            ("x/layer.tar", &layer),
        ]);
        assert_eq!(open(&bytes).is_ok(), right);
    }
}

fn archive_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, path, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A finished image's folder to take the kernel from.
pub(super) fn donor(dir: &Path) -> Image {
    let modules = dir.join("modules");
    fs::create_dir_all(&modules).unwrap();
    fs::write(dir.join("vmlinuz"), "kernel").unwrap();
    fs::write(modules.join("00-a.ko"), "module").unwrap();
    Image {
        dir: dir.to_owned(),
        root: dir.join("root.erofs"),
        kernel: dir.join("vmlinuz"),
        modules: vec![modules.join("00-a.ko")],
        kernel_release: "6.1.0-1-cloud-amd64".into(),
        kernel_digest: String::new(),
        root_digest: String::new(),
        digest: String::new(),
        clients: Clients::default(),
        name: None,
        source: None,
    }
}

#[test]
fn an_import_is_listed_found_replaced_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let kernel = donor(&dir.path().join("donor"));
    let cache = dir.path().join("cache");
    let file = dir.path().join("root.tar.gz");
    fs::write(
        &file,
        gzip(&archive(&[(DIR, "bin", ""), (FILE, "bin/x", "x")])),
    )
    .unwrap();
    let make = |name: &str| {
        super::super::import(
            &cache,
            Source::Archive(&file),
            name,
            Kernel::Image(&kernel),
            &mut |_| (),
        )
    };
    for name in ["full", "abcdef", "../x", "", "-x"] {
        assert!(make(name).is_err(), "{name}");
    }
    let image = make("mine").unwrap();
    assert_eq!(
        fs::read(&image.root).unwrap().get(1024..1028),
        Some([0xe2, 0xe1, 0xf5, 0xe0].as_slice()),
        "erofs"
    );
    assert_eq!(image.clients.endpoints(), []);
    let again = make("mine").unwrap();
    assert_eq!(again.digest, image.digest);
    assert_eq!(
        super::super::named(&cache, "mine").unwrap().digest,
        image.digest
    );

    // Other content under the same name takes its place.
    fs::write(&file, archive(&[(FILE, "bin/y", "y")])).unwrap();
    let other = make("mine").unwrap();
    let all = super::super::list(&cache).unwrap();
    assert_eq!(
        all.iter()
            .map(|one| one.digest.as_str())
            .collect::<Vec<_>>(),
        [other.digest.as_str()]
    );
    assert!(super::super::remove_unused(&cache, &[]).unwrap().is_empty());
    let short = other.digest.get(..8).unwrap();
    assert_eq!(super::super::remove(&cache, short).unwrap(), other.digest);
    assert!(super::super::named(&cache, "mine").is_err());
}

#[test]
fn a_failed_import_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let kernel = donor(&dir.path().join("donor"));
    let cache = dir.path().join("cache");
    let file = dir.path().join("bad.tar");
    fs::write(&file, archive(&[(DIR, "a", ""), (FILE, "../x", "x")])).unwrap();
    let bad = super::super::import(
        &cache,
        Source::Archive(&file),
        "mine",
        Kernel::Image(&kernel),
        &mut |_| (),
    );
    assert!(matches!(bad, Err(ImageError::Archive { .. })));
    let left: Vec<_> = fs::read_dir(cache.join("images"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["lock"]);
}

/// A layer of a few KiB that unpacks to 64 MiB: in one file, or behind the last.
#[test]
fn bombs_end_at_the_cap() {
    let zeros = vec![0_u8; 64 << 20];
    let file = archive_of(&[("big", &zeros)]);
    let mut behind = archive(&[(FILE, "etc/a", "1")]);
    behind.extend_from_slice(&zeros);
    let zstd = |plain: &[u8]| zstd::encode_all(plain, 1).unwrap();
    for (plain, words) in [(&file, "unpacks to more than"), (&behind, "is not sha256:")] {
        for layer in [gzip(plain), zstd(plain)] {
            let config = format!(r#"{{"rootfs":{{"diff_ids":["sha256:{}"]}}}}"#, sha(plain));
            assert!(layer.len() < 400 << 10, "{}", layer.len());
            let bytes = archive_of(&[
                ("manifest.json", br#"[{"Config":"c.json","Layers":["l"]}]"#),
                ("c.json", config.as_bytes()),
                ("l", &layer),
            ]);
            let bad = open(&bytes).unwrap_err().to_string();
            assert!(bad.contains(words), "{bad}");
        }
    }
}
