use std::path::{Path, PathBuf};

use crate::rules::{RuleSet, Status};

const FOLDER: &str = "../../shared/data/sigma-linux";

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|end| end == "yml") {
            found.push(path);
        }
    }
}

/// The Linux rules of the Sigma project, if they are beside the project.
fn upstream() -> Option<Vec<(String, String)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
    if !folder.is_dir() {
        return None;
    }
    let mut files = Vec::new();
    walk(&folder, &mut files);
    files.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        (
            path.file_name().unwrap().to_string_lossy().into_owned(),
            text,
        )
    };
    Some(files.iter().map(read).collect())
}

#[test]
fn the_upstream_rules_load_as_they_are() {
    let Some(sources) = upstream() else {
        eprintln!("skipped: {FOLDER} is not there");
        return;
    };
    let loaded = RuleSet::load_all(false, &sources).unwrap();
    let mut evaluable = 0;
    for one in &loaded.checked {
        match &one.status {
            Status::Evaluable(notes) => {
                evaluable += 1;
                if !notes.is_empty() {
                    println!("{}: {}", one.title, notes.join("; "));
                }
            }
            other => println!("NOT {}:{} {}: {other:?}", one.file, one.line, one.title),
        }
    }
    println!("{evaluable} of {}", loaded.checked.len());
    assert_eq!(loaded.checked.len(), 248);
    assert!(evaluable >= 215, "{evaluable}");
}
