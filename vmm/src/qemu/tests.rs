use super::*;

const FDS: Fds = Fds {
    kernel: 11,
    initramfs: 12,
    root: 13,
    channel: 14,
    console: 15,
    qmp: 16,
    memory: None,
};

fn lines(argv: &[String]) -> String {
    let mut text = String::new();
    for word in argv {
        if !text.is_empty() {
            text.push(if word.starts_with('-') { '\n' } else { ' ' });
        }
        text.push_str(word);
    }
    text
}

fn spec() -> Spec {
    Spec::new(
        "/secret/kernel".as_ref(),
        "/secret/initramfs".as_ref(),
        "/secret/root".as_ref(),
    )
}

#[test]
fn argv_under_emulation() {
    insta::assert_snapshot!(lines(&argv(&spec(), Accelerator::Tcg, FDS, false)));
}

#[test]
fn argv_under_kvm() {
    let mut spec = spec();
    spec.cpus = 8;
    spec.memory_mib = 4096;
    spec.cmdline_extra = " loglevel=7 ".into();
    insta::assert_snapshot!(lines(&argv(&spec, Accelerator::Kvm, FDS, false)));
}

#[test]
fn argv_of_the_probe() {
    insta::assert_snapshot!(lines(&probe_argv(Accelerator::Kvm, 11)));
}

#[test]
fn no_path_of_the_host_is_on_the_command_line() {
    for accelerator in [Accelerator::Kvm, Accelerator::Tcg] {
        let argv = argv(&spec(), accelerator, FDS, false);
        assert!(argv.iter().all(|word| !word.contains("secret")), "{argv:?}");
        assert!(
            argv.iter()
                .all(|word| !word.contains("netdev") && !word.contains("-net-"))
        );
    }
}

#[test]
fn mitigations_are_off_only_where_the_processor_is_emulated() {
    assert!(cmdline(&spec(), true).contains("mitigations=off"));
    assert_eq!(
        cmdline(&spec(), false),
        "console=ttyS0 quiet panic=-1 lsm=landlock,bpf edd=off cryptomgr.notests"
    );
}

#[test]
fn argv_of_a_machine_that_goes_on() {
    let fds = Fds {
        memory: Some(17),
        ..FDS
    };
    insta::assert_snapshot!(lines(&argv(&spec(), Accelerator::Tcg, fds, true)));
}
