use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;

use super::*;

#[test]
fn secrets_ignored_files_and_links_out_stay_behind() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for folder in [".git", "src", "dist", ".ssh", "src/deep"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    for (name, content) in [
        ("package.json", "{}"),
        (".env", "SECRET=1"),
        (".ENV.Local", "SECRET=1"),
        (".env.example", "SECRET="),
        ("server.pem", "key"),
        (".gitignore", "dist/\n*.log\n!keep.log\n"),
        ("dist/out.js", "x"),
        ("a.log", "x"),
        ("keep.log", "x"),
        ("src/.gitignore", "!b.log\ndeep\n"),
        ("src/b.log", "x"),
        ("src/deep/x", "x"),
        (".git/config", "token"),
        (".ssh/id_rsa", "key"),
    ] {
        fs::write(at(name), content).unwrap();
    }
    symlink("package.json", at("inside")).unwrap();
    symlink("../../etc/passwd", at("outside")).unwrap();
    symlink("/etc/passwd", at("src/absolute")).unwrap();

    let mut bytes = Vec::new();
    let copied = pack(dir.path(), 10, &mut bytes).unwrap();
    let mut archive = tar::Archive::new(bytes.as_slice());
    let mut names = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        names.push(entry.path().unwrap().to_string_lossy().into_owned());
    }
    assert_eq!(
        names,
        [
            ".env.example",
            ".gitignore",
            "inside",
            "keep.log",
            "package.json",
            "src",
            "src/.gitignore",
            "src/b.log"
        ]
    );
    let why: BTreeMap<_, _> = copied
        .left_out
        .iter()
        .map(|l| (l.path.lossy().into_owned(), l.why.as_str()))
        .collect();
    for (name, reason) in [
        (".env", "credential"),
        (".ENV.Local", "credential"),
        (".git", "git metadata"),
        (".ssh", "credential"),
        ("a.log", "git-ignored"),
        ("dist", "git-ignored"),
        ("outside", "link out of the project"),
        ("server.pem", "credential"),
        ("src/absolute", "link out of the project"),
        ("src/deep", "git-ignored"),
    ] {
        assert_eq!(why.get(name), Some(&reason), "{name}");
    }
    assert_eq!(copied.left_out_total, 10);
    assert_eq!(copied.files, 6);
}

#[test]
fn too_large_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("big"), vec![0; 2 << 20]).unwrap();
    assert!(matches!(
        pack(dir.path(), 1, std::io::sink()),
        Err(PackError::TooLarge { limit: 1, .. })
    ));
}
