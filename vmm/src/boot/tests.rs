use super::*;

#[test]
fn a_missing_hypervisor_is_named() {
    let error = find(Path::new("no-such-hypervisor")).unwrap_err();
    assert!(error.to_string().contains("no-such-hypervisor"));
    assert!(error.hint().unwrap().contains("install QEMU"));
    assert!(find(Path::new("/etc/passwd")).is_err(), "not executable");
    assert!(find(Path::new("/bin/sh")).is_ok());
    assert!(find(Path::new("sh")).unwrap().is_absolute());
}

#[test]
fn a_copy_in_memory_is_sealed_and_readable_by_name() {
    let copy = copy_to_memory(&b"kernel"[..]).unwrap();
    let path = format!("/proc/self/fd/{}", copy.as_raw_fd());
    assert_eq!(std::fs::read(&path).unwrap(), b"kernel");
    assert!(std::fs::write(&path, b"other").is_err());
}

#[tokio::test]
async fn a_hypervisor_that_ends_at_once_is_told_with_its_words() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "x").unwrap();
    let mut spec = Spec::new(file.path(), file.path(), file.path());
    spec.machine = MachineChoice::Tcg;
    spec.allow_degraded = true;
    // It takes its first argument, `-nodefaults`, for a script and complains.
    spec.hypervisor = Some("/bin/cat".into());
    let error = boot(&spec).await.unwrap_err();
    let BootError::Ended { exit, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(exit.how, crate::ExitHow::Code(1));
    assert!(error.to_string().contains("invalid option"), "{error}");
}

#[tokio::test]
async fn without_consent_there_is_no_emulation() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "x").unwrap();
    let mut spec = Spec::new(file.path(), file.path(), file.path());
    spec.machine = MachineChoice::Tcg;
    spec.hypervisor = Some("/bin/cat".into());
    let error = boot(&spec).await.unwrap_err();
    assert!(matches!(error, BootError::NeedsConsent { .. }), "{error}");
    assert!(error.hint().unwrap().contains("--allow-degraded"));
}
