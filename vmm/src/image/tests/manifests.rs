use super::*;

#[test]
fn an_image_is_what_its_manifest_says() {
    let cache = tempfile::tempdir().unwrap();
    let folder = finished(cache.path(), DIGEST);
    let image = Manifest::load(&folder, DIGEST).unwrap().unwrap();
    assert_eq!(
        image.modules,
        [
            folder.join("modules/00-base.ko"),
            folder.join("modules/01-top.ko")
        ]
    );
    assert_eq!(
        image.kernel_digest,
        blake3::hash(b"kernel").to_hex().to_string()
    );
    let endpoints: Vec<String> = image
        .clients
        .endpoints()
        .into_iter()
        .map(|e| format!("{} {} {}", e.client, e.host, e.port))
        .collect();
    assert_eq!(endpoints, ["npm npm.example 443", "pip pip.example 8080"]);
}

#[test]
fn addresses_with_brackets_and_odd_ports_are_understood() {
    let endpoint = |url: &str| {
        let clients = Clients {
            npm_registry: Some(url.to_owned()),
            ..Clients::default()
        };
        clients.endpoints().pop().map(|e| (e.host, e.port))
    };
    assert_eq!(
        endpoint("https://[2001:db8::1]:444/x"),
        Some(("2001:db8::1".to_owned(), 444))
    );
    assert_eq!(
        endpoint("http://[2001:db8::1]/x"),
        Some(("2001:db8::1".to_owned(), 80))
    );
    assert_eq!(
        endpoint("https://NPM.Example?x=http://y"),
        Some(("npm.example".to_owned(), 443))
    );
    assert_eq!(endpoint("https://npm.example:99999/"), None);
}

#[test]
fn a_hostile_manifest_is_refused() {
    let cache = tempfile::tempdir().unwrap();
    let folder = finished(cache.path(), DIGEST);
    let file = folder.join("manifest.json");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(cache.path().join("outside.ko"), "x").unwrap();
    let bad: &[(&str, &str)] = &[
        ("00-base.ko", "../../outside.ko"),
        ("00-base.ko", "/etc/passwd"),
        ("00-base.ko", ".."),
        ("00-base.ko", "absent.ko"),
        ("6.1.0-1-cloud-amd64", "6.1 init=/bin/sh"),
        ("https://npm.example/", "https://u:p@npm.example/"),
        ("https://npm.example/", "\\u001b[2J"),
        ("\"version\": 1", "\"version\": 2"),
        ("\"version\": 1", "\"version\": 1, \"extra\": 1"),
        ("\"bytes\": 4", "\"bytes\": 5"),
        ("\"bytes\": 4", "\"bytes\": -1"),
        (DIGEST, "ff"),
    ];
    for (from, to) in bad {
        let text = good.replace(from, to);
        assert_ne!(text, good, "{from} is not in the manifest");
        fs::write(&file, text).unwrap();
        let loaded = Manifest::load(&folder, DIGEST);
        assert!(
            matches!(loaded, Err(ImageError::Manifest { .. })),
            "{from} -> {to}: {loaded:?}"
        );
    }
    for text in [
        String::new(),
        "[".repeat(100_000),
        good[..good.len() / 2].to_owned(),
        " ".repeat(2 << 20),
    ] {
        fs::write(&file, text).unwrap();
        assert!(matches!(
            Manifest::load(&folder, DIGEST),
            Err(ImageError::Manifest { .. })
        ));
    }
    fs::write(&file, &good).unwrap();
    Manifest::load(&folder, DIGEST).unwrap().unwrap();
}

#[test]
fn a_cut_file_makes_the_image_count_as_absent() {
    let cache = tempfile::tempdir().unwrap();
    let recipe = recipe();
    let digest = recipe.digest();
    assert_eq!(cached(cache.path(), &recipe).unwrap(), None);
    let folder = finished(&cache.path().join("images"), &digest);
    let image = ensure(cache.path(), &recipe, &mut |_| panic!("nothing is built")).unwrap();
    assert_eq!(image.digest, digest);
    fs::write(folder.join("root.erofs"), "ro").unwrap();
    assert_eq!(cached(cache.path(), &recipe).unwrap(), None);
}
