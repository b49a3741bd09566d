use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use super::*;

/// A 64-bit object with a `.modinfo` section, and a decoy of its words elsewhere.
pub(crate) fn module(modinfo: &[&str]) -> Vec<u8> {
    let info: Vec<u8> = modinfo
        .iter()
        .flat_map(|word| [word.as_bytes(), b"\0"].concat())
        .collect();
    let names = b"\0.shstrtab\0.modinfo\0.rodata\0";
    let decoy = b"depends=not_this_one\0";
    let mut elf = vec![0_u8; 64];
    elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
    let mut place = |bytes: &[u8]| {
        let at = elf.len();
        elf.extend_from_slice(bytes);
        (at as u64, bytes.len() as u64)
    };
    let bodies = [(0, 0), place(names), place(&info), place(decoy)];
    let table = elf.len() as u64;
    for (name, (at, size)) in [0_u32, 1, 11, 20].into_iter().zip(bodies) {
        let mut header = [0_u8; 64];
        header[..4].copy_from_slice(&name.to_le_bytes());
        header[0x18..0x20].copy_from_slice(&at.to_le_bytes());
        header[0x20..0x28].copy_from_slice(&size.to_le_bytes());
        elf.extend_from_slice(&header);
    }
    elf[0x28..0x30].copy_from_slice(&table.to_le_bytes());
    elf[0x3a..0x3c].copy_from_slice(&64_u16.to_le_bytes());
    elf[0x3c..0x3e].copy_from_slice(&4_u16.to_le_bytes());
    elf[0x3e..0x40].copy_from_slice(&1_u16.to_le_bytes());
    elf
}

fn tree(files: &[(&str, &[&str])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("modules.builtin"),
        "kernel/lib/crc-base.ko\n",
    )
    .unwrap();
    for (path, modinfo) in files {
        let path = folder.path().join("kernel").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, module(modinfo)).unwrap();
    }
    folder
}

fn order(tree: &tempfile::TempDir, wanted: &[&str]) -> Result<Vec<String>, ImageError> {
    let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
    Ok(in_load_order(tree.path(), &wanted)?
        .into_iter()
        .map(|module| module.name)
        .collect())
}

#[test]
fn each_module_comes_after_what_it_needs() {
    let tree = tree(&[
        ("fs/top.ko", &["license=GPL", "depends=mid-a,mid_b"]),
        ("fs/mid-a.ko", &["depends=base"]),
        ("fs/mid_b.ko", &["depends=base,crc_base"]),
        ("lib/base.ko", &["depends="]),
        ("lib/unused.ko", &["depends=absent"]),
    ]);
    assert_eq!(
        order(&tree, &["top", "base"]).unwrap(),
        ["base", "mid_a", "mid_b", "top"]
    );
    assert_eq!(
        order(&tree, &["mid-b", "top"]).unwrap(),
        ["base", "mid_b", "mid_a", "top"]
    );
}

#[test]
fn a_soft_dependency_comes_first_where_it_exists() {
    let tree = tree(&[
        (
            "top.ko",
            &["softdep=pre: helper absent post: later", "depends="],
        ),
        ("helper.ko", &["depends="]),
        ("later.ko", &["depends="]),
    ]);
    assert_eq!(order(&tree, &["top"]).unwrap(), ["helper", "top"]);
}

#[test]
fn a_missing_module_is_named_with_who_needs_it() {
    let tree = tree(&[("top.ko", &["depends=gone"])]);
    let error = order(&tree, &["top"]).unwrap_err().to_string();
    assert_eq!(
        error,
        "kernel or module gone is not among the kernel's modules, and top needs it"
    );
    let error = order(&tree, &["virtio-blk"]).unwrap_err().to_string();
    assert_eq!(
        error,
        "kernel or module virtio_blk is not among the kernel's modules"
    );
}

#[test]
fn a_built_in_module_is_left_out() {
    assert!(
        order(&tree(&[("other.ko", &[])]), &["crc-base"])
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_ring_of_dependencies_ends() {
    let tree = tree(&[("a.ko", &["depends=b"]), ("b.ko", &["depends=a"])]);
    assert_eq!(order(&tree, &["a"]).unwrap(), ["b", "a"]);
}

#[test]
fn a_compressed_module_is_unpacked() {
    let tree = tree(&[("top.ko", &["depends=packed"])]);
    let plain = module(&["depends="]);
    let file = fs::File::create(tree.path().join("kernel/packed.ko.gz")).unwrap();
    let mut gzip = Command::new("gzip")
        .stdin(Stdio::piped())
        .stdout(file)
        .spawn()
        .unwrap();
    gzip.stdin.take().unwrap().write_all(&plain).unwrap();
    assert!(gzip.wait().unwrap().success());
    let modules = in_load_order(tree.path(), &["top".to_owned()]).unwrap();
    assert_eq!(
        modules[0],
        Module {
            name: "packed".to_owned(),
            content: plain
        }
    );

    fs::write(tree.path().join("kernel/packed.ko.gz"), "no archive").unwrap();
    let error = order(&tree, &["top"]).unwrap_err().to_string();
    assert!(
        error.starts_with("kernel or module packed cannot be unpacked: gzip gave"),
        "{error}"
    );
}

#[test]
fn no_cut_or_bent_module_panics() {
    let whole = module(&["depends=a,b"]);
    assert_eq!(Info::of(&whole).unwrap().depends, ["a", "b"]);
    for length in 0..whole.len() {
        let _ = Info::of(&whole[..length]);
    }
    for at in 0..whole.len() {
        for value in [0, 0x7f, 0xff] {
            let mut bent = whole.clone();
            bent[at] = value;
            let _ = Info::of(&bent);
        }
    }
    assert_eq!(Info::of(b"\x7fELF\x01\x01 32 bit"), None);
}
