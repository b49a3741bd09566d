//! What is generated and checked in must match what it is generated from.

use std::path::PathBuf;
use std::process::Command;

fn repo(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(path)
}

/// The sources of the eBPF skeleton, in the order that `./dev bpf` hashes them.
const SOURCES: [&str; 6] = [
    "egress.bpf.h",
    "enforce.bpf.h",
    "kernel.h",
    "observe.bpf.c",
    "observe.h",
    "transfer.bpf.h",
];

fn recorded(skeleton: &str) -> Option<&str> {
    skeleton
        .lines()
        .take(5)
        .find_map(|line| line.strip_prefix("// Sources: sha256 "))
}

#[test]
fn the_ebpf_skeleton_is_made_from_its_sources() {
    let mut all = Vec::new();
    for name in SOURCES {
        all.extend(std::fs::read(repo("agent/bpf").join(name)).unwrap());
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &all).unwrap();
    let output = Command::new("sha256sum").arg(file.path()).output().unwrap();
    let sum = String::from_utf8(output.stdout).unwrap();
    let skeleton = std::fs::read_to_string(repo("agent/src/observe/skel.rs")).unwrap();
    assert_eq!(
        recorded(&skeleton),
        sum.split_whitespace().next(),
        "agent/src/observe/skel.rs is stale: run ./dev bpf"
    );
}

#[test]
fn no_source_of_the_skeleton_is_forgotten() {
    let mut there: Vec<_> = std::fs::read_dir(repo("agent/bpf"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    there.sort();
    assert_eq!(there, SOURCES);
}

#[test]
fn a_skeleton_without_its_digest_is_noticed() {
    assert_eq!(recorded("// something else\nmod imp {}"), None);
}

/// Folders that hold no sources of ours.
const APART: [&str; 3] = ["target", ".git", "node_modules"];

/// Every file below a folder whose name has this in it.
fn files(folder: PathBuf, part: &str, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && !APART.contains(&&*name) {
            files(path, part, out);
        } else if !is_folder && name.contains(part) {
            out.push(path);
        }
    }
}

/// True if this source compares something with the snapshot of this name.
fn compares(source: &str, name: &str) -> bool {
    // The name of the module stands before it, unless it is left out.
    let name = name.rsplit("__").next().unwrap_or(name);
    let dense: String = source.split_whitespace().collect();
    let called = |head: &str| {
        let mut calls = dense
            .match_indices(head)
            .map(|(at, _)| &dense[at + head.len()..]);
        calls.any(|rest| {
            let made = rest.strip_prefix("format!(").unwrap_or(rest);
            let literal = made
                .strip_prefix('"')
                .and_then(|rest| rest.split('"').next());
            match literal.and_then(|text| text.split_once('{').or(Some((text, "")))) {
                Some((head, "")) => head == name,
                // What stands for the rest is made at run time.
                Some((head, _)) => !head.is_empty() && name.starts_with(head),
                // Without a name it is called like the function that it stands in.
                None => dense.contains(&format!("fn{name}()")),
            }
        })
    };
    called("golden!(") || called("assert_snapshot!(")
}

#[test]
fn no_snapshot_is_left_over() {
    let mut all = Vec::new();
    files(repo(""), ".snap", &mut all);
    assert!(all.len() > 30, "{all:?}");
    for path in all {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(name) = name.strip_suffix(".snap") else {
            panic!(
                "{} was never accepted: look at it, then remove it",
                path.display()
            );
        };
        let source = text.lines().find_map(|line| line.strip_prefix("source: "));
        let source = source.expect("the source that a snapshot belongs to");
        let used = std::fs::read_to_string(repo(source)).is_ok_and(|text| compares(&text, name));
        assert!(
            used,
            "{}: no test in {source} compares with it",
            path.display()
        );
    }
}

#[test]
fn a_snapshot_that_nobody_compares_is_noticed() {
    let source = "golden!(\n \"one\", text); fn two() { insta::assert_snapshot!(text); }\n\
                  insta::assert_snapshot!(format!(\"theme-{theme}\"), x); let four = \"four\";";
    for (name, used) in [
        ("one", true),
        ("two", true),
        ("crate__tests__two", true),
        ("theme-dark", true),
        ("theme", false),
        ("three", false),
        ("four", false),
        ("on", false),
    ] {
        assert_eq!(compares(source, name), used, "{name}");
    }
}
