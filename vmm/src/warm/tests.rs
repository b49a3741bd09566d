use super::*;

fn spec(memory_mib: u32) -> Spec {
    let mut spec = Spec::new("/k".as_ref(), "/i".as_ref(), "/bin/sh".as_ref());
    spec.memory_mib = memory_mib;
    spec
}

/// Some memory with data at odd places.
fn some(spec: &Spec) -> OwnedFd {
    let memory = memory(spec).unwrap();
    let file = File::from(memory.try_clone().unwrap());
    file.write_all_at(b"first", 3).unwrap();
    file.write_all_at(&[7; 100_000], (5 << 20) + 17).unwrap();
    let last = (u64::from(spec.memory_mib) << 20) - 4;
    file.write_all_at(b"last", last).unwrap();
    memory
}

#[test]
fn what_was_put_down_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(256);
    let base = Base::of(folder.path(), "key");
    assert!(!base.stands());
    let before = some(&spec);
    base.write(&before, b"state").unwrap();
    assert!(base.stands());
    let (after, state) = base.read(&spec).unwrap();
    assert_eq!(state, b"state");
    let bytes = |fd: &OwnedFd| {
        let mut all = Vec::new();
        let mut file = File::from(fd.try_clone().unwrap());
        std::io::Seek::rewind(&mut file).unwrap();
        file.read_to_end(&mut all).unwrap();
        all
    };
    assert!(bytes(&before) == bytes(&after));
    // Sparse on disk: a booted guest has touched little of its memory.
    let kept = fs::metadata(folder.path().join("key").join(MEMORY)).unwrap();
    assert!(kept.blocks() * 512 < 1 << 20, "{} blocks", kept.blocks());
    assert_eq!(kept.mode() & 0o777, 0o600);
    base.remove();
    assert!(!base.stands());
}

#[test]
fn a_damaged_base_is_an_error() {
    let spec = spec(256);
    type Hurt = fn(&Path);
    let hurt: [(&str, Hurt); 4] = [
        (MEMORY, |path| {
            let file = File::options().write(true).open(path).unwrap();
            file.write_all_at(b"x", 4).unwrap();
        }),
        (MEMORY, |path| {
            File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(1 << 20)
                .unwrap();
        }),
        (STATE, |path| fs::write(path, b"stat").unwrap()),
        (MANIFEST, |path| fs::write(path, b"{}").unwrap()),
    ];
    for (file, hurt) in hurt {
        let folder = tempfile::tempdir().unwrap();
        let base = Base::of(folder.path(), "key");
        base.write(&some(&spec), b"state").unwrap();
        hurt(&folder.path().join("key").join(file));
        assert!(base.read(&spec).is_err(), "{file}");
    }
}

#[test]
fn the_oldest_go_and_what_the_dead_left() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".partial-dead")).unwrap();
    let memory = memory(&spec(256)).unwrap();
    for number in 0..KEPT + 2 {
        Base::of(folder.path(), &format!("key-{number}"))
            .write(&memory, b"state")
            .unwrap();
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), KEPT);
    assert!(Base::of(folder.path(), &format!("key-{}", KEPT + 1)).stands());
}

#[test]
fn anything_that_differs_is_another_base() {
    let runner = Runner {
        hypervisor: "one",
        program: Path::new("/bin/sh"),
        kvm: false,
    };
    let files: [&[u8]; 2] = [b"kernel", b"initramfs"];
    let of = |spec: &Spec| key(spec, runner, files).unwrap();
    let one = of(&spec(256));
    assert_eq!(one, of(&spec(256)));
    assert_ne!(one, of(&spec(512)));
    let shifted = key(&spec(256), runner, [b"kerneli", b"nitramfs"]).unwrap();
    assert_ne!(one, shifted);
    let mut other = spec(256);
    other.cmdline_extra = "x".into();
    assert_ne!(one, of(&other));
    let mut other = spec(256);
    other.root = "/bin/cat".into();
    assert_ne!(one, of(&other));
    for other in [
        Runner {
            hypervisor: "two",
            ..runner
        },
        Runner {
            program: Path::new("/bin/cat"),
            ..runner
        },
        Runner {
            kvm: true,
            ..runner
        },
    ] {
        let another = key(&spec(256), other, files).unwrap();
        assert_ne!(one, another, "{other:?}");
    }
}
