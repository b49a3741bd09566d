use super::*;

/// A program in a hypervisor's place.
fn pretended(script: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    // The program may run as another user.
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = dir.path().join("hypervisor");
    crate::scripts::write(&path, script);
    (dir, path)
}

/// What the probe concludes from a program in QEMU's place.
async fn concluded(script: &str, deadline: Duration) -> Probe {
    let (_dir, path) = pretended(script);
    run(&path, Accelerator::Kvm, deadline).await
}

/// What it concludes from one in cloud-hypervisor's place; `$serial` is its port.
async fn concluded_of_other(script: &str, deadline: Duration) -> Probe {
    let (_dir, path) = pretended(&format!("serial=${{8#file=}}\n{script}"));
    run_other(&path, deadline).await
}

#[test]
fn the_image_is_firmware_with_a_reset_vector() {
    let image = guest::image();
    assert_eq!(image.len(), 65536);
    assert_eq!(image[65520..65525], [0xea, 0, 0, 0, 0xf0]);
    assert_eq!(image[0], 0xfa);
}

#[tokio::test]
async fn only_the_answer_counts() {
    let long = Duration::from_secs(30);
    assert_eq!(concluded("exit 99", long).await, Probe::Usable);
    for script in ["exit 0", "echo no kvm here >&2; exit 1", "kill -9 $$"] {
        let Probe::Unusable(why) = concluded(script, long).await else {
            panic!("{script}")
        };
        assert!(why.contains("no answer"), "{why}");
    }
    let Probe::Unusable(why) = concluded("echo no kvm here >&2; exit 1", long).await else {
        panic!("usable")
    };
    assert!(why.contains("no kvm here"), "{why}");
}

#[tokio::test]
async fn a_guest_that_hangs_is_no_answer() {
    let start = std::time::Instant::now();
    let probe = concluded("exec sleep 60", Duration::from_millis(300)).await;
    assert!(matches!(probe, Probe::Unusable(why) if why.contains("did not answer")));
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "the hypervisor was not killed"
    );
}

#[test]
fn the_kernel_is_an_elf_file_with_an_entry_for_pvh() {
    let file = guest::kernel();
    let at = |from: usize, size: usize| {
        let bytes = file[from..from + size].iter().rev();
        bytes.fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    assert_eq!(&file[..7], b"\x7fELF\x02\x01\x01");
    assert_eq!((at(16, 2), at(18, 2), at(20, 4)), (2, 62, 1));
    let (entry, headers) = (at(24, 8), at(32, 8));
    assert_eq!((entry, headers), (0x10_0000, 64));
    assert_eq!((at(52, 2), at(54, 2), at(56, 2)), (64, 56, 2));
    // One segment, loaded where it is entered, inside the file to its last byte.
    assert_eq!((at(64, 4), at(68, 4)), (1, 5));
    let (offset, physical, size, memory) = (at(72, 8), at(88, 8), at(96, 8), at(104, 8));
    assert_eq!((physical, size), (entry, memory));
    assert_eq!(offset + size, file.len() as u64);
    assert_eq!(file[offset as usize], 0xfa);
    // A note that says so.
    assert_eq!(at(120, 4), 4);
    let (note, length) = (at(128, 8) as usize, at(152, 8) as usize);
    assert_eq!((at(note, 4), at(note + 4, 4), at(note + 8, 4)), (4, 4, 18));
    assert_eq!(&file[note + 12..note + 16], b"Xen\0");
    assert_eq!(at(note + 16, 4), entry);
    assert!(length == 20 && note + length <= offset as usize);
    // Its table of segments lies in the code, and is what is loaded from there.
    let code = &file[offset as usize..];
    let gdt = u32::from_le_bytes(code[250..254].try_into().unwrap()) - 0x10_0000;
    assert_eq!((gdt, code[248]), (200, 0x2f));
}

#[tokio::test]
async fn cloud_hypervisor_s_answer_is_a_byte_and_the_end() {
    let long = Duration::from_secs(30);
    let both = "printf 1 >$serial";
    assert_eq!(concluded_of_other(both, long).await, Probe::Usable);
    for script in [
        "exit 0",
        "printf 2 >$serial",
        "printf 11 >$serial",
        "printf 1 >$serial; exit 1",
        "printf 1 >$serial; kill -9 $$",
        "echo no kvm here >&2; exit 1",
    ] {
        let Probe::Unusable(why) = concluded_of_other(script, long).await else {
            panic!("{script}")
        };
        assert!(why.contains("no answer"), "{why}");
    }
    let hangs = concluded_of_other("exec sleep 60", Duration::from_millis(300)).await;
    assert!(matches!(hangs, Probe::Unusable(why) if why.contains("did not answer")));
}
