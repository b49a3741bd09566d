//! What files of every version of the format say, kept for ever: later versions may
//! tell more of an event, never something else. And every trace among the fixtures is
//! judged alike in whichever way it is judged.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use belljar_recorder::Reader;
use belljar_replay::batch::{self, CheckResult, Sameness};
use belljar_replay::report::jsonl;
use belljar_replay::rules::RuleSet;
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/golden")
}

fn traces(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut traces: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "bjt"))
        .collect();
    traces.sort();
    assert!(!traces.is_empty());
    traces
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
    let traces = traces(&folder());
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

/// Alone, on several threads, from checkpoints, through a recording with other blocks.
#[test]
fn every_fixture_is_judged_alike_in_every_way() {
    let rules = RuleSet::builtin();
    for trace in traces(&folder().join("../traces")) {
        let open = || File::open(&trace);
        let reports: Vec<_> = [1, 2, 5]
            .into_iter()
            .map(|threads| {
                let verified = batch::verify(open, &rules, threads).unwrap();
                assert_eq!(verified.outcome, Sameness::Same, "{}", trace.display());
                verified.judged.report.to_json()
            })
            .collect();
        assert!(reports.windows(2).all(|two| two[0] == two[1]));
    }
    // Its policy is no policy, and its digest is none: nothing else may differ.
    for trace in traces(&folder()) {
        let verified = batch::verify(|| File::open(&trace), &rules, 2).unwrap();
        let differ = |result: &CheckResult| matches!(result, CheckResult::Differs { .. });
        let wrong = verified.checks.iter().filter(|check| differ(&check.result));
        let wrong: Vec<_> = wrong.map(|check| check.name).collect();
        assert_eq!(wrong.len(), 1, "{}: {wrong:?}", trace.display());
    }
}
