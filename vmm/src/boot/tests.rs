use std::os::fd::AsRawFd;

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

/// A row: what was asked for, whether KVM runs, which programs are there, and
/// whether emulation was consented to; then the choice.
type Row = (MachineChoice, bool, (bool, bool), bool, &'static str);

#[test]
fn the_choice_is_never_less_than_what_was_asked_for() {
    use MachineChoice::{Auto, CloudHypervisor, Kvm, Qemu, Tcg};
    const BOTH: (bool, bool) = (true, true);
    const QEMU_ONLY: (bool, bool) = (true, false);
    const OTHER_ONLY: (bool, bool) = (false, true);
    const NONE: (bool, bool) = (false, false);
    let rows: &[Row] = &[
        (Auto, true, BOTH, false, "cloud-hypervisor"),
        (Auto, true, QEMU_ONLY, false, "qemu kvm"),
        (Auto, true, OTHER_ONLY, false, "cloud-hypervisor"),
        (Auto, true, NONE, false, "hypervisor qemu was not found"),
        (Auto, false, BOTH, true, "qemu tcg"),
        (Auto, false, BOTH, false, "only software emulation"),
        (
            Auto,
            false,
            OTHER_ONLY,
            true,
            "hypervisor qemu was not found",
        ),
        (CloudHypervisor, true, BOTH, false, "cloud-hypervisor"),
        (
            CloudHypervisor,
            true,
            QEMU_ONLY,
            true,
            "hypervisor cloud-hypervisor was not found",
        ),
        (
            CloudHypervisor,
            false,
            BOTH,
            true,
            "machine `cloud-hypervisor` cannot be used: no",
        ),
        (
            CloudHypervisor,
            false,
            QEMU_ONLY,
            true,
            "hypervisor cloud-hypervisor was not found",
        ),
        (Qemu, true, BOTH, false, "qemu kvm"),
        (Qemu, false, BOTH, true, "qemu tcg"),
        (Qemu, false, BOTH, false, "only software emulation"),
        (
            Qemu,
            true,
            OTHER_ONLY,
            true,
            "hypervisor qemu was not found",
        ),
        (Kvm, true, BOTH, false, "qemu kvm"),
        (Kvm, false, BOTH, true, "machine `kvm` cannot be used: no"),
        (Tcg, false, BOTH, true, "qemu tcg"),
        (Tcg, false, BOTH, false, "only software emulation"),
    ];
    for &(machine, usable, (qemu, other), consent, expected) in rows {
        let mut spec = Spec::new("k".as_ref(), "i".as_ref(), "r".as_ref());
        spec.machine = machine;
        spec.allow_degraded = consent;
        let found = |there: bool, name: &str| {
            let program = PathBuf::from(name);
            if there {
                Ok(program)
            } else {
                Err(BootError::NoHypervisor { program })
            }
        };
        let kvm = if usable {
            Probe::Usable
        } else {
            Probe::Unusable("no".into())
        };
        let chosen = decide(
            &spec,
            found(qemu, "qemu"),
            found(other, "cloud-hypervisor"),
            kvm,
        );
        let said = match chosen {
            Ok(Chosen::CloudHypervisor(program)) => program.display().to_string(),
            Ok(Chosen::Qemu(program, how)) => format!("{} {}", program.display(), how.name()),
            Err(error) => error.to_string(),
        };
        assert!(
            said.starts_with(expected),
            "{machine} {usable} {consent}: {said}"
        );
    }
}

#[test]
fn a_program_that_was_named_and_is_not_there_is_an_error() {
    let mut spec = Spec::new("k".as_ref(), "i".as_ref(), "r".as_ref());
    spec.cloud_hypervisor = Some("/nowhere/cloud-hypervisor".into());
    let program = PathBuf::from("/nowhere/cloud-hypervisor");
    let missing = Err(BootError::NoHypervisor { program });
    let error = decide(&spec, Ok("qemu".into()), missing, Probe::Usable).unwrap_err();
    assert!(error.hint().unwrap().contains("BELLJAR_CLOUD_HYPERVISOR"));
}
