use super::*;

const MEMBERS: &[Member<'_>] = &[
    Member {
        path: "dev",
        mode: 0o755,
        node: Node::Folder,
    },
    Member {
        path: "dev/console",
        mode: 0o600,
        node: Node::Device { major: 5, minor: 1 },
    },
    Member {
        path: "init",
        mode: 0o755,
        node: Node::File(b"agent"),
    },
];

#[test]
fn bytes_are_as_the_format_says() {
    let bytes = archive(MEMBERS).unwrap();
    assert_eq!(bytes.len() % 512, 0);
    let text = String::from_utf8(bytes).unwrap();
    let head = |fields: [u32; 13]| -> String {
        fields.iter().fold("070701".to_owned(), |out, field| {
            format!("{out}{field:08X}")
        })
    };
    let folder = head([1, 0o40755, 0, 0, 2, 0, 0, 0, 0, 0, 0, 4, 0]);
    let device = head([2, 0o20600, 0, 0, 1, 0, 0, 0, 0, 5, 1, 12, 0]);
    let file = head([3, 0o100_755, 0, 0, 1, 0, 5, 0, 0, 0, 0, 5, 0]);
    let end = head([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 11, 0]);
    let wanted = format!(
        "{folder}dev\0\0\0{device}dev/console\0\0\0{file}init\0\0agent\0\0\0{end}TRAILER!!!\0"
    );
    assert_eq!(text.trim_end_matches('\0'), wanted.trim_end_matches('\0'));
}

#[test]
fn another_reader_agrees() {
    if !Path::new("/usr/bin/cpio").exists() && !Path::new("/bin/cpio").exists() {
        // The bytes are checked above; this is a second opinion only.
        return;
    }
    let mut cpio = Command::new("cpio")
        .args(["--quiet", "-itvn"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    cpio.stdin
        .take()
        .unwrap()
        .write_all(&archive(MEMBERS).unwrap())
        .unwrap();
    let out = cpio.wait_with_output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let fields = |line: &str| -> Vec<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        [words[0], words[2], words[words.len() - 1]]
            .map(str::to_owned)
            .to_vec()
    };
    let lines: Vec<Vec<String>> = text.lines().map(fields).collect();
    assert!(out.status.success());
    assert_eq!(
        lines,
        [
            ["drwxr-xr-x", "0", "dev"],
            ["crw-------", "0", "dev/console"],
            ["-rwxr-xr-x", "0", "init"]
        ]
    );
}

#[test]
fn the_first_file_system_holds_agent_and_modules_and_is_made_once() {
    let cache = tempfile::tempdir().unwrap();
    let folder = finished(&cache.path().join("images"), DIGEST);
    let image = Manifest::load(&folder, DIGEST).unwrap().unwrap();
    let path = initramfs(&image, b"the agent", cache.path()).unwrap();
    let bytes = fs::read(&path).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let at = |needle: &str| text.find(needle).unwrap();
    assert!(at("init\0") < at("the agent"));
    assert!(at("modules/00-base.ko\0") < at("modules/01-top.ko\0"));
    let made = fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(initramfs(&image, b"the agent", cache.path()).unwrap(), path);
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), made);
    // A damaged one is replaced, and old ones do not pile up.
    fs::write(&path, &bytes[..100]).unwrap();
    initramfs(&image, b"the agent", cache.path()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes);
    let mut last = path;
    for number in 0..9 {
        last = initramfs(&image, format!("agent {number}").as_bytes(), cache.path()).unwrap();
    }
    assert!(last.is_file());
    assert_eq!(
        fs::read_dir(cache.path().join("initramfs"))
            .unwrap()
            .count(),
        4
    );
}
