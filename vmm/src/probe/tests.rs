use super::*;

/// What the probe concludes from a program in QEMU's place.
async fn concluded(script: &str, deadline: Duration) -> Probe {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    // The program may run as another user.
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = dir.path().join("hypervisor");
    crate::scripts::write(&path, script);
    run(&path, Accelerator::Kvm, deadline).await
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
