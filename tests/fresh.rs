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
