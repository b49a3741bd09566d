use std::path::PathBuf;

use super::super::tests::{DIR, FILE, HARD, SYM, archive, donor, gzip};
use super::super::{Kernel, Source};
use super::*;
use crate::image::{Image, ImageError};

#[expect(
    unreachable_pub,
    reason = "the end-to-end tests have the same registry"
)]
#[path = "../../../../../tests/e2e/registry.rs"]
mod server;

use server::{Reply, digest};

const PATIENT: Patience = Patience(Duration::from_secs(60));

fn layers() -> Vec<(Vec<u8>, Vec<u8>)> {
    let first = archive(&[
        (DIR, "bin", ""),
        (FILE, "bin/tool", "tool"),
        (HARD, "bin/same", "bin/tool"),
        (FILE, "etc/gone", "1"),
    ]);
    let second = archive(&[(FILE, "etc/.wh.gone", ""), (SYM, "bin/link", "/bin/tool")]);
    vec![
        (gzip(&first), first),
        (zstd::encode_all(second.as_slice(), 1).unwrap(), second),
    ]
}

fn reference(registry: &server::Registry, rest: &str) -> Reference {
    let text = format!("oci://{}/{rest}", registry.address);
    Reference::of(&text).unwrap().unwrap()
}

/// Pulls `team/app:1` of an image that `spoil` may have changed.
fn pulled(
    layers: &[(Vec<u8>, Vec<u8>)],
    spoil: impl FnOnce(&mut server::Image),
    patience: Patience,
) -> Result<String, String> {
    let mut image = server::Image::new("team/app", "1", layers);
    spoil(&mut image);
    let registry = server::Registry::serve(image.paths, false).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let reference = reference(&registry, "team/app:1");
    pull(
        &reference,
        dir.path(),
        1 << 20,
        (None, patience),
        &mut |_| (),
    )
    .map_err(|bad| bad.to_string())
}

struct Place {
    dir: tempfile::TempDir,
    kernel: Image,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let kernel = donor(&dir.path().join("donor"));
        Self { dir, kernel }
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    fn import(&self, reference: &Reference) -> Result<Image, ImageError> {
        let source = Source::Registry {
            reference,
            roots: None,
        };
        let kernel = Kernel::Image(&self.kernel);
        crate::image::import(&self.cache(), source, "app", kernel, &mut |_| ())
    }

    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.cache().join("images")).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

#[test]
fn an_image_behind_a_token_and_an_index_is_imported() {
    let image = server::Image::new("team/app", "1", &layers());
    let registry = server::Registry::serve(image.paths, true).unwrap();
    let place = Place::new();
    let image = place.import(&reference(&registry, "team/app:1")).unwrap();
    let source = image.source.unwrap();
    assert!(source.contains("2 layers"), "{source}");
    assert!(source.contains("/team/app:1"), "{source}");
    assert_eq!(image.name.as_deref(), Some("app"));
    let asked = registry.asked();
    let tokens = asked.iter().filter(|path| path.starts_with("/token"));
    assert_eq!(tokens.count(), 1, "{asked:?}");
    assert_eq!(place.left().len(), 2, "the lock and the image");
}

#[test]
fn a_digest_pins_the_image_and_blobs_may_stand_elsewhere() {
    let pin = |right: bool| {
        let mut image = server::Image::new("team/app", "1", &layers());
        let name = image.manifest.rsplit('/').next().unwrap().to_owned();
        let aside = image.paths.remove(&image.layers[0]).unwrap();
        image.paths.insert("/elsewhere".into(), aside);
        image
            .paths
            .insert(image.layers[0].clone(), Reply::redirect("/elsewhere"));
        if !right {
            image
                .paths
                .insert(image.manifest.clone(), Reply::ok(&b"{\"layers\":[]}"[..]));
        }
        let registry = server::Registry::serve(image.paths, false).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let reference = reference(&registry, &format!("team/app@{name}"));
        let done = pull(
            &reference,
            dir.path(),
            1 << 20,
            (None, PATIENT),
            &mut |_| (),
        );
        done.map(|digest| assert_eq!(digest, name))
            .map_err(|bad| bad.to_string())
    };
    assert_eq!(pin(true), Ok(()));
    assert!(
        pin(false)
            .unwrap_err()
            .contains("another content for the manifest")
    );
}

#[test]
fn whatever_a_registry_does_it_is_refused_in_words() {
    type Spoil = fn(&mut server::Image);
    let cases: &[(&str, Spoil, &str)] = &[
        ("nothing spoilt", |_| (), ""),
        (
            "another content",
            |image| {
                let length = match &image.paths[&image.layers[0]] {
                    Reply::Whole(_, _, body) => body.len(),
                    _ => 0,
                };
                image
                    .paths
                    .insert(image.layers[0].clone(), Reply::ok(vec![7; length]));
            },
            "another content for sha256:",
        ),
        (
            "too much",
            |image| {
                image.paths.insert(image.layers[0].clone(), Reply::Endless);
            },
            "sends more bytes than the",
        ),
        (
            "an endless manifest",
            |image| {
                image.paths.insert(image.manifest.clone(), Reply::Endless);
            },
            "a manifest larger than 4 MiB",
        ),
        (
            "too little",
            |image| {
                image
                    .paths
                    .insert(image.layers[0].clone(), Reply::ok(&b"x"[..]));
            },
            "sends fewer bytes than the",
        ),
        (
            "a loop",
            |image| {
                let own = image.layers[0].clone();
                image.paths.insert(own.clone(), Reply::redirect(&own));
            },
            "more than 5 redirections",
        ),
        (
            "no such layer",
            |image| {
                image.paths.remove(&image.layers[0]);
            },
            "has no such image",
        ),
        (
            "a login",
            |image| {
                let basic = "WWW-Authenticate: Basic realm=\"x\"\r\n".to_owned();
                image
                    .paths
                    .insert(image.manifest.clone(), Reply::Whole(401, basic, Vec::new()));
            },
            "wants a login",
        ),
        (
            "a token from afar",
            |image| {
                let far = "WWW-Authenticate: Bearer realm=\"http://198.51.100.1/t\"\r\n".to_owned();
                image
                    .paths
                    .insert(image.manifest.clone(), Reply::Whole(401, far, Vec::new()));
            },
            "without TLS",
        ),
    ];
    for (name, spoil, words) in cases {
        match pulled(&layers(), spoil, PATIENT) {
            Ok(_) => assert_eq!(*words, "", "{name}"),
            Err(why) => assert!(!words.is_empty() && why.contains(words), "{name}: {why}"),
        }
    }
}

#[test]
fn silence_ends_a_pull() {
    let silent = |image: &mut server::Image| {
        let first = image.layers[0].clone();
        image.paths.insert(first, Reply::Half(vec![0; 100]));
    };
    let quick = Patience(Duration::from_millis(700));
    let why = pulled(&layers(), silent, quick).unwrap_err();
    assert!(
        why.contains("broke off") || why.contains("cannot be asked"),
        "{why}"
    );
}

#[test]
fn sizes_are_believed_only_up_to_the_cap() {
    let mut image = server::Image::new("team/app", "1", &layers());
    let text = format!(
        r#"{{"config":{{"digest":"{0}","size":2}},"layers":[{{"digest":"{0}","size":{1}}}]}}"#,
        digest(b"{}"),
        u64::MAX
    );
    image
        .paths
        .insert("/v2/team/app/manifests/1".into(), Reply::ok(text));
    image.paths.insert(
        format!("/v2/team/app/blobs/{}", digest(b"{}")),
        Reply::ok(&b"{}"[..]),
    );
    let registry = server::Registry::serve(image.paths, false).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let reference = reference(&registry, "team/app:1");
    let bad = pull(
        &reference,
        dir.path(),
        1 << 20,
        (None, PATIENT),
        &mut |_| (),
    )
    .unwrap_err();
    assert!(bad.to_string().contains("more than 1048576 bytes"), "{bad}");
}

#[test]
fn hostile_layers_leave_nothing_behind() {
    let bomb = vec![0_u8; 4 << 20];
    let escape = archive(&[(FILE, "../../escaped", "x")]);
    let through = archive(&[(SYM, "d", "/tmp"), (FILE, "d/../../escaped", "x")]);
    let right = archive(&[(FILE, "etc/a", "a")]);
    let cases: &[(Vec<u8>, Vec<u8>, &str)] = &[
        (gzip(&escape), escape.clone(), "climbs out of the archive"),
        (gzip(&through), through.clone(), "climbs out of the archive"),
        // The packed bytes are right, what they unpack to is not.
        (gzip(&right), escape.clone(), "whose content is not"),
        (gzip(&bomb), b"x".to_vec(), "whose content is not"),
        (b"no archive".to_vec(), b"no archive".to_vec(), ""),
    ];
    for (packed, plain, words) in cases {
        let image = server::Image::new("team/app", "1", &[(packed.clone(), plain.clone())]);
        let registry = server::Registry::serve(image.paths, false).unwrap();
        let place = Place::new();
        let bad = place
            .import(&reference(&registry, "team/app:1"))
            .unwrap_err();
        assert!(bad.to_string().contains(words), "{bad}");
        assert_eq!(place.left(), ["lock"], "{words}");
        assert!(!place.dir.path().join("escaped").exists());
    }
}

#[test]
fn challenges_are_taken_apart() {
    let words = r#"realm="https://a.example/t?x=1,2",service="s",scope=repository:a:pull"#;
    assert_eq!(
        parameter(words, "realm").as_deref(),
        Some("https://a.example/t?x=1,2")
    );
    assert_eq!(parameter(words, "SERVICE").as_deref(), Some("s"));
    assert_eq!(
        parameter(words, "scope").as_deref(),
        Some("repository:a:pull")
    );
    assert_eq!(parameter(words, "error"), None);
    assert_eq!(parameter("realm=\"open", "realm"), None);
}
