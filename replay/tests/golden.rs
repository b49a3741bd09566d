//! What files of every version of the format say, kept for ever: later versions may
//! tell more of an event, never something else.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use belljar_recorder::Reader;
use belljar_replay::report::jsonl;
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/golden")
}

/// The first place where `is` lacks or contradicts what `was` says.
fn lost(was: &Value, is: &Value, at: &str) -> Option<String> {
    match (was, is) {
        (Value::Object(was), Value::Object(is)) => was.iter().find_map(|(key, value)| {
            let at = format!("{at}.{key}");
            is.get(key)
                .map_or(Some(at.clone()), |is| lost(value, is, &at))
        }),
        (Value::Array(was), Value::Array(is)) if was.len() == is.len() => {
            let mut pairs = was.iter().zip(is).enumerate();
            pairs.find_map(|(n, (was, is))| lost(was, is, &format!("{at}[{n}]")))
        }
        _ => (was != is).then(|| format!("{at}: {was} is {is}")),
    }
}

#[test]
fn golden_files_say_what_they_said() {
    let mut traces: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "bjt"))
        .collect();
    traces.sort();
    assert!(!traces.is_empty());
    for trace in traces {
        let reader = Reader::open(File::open(&trace).unwrap()).unwrap();
        let lines: Vec<_> = reader.map(|entry| jsonl::line(&entry.unwrap())).collect();
        let told = trace.with_extension("jsonl");
        if !told.exists() {
            fs::write(&told, lines.join("\n") + "\n").unwrap();
            panic!(
                "{} was not there and has been made: commit it",
                told.display()
            );
        }
        let before = fs::read_to_string(&told).unwrap();
        let before: Vec<_> = before.lines().collect();
        assert_eq!(before.len(), lines.len());
        for (was, is) in before.iter().zip(&lines) {
            let read = |line: &str| serde_json::from_str(line).unwrap();
            assert_eq!(lost(&read(was), &read(is), ""), None, "{is}");
        }
    }
}

#[test]
fn what_is_lost_is_found() {
    let was = serde_json::json!({"a": 1, "b": [{"c": "x"}]});
    let more = serde_json::json!({"a": 1, "b": [{"c": "x", "d": 2}], "e": null});
    assert_eq!(lost(&was, &more, ""), None);
    for other in [
        serde_json::json!({"a": 2, "b": [{"c": "x"}]}),
        serde_json::json!({"a": 1}),
        serde_json::json!({"a": 1, "b": [{"c": "y"}]}),
        serde_json::json!({"a": 1, "b": [{"c": "x"}, 2]}),
    ] {
        assert!(lost(&was, &other, "").is_some(), "{other}");
    }
}
