use super::*;

#[test]
fn an_interrupted_build_leaves_nothing_for_the_next_one() {
    let images = tempfile::tempdir().unwrap();
    let whole = finished(images.path(), DIGEST);
    // What a build killed at once leaves behind, of this and of another recipe.
    for name in [
        format!("{DIGEST}.partial-999999"),
        "ab.partial-1".to_owned(),
    ] {
        fs::create_dir_all(images.path().join(&name).join("tmp/tree")).unwrap();
        fs::write(images.path().join(&name).join("tmp/tree/file"), "half").unwrap();
    }
    let lock = Lock::take(images.path(), &mut |_| panic!("nobody else builds")).unwrap();
    let partial = Partial::create(images.path(), "cd", &lock).unwrap();
    let names = || -> BTreeSet<String> {
        let list = fs::read_dir(images.path()).unwrap();
        list.map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    let own = format!("cd.partial-{}", std::process::id());
    assert_eq!(
        names(),
        BTreeSet::from([DIGEST.to_owned(), own, "lock".to_owned()])
    );
    // A build that fails takes its folder along.
    drop(partial);
    assert_eq!(
        names(),
        BTreeSet::from([DIGEST.to_owned(), "lock".to_owned()])
    );
    assert!(Manifest::load(&whole, DIGEST).unwrap().is_some());
}

#[test]
fn a_finished_build_replaces_a_damaged_image_and_old_ones_go() {
    let images = tempfile::tempdir().unwrap();
    let damaged = finished(images.path(), DIGEST);
    fs::remove_file(damaged.join("vmlinuz")).unwrap();
    let lock = Lock::take(images.path(), &mut |_| panic!("nobody else builds")).unwrap();
    let partial = Partial::create(images.path(), DIGEST, &lock).unwrap();
    let fresh = finished(partial.path(), DIGEST);
    for entry in fs::read_dir(&fresh).unwrap() {
        let entry = entry.unwrap();
        fs::rename(entry.path(), partial.path().join(entry.file_name())).unwrap();
    }
    fs::remove_dir(&fresh).unwrap();
    partial.publish(&images.path().join(DIGEST)).unwrap();
    assert!(
        Manifest::load(&images.path().join(DIGEST), DIGEST)
            .unwrap()
            .is_some()
    );

    for number in 0..6 {
        finished(images.path(), &format!("{number:064x}"));
    }
    fs::create_dir(images.path().join("someone's own folder")).unwrap();
    cache::prune_images(images.path(), DIGEST, &|name| name.ends_with("00")).unwrap();
    let left: BTreeSet<String> = fs::read_dir(images.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        left.contains(DIGEST) && left.contains("someone's own folder"),
        "{left:?}"
    );
    assert_eq!(
        left.iter().filter(|name| name.len() == 64).count(),
        // The five newest, and the one that has a name.
        6,
        "{left:?}"
    );
}

#[test]
fn a_second_builder_waits_and_says_for_whom() {
    let images = tempfile::tempdir().unwrap();
    let first = Lock::take(images.path(), &mut |_| panic!("nobody else builds")).unwrap();
    let (said, heard) = mpsc::channel();
    let path = images.path().to_owned();
    let second = thread::spawn(move || {
        let mut tell = |line| said.send(line).unwrap();
        Lock::take(&path, &mut tell).map(drop)
    });
    let line = heard.recv_timeout(Duration::from_secs(60)).unwrap();
    let pid = std::process::id();
    assert_eq!(
        line,
        format!("another belljar (process {pid}) is building an image")
    );
    thread::sleep(Duration::from_millis(50));
    assert!(!second.is_finished());
    drop(first);
    second.join().unwrap().unwrap();
}
