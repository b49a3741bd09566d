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
    let parts = examine(cache.path(), &recipe, &kvm, Some(&Probe::Usable));
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
    let parts = examine(cache.path(), &recipe, &Probe::Usable, None);
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
    let parts = examine(cache.path(), &recipe, &no, Some(&no));
    let part = parts.iter().find(|part| part.name == "emulation").unwrap();
    assert_eq!(part.state, State::Missing);
}
