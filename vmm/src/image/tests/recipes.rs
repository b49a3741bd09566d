use super::*;

#[test]
fn the_digest_is_stable_and_names_every_field() {
    let base = recipe();
    assert_eq!(base.digest(), recipe().digest());
    assert_eq!(base.digest().len(), 64);
    let changes: &[fn(&mut Recipe)] = &[
        |r| r.suite.push('x'),
        |r| r.variant.push('x'),
        |r| r.packages.push("x".to_owned()),
        |r| r.kernel.push('x'),
        |r| r.node.push('x'),
        |r| r.modules.push("x".to_owned()),
        |r| r.mirror = Some("https://mirror.example/".to_owned()),
        |r| r.host.roots = Some("pem".to_owned()),
        |r| r.host.npm_registry = Some("https://a.example/".to_owned()),
        |r| r.host.pip_index = Some("https://a.example/".to_owned()),
        // A package that moves between two lists is not the same recipe.
        |r| r.modules.push(r.packages.pop().unwrap()),
    ];
    let mut seen = BTreeSet::from([base.digest()]);
    for (number, change) in changes.iter().enumerate() {
        let mut other = recipe();
        change(&mut other);
        assert!(
            seen.insert(other.digest()),
            "change {number} gave a known digest"
        );
    }
    // What is only told to the user is not part of the image.
    let mut noted = recipe();
    noted.host.notes.push("note".to_owned());
    assert_eq!(noted.digest(), base.digest());
}

#[test]
fn what_a_tool_would_read_otherwise_is_refused() {
    recipe().validate().unwrap();
    let bad: &[fn(&mut Recipe)] = &[
        |r| r.suite = "--help".to_owned(),
        |r| r.packages.push("a,b".to_owned()),
        |r| r.packages.push(String::new()),
        |r| r.kernel = "x; reboot".to_owned(),
        |r| r.node = "x' y".to_owned(),
        |r| r.modules.push("../x".to_owned()),
        |r| r.mirror = Some("file:///etc".to_owned()),
        |r| r.mirror = Some("https://a.example/$(id)".to_owned()),
        |r| r.host.npm_registry = Some("https://user:secret@a.example/".to_owned()),
        |r| r.host.pip_index = Some("https://".to_owned()),
        |r| r.host.pip_index = Some("https://a.example/\nindex-url = x".to_owned()),
    ];
    for (number, change) in bad.iter().enumerate() {
        let mut recipe = recipe();
        change(&mut recipe);
        assert!(
            matches!(recipe.validate(), Err(ImageError::Recipe { .. })),
            "bad recipe {number} passed"
        );
    }
}

#[test]
fn a_mirror_comes_after_an_empty_target() {
    let mut recipe = recipe();
    let folder = Path::new("/cache/it's here");
    let plain = recipe.arguments(folder, false);
    assert_eq!(plain.last().unwrap(), "bookworm");
    assert!(
        plain.contains(
            &r"--customize-hook=download /belljar/root.erofs '/cache/it'\''s here/root.erofs'"
                .to_owned()
        ),
        "{plain:#?}"
    );
    recipe.mirror = Some("https://mirror.example/debian".to_owned());
    let mirrored = recipe.arguments(folder, true);
    assert_eq!(
        mirrored[mirrored.len() - 3..],
        ["bookworm", "-", "https://mirror.example/debian"]
    );
    assert!(
        mirrored.contains(
            &r#"--customize-hook=mv "$1/belljar/root.erofs" '/cache/it'\''s here/root.erofs'"#
                .to_owned()
        ),
        "{mirrored:#?}"
    );
}

#[test]
fn every_hook_is_a_shell_script() {
    let mut recipe = recipe();
    recipe.host.npm_registry = Some("https://npm.example/".to_owned());
    for (name, text) in recipe.hooks() {
        let mut shell = Command::new("sh")
            .args(["-n", "-s"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        shell
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        assert!(shell.wait().unwrap().success(), "{name}");
        assert!(
            text.contains("NPM_REGISTRY='https://npm.example/'\n"),
            "{name}"
        );
        // Its own mark is how a stage is recognised.
        let stage = name.strip_suffix(".sh").unwrap();
        let mark = format!("belljar-stage: {stage}");
        assert!(STAGES.iter().any(|row| row.1 == mark), "{mark}");
        assert!(text.contains(&format!("\nstage {stage}\n")), "{name}");
    }
}
