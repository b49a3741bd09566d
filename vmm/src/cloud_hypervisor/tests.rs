use super::*;

const FDS: Fds = Fds {
    payload: Some([11, 12]),
    memory: None,
    root: 13,
    console: 14,
    api: 15,
    events: 16,
};

fn spec() -> Spec {
    Spec::new(
        "/secret/kernel".as_ref(),
        "/secret/initramfs".as_ref(),
        "/secret/root".as_ref(),
    )
}

fn described(spec: &Spec) -> String {
    with(spec, FDS)
}

fn with(spec: &Spec, fds: Fds) -> String {
    let config = config(spec, fds, Path::new("/run/folder/vsock.sock"));
    serde_json::to_string_pretty(&config).unwrap()
}

#[test]
fn argv_names_descriptors_only() {
    insta::assert_snapshot!(argv(FDS).join(" "));
}

#[test]
fn the_probe_names_descriptors_only() {
    insta::assert_snapshot!(probe_argv(11, 12).join(" "));
}

#[test]
fn a_machine() {
    insta::assert_snapshot!(described(&spec()));
}

#[test]
fn a_larger_machine_with_more_words() {
    let mut spec = spec();
    spec.cpus = 8;
    spec.memory_mib = 262_144;
    spec.cmdline_extra = " loglevel=7 ".into();
    let text = described(&spec);
    insta::assert_snapshot!(text);
    assert!(!text.contains("secret"));
}

#[test]
fn a_machine_that_is_to_be_saved() {
    let fds = Fds {
        memory: Some(17),
        ..FDS
    };
    insta::assert_snapshot!(with(&spec(), fds));
}

#[test]
fn a_machine_that_goes_on() {
    let fds = Fds {
        payload: None,
        memory: Some(17),
        ..FDS
    };
    insta::assert_snapshot!(with(&spec(), fds));
}
