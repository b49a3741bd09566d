use std::path::Path;

use crate::rules::{RuleSet, Status};

use super::*;

const FOLDER: &str = "../../shared/data/falco-rules";

/// The rule files of the Falco project, if they are beside the project.
fn upstream() -> Option<Vec<(String, String)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
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
            other => println!("NOT {}: {other:?}", one.title),
        }
    }
    println!("{evaluable} of {}", loaded.checked.len());
    assert_eq!(loaded.checked.len(), 93);
    assert!(evaluable >= 85, "{evaluable}");
}
