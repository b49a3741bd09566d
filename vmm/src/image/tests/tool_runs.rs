use super::tools::{Run, TOOLS, find, install_line, lines, require};
use super::*;

fn script(folder: &Path, text: &str) -> Vec<PathBuf> {
    crate::scripts::write(&folder.join("mmdebstrap"), text);
    vec![folder.to_owned(), "/usr/bin".into(), "/bin".into()]
}

fn run(path: &[PathBuf]) -> (Result<(), ImageError>, Vec<(Stage, String)>) {
    let mut heard = Vec::new();
    let mut stage = Stage::Packages;
    let run = Run {
        program: "mmdebstrap",
        arguments: vec!["one".to_owned(), "--two".to_owned()],
        temporary: None,
        contained: false,
    };
    let result = run.run(path, &mut |line| {
        stage = stage.after(line);
        heard.push((stage, line.to_owned()));
        stage
    });
    (result, heard)
}

#[test]
fn missing_tools_are_named_with_the_line_that_installs_them() {
    let empty = tempfile::tempdir().unwrap();
    let error = require(TOOLS, &[empty.path().to_owned()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "building the guest image needs mmdebstrap, mkfs.erofs, dpkg-deb, tar, not found here; \
         to get it: sudo apt-get install dpkg erofs-utils mmdebstrap tar"
    );
    // A file that cannot be run is no tool.
    fs::write(empty.path().join("tar"), "").unwrap();
    assert_eq!(find("tar", &[empty.path().to_owned()]), None);
    assert_eq!(install_line(&TOOLS[..1]), "sudo apt-get install mmdebstrap");
}

#[test]
fn a_failure_names_stage_status_last_lines_and_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = script(
        folder.path(),
        "seq 1 100\necho 'belljar-stage: kernel' >&2\n\
         printf 'E: \\033[2J Temporary failure resolving x\\n' >&2\nexit 25",
    );
    let (result, _) = run(&path);
    let error = result.unwrap_err();
    let ImageError::Failed {
        stage,
        ref output,
        hint,
        ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(stage, Stage::Kernel);
    assert_eq!(output.len(), 20);
    assert_eq!(output[17], "100");
    assert!(hint.unwrap().starts_with("no network"));
    let text = error.to_string();
    assert!(
        text.starts_with(
            "building the guest image: fetch kernel: mmdebstrap: exit status: 25\n    83\n"
        ),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert!(text.contains("\nhint: no network"), "{text}");
}

#[test]
fn stages_move_on_and_never_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = script(
        folder.path(),
        "echo \"I: extracting archives...\" $1 $2\necho 'I: automatically chosen mode: root'\n\
         echo 'belljar-stage: pack'\necho secret=$SECRET_OF_CALLER",
    );
    let (result, heard) = run(&path);
    result.unwrap();
    let wanted = [
        (Stage::Packages, ""),
        (Stage::Install, "I: extracting archives... one --two"),
        (Stage::Install, "I: automatically chosen mode: root"),
        (Stage::Pack, "belljar-stage: pack"),
        (Stage::Pack, "secret="),
    ];
    assert_eq!(heard, wanted.map(|(stage, line)| (stage, line.to_owned())));
    assert_eq!(
        (Stage::Packages.number(), Stage::Publish.number()),
        (1, Stage::count())
    );
    assert_eq!(Stage::Waiting.number(), 0);
}

#[test]
fn lines_are_bounded_and_harmless() {
    let mut out = Vec::new();
    let text = [&[b'a'; 5_000][..], b"\n 50%\r100%\r\n\n\x07x\xff\n"].concat();
    lines(&text[..], &mut |line| out.push(line.to_owned())).unwrap();
    assert_eq!(
        out[..3].iter().map(String::len).collect::<Vec<_>>(),
        [2_000, 2_000, 1_000]
    );
    assert_eq!(out[3..], ["100%", " x\u{fffd}"]);
    let endless = std::io::repeat(b'a').take(1 << 20);
    lines(endless, &mut |line| assert!(line.len() <= 2_000)).unwrap();
}

#[test]
fn a_tool_ends_with_the_process_that_started_it() {
    // The guard's caller is gone when the pipe on its standard input ends.
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("told");
    let work = format!(
        "trap 'echo told > {}; exit 1' TERM; echo ready; while :; do sleep 0.05; done",
        mark.display()
    );
    let mut guard = {
        use std::os::unix::process::CommandExt;
        Command::new("sh")
            .args(["-c", include_str!("../guard.sh"), "sh", "sh", "-c", &work])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut ready = [0; 6];
    guard
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut ready)
        .unwrap();
    assert_eq!(&ready, b"ready\n");
    assert!(guard.try_wait().unwrap().is_none());
    drop(guard.stdin.take());
    assert!(!guard.wait().unwrap().success());
    assert_eq!(fs::read_to_string(mark).unwrap(), "told\n");
    // Nobody is left in its process group.
    let group = rustix::process::Pid::from_raw(i32::try_from(guard.id()).unwrap()).unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while rustix::process::test_kill_process_group(group).is_ok() {
        assert!(std::time::Instant::now() < deadline, "its group lives on");
        thread::sleep(Duration::from_millis(10));
    }
}
