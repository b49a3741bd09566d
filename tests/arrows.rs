//! The shape of the workspace, kept by a test: which crate may depend on which,
//! which folders there are, and where unsafe code may stand.
//!
//! Owns: the tables below; they repeat ARCHITECTURE "The workspace". Must not:
//! need anything but the sources and cargo. Each rule is a function over plain
//! data, with a test that it can fail.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Each crate and the crates of the workspace that it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("belljar-event", &[]),
    ("belljar-recorder", &["belljar-event"]),
    ("belljar-replay", &["belljar-recorder", "belljar-event"]),
    ("belljar-vmm", &["belljar-event"]),
    ("belljar-agent", &["belljar-event"]),
    (
        "belljar",
        &[
            "belljar-event",
            "belljar-recorder",
            "belljar-replay",
            "belljar-vmm",
            "belljar-agent",
        ],
    ),
];

/// Crates that run wherever Rust runs.
const PORTABLE: &[&str] = &["belljar-event", "belljar-recorder", "belljar-replay"];

/// Libraries that bind a crate to Linux, to an async runtime, or to both.
const LINUX: &[&str] = &[
    "belljar-vmm",
    "belljar-agent",
    "caps",
    "landlock",
    "libbpf-rs",
    "libc",
    "nix",
    "procfs",
    "rustix",
    "seccompiler",
    "tokio",
    "yamux",
];

/// Libraries that know a terminal: the app's alone.
const TERMINAL: &[&str] = &["crossterm", "indicatif", "ratatui", "vt100", "portable-pty"];

/// The top-level folders.
const FOLDERS: &[&str] = &[
    "app", "vmm", "agent", "recorder", "replay", "themes", "tests", "fixtures",
];

/// Crate roots that must forbid unsafe code.
const SAFE_ROOTS: &[&str] = &[
    "recorder/event/src/lib.rs",
    "recorder/src/lib.rs",
    "replay/src/lib.rs",
];

/// Files and folders (with a slash at the end) in which unsafe code may stand.
const UNSAFE_PLACES: &[&str] = &[
    "agent/src/abi.rs",
    "agent/src/boot.rs",
    "agent/src/boot/",
    "agent/src/observe/skel.rs",
    "vmm/src/process.rs",
];

/// One dependency between packages, as a manifest states it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Edge {
    from: String,
    to: String,
    /// The `cfg` that it is limited to.
    target: Option<String>,
}

/// What cargo says about the workspace.
struct Workspace {
    packages: BTreeSet<String>,
    /// Normal and build dependencies; what only tests need binds nobody.
    edges: Vec<Edge>,
}

/// The workspace: the folder above that of the crate which runs this file.
fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .parent()
        .expect("the app is a folder of the workspace")
        .to_path_buf()
}

fn workspace() -> Workspace {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(root())
        .output()
        .expect("cargo can be started");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata failed: {stderr}");
    parse(&serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON"))
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field).and_then(Value::as_str)
}

fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(field)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn parse(metadata: &Value) -> Workspace {
    let mut packages = BTreeSet::new();
    let mut edges = Vec::new();
    for package in list(metadata, "packages") {
        let from = text(package, "name")
            .expect("a package has a name")
            .to_owned();
        for dependency in list(package, "dependencies") {
            if text(dependency, "kind") != Some("dev") {
                edges.push(Edge {
                    from: from.clone(),
                    // The package's own name, whatever the manifest calls it.
                    to: text(dependency, "name")
                        .expect("a dependency has a name")
                        .to_owned(),
                    target: text(dependency, "target").map(str::to_owned),
                });
            }
        }
        packages.insert(from);
    }
    Workspace { packages, edges }
}

/// Crates that are not in the table, and arrows that are not.
fn wrong_arrows(workspace: &Workspace) -> Vec<String> {
    let table: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in &workspace.packages {
        if !table.contains_key(package.as_str()) {
            wrong.push(format!("{package} is no crate of ours"));
        }
    }
    for name in table.keys() {
        if !workspace.packages.contains(*name) {
            wrong.push(format!("{name} is missing"));
        }
    }
    for edge in &workspace.edges {
        let allowed = table.get(edge.from.as_str()).copied().unwrap_or_default();
        let ours = edge.to.starts_with("belljar") || workspace.packages.contains(&edge.to);
        if ours && !allowed.contains(&edge.to.as_str()) {
            wrong.push(format!("{} -> {}", edge.from, edge.to));
        }
    }
    wrong
}

/// Dependencies that bind what must run everywhere to Linux, or to a terminal.
fn wrong_bindings(edges: &[Edge]) -> Vec<String> {
    let wrong = edges.iter().filter(|edge| {
        let (from, to) = (edge.from.as_str(), edge.to.as_str());
        let linux_only = edge
            .target
            .as_deref()
            .is_some_and(|cfg| cfg.contains("target_os = \"linux\""));
        let on_linux =
            LINUX.contains(&to) && (PORTABLE.contains(&from) || (from == "belljar" && !linux_only));
        on_linux || (TERMINAL.contains(&to) && from != "belljar")
    });
    wrong
        .map(|edge| format!("{} -> {}", edge.from, edge.to))
        .collect()
}

/// Folders too many and folders missing.
fn wrong_folders(there: &BTreeSet<String>) -> Vec<String> {
    let should: BTreeSet<String> = FOLDERS.iter().map(|name| (*name).to_owned()).collect();
    let ignored = |name: &str| name.starts_with('.') || name == "target";
    let more = there
        .iter()
        .filter(|name| !should.contains(*name) && !ignored(name));
    let more = more.map(|name| format!("{name}/ does not belong at the top"));
    let missing = should
        .difference(there)
        .map(|name| format!("{name}/ is missing"));
    more.chain(missing).collect()
}

fn forbids_unsafe(source: &str) -> bool {
    code(source).contains("#![forbid(unsafe_code)]")
}

fn may_be_unsafe(path: &str) -> bool {
    UNSAFE_PLACES
        .iter()
        .any(|place| match place.strip_suffix('/') {
            Some(_) => path.starts_with(place),
            None => path == *place,
        })
}

/// Whether the keyword stands in the code: not in comments, strings, or longer words.
fn has_unsafe(source: &str) -> bool {
    let code = code(source);
    let mut words = code.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.any(|word| word == "unsafe")
}

/// The source without comments and without the contents of literals.
fn code(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let in_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let skipped = skip(rest, in_word);
        if skipped > 0 {
            code.push(' ');
            rest = rest.get(skipped..).unwrap_or_default();
        } else {
            code.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    code
}

/// Length of the comment or literal that `rest` begins with; 0 if it begins with code.
fn skip(rest: &str, in_word: bool) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with('"') {
        return 1 + quoted(rest.get(1..).unwrap_or_default(), '"');
    }
    if let Some(body) = rest.strip_prefix('\'') {
        // A lifetime has no closing quote after its first character.
        let mut chars = body.chars();
        let (first, second) = (chars.next(), chars.next());
        let literal = first == Some('\\') || second == Some('\'');
        return if literal { 1 + quoted(body, '\'') } else { 0 };
    }
    if in_word {
        return 0;
    }
    let prefix = ["r", "br", "cr"].into_iter().find(|p| {
        let tail = rest
            .strip_prefix(p)
            .map(|tail| tail.trim_start_matches('#'));
        tail.is_some_and(|tail| tail.starts_with('"'))
    });
    prefix.map_or(0, |prefix| raw_string(rest, prefix.len()))
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while let Some(tail) = rest.get(at..).filter(|tail| !tail.is_empty()) {
        let (step, change) = match tail {
            t if t.starts_with("/*") => (2, 1),
            t if t.starts_with("*/") => (2, -1),
            t => (t.chars().next().map_or(1, char::len_utf8), 0),
        };
        at += step;
        depth = depth.saturating_add_signed(change);
        if depth == 0 {
            break;
        }
    }
    at
}

/// Length up to and with the closing quote.
fn quoted(body: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    body.len()
}

fn raw_string(rest: &str, prefix: usize) -> usize {
    let after = rest.get(prefix..).unwrap_or_default();
    let hashes = after.len() - after.trim_start_matches('#').len();
    let open = prefix + hashes + 1;
    let close = format!("\"{}", "#".repeat(hashes));
    let body = rest.get(open..).unwrap_or_default();
    body.find(&close)
        .map_or(rest.len(), |at| open + at + close.len())
}

/// Every Rust source under `dir`, which is not followed out of the workspace.
fn rust_sources(dir: &Path, into: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    for entry in entries {
        let entry = entry.expect("a folder can be listed");
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type().expect("an entry has a type");
        if kind.is_dir() && name != "target" && !name.as_encoded_bytes().starts_with(b".") {
            rust_sources(&path, into);
        } else if kind.is_file() && path.extension() == Some(OsStr::new("rs")) {
            into.push(path);
        }
    }
}

#[test]
fn arrows_are_those_of_the_architecture() {
    let workspace = workspace();
    assert_eq!(wrong_arrows(&workspace), [""; 0]);
    let expected = Edge {
        from: "belljar-replay".into(),
        to: "belljar-recorder".into(),
        target: None,
    };
    assert!(
        workspace.edges.contains(&expected),
        "the edges were not read at all"
    );
}

#[test]
fn what_must_run_everywhere_needs_no_linux_and_only_the_app_a_terminal() {
    assert_eq!(wrong_bindings(&workspace().edges), [""; 0]);
}

#[test]
fn the_top_level_is_fixed() {
    let mut there = BTreeSet::new();
    for entry in fs::read_dir(root()).expect("the workspace can be listed") {
        let entry = entry.expect("the workspace can be listed");
        if entry.path().is_dir() {
            there.insert(entry.file_name().to_string_lossy().into_owned());
        }
    }
    assert_eq!(wrong_folders(&there), [""; 0]);
}

#[test]
fn event_recorder_and_replay_forbid_unsafe_code() {
    for path in SAFE_ROOTS {
        let source = fs::read_to_string(root().join(path)).expect(path);
        assert!(
            forbids_unsafe(&source),
            "{path} lacks #![forbid(unsafe_code)]"
        );
    }
}

#[test]
fn unsafe_code_stands_only_where_it_may() {
    let root = root();
    let mut sources = Vec::new();
    for folder in FOLDERS {
        rust_sources(&root.join(folder), &mut sources);
    }
    let mut wrong = Vec::new();
    let mut found = 0;
    for path in sources {
        if has_unsafe(&fs::read_to_string(&path).expect("a source is text")) {
            let relative = path
                .strip_prefix(&root)
                .expect("a source is in the workspace");
            let names: Vec<_> = relative.iter().map(OsStr::to_string_lossy).collect();
            let relative = names.join("/");
            found += 1;
            if !may_be_unsafe(&relative) {
                wrong.push(relative);
            }
        }
    }
    assert_eq!(wrong, [""; 0], "unsafe code outside {UNSAFE_PLACES:?}");
    assert!(
        found > 0,
        "the agent's boot cannot do without: the search is broken"
    );
}

/// The rules against data that breaks them.
mod can_fail {
    use super::*;

    fn edge(from: &str, to: &str, target: Option<&str>) -> Edge {
        Edge {
            from: from.into(),
            to: to.into(),
            target: target.map(str::to_owned),
        }
    }

    fn with(edges: &[(&str, &str)]) -> Workspace {
        Workspace {
            packages: ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect(),
            edges: edges
                .iter()
                .map(|(from, to)| edge(from, to, None))
                .collect(),
        }
    }

    #[test]
    fn on_arrows() {
        assert_eq!(
            wrong_arrows(&with(&[("belljar-replay", "belljar-recorder")])),
            [""; 0]
        );
        assert_eq!(wrong_arrows(&with(&[("belljar-replay", "serde")])), [""; 0]);
        let bad = [
            ("belljar-replay", "belljar-vmm"),
            ("belljar-vmm", "belljar-replay"),
            ("belljar-agent", "belljar-recorder"),
            ("belljar-event", "belljar-recorder"),
            ("belljar-recorder", "belljar-replay"),
            ("belljar-vmm", "belljar"),
            ("belljar-recorder", "belljar-common"),
        ];
        for (from, to) in bad {
            assert_eq!(
                wrong_arrows(&with(&[(from, to)])),
                [format!("{from} -> {to}")]
            );
        }
    }

    #[test]
    fn on_crates_too_many_or_missing() {
        let mut workspace = with(&[]);
        workspace.packages.insert("helpers".into());
        workspace.packages.remove("belljar-vmm");
        let wrong = wrong_arrows(&workspace);
        assert_eq!(
            wrong,
            ["helpers is no crate of ours", "belljar-vmm is missing"]
        );
    }

    #[test]
    fn on_bindings() {
        let linux = Some("cfg(target_os = \"linux\")");
        let good = [
            edge("belljar", "belljar-vmm", linux),
            edge("belljar", "ratatui", None),
            edge("belljar-vmm", "rustix", None),
            edge("belljar-replay", "regex", None),
        ];
        assert_eq!(wrong_bindings(&good), [""; 0]);
        let bad = [
            edge("belljar", "belljar-vmm", None),
            edge("belljar", "tokio", Some("cfg(unix)")),
            edge("belljar-replay", "libc", None),
            edge("belljar-recorder", "rustix", linux),
            edge("belljar-replay", "ratatui", None),
        ];
        assert_eq!(wrong_bindings(&bad).len(), bad.len());
    }

    #[test]
    fn on_what_cargo_says() {
        let metadata = serde_json::json!({ "packages": [{
            "name": "belljar-event",
            "dependencies": [
                { "name": "belljar-vmm", "kind": "build", "target": null },
                { "name": "belljar-agent", "kind": null, "target": "cfg(unix)" },
                { "name": "belljar-replay", "kind": "dev", "target": null },
            ],
        }]});
        let edges = parse(&metadata).edges;
        let build = edge("belljar-event", "belljar-vmm", None);
        let normal = edge("belljar-event", "belljar-agent", Some("cfg(unix)"));
        assert_eq!(edges, [build, normal]);
    }

    #[test]
    fn on_folders() {
        let mut there: BTreeSet<String> = FOLDERS.iter().map(|name| (*name).to_owned()).collect();
        there.extend([".git".to_owned(), "target".to_owned()]);
        assert_eq!(wrong_folders(&there), [""; 0]);
        there.insert("docs".into());
        there.remove("replay");
        let wrong = wrong_folders(&there);
        assert_eq!(
            wrong,
            ["docs/ does not belong at the top", "replay/ is missing"]
        );
    }

    #[test]
    fn on_crate_roots() {
        assert!(forbids_unsafe("//! Doc.\n#![forbid(unsafe_code)]\nmod a;"));
        assert!(!forbids_unsafe("//! #![forbid(unsafe_code)]\nmod a;"));
        assert!(!forbids_unsafe("#![deny(unsafe_code)]"));
    }

    #[test]
    fn on_places() {
        for path in [
            "agent/src/abi.rs",
            "agent/src/boot/mounts.rs",
            "vmm/src/process.rs",
        ] {
            assert!(may_be_unsafe(path), "{path}");
        }
        for path in [
            "agent/src/abi/x.rs",
            "agent/src/bootleg.rs",
            "vmm/src/lib.rs",
            "abi.rs",
        ] {
            assert!(!may_be_unsafe(path), "{path}");
        }
    }

    #[test]
    fn on_unsafe_code() {
        let code = [
            "unsafe { f() }",
            "pub unsafe fn f() {}",
            "let s = \"quoted \\\" quote\"; unsafe{f()}",
            "let c = '\"'; unsafe { f() } // \"",
            "let c = '\\''; unsafe { f() }",
            "fn f<'a>(x: &'a u8) { unsafe { g(x) } }",
            "let r = r#\"a \" b\"#; unsafe { f() }",
            "let r = br\"\\\"; unsafe { f() }",
            "/* a /* nested */ b */ unsafe impl Send for X {}",
            "#[unsafe(no_mangle)] fn f() {}",
            "let for_ = 1; // a comment\nunsafe { f() }",
        ];
        for source in code {
            assert!(has_unsafe(source), "{source}");
        }
        let none = [
            "#![forbid(unsafe_code)]",
            "// unsafe { f() }",
            "/* unsafe /* and */ unsafe */",
            "let s = \"unsafe { }\";",
            "let s = \"\\\\\"; let t = \"unsafe\";",
            "let r = r#\"say \"unsafe\" \"#;",
            "let b = b\"unsafe\";",
            "fn not_unsafe() {}",
        ];
        for source in none {
            assert!(!has_unsafe(source), "{source}");
        }
    }
}
