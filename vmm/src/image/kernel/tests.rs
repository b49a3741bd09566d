use std::os::unix::fs::symlink;

use super::super::modules::tests::module;
use super::*;

const RELEASE: &str = "6.12.1-x";

/// What a boot loader would take for a kernel.
fn bzimage(release: &str) -> Vec<u8> {
    let mut bytes = vec![0; 0x400];
    bytes[0x1f1] = 1;
    bytes[0x202..0x206].copy_from_slice(b"HdrS");
    bytes[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
    let text = format!("{release} (x) #1");
    bytes[0x300..0x300 + text.len()].copy_from_slice(text.as_bytes());
    bytes
}

/// A machine with a kernel; some of what guests need is built into it.
fn machine(release: &str, magic: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let modules = root.path().join("lib/modules").join(release);
    fs::create_dir_all(modules.join("kernel")).unwrap();
    fs::create_dir(root.path().join("boot")).unwrap();
    let kernel = root.path().join(format!("boot/vmlinuz-{release}"));
    fs::write(kernel, bzimage(release)).unwrap();
    let builtin = "kernel/virtio_pci.ko\nkernel/virtio_blk.ko\nkernel/virtio_console.ko\n";
    fs::write(modules.join("modules.builtin"), builtin).unwrap();
    let magic = format!("vermagic={magic} SMP mod_unload");
    for name in ["erofs", "overlay"] {
        let content = module(&["depends=", &magic]);
        fs::write(modules.join("kernel").join(format!("{name}.ko")), content).unwrap();
    }
    root
}

fn image() -> Image {
    Image {
        dir: "d".into(),
        root: "r".into(),
        kernel: "k".into(),
        modules: vec!["m".into()],
        kernel_release: "1".into(),
        kernel_digest: "1".into(),
        root_digest: "2".into(),
        digest: "3".into(),
        clients: crate::image::Clients::default(),
        name: None,
        source: None,
    }
}

#[test]
fn a_kernel_states_its_release() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bzImage");
    let mut bytes = bzimage("6.12.1");
    fs::write(&file, &bytes).unwrap();
    assert_eq!(release_of(&file).unwrap(), "6.12.1");
    bytes[0x1f4] = 1;
    fs::write(&file, &bytes).unwrap();
    let why = release_of(&file).unwrap_err().to_string();
    assert!(why.contains("is cut off"), "{why}");
    bytes[0x1f4] = 0;
    symlink("nowhere", dir.path().join("link")).unwrap();
    assert!(release_of(&dir.path().join("link")).is_err());
    bytes[0x20e..0x210].copy_from_slice(&u16::MAX.to_le_bytes());
    fs::write(&file, &bytes).unwrap();
    assert!(release_of(&file).is_err());
    fs::write(&file, "no kernel").unwrap();
    let why = release_of(&file).unwrap_err().to_string();
    assert!(why.contains("no kernel that a machine can boot"), "{why}");
}

#[test]
fn a_machine_s_own_kernel_is_found_or_named_as_missing() {
    let root = machine(RELEASE, RELEASE);
    let found = KernelFiles::of_release(root.path(), RELEASE).unwrap();
    assert!(found.kernel.ends_with("boot/vmlinuz-6.12.1-x"));
    assert!(found.modules.ends_with("lib/modules/6.12.1-x"));
    let gone = KernelFiles::of_release(root.path(), "6.1.0").unwrap_err();
    let text = gone.to_string();
    assert!(
        text.contains("runs kernel 6.1.0, but its kernel is not here"),
        "{text}"
    );
    assert!(
        gone.hint()
            .is_some_and(|hint| hint.contains("--modules DIR"))
    );
    fs::remove_dir_all(root.path().join("lib")).unwrap();
    let gone = KernelFiles::of_release(root.path(), RELEASE).unwrap_err();
    assert!(
        gone.to_string().contains("its modules is not here"),
        "{gone}"
    );
    assert!(KernelFiles::of_release(root.path(), "../x").is_err());
}

#[test]
fn another_kernel_takes_the_place_of_the_image_s_own() {
    let root = machine(RELEASE, RELEASE);
    let files = KernelFiles::of_release(root.path(), RELEASE).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let with = || with_kernel(cache.path(), image(), &files).unwrap();
    let changed = with();
    assert_eq!(changed.kernel_release, RELEASE);
    assert_eq!(changed.digest, "3", "the root is the same");
    assert_eq!(fs::read(&changed.kernel).unwrap(), bzimage(RELEASE));
    let names: Vec<_> = changed
        .modules
        .iter()
        .map(|path| path.file_name().unwrap())
        .collect();
    assert_eq!(
        names,
        ["00-overlay.ko", "01-erofs.ko"],
        "built-in ones are not loaded"
    );
    assert_eq!(with(), changed);
    // A damaged one is made again.
    fs::write(&changed.kernel, "x").unwrap();
    fs::remove_file(&changed.modules[0]).unwrap();
    assert_eq!(with(), changed);
    assert_eq!(fs::read(&changed.kernel).unwrap(), bzimage(RELEASE));
    assert!(changed.modules[0].exists());
}

#[test]
fn kernel_and_modules_must_belong_together() {
    let root = machine(RELEASE, "6.1.0-other");
    let files = KernelFiles::of_release(root.path(), RELEASE).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let bad = with_kernel(cache.path(), image(), &files)
        .unwrap_err()
        .to_string();
    assert!(
        bad.contains("overlay is of kernel 6.1.0-other, not 6.12.1-x"),
        "{bad}"
    );
    let kernel = root.path().join(format!("lib/modules/{RELEASE}/kernel"));
    fs::remove_file(kernel.join("overlay.ko")).unwrap();
    let bad = with_kernel(cache.path(), image(), &files)
        .unwrap_err()
        .to_string();
    assert!(bad.contains("overlay is not among"), "{bad}");
}
