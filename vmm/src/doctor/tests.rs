use super::*;
use crate::image::Host;

#[test]
fn every_part_that_is_not_there_says_what_to_do() {
    let cache = tempfile::tempdir().unwrap();
    let mut recipe = Recipe::debian(Host::default());
    recipe
        .host
        .notes
        .push("npm's registry of this machine is not used".to_owned());
    let kvm = Probe::Unusable("no answer".to_owned());
    let asked = Asked {
        kvm: &kvm,
        emulation: Some(&Probe::Usable),
        cloud_hypervisor: Some(Path::new("/nowhere/cloud-hypervisor")),
    };
    let parts = examine(cache.path(), &recipe, &asked);
    let part = |name: &str| parts.iter().find(|part| part.name == name).unwrap();
    for name in [
        "qemu",
        "/dev/kvm",
        "mmdebstrap",
        "mkfs.erofs",
        "archive keys",
        "emulation",
        "guest kernel",
        "host kernel",
        "disk space",
    ] {
        assert!(!part(name).found.is_empty(), "{name}");
    }
    for part in &parts {
        assert_eq!(part.hint.is_none(), part.state == State::Found, "{part:?}");
        assert!(!part.found.contains('\n'), "{part:?}");
    }
    assert_eq!(part("guest image").found, "not built yet");
    assert_eq!(part("kvm").state, State::Limited);
    assert_eq!(part("registry").state, State::Limited);
    assert_eq!(part("cloud-hypervisor").state, State::Missing);
    let usable = Asked {
        kvm: &Probe::Usable,
        emulation: None,
        cloud_hypervisor: None,
    };
    let parts = examine(cache.path(), &recipe, &usable);
    assert!(
        parts
            .iter()
            .any(|part| part.name == "kvm" && part.state == State::Found)
    );
}

#[test]
fn a_device_that_may_not_be_opened_and_one_that_is_absent_need_different_things() {
    let denied = device_hint(&std::io::ErrorKind::PermissionDenied.into(), true);
    let closed = device_hint(&std::io::ErrorKind::PermissionDenied.into(), false);
    let absent = device_hint(&std::io::ErrorKind::NotFound.into(), false);
    assert!(denied.starts_with("sudo usermod"), "{denied}");
    assert!(closed.contains("chgrp kvm"), "{closed}");
    assert!(absent.contains("firmware"), "{absent}");
    assert!(kvm_hint(true).starts_with("sudo chgrp kvm"));
    assert!(kvm_hint(false).starts_with("software emulation"));
}

#[test]
fn emulation_that_does_not_run_is_missing() {
    let cache = tempfile::tempdir().unwrap();
    let recipe = Recipe::debian(Host::default());
    let no = Probe::Unusable("gone".to_owned());
    let asked = Asked {
        kvm: &no,
        emulation: Some(&no),
        cloud_hypervisor: None,
    };
    let parts = examine(cache.path(), &recipe, &asked);
    let part = parts.iter().find(|part| part.name == "emulation").unwrap();
    assert_eq!(part.state, State::Missing);
}

#[test]
fn the_second_hypervisor_is_told_by_its_version() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("cloud-hypervisor");
    for (words, state) in [
        ("cloud-hypervisor v53.0.0", State::Found),
        ("cloud-hypervisor v60.1", State::Found),
        ("cloud-hypervisor v41.0.0", State::Limited),
        ("what?", State::Limited),
    ] {
        crate::scripts::write(&program, &format!("echo '{words}'"));
        let part = cloud_hypervisor(Some(&program));
        assert_eq!(part.state, state, "{part:?}");
        assert_eq!(part.hint.is_none(), state == State::Found);
    }
}
