use super::*;

fn fine() -> (tempfile::NamedTempFile, Spec) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "something").unwrap();
    let spec = Spec::new(file.path(), file.path(), file.path());
    (file, spec)
}

#[test]
fn the_defaults_are_valid() {
    fine().1.validate().unwrap();
}

#[test]
fn every_problem_is_named_with_a_way_out() {
    type Change = fn(&mut Spec);
    let empty = tempfile::NamedTempFile::new().unwrap();
    let wrong: &[(Change, &str)] = &[
        (
            |s| s.kernel = "/nowhere/vmlinuz".into(),
            "kernel /nowhere/vmlinuz cannot be read",
        ),
        (
            |s| s.initramfs = "/".into(),
            "initramfs / is not a regular file",
        ),
        (
            |s| s.root = "/dev/null".into(),
            "root image /dev/null is not a regular file",
        ),
        (|s| s.cpus = 0, "0 processors asked for, 1 to 64"),
        (|s| s.cpus = 65, "65 processors"),
        (|s| s.memory_mib = 255, "255 MiB of memory"),
        (|s| s.memory_mib = u32::MAX, "MiB of memory"),
        (|s| s.cmdline_extra = "x".repeat(1025), "1025 bytes"),
        (|s| s.cmdline_extra = "a\nb".into(), "contains '\\n'"),
        (|s| s.cmdline_extra = "ä".into(), "contains 'ä'"),
    ];
    for (change, message) in wrong {
        let (_file, mut spec) = fine();
        change(&mut spec);
        let error = spec.validate().unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        assert!(!error.hint().is_empty());
    }
    let (_file, mut spec) = fine();
    spec.kernel = empty.path().into();
    assert!(matches!(
        spec.validate(),
        Err(SpecError::Empty { what: "kernel", .. })
    ));
}

#[test]
fn machines_are_named_as_they_are_typed() {
    for (choice, name) in MachineChoice::ALL {
        assert_eq!(name.parse::<MachineChoice>().unwrap(), *choice);
        assert_eq!(choice.to_string(), *name);
    }
    let error = "xen".parse::<MachineChoice>().unwrap_err();
    assert!(
        error
            .hint()
            .contains("auto, cloud-hypervisor, qemu, kvm, tcg"),
        "{}",
        error.hint()
    );
}
